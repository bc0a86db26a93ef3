"""Run a program that is not trusted: with limits, and, where the system can, with nothing to see.

`run` starts a command, gives it a text, and takes back its answers and what it prints. The answers
are what it writes to a file descriptor of its own, whose number is its last argument. The command,
and whatever it has started, is stopped when it takes too long, too much memory or too many
processes, or answers too much.

Where bubblewrap (``bwrap``) is installed and may make namespaces, the command sees no network, no
process but its own, no variable of the environment, and no file but the system's programs, its
Python and the folders that it was given; it can write to a small disk in memory only. Elsewhere
only the limits hold, and `what_remains` says what the command could still do.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO

import psutil

MIB = 2**20
LOOK = 0.2  # seconds between two looks at the memory and the processes
ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "HOME": "/tmp",
    "LANG": "C.UTF-8",
    "MPLBACKEND": "Agg",
    "OMP_NUM_THREADS": "1",
    "CUDA_VISIBLE_DEVICES": "",
}


@dataclass(frozen=True)
class Limits:
    """What a command may use.

    seconds : from start to end, by the clock.
    cpu_seconds : of one process.
    memory : bytes in use, of the command and all that it has started together.
    processes : as many at once.
    file_size : bytes of the largest file that it writes, and of its disk in memory.
    output : bytes of its answers; of what it prints as many are kept.
    """

    seconds: float = 150.0
    cpu_seconds: int = 120
    memory: int = 3072 * MIB
    processes: int = 64
    file_size: int = 64 * MIB
    output: int = 4 * MIB


LIMITS = Limits()


@dataclass(frozen=True)
class Outcome:
    """What became of a command.

    answers : what it wrote to its descriptor.
    printed : the beginning of what it printed, to standard output and to standard error.
    stopped : why it was stopped, in words; None if it ended by itself.
    status : the exit status; negative for the number of the signal that ended it.
    seconds : from start to end, by the clock.
    """

    answers: bytes
    printed: str
    stopped: str | None
    status: int
    seconds: float


# ---- namespaces ----------------------------------------------------------------------------------


def _folders() -> list[Path]:
    """Where this Python and its packages lie."""
    return [Path(sys.prefix).resolve(), Path(sys.base_prefix).resolve()]


def _wrapping(program: str, read_only: Sequence[Path], disk: int) -> list[str]:
    """The words before a command that give it a file system, a network and a list of its own."""
    words = [program, "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    words += ["--ro-bind", "/usr", "/usr"]
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        place = Path("/") / name
        if place.is_symlink():
            words += ["--symlink", os.readlink(place), str(place)]
        elif place.is_dir():
            words += ["--ro-bind", str(place), str(place)]
    words += ["--proc", "/proc", "--dev", "/dev"]
    for place in ("/tmp", "/dev/shm"):
        words += ["--size", str(disk), "--tmpfs", place]
    for folder in [*_folders(), *(path.resolve() for path in read_only)]:
        words += ["--ro-bind", str(folder), str(folder)]
    words += ["--remount-ro", "/", "--clearenv", "--chdir", "/tmp"]
    for name, value in ENVIRONMENT.items():
        words += ["--setenv", name, value]
    return words


@cache
def bubblewrap() -> str | None:
    """The path of a bubblewrap that works here; None if there is none."""
    program = shutil.which("bwrap")
    if program is None:
        return None
    trial = [*_wrapping(program, [], MIB), sys.executable, "-I", "-c", "pass"]
    done = subprocess.run(trial, stdin=subprocess.DEVNULL, capture_output=True)
    return program if done.returncode == 0 else None


def what_remains() -> list[str]:
    """What a command could still do on this system, one sentence each; empty with namespaces."""
    if bubblewrap() is not None:
        return []
    return [
        "It can read every file that you can read, the submissions of others among them.",
        "It can write and delete every file that you can.",
        "It can use the network, and so ask others or send them what it reads.",
        "It can see and stop your other programs, and read the memory of some.",
        "It can start a process that outlives it (one that leaves its session).",
    ]


# ---- running -------------------------------------------------------------------------------------


def _limiting(limits: Limits) -> list[str]:
    """The words before a command by which a shell binds it and all that it starts.

    Not a function that runs between fork and exec: with several threads that can hang.
    """
    seconds = limits.cpu_seconds
    orders = [
        "ulimit -c 0",  # no core files
        "ulimit -n 256",  # open files
        f"ulimit -f {limits.file_size // 512}",  # in blocks of 512 bytes
        f"ulimit -S -t {seconds}",  # the first signal can be ignored, …
        f"ulimit -H -t {seconds + 5}",  # … the second cannot
        'exec "$@"',
    ]
    return ["/bin/sh", "-c", "; ".join(orders), "sh"]


class _Kept:
    """What came through a pipe, up to so many bytes; the rest is counted and thrown away."""

    def __init__(self, pipe: IO[bytes], most: int):
        self.pipe = pipe
        self.most = most
        self.kept = bytearray()
        self.n_bytes = 0

    def take(self) -> bool:
        """Take what is there. False once the pipe is closed."""
        piece = os.read(self.pipe.fileno(), 65536)
        self.n_bytes += len(piece)
        self.kept += piece[: self.most - len(self.kept)]
        return bool(piece)


def _too_much(pid: int, limits: Limits) -> str | None:
    """Which limit the command and its children are over, in words; None if none."""
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return None
    if len(family) > limits.processes:
        return f"more than {limits.processes} processes"
    memory = 0
    for one in family:
        try:
            memory += one.memory_info().rss
        except psutil.NoSuchProcess:  # ended meanwhile
            continue
    if memory > limits.memory:
        return f"more than {limits.memory // MIB} MiB of memory"
    return None


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a command and everything it has started that can still be found."""
    try:
        family = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        family = []
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    for one in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()


