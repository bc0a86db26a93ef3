"""utils.training.run: a run resumes bitwise after any kill, and keeps its last good checkpoint."""

import errno
import json
import multiprocessing
import os
import random
import signal
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from tests.training.small import CPU, QUICK, TINY, child, digest, fresh, run, some_tokens
from utils import files
from utils.models.gpt import GPT
from utils.runtime import repo_root
from utils.training import checkpoints, loop
from utils.training import run as run_module
from utils.training.checkpoints import read_counters
from utils.training.loop import train
from utils.training.run import deferred_interrupt


@pytest.mark.slow
def test_resume_is_bitwise_after_many_kills(tmp_path, monkeypatch):
    """Kill the process twelve times, at random moments; the weights are those of one run."""
    config = replace(QUICK, steps=800, checkpoint_every=3)
    whole, state = run(config=config)
    # A fork server imports torch once, not thirteen times; torch._dynamo is what an optimizer
    # imports late.
    monkeypatch.setenv("PYTHONPATH", str(repo_root()))
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["tests.training.small", "torch._dynamo"])
    path = tmp_path / "run.safetensors"
    answer = tmp_path / "answer"
    chance = random.Random(0)
    reached = -1
    for _ in range(12):
        process = processes.Process(target=child, args=(path, config, answer))
        process.start()
        saved_at = path.stat().st_mtime_ns if path.exists() else 0
        deadline = time.monotonic() + 60
        # Wait until it has saved something new.
        while not path.exists() or path.stat().st_mtime_ns == saved_at:
            assert process.is_alive(), "the process ended before it could be killed"
            assert time.monotonic() < deadline, "no checkpoint within a minute"
            time.sleep(0.001)
        time.sleep(chance.uniform(0, 0.05))
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        before = reached
        reached = read_counters(path)["state"]["step"]  # the file is whole after every kill
        assert before < reached < config.steps
    process = processes.Process(target=child, args=(path, config, answer))
    process.start()
    process.join(120)
    assert answer.read_text().split() == [digest(whole), str(len(state.history))]


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_every_precision_learns_and_resumes(precision, tmp_path, monkeypatch):
    """Half precision on the CPU stands in for a GPU's; fp16 keeps its loss scale in the file."""
    config = replace(QUICK, precision=precision)
    path = tmp_path / "run.safetensors"
    whole, state = run(config=config)
    assert state.history[-1]["val_loss"] < np.log(64) - 0.3

    def save_and_stop(*args):
        checkpoints.save_checkpoint(*args)
        raise RuntimeError("stopped here")

    with monkeypatch.context() as patch:
        patch.setattr(run_module, "save_checkpoint", save_and_stop)
        with pytest.raises(RuntimeError, match="stopped here"):
            run(path, config)
    assert bool(read_counters(path)["scaler"]) == (precision == "fp16")
    again, _ = run(path, config)
    assert digest(again) == digest(whole)


def test_interrupt_leaves_a_usable_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "run.safetensors"
    whole, _ = run()
    real_step = loop.optimizer_step

    def interrupted_step(run):
        if run.state.step == 8:  # step 8 was saved; Ctrl-C comes in the middle of the ninth
            os.kill(os.getpid(), signal.SIGINT)
        return real_step(run)

    before = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "optimizer_step", interrupted_step)
        with pytest.raises(KeyboardInterrupt, match="^stopped after step 9, saved$"):
            run(path, replace(QUICK, steps=60, checkpoint_every=2))
    assert signal.getsignal(signal.SIGINT) is before
    assert read_counters(path)["state"]["step"] == 9
    again, _ = run(path)
    assert digest(again) == digest(whole)


