"""Record what the sampling explorer shows before any model is loaded.

    python -m experiments.sampling.explorer_data   # seconds; again when records/course_gpt changes

writes ``records/sampling/explorer.json``: the course model's logits for the whole vocabulary after
each of some prompts, as int16 times a scale, which is 11 kB per prompt at 4096 tokens. The prompts
are chosen by measuring. Of the candidates below it keeps the most peaked distributions, the
flattest, and, of the model's own greedy continuations, those that give most probability to what
they have said already.
"""

from __future__ import annotations

import time
from typing import Any

import torch
from torch import Tensor, nn

from experiments.settings import one_line_errors, parser
from utils import records
from utils.models.course import load
from utils.runtime import repo_root
from utils.sampling.generation import generate
from utils.sampling.pipelines import Pipeline
from utils.tensors import read_header
from utils.widgets.sampling_explorer.positions import RECORD, position, token_texts, unpack

COMMAND = "experiments.sampling.explorer_data"

# Candidates, by what they were thought to be; what they are is measured.
USUAL = (
    "He opened the door and went",
    "It was",
    "“I do not",
    "One day the",
    "She looked at the",
)
PEAKED = (
    "At the same",
    "He shook his",
    "She looked at him with tears in her",
    "for the first time in my",
    "as soon as he had finished his",
    "on the other",
    "from time to",
    "side by",
    "in the twinkling of an",
    "I beg your",
    "“How do you",
    "a great deal of trou",
    "the circumst",
    "He was the most extraordin",
    "She burst into",
    "He could not help laugh",
    "the United",
    "Once upon a",
    "They sat down side by",
    "He threw himself upon his",
    "I shall never for",
    "to and",
)
FLAT = (
    "The name of the ship was",
    "She was as beautiful as a",
    "They bought a",
    "There was nothing in the room but a",
    "in the middle of the",
    "the old man's",
    "Her name was",
    "The",
    "He took a",
    "full of",
    "a little",
    "and the",
)
GREEDY = (
    "The king",
    "It was the",
    "He said that",
    "The house was",
    "“Yes,” said the",
    "She had",
    "I am",
    "There was a",
)
KEEP = {"peaked": 5, "flat": 4, "repeating": 3}
LOOP = 48  # tokens of greedy continuation


def entropy(item: dict[str, Any]) -> float:
    """Entropy of a position's distribution, in nats."""
    return float(torch.distributions.Categorical(logits=_logits(item)).entropy())


def repeated_mass(item: dict[str, Any]) -> float:
    """Probability of the tokens that the position's output already holds."""
    p = _logits(item).softmax(-1)  # (V,)
    said = sorted(set(item["output_ids"]))
    return float(p[said].sum())


def _logits(item: dict[str, Any]) -> Tensor:
    return torch.from_numpy(unpack(item))  # (V,)


def choose(model: nn.Module, tokenizer: Any) -> list[dict[str, Any]]:
    """The positions to record, each with its ``kind``; the first is where the explorer starts."""
    peaked = [position(model, tokenizer, prompt) for prompt in PEAKED]
    flat = [position(model, tokenizer, prompt) for prompt in FLAT]
    loops = [_greedy(model, tokenizer, prompt) for prompt in GREEDY]
    best_first = {
        "peaked": sorted(peaked, key=entropy),
        "flat": sorted(flat, key=entropy, reverse=True),
        "repeating": sorted(loops, key=repeated_mass, reverse=True),
    }

    chosen = [("between", position(model, tokenizer, prompt)) for prompt in USUAL]
    for kind, items in best_first.items():
        chosen += [(kind, item) for item in items[: KEEP[kind]]]
    return [{**item, "kind": kind, "entropy": round(entropy(item), 2)} for kind, item in chosen]


def _greedy(model: nn.Module, tokenizer: Any, prompt: str) -> dict[str, Any]:
    """The position after `LOOP` tokens of the model's own most probable continuation."""
    always_the_top = Pipeline("vllm", temperature=0)
    (said,) = generate(model, prompt, always_the_top, tokenizer=tokenizer, max_tokens=LOOP)
    item = position(model, tokenizer, prompt, said.ids)
    return item | {"key": f"{item['key']}-greedy"}


def main(arguments: list[str] | None = None) -> None:
    """Measure, choose, write, and say what was chosen."""
    command = parser(COMMAND, __doc__)
    command.parse_args(arguments)
    with one_line_errors(command):
        for item in record():
            text = f"{item['prompt']}{item['output']}".replace("\n", " ")
            print(f"{item['kind']:9} {entropy(item):5.2f} nats  {item['key']}: …{text[-60:]}")


def record() -> list[dict[str, Any]]:
    """Write the record, and return its positions."""
    torch.set_num_threads(1)  # one order of additions, so the same bytes each time
    started = time.time()
    model, tokenizer = load()
    weights = repo_root() / "records" / "course_gpt" / "model.safetensors"
    items = choose(model, tokenizer)
    records.save(
        RECORD,
        {"vocab": token_texts(tokenizer, model.config.vocab_size), "prompts": items},
        started=started,
        model_sha256=read_header(weights).sha256,
        how=f"python -m {COMMAND}",
    )
    return items


if __name__ == "__main__":
    main()
