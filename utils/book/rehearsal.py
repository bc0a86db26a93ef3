"""Rehearse Colab: every notebook, alone in an empty folder, with Colab's versions of its packages.

``python -m utils.book.rehearsal environment FOLDER`` makes an environment as near to Colab's as can
be had here (`utils.book.freeze`), and writes how it differs to ``FOLDER/differences.json``.

``python -m utils.book.rehearsal run --python FOLDER/bin/python [--scale colab] [--minutes 60]
[NOTEBOOK …]`` executes notebooks there as a reader on Colab does: the notebook is alone in a
folder, and its setup cell fetches the committed course from a local address and installs what it
needs. A conclusion that fails ends its notebook, as any other error does. After each notebook
``records/colab/rehearsal.json`` is written, so a command that was stopped, or whose minutes were
up, goes on where it was: without NOTEBOOK it takes those that have not passed with their present
code. What is not Colab's: there is no GPU and no notebook page, and a stand-in for ``google.colab``
writes down what is asked of it.

``python -m utils.book.rehearsal widgets FOLDER`` moves the sliders of every explorer in a browser,
with a kernel of that environment, and puts into the record how each test ended.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import resource
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from utils import records
from utils.book import freeze
from utils.book.conclusions import code_digest, name_of
from utils.book.notebooks import all_notebooks
from utils.files import locked
from utils.runtime import SCALES, repo_root
from utils.validate import integer, number, require

RECORD = "colab/rehearsal"
HOW = "python -m utils.book.rehearsal run: seconds of the processor, without a GPU"
CELLS = Path(__file__).with_name("rehearsed_cells.py")
WIDGETS = repo_root() / "tests" / "widgets" / "colab"
STAND_IN = Path(__file__).with_name("stand_in")
STARTUP = "import google.colab.output  # as Colab's kernel has done before the first cell\n"
# What would make a run here another one than a reader's.
OURS = ("PYTHONPATH", "VIRTUAL_ENV", "COURSE_DATA", "COURSE_DEVICE", "COURSE_QUIET")


# ---- one notebook --------------------------------------------------------------------------------


def published(folder: Path) -> Path:
    """Clone the committed course into ``folder``, as the branch ``main`` that a reader fetches."""
    clone = folder / "published"
    git = ["git", "clone", "--quiet", str(repo_root()), str(clone)]
    subprocess.run(git, check=True)
    subprocess.run(["git", "checkout", "--quiet", "-B", "main"], cwd=clone, check=True)
    return clone


def rehearse(
    notebook: Path,
    python: Path,
    clone: Path,
    scale: str,
    threads: int,
    *,
    before: dict[str, freeze.Pinned],
    seconds: float | None = None,
) -> dict[str, Any] | None:
    """Execute a notebook of ``clone`` with another environment's ``python``, and tell how it went.

    before: the packages that the environment has, and will have again afterwards.

    seconds: after which it is stopped, of the clock; None lets it take as long as it takes.

    Gives what `utils.book.rehearsed_cells.execute` does, the processor's ``seconds``,
    ``asked_of_colab``, which names what was asked of the stand-in, and ``packages``, how ``pip
    freeze`` differs from ``before``. None when it was stopped.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log = folder / "asked.txt"
        log.touch()
        work = folder / "content"  # what Colab calls it
        work.mkdir()
        alone = work / notebook.name
        alone.write_bytes(notebook.read_bytes())

        settings = _settings(folder, python, clone, scale, threads)
        command = [str(python), "-I", str(CELLS), str(alone)]
        began = _children_seconds()
        done = _run(command, settings, seconds)
        used = _children_seconds() - began
        asked = sorted(set(log.read_text(encoding="utf-8").split()))
    after = freeze.installed(python)
    freeze.put_back(python, before, after)  # the next reader's Colab is a fresh one
    if done is None:
        return None

    status, printed, said = done
    if status == 0:
        result = json.loads(printed.splitlines()[-1])
    else:  # not the notebook failed, but what executes it
        result = {"error": freeze.last_line(said)}
    changes = freeze.compare(before, after)
    packages = {kind: names for kind, names in changes.items() if names}
    return {"seconds": round(used, 1)} | result | {"asked_of_colab": asked, "packages": packages}


