"""Records keep their provenance, are written whole or not at all, and damaged ones are refused."""

import json
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
    with pytest.raises(ValueError, match="not JSON compliant"):
        records.save(tmp_path / "r.json", {"x": float("nan")}, started=time.time())
    with pytest.raises(TypeError, match="not set"):
        records.save(tmp_path / "r.json", {"x": {1}}, started=time.time())
    with pytest.raises(ValueError, match="name must be chapter/name, got '../x'"):
        records.path_of("../x")
    for name in ("", ".", "/x", 3, None):
        with pytest.raises(ValueError, match="^name must be chapter/name, got"):
            records.path_of(name)


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
