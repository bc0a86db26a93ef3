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
from safetensors.torch import load_file, save_file

from tests.training.small import CPU, QUICK, TINY, child, digest, fresh, run, some_tokens
from utils import files, tensors
from utils.models.gpt import GPT
from utils.runtime import repo_root
from utils.tensors import read_header
from utils.training import checkpoints, loop
from utils.training import run as run_module
from utils.training.checkpoints import read_counters
from utils.training.loop import train
from utils.training.processes import Processes
from utils.training.run import alone_with, deferred_stop


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


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


STOPS = [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)]


@pytest.mark.parametrize(("number", "end"), STOPS)
@pytest.mark.parametrize(
    ("during", "line", "reached"),
    [(8, "^stopped after step 9, saved$", 9), (59, "^stopped after step 60, saved$", 60)],
)
def test_a_stopped_run_leaves_a_usable_checkpoint(
    tmp_path, monkeypatch, number, end, during, line, reached
):
    path = tmp_path / "run.safetensors"
    whole, _ = run()
    real_step = loop.optimizer_step

    def interrupted_step(run):
        if run.state.step == during:  # the signal comes in the middle of the next step
            os.kill(os.getpid(), number)
        return real_step(run)

    before = signal.getsignal(number)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "optimizer_step", interrupted_step)
        with pytest.raises(end, match=line):
            run(path, replace(QUICK, steps=60, checkpoint_every=2))
    assert signal.getsignal(number) is before
    assert read_counters(path)["state"]["step"] == reached
    again, _ = run(path)
    assert digest(again) == digest(whole)


def test_a_stop_during_the_last_save_is_not_forgotten(tmp_path, monkeypatch):
    def interrupted_save(*arguments):
        checkpoints.save_checkpoint(*arguments)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(run_module, "save_checkpoint", interrupted_save)
    with pytest.raises(KeyboardInterrupt, match="^stopped at the end of the run$"):
        run(tmp_path / "run.safetensors", replace(QUICK, checkpoint_every=60))


@pytest.mark.parametrize(("number", "end"), STOPS)
def test_a_second_signal_does_not_wait(number, end):
    before = signal.getsignal(number)
    with deferred_stop() as asked:
        assert asked() is None
        os.kill(os.getpid(), number)
        assert asked() is end
        with pytest.raises(end, match="stopped at once"):
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before


# ---- one run for each checkpoint -----------------------------------------------------------------


def test_a_checkpoint_serves_one_run_at_a_time(tmp_path):
    """Also runs of different settings, of which neither has written the file yet."""
    path = tmp_path / "run.safetensors"
    line = rf"^run.safetensors is in use by process {os.getpid()}: wait for it, or take another"
    with files.locked(path), pytest.raises(OSError, match=line):
        run(path)
    assert names(tmp_path) == []
    run(path)  # free again
    assert names(tmp_path) == ["run.safetensors"]


def test_the_other_processes_of_one_run_do_not_ask_for_its_checkpoint(tmp_path):
    path = tmp_path / "run.safetensors"
    second = Processes(CPU)
    second.rank = 1
    with files.locked(path), alone_with(path, second), alone_with(None, Processes(CPU)):
        pass


def test_a_checkpoint_that_cannot_be_written_is_refused_before_the_first_step(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(loop, "optimizer_step", lambda run: pytest.fail("a step was made"))
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="^could not write run.safetensors: .* is no folder$"):
        run(tmp_path / "file" / "run.safetensors")


def test_too_little_memory_to_save_is_one_line_and_the_file_stays(tmp_path, monkeypatch):
    path = tmp_path / "run.safetensors"
    real_pieces = tensors._pieces_of
    saved = []

    def pieces_while_there_is_memory(tensor):
        if path.exists():  # the first checkpoint, after seven steps, has been written
            saved.append(path.read_bytes())
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")
        return real_pieces(tensor)

    monkeypatch.setattr(tensors, "_pieces_of", pieces_while_there_is_memory)
    with pytest.raises(MemoryError, match="^there is too little memory to save run.safetensors"):
        run(path)
    assert path.read_bytes() == saved[0]
    assert names(tmp_path) == ["run.safetensors"]
    assert read_counters(path)["state"]["step"] == 7


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
    path.write_bytes(good)
    with pytest.raises(
        ValueError, match=r"of another model: tok.weight is \(65, 16\) here, the file holds"
    ):
        checkpoints.load_checkpoint(path, GPT(replace(TINY, vocab_size=65)))


