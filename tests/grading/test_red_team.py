"""What a student could try instead of solving the tasks. None of it gains a point."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.grading import toy
from utils.grading import form
from utils.grading.feedback import page
from utils.grading.grade import grade, table, whole
from utils.grading.results import Graded
from utils.grading.sandbox import MIB, Limits, bubblewrap
from utils.grading.submissions import Submission, submissions

SEED = b"a seed that nobody is to know"
LIMITS = Limits(seconds=30, cpu_seconds=20, memory=400 * MIB, processes=16, output=MIB)

isolated = pytest.mark.skipif(
    bubblewrap() is None, reason="no bubblewrap (bwrap) that may make namespaces"
)


@pytest.fixture(scope="module")
def assignment(tmp_path_factory) -> form.Assignment:
    return form.read(toy.write(tmp_path_factory.mktemp("source") / "toy", toy.cells()))


def handed_in(assignment: form.Assignment, first: str = "", **sources: str) -> list[dict[str, Any]]:
    """The release with a first cell of the student's, and other texts in some of its cells."""
    cells = form.release(assignment)
    for cell in cells:
        name = form.form(cell).get("grade_id")
        if name in sources:
            cell["source"] = sources[name]
    extra = {"cell_type": "code", "id": "extra", "metadata": {}, "source": first, "outputs": []}
    return [extra, *cells]


def attack(assignment, first: str = "", limits: Limits = LIMITS, **sources: str) -> Graded:
    """What an attack comes to: not a point, whatever else happens."""
    cells = handed_in(assignment, first, **sources)
    graded = grade(assignment, Submission("eve", cells), SEED, limits)
    assert graded.points == 0, graded
    return graded


# ---- answers that are not right ------------------------------------------------------------------


def test_values_that_only_satisfy_the_visible_tests(assignment):
    graded = attack(
        assignment,
        double="def double(x):\n    return [2.0, 4.0]",
        total="def total(x):\n    return 3",
    )
    assert all(result.visible is None for result in graded.results.values())
    assert "other inputs give a wrong answer" in page(assignment, graded)


def test_deleted_tests(assignment):
    cells = [c for c in handed_in(assignment) if "tests" not in form.form(c).get("grade_id", "")]
    assert grade(assignment, Submission("eve", cells), SEED, LIMITS).points == 0


def test_tests_that_are_written_anew(assignment):
    graded = attack(assignment, double_tests="pass", total_tests="assert True")
    # The locked cells were ours again.
    assert all("NotImplementedError" in (r.visible or "") for r in graded.results.values())


def test_an_answer_that_equals_everything(assignment):
    always = """
class Always(list):
    def __eq__(self, other): return True
    __hash__ = None
def double(x): return Always()
def total(x): return Always()
"""
    attack(assignment, double=always, total=always)


CONFUSING = """
[] | float('nan') | [float('nan')] * 5 | [float('inf')] * 5 | True | '2' | {} | [[0.0]] * 5
[None] * 5 | 10 ** 400 | [[1], [1, 2]]
"""


@pytest.mark.parametrize("value", CONFUSING.strip().replace("\n", " | ").split(" | "))
def test_values_that_could_confuse_a_comparison(assignment, value):
    code = f"def double(x): return {value}\ntotal = double"
    attack(assignment, double=code, total=code)


def test_answers_that_are_nested_too_deeply(assignment):
    code = (
        "import json\ndef double(x):\n    y = []\n    for _ in range(5000): y = [y]\n    return y"
    )
    attack(assignment, double=code, total=code.replace("double", "total"))


# ---- tampering with the process ------------------------------------------------------------------


def test_a_patched_numpy(assignment):
    patched = """
import numpy as np, builtins
np.allclose = np.array_equal = lambda *a, **k: True
np.testing.assert_allclose = lambda *a, **k: None
builtins.all = builtins.any = lambda *a: True
def double(x): return x
def total(x): return 0
"""
    attack(assignment, double=patched, total=patched)


def test_a_patched_comparison(assignment):
    patched = """
from utils.grading import compare
import utils.checks
for name in compare.__all__:
    setattr(compare, name, lambda *a, **k: True)
utils.checks.check = lambda *a, **k: None
def double(x): return x
def total(x): return 0
"""
    attack(assignment, double=patched, total=patched)