def run(
    command: Sequence[str],
    given: bytes,
    *,
    read_only: Sequence[Path] = (),
    limits: Limits = LIMITS,
) -> Outcome:
    """Run a command that is not trusted.

    command : the program and its arguments.
    given : what it can read from its standard input.
    read_only : files and folders that it may read beside Python and its packages.
    """
    program = bubblewrap()
    before = [] if program is None else _wrapping(program, read_only, limits.file_size)
    with tempfile.TemporaryFile() as stdin, tempfile.TemporaryDirectory() as folder:
        stdin.write(given)
        stdin.seek(0)
        reading, writing = os.pipe()
        process = subprocess.Popen(
            [*_limiting(limits), *before, *command, str(writing)],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=[writing],
            env=ENVIRONMENT,
            cwd=folder,
            start_new_session=True,
        )
        os.close(writing)
        try:
            return _watched(process, os.fdopen(reading, "rb", buffering=0), limits)
        finally:
            _stop(process)
            process.wait()


def _watched(process: subprocess.Popen[bytes], pipe: IO[bytes], limits: Limits) -> Outcome:
    """Read from a command until it ends, and stop it when it is over a limit."""
    assert process.stdout is not None
    answers = _Kept(pipe, limits.output)
    printed = _Kept(process.stdout, limits.output)
    began = looked = time.monotonic()
    stopped = None
    with selectors.DefaultSelector() as selector, pipe, process.stdout:
        for source in (answers, printed):
            selector.register(source.pipe, selectors.EVENT_READ, source)
        while process.poll() is None and stopped is None:
            # It may have closed both pipes and go on.
            if not selector.get_map():
                time.sleep(LOOK)
            _take(selector, LOOK)
            now = time.monotonic()
            if now - looked >= LOOK:
                stopped = _too_much(process.pid, limits)
                looked = now
            if now - began > limits.seconds:
                stopped = f"more than {limits.seconds:.0f} seconds"
            if answers.n_bytes > limits.output:
                stopped = f"more than {limits.output // MIB} MiB of answers"
        if stopped is not None:
            _stop(process)
        # What an ended command has left in its pipes. Another process may still hold them open.
        while stopped is None and _take(selector, 0):
            if answers.n_bytes > limits.output:
                stopped = f"more than {limits.output // MIB} MiB of answers"
    status = process.wait()
    if stopped is None:
        stopped = _ended_by_the_system(status, limits)
    text = printed.kept.decode("utf-8", "replace")
    return Outcome(bytes(answers.kept), text, stopped, status, time.monotonic() - began)


def _take(selector: selectors.BaseSelector, timeout: float) -> bool:
    """Take from the pipes what is there. False if there was nothing."""
    ready = selector.select(timeout) if selector.get_map() else []
    for key, _ in ready:
        if not key.data.take():
            selector.unregister(key.fileobj)
    return bool(ready)


def _ended_by_the_system(status: int, limits: Limits) -> str | None:
    """Why the system ended a command, in words; None if it did not."""
    # A shell, and bubblewrap too, tells of a signal by 128 + its number.
    signal_number = -status if status < 0 else status - 128
    if signal_number == signal.SIGXCPU:
        return f"more than {limits.cpu_seconds} seconds of computing"
    if signal_number == signal.SIGKILL:
        return "killed by the system: too much computing or too much memory"
    return None
