"""The table of rehearsals shows what passed, what failed, and what was not run."""

from __future__ import annotations

import json

from rehearsal_table import HEAD, table

from utils.book.conclusions import code_digest


def notebook(folder, name):
    path = folder / "notebooks" / "chapter" / f"{name}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    title = {"cell_type": "markdown", "metadata": {}, "source": f"# {name}"}
    code = {"cell_type": "code", "metadata": {}, "source": f"check('{name}', 1, 1)"}
    path.write_text(json.dumps({"cells": [title, code]}))
    return path


def test_a_row_for_each_notebook(tmp_path):
    paths = [notebook(tmp_path, name) for name in ("01_a", "02_b", "03_c")]
    passed = {"seconds": 30.2, "error": None, "code": code_digest(paths[0])}
    passed |= {"conclusions": 7, "widgets": 2}
    failed = {"error": "AssertionError: a | b", "code": code_digest(paths[1])}
    runs = {"chapter/01_a": {"cpu": passed}, "chapter/02_b": {"cpu": passed, "colab": failed}}
    (tmp_path / "book").mkdir()
    data = {"notebooks": runs}
    counted, _, head, _, *rows = table(data, paths, tmp_path / "book").splitlines()
    assert counted == "2 of 2 notebooks passed at the small scale and 0 of 1 at Colab's."
    assert head == HEAD
    assert rows[0].endswith("| 30 | – | 7 | 2 |")
    assert "| 30, before its last change | AssertionError: a " in rows[1]
    assert rows[2].endswith("| – | – | – | – |")
    assert len({row.replace("\\|", "").count("|") for row in rows}) == 1
