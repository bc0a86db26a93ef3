"""How two encoders and a language model learn to connect images with captions, and who composes.

    python -m experiments.applications.images_and_captions --time-budget 1800

The world is that of `captioned_digits`, the models are those of `seeing`. There are two groups of
runs. *Encoders* learn which caption belongs to an image, or are rivals that learn the same from
labels (`ENCODERS`). *Readers* are a layer that is added to a frozen language model, so that it
writes captions of images (`READERS`). All runs of a group have the same steps and batches.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from experiments.applications.captioned_digits import (
    N_COMPOSITIONS,
    N_TRAIN,
    World,
    make_world,
    parts_of,
)
from experiments.applications.seeing import (
    PROMPTS,
    GatedCrossAttention,
    ImageEncoder,
    Labelled,
    TwoEncoders,
    contrastive_loss,
    digit_by_prompts,
    find_images,
    hidden,
    language_config,
    name_images,
    parts_right,
    prompts_of,
    several,
    write,
)
from experiments.runner import Experiment, Plan, Run
from experiments.settings import distinct
from utils.models.gpt import GPT
from utils.runtime import generator
from utils.validate import choice, integer, number, require

ENCODERS = {
    "pairs": "image and caption encoder, contrastive loss",
    "shuffled": "the same, but each image with the caption of another one",
    "bag": "the same, but a caption is the sum of its words' vectors",
    "find caption": "half of the loss: each image finds its caption among the batch's",
    "all captions": "the same half, among all 160 captions, those of no training image as well",
    "heads": "four classifiers, of digit, stroke, place and turn",
    "heads of seen": "the same, but a composition that is held out is never a wrong answer",
    "classes": "one classifier of 160 classes",
    "new word": "as pairs, but no image of one of the ten digits is trained on",
}
LABELLED = ("heads", "heads of seen", "classes")
READERS = {
    "real": "the image of the caption",
    "shuffled": "the image of another caption",
    "constant": "the same cells for every image: their mean",
    "untrained encoder": "the image, through an encoder that nobody trained",
    "untrained language model": "the image, for a language model that nobody trained",
}
IMAGE_FLOPS = 2.6e6  # of an image through the encoder, forward; three times as many with backward
CAPTION_FLOPS = 1.0e6  # of a caption through one layer of 33 thousand numbers


@dataclass(frozen=True)
class Settings:
    """What is trained.

    seeds: each has its own split of the digits and its own held-out compositions.
    held_out: how many of the 160 compositions, the usual number first.
    encoder_steps, language_steps, reader_steps: of each kind of training. batch_size: of all.
    encoder_rate, language_rate, reader_rate: learning rates.
    depths: layers of the frozen language model, the usual one first. inner: widths of the added
    attention, the usual one first. n_train: numbers of training digits, the usual one first.
    n_test: images in a measurement. groups: which of the two groups of runs, so that two processes
    can share the work.
    """

    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    held_out: tuple[int, ...] = (40, 20, 80)
    encoder_steps: int = 800
    language_steps: int = 400
    reader_steps: int = 500
    batch_size: int = 64
    encoder_rate: float = 2e-3
    language_rate: float = 3e-3
    reader_rate: float = 1e-2
    depths: tuple[int, ...] = (2, 1, 4, 8)
    inner: tuple[int, ...] = (64, 4, 16, 256)
    n_train: tuple[int, ...] = (N_TRAIN, 100)
    n_test: int = 1600
    groups: tuple[str, ...] = ("encoders", "readers")

    def __post_init__(self) -> None:
        for name in ("seeds", "held_out", "depths", "inner", "n_train"):
            least = 0 if name == "seeds" else 1
            for value in distinct(name, getattr(self, name)):
                integer(name, value, least)
        for group in distinct("groups", self.groups):
            choice("groups", group, ("encoders", "readers"))
        integer("language_steps", self.language_steps, 0)
        for name in ("encoder_steps", "reader_steps", "batch_size", "n_test"):
            integer(name, getattr(self, name), 1)
        for name in ("encoder_rate", "language_rate", "reader_rate"):
            number(name, getattr(self, name), 0.0, open_low=True)
        most = N_COMPOSITIONS - max(*self.held_out, 16)
        require(self.batch_size <= most, "batch_size", f"at most {most}", self.batch_size)


# ---- training ------------------------------------------------------------------------------------


def fit(model: nn.Module, loss_of: Callable[[], Tensor], steps: int, rate: float) -> None:
    """Take ``steps`` of AdamW down ``loss_of()``.

    The rate rises over 30 steps and falls along a cosine to a tenth.
    """
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=rate, betas=(0.9, 0.98), weight_decay=0.01)
    for step in range(steps):
        fall = 0.55 + 0.45 * math.cos(math.pi * step / steps)
        optimizer.param_groups[0]["lr"] = rate * fall * min(1.0, (step + 1) / 30)
        optimizer.zero_grad(set_to_none=True)
        loss_of().backward()
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()


def train_encoders(
    world: World, kind: str, settings: Settings, seed: int
) -> TwoEncoders | Labelled:
    """One of `ENCODERS`, trained on the images of the compositions that are not held out."""
    choice("kind", kind, tuple(ENCODERS))
    generator(seed, "global")  # draws the first weights
    rng = generator(seed + 1000, "torch")
    if kind in LABELLED:
        model = Labelled(heads=kind != "classes")
    else:
        model = TwoEncoders(bag=kind == "bag")

    def loss_of() -> Tensor:
        codes, images = world.batch(settings.batch_size, rng)
        if isinstance(model, Labelled) and kind == "heads of seen":
            which = torch.searchsorted(world.seen, codes)  # its place among those that are seen
            return F.cross_entropy(model(images)[:, world.seen], which)
        if isinstance(model, Labelled):
            return F.nll_loss(model(images), codes)
        if kind == "all captions":
            everything = torch.arange(N_COMPOSITIONS)
            return F.cross_entropy(model(images, world.texts(everything, rng)), codes)
        if kind == "shuffled":
            codes = codes[torch.randperm(len(codes), generator=rng)]
        scores = model(images, world.texts(codes, rng))  # (B, B)
        if kind == "find caption":
            return F.cross_entropy(scores, torch.arange(len(codes)))
        return contrastive_loss(scores)

    fit(model, loss_of, settings.encoder_steps, settings.encoder_rate)
    return model.requires_grad_(False)


def train_language_model(
    world: World, depth: int, settings: Settings, seed: int, only_seen: bool = False
) -> GPT:
    """A model of captions: it reads text and never an image. Frozen.

    only_seen: not of all compositions, but of those that are not held out.
    """
    generator(seed + 1, "global")
    rng = generator(seed + 2000, "torch")
    gpt = GPT(language_config(depth))
    read = world.seen if only_seen else torch.arange(N_COMPOSITIONS)

    def loss_of() -> Tensor:
        codes = torch.randint(len(read), (settings.batch_size,), generator=rng)
        codes = read[codes]
        ids = world.texts(codes, rng)  # (B, T)
        return gpt(ids[:, :-1], ids[:, 1:])

    fit(gpt, loss_of, settings.language_steps, settings.language_rate)
    return gpt.requires_grad_(False)


def cells_for(kind: str, world: World, encoder: ImageEncoder) -> Callable[[Tensor], Tensor]:
    """What a reader of this kind is given of images (B, 1, 16, 16): cells (B, 16, WIDTH)."""
    if kind == "untrained encoder":
        return ImageEncoder().requires_grad_(False).cells
    if kind == "constant":
        mean = encoder.cells(world.train.flatten(0, 1)[:2000, None]).mean(0)  # (16, WIDTH)
        return lambda images: mean.expand(len(images), -1, -1)
    return encoder.cells


def train_reader(
    world: World,
    gpt: GPT,
    cells_of: Callable[[Tensor], Tensor],
    kind: str,
    inner: int,
    settings: Settings,
    seed: int,
    before: int = -1,
) -> GatedCrossAttention:
    """The layer that lets ``gpt`` take from an image's cells; nothing else is trained.

    cells_of: images (B, 1, 16, 16) to cells (B, 16, WIDTH), as of `cells_for`. inner: width of the
    attention. before: the block of ``gpt`` in front of which the layer stands.
    """
    choice("kind", kind, tuple(READERS))
    generator(seed + 3, "global")
    rng = generator(seed + 3000, "torch")
    layer = GatedCrossAttention(inner)

    def loss_of() -> Tensor:
        codes, images = world.batch(settings.batch_size, rng)
        ids = world.texts(codes, rng)  # (B, T)
        if kind == "shuffled":
            images = images[torch.randperm(len(images), generator=rng)]
        x = hidden(gpt, ids[:, :-1], layer, cells_of(images), before)  # (B, T - 1, WIDTH)
        return F.cross_entropy(gpt.head(x).transpose(1, 2), ids[:, 1:])

    fit(layer, loss_of, settings.reader_steps, settings.reader_rate)
    return layer.requires_grad_(False)


# ---- one run -------------------------------------------------------------------------------------


def shares(got: Tensor, codes: Tensor) -> list[float]:
    """How often the digit, the stroke, the place, the turn and all four are right."""
    right = parts_of(got) == parts_of(codes)  # (n, 4)
    return rounded([*right.float().mean(0).tolist(), right.all(1).float().mean().item()])


def rounded(values: list[float]) -> list[float]:
    return [round(value, 4) for value in values]


# Some runs need the same model, so the last few are kept. Nothing changes a model that is trained.
shared_world = lru_cache(maxsize=2)(make_world)


@lru_cache(maxsize=2)
def shared_encoders(kind: str, held_out: int, n_train: int, settings: Settings, seed: int):
    """The world and the encoders of a run."""
    without = seed % 10 if kind == "new word" else None
    world = shared_world(seed, held_out, n_train, without)
    return world, train_encoders(world, kind, settings, seed)


@lru_cache(maxsize=4)
def shared_language_model(depth: int, trained: bool, settings: Settings, seed: int) -> GPT:
    if not trained:
        settings = replace(settings, language_steps=0)
    return train_language_model(shared_world(seed, settings.held_out[0]), depth, settings, seed)


def run_encoders(settings: Settings, key: dict[str, Any], deadline: float) -> dict[str, Any]:
    """Train encoders and ask them; a run is too short to stop half-way."""
    kind, seed = key["kind"], key["seed"]
    per_pair = IMAGE_FLOPS + (0 if kind in (*LABELLED, "bag") else CAPTION_FLOPS)
    flops = 3.0 * settings.encoder_steps * settings.batch_size * per_pair
    if time.monotonic() > deadline:
        return {"flops": flops, "finished": False}

    began = time.process_time()
    world, model = shared_encoders(kind, key["held_out"], N_TRAIN, settings, seed)
    n_params = sum(p.numel() for p in model.parameters())
    result: dict[str, Any] = {"flops": flops, "finished": True, "n_params": n_params}

    rng = generator(seed + 4000, "torch")
    for side, codes in (("seen", world.seen), ("held", world.held)):
        images_of = several(codes, settings.n_test)
        got = name_images(world, model, images_of, rng)
        result[side] = shares(got, images_of)
        wrong = got[got != images_of]
        result[f"{side}_wrong"] = len(wrong)
        result[f"{side}_wrong_but_seen"] = int(torch.isin(wrong, world.seen).sum())
        if isinstance(model, TwoEncoders):
            galleries = max(1, settings.n_test // 80)
            found = [find_images(world, model, codes, rng) == codes for _ in range(galleries)]
            result[f"{side}_found"] = round(torch.stack(found).float().mean().item(), 4)
    if isinstance(model, TwoEncoders) and kind in ("pairs", "new word"):
        codes = several(torch.arange(N_COMPOSITIONS), settings.n_test)
        images = world.images(codes, rng, test=True)
        for style in PROMPTS:
            right = digit_by_prompts(model, images, prompts_of(style)) == codes // 16
            by_digit = [right[codes // 16 == digit].float().mean().item() for digit in range(10)]
            result[style] = rounded(by_digit)
    result["cpu_seconds"] = round(time.process_time() - began, 1)
    return result


def run_reader(settings: Settings, key: dict[str, Any], deadline: float) -> dict[str, Any]:
    """Add a layer to a frozen language model, train it, and let the model write captions."""
    kind, depth, seed = key["kind"], key["depth"], key["seed"]
    per_pair = IMAGE_FLOPS + (depth + 1) * CAPTION_FLOPS
    flops = 3.0 * settings.reader_steps * settings.batch_size * per_pair
    if time.monotonic() > deadline:
        return {"flops": flops, "finished": False}

    began = time.process_time()
    trained = kind != "untrained language model"
    gpt = shared_language_model(depth, trained, settings, seed)
    world, model = shared_encoders("pairs", settings.held_out[0], key["n_train"], settings, seed)
    cells_of = cells_for(kind, world, model.image)
    layer = train_reader(world, gpt, cells_of, kind, key["inner"], settings, seed)
    result: dict[str, Any] = {
        "flops": flops,
        "finished": True,
        "n_frozen": gpt.num_parameters(),
        "n_added": sum(p.numel() for p in layer.parameters()),
        "gate": round(layer.gate.tanh().item(), 4),
    }
    rng = generator(seed + 5000, "torch")
    for side, codes in (("seen", world.seen), ("held", world.held)):
        codes = several(codes, settings.n_test)
        images = world.images(codes, rng, test=True)
        other = images[torch.randperm(len(images), generator=rng)]
        for name, shown in ((side, images), (f"{side}_other_image", other)):
            right = parts_right(write(gpt, layer, cells_of(shown)), codes)
            every = right.all(1).float().mean().item()
            result[name] = rounded([*right.float().mean(0).tolist(), every])
    result["cpu_seconds"] = round(time.process_time() - began, 1)
    return result


# ---- the experiment ------------------------------------------------------------------------------


def keys(settings: Settings) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What tells the runs apart: of encoders and of readers, seed by seed."""
    encoders, readers = [], []
    first = {"depth": settings.depths[0], "inner": settings.inner[0]}
    first["n_train"] = settings.n_train[0]
    for seed in settings.seeds:
        for held_out in settings.held_out:
            for kind in ENCODERS:
                if held_out == settings.held_out[0] or kind in ("pairs", "heads"):
                    encoders.append({"kind": kind, "held_out": held_out, "seed": seed})
        for kind in READERS:
            readers.append({"kind": kind, **first, "seed": seed})
        changes = [("depth", value) for value in settings.depths[1:]]
        changes += [("inner", value) for value in settings.inner[1:]]
        changes += [("n_train", value) for value in settings.n_train[1:]]
        for name, value in changes:
            readers.append({"kind": "real", **first, name: value, "seed": seed})
    return encoders, readers


def plan(settings: Settings) -> Plan:
    """Every run: all of one seed's encoders and readers, then those of the next."""
    runs = []
    encoders, readers = keys(settings)
    for seed in settings.seeds:
        for group, of_group, make in (
            ("encoders", encoders, run_encoders),
            ("readers", readers, run_reader),
        ):
            for key in of_group:
                if key["seed"] == seed and group in settings.groups:
                    runs.append(Run(key, partial(make, settings, key), group))
    return Plan(
        runs,
        told=lambda run: (
            f"all four parts right: seen {run['seen'][-1]}, held out {run['held'][-1]}"
        ),
        source={"name": "scikit-learn digits"},
    )


EXPERIMENT = Experiment(
    command="experiments.applications.images_and_captions",
    about=__doc__,
    record="applications/images_and_captions",
    settings=Settings,
    plan=plan,
)
measure = EXPERIMENT.measure
main = EXPERIMENT.main

if __name__ == "__main__":
    main()
