"""Record what the attention explorer shows: the course model's attention, and words to copy.

    python -m experiments.parameters.attention_data   # seconds; again with another model

writes ``records/parameters/attention.json``. Of the course model it holds the shares of attention
and the likeliest next tokens after two prompts, as they stand and with each token removed. The
copying model runs in the page, so only its texts are held. For both models it holds how much they
gain when a passage is said twice.

The first prompt has two names and a verb that return. The second looks like copying, since its next
word has stood before, and is none: without that word the model says it as well.
"""

from __future__ import annotations

import math
import time
from typing import Any

import torch
from torch import Tensor

from experiments.parameters.copying_model import SEGMENT, passage
from experiments.settings import one_line_errors, parser
from utils import records
from utils.models.course import load
from utils.models.gpt import GPT
from utils.models.interop import load_pretrained
from utils.runtime import repo_root
from utils.sampling.passages import held_out_ids
from utils.tensors import read_header
from utils.widgets.attention_explorer.settings import CASES, RECORD, SENTENCES
from utils.widgets.attention_explorer.shares import attention_shares, pack_shares

COMMAND = "experiments.parameters.attention_data"
PROMPTS = {
    "names": "Mary looked at John, and John looked at",
    "door": "She opened the door of the room and closed the",
}
LIKELIEST = 6  # tokens of each reading whose probabilities are stored
DECIMALS = 5  # of a probability
SAID = 5  # words of the second time that the copying model reads before it is asked for the next
PASSAGE = 64  # tokens of a book's passage that is said twice
PASSAGES = 40


# ---- the course model ----------------------------------------------------------------------------


@torch.no_grad()
def readings(model: GPT, tokenizer: Any, key: str, prompt: str) -> dict[str, Any]:
    """What the model makes of a prompt: as it stands, then without its first token, and so on."""
    ids = tokenizer.encode(prompt).ids
    texts = [ids]
    for removed in range(len(ids)):
        texts.append(ids[:removed] + ids[removed + 1 :])
    chances = torch.stack([_next_chances(model, text) for text in texts])  # (T + 1, V)

    # A token among the likeliest of one reading is followed through all of them.
    candidates = chances.topk(LIKELIEST).indices.unique().tolist()
    found = []
    for text, p in zip(texts, chances, strict=True):
        shares = pack_shares(attention_shares(model, text))
        found.append({"shares": shares, "p": _rounded(p[candidates])})
    return {
        "key": key,
        "prompt": prompt,
        "tokens": [tokenizer.decode([token]) for token in ids],
        "candidates": [tokenizer.decode([token]) for token in candidates],
        "readings": found,
    }


def _next_chances(model: GPT, ids: list[int]) -> Tensor:
    """Probability (V,) of each next token."""
    return model(torch.tensor([ids]))[0, -1].softmax(-1)


def _rounded(p: Tensor) -> list[float]:
    return [round(value, DECIMALS) for value in p.double().tolist()]


# ---- the words of the copying model --------------------------------------------------------------


def sentences() -> list[dict[str, list[int]]]:
    """Token ids to copy, `SENTENCES` of them, and what stands there when nothing can be copied."""
    found = []
    for seed in range(SENTENCES):
        found.append({case: passage(seed, case)[: SEGMENT + SAID] for case in CASES})
    return found


@torch.no_grad()
def gain(model: GPT, passages: Tensor) -> dict[str, float]:
    """How many nats per token less ``passages`` (n, T) cost when they are said a second time.

    The first token of each time is left out. ``se`` is the standard error over the passages.
    """
    T = passages.shape[1]
    twice = torch.cat((passages, passages), dim=1)  # (n, 2T)
    log_p = model(twice[:, :-1]).log_softmax(-1)  # (n, 2T - 1, V)
    cost = -log_p.gather(2, twice[:, 1:, None])[:, :, 0]  # (n, 2T - 1)
    first = cost[:, : T - 1].mean(1)  # (n,)
    second = cost[:, T:].mean(1)  # (n,)
    gained = (first - second).double()  # (n,)
    se = float(gained.std()) / math.sqrt(len(gained))
    return {"nats": round(float(gained.mean()), 3), "se": round(se, 3), "passages": len(gained)}


# ---- the command ---------------------------------------------------------------------------------


def attention_data(course: GPT, tokenizer: Any, copying: GPT) -> dict[str, Any]:
    """The data of the record."""
    prompts = [readings(course, tokenizer, key, prompt) for key, prompt in PROMPTS.items()]
    words = torch.tensor([passage(seed, "twice")[:SEGMENT] for seed in range(PASSAGES)])
    return {
        "course": {
            "layers": course.config.n_layer,
            "heads": course.config.n_head,
            "prompts": prompts,
            "gain": gain(course, held_out_ids(tokenizer, PASSAGE)[:PASSAGES]),
        },
        "copy": {"sentences": sentences(), "gain": gain(copying, words)},
    }


def main(arguments: list[str] | None = None) -> None:
    """Write the record, and say what a passage said twice gains."""
    command = parser(COMMAND, __doc__)
    command.parse_args(arguments)
    with one_line_errors(command):
        data = record()
        for name in ("course", "copy"):
            gained = data[name]["gain"]
            print(f"{name}: said again, {gained['nats']} ± {gained['se']} nats per token less")


def record() -> dict[str, Any]:
    """Write the record, and return its data."""
    torch.set_num_threads(1)  # one order of additions, so the same bytes each time
    started = time.time()
    folder = repo_root() / "records"
    course, tokenizer = load()
    copying = load_pretrained(folder / "copy_gpt").eval()
    data = attention_data(course, tokenizer, copying)
    hashes = {}
    for name in ("course_gpt", "copy_gpt"):
        hashes[name] = read_header(folder / name / "model.safetensors").sha256
    records.save(RECORD, data, started=started, model_sha256=hashes, how=f"python -m {COMMAND}")
    return data


if __name__ == "__main__":
    main()
