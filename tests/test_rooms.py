"""The rooms of ``utils/`` import in one direction, their doors open, and the old names answer."""

from __future__ import annotations

import ast
import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import utils
from tests.imports import ROOT, commands, cycle, dotted, executed, file_of, files, imports, parsed
from utils import moved

LIBRARY = files("utils")
EXPERIMENTS = files("experiments")
COURSE = files("utils", "experiments", "benchmarks", "book")
DOORS = [path for path in LIBRARY if "= exports(" in (ROOT / path).read_text(encoding="utf-8")]
DOORS.remove(Path("utils/lazy.py"))  # where an example of one stands
LARGEST = 400


def room(path: Path) -> str:
    """``utils/models/gpt.py`` is in the room "models", ``utils/plots.py`` is the room "plots"."""
    return path.parts[1].removesuffix(".py")


# ---- the direction of imports --------------------------------------------------------------------


def test_every_room_is_in_the_list():
    found = {room(path) for path in LIBRARY} - {"__init__"}
    assert found == set(utils.ROOMS), "name each room in utils/__init__.py"


def test_the_tests_have_the_same_rooms():
    folders = {room(path) for path in LIBRARY if len(path.parts) > 2}
    tested = {path.parts[1] for path in files("tests") if path.name.startswith("test_")}
    assert folders <= tested, "the tests of a room stand in the folder of its name"


def test_every_explorer_has_tests_in_python_and_javascript():
    explorers = {path.parent.name for path in (ROOT / "utils" / "widgets").glob("*/widget.mjs")}
    scripts = list((ROOT / "tests" / "widgets").glob("*/*.test.mjs"))
    assert explorers == {script.parent.name for script in scripts}
    # Node runs a script when a test in Python says so: tests/node.py.
    python = "".join((ROOT / path).read_text(encoding="utf-8") for path in files("tests"))
    for script in scripts:
        assert f'node("{script.parent.name}/{script.name}"' in python, f"nothing runs {script}"


def test_every_experiment_is_tested():
    tested = {imported for path in files("tests") for imported in imports(path)}
    assert set(commands("experiments")) - tested == set()


def test_a_room_imports_only_earlier_ones():
    position = {name: place for place, name in enumerate(utils.ROOMS)}
    wrong = []
    for path in LIBRARY:
        if path == Path("utils/__init__.py"):
            continue
        for imported in imports(path):
            earlier = position.get(room(imported), len(position)) <= position[room(path)]
            if imported.parts[0] != "utils" or not earlier:
                wrong.append(f"{path} imports {imported}")
    assert wrong == []


def test_no_files_import_one_another_in_a_circle():
    graph = {path: imports(path) for path in LIBRARY + EXPERIMENTS}
    assert cycle(graph) == []


def test_a_chapters_experiments_share_only_what_stands_above_the_chapters():
    wrong = []
    for path in EXPERIMENTS:
        for imported in imports(path):
            shared = imported.parts[0] == "utils" or imported.parent == Path("experiments")
            if not shared and imported.parent != path.parent:
                wrong.append(f"{path} imports {imported}")
    assert wrong == []


def test_the_books_extension_imports_only_the_library():
    for path in files("book/_ext"):
        assert {imported.parts[0] for imported in imports(path)} <= {"utils"}, path


def test_only_benchmarks_import_what_belongs_to_the_tests():
    wrong = []
    for path in COURSE:
        for imported in imports(path):
            if imported.parts[0] == "tests" and path.parts[0] != "benchmarks":
                wrong.append(f"{path} imports {imported}")
    assert wrong == []


def test_the_library_imports_from_files_and_leaves_the_doors_to_its_readers():
    wrong = []
    for path in LIBRARY + EXPERIMENTS:
        for imported in imports(path):
            if imported in DOORS:
                wrong.append(f"{path} imports {imported}")
    assert wrong == []


def test_a_circle_and_a_hidden_import_are_found():
    a, b, c = Path("a"), Path("b"), Path("c")
    assert cycle({a: [b, c], b: [c], c: []}) == []
    assert cycle({a: [b], b: [c], c: [b]}) == [b, c, b]
    source = "if TYPE_CHECKING:\n    import x\ndef f():\n    import y\n"
    found = [node for node in executed(ast.parse(source)) if isinstance(node, ast.Import)]
    assert [ast.unparse(node) for node in found] == ["import y"]


# ---- doors ---------------------------------------------------------------------------------------


def test_every_folder_of_subjects_has_a_door():
    folders = {room(path) for path in LIBRARY if len(path.parts) > 2}
    assert {room(path) for path in DOORS} == folders - {"book"}  # the book's are commands


