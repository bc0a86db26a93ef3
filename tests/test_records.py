"""Records keep their provenance, are written whole or not at all, and damaged ones are refused."""

import json
import re
import time

import numpy as np
import pytest

from utils import files, records
from utils.book import notebooks


def test_a_record_comes_back_with_its_provenance(tmp_path):
    path = tmp_path / "run.json"
    records.save(
        path, {"curve": np.array([0.5, 0.25])}, started=time.time(), seeds=[0, 1], archive="abc"
    )
    record = records.load(path)
    assert record.data == {"curve": [0.5, 0.25]}
    assert record.provenance["seeds"] == [0, 1]
    assert record.provenance["archive"] == "abc"
    assert "torch" in record.line()


def test_a_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "run.json"
    records.save(path, {"x": 1}, started=time.time())
    before = path.read_bytes()
    monkeypatch.setattr(
        files.os, "replace", lambda *a: (_ for _ in ()).throw(OSError(28, "No space left"))
    )
    with pytest.raises(OSError, match="No space left"):
        records.save(path, {"x": 2}, started=time.time())
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_a_record_is_refused(tmp_path):
    with pytest.raises(ValueError, match="data must be at most 300000 bytes"):
        records.save(tmp_path / "r.json", {"x": np.zeros(100_000)}, started=time.time())
    with pytest.raises(ValueError, match="name must be chapter/name, got '../x'"):
        records.path_of("../x")
    for name in ("", ".", "/x", 3, None):
        with pytest.raises(ValueError, match="^name must be chapter/name, got"):
            records.path_of(name)


def _nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("data", "message"),
    [
        # what a reader would refuse
        ([1], "data must be a dictionary, got [1]"),
        (None, "data must be a dictionary, got None"),
        (np.zeros(3), "data must be a dictionary, got an array of shape (3,)"),
        # numbers that JSON does not have, with their place
        ({"x": float("nan")}, "data.x must be a finite number, got nan"),
        (
            {"runs": [{}, {}, {}, {"loss": -np.inf}]},
            "data.runs[3].loss must be a finite number, got -inf",
        ),
        (
            {"runs": {8: (0.5, np.array([[0.0, 1.0], [np.nan, 0.0]]))}},
            "data.runs.8[1][1][0] must be a finite number, got nan",
        ),
        ({"x": np.float32("inf")}, "data.x must be a finite number, got inf"),
        # other things that it does not have
        ({"x": [{1}]}, "data.x[0] must be a number, a string, a list or a dictionary, got {1}"),
        ({"x": 1j}, "data.x must be a number, a string, a list or a dictionary, got 1j"),
        ({"x": 10**5000}, "data.x must be a whole number of at most 4300 digits, got 'more'"),
        ({"when": np.array(["2026-01-31"], "M8[ns]")}, "data.when must be free of dates and times"),
        ({"x": [np.timedelta64(1, "ns")]}, "data.x[0] must be free of dates and times (store"),
        (
            {"x": {np.datetime64(1, "ns"): 0}},
            "key of data.x must be free of dates and times (store",
        ),
        # half characters, of which JSON makes a whole one where two meet
        ({"x": ["\ud83d\ude00"]}, "data.x[0] must be text without half a character"),
        ({"x": {"\ud83d\ude00": 0}}, "key of data.x must be text without half a character"),
        # keys become strings, and must not meet there
        ({"x": {10**5000: 0}}, "key of data.x must be a whole number of at most 4300 digits, got"),
        (
            {"x": {1: "a", "1": "b"}},
            "data.x must be a dictionary whose keys differ as text, got '1'",
        ),
        ({"x": {True: 0, "true": 1}}, "data.x must be a dictionary whose keys differ as text, got"),
        ({"x": {(1, 2): 0}}, "key of data.x must be a string or a number, got (1, 2)"),
        ({"x": {float("nan"): 0}}, "key of data.x must be a string or a finite number, got nan"),
        ({"x": _nested(100_000)}, "data must be at most some hundred lists and dictionaries deep"),
    ],
)
def test_what_is_no_record_is_refused_with_its_place(tmp_path, data, message):
    path = tmp_path / "r.json"
    records.save(path, {"x": 1}, started=time.time())
    with pytest.raises(ValueError, match=f"^{re.escape(message)}") as error:
        records.save(path, data, started=time.time())
    assert "\n" not in str(error.value)
    assert records.load(path).data == {"x": 1}


def test_a_note_is_checked_too_and_replaces_nothing_of_the_provenance(tmp_path):
    path = tmp_path / "r.json"
    with pytest.raises(ValueError, match=r"^provenance\.rate must be a finite number, got nan"):
        records.save(path, {}, started=time.time(), rate=float("nan"))
    with pytest.raises(ValueError, match="^notes must be names other than .*, got 'versions'"):
        records.save(path, {}, started=time.time(), versions="1.0")
    assert not path.exists()