def _children_seconds() -> float:
    """Processor seconds of all processes that this one has started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _settings(folder: Path, python: Path, clone: Path, scale: str, threads: int) -> dict[str, str]:
    """The environment variables of a kernel on Colab, with its own files in ``folder``."""
    startup = folder / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "colab.py").write_text(STARTUP, encoding="utf-8")
    kept = {name: value for name, value in os.environ.items() if name not in OURS}
    return kept | {
        "PATH": f"{python.parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYTHONPATH": str(STAND_IN),
        "IPYTHONDIR": str(folder / "ipython"),
        "STAND_IN_LOG": str(folder / "asked.txt"),
        "COURSE_REPO": clone.as_uri(),
        "COURSE_REF": "main",
        "COURSE_SCALE": scale,
        "CUDA_VISIBLE_DEVICES": "",
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "OPENBLAS_NUM_THREADS": str(threads),
    }


def _run(
    command: list[str], settings: dict[str, str], seconds: float | None
) -> tuple[int, str, str] | None:
    """Run a program: its status, output and errors; None when it was ended after ``seconds``."""
    process = subprocess.Popen(
        command,
        env=settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # so that it can be ended with all that it has started
    )
    try:
        printed, said = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    return process.returncode, printed, said


# ---- the record ----------------------------------------------------------------------------------


def stored() -> dict[str, Any]:
    """What the record tells so far."""
    path = records.path_of(RECORD)
    return records.load(RECORD).data if path.exists() else {"notebooks": {}}


def due(notebooks: list[Path], scale: str, known: dict[str, Any]) -> list[Path]:
    """The notebooks that have not passed at ``scale`` with their present code."""
    found = []
    for notebook in notebooks:
        entry = known.get(name_of(notebook), {}).get(scale)
        if entry is None or entry["error"] or entry["code"] != code_digest(notebook):
            found.append(notebook)
    return found


def store(name: str, scale: str, entry: dict[str, Any], about: dict[str, Any]) -> None:
    """Put one result into the record, beside those that are there.

    about: the ``environment`` and, in ``provenance``, where the results are from.
    """
    path = records.path_of(RECORD)
    with locked(path, wait=True):
        data = stored()
        notebooks = data["notebooks"]
        notebooks[name] = notebooks.get(name, {}) | {scale: entry}
        data["notebooks"] = dict(sorted(notebooks.items()))
        data["environment"] = about["environment"]
        runs = [run for runs in notebooks.values() for run in runs.values()]
        seconds = sum(run.get("wall_seconds", 0) for run in runs)
        provenance = about["provenance"] | {"wall_seconds": round(seconds, 1)}
        records.write_json(path, {"provenance": provenance, "data": data})


def described(python: Path, packages: dict[str, freeze.Pinned], threads: int) -> dict[str, Any]:
    """What a result depends on: the environment, its differences from Colab's, and the machine."""
    asked = subprocess.run([python, "--version"], capture_output=True, text=True, check=True)
    versions = {"python": asked.stdout.split()[1]}
    for name in ("torch", "numpy", "ipywidgets", "anywidget"):
        versions[name] = packages[name].version if name in packages else "none"
    asked_for = freeze.lines(repo_root() / "requirements-notebooks.txt")
    differences = freeze.compare(freeze.colab_freeze(), packages)
    return {
        "environment": differences | {"needs": freeze.needs(python, asked_for)},
        "provenance": {
            "device": f"CPU ({platform.machine()}, {threads} threads)",
            "date": datetime.now(UTC).date().isoformat(),
            "scale": None,  # each entry names its own
            "seeds": None,
            "flops": None,
            "versions": versions,
            "how": HOW,
        },
    }


# ---- all of them ---------------------------------------------------------------------------------


def rehearse_all(
    chosen: list[Path], python: Path, scale: str, threads: int, minutes: float | None
) -> list[str]:
    """Rehearse notebooks, given below the course's root, and return the names of those that failed.

    Without ``chosen``, those that are due. Stops when ``minutes`` are up, and then leaves the
    notebook that was being executed without a result.
    """
    end = time.monotonic() + 60 * minutes if minutes else None
    packages = freeze.installed(python)
    about = described(python, packages, threads)
    failed = []
    with _temporary_clone() as clone:
        notebooks = [clone / path.relative_to(repo_root()) for path in chosen or all_notebooks()]
        for notebook in notebooks:
            require(notebook.is_file(), "NOTEBOOK", "a committed file", str(notebook.name))
        if not chosen:
            notebooks = due(notebooks, scale, stored()["notebooks"])
        for notebook in notebooks:
            left = None if end is None else max(0.0, end - time.monotonic())
            result = rehearse(
                notebook, python, clone, scale, threads, before=packages, seconds=left
            )
            if result is None:
                print(f"{name_of(notebook)}: the minutes are up", flush=True)
                break
            entry = result | {"code": code_digest(notebook), "date": about["provenance"]["date"]}
            store(name_of(notebook), scale, entry, about)
            print(_line(notebook, result), flush=True)
            if result["error"]:
                failed.append(name_of(notebook))
    return failed


@contextlib.contextmanager
def _temporary_clone() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield published(Path(folder))


