"""How often each conclusion of the notebooks holds when all seeds are moved: ``make seeds K=20``.

``python -m utils.book.seeds --k 5 [--shard 1/3] [NOTEBOOK …]`` executes each notebook (all by
default) K times at the cpu scale. Every seed is moved by 1000, 2000 and so on, and a claim that
fails is counted instead of ending the run. Each finished run lies in ``_build/seeds/``, so that a
command that was stopped goes on where it was; several machines can take a shard each and share that
folder's files. Once all runs of the notebooks that were named are there, ``records/seeds.json``
tells in how many of K each claim holds.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from utils import records
from utils.book.notebooks import all_notebooks
from utils.data.fetch import file_sha256
from utils.files import locked, write_text
from utils.runtime import repo_root
from utils.validate import integer, require

STEP = 1000  # between two offsets, so that a notebook's own seeds 0, 1, 2, … never meet
RECORD = "seeds"


def outcomes(notebook: Path, offset: int) -> dict[str, Any]:
    """Execute a notebook with every seed moved by ``offset``, and tell how its claims fared.

    Gives ``checks``, for each claim in order its ``name`` and ``failure`` (None if it holds), and
    ``error``, the last line of a cell that failed otherwise, after which nothing was executed.
    """
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "checks.jsonl"
        log.touch()
        settings = {
            "COURSE_CHECK_LOG": str(log),
            "COURSE_SEED_OFFSET": str(offset),
            "COURSE_QUIET": "1",
            "CUDA_VISIBLE_DEVICES": "",
            "OMP_NUM_THREADS": "1",
        }
        command = [sys.executable, "-m", "utils.book.notebooks", "run", str(notebook)]
        done = subprocess.run(
            [*command, "--scale", "cpu"],
            cwd=repo_root(),
            env=os.environ | settings,
            capture_output=True,
            text=True,
        )
        lines = log.read_text(encoding="utf-8").splitlines()
        errors = done.stderr.strip().splitlines()
    return {
        "checks": [json.loads(line) for line in lines],
        "error": errors[-1] if done.returncode != 0 and errors else None,
    }


def place(notebook: Path, offset: int) -> Path:
    """Where the outcomes of one run are kept; a changed notebook has another place."""
    digest = file_sha256(notebook)[:12]
    name = f"{notebook.parent.name}-{notebook.stem}-{digest}-{offset}.json"
    return repo_root() / "_build" / "seeds" / name


def tally(notebooks: list[Path], k: int) -> dict[str, Any] | None:
    """How many of ``k`` runs each claim held in; None while a run is missing.

    A claim is known by its name and, in a loop, by how often that name came before it in its run. A
    run that an error ended counts as one in which the rest did not hold.
    """
    result = {}
    for notebook in notebooks:
        held: dict[str, int] = {}
        errors = []
        for offset in offsets(k):
            kept = place(notebook, offset)
            if not kept.exists():
                return None
            run = json.loads(kept.read_text(encoding="utf-8"))
            if run["error"]:
                errors.append(f"seeds + {offset}: {run['error']}")
            seen: dict[str, int] = {}
            for one in run["checks"]:
                name = one["name"]
                seen[name] = seen.get(name, 0) + 1
                label = name if seen[name] == 1 else f"{name} ({seen[name]})"
                held[label] = held.get(label, 0) + (one["failure"] is None)
        name = f"{notebook.parent.name}/{notebook.stem}"
        result[name] = {"held": held, "errors": errors}
    return result


def offsets(k: int) -> list[int]:
    """The ``k`` offsets: 1000, 2000, …; the notebook's own seeds are not among them."""
    return [STEP * (i + 1) for i in range(k)]


def measure(notebooks: list[Path], k: int, shard: tuple[int, int]) -> None:
    """Make the runs of this shard that are missing, and the record once all are there."""
    started = time.time()
    mine, n_shards = shard
    runs = [(notebook, offset) for offset in offsets(k) for notebook in notebooks]
    for notebook, offset in runs[mine - 1 :: n_shards]:
        kept = place(notebook, offset)
        with locked(kept, wait=True):
            if not kept.exists():
                run = outcomes(notebook, offset)
                write_text(kept, json.dumps(run))
                failed = [one["failure"] for one in run["checks"] if one["failure"]]
                told = run["error"] or f"{len(failed)} of {len(run['checks'])} claims fail"
                print(f"{notebook.parent.name}/{notebook.stem}, seeds + {offset}: {told}")
                for failure in failed:
                    print(f"  {failure}", flush=True)

    counted = tally(notebooks, k)
    if counted is None:
        print("other shards are still to come: no record yet")
        return
    data = {"k": k, "notebooks": counted}
    path = records.save(RECORD, data, started=started, how=f"make seeds K={k}")
    print(f"wrote {path}")


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    purpose = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="python -m utils.book.seeds", description=purpose)
    parser.add_argument("notebooks", nargs="*", type=Path, metavar="NOTEBOOK")
    parser.add_argument("--k", type=int, default=5, help="runs of each notebook (default 5)")
    parser.add_argument("--shard", default="1/1", help="such as 2/3: the second third of the runs")
    options = parser.parse_args(arguments)
    try:
        k = integer("k", options.k, 1)
        shard = _shard(options.shard)
        chosen = [path.resolve() for path in options.notebooks] or all_notebooks()
        for path in chosen:
            require(path.is_file(), "NOTEBOOK", "a file", str(path))
        measure(chosen, k, shard)
    except (ValueError, OSError) as error:
        sys.exit(str(error))


def _shard(text: str) -> tuple[int, int]:
    """The number of this shard, from 1, and how many there are."""
    first, _, last = text.partition("/")
    ok = first.isdecimal() and last.isdecimal() and 1 <= int(first) <= int(last)
    require(ok, "shard", "such as 2/3", text)
    return int(first), int(last)


if __name__ == "__main__":
    main()
