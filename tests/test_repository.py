"""Setting the repository's address changes every place it stands, and can be undone."""

import json
import shutil

import pytest

from utils.repository import ROOT, set_repository


@pytest.fixture
def copy(tmp_path):
    shutil.copy(ROOT / "_config.yml", tmp_path)
    (tmp_path / "notebooks").mkdir()
    shutil.copy(ROOT / "notebooks" / "setup_cell.py", tmp_path / "notebooks")
    source = ROOT / "notebooks" / "double_descent" / "01_closed_form.ipynb"
    shutil.copy(source, tmp_path / "notebooks")
    return tmp_path


def test_round_trip_leaves_every_byte_as_it_was(copy):
    before = {p: p.read_bytes() for p in copy.rglob("*") if p.is_file()}
    changed = set_repository("https://example.org/someone/course.git", copy)
    assert len(changed) == 3
    notebook = json.loads((copy / "notebooks" / "01_closed_form.ipynb").read_text())
    setup = next(c for c in notebook["cells"] if "course-setup" in c["metadata"].get("tags", []))
    assert '"COURSE_REPO", "https://example.org/someone/course")' in "".join(setup["source"])
    assert '  url: "https://example.org/someone/course"' in (copy / "_config.yml").read_text()
    set_repository("", copy)
    assert {p: p.read_bytes() for p in before} == before


@pytest.mark.parametrize("url", ["example.org/a/b", "https://example.org/a", "https://example.org/a/b?x=1"])
def test_what_is_no_address_is_refused(copy, url):
    with pytest.raises(ValueError, match="URL must be https://host/owner/name, or empty"):
        set_repository(url, copy)