@pytest.mark.parametrize(
    ("provenance", "message"),
    [
        ({"flops": 10**400}, "flops must be a number in [0, inf) and within ±1.8e308, got 1000"),
        ({"flops": -1.0}, "flops must be a number in [0, inf), got -1.0"),
        ({"flops": "many"}, "flops must be a number in [0, inf), got 'many'"),
        ({"seeds": 3}, "seeds must be a list of whole numbers, got 3"),
        ({"seeds": [0, 0.5]}, "seeds must be a whole number of at least 0, got 0.5"),
    ],
)
def test_provenance_that_no_line_could_tell_is_refused(tmp_path, provenance, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        records.save(tmp_path / "r.json", {}, started=time.time(), **provenance)
    assert list(tmp_path.iterdir()) == []


def test_what_is_saved_comes_back_with_its_keys_as_text(tmp_path):
    path = tmp_path / "r.json"
    data = {"a": {1: 2, 0.5: None, False: [np.int64(3)], None: "é", np.int64(7): (1, 2)}, "e": {}}
    records.save(path, data, started=time.time())
    as_text = {"1": 2, "0.5": None, "false": [3], "null": "é", "7": [1, 2]}
    assert records.load(path).data == {"a": as_text, "e": {}}
    records.write_json(path, [1.5, [], "x"])
    assert json.loads(path.read_text()) == [1.5, [], "x"]
    with pytest.raises(ValueError, match=r"^content\[1\] must be a finite number, got nan"):
        records.write_json(path, [1.5, float("nan")])


def test_the_limit_is_that_of_the_file(tmp_path):
    path = tmp_path / "r.json"
    records.save(path, {"x": [0] * 45_000}, started=time.time())
    assert 250_000 < path.stat().st_size <= records.MAX_BYTES
    with pytest.raises(ValueError, match="data must be at most 300000 bytes as JSON, got 8"):
        records.save(path, {"x": [[0]] * 50_000}, started=time.time())  # 250 kB without indentation


@pytest.mark.parametrize(
    "content",
    [b'{"data": {}', b"\xff\xfe", b"[]", b"[" * 100_000, b'{"data": 1, "provenance": 2}', b"{}"],
)
def test_a_corrupt_record_or_notebook_is_one_clear_line(tmp_path, content, capsys):
    path = tmp_path / "r.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"r\.json is not a readable record") as error:
        records.load(path)
    assert "\n" not in str(error.value)
    with pytest.raises(SystemExit):
        notebooks.main(["run", str(path)])
    assert (
        "error: notebook must be a Jupyter notebook (.ipynb), got 'r.json'"
        in capsys.readouterr().err
    )


def test_a_place_that_cannot_be_written_is_told_beforehand(tmp_path, monkeypatch):
    records.require_writable(tmp_path / "new" / "r.json")
    assert list((tmp_path / "new").iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(
        OSError, match="^out must be a file that can be written, got .*Not a directory|exists"
    ):
        records.require_writable(tmp_path / "file" / "r.json")
    with pytest.raises(ValueError, match="^out must be a file, not a folder"):
        records.require_writable(tmp_path)
    with monkeypatch.context() as patch:
        patch.setenv("COURSE_DEVICE", "gpu")
        with pytest.raises(ValueError, match="^COURSE_DEVICE must be"):
            records.require_writable(tmp_path / "r.json")
    monkeypatch.setenv("COURSE_SCALE", "huge")
    with pytest.raises(ValueError, match="^COURSE_SCALE must be"):
        records.require_writable(tmp_path / "r.json")


def test_missing_and_corrupt_records(tmp_path):
    assert records.find("double_descent/never_made") is None
    with pytest.raises(FileNotFoundError, match="has not been made yet"):
        records.load("double_descent/never_made")
    (tmp_path / "r.json").write_text('{"data": {}')
    with pytest.raises(ValueError, match="is not a readable record"):
        records.load(tmp_path / "r.json")


def test_run_executes_code_cells_in_order_and_in_the_notebooks_folder(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("COURSE_SCALE", "cpu")  # restored afterwards: main() sets it
    cells = [
        {"cell_type": "code", "source": ["x = 2\n", "import os"]},
        {"cell_type": "markdown", "source": ["x = 3"]},
        {"cell_type": "code", "source": ["print(x, os.getcwd(), os.environ['COURSE_SCALE'])"]},
    ]
    (tmp_path / "n.ipynb").write_text(json.dumps({"cells": cells}))
    notebooks.main(["run", str(tmp_path / "n.ipynb"), "--scale", "colab"])
    assert capsys.readouterr().out.split() == ["2", str(tmp_path.resolve()), "colab"]
