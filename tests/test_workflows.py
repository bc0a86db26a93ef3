"""The workflows call what exists, may do no more than they need, and publish what was tested."""

from __future__ import annotations

import re

import pytest
import yaml

from tests.imports import ROOT
from tests.test_project import targets

FOLDER = ROOT / ".github" / "workflows"
# What each may do beyond reading the repository, and nothing else.
MAY = {
    "test.yml": set(),
    "nightly.yml": set(),
    "pages.yml": {"pages: read", "pages: write", "id-token: write"},
    "adopt.yml": {"contents: write", "actions: write"},
    "release.yml": {"contents: write"},
}

each = pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.iterdir()))


def read(name: str) -> dict:
    # YAML 1.1 takes the key `on` for a truth value.
    workflow = yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))
    workflow["on"] = workflow.pop(True)
    return workflow


def steps(workflow: dict) -> list[dict]:
    return [step for job in workflow["jobs"].values() for step in job.get("steps", [])]


@each
def test_what_make_is_asked_for_exists(name):
    run = "\n".join(step.get("run", "") for step in steps(read(name)))
    asked = set(re.findall(r"^\s*make ([\w-]+)", run, re.MULTILINE))
    assert asked <= targets()


@each
def test_an_action_is_pinned_to_a_version(name):
    workflow = read(name)
    used = [step["uses"] for step in steps(workflow) if "uses" in step]
    called = [job["uses"] for job in workflow["jobs"].values() if "uses" in job]
    for action in used:
        assert re.fullmatch(r"actions/[\w-]+@v\d+", action), action
    for other in called:
        assert (ROOT / other).is_file(), other


@each
def test_it_may_do_no_more_than_it_needs(name):
    workflow = read(name)
    granted = [workflow["permissions"]]
    granted += [job["permissions"] for job in workflow["jobs"].values() if "permissions" in job]
    rights = {f"{right}: {level}" for each in granted for right, level in each.items()}
    assert rights - {"contents: read"} == MAY[name]


@each
def test_no_text_from_outside_is_pasted_into_a_command(name):
    """An expression in a command is put there before the shell reads it, whatever it holds."""
    for step in steps(read(name)):
        pasted = re.findall(r"\$\{\{\s*([\w.-]+)", step.get("run", ""))
        assert [text for text in pasted if not text.startswith(("matrix.", "steps."))] == []


@each
def test_every_job_ends_some_day(name):
    jobs = read(name)["jobs"].values()
    assert all("timeout-minutes" in job for job in jobs if "uses" not in job)


def test_nothing_is_published_that_was_not_tested():
    jobs = read("pages.yml")["jobs"]
    assert jobs["test"]["uses"] == "./.github/workflows/test.yml"
    assert set(jobs["deploy"]["needs"]) == {"test", "build"}
    assert "if" not in jobs["deploy"]
    build = jobs["build"]["steps"]
    commands = [step["run"].split()[:2] for step in build if "run" in step]
    assert commands == [["make", "check-repository"], ["make", "book"]]
    [uploaded] = [step for step in build if "upload-pages-artifact" in step.get("uses", "")]
    assert uploaded["with"]["path"] == "_build/html"


def test_a_push_is_tested_once():
    tests, pages = read("test.yml")["on"], read("pages.yml")["on"]
    assert tests["push"] == {"branches-ignore": pages["push"]["branches"]}
    assert {"pull_request", "workflow_call"} <= set(tests)


def test_publishing_is_not_interrupted():
    assert read("pages.yml")["concurrency"] == {"group": "pages", "cancel-in-progress": False}


def test_a_fork_needs_nobody_to_type_its_address():
    workflow = read("adopt.yml")
    assert list(workflow["on"]) == ["workflow_dispatch"]
    assert workflow["on"]["workflow_dispatch"]["inputs"]["site"]["default"] == ""
    commands = "\n".join(step.get("run", "") for step in steps(workflow))
    assert 'make set-repository URL="$GITHUB_SERVER_URL/$GITHUB_REPOSITORY"' in commands
    # A push with a workflow's own token starts no other workflow.
    assert "gh workflow run pages.yml" in commands
    assert "workflow_dispatch" in read("pages.yml")["on"]
