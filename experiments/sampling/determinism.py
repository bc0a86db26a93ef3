"""Record what a batch, a number format and a number of threads change in greedy text.

    python -m experiments.sampling.determinism                   # the CPU, some minutes
    python -m experiments.sampling.determinism --device cuda     # a GPU, under a minute
    python -m experiments.sampling.determinism --merge FILE      # an entry measured elsewhere

    # The same CPU, without the instructions that it has for 16-bit numbers.
    ONEDNN_MAX_CPU_ISA=AVX512_CORE python -m experiments.sampling.determinism

writes ``records/sampling/determinism.json``, which has one entry for each device; running it again
replaces the entry of this device and leaves the others alone.

The course's model reads a prompt alone, on one thread, and continues it greedily: that is the
reference of each number format. Then the same prompts are read in batches, or with more threads,
and we count which logits differ in any bit, by how much at most, and with which token a greedy text
departs. Logits are compared at two moments: after the prompt, which is read as a whole, and after
one further token of the passage, which is read alone with the past in a cache, as a token that was
just written. Nothing is drawn at random and no prompt is padded, so that in exact arithmetic every
count would be 0. The rows of batch 1 and one thread are the control: the reference once more.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from experiments.settings import add_settings, distinct, one_line_errors, parser, take_settings
from utils import records
from utils.files import locked
from utils.models.course import load
from utils.models.gpt import GPT, KVCache
from utils.runtime import named_device, repo_root
from utils.sampling.passages import held_out_ids
from utils.tensors import read_header
from utils.validate import choice, integer, require

COMMAND = "experiments.sampling.determinism"
RECORD = "sampling/determinism"
FORMATS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
CONTEXT = 256  # of the course's model: prompt and text must fit into it
PASSAGES = 40  # that are stored


@dataclass(frozen=True)
class Settings:
    """What is compared: ``prompts`` texts of ``prompt_tokens``, continued by ``tokens`` each.

    formats: names of `FORMATS`. batches: how many prompts are computed together; each divides
    ``prompts``. threads: of the CPU; a GPU has no such number, and takes the first.
    """

    formats: tuple[str, ...] = ("float32", "bfloat16", "float16")
    batches: tuple[int, ...] = (1, 2, 4, 8, 16)
    threads: tuple[int, ...] = (1, 2)
    prompts: int = 16
    prompt_tokens: int = 32
    tokens: int = 128

    def __post_init__(self) -> None:
        for name in distinct("formats", self.formats):
            choice("formats", name, tuple(FORMATS))
        integer("prompts", self.prompts, 1, PASSAGES)
        for size in distinct("batches", self.batches):
            integer("batches", size, 1)
            divides = self.prompts % size == 0
            require(divides, "batches", f"divisors of prompts = {self.prompts}", size)
        for n in distinct("threads", self.threads):
            integer("threads", n, 1)
        integer("prompt_tokens", self.prompt_tokens, 1, CONTEXT - 1)
        integer("tokens", self.tokens, 1, CONTEXT - self.prompt_tokens)


# ---- one batch -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reading:
    """What the model makes of one prompt."""

    prompt_logits: Tensor  # (V,) after the prompt, in the format that they were computed in
    step_logits: Tensor  # (V,) after one token more, the past of which came from the cache
    text: list[int]  # the greedy continuation of the prompt
    leads: list[float]  # how far the favourite's logit was ahead of the second, before each token


@torch.inference_mode()
def read(model: GPT, passages: Tensor, n_tokens: int) -> list[Reading]:
    """Read passages (B, T + 1) together: T tokens are the prompt, the last one a further step.

    The greedy text of ``n_tokens`` follows the prompt.
    """
    prompts, following = passages[:, :-1], passages[:, -1:]  # (B, T), (B, 1)
    cache = KVCache(model, len(prompts))
    after_prompt = model(prompts, cache=cache)[:, -1]  # (B, V)
    after_step = model(following, cache=cache)[:, -1]  # (B, V)

    # The greedy text starts from the prompt again.
    cache.length = prompts.shape[1]
    logits = after_prompt
    texts, leads = [], []
    for n in range(n_tokens):
        best = logits.float().topk(2).values  # (B, 2)
        leads.append(best[:, 0] - best[:, 1])
        tokens = logits.argmax(-1)  # (B,) the first of several that are equally high
        texts.append(tokens)
        if n < n_tokens - 1:
            logits = model(tokens[:, None], cache=cache)[:, -1]  # (B, V)
    texts = torch.stack(texts, 1).tolist()  # B lists of n_tokens
    leads = torch.stack(leads, 1).tolist()
    return list(map(Reading, after_prompt.cpu(), after_step.cpu(), texts, leads))


def departure(text: list[int], reference: list[int]) -> int | None:
    """The first place, from 0, at which two texts of one length differ; None if there is none.

    >>> departure([5, 7, 7], [5, 7, 9])
    2
    """
    for place, (token, expected) in enumerate(zip(text, reference, strict=True)):
        if token != expected:
            return place
    return None


# ---- the table -----------------------------------------------------------------------------------


def compare(readings: list[Reading], references: list[Reading]) -> dict[str, Any]:
    """One row of the table: each prompt's reading against its reference.

    prompt_logits_differ, step_logits_differ: of each prompt, how many of V logits are not the same
    number. largest_difference: of a logit, over all prompts and both moments. departs_at: of each
    prompt, how many tokens the texts have in common before they part, or None. leads_there: where
    a text parted, how far the favourite was ahead in the reference.
    """
    row: dict[str, Any] = {
        "prompt_logits_differ": [],
        "step_logits_differ": [],
        "largest_difference": 0.0,
        "departs_at": [],
        "leads_there": [],
    }
    for reading, reference in zip(readings, references, strict=True):
        for moment in ("prompt_logits", "step_logits"):
            logits = getattr(reading, moment).double()  # (V,)
            expected = getattr(reference, moment).double()  # (V,)
            row[f"{moment}_differ"].append(int((logits != expected).sum()))
            gap = float((logits - expected).abs().max())
            row["largest_difference"] = max(row["largest_difference"], gap)
        place = departure(reading.text, reference.text)
        row["departs_at"].append(place)
        if place is not None:
            row["leads_there"].append(reference.leads[place])
    return row


def rows(model: GPT, passages: Tensor, settings: Settings) -> Iterator[dict[str, Any]]:
    """The rows of one format, on the model's device: a key, and what `compare` tells.

    model: in that format. passages: (prompts, prompt_tokens + 1).
    """

    def readings(size: int) -> list[Reading]:
        """Of every prompt, computed in batches of ``size``."""
        batches = passages.split(size)
        return [one for batch in batches for one in read(model, batch, settings.tokens)]

    on_cpu = passages.device.type == "cpu"
    counts = settings.threads if on_cpu else settings.threads[:1]
    torch.set_num_threads(1)
    references = readings(1)
    for n_threads in counts:
        torch.set_num_threads(n_threads)
        for size in settings.batches:
            yield {"threads": n_threads, "batch": size} | compare(readings(size), references)


def measure(settings: Settings, device: torch.device | str = "cpu") -> dict[str, Any]:
    """The entry of one device: what it is, when and with what it was measured, and its rows.

    Raises ``ValueError`` for a device that this machine does not have.
    """
    place = named_device("device", device)
    began = time.monotonic()
    threads_before = torch.get_num_threads()
    table = []
    vocab_size = 0
    try:
        for name in settings.formats:
            # Loaded anew for each format: what was rounded to 16 bits does not come back.
            model, tokenizer = load()
            vocab_size = model.config.vocab_size
            passages = held_out_ids(tokenizer)  # (40, 257)
            passages = passages[: settings.prompts, : settings.prompt_tokens + 1].to(place)
            for row in rows(model.to(place, FORMATS[name]), passages, settings):
                table.append({"format": name} | row)
                print(told(table[-1]), flush=True)
    finally:
        torch.set_num_threads(threads_before)
    return {
        "device": name_of(place),
        "date": datetime.now(UTC).date().isoformat(),
        "seconds": round(time.monotonic() - began, 1),
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "settings": asdict(settings),
        "vocab_size": vocab_size,
        "rows": table,
    }


def name_of(device: torch.device) -> str:
    """What the record calls a device: the GPU's name, or the CPU's kind and its vector unit.

    A limit on the instructions that the CPU's library may use makes another device of it.
    """
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    unit = torch.backends.cpu.get_cpu_capability()  # such as AVX512
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA")
    limited = f", {limit} at most" if limit else ""
    return f"CPU ({platform.machine()}, {unit}{limited})"


def told(row: dict[str, Any]) -> str:
    """One row as a line."""
    n = len(row["departs_at"])
    parted = [place for place in row["departs_at"] if place is not None]
    first = f", the first after {min(parted)} tokens" if parted else ""
    return (
        f"{row['format']:8s} threads {row['threads']} batch {row['batch']:2d}: "
        f"{sum(row['prompt_logits_differ']) / n:6.1f} logits differ after the prompt, "
        f"{sum(row['step_logits_differ']) / n:6.1f} after a step, "
        f"by {row['largest_difference']:.2g} at most; {len(parted)} of {n} texts part{first}"
    )


# ---- the record ----------------------------------------------------------------------------------


def store(entries: list[dict[str, Any]], out: str | Path, started: float) -> Path:
    """Put each entry in its place in the record ``out``, instead of what it has of that device."""
    path = records.path_of(out)
    records.require_writable(path)
    with locked(path, wait=True):
        known = entries_of(path) if path.exists() else []
        new = {entry["device"] for entry in entries}
        kept = [entry for entry in known if entry["device"] not in new]
        table = sorted(kept + entries, key=lambda entry: entry["device"])
        return records.save(
            path,
            {"devices": table},
            started=started,
            model_sha256=model_sha256(),
            how=f"python -m {COMMAND}",
        )


def entries_of(path: Path) -> list[dict[str, Any]]:
    """The entries of a record. Raises ``ValueError`` unless it is one of this command and model."""
    record = records.load(path)
    entries = record.data.get("devices")
    ours = record.provenance.get("model_sha256") == model_sha256()
    known = isinstance(entries, list) and ours
    require(known, "record", "of this command and of the model in records/course_gpt", path.name)
    return record.data["devices"]


def model_sha256() -> str | None:
    """The hash of the course's stored weights."""
    return read_header(repo_root() / "records" / "course_gpt" / "model.safetensors").sha256


def main(arguments: list[str] | None = None) -> None:
    """The command line: all but ``--device``, ``--out`` and ``--merge`` are settings."""
    command = parser(COMMAND, __doc__)
    command.add_argument("--device", default="cpu", help="cpu (default) or cuda")
    command.add_argument("--out", type=Path, help=f"default: records/{RECORD}.json")
    command.add_argument("--merge", type=Path, help="measure nothing: add this record's entries")
    add_settings(command, Settings)

    options = vars(command.parse_args(arguments))
    with one_line_errors(command):
        settings = take_settings(options, Settings)
        out = options["out"] or RECORD
        started = time.time()
        if options["merge"] is not None:
            entries = entries_of(options["merge"])
        else:
            records.require_writable(records.path_of(out))
            entries = [measure(settings, options["device"])]
        path = store(entries, out, started)
        names = ", ".join(entry["device"] for entry in records.load(path).data["devices"])
        print(f"wrote {path.name}: {names}")


if __name__ == "__main__":
    main()
