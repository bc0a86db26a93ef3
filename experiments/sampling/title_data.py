"""Record the distribution that the title page shows.

    python -m experiments.sampling.title_data   # seconds; again when records/course_gpt changes

writes ``records/sampling/title.json``: the course model's logits of the whole vocabulary after one
prompt, to three decimals, and the likeliest tokens with their texts. The prompt is one after which
the model is neither sure nor lost: its first choice gets about a third of the probability, and a
reader would choose another word.
"""

from __future__ import annotations

import time
from typing import Any

import torch

from experiments.settings import one_line_errors, parser
from utils import records
from utils.models.course import load
from utils.runtime import repo_root
from utils.tensors import read_header
from utils.widgets.sampling_explorer.positions import next_logits

COMMAND = "experiments.sampling.title_data"
RECORD = "sampling/title"
PROMPT = "The sailor put his hand in his"
SHOWN = 8  # tokens that have a bar of their own
DECIMALS = 3  # of a logit: at temperature 0.1 the odds are off by at most a hundredth


def title_data(model: torch.nn.Module, tokenizer: Any) -> dict[str, Any]:
    """The prompt, the logits (V,) after it, and the `SHOWN` likeliest tokens, the first first."""
    logits = next_logits(model, tokenizer.encode(PROMPT).ids)  # (V,)
    rounded = [round(z, DECIMALS) for z in logits.double().tolist()]

    likeliest = []
    for token in logits.topk(SHOWN).indices.tolist():
        likeliest.append({"id": token, "text": tokenizer.decode([token])})
    return {"prompt": PROMPT, "logits": rounded, "likeliest": likeliest}


def main(arguments: list[str] | None = None) -> None:
    """Write the record, and say what the page will show at temperature 1."""
    command = parser(COMMAND, __doc__)
    command.parse_args(arguments)
    with one_line_errors(command):
        data = record()
        p = torch.tensor(data["logits"]).softmax(-1)  # (V,)
        print(f"{data['prompt']} …")
        for token in data["likeliest"]:
            print(f"  {float(p[token['id']]):6.1%} {token['text']!r}")


def record() -> dict[str, Any]:
    """Write the record, and return its data."""
    torch.set_num_threads(1)  # one order of additions, so the same bytes each time
    started = time.time()
    model, tokenizer = load()
    data = title_data(model, tokenizer)
    weights = repo_root() / "records" / "course_gpt" / "model.safetensors"
    records.save(
        RECORD,
        data,
        started=started,
        model_sha256=read_header(weights).sha256,
        how=f"python -m {COMMAND}",
    )
    return data


if __name__ == "__main__":
    main()