ROW = {"step": 7, "train_loss": 1.0}
STATE = {"step": 60, "steps": 60, "decay_start": None, "seconds": 1.0, "loss_sum": 0.0}


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"scaler": {"scale": 1.0}}, "the loss scale in run.safetensors must be absent"),
        ({"state": STATE | {"step": "x"}}, "the state of a run: step must be a whole number"),
        ({"state": STATE | {"step": 61}}, r"step must be a whole number in \[0, 60\], got 61"),
        ({"state": STATE | {"step": 1e30}}, r"step must be a whole number in \[0, 60\], got 1e"),
        ({"state": STATE | {"steps": 10**30}}, "steps in run.safetensors must be 60, where"),
        ({"state": STATE | {"decay_start": 61}}, r"decay_start must be .* in \[0, 60\], got 61"),
        ({"state": STATE | {"decay_start": 20}}, "steps in run.safetensors must be 29, where"),
        ({"state": STATE | {"history": [{"step": 0}]}}, "history must be rows with a step of"),
        ({"state": STATE | {"history": [ROW, ROW]}}, r"history must be .* order, got \[7, 7\]"),
        ({"fixed": {"dropout": 0.1}}, "made with dropout = 0.1, this run asks for None"),
        ({"fixed": {"seed": None}}, "made with seed = None, this run asks for 0"),
    ],
)
def test_counters_that_no_run_leaves_are_refused_in_one_line(tmp_path, change, line):
    """The hash of such a file is right: somebody has written it."""
    path = tmp_path / "run.safetensors"
    run(path)
    header = read_header(path)
    counters = json.loads(header.metadata[checkpoints.KEY])
    for part, values in change.items():
        counters[part] |= values
    tensors.write_tensors(path, load_file(path), {checkpoints.KEY: json.dumps(counters)})
    with pytest.raises(ValueError, match=line) as error:
        run(path)
    assert "\n" not in str(error.value)


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


# ---- what else a run may be made of --------------------------------------------------------------


def test_frozen_parameters_resume_too(tmp_path):
    """They have no moments, neither in the optimizer nor in the file."""

    def frozen() -> GPT:
        model = fresh()
        model.tok.weight.requires_grad_(False)
        return model

    path = tmp_path / "run.safetensors"
    whole = frozen()
    train(whole, some_tokens(), QUICK, device=CPU)
    train(frozen(), some_tokens(), QUICK, device=CPU, checkpoint=path)
    again = frozen()
    train(again, some_tokens(), QUICK, device=CPU, checkpoint=path)
    assert digest(again) == digest(whole)
    with pytest.raises(ValueError, match="of another model: optimizer/step/tok.weight is"):
        run(path)


def test_numbers_of_numpy_can_be_stored(tmp_path):
    model = GPT(replace(TINY, vocab_size=np.int64(64), norm_eps=np.float32(2**-10)))
    config = replace(
        QUICK, steps=np.int64(2), seed=np.int64(1), learning_rate=np.float32(2**-9), clip=1
    )
    path = tmp_path / "run.safetensors"
    train(model, some_tokens(), config, device=CPU, checkpoint=path)
    fixed = read_counters(path)["fixed"]
    assert (fixed["seed"], fixed["learning_rate"], fixed["model"]["norm_eps"]) == (1, 2**-9, 2**-10)


def test_a_run_whose_folder_was_moved_does_not_overwrite_another(tmp_path, monkeypatch):
    folder = tmp_path / "runs"
    real_step = loop.optimizer_step

    def move_the_folder(run):
        if run.state.step == 8:
            folder.rename(tmp_path / "old")
        return real_step(run)

    monkeypatch.setattr(loop, "optimizer_step", move_the_folder)
    with pytest.raises(OSError, match="^could not write run.safetensors: its folder was moved"):
        run(folder / "run.safetensors")
    assert not folder.exists()
    assert read_counters(tmp_path / "old" / "run.safetensors")["state"]["step"] == 7


def test_a_checkpoint_that_is_a_link_stays_one(tmp_path):
    (tmp_path / "far").mkdir()
    link = tmp_path / "run.safetensors"
    link.symlink_to(tmp_path / "far" / "run.safetensors")
    run(link)
    assert link.is_symlink()
    assert read_counters(tmp_path / "far" / "run.safetensors")["state"]["step"] == 60
