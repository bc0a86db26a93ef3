"""What a submission came to: points per task, and how its execution ended."""

from __future__ import annotations

from dataclasses import dataclass, field

# Why a task has no values where no error was told.
NOT_REACHED = "not reached"
NO_VALUES = "no values were returned"


@dataclass(frozen=True)
class Result:
    """What one task of one student came to.

    points : from 0 to the task's points.
    visible : the error that the visible tests or the task ended with, which no student may see,
        or why there are no values; None if there was no error.
    """

    points: float
    visible: str | None


@dataclass(frozen=True)
class Graded:
    """What one submission came to.

    status : "graded", or in words why it was not graded to its end.
    seconds : that its notebook took.
    results : by the names of the tasks.
    written : the answers in words, which a person has to grade.
    """

    student: str
    status: str
    seconds: float
    results: dict[str, Result]
    written: dict[str, str] = field(default_factory=dict)

    @property
    def points(self) -> float:
        """The points of all tasks together."""
        return sum(result.points for result in self.results.values())
