"""Notebooks are executed at a larger scale; what fails is told, and the others still run."""

import json

import pytest

from utils.book import scales

CELL = "from utils.runtime import at_scale\nassert at_scale(cpu=1, colab={}) == 2, 'wrong scale'"


def written(folder, name, colab):
    path = folder / "chapter" / name
    path.parent.mkdir(exist_ok=True)
    cell = {"cell_type": "code", "source": CELL.format(colab)}
    path.write_text(json.dumps({"cells": [cell]}))
    return path


def test_every_notebook_runs_and_the_failed_ones_are_named(tmp_path, capsys):
    bad = written(tmp_path, "01_bad.ipynb", 3)
    good = written(tmp_path, "02_good.ipynb", 2)
    with pytest.raises(SystemExit, match="^failed at the colab scale: chapter/01_bad$"):
        scales.main([str(bad), str(good)])
    bad_line, good_line = capsys.readouterr().out.splitlines()
    assert bad_line.startswith("chapter/01_bad: ")
    assert bad_line.endswith(" s, AssertionError: wrong scale")
    assert good_line.endswith(" s, all conclusions hold")


def test_a_shard_is_a_part(tmp_path, capsys):
    bad = written(tmp_path, "01_bad.ipynb", 3)
    good = written(tmp_path, "02_good.ipynb", 2)
    scales.main(["--shard", "2/2", str(bad), str(good)])
    assert capsys.readouterr().out.startswith("chapter/02_good")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--shard", "0/2"], "shard must be such as 2/3, got '0/2'"),
        (["none.ipynb"], "NOTEBOOK must be a file, got '.*none.ipynb'"),
    ],
)
def test_what_cannot_be_run_is_refused(arguments, line):
    with pytest.raises(SystemExit, match=f"^{line}$"):
        scales.main(arguments)
