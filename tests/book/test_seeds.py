"""Every claim of a notebook is counted with moved seeds, also those after one that fails."""

import json

import pytest

from utils import records
from utils.book import seeds

CELLS = [
    "from utils.checks import check_at_most, check_true\nfrom utils.runtime import generator",
    "drawn = generator(0).integers(10**6)",
    "check_true('always', True)",
    "check_at_most('never', drawn, -1)",
    "for i in range(2):\n    check_at_most('twice', i, 0)",
]


@pytest.fixture
def notebook(tmp_path, monkeypatch):
    """A notebook whose runs and record lie in a folder of their own."""
    monkeypatch.setattr(seeds, "place", lambda path, offset: tmp_path / f"{offset}.json")
    monkeypatch.setattr(seeds, "RECORD", tmp_path / "seeds.json")
    return written(tmp_path / "chapter" / "01_toy.ipynb", CELLS)


def written(path, cells):
    path.parent.mkdir(exist_ok=True)
    content = [{"cell_type": "code", "source": source} for source in cells]
    path.write_text(json.dumps({"cells": content}))
    return path


def test_each_claim_is_counted_over_all_runs(notebook, tmp_path, capsys):
    seeds.main(["--k", "2", str(notebook)])
    found = records.load(tmp_path / "seeds.json").data
    held = {"always": 2, "never": 0, "twice": 2, "twice (2)": 0}
    assert found == {"k": 2, "notebooks": {"chapter/01_toy": {"held": held, "errors": []}}}
    told = capsys.readouterr().out
    assert "chapter/01_toy, seeds + 1000: 2 of 4 claims fail" in told
    drawn = [line for line in told.splitlines() if "never: claimed ≤ -1, measured" in line]
    assert len(set(drawn)) == 2  # other seeds, other numbers


def test_a_run_that_was_made_is_kept_and_shards_share_the_work(notebook, tmp_path, capsys):
    seeds.main(["--k", "3", "--shard", "2/2", str(notebook)])
    assert "no record yet" in capsys.readouterr().out
    assert [path.name for path in tmp_path.glob("?000.json")] == ["2000.json"]
    (tmp_path / "2000.json").write_text(json.dumps({"checks": [], "error": "kept"}))
    seeds.main(["--k", "3", "--shard", "1/2", str(notebook)])
    found = records.load(tmp_path / "seeds.json").data["notebooks"]["chapter/01_toy"]
    assert found["errors"] == ["seeds + 2000: kept"]
    assert found["held"]["always"] == 2


def test_another_error_ends_the_run_and_is_told(notebook, tmp_path):
    written(notebook, [*CELLS[:3], "1 / 0", CELLS[4]])
    seeds.main(["--k", "1", str(notebook)])
    found = records.load(tmp_path / "seeds.json").data["notebooks"]["chapter/01_toy"]
    errors = ["seeds + 1000: ZeroDivisionError: division by zero"]
    assert found == {"held": {"always": 1}, "errors": errors}


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--k", "0"], "k must be a whole number of at least 1, got 0"),
        (["--shard", "3/2"], "shard must be such as 2/3, got '3/2'"),
        (["none.ipynb"], "NOTEBOOK must be a file, got '.*none.ipynb'"),
    ],
)
def test_what_cannot_be_run_is_refused(arguments, line):
    with pytest.raises(SystemExit, match=f"^{line}$"):
        seeds.main(arguments)