def test_looking_through_the_stack(assignment):
    spying = """
import gc, inspect, json
texts = []
for frame in inspect.stack():
    texts.append(repr(frame.frame.f_locals))
texts += [repr(thing) for thing in gc.get_objects() if isinstance(thing, (dict, str))][:20000]
told = " ".join(texts)
raise RuntimeError("found " + str("def " + "mark" in told))
"""
    graded = attack(assignment, double_spy=spying, double=spying)
    assert "def mark" not in json.dumps([r.visible for r in graded.results.values()])


def test_a_result_of_ones_own_making(assignment):
    faking = """
import json, os
for fd in range(3, 64):
    for task in ("double_tests", "total_tests"):
        line = {"task": task, "error": None, "points": 99, "values": {"y": [1] * 5, "sum": 1}}
        try:
            os.write(fd, (json.dumps(line) + "\\n").encode())
        except OSError:
            pass
"""
    attack(assignment, faking)


@pytest.mark.parametrize("text", ["{", "[1]", '{"task": 3}', "null", "[" * 100_000, "\\x00"])
def test_a_result_that_is_no_answer(assignment, text):
    attack(
        assignment,
        f"import os\nfor fd in range(3, 64):\n    try: os.write(fd, b'{text}\\n')\n"
        "    except OSError: pass",
    )


def test_something_left_to_do_at_the_end(assignment):
    leaving = """
import atexit, json, os, time
def late():
    for fd in range(3, 64):
        try: os.write(fd, b'{"task": "double_tests", "values": {"y": [0, 0, 0, 0, 0]}}\\n')
        except OSError: pass
atexit.register(late)
if os.fork() == 0:
    os.setsid()
    late()
    time.sleep(60)
    os._exit(0)
"""
    graded = attack(assignment, leaving)
    assert graded.seconds < 20  # nobody waited for the child


def test_an_early_exit(assignment):
    graded = attack(assignment, "import os; os._exit(0)")
    assert graded.results["double_tests"].visible == "not reached"


@isolated
def test_killing_the_grader(assignment):
    attack(assignment, "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)")


# ---- looking around ------------------------------------------------------------------------------

LOOK = """
import glob, os
found = []
for root in ({places}):
    for path, folders, files in os.walk(root):
        for name in files:
            try:
                text = open(os.path.join(path, name), errors="replace").read(200_000)
            except OSError:
                continue
            if {wanted}:
                found.append(os.path.join(path, name))
raise RuntimeError(f"found {{found}}")
"""


@isolated
def test_reading_the_submissions_of_others_and_the_grade_book(assignment, tmp_path):
    (tmp_path / "grades.csv").write_text("anna,graded,5")
    code = f"import os\nraise RuntimeError(str(os.path.exists({str(tmp_path)!r})) + ' there')"
    graded = attack(assignment, double=code)
    told = attack(assignment, double_tests="", double=code, total=code)
    assert "grades.csv" not in repr(graded) + repr(told)
    looking = f"""
import os
def double(x): return os.listdir({str(tmp_path)!r})
"""
    told = attack(assignment, double=looking)
    assert "FileNotFoundError" in (told.results["double_tests"].visible or "")


@isolated
def test_reading_the_hidden_tests(assignment):
    # The source notebooks of the course are not there; its library is.
    looking = """
import os, utils
course = os.path.dirname(os.path.dirname(utils.__file__))
def double(x): return os.listdir(os.path.join(course, "assignments", "source"))
"""
    told = attack(assignment, double=looking)
    assert "FileNotFoundError" in (told.results["double_tests"].visible or "")


@isolated
def test_reading_the_environment_and_the_memory_of_others(assignment, monkeypatch):
    monkeypatch.setenv("GRADE_SEED", "in the environment")
    looking = """
import glob
texts = [open(path, "rb").read() for path in glob.glob("/proc/[0-9]*/environ")]
names = [open(path, "rb").read() for path in glob.glob("/proc/[0-9]*/cmdline")]
def double(x): raise RuntimeError(repr(texts) + repr(names))
"""
    told = attack(assignment, double=looking)
    seen = told.results["double_tests"].visible or ""
    assert "in the environment" not in seen
    assert "pytest" not in seen
    assert "HOME=/tmp" in seen


