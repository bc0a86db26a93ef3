"""A student's feedback: one page of HTML that stands by itself.

It holds the points of each task, and of an error only its kind: the message comes from a process
that has seen the hidden test. So the page holds no hidden test, no question that the grader drew
and no right answer, and whatever comes from the submission is shown as text.
"""

from __future__ import annotations

import builtins
from html import escape

from utils.grading.form import Assignment, Task
from utils.grading.results import NO_VALUES, NOT_REACHED, Graded, Result

STYLE = """
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 44rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid #999; padding: .4rem; text-align: left; vertical-align: top; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; }
@media (prefers-color-scheme: dark) { body { background: #16181c; color: #e6e6e6; } }
"""


def page(assignment: Assignment, graded: Graded) -> str:
    """The page for one student."""
    title = f"{graded.student}: {assignment.chapter.replace('_', ' ')}"
    rows = [_row(task, graded.results[task.name]) for task in assignment.tasks]
    answers = []
    for name, points in assignment.written.items():
        answer = escape(graded.written.get(name, "")) or "(nothing handed in)"
        answers.append(f"<h3>{escape(name)}, of {points:g} points</h3><pre>{answer}</pre>")
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{escape(title)}</title><style>{STYLE}</style></head><body>
<h1>{escape(title)}</h1>
<p>{graded.points:g} of {assignment.points:g} points for code. Execution: {escape(graded.status)};
it took {graded.seconds:.1f} seconds.</p>
<table><tr><th>task</th><th>points</th><th>what happened</th></tr>
{"".join(rows)}</table>
<p>Points come from questions that were drawn for you alone, of the kind that the tests in your
notebook ask. A task can pass those tests and still be wrong for other inputs. Where a task ended
with an error, run your notebook from its first cell to see where.</p>
<h2>Answers in words</h2>
<p>A person grades these.</p>
{"".join(answers)}
</body></html>
"""


def _row(task: Task, result: Result) -> str:
    """One task's line of the table."""
    if result.points == task.points:
        told = "right"
    elif result.visible is not None:
        told = _ending(result.visible)
    elif result.points > 0:
        told = "partly right for other inputs"
    else:
        told = "the tests in your notebook pass, and other inputs give a wrong answer"
    points = f"{result.points:g} of {task.points:g}"
    return f"<tr><td>{escape(task.name)}</td><td>{points}</td><td>{told}</td></tr>\n"


def _ending(visible: str) -> str:
    """How a task ended that did not end well, in our words: an error by Python's own name for it.

    >>> _ending("ValueError: the questions were [1, 2]"), _ending("[1, 2]"), _ending(NOT_REACHED)
    ('ended with ValueError', 'ended with an error', 'not reached')
    """
    if visible in (NOT_REACHED, NO_VALUES):
        return visible
    name = visible.partition(":")[0]
    known = getattr(builtins, name, None)
    is_error = isinstance(known, type) and issubclass(known, BaseException)
    return f"ended with {name if is_error else 'an error'}"
