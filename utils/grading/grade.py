"""Grade a folder of submissions: ``make grade SUBMISSIONS=dir ASSIGNMENT=chapter``.

``python -m utils.grading.grade CHAPTER SUBMISSIONS [--to DIR] [--seed FILE]`` executes each
student's notebook in a process that sees nothing of the others (`utils.grading.sandbox`), marks the
values that it returns in this process, and writes into DIR ``grades.csv`` and, for each student,
``feedback/STUDENT.html``.

The questions are drawn from a seed that only this process has. It is random, or the text of a file
that you keep; it never stands in an environment variable or on a command line. A submission gets
the questions, which are no secret, and never the tests.
"""

from __future__ import annotations

import argparse
import csv
import ctypes
import hashlib
import io
import json
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from utils.files import write_text
from utils.grading import compare
from utils.grading.feedback import page
from utils.grading.form import Assignment, Task, read
from utils.grading.results import NO_VALUES, NOT_REACHED, Graded, Result
from utils.grading.sandbox import LIMITS, Limits, Outcome, run, what_remains
from utils.grading.submissions import Submission, missing, program, submissions, written_answers
from utils.runtime import generator, repo_root
from utils.validate import choice, integer, require

WORKER = Path(__file__).with_name("worker.py")
# What a submission's process may read of the course: the library, and the stored models and runs.
READABLE = ("utils", "records", "requirements-notebooks.txt", "_toc.yml", "LICENSE")


# ---- one submission ------------------------------------------------------------------------------


def draws(seed: bytes, student: str, task: Task) -> np.random.Generator:
    """The random numbers from which one task's questions are drawn for one student."""
    words = b"\0".join([seed, student.encode(), task.name.encode()])
    return generator(list(hashlib.sha256(words).digest()))


def _hook(task: Task, name: str) -> Callable[..., Any]:
    """``ask`` or ``mark`` of a task, ready to be called here."""
    names: dict[str, Any] = {"np": np, **{key: getattr(compare, key) for key in compare.__all__}}
    exec(task.hidden[name], names)
    return names[name]


def _plain(asked: Any) -> Any:
    """Questions as JSON holds them."""
    return json.loads(json.dumps(asked, default=lambda array: array.tolist()))


def _sent(asked: dict[str, Any]) -> dict[str, Any]:
    """The questions that a submission gets: those whose names do not begin with ``_``."""
    return {name: value for name, value in asked.items() if not name.startswith("_")}


def grade(
    assignment: Assignment, submission: Submission, seed: bytes, limits: Limits = LIMITS
) -> Graded:
    """Execute and mark one submission."""
    nothing = {task.name: Result(0, None) for task in assignment.tasks}
    if submission.fault is not None:
        return Graded(submission.student, submission.fault, 0, nothing)
    asked = {}
    for task in assignment.tasks:
        questions = _hook(task, "ask")(draws(seed, submission.student, task))
        asked[task.name] = _plain(questions)
    calls = {task.name: task.hidden["call"] for task in assignment.tasks}
    cells: list[dict[str, Any]] = []
    for cell in program(assignment, submission.cells):
        more = {}
        if "task" in cell:
            more = {"call": calls[cell["task"]], "asked": _sent(asked[cell["task"]])}
        cells.append({**cell, **more})
    job = {"root": str(repo_root()), "cells": cells}
    outcome = run(
        [sys.executable, "-I", str(WORKER)],
        json.dumps(job).encode(),
        read_only=[path for name in READABLE if (path := repo_root() / name).exists()],
        limits=limits,
    )
    answers = _answers(outcome)
    results = {}
    for task in assignment.tasks:
        results[task.name] = _marked(task, asked[task.name], answers.get(task.name))
    return Graded(
        submission.student,
        _status(assignment, submission, outcome),
        outcome.seconds,
        results,
        written_answers(assignment, submission.cells),
    )


def _answers(outcome: Outcome) -> dict[str, dict[str, Any]]:
    """The first answer to each task, as far as it can be read."""
    found: dict[str, dict[str, Any]] = {}
    for line in outcome.answers.splitlines():
        try:
            answer = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(answer, dict) and isinstance(answer.get("task"), str):
            found.setdefault(answer["task"], answer)
    return found


def _marked(task: Task, asked: Any, answer: dict[str, Any] | None) -> Result:
    """What an answer is worth."""
    if answer is None:
        return Result(0, NOT_REACHED)
    error = answer.get("error")
    visible = error[:500] if isinstance(error, str) else None
    values = answer.get("values")
    if not isinstance(values, dict):
        return Result(0, visible or NO_VALUES)
    try:
        share = float(_hook(task, "mark")(asked, values))
    except Exception:  # whatever the values are, they are then not the right ones
        share = 0.0
    # Neither more than all, nor less than nothing, nor a number that is none.
    share = min(max(share, 0.0), 1.0) if share == share else 0.0
    return Result(round(task.points * share, 2), visible)