@isolated
def test_the_network(assignment):
    calling = """
import socket
def double(x):
    socket.create_connection(("1.1.1.1", 53), timeout=3)
"""
    told = attack(assignment, double=calling)
    assert "unreachable" in (told.results["double_tests"].visible or "")


@isolated
def test_writing_anywhere_but_on_the_disk_in_memory(assignment, tmp_path):
    writing = f"""
import os, sys
places = ["/x", sys.prefix + "/x", os.path.dirname(sys.executable) + "/x", {str(tmp_path)!r}]
def double(x):
    for place in places:
        try:
            open(place, "w")
        except OSError:
            continue
        return [0.0] * 5
    raise RuntimeError("nowhere")
"""
    told = attack(assignment, double=writing)
    assert told.results["double_tests"].visible == "RuntimeError: nowhere"


# ---- using too much ------------------------------------------------------------------------------


def test_an_endless_loop(assignment):
    graded = attack(assignment, total="while True: pass", limits=Limits(seconds=4))
    assert graded.status == "stopped: more than 4 seconds"
    assert graded.seconds < 10


def test_a_loop_that_has_closed_its_pipes(assignment):
    code = "import os\nfor fd in range(64):\n    try: os.close(fd)\n    except OSError: pass\n"
    graded = attack(assignment, code + "while True: pass", limits=Limits(seconds=4))
    assert "stopped" in graded.status


def test_an_endless_loop_that_ignores_signals(assignment):
    code = "import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass"
    graded = attack(assignment, total=code, limits=Limits(seconds=30, cpu_seconds=3))
    assert "stopped" in graded.status
    assert graded.seconds < 25


def test_a_memory_hog(assignment):
    code = """
import time
hog = []
while True:
    hog.append(bytearray(20_000_000))
    time.sleep(0.01)
"""
    graded = attack(assignment, total=code)
    assert graded.status == "stopped: more than 400 MiB of memory"


def test_many_processes(assignment):
    code = "import os, time\nfor _ in range(40):\n    if os.fork() == 0: break\ntime.sleep(60)"
    graded = attack(assignment, total=code)
    assert graded.status == "stopped: more than 16 processes"


def test_a_flood_of_answers(assignment):
    code = """
import os
while True:
    for fd in range(3, 64):
        try: os.write(fd, b"x" * 65536)
        except OSError: pass
"""
    graded = attack(assignment, code)
    assert graded.status == "stopped: more than 1 MiB of answers"


def test_a_flood_of_print(assignment):
    graded = attack(assignment, "while True: print('x' * 100_000)", limits=Limits(seconds=4))
    # IPython keeps what is printed, so a fast machine is out of memory before it is out of time.
    over = ("stopped: more than 4 seconds", "stopped: more than 3072 MiB of memory")
    assert graded.status in over


@isolated
def test_a_full_disk(assignment):
    code = """
for i in range(100):
    with open(f"/tmp/{i}", "wb") as file:
        file.write(bytes(10_000_000))
"""
    attack(assignment, code, double=code)


# ---- what is handed in is no notebook ------------------------------------------------------------


def read_all(folder: Path) -> dict[str, Submission]:
    return {one.student: one for one in submissions(folder)}


