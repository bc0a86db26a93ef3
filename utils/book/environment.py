"""Make the virtual environment that ``make`` works in, and install into it.

``python -m utils.book.environment FOLDER REQUIREMENTS`` makes the environment ``FOLDER`` with the
Python that runs this, unless there is one, and installs the file ``REQUIREMENTS``.

Both may be killed at any moment, so neither is trusted to have ended: an environment is looked at
before something is installed, and a package lacks files if its installation was cut short. A broken
environment is made again if ``make`` made it, which a file in it says. Nothing else is ever
removed. Only the standard library is used, as nothing is installed yet.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import fcntl
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from utils.validate import require

MARKER = ".made-by-make"  # in an environment that may be removed and made again
# Empty files in any environment, by which the Makefile knows what was installed to its end.
STAMPS = {"requirements-book.txt": [".book"], "requirements.txt": [".book", ".all"]}
PIP_INSTALL = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")


def prepare(folder: Path, requirements: Path, *, cpu_torch: bool = False) -> None:
    """Make the environment ``folder`` unless it is whole, and install ``requirements`` into it.

    cpu_torch: with uv, which can choose a torch without CUDA.

    Raises ``ValueError`` for a folder that is something else, or broken and not ours, ``OSError``
    where it cannot be written and ``RuntimeError`` when a program fails, each in one line.
    """
    is_new = not folder.exists() or not any(folder.iterdir())
    if is_new:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MARKER).touch()
    is_ours = (folder / MARKER).is_file()
    is_environment = (folder / "pyvenv.cfg").is_file()
    allowed = "a virtual environment, or a folder that is not there yet"
    require(is_ours or is_environment, "VENV", allowed, str(folder))

    with _held(folder, is_ours) as lock:
        fault = fault_of(folder)
        if fault and not is_ours:
            raise ValueError(
                f"{folder} is broken ({fault}): remove it, or name another with VENV=…"
            )

        # From here on it may be half made.
        for stamp in STAMPS["requirements.txt"]:
            (folder / stamp).unlink(missing_ok=True)
        if fault:
            make(folder, lock)
        install(folder, requirements, lock, cpu_torch=cpu_torch)

        # The packages first: after a power cut a stamp must not be there without them.
        os.sync()
        for stamp in STAMPS.get(requirements.name, []):
            (folder / stamp).touch()


def check_version(folder: Path) -> None:
    """Raise ``ValueError`` if ``folder`` is an environment of another Python than this one."""
    named = f"{sys.version_info.major}.{sys.version_info.minor}"
    libraries = sorted(path.name for path in (folder / "lib").glob("python*"))
    if libraries and f"python{named}" not in libraries:
        has = libraries[0].removeprefix("python")
        raise ValueError(
            f"PYTHON is Python {named}, but {folder} has {has}: "
            "remove that folder, or name another with VENV=…"
        )


# ---- looking -------------------------------------------------------------------------------------


def fault_of(folder: Path) -> str:
    """What keeps the environment ``folder`` from being used; "" if nothing does."""
    python = folder / "bin" / "python"
    if not python.exists():
        return "it has no Python"
    if subprocess.run([python, "-m", "pip", "--version"], capture_output=True).returncode != 0:
        return "its pip does not run"
    for packages in (folder / "lib").glob("python*/site-packages"):
        for package in sorted(packages.glob("*.dist-info")):
            if not is_whole(package):
                return f"{package.name.removesuffix('.dist-info')} was not installed to its end"
    return ""


def is_whole(package: Path) -> bool:
    """Whether every file of a package is there, by the list in its folder ``*.dist-info``.

    A file that is shorter than the list says counts as missing: a power cut leaves such files. One
    that is longer was changed by somebody. pip writes the list last. uv writes it again at its end,
    and then it names INSTALLER too.
    """
    try:
        lines = (package / "RECORD").read_text(encoding="utf-8").splitlines()
        rows = [row for row in csv.reader(lines) if row]  # path, hash, size in bytes
    except (FileNotFoundError, UnicodeDecodeError, csv.Error):
        return False
    if f"{package.name}/INSTALLER" not in [row[0] for row in rows]:
        return False

    for file, *rest in rows:
        # What Python compiled may be removed at any time: it compiles it again.
        if file.endswith(".pyc"):
            continue
        path = package.parent / file
        if not path.exists():
            return False
        # Some files have no size in the list, such as the list itself.
        size = rest[-1] if rest else ""
        if size.isdecimal() and path.stat().st_size < int(size):
            return False
    return True


# ---- making and installing -----------------------------------------------------------------------


def make(folder: Path, lock: list[int]) -> None:
    """Make the environment ``folder`` again from nothing, with the Python that runs this."""
    print(f"Making {folder} with Python {sys.version.split()[0]}", flush=True)
    # The marker stays all along, or else a folder half emptied would be nobody's.
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != MARKER:
            path.unlink()

    # What it prints is kept back, as after Ctrl-C that would be a traceback.
    command = [sys.executable, "-m", "venv", str(folder)]
    done = subprocess.run(command, pass_fds=lock, capture_output=True, text=True)
    if done.returncode != 0:
        sys.stderr.write(done.stdout + done.stderr)
        raise RuntimeError(
            f"Could not make {folder}: Python needs its venv module "
            "(Debian and Ubuntu: python3-venv)."
        )


def install(folder: Path, requirements: Path, lock: list[int], *, cpu_torch: bool) -> None:
    """Install ``requirements`` into the environment ``folder``."""
    print(f"Installing {requirements} into {folder}", flush=True)
    python = str(folder / "bin" / "python")
    commands = [[python, *PIP_INSTALL, "-r", str(requirements)]]
    if cpu_torch:
        uv = [str(folder / "bin" / "uv"), "pip", "install", "--python", python]
        commands = [
            [python, *PIP_INSTALL, "uv"],
            [*uv, "--torch-backend=cpu", "-r", str(requirements)],
        ]
    for command in commands:
        if subprocess.run(command, pass_fds=lock).returncode != 0:
            raise RuntimeError(
                f"Could not install {requirements}: is the network reachable? "
                "The installer's own message stands above."
            )


@contextlib.contextmanager
def _held(folder: Path, is_ours: bool) -> Iterator[list[int]]:
    """Lock an environment that is ours, on its marker; wait where another process has done so.

    The programs started in the block get the descriptor in the list, and the lock lasts until the
    last of them has ended: killed alone, this process would leave an installer at work.
    """
    if not is_ours:  # nothing is removed there
        yield []
        return
    handle = os.open(folder / MARKER, os.O_RDWR)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print(f"Another process is at work in {folder}: waiting for it", file=sys.stderr)
        fcntl.flock(handle, fcntl.LOCK_EX)
    except OSError:
        pass  # a file system that knows no locks, such as some network drives
    try:
        yield [handle]
    finally:
        os.close(handle)


# ---- the command line ----------------------------------------------------------------------------


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it without a traceback
    purpose = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="python -m utils.book.environment", description=purpose)
    parser.add_argument("folder", type=Path)
    parser.add_argument("requirements", nargs="?", type=Path, help="by default only look")
    parser.add_argument("--cpu-torch", action="store_true", help="torch without CUDA")
    options = parser.parse_args(arguments)
    try:
        if os.environ.get("PYTHON"):  # otherwise any Python that suits the course will do
            check_version(options.folder)
        if options.requirements:
            prepare(options.folder, options.requirements, cpu_torch=options.cpu_torch)
    except (ValueError, RuntimeError) as error:
        sys.exit(str(error))
    except OSError as error:
        sys.exit(f"{options.folder} could not be made: {error}")


if __name__ == "__main__":
    main()
