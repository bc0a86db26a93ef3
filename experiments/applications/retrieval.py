"""Train a small model to find a word in a list, and ask for words at every place of the list.

    python -m experiments.applications.retrieval   # a few minutes; goes on where it stopped

A list of different words is read, then one of them again, and the model has to say the word that
followed it: a needle in a haystack. Each run starts from the stored ``copy_gpt``, which has learned
to repeat lists of 5 to 16 words, and trains it on longer lists for the same number of steps. The
runs differ only in the places that are asked for in training: all of them, only those of the last
quarter of the list, or only those of the first. Then every place is asked for.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from experiments.runner import Experiment, Plan, Run
from experiments.settings import distinct
from utils.models.budget import matmul_flops_per_token
from utils.models.gpt import GPT
from utils.models.interop import load_pretrained
from utils.runtime import generator, repo_root
from utils.validate import choice, integer, number

PLACES = ("all", "last", "first")  # which places of the list are asked for in training
WARMUP = 20  # steps
HELD_OUT = 10_000  # plus the seed: lists that no run trains on


@dataclass(frozen=True)
class Settings:
    """What fixes the outcome. Raises ``ValueError`` for a setting that is out of its range.

    length: words of a list, at most as many as the model knows. questions: per list in training.
    lists: on which every place is asked for.
    """

    places: tuple[str, ...] = PLACES
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    length: int = 62
    questions: int = 8
    steps: int = 100
    batch_size: int = 32
    rate: float = 1e-3
    lists: int = 300

    def __post_init__(self) -> None:
        for name in distinct("places", self.places):
            choice("places", name, PLACES)
        for seed in distinct("seeds", self.seeds):
            integer("seeds", seed, 0)
        integer("length", self.length, 8, 64)
        integer("questions", self.questions, 1, (self.length - 1) // 4)
        integer("steps", self.steps, 1)
        integer("batch_size", self.batch_size, 1)
        number("rate", self.rate, 0.0, open_low=True)
        integer("lists", self.lists, 1)


# ---- lists and questions -------------------------------------------------------------------------


def draw_lists(n: int, length: int, n_words: int, seed: int) -> Tensor:
    """``n`` lists of different words: (n, length)."""
    order = torch.rand(n, n_words, generator=generator(seed, "torch")).argsort(1)
    return order[:, :length]  # (n, length)


def places_asked(name: str, length: int) -> Tensor:
    """The places of the list that are asked for; the last word has none after it.

    >>> places_asked("last", 13), places_asked("first", 13), len(places_asked("all", 13))
    (tensor([ 9, 10, 11]), tensor([0, 1, 2]), 12)
    """
    quarter = (length - 1) // 4
    everywhere = torch.arange(length - 1)
    return {
        "all": everywhere,
        "last": everywhere[-quarter:],
        "first": everywhere[:quarter],
    }[name]


def with_questions(lists: Tensor, places: Tensor, questions: int, seed: int) -> Tensor:
    """The lists, and after each some of its words again, each with the word that followed it.

    lists: (B, length); the result is (B, length + 2 · questions).
    """
    chance = torch.rand(len(lists), len(places), generator=generator(seed, "torch"))
    asked = places[chance.argsort(1)[:, :questions]]  # (B, questions)
    word = lists.gather(1, asked)  # (B, questions)
    answer = lists.gather(1, asked + 1)  # (B, questions)
    pairs = torch.stack([word, answer], dim=2)  # (B, questions, 2)
    return torch.cat([lists, pairs.flatten(1)], dim=1)


# ---- one run -------------------------------------------------------------------------------------


def starting_model(settings: Settings) -> GPT:
    """The stored model that copies, with room for a list and its questions."""
    stored = load_pretrained(repo_root() / "records" / "copy_gpt")
    room = settings.length + 2 * settings.questions
    longer = GPT(replace(stored.config, context_length=room))
    longer.load_state_dict(stored.state_dict())
    return longer


def train(model: GPT, settings: Settings, name: str, seed: int) -> None:
    """Train ``model`` in place on questions about the places of this name."""
    length = settings.length
    places = places_asked(name, length)
    optimizer = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.98), weight_decay=0.01)
    for step in range(settings.steps):
        for group in optimizer.param_groups:
            warm = min(1.0, (step + 1) / WARMUP)
            group["lr"] = settings.rate * warm * (1 - 0.9 * step / settings.steps)
        draw = seed * settings.steps + step
        lists = draw_lists(settings.batch_size, length, model.config.vocab_size, draw)
        rows = with_questions(lists, places, settings.questions, draw)  # (B, length + 2 Q)
        logits = model(rows[:, :-1])[:, length::2]  # (B, Q, V) at the words that are asked for
        answers = rows[:, length + 1 :: 2]  # (B, Q)
        loss = F.cross_entropy(logits.transpose(1, 2), answers)  # ()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()


@torch.no_grad()
def accuracy(model: GPT, settings: Settings, seed: int) -> list[float]:
    """How often the answer is right, for one question about each place: length − 1 shares."""
    n_words = model.config.vocab_size
    lists = draw_lists(settings.lists, settings.length, n_words, HELD_OUT + seed)
    found = []
    for place in range(settings.length - 1):
        asked = torch.cat([lists, lists[:, place : place + 1]], dim=1)  # (N, length + 1)
        says = model(asked)[:, -1].argmax(1)  # (N,)
        right = says == lists[:, place + 1]  # (N,)
        found.append(round(right.float().mean().item(), 4))
    return found


def run(settings: Settings, key: dict[str, Any], deadline: float) -> dict[str, Any]:
    """Train one model and ask it everywhere; a run is too short to stop half-way."""
    model = starting_model(settings)
    read = settings.steps * settings.batch_size * model.config.context_length
    result: dict[str, Any] = {"flops": float(read * matmul_flops_per_token(model.config))}
    if time.monotonic() > deadline:
        return result | {"finished": False}
    train(model, settings, key["places"], key["seed"])
    return result | {"accuracy": accuracy(model, settings, key["seed"]), "finished": True}


def before(settings: Settings, seed: int, deadline: float) -> dict[str, Any]:
    """What the stored model answers."""
    answers = accuracy(starting_model(settings), settings, seed)
    return {"accuracy": answers, "flops": 0.0, "finished": True}


# ---- the experiment ------------------------------------------------------------------------------


def plan(settings: Settings) -> Plan:
    """Every kind of training with each seed."""
    runs = []
    for seed in settings.seeds:
        runs.append(Run({"seed": seed}, partial(before, settings, seed), group="start"))
    for seed in settings.seeds:
        for name in settings.places:
            key = {"places": name, "seed": seed}
            runs.append(Run(key, partial(run, settings, key)))
    return Plan(runs, told=told)


def told(result: dict[str, Any]) -> str:
    """The accuracy at the first, the middle and the last place."""
    found = result["accuracy"]
    return f"first {found[0]:.2f}, middle {found[len(found) // 2]:.2f}, last {found[-1]:.2f}"


EXPERIMENT = Experiment(
    command="experiments.applications.retrieval",
    about=__doc__,
    record="applications/retrieval",
    settings=Settings,
    plan=plan,
)
measure = EXPERIMENT.measure
main = EXPERIMENT.main

if __name__ == "__main__":
    main()