def _status(assignment: Assignment, submission: Submission, outcome: Outcome) -> str:
    """Whether a submission was executed to its end, in words."""
    if outcome.stopped is not None:
        return f"stopped: {outcome.stopped}"
    if outcome.status != 0:
        return f"its process ended with {outcome.status}"
    lacking = missing(assignment, submission.cells)
    if lacking:
        return f"lacks cells: {', '.join(lacking)}"
    return "graded"


# ---- a class -------------------------------------------------------------------------------------


def grade_all(
    assignment: Assignment,
    folder: Path,
    seed: bytes,
    *,
    processes: int = 2,
    limits: Limits = LIMITS,
) -> Iterator[Graded]:
    """Grade all submissions of a folder, several at a time, in the order of their names."""
    with ThreadPoolExecutor(processes) as pool:
        yield from pool.map(lambda one: grade(assignment, one, seed, limits), submissions(folder))


def table(assignment: Assignment, grades: list[Graded]) -> str:
    """The points of a class as CSV, one row per student; written answers are left for a person."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)
    tasks = [task.name for task in assignment.tasks]
    by_hand = [f"{name} (by hand, of {points:g})" for name, points in assignment.written.items()]
    writer.writerow(["student", "status", "seconds", "points", "of", *tasks, *by_hand])
    for one in grades:
        points = [f"{one.results[name].points:g}" for name in tasks]
        total = f"{one.points:g}"
        blank = ["" for _ in by_hand]
        row = [one.student, one.status, f"{one.seconds:.1f}", total, f"{assignment.points:g}"]
        writer.writerow([_harmless(cell) for cell in [*row, *points, *blank]])
    return file.getvalue()


def _harmless(cell: str) -> str:
    """A cell that a spreadsheet does not take for a formula."""
    return "'" + cell if cell.lstrip()[:1] in tuple("=+-@＝＋－＠") else cell


def whole(text: str) -> str:
    """A text that UTF-8 can hold: half a character, as a program may make, becomes a ``?``."""
    return text.encode("utf-8", "replace").decode()


def summary(grades: list[Graded], seconds: float) -> str:
    """How long a class took; those that were stopped are timed apart.

    >>> anna = Graded("anna", "graded", 2.0, {})
    >>> eve = Graded("eve", "stopped: more than 150 seconds", 150.1, {})
    >>> summary([anna, eve], 160)
    '2 submissions in 160 s: 1 executed, 2.0 s each; 1 stopped, after 150.1 s each'
    """
    parts = []
    for what, wanted in (("executed", False), ("stopped", True)):
        times = [one.seconds for one in grades if one.status.startswith("stopped") == wanted]
        after = "after " if wanted else ""
        if times:
            parts.append(f"{len(times)} {what}, {after}{sum(times) / len(times):.1f} s each")
    return f"{len(grades)} submissions in {seconds:.0f} s: {'; '.join(parts)}"


def unreadable_from_outside() -> None:
    """Keep other processes of this user from reading this one's memory and environment (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)  # PR_SET_DUMPABLE


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    purpose = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="python -m utils.grading.grade", description=purpose)
    parser.add_argument("chapter", help="such as sampling")
    parser.add_argument("submissions", type=Path, help="a folder with one entry per student")
    parser.add_argument("--to", type=Path, help="by default _build/grades/ASSIGNMENT")
    parser.add_argument("--seed", type=Path, help="a file of yours, to grade again as before")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args(arguments)
    try:
        source = repo_root() / "assignments" / "source"
        chapters = sorted(path.parent.name for path in source.glob("*/*.ipynb"))
        choice("ASSIGNMENT", options.chapter, tuple(chapters))
        integer("processes", options.processes, 1)
        assignment = read(source / options.chapter / f"{options.chapter}.ipynb")
        seed = options.seed.read_bytes() if options.seed else secrets.token_bytes(16)
        require(len(seed) >= 8, "--seed", "a file of at least 8 bytes", f"{len(seed)} bytes")
        unreadable_from_outside()
        for sentence in what_remains():
            print(f"Not shut out on this system: {sentence}")
        to = options.to or Path("_build/grades") / options.chapter
        grades = []
        began = time.monotonic()
        of = f"{assignment.points:g}"
        for one in grade_all(assignment, options.submissions, seed, processes=options.processes):
            print(f"{one.student}: {one.points:g} of {of}, {one.seconds:.1f} s, {one.status}")
            write_text(to / "feedback" / f"{one.student}.html", whole(page(assignment, one)))
            grades.append(one)
        write_text(to / "grades.csv", table(assignment, grades))
        print(summary(grades, time.monotonic() - began))
        print(f"Points: {to / 'grades.csv'}. Feedback: {to / 'feedback'}.")
    except (ValueError, OSError) as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
