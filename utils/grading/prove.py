"""Prove every assignment: ``python -m utils.grading.prove [--seeds 3] [CHAPTER …]``.

For each of several seeds, the solution of an assignment must be worth all points and the untouched
release none. The seeds are new with every call, so that a task that is right by luck comes out.
"""

from __future__ import annotations

import argparse
import secrets

from utils.grading.form import read, release, solution
from utils.grading.grade import grade
from utils.grading.make import sources
from utils.grading.submissions import Submission
from utils.runtime import repo_root
from utils.validate import choice, integer


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    purpose = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="python -m utils.grading.prove", description=purpose)
    parser.add_argument("chapters", nargs="*", help="by default all")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args(arguments)
    found = {path.parent.name: path for path in sources(repo_root())}
    wrong = []
    try:
        integer("--seeds", options.seeds, 1)
        for chapter in options.chapters or found:
            choice("CHAPTER", chapter, tuple(found))
            assignment = read(found[chapter])
            full = f"{assignment.points:g}"
            for number in range(1, options.seeds + 1):
                seed = secrets.token_bytes(16)
                solved = grade(assignment, Submission("anna", solution(assignment)), seed)
                empty = grade(assignment, Submission("eve", release(assignment)), seed)
                told = f"solution {solved.points:g} of {full}, {solved.seconds:.1f} s"
                print(f"{chapter}, seed {number}: {told}; release {empty.points:g}", flush=True)
                if solved.points != assignment.points or empty.points != 0:
                    wrong.append(f"{chapter} with seed {seed.hex()}")
    except (ValueError, OSError) as error:
        raise SystemExit(str(error)) from None
    if wrong:
        raise SystemExit(f"not proven: {', '.join(wrong)}")


if __name__ == "__main__":
    main()