@pytest.mark.parametrize("path", DOORS, ids=str)
def test_a_door_lists_names_that_exist(path):
    door = importlib.import_module(dotted(path))
    assert door.__all__ == dir(door)
    for name in door.__all__:
        assert getattr(door, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = door.nothing


@pytest.mark.parametrize("path", DOORS, ids=str)
def test_no_name_at_a_door_is_that_of_a_file_behind_it(path):
    """Whoever imports such a file makes its module the door's attribute, in the name's place."""
    files_behind = {file.stem for file in (ROOT / path).parent.glob("*.py")}
    assert files_behind & set(importlib.import_module(dotted(path)).__all__) == set()


def test_the_doors_that_the_course_shows_first():
    from utils import sampling
    from utils.models import GPT, GPTConfig
    from utils.sampling import Pipeline, generate
    from utils.training import TrainConfig, train

    assert sampling.generate is generate
    assert GPT.__module__.startswith("utils.models.")
    assert GPTConfig.__module__.startswith("utils.models.")
    assert Pipeline.__module__.startswith("utils.sampling.")
    assert train.__module__.startswith("utils.training.")
    assert TrainConfig.__module__.startswith("utils.training.")


# ---- without NumPy and torch ---------------------------------------------------------------------

# Building the book (requirements-book.txt) installs none of these. Widgets in notebooks, which
# only do without torch, are looked at in tests/widgets/test_without_torch.py.
NOT_FOR_THE_BOOK = ("torch", "numpy", "transformers", "safetensors", "matplotlib", "anywidget")


def test_building_the_book_needs_no_numpy_and_no_torch():
    tools = ["utils.files", "utils.runtime", "utils.records", "utils.widgets.shared.bundle"]
    doors = [dotted(path) for path in DOORS]
    book = [dotted(path) for path in LIBRARY if room(path) == "book"]
    # The tables that a page's JavaScript gets, such as the sampling settings and the budget.
    tables = [dotted(path) for path in LIBRARY if "\ndef page_data(" in (ROOT / path).read_text()]
    assert {"utils.sampling.settings", "utils.models.budget"} <= set(tables)
    extension = [path.stem for path in files("book/_ext")]

    modules = [*tools, *doors, *book, *tables, *extension]
    block = f"import sys; sys.modules.update(dict.fromkeys({NOT_FOR_THE_BOOK!r}))"
    code = "\n".join([block, *(f"import {module}" for module in modules)])
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "book" / "_ext")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


# ---- old names -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (["utils.course_model", "train"], "experiments.course_gpt.train"),
        (["utils.course_card"], "experiments.course_gpt.card"),
        (["utils.cnn_sweep"], "experiments.double_descent.cnn_sweep"),
        (["utils.cnn_dynamics"], "experiments.implicit_regularization.cnn_dynamics"),
        (["utils.notebooks"], "utils.book.notebooks refresh"),
        (["utils.repository"], "utils.book.repository"),
        (["utils.records", "run", "x.ipynb"], "utils.book.notebooks run"),
        (["utils.widgets.sampling_data"], "experiments.sampling.explorer_data"),
    ],
    ids=lambda old: old if isinstance(old, str) else old[0],
)
def test_an_old_command_fails_with_one_line_that_names_the_new_one(old, new):
    done = subprocess.run(
        [sys.executable, "-m", *old], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.endswith(f" is now `python -m {new}`\n")
    assert file_of(new.split()[0]).name, "the new command exists"


@pytest.mark.parametrize("old", moved.MODULES)
def test_an_old_import_names_the_new_room(old):
    assert file_of(old) == Path(), "an old name must not hide a room"
    with pytest.raises(ModuleNotFoundError, match=f"^what {old} held is now in ") as error:
        importlib.import_module(old)
    for new in re.findall(r"(?:utils|experiments)\.[\w.]+", moved.MODULES[old]):
        assert file_of(new).name, f"{error.value}, but there is none"


def test_other_names_are_missing_as_ever():
    with pytest.raises(ModuleNotFoundError, match=r"^No module named 'utils\.nothing'$"):
        importlib.import_module("utils.nothing")
    with pytest.raises(ImportError, match=r"^what utils\.gpt held is now in utils\.models$"):
        exec("from utils import gpt")


# ---- what no file may do -------------------------------------------------------------------------


@pytest.mark.parametrize("path", LIBRARY + EXPERIMENTS, ids=str)
def test_nothing_can_load_a_pickle(path):
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = {alias.name for alias in node.names} | {getattr(node, "module", None)}
            assert not names & {"pickle", "joblib", "dill", "cloudpickle"}
        if isinstance(node, ast.Call):
            assert ast.unparse(node.func) != "torch.load"
            for keyword in node.keywords:
                if keyword.arg == "allow_pickle":
                    assert ast.unparse(keyword.value) == "False"


def test_every_random_generator_comes_from_one_place():
    makers = {"default_rng", "manual_seed", "manual_seed_all", "seed", "RandomState"}
    wrong = []
    for path in LIBRARY + EXPERIMENTS:
        for node in ast.walk(parsed(path)):
            called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            if called.split(".")[-1] in makers or called == "torch.Generator":
                wrong.append(f"{path}: {called}")
    assert {line.partition(":")[0] for line in wrong} == {"utils/runtime.py"}, wrong


@pytest.mark.parametrize("path", LIBRARY + EXPERIMENTS, ids=str)
def test_a_file_stays_small(path):
    assert len((ROOT / path).read_text(encoding="utf-8").splitlines()) <= LARGEST
