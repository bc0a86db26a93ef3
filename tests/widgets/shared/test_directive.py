"""The `{anywidget}` directive: what it refuses, and what a page gets."""

from __future__ import annotations

import pickle

import course_widgets
import pytest

from tests.small_book import BuildError, build, code_cell, notebook, widget_book
from utils.runtime import repo_root

ROOT = repo_root()

# ---- what a page gets


def test_assets_only_where_a_widget_is() -> None:
    assert course_widgets.assets("<p>prose</p>", ROOT, {}) == ""
    body = course_widgets.mount_html("parameter_budget", {}, "x") * 2
    markup = course_widgets.assets(body, ROOT, {})
    assert markup.count('<script type="text/plain" data-afm-module="parameter_budget">') == 1


def test_record_is_inlined_and_stays_under_records(tmp_path) -> None:
    for folder in ("utils/widgets/shared", "utils/widgets/demo", "records/x"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "utils/widgets/shared/widgets.css").write_text("")
    (tmp_path / "utils/widgets/demo/widget.mjs").write_text("export default { render }")
    (tmp_path / "records/x/r.json").write_text('{"a": [1, 2]}')
    body = course_widgets.mount_html("demo", {}, "x", record="x/r.json")
    inlined = 'data-afm-record-file="x/r.json">{"a":[1,2]}</script>'
    assert inlined in course_widgets.assets(body, tmp_path, {})
    (tmp_path / "records/x/r.json").write_text(
        '{"provenance": {"date": ""}, "data": {"a": [1, 2]}}'
    )
    assert inlined in course_widgets.assets(body, tmp_path, {})
    for record, message in (
        ("x/none.json", "no such file"),
        ("../setup.json", "not under records/"),
    ):
        body = course_widgets.mount_html("demo", {}, "x", record=record)
        with pytest.raises(course_widgets.WidgetError, match=message):
            course_widgets.assets(body, tmp_path, {})


def test_state_cannot_end_its_script() -> None:
    html = course_widgets.mount_html("demo", {"a": "</script><b>"}, 'quote " and <')
    assert html.count("</script>") == 1
    assert "<b>" not in html
    assert 'aria-label="quote &quot; and &lt;"' in html


# ---- when a page is built again


def test_a_page_is_built_again_when_a_part_or_a_table_of_python_changes(tmp_path) -> None:
    mounted = course_widgets.mount_html("parameter_budget", {}, "x", record="sampling/words.json")
    output = code_cell("explorer", {"text/html": mounted})
    title = {"cell_type": "markdown", "id": "title", "metadata": {}, "source": "# Stored"}
    directive = "```{anywidget} utils/widgets/parameter_budget/widget.mjs\n:label: x\n```\n"
    pages = {
        "index.md": f"# Page\n\n{directive}\n```{{toctree}}\nstored\n```\n",
        "stored.ipynb": notebook(title, output),
    }
    html = widget_book(tmp_path, pages)
    environment = pickle.loads((html.parent / "doctrees" / "environment.pickle").read_bytes())
    for page in ("index", "stored"):
        noted = "\n".join(environment.dependencies[page])
        for file in (
            "utils/models/presets.py",
            "utils/widgets/parameter_budget/results.mjs",
            "utils/widgets/parameter_budget/widget.css",
            "utils/widgets/shared/controls.mjs",
        ):
            assert file in noted
    assert "records/sampling/words.json" in environment.dependencies["stored"]


# ---- what ends the build


@pytest.mark.parametrize(
    ("directive", "message"),
    [
        ("none.mjs\n:label: x", "no such file: none.mjs"),
        ("demo.mjs", "':label:' is missing"),
        ("demo.mjs\n:label: x\n{oops", "the body is not JSON"),
        ("demo.mjs\n:label: x\n[1]", "the body must be a JSON object"),
        ('demo.mjs\n:label: x\n{"steps": [{"text": "x"}]}', "step 1 must be"),
    ],
)
def test_a_wrong_directive_ends_the_build(tmp_path, directive, message) -> None:
    (tmp_path / "demo.mjs").write_text("export default { render }")
    page = f"# Page\n\n```{{anywidget}} {directive}\n```\n"
    with pytest.raises(BuildError, match=f"index.md:3: anywidget .*{message}"):
        build(tmp_path, {"index.md": page}, extensions=["myst_parser", "course_widgets"])


def test_a_model_that_is_not_there_ends_the_build(tmp_path) -> None:
    (tmp_path / "demo.mjs").write_text("export default { render }")
    page = "# Page\n\n```{anywidget} demo.mjs\n:label: x\n:live: nothing\n```\n"
    with pytest.raises(BuildError, match=r"records/nothing holds no model.safetensors"):
        build(tmp_path, {"index.md": page}, extensions=["myst_parser", "course_widgets"])
