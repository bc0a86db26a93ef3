"""Training tokens/s of the course's GPT beside ``transformers``' GPT-2 and Llama, in one run.

    python -m benchmarks.gpt_training                  # about three minutes on one CPU thread
    python -m benchmarks.gpt_training --size large     # fills a data-centre GPU; adds the MFU column

Both sides get the same weights, batch, optimizer (fused AdamW), gradient clipping and precision, and on a
GPU both are compiled. They take turns, several rounds each, so that a slow moment of the machine hits both.
A ratio is the median of the rounds' own ratios, above 1 where ours is faster. Rows in bfloat16 are compared
with bfloat16; their last column says what bfloat16 itself brings over float32. MFU is the share of the GPU's
16-bit peak.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F

from utils.models.budget import matmul_flops_per_token, peak_flops
from utils.models.gpt import GPT, GPTConfig
from utils.models.interop import to_transformers
from utils.runtime import device as default_device
from utils.runtime import single_thread

SIZES = {
    "small": dict(n_layer=6, n_head=4, d_model=256, vocab_size=4096, context_length=256),
    "large": dict(n_layer=24, n_head=16, d_model=2048, vocab_size=32_768, context_length=1024),
}
BATCH = {"small": 8, "large": 16}


def stepper(
    model: torch.nn.Module, loss: Callable, ids: torch.Tensor, precision: str
) -> Callable[[], None]:
    """One whole training step: forward, backward, clip, update."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    half = (
        torch.autocast(ids.device.type, torch.bfloat16)
        if precision == "bf16"
        else contextlib.nullcontext()
    )

    def step() -> None:
        with half:
            value = loss(ids)
        value.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def contestants(
    config: GPTConfig, ids: torch.Tensor, precision: str
) -> dict[str, Callable[[], None]]:
    """The two models with the same weights, each as a step."""
    torch.manual_seed(0)
    ours = GPT(config).to(ids.device).train()
    theirs = to_transformers(ours).train()
    theirs.config.use_cache = False
    run_ours, run_theirs = ours, theirs
    if ids.device.type == "cuda":
        run_ours, run_theirs = torch.compile(ours), torch.compile(theirs)

    def their_loss(ids: torch.Tensor) -> torch.Tensor:
        logits = run_theirs(input_ids=ids[:, :-1]).logits
        return F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())

    return {
        "ours": stepper(ours, lambda ids: run_ours(ids[:, :-1], ids[:, 1:]), ids, precision),
        "theirs": stepper(theirs, their_loss, ids, precision),
    }


def clock(step: Callable[[], None], repeats: int, device: torch.device) -> float:
    """Seconds a step: processor time on the CPU, which other work does not stretch; wall time on a GPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    now = time.perf_counter if device.type == "cuda" else time.process_time
    start = now()
    for _ in range(repeats):
        step()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return (now() - start) / repeats


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
    parser.add_argument("--repeats", type=positive, default=2, help="steps a round")
    args = parser.parse_args(arguments)
    try:
        device = default_device()
    except (ValueError, RuntimeError) as error:  # COURSE_DEVICE asks for what is not there
        parser.error(str(error))
    if device.type == "cpu":
        single_thread()
    size = args.size or ("large" if device.type == "cuda" else "small")
    batch_size = args.batch_size or BATCH[size]
    peak = peak_flops(device)
    mfu = f" {'MFU ours':>9} {'theirs':>7}" if peak else ""
    sides = f"{'ours tok/s':>11} {'theirs':>9} {'ratio':>6}"
    print(f"{device}, {size}: {SIZES[size]}, batch {batch_size}")
    print(f"{'model':<22} {'precision':<9} {sides}{mfu}  bf16/fp32 ours, theirs")
    for style, name in (("gpt2", "GPT2LMHeadModel"), ("llama", "LlamaForCausalLM")):
        base: dict[str, float] = {}
        for precision in ("fp32", "bf16"):
            config = GPTConfig(style=style, **SIZES[size])
            torch.manual_seed(1)
            ids = torch.randint(
                0, config.vocab_size, (batch_size, config.context_length + 1), device=device
            )
            steps = contestants(config, ids, precision)
            seconds: dict[str, list[float]] = {side: [] for side in steps}
            for step in steps.values():
                clock(
                    step, 3 if device.type == "cuda" else 1, device
                )  # warm up: memory, and compilation
            for i in range(args.rounds):
                for side in sorted(steps, reverse=bool(i % 2)):
                    seconds[side].append(clock(steps[side], args.repeats, device))
            tokens = batch_size * config.context_length
            speed = {side: tokens / statistics.median(s) for side, s in seconds.items()}
            ratio = statistics.median(
                t / o for o, t in zip(seconds["ours"], seconds["theirs"], strict=True)
            )
            row = f"{name:<22} {precision:<9} {speed['ours']:>11,.0f} {speed['theirs']:>9,.0f} {ratio:>5.2f}x"
            if peak and precision == "fp32":
                row += f" {'':>9} {'':>7}"
            elif peak:
                share = {
                    side: matmul_flops_per_token(config) * s / peak for side, s in speed.items()
                }
                row += f" {share['ours']:>9.0%} {share['theirs']:>7.0%}"
            if precision == "fp32":
                base = speed
            else:
                row += f"  {speed['ours'] / base['ours']:.2f}x, {speed['theirs'] / base['theirs']:.2f}x"
            print(row, flush=True)


if __name__ == "__main__":
    main()