def test_a_zip_bomb(tmp_path):
    with zipfile.ZipFile(tmp_path / "eve.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("toy.ipynb", b" " * (200 * MIB))
    assert read_all(tmp_path)["eve"].fault == "larger than 20 MiB when unpacked"


def test_a_link_to_another_file(tmp_path):
    (tmp_path / "secret").mkdir()
    secret = toy.write(tmp_path / "secret", toy.cells())
    (tmp_path / "eve.ipynb").symlink_to(secret)
    assert read_all(tmp_path)["eve"].fault == "a link, not a file"


def test_files_that_are_no_notebooks_stop_nothing(assignment, tmp_path):
    contents = {
        "no_json": b"\x80\x00",
        "deep": b"[" * 200_000,
        "a_list": b"[]",
        "no_cells": b'{"cells": 3}',
        "odd_cells": b'{"cells": [{"source": 3}]}',
        "odd_metadata": b'{"cells": [{"metadata": {"nbgrader": {"grade_id": ["x"]}}}]}',
        "empty": b"",
    }
    for name, content in contents.items():
        (tmp_path / f"{name}.ipynb").write_bytes(content)
    toy.write(tmp_path, form.solution(assignment), "anna")
    grades = {one.student: grade(assignment, one, SEED, LIMITS) for one in submissions(tmp_path)}
    assert grades.pop("anna").points == 5
    assert {one.points for one in grades.values()} == {0}
    assert all("not a notebook" in grades[name].status for name in ("no_json", "deep", "a_list"))
    assert len(table(assignment, list(grades.values())).splitlines()) == len(contents) + 1


def bad_entries(folder: Path, notebook: bytes) -> None:
    """What neither a zip program nor a file system minds, each in a submission of its own."""
    with zipfile.ZipFile(folder / "whole.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("toy.ipynb", notebook)
    content = (folder / "whole.zip").read_bytes()
    (folder / "damaged.zip").write_bytes(content[:60] + bytes(100) + content[160:])
    locked = bytearray(content)
    locked[content.index(b"PK\x01\x02") + 8] |= 1  # the bit that says that there is a password
    (folder / "locked.zip").write_bytes(locked)

    if sys.platform == "linux":  # as a Windows archive leaves it; macOS refuses such a name
        (folder / os.fsdecode(b"J\xfcrgen.ipynb")).write_bytes(notebook)
    (folder / ("long" * 60)).mkdir()
    os.mkfifo(folder / "pipe.ipynb")
    (folder / "twice.ipynb").write_bytes(notebook)
    (folder / "twice").mkdir()
    (folder / "twice" / "toy.ipynb").write_bytes(notebook)


def test_odd_files_stop_nothing_and_lose_nobody(assignment, tmp_path):
    made = toy.write(tmp_path, form.solution(assignment), "zoe")
    bad_entries(tmp_path, made.read_bytes())
    found = read_all(tmp_path)
    assert found.pop("zoe").fault is None
    assert found.pop("whole").fault is None
    if sys.platform == "linux":
        assert found.pop("J?rgen").fault is None
    assert {name[:8]: one.fault is not None for name, one in found.items()} == {
        "damaged": True,
        "locked": True,
        "longlong": True,
        "pipe": True,
        "twice (1": True,
        "twice (2": True,
    }


def test_a_text_that_is_no_utf_8_gets_a_page(assignment):
    graded = attack(assignment, double="raise ValueError(chr(0xd83d))", why="\ud83d")
    assert "(" in whole(page(assignment, graded)).encode("utf-8").decode()


# ---- what others see -----------------------------------------------------------------------------


def test_feedback_shows_a_submission_as_text_and_holds_no_hidden_test(assignment):
    evil = "def double(x): raise ValueError('<script>alert(1)</script>')"
    graded = attack(assignment, double=evil, why="<img src=x onerror=alert(1)>")
    html = page(assignment, graded)
    assert "<script>" not in html
    assert "<img" not in html
    for hidden in ("rng", "mark(", "np.array", "asked"):
        assert hidden not in html


@pytest.mark.parametrize(
    "code",
    [
        "def double(x): raise ValueError(f'hidden {x}')",
        "import sys\ndef double(x): raise ValueError(f'hidden {sys._getframe(1).f_locals}')",
        "class hidden(Exception): pass\ndef double(x): raise hidden(x)",
    ],
)
def test_feedback_holds_no_question_that_the_code_repeats(assignment, code):
    graded = attack(assignment, double=code)
    assert "hidden" in (graded.results["double_tests"].visible or "")
    html = page(assignment, graded)
    assert "hidden" not in html
    assert "ended with ValueError" in html or "ended with an error" in html


def test_a_name_that_a_spreadsheet_would_execute(assignment):
    nothing = grade(assignment, Submission("=cmd()", fault="no notebook"), SEED)
    assert table(assignment, [nothing]).splitlines()[1].startswith('"\'=cmd()"')
    # Where another sign than the comma parts cells, quotes keep a name in one.
    nothing = grade(assignment, Submission("a;=1+1", fault="no notebook"), SEED)
    assert '"a;=1+1"' in table(assignment, [nothing])


def test_the_course_says_what_remains_without_namespaces(tmp_path):
    code = "from utils.grading.sandbox import what_remains; print(len(what_remains()))"
    path = {"PATH": str(tmp_path)}  # where there is no bwrap
    done = subprocess.run([sys.executable, "-c", code], env=path, capture_output=True, text=True)
    assert done.stdout.strip() == "5", done.stderr
