"""One module out of several files and Python's tables."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from utils.models.budget import GPUS
from utils.runtime import repo_root
from utils.widgets.shared.bundle import UTILS, bundle, constants, parts, sources, tables

WIDGETS = UTILS / "widgets"
MODULES = sorted(WIDGETS.glob("*/widget.mjs"))


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.parent.name)
def test_module_stands_alone(path) -> None:
    text = bundle(path).replace("http://www.w3.org/2000/svg", "")  # a name, which nothing fetches
    assert not re.search(r"^\s*import\s|\bimport\(|https?://|</script", text, re.MULTILINE)
    assert "export default { render }" in text
    assert "export { linkable };" in text
    # a module touches what it is given, and nothing else on the page
    assert not re.search(
        r"document\.(?!createElement|createTextNode)|\blocation\b|localStorage|fetch\(", text
    )


def test_parts_are_joined_each_once(tmp_path) -> None:
    files = parts(WIDGETS / "sampling_explorer" / "widget.mjs")
    assert files[-1].name == "widget.mjs"
    assert len(files) == len(set(files)) >= 6
    text = bundle(WIDGETS / "sampling_explorer" / "widget.mjs")
    assert not re.search(r"^import ", text, re.M)
    assert text.count("export default") == 1
    assert text.count("class StopScanner") == 1
    alone = tmp_path / "widget.mjs"
    alone.write_text("export default { render };\n", encoding="utf-8")
    assert bundle(alone) == alone.read_text(encoding="utf-8")


def test_joining_refuses_a_name_twice_and_a_missing_part(tmp_path) -> None:
    (tmp_path / "a.mjs").write_text('import { f } from "./b.mjs";\nconst g = 1;\n')
    with pytest.raises(FileNotFoundError):
        bundle(tmp_path / "a.mjs")
    (tmp_path / "b.mjs").write_text("export const f = 1, h = 2;\nfunction g() {}\n")
    with pytest.raises(ValueError, match=r"a.mjs and b.mjs both declare g"):
        bundle(tmp_path / "a.mjs")


# ---- Python's tables


def test_a_table_becomes_constants(tmp_path) -> None:
    (tmp_path / "part.mjs").write_text(
        'import { GPUS } from "course:models/budget";\nexport const names = Object.keys(GPUS);\n'
    )
    widget = tmp_path / "widget.mjs"
    widget.write_text(
        'import {\n  GPUS,\n  PARTS,\n} from "course:models/budget";\n'
        'import { names } from "./part.mjs";\nexport const first = GPUS[names[0]];\n'
    )
    assert tables(widget) == {"models/budget": ["GPUS", "PARTS"]}
    text = bundle(widget)
    assert text.count("const GPUS = ") == 1
    assert json.loads(re.search(r"^const GPUS = (.*);$", text, re.MULTILINE)[1]) == GPUS
    assert "import" not in text


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            'import { GPU } from "course:models/budget";',
            "a name imported from course:models/budget must be one of 'PARTS', 'PRECISIONS', "
            "'GPUS', 'PRESETS', got 'GPU'",
        ),
        (
            'import { X } from "course:models/budgets";',
            "the table after course: must be a file of utils/ without its .py, "
            "got 'models/budgets'",
        ),
        (
            'import { X } from "course:validate";',
            "the table after course: must be a file with a page_data(), got 'validate'",
        ),
        (
            'import { GPUS } from "course:models/budget";\nconst GPUS = 1;',
            "widget.mjs and course:models/budget both declare GPUS",
        ),
    ],
)
def test_joining_refuses_what_python_does_not_state(tmp_path, line, message) -> None:
    (tmp_path / "widget.mjs").write_text(line + "\n")
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        bundle(tmp_path / "widget.mjs")
    assert "\n" not in str(error.value)


def test_every_constant_is_json() -> None:
    for module in MODULES:
        for table, names in tables(module).items():
            for line in constants(table, names).splitlines():
                value = line.partition(" = ")[2].removesuffix(";")
                json.loads(value, parse_constant=pytest.fail)  # NaN and Infinity are none


def test_a_module_depends_on_python_too() -> None:
    found = {
        p.relative_to(UTILS).as_posix() for p in sources(WIDGETS / "parameter_budget/widget.mjs")
    }
    assert {"models/budget.py", "models/presets.py", "validate.py"} <= found
    assert {"widgets/shared/controls.mjs", "widgets/parameter_budget/widget.mjs"} <= found


def test_joining_needs_neither_torch_nor_numpy() -> None:
    code = """
import sys
sys.modules.update(torch=None, numpy=None)
from utils.widgets.shared.bundle import UTILS, bundle
for module in (UTILS / "widgets").glob("*/widget.mjs"):
    bundle(module)
"""
    subprocess.run([sys.executable, "-c", code], cwd=repo_root(), check=True)
