"""An environment as near to Colab's as it comes: the nearest version, and what is left out."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.processes import require_ended
from utils.book import freeze
from utils.book.freeze import add_front_end, build, installed, put_back, read

# A Python that makes environments in no time, and whose pip prints what a file "freeze" holds.
PYTHON = """#!/bin/sh
here="{here}"
case "$*" in
  --version) echo "Python {version}" ;;
  "-m venv "*) mkdir -p "$3/bin" && touch "$3/pyvenv.cfg" && cp "$0" "$3/bin/python" ;;
  "-m pip freeze "*) cat "$here/freeze" || exit 1 ;;
  "-m pip "*)
    echo "$*" >> "$here/asked"
    [ "$4" = --quiet ] && [ "$5" = uv ] && cp "$here/uv" "$(dirname "$0")/uv"
    exit 0 ;;
  *) echo "a-package@1 requirejs@2" ;;
esac
"""
# An installer that writes down what it was asked for, and fails for what a file "fails" names.
UV = """#!/bin/sh
here="{here}"
for last; do :; done
shift 5
echo "$*" >> "$here/asked"
if grep -qxF "$last" "$here/slow"; then sleep 600 & echo $! > "$here/pid"; wait; fi
if grep -qxF "$last" "$here/fails"; then echo "no wheel" >&2; exit 1; fi
"""
LIST = """
numpy==2.1.3
nvidia-nccl-cu13==2.31.2
old-tool==1.0
torch @ https://download.pytorch.org/whl/cpu/torch-2.11.0%2Bcpu-cp313-cp313-linux_x86_64.whl
google-colab @ file:///colabtools/dist/google_colab-1.0.0.tar.gz
"""


@pytest.fixture
def python(tmp_path, monkeypatch) -> Path:
    """The Python that makes environments of the list above."""
    monkeypatch.setattr(freeze, "colab_freeze", lambda: read(LIST))
    return fake_python(tmp_path, "3.13.5")


def fake_python(folder: Path, version: str) -> Path:
    for name, text in (("python", PYTHON), ("uv", UV)):
        (folder / name).write_text(text.format(here=folder, version=version))
        (folder / name).chmod(0o755)
    for name in ("asked", "fails", "slow"):
        (folder / name).touch()
    return folder / "python"


def asked(folder: Path) -> list[str]:
    return (folder / "asked").read_text().splitlines()


def test_pytorch_comes_first_and_brings_its_own_cuda(tmp_path, python, capsys):
    build(tmp_path / "venv", str(python))
    assert asked(tmp_path) == [
        "-m pip install --quiet uv",
        "torch==2.11.0",  # with what it needs; the others are all in the list
        "--no-deps numpy==2.1.3",
        "--no-deps old-tool==1.0",
    ]
    said = capsys.readouterr().out
    assert (
        said == "google-colab: left out, it is file:///colabtools/dist/google_colab-1.0.0.tar.gz\n"
    )


@pytest.mark.parametrize(
    ("fails", "last", "said"),
    [
        (["old-tool==1.0"], "old-tool>1.0", "old-tool 1.0: no wheel\n"),
        (["old-tool==1.0", "old-tool>1.0"], "old-tool<1.0", "old-tool 1.0: no wheel\n"),
        (
            ["old-tool==1.0", "old-tool>1.0", "old-tool<1.0"],
            "old-tool<1.0",
            "old-tool 1.0: no wheel\nold-tool 1.0: left out, nothing installs\n",
        ),
    ],
)
def test_what_does_not_install_is_replaced_by_the_nearest(
    tmp_path, python, capsys, fails, last, said
):
    (tmp_path / "fails").write_text("\n".join(fails))
    build(tmp_path / "venv", str(python))
    assert asked(tmp_path)[-1].endswith(last)
    assert capsys.readouterr().out.endswith(said)


def test_what_takes_too_long_to_build_is_given_up_with_its_compilers(
    tmp_path, python, monkeypatch, capsys
):
    monkeypatch.setattr(freeze, "BUILD_SECONDS", 1)
    (tmp_path / "slow").write_text("old-tool==1.0\n")
    build(tmp_path / "venv", str(python))
    assert "old-tool 1.0: not installed within 1 s\n" in capsys.readouterr().out
    require_ended(int((tmp_path / "pid").read_text()))


def test_another_python_and_another_folder_are_refused(tmp_path, python):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.tex").touch()
    line = "^FOLDER must be an environment, or a folder that is not there yet, got '.*home'$"
    with pytest.raises(ValueError, match=line):
        build(tmp_path / "home", str(python))
    (tmp_path / "older").mkdir()
    older = fake_python(tmp_path / "older", "3.11.7")
    with pytest.raises(ValueError, match=r"^python must be Python 3\.13, got '3\.11\.7'$"):
        build(tmp_path / "venv", str(older))
    assert not (tmp_path / "venv").exists()


def test_what_pip_says_is_read_and_its_failure_is_one_line(tmp_path, python):
    with pytest.raises(ChildProcessError, match="^pip freeze of .*python failed: cat: "):
        installed(python)
    (tmp_path / "freeze").write_text("numpy==2.1.3\n")
    assert installed(python) == read("numpy==2.1.3")


def test_changed_packages_are_put_back(tmp_path, python):
    put_back(python, read("kept==1\nmoved==1\ngone==1"), read("kept==1\nmoved==2\nnew==1"))
    assert asked(tmp_path) == [
        "-m pip uninstall --quiet --yes new",
        "-m pip install --quiet --no-deps moved==1",
        "-m pip install --quiet --no-deps gone==1",
    ]


def test_the_front_end_is_what_the_environment_names(tmp_path, python, monkeypatch):
    build(tmp_path / "venv", str(python))
    npm = tmp_path / "npm"
    npm.write_text(f'#!/bin/sh\necho "$*" > {tmp_path}/npm-asked\n')
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    add_front_end(tmp_path / "venv")
    words = (tmp_path / "npm-asked").read_text().split()
    assert words[0] == "install"
    assert words[-4:] == ["--prefix", str(tmp_path / "venv/npm"), "a-package@1", "requirejs@2"]
    monkeypatch.setenv("PATH", str(Path(sys.prefix) / "nothing"))
    with pytest.raises(ChildProcessError, match="there is no npm$"):
        add_front_end(tmp_path / "venv")
