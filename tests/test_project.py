"""The files that serve the project itself: they parse, and say the same as the rest."""

from __future__ import annotations

import json
import re

import pytest
import yaml

from tests.imports import ROOT, commands, dotted
from utils.book.repository_links import address_of, site_of

FOLDERS = "benchmarks|book|experiments|notebooks|records|tests|utils"


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def targets() -> set[str]:
    """What `make` can be asked for."""
    return set(re.findall(r"^([a-z][\w-]*):", read("Makefile"), re.MULTILINE))


def test_the_citation_names_title_author_and_licence_and_nothing_invented():
    citation = yaml.safe_load(read("CITATION.cff"))
    assert citation["cff-version"] == "1.2.0"
    assert citation["title"] == "Overparameterized"
    assert citation["authors"] == [{"name": "The Overparameterized contributors"}]
    assert citation["license"] == "MIT"
    assert f'version = "{citation["version"]}"' in read("pyproject.toml")
    assert {"doi", "identifiers", "contact", "repository"} & set(citation) == set()
    # The addresses are there once `make set-repository` has set them, and never before.
    assert citation.get("repository-code", "") == address_of(ROOT)
    assert citation.get("url", "") == site_of(ROOT)


def test_the_hooks_call_what_make_lint_calls():
    [repository] = yaml.safe_load(read(".pre-commit-config.yaml"))["repos"]
    hooks = repository["hooks"]
    assert repository["repo"] == "local"
    assert {hook["language"] for hook in hooks} == {"system"}, "a hook downloads nothing"
    called = {hook["entry"].removeprefix("make ") for hook in hooks}
    lint = re.search(r"^lint: (.*)$", read("Makefile"), re.MULTILINE)
    assert lint is not None
    assert called == set(lint.group(1).split()) <= targets()


def test_the_form_for_a_failed_conclusion_asks_for_what_is_needed_to_repeat_it():
    form = yaml.safe_load(read(".github/ISSUE_TEMPLATE/conclusion_failed.yml"))
    assert {"name", "description", "body"} <= set(form)
    fields = {part["id"]: part for part in form["body"] if part["type"] != "markdown"}
    for needed in ("notebook", "claim", "value", "device", "scale", "versions"):
        assert fields[needed]["validations"]["required"]
    for package in ("python", "torch", "transformers", "numpy"):
        assert package in fields["versions"]["attributes"]["value"]


def test_the_workflow_and_the_container_use_commands_that_exist():
    workflow = yaml.safe_load(read(".github/workflows/test.yml"))
    steps = workflow["jobs"]["test"]["steps"]
    container = json.loads(read(".devcontainer/devcontainer.json"))
    run = {step["run"] for step in steps if "run" in step} | {container["postCreateCommand"]}
    assert {command.removeprefix("make ") for command in run} <= targets()
    [python] = [step for step in steps if "setup-python" in step.get("uses", "")]
    assert python["with"]["cache"] == "pip"
    assert list(ROOT.glob(python["with"]["cache-dependency-path"]))


def test_every_page_is_in_the_table_of_contents():
    contents = read("_toc.yml")
    pages = [f"book/{path.stem}" for path in (ROOT / "book").glob("*.md")]
    assert [page for page in pages if not re.search(rf": {page}$", contents, re.MULTILINE)] == []


def test_every_command_is_in_the_readme():
    named = set(re.findall(r"python -m ([\w.]+)", read("README.md")))
    there = {dotted(path) for path in commands("experiments", "benchmarks")}
    assert there - named == set()


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_what_a_page_names_is_there(page):
    code = "\n".join(re.findall(r"```sh\n.*?```|`[^`\n]+`", read(page), re.DOTALL))
    assert set(re.findall(r"\bmake ([a-z][a-z-]+)", code)) <= targets()
    paths = re.findall(rf"\b(?:{FOLDERS})/[\w./-]*", code)
    actual = [path for path in paths if not re.search("CHAPTER|NAME|ROOM", path)]
    assert [path for path in actual if not (ROOT / path).exists()] == []
    modules = re.findall(rf"python -m ((?:{FOLDERS})\.[\w.]+)", code)
    assert [name for name in modules if not (ROOT / f"{name.replace('.', '/')}.py").exists()] == []
