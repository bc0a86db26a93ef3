"""Every claim of a notebook is counted with moved seeds, also those after one that fails."""

import json

import pytest

from utils import records
from utils.book import seeds
from utils.book.conclusions import code_digest

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
    entry = found["notebooks"]["chapter/01_toy"]
    assert entry.pop("seconds") > 0
    assert entry == {"k": 2, "held": held, "errors": [], "code": code_digest(notebook)}
    told = capsys.readouterr().out
    assert "chapter/01_toy, seeds + 1000: 2 of 4 claims fail" in told
    drawn = [line for line in told.splitlines() if "never: claimed ≤ -1, measured" in line]
    assert len(set(drawn)) == 2  # other seeds, other numbers


def test_a_run_that_was_made_is_kept_and_shards_share_the_work(notebook, tmp_path, capsys):
    seeds.main(["--k", "3", "--shard", "2/2", str(notebook)])
    assert "no record yet" in capsys.readouterr().out
    assert [path.name for path in tmp_path.glob("?000.json")] == ["2000.json"]
    (tmp_path / "2000.json").write_text(json.dumps({"checks": [], "error": "kept", "seconds": 1}))
    seeds.main(["--k", "3", "--shard", "1/2", str(notebook)])
    found = records.load(tmp_path / "seeds.json").data["notebooks"]["chapter/01_toy"]
    assert found["errors"] == ["seeds + 2000: kept"]
    assert found["held"]["always"] == 2


def test_another_error_ends_the_run_and_is_told(notebook, tmp_path):
    written(notebook, [*CELLS[:3], "1 / 0", CELLS[4]])
    seeds.main(["--k", "1", str(notebook)])
    found = records.load(tmp_path / "seeds.json").data["notebooks"]["chapter/01_toy"]
    errors = ["seeds + 1000: ZeroDivisionError: division by zero"]
    assert (found["held"], found["errors"]) == ({"always": 1}, errors)


def test_the_record_keeps_what_it_tells_of_other_notebooks(notebook, tmp_path, monkeypatch):
    other = written(tmp_path / "chapter" / "02_other.ipynb", CELLS[:3])
    monkeypatch.setattr(seeds, "place", lambda path, i: tmp_path / f"{path.stem}-{i}.json")
    monkeypatch.setattr(seeds, "all_notebooks", lambda: [notebook, other])
    seeds.main(["--k", "1", str(other)])
    seeds.main(["--k", "2", str(notebook)])
    found = records.load(tmp_path / "seeds.json").data["notebooks"]
    assert {name: entry["k"] for name, entry in found.items()} == {
        "chapter/01_toy": 2,
        "chapter/02_other": 1,
    }
    # A notebook that left the course leaves the record too.
    monkeypatch.setattr(seeds, "all_notebooks", lambda: [notebook])
    seeds.main(["--k", "2", str(notebook)])
    assert set(records.load(tmp_path / "seeds.json").data["notebooks"]) == {"chapter/01_toy"}


def test_a_run_is_void_when_the_code_changes_and_not_when_the_prose_does(tmp_path):
    notebook = written(tmp_path / "chapter" / "01_toy.ipynb", CELLS)
    before = seeds.place(notebook, 1000)
    cells = json.loads(notebook.read_text())["cells"]
    cells.append({"cell_type": "markdown", "source": ["A sentence", " more."]})
    notebook.write_text(json.dumps({"cells": cells}))
    assert seeds.place(notebook, 1000) == before
    written(notebook, [*CELLS, "1 + 1"])
    assert seeds.place(notebook, 1000) != before


def test_only_the_runs_are_made_where_no_record_is_wanted(notebook, tmp_path):
    seeds.main(["--k", "1", "--no-record", str(notebook)])
    assert (tmp_path / "1000.json").exists()
    assert not (tmp_path / "seeds.json").exists()


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
