"""The conclusions of a notebook, counted in its code."""

import json

import pytest

from utils.book.conclusions import code_digest, counts, name_of, without_false_case

CELLS = [
    ("check('tokens', n, 5)", []),
    ("check('share', x, 0.5, rtol=0.1, if_false=1)\ncheck_at_least('gain', gains, 1)", []),
    ("for i in range(3):\n    check_identity('sum', total(i), 1, broken=total(9))", []),
    ("control = train(noise=0)", ["control"]),
    ("# check_at_most('in a comment', 1, 2)\nothers.check('of something else')", []),
    ("check('about', x, 1, atol=0.1)\ncheck_true('same', a == b)", ["control", "timing"]),
]


@pytest.fixture
def notebook(tmp_path):
    path = tmp_path / "chapter" / "01_toy.ipynb"
    path.parent.mkdir()
    cells = [
        {
            "cell_type": "code",
            "source": source.splitlines(keepends=True),
            "metadata": {"tags": tags},
        }
        for source, tags in CELLS
    ]
    prose = {"cell_type": "markdown", "source": "check(this)", "metadata": {}}
    path.write_text(json.dumps({"cells": [prose, *cells]}))
    return path


def test_calls_are_counted_as_they_stand_in_the_code(notebook):
    found = counts(notebook)
    assert (found.checks, found.with_false_case, found.identities) == (6, 1, 1)
    assert (found.exact, found.controls) == (4, 2)


def test_a_bound_that_leaves_room_must_name_its_false_case(notebook):
    assert without_false_case(notebook) == [
        "check_at_least('gain', gains, 1)",
        "check('about', x, 1, atol=0.1)",
        "check_true('same', a == b)",
    ]


def test_the_digest_is_of_the_code_alone(notebook):
    assert name_of(notebook) == "chapter/01_toy"
    before = code_digest(notebook)
    notebook.write_text(notebook.read_text().replace("check(this)", "Other prose."))
    assert code_digest(notebook) == before
    setup = {"cell_type": "code", "source": "URL = 'x'", "metadata": {"tags": ["course-setup"]}}
    content = json.loads(notebook.read_text())
    content["cells"].insert(0, setup)
    notebook.write_text(json.dumps(content))
    assert code_digest(notebook) == before
    notebook.write_text(notebook.read_text().replace("'tokens'", "'bytes'"))
    assert code_digest(notebook) != before
