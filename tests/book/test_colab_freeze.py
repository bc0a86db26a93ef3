"""What a notebook asks for, Colab has: pip changes nothing there, so no restart is asked for."""

from __future__ import annotations

import pytest

from tests.imports import ROOT
from utils import records
from utils.book.freeze import colab_freeze, compare, lines, needs, read, unmet

ASKED = lines(ROOT / "requirements-notebooks.txt")
COLAB = colab_freeze()
# What Colab has left out of its own IPython, so that pip adds it there, and changes nothing else.
LACKING = {"ipython": "jedi must be >=0.16, Colab has none"}


# ---- what the course asks for --------------------------------------------------------------------


@pytest.mark.parametrize("requirement", ASKED)
def test_colab_has_what_a_notebook_asks_for(requirement):
    assert unmet(requirement, COLAB) == ""


def test_colab_has_what_these_packages_need_in_turn():
    """As the packages themselves said it in the rehearsal, in the versions that Colab has."""
    told = records.load("colab/rehearsal").data["environment"]["needs"]
    assert {"torch", "transformers", "anywidget", "psygnal"} <= told.keys()
    faults = {}
    for name, package in told.items():
        assert package["version"] == COLAB[name].version, f"{name}: rehearse again"
        for requirement in package["requires"]:
            fault = unmet(requirement, COLAB)
            if fault:
                faults[name] = fault
    assert faults == LACKING


@pytest.mark.parametrize(
    ("requirement", "fault"),
    [
        ("ipywidgets>=8,<9", "ipywidgets must be <9,>=8, Colab has 7.7.1"),
        ("matplotlib>=3.11", "matplotlib must be >=3.11, Colab has 3.10.0"),
        ("torch>=2.12", "torch must be >=2.12, Colab has 2.11.0"),
        ("myst-nb", "myst-nb must be any version, Colab has none"),
        ("colorama; platform_system == 'Windows'", ""),
    ],
)
def test_another_range_would_be_noticed(requirement, fault):
    assert unmet(requirement, COLAB) == fault


# ---- reading the list ----------------------------------------------------------------------------


def test_every_line_of_the_list_is_understood():
    text = (ROOT / "records" / "colab" / "pip_freeze.txt").read_text(encoding="utf-8")
    packages = [line for line in text.splitlines() if not line.startswith("#")]
    assert len(COLAB) == len(packages) > 600


@pytest.mark.parametrize(
    ("line", "version", "public"),
    [
        ("torch==2.11.0+cu130", "2.11.0", True),
        (
            "torch @ https://download.pytorch.org/whl/torch-2.11.0%2Bcpu-cp313-cp313-l.whl",
            "2.11.0",
            True,
        ),
        ("some-tool @ file:///dist/some_tool-1.0.0.tar.gz", "1.0.0", False),
        ("some-tool @ git+https://github.com/some/tool@b134e9945df25c2d", "", False),
    ],
)
def test_a_line_tells_its_version_and_whether_anybody_can_have_it(line, version, public):
    [package] = read(line).values()
    assert (package.version, package.public) == (version, public)


def test_what_is_no_line_of_a_freeze_is_refused():
    line = "^a line of the freeze must be name==version or name @ address, got 'numpy>=2'$"
    with pytest.raises(ValueError, match=line):
        read("# a comment\n\nnumpy>=2")


def test_a_difference_is_one_of_three_kinds():
    before = read("Same.One==1.0\nmoved==1.0\ngone @ file:///dist/gone-2.0.tar.gz")
    after = read("same-one==1.0+cpu\nmoved==1.1\nnew==3.0")
    assert compare(before, after) == {
        "replaced": {"moved": "1.0 → 1.1"},
        "left_out": {"gone": "2.0"},
        "added": {"new": "3.0"},
    }


def test_what_packages_need_is_followed_to_its_end(tmp_path):
    for name, version, requires in (
        ("First", "1.0", ["second>=2", "nvidia-cublas", "third; sys_platform == 'win32'"]),
        ("second", "2.5", []),
        ("third", "1.0", []),
    ):
        info = tmp_path / "lib" / "python3.13" / "site-packages" / f"{name}-{version}.dist-info"
        info.mkdir(parents=True)
        head = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        (info / "METADATA").write_text(head + "".join(f"Requires-Dist: {r}\n" for r in requires))
    assert needs(tmp_path / "bin" / "python", ["first>=1"]) == {
        "first": {"version": "1.0", "requires": ["second>=2"]},
        "second": {"version": "2.5", "requires": []},
    }