def _line(notebook: Path, result: dict[str, Any]) -> str:
    """One line about a notebook, for the terminal."""
    if result["error"]:
        return f"{name_of(notebook)}: {result['error']}"
    kinds = ", ".join(result["packages"]) or "none"
    wall = result["wall_seconds"]
    return (
        f"{name_of(notebook)}: {result['seconds']:.0f} s (wall clock {wall:.0f} s), "
        f"{result['conclusions']} conclusions hold, {result['widgets']} widgets, "
        f"packages changed: {kinds}"
    )


# ---- widgets -------------------------------------------------------------------------------------


def rehearse_widgets(folder: Path, manager: Path | None) -> list[str]:
    """Run the tests of the widgets in the environment ``folder``: the names of those that failed.

    manager: a build of what Colab draws other packages' widgets with; without it, only the manager
    of ipywidgets 7 is used. The record then tells how each test ended.
    """
    with tempfile.TemporaryDirectory() as name:
        report = Path(name) / "report.xml"
        pytest = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        settings = {"COLAB_FOLDER": str(folder), "COLAB_MANAGER": str(manager or "")}
        subprocess.run(
            [*pytest, str(WIDGETS), f"--junitxml={report}"],
            cwd=repo_root(),
            env=os.environ | settings,
        )
        outcomes = _outcomes(report)
    path = records.path_of(RECORD)
    with locked(path, wait=True):
        record = records.load(RECORD)
        data = record.data | {"widgets": outcomes}
        records.write_json(path, {"provenance": record.provenance, "data": data})
    return [name for name, outcome in outcomes.items() if outcome == "failed"]


def _outcomes(report: Path) -> dict[str, str]:
    """How each test ended, by its name, from pytest's report."""
    found = {}
    for case in ElementTree.parse(report).iter("testcase"):
        kinds = {child.tag for child in case}
        outcome = "skipped" if "skipped" in kinds else "passed"
        found[case.attrib["name"]] = "failed" if kinds & {"failure", "error"} else outcome
    return found


# ---- the command line ----------------------------------------------------------------------------


def main(arguments: list[str] | None = None) -> None:
    """The command line, with its three commands."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "environment":
            make_environment(options.folder, options.using)
            return
        if options.command == "widgets":
            failed = rehearse_widgets(options.folder.resolve(), options.manager)
            if failed:
                sys.exit(f"failed: {', '.join(failed)}")
            return
        if options.minutes is not None:
            number("minutes", options.minutes, 0, open_low=True)
        threads = integer("threads", options.threads, 1)
        python = options.python.absolute()  # not resolved: the link tells the environment
        require(python.is_file(), "python", "the Python of an environment", str(options.python))
        chosen = [path.resolve() for path in options.notebooks]
        for path in chosen:
            inside = path.is_relative_to(repo_root())
            require(path.is_file() and inside, "NOTEBOOK", f"a file in {repo_root()}", str(path))
        failed = rehearse_all(chosen, python, options.scale, threads, options.minutes)
    except (ValueError, OSError, subprocess.CalledProcessError) as error:
        sys.exit(str(error))
    if failed:
        sys.exit(f"failed at the {options.scale} scale: {', '.join(failed)}")


def make_environment(folder: Path, using: str) -> None:
    """Make the environment, and write and print how it differs from Colab's."""
    freeze.build(folder, using)
    freeze.add_front_end(folder)
    packages = freeze.installed(folder / "bin" / "python")
    differences = freeze.compare(freeze.colab_freeze(), packages)
    records.write_json(folder / "differences.json", differences)
    for kind, names in differences.items():
        print(f"{kind.replace('_', ' ')}: {len(names)}")
        for name, told in names.items():
            print(f"  {name} {told}")


def _parser() -> argparse.ArgumentParser:
    purpose = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="python -m utils.book.rehearsal", description=purpose)
    commands = parser.add_subparsers(dest="command", required=True)

    making = commands.add_parser("environment", help="make an environment as near as can be had")
    making.add_argument("folder", type=Path, metavar="FOLDER")
    making.add_argument("--using", default=f"python{freeze.PYTHON}", help="the Python to use")

    drawing = commands.add_parser("widgets", help="draw the widgets in a browser, and move them")
    drawing.add_argument("folder", type=Path, metavar="FOLDER")
    drawing.add_argument("--manager", type=Path, help="a build of colab-cdn-widget-manager")

    running = commands.add_parser("run", help="execute notebooks in such an environment")
    running.add_argument("notebooks", nargs="*", type=Path, metavar="NOTEBOOK")
    running.add_argument("--python", type=Path, required=True, help="FOLDER/bin/python")
    running.add_argument("--scale", choices=SCALES, default="cpu")
    running.add_argument("--minutes", type=float, help="stop after so many minutes")
    running.add_argument("--threads", type=int, default=1, help="of a notebook (default 1)")
    return parser


if __name__ == "__main__":
    main()
