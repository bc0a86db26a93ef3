"""Assignments: their versions for students and teachers, and grading that trusts no submission."""

from utils.lazy import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "compare": ["between", "equal", "same"],
        "form": ["Assignment", "Task", "read", "release", "solution"],
        "grade": ["grade_all"],
        "sandbox": ["Limits", "run", "what_remains"],
        "submissions": ["Submission"],
    },
)