def test_a_second_interrupt_does_not_wait():
    before = signal.getsignal(signal.SIGINT)
    with deferred_interrupt() as interrupted:
        assert not interrupted()
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupted()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_full_disk_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "run.safetensors"
    run(path, replace(QUICK, schedule="wsd"))
    good = path.read_bytes()

    def full(_descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(
        OSError, match=r"could not write run.safetensors \(the previous file is untouched\)"
    ) as error:
        checkpoints.save_checkpoint(path, fresh(), torch.optim.AdamW(fresh().parameters()), {})
    assert "No space left on device" in str(error.value)
    assert "\n" not in str(error.value)
    assert path.read_bytes() == good
    assert [p.name for p in tmp_path.iterdir()] == ["run.safetensors"]


def test_corrupt_and_foreign_checkpoints_are_refused_in_one_line(tmp_path):
    path = tmp_path / "run.safetensors"
    run(path)
    good = path.read_bytes()

    def refused(line, model=None, config=QUICK):
        with pytest.raises(ValueError, match=line) as error:
            train(model or fresh(), some_tokens(), config, checkpoint=path, device=CPU)
        assert "\n" not in str(error.value)

    refused(
        "made with learning_rate = 0.002, this run asks for 0.01",
        config=replace(QUICK, learning_rate=0.01),
    )
    refused("made with model = ", GPT(replace(TINY, n_layer=2)))
    path.write_bytes(good[:500])
    refused("run.safetensors is not a readable checkpoint")
    save_file({"w": torch.zeros(3)}, path)
    refused("no checkpoint of this course")
    path.write_bytes(good)
    other = some_tokens()
    other[0] += 1  # the same length, another text
    with pytest.raises(ValueError, match="run.safetensors was made with tokens = "):
        train(fresh(), other, QUICK, checkpoint=path, device=CPU)
    tensors = load_file(path)
    with safe_open(path, "pt") as file:
        counters = json.loads(file.metadata()[checkpoints.KEY])
    for change, line in [
        ({"scaler": {"scale": 1.0}}, "the loss scale in run.safetensors must be absent"),
        (
            {"state": counters["state"] | {"step": "x"}},
            "does not hold the state of a run: step must be a whole",
        ),
    ]:
        save_file(tensors, path, {checkpoints.KEY: json.dumps(counters | change)})
        refused(line)
    del counters["fixed"]["tokens"]  # as it was before the digest was kept
    save_file(tensors, path, {checkpoints.KEY: json.dumps(counters)})
    run(path)
    path.write_bytes(good)
    with pytest.raises(
        ValueError, match=r"of another model: tok.weight is \(65, 16\) here, the file holds"
    ):
        checkpoints.load_checkpoint(path, GPT(replace(TINY, vocab_size=65)))


@pytest.mark.parametrize("saved", [True, False])
def test_divergence_is_named_and_the_last_good_checkpoint_stays(tmp_path, monkeypatch, saved):
    path = tmp_path / "run.safetensors" if saved else None
    config = replace(QUICK, checkpoint_every=20)
    good = []
    real_step = loop.optimizer_step

    def diverge(run):
        loss = real_step(run)
        if run.state.step == 30:
            good.append(path.read_bytes() if path else b"")
            run.model.tok.weight.data.fill_(torch.nan)
        return loss

    monkeypatch.setattr(loop, "optimizer_step", diverge)
    line = "training diverged by step 40 with learning_rate = 0.002: lower it"
    line += "; run.safetensors keeps" if saved else "$"
    with pytest.raises(FloatingPointError, match=line):
        run(path, config)
    assert not saved or path.read_bytes() == good[0]


def test_a_learning_rate_that_is_far_too_high_is_named():
    with pytest.raises(FloatingPointError, match="learning_rate = 1e[+]30: lower it"):
        run(config=replace(QUICK, learning_rate=1e30))


def test_until_ends_the_run_with_its_decay():
    config = replace(QUICK, steps=10**6, schedule="wsd", decay=0.5, eval_every=0)
    _, state = run(config=config, until=time.time() + 0.5)
    assert state.steps == 2 * state.decay_start == state.step
    assert state.history[-1]["learning_rate"] == 0.0
