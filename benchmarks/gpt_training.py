"""Training tokens/s of the course's GPT beside ``transformers``' GPT-2 and Llama, in one run.

    python -m benchmarks.gpt_training                  # about three minutes on one CPU thread
    python -m benchmarks.gpt_training --size large     # fills a data-centre GPU; adds MFU columns

Both sides get the same weights, batch, optimizer (fused AdamW), gradient clipping and precision,
and on a GPU both are compiled. They take turns, several rounds each, so that a slow moment of the
machine hits both. A ratio is the median of the rounds' own ratios, above 1 where ours is faster.
Rows in bfloat16 are compared with bfloat16; their last column says what bfloat16 itself brings
over float32. MFU is the share of the GPU's 16-bit peak.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from utils.models.budget import matmul_flops_per_token, peak_flops
from utils.models.gpt import GPT, GPTConfig
from utils.models.interop import to_transformers
from utils.runtime import device as default_device
from utils.runtime import generator, single_thread

SIZES = {
    "small": dict(n_layer=6, n_head=4, d_model=256, vocab_size=4096, context_length=256),
    "large": dict(n_layer=24, n_head=16, d_model=2048, vocab_size=32_768, context_length=1024),
}
BATCH = {"small": 8, "large": 16}
MODELS = {"gpt2": "GPT2LMHeadModel", "llama": "LlamaForCausalLM"}

Step = Callable[[], None]


# ---- The two contestants


def stepper(model: torch.nn.Module, loss: Callable, ids: torch.Tensor, precision: str) -> Step:
    """One whole training step: forward, backward, clip, update."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    context = contextlib.nullcontext()
    if precision == "bf16":
        context = torch.autocast(ids.device.type, torch.bfloat16)

    def step() -> None:
        with context:
            value = loss(ids)
        value.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def contestants(config: GPTConfig, ids: torch.Tensor, precision: str) -> dict[str, Step]:
    """The two models with the same weights, each as a step on ``ids`` (B, T + 1)."""
    generator(0, "global")
    ours = GPT(config).to(ids.device).train()
    theirs = to_transformers(ours).train()
    theirs.config.use_cache = False

    run_ours, run_theirs = ours, theirs
    if ids.device.type == "cuda":
        run_ours = torch.compile(ours)
        run_theirs = torch.compile(theirs)

    def our_loss(ids: torch.Tensor) -> torch.Tensor:
        return run_ours(ids[:, :-1], ids[:, 1:])

    def their_loss(ids: torch.Tensor) -> torch.Tensor:
        logits = run_theirs(input_ids=ids[:, :-1]).logits  # (B, T, V)
        return F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())

    return {
        "ours": stepper(ours, our_loss, ids, precision),
        "theirs": stepper(theirs, their_loss, ids, precision),
    }


# ---- Measuring


def clock(step: Step, repeats: int, device: torch.device) -> float:
    """Seconds per step: wall time on a GPU, processor time on the CPU.

    Other work on the machine does not stretch processor time.
    """
    if device.type != "cuda":
        start = time.process_time()
        for _ in range(repeats):
            step()
        return (time.process_time() - start) / repeats

    torch.cuda.synchronize(device)  # a GPU works on after the call has returned
    start = time.perf_counter()
    for _ in range(repeats):
        step()
    torch.cuda.synchronize(device)
    return (time.perf_counter() - start) / repeats


def measure(
    config: GPTConfig, ids: torch.Tensor, precision: str, *, rounds: int, repeats: int
) -> tuple[dict[str, float], float]:
    """Tokens/s of each side, and how many times faster ours is."""
    steps = contestants(config, ids, precision)
    warm_up = 3 if ids.device.type == "cuda" else 1  # memory, and compilation
    for step in steps.values():
        clock(step, warm_up, ids.device)

    # In turns, and every other round in reverse, so that neither always follows the other.
    seconds: dict[str, list[float]] = {side: [] for side in steps}
    for i in range(rounds):
        for side in sorted(steps, reverse=i % 2 == 1):
            seconds[side].append(clock(steps[side], repeats, ids.device))

    tokens = ids.shape[0] * (ids.shape[1] - 1)
    speed = {side: tokens / statistics.median(taken) for side, taken in seconds.items()}
    both = zip(seconds["ours"], seconds["theirs"], strict=True)
    ratio = statistics.median(theirs / ours for ours, theirs in both)
    return speed, ratio


# ---- The table


def header(peak: float | None) -> str:
    """The names of the columns; MFU only where the peak is known."""
    columns = f"{'model':<22} {'precision':<9} {'ours tok/s':>11} {'theirs':>9} {'ratio':>6}"
    if peak:
        columns += f" {'MFU ours':>9} {'theirs':>7}"
    return columns + "  bf16/fp32 ours, theirs"


def print_rows(
    style: str, size: dict[str, Any], ids: torch.Tensor, args: argparse.Namespace
) -> None:
    """Measure one style in both precisions, and print a row for each."""
    config = GPTConfig(style=style, **size)
    peak = peak_flops(ids.device)
    fp32: dict[str, float] = {}
    for precision in ("fp32", "bf16"):
        speed, ratio = measure(config, ids, precision, rounds=args.rounds, repeats=args.repeats)
        row = f"{MODELS[style]:<22} {precision:<9}"
        row += f" {speed['ours']:>11,.0f} {speed['theirs']:>9,.0f} {ratio:>5.2f}x"
        if peak and precision == "fp32":
            row += f" {'':>9} {'':>7}"  # the peak is that of 16 bits
        elif peak:
            flops = matmul_flops_per_token(config)
            mfu = {side: flops * tokens_per_s / peak for side, tokens_per_s in speed.items()}
            row += f" {mfu['ours']:>9.0%} {mfu['theirs']:>7.0%}"
        if precision == "fp32":
            fp32 = speed
        else:
            gain = {side: speed[side] / fp32[side] for side in speed}
            row += f"  {gain['ours']:.2f}x, {gain['theirs']:.2f}x"
        print(row, flush=True)


def positive(text: str) -> int:
    """A command line's number of at least 1."""
    if not (text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got {text!r}")
    return int(text)


def main(arguments: list[str] | None = None) -> None:
    """Measure every row and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpt_training", description=__doc__)
    parser.add_argument("--size", choices=SIZES, help="default: large on a GPU, small on a CPU")
    parser.add_argument("--batch-size", type=positive)
    parser.add_argument("--rounds", type=positive, default=5)
    parser.add_argument("--repeats", type=positive, default=2, help="steps per round")
    args = parser.parse_args(arguments)
    try:
        device = default_device()
    except (ValueError, RuntimeError) as error:  # COURSE_DEVICE asks for what is not there
        parser.error(str(error))
    if device.type == "cpu":
        single_thread()

    name = args.size or ("large" if device.type == "cuda" else "small")
    size = SIZES[name]
    batch_size = args.batch_size or BATCH[name]
    print(f"{device}, {name}: {size}, batch {batch_size}")
    print(header(peak_flops(device)))
    for style in MODELS:
        generator(1, "global")
        shape = (batch_size, size["context_length"] + 1)
        ids = torch.randint(0, size["vocab_size"], shape, device=device)
        print_rows(style, size, ids, args)


if __name__ == "__main__":
    main()
