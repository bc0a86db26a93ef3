"""Measure the memory that training takes, saving included, beside what can be predicted.

    python -m benchmarks.training_memory              # Linux, one core, about five minutes
    python -m benchmarks.training_memory --batch-size 1 --context-length 64

Each model is trained for a few steps in a process of its own, without checkpoints and with one
after every second step. What counts is the largest memory of that process, less what it had before
the model was built. Predicted is the larger of two moments:

- at the end of the backward pass weights, moments and gradients are all there (16 bytes per
  parameter), and the tied table's gradient is three tensors for a moment: the head's, the
  embedding's and their sum;
- at its start weights and moments are there (12 bytes per parameter), what autograd has kept of the
  forward pass, which is counted, and the gradient of the logits.

The processes run with glibc's MALLOC_MMAP_THRESHOLD_ set, so that freed memory goes back at once
and what is measured is in use. Without it, the last column, the C library keeps freed pieces.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from utils.models.budget import memory_bytes
from utils.models.gpt import GPT, GPTConfig
from utils.runtime import generator, repo_root, single_thread
from utils.training.config import TrainConfig
from utils.training.loop import train
from utils.validate import require

SHAPES = {256: 6, 512: 4, 1024: 4}  # width: layers
VOCABULARY = 4096
STEPS = 4
RETURNED = {"MALLOC_MMAP_THRESHOLD_": str(2**16)}  # larger pieces go back when they are freed
STATUS = Path("/proc/self/status")  # what Linux says of a process
CLEAR = Path("/proc/self/clear_refs")  # writing 5 to it resets the largest memory so far


def config(width: int, context_length: int) -> GPTConfig:
    """The shape of the model of this width."""
    return GPTConfig(
        "llama",
        vocab_size=VOCABULARY,
        context_length=context_length,
        n_layer=SHAPES[width],
        n_head=4,
        d_model=width,
    )


# ---- predicted -----------------------------------------------------------------------------------


def predicted_bytes(shape: GPTConfig, batch_size: int) -> float:
    """The largest memory of a training step in float32, in bytes."""
    parts = memory_bytes(shape, "fp32")
    always = parts["train_weights"] + parts["optimizer"]
    two_more = 2 * 4 * shape.vocab_size * shape.d_model  # of the table's gradient
    at_the_end = parts["gradients"] + two_more
    logits = 4 * batch_size * shape.context_length * shape.vocab_size
    at_the_start = kept_bytes(shape, batch_size) + logits
    return always + max(at_the_end, at_the_start)


def kept_bytes(shape: GPTConfig, batch_size: int) -> int:
    """What autograd keeps of one forward pass for the backward pass, in bytes."""
    model = GPT(shape)
    own = [*model.parameters(), *model.buffers()]
    known = {tensor.untyped_storage().data_ptr() for tensor in own}
    kept = {}  # storages by their place; held, so that no place is used twice

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            kept[storage.data_ptr()] = storage
        return tensor

    ids = torch.zeros(batch_size, shape.context_length, dtype=torch.long)
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        model(ids, ids)
    return sum(storage.nbytes() for storage in kept.values())


# ---- measured ------------------------------------------------------------------------------------


def measure(width: int, batch_size: int, context_length: int, saving: bool) -> int:
    """The largest memory that training takes in this process, in bytes."""
    single_thread()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.safetensors" if saving else None
        # Libraries take memory of their own when they are first used: that is not the model's.
        tiny = GPTConfig("llama", vocab_size=64, context_length=16, n_layer=1, n_head=1, d_model=16)
        _train(tiny, 1, Path(folder) / "tiny.safetensors")
        torch.mm(torch.ones(512, 1024), torch.ones(1024, 4096))  # the work space of matrix products

        CLEAR.write_text("5")
        before = _kilobytes("VmRSS")
        _train(config(width, context_length), batch_size, path)
        return 1024 * (_kilobytes("VmHWM") - before)


def _train(shape: GPTConfig, batch_size: int, path: Path | None) -> None:
    """A few steps, with a checkpoint after every second one where there is a path."""
    generator(0, "global")
    tokens = generator(1).integers(0, shape.vocab_size, 50_000)
    settings = TrainConfig(steps=STEPS, batch_size=batch_size, checkpoint_every=2)
    train(GPT(shape), tokens, settings, checkpoint=path, device="cpu")


def _kilobytes(name: str) -> int:
    """An entry of the process's status: "VmRSS" is its memory, "VmHWM" the largest so far."""
    for line in STATUS.read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1])
    raise OSError(f"{STATUS} holds no {name}")


def in_a_process(
    width: int, batch_size: int, context_length: int, *, saving: bool, returned: bool
) -> int:
    """`measure` in a process of its own. returned: freed memory goes back to the system at once."""
    environment = os.environ | {"COURSE_QUIET": "1"} | (RETURNED if returned else {})
    options = ["--width", width, "--batch-size", batch_size, "--context-length", context_length]
    answer = subprocess.run(
        [sys.executable, "-m", "benchmarks.training_memory", *map(str, options)]
        + ["--saving"] * saving,
        cwd=repo_root(),
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(answer.stdout)


# ---- the command ---------------------------------------------------------------------------------


def main(arguments: list[str] | None = None) -> None:
    """The command line: a row per size, or with ``--width`` one number for another process."""
    purpose = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training_memory")
    parser.description = purpose
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--context-length", type=int, default=256)
    parser.add_argument("--width", type=int, choices=SHAPES, help=argparse.SUPPRESS)
    parser.add_argument("--saving", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    require(STATUS.exists() and CLEAR.exists(), "system", "Linux", sys.platform)

    batch_size, context_length = options.batch_size, options.context_length
    if options.width is not None:
        print(measure(options.width, batch_size, context_length, options.saving))
        return

    print(f"{batch_size} sequences of {context_length} tokens, float32, megabytes")
    print("width  parameters  predicted  training  with saving  with saving / predicted  kept")
    for width in SHAPES:
        shape = config(width, context_length)
        with torch.device("meta"):
            n = GPT(shape).num_parameters()
        case = (width, batch_size, context_length)
        predicted = predicted_bytes(shape, batch_size)
        training = in_a_process(*case, saving=False, returned=True)
        with_saving = in_a_process(*case, saving=True, returned=True)
        kept = in_a_process(*case, saving=True, returned=False)
        print(
            f"{width:5}  {n / 1e6:8.1f} M  {predicted / 1e6:9.0f}  {training / 1e6:8.0f}"
            f"  {with_saving / 1e6:11.0f}  {with_saving / predicted:23.2f}  {kept / 1e6:4.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
