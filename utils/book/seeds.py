"""How often each conclusion of the notebooks holds when all seeds are moved: ``make seeds K=20``.

``python -m utils.book.seeds --k 5 [--shard 1/3] [NOTEBOOK …]`` executes each notebook (all by
default) K times at the cpu scale. Every seed is moved by 1000, 2000 and so on, and a claim that
fails is counted instead of ending the run. Each finished run lies in ``.cache/seeds/``, so that a
command that was stopped goes on where it was; several machines can take a shard each and share that
folder's files. Once all runs of the notebooks that were named are there, ``records/seeds.json``
tells in how many of K each of their claims holds; what it tells of other notebooks stays.
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
from utils.book.conclusions import code_digest, name_of
from utils.book.notebooks import all_notebooks
from utils.book.shards import share
from utils.files import locked, write_text
from utils.runtime import cache_dir, repo_root
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
        began = time.monotonic()
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
        "seconds": round(time.monotonic() - began, 1),
        "error": errors[-1] if done.returncode != 0 and errors else None,
    }


def place(notebook: Path, offset: int) -> Path:
    """Where the outcomes of one run are kept; a notebook whose code has changed has another."""
    name = f"{notebook.parent.name}-{notebook.stem}-{code_digest(notebook)}-{offset}.json"
    return cache_dir() / "seeds" / name


def tally(notebook: Path, k: int) -> dict[str, Any] | None:
    """In how many of ``k`` runs each claim of a notebook held; None while a run is missing.

    A claim is known by its name and, in a loop, by how often that name came before it in its run. A
    run that an error ended counts as one in which the rest did not hold.
    """
    held: dict[str, int] = {}
    errors = []
    seconds = []
    for offset in offsets(k):
        kept = place(notebook, offset)
        if not kept.exists():
            return None
        run = json.loads(kept.read_text(encoding="utf-8"))
        seconds.append(run["seconds"])
        if run["error"]:
            errors.append(f"seeds + {offset}: {run['error']}")
        seen: dict[str, int] = {}
        for one in run["checks"]:
            name = one["name"]
            seen[name] = seen.get(name, 0) + 1
            label = name if seen[name] == 1 else f"{name} ({seen[name]})"
            held[label] = held.get(label, 0) + (one["failure"] is None)
    return {
        "k": k,
        "held": held,
        "errors": errors,
        "seconds": round(sum(seconds), 1),
        "code": code_digest(notebook),
    }


def offsets(k: int) -> list[int]:
    """The ``k`` offsets: 1000, 2000, …; the notebook's own seeds are not among them."""
    return [STEP * (i + 1) for i in range(k)]


def measure(notebooks: list[Path], k: int, shard: str = "1/1", *, with_record: bool = True) -> None:
    """Make the runs of this shard that are missing, and the record once all are there."""
    started = time.time()
    runs = [(notebook, offset) for offset in offsets(k) for notebook in notebooks]
    for notebook, offset in share(runs, shard):
        kept = place(notebook, offset)
        with locked(kept, wait=True):
            if not kept.exists():
                run = outcomes(notebook, offset)
                write_text(kept, json.dumps(run))
                failed = [one["failure"] for one in run["checks"] if one["failure"]]
                told = run["error"] or f"{len(failed)} of {len(run['checks'])} claims fail"
                print(f"{name_of(notebook)}, seeds + {offset}: {told}")
                for failure in failed:
                    print(f"  {failure}", flush=True)

    if not with_record:
        return
    counted = {name_of(notebook): tally(notebook, k) for notebook in notebooks}
    if None in counted.values():
        print("other shards are still to come: no record yet")
        return
    known = {name_of(notebook) for notebook in all_notebooks()}
    kept = {name: entry for name, entry in earlier().items() if name in known}
    data = {"notebooks": dict(sorted((kept | counted).items()))}
    path = records.save(RECORD, data, started=started, how=f"make seeds K={k}")
    print(f"wrote {path}")


def earlier() -> dict[str, Any]:
    """What the record tells so far, by notebook."""
    path = records.path_of(RECORD)
    return records.load(path).data["notebooks"] if path.exists() else {}


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    purpose = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="python -m utils.book.seeds", description=purpose)
    parser.add_argument("notebooks", nargs="*", type=Path, metavar="NOTEBOOK")
    parser.add_argument("--k", type=int, default=5, help="runs of each notebook (default 5)")
    parser.add_argument("--shard", default="1/1", help="such as 2/3: the second third of the runs")
    parser.add_argument("--no-record", action="store_true", help="only make the runs")
    options = parser.parse_args(arguments)
    try:
        k = integer("k", options.k, 1)
        chosen = [path.resolve() for path in options.notebooks] or all_notebooks()
        for path in chosen:
            require(path.is_file(), "NOTEBOOK", "a file", str(path))
        measure(chosen, k, options.shard, with_record=not options.no_record)
    except (ValueError, OSError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
