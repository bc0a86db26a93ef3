"""utils.training.processes: two processes train as one does, and one alone needs no launcher."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from tests.training.small import CPU, run
from utils.runtime import repo_root
from utils.training.processes import Processes

PARALLEL = """
import json, os
import torch
from tests.training.small import run
torch.set_num_threads(1)
model, state = run()
if os.environ.get("RANK", "0") == "0":
    curve = [[row["train_loss"], row["val_loss"]] for row in state.history]
    print("HISTORY", json.dumps(curve), flush=True)
"""

LAUNCHERS = {
    "torchrun": ["torch.distributed.run", "--standalone", "--nproc-per-node=2"],
    "accelerate": ["accelerate.commands.launch", "--cpu", "--num_processes=2", "--num_machines=1"],
}


@pytest.mark.slow
@pytest.mark.parametrize("launcher", list(LAUNCHERS))
def test_two_processes_train_as_one(launcher, tmp_path):
    pytest.importorskip("accelerate")
    script = tmp_path / "script.py"
    script.write_text(PARALLEL)
    environment = {
        **os.environ,
        "COURSE_QUIET": "1",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(repo_root()),
    }
    out = subprocess.run(
        [sys.executable, "-m", *LAUNCHERS[launcher], str(script)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
    )
    lines = [line for line in out.stdout.splitlines() if line.startswith("HISTORY")]
    assert len(lines) == 1, out.stderr[-2000:]
    _, state = run()
    alone = [[row["train_loss"], row["val_loss"]] for row in state.history]
    np.testing.assert_allclose(json.loads(lines[0].removeprefix("HISTORY")), alone, rtol=1e-5)


def test_one_process_is_the_first_of_one(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    alone = Processes(CPU)
    assert (alone.rank, alone.world, alone.device) == (0, 1, CPU)
    model = torch.nn.Linear(1, 1)
    assert alone.prepare(model) is model
    with alone.without_averaging(model):
        assert alone.mean(torch.tensor(3.0)) == 3
    assert alone.any(True, False) == [True, False]
