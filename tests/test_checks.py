"""``check`` holds or raises with the measured value; ``glue`` stores what the pages paste."""

import json
import re

import numpy as np
import pytest
import torch
from nbval.plugin import get_sanitize_patterns

from utils import checks
from utils.checks import (
    ClaimError,
    check,
    check_at_least,
    check_at_most,
    check_between,
    check_identity,
    check_true,
    glue,
)
from utils.runtime import repo_root


def test_a_claim_that_holds_prints_one_line_with_what_was_measured(capsys):
    check("ratio", 1.02, 1, rtol=0.05)
    check("words", [1.5, 2.0], [1.5, 2.25], atol=0.5, if_false=[1, 3])
    check_at_least("peak over valley", torch.tensor([1.31, 1.4]), 1.25, if_false=1)
    check_at_most("error", 0.2, 0.3)
    check_between("share", np.array([0.1, 0.2]), 0, 1)
    assert capsys.readouterr().out == (
        "✓ ratio: = 1, within a relative 0.05 (measured 1.02)\n"
        "✓ words: = the 2 expected values, within 0.5 (measured off by at most 0.25; "
        "if false: 1 to 3)\n"
        "✓ peak over valley: ≥ 1.25 (measured 1.31 to 1.4; if false: 1)\n"
        "✓ error: ≤ 0.3 (measured 0.2)\n"
        "✓ share: between 0 and 1 (measured 0.1 to 0.2)\n"
    )


def test_nbval_compares_the_line_without_what_was_measured(capsys):
    file = repo_root() / "notebooks" / "nbval.cfg"
    patterns = get_sanitize_patterns(file.read_text(encoding="utf-8"))
    [(regex, replacement)] = [pair for pair in patterns if "measured" in pair[1]]

    lines = []
    for measured in (1.31, -2e-15, 124_439_808.0, [2.0, 3.5]):
        check_between("x (of y)", measured, -1e9, 1e9, if_false=np.nan)
        lines.append(re.sub(regex, replacement, capsys.readouterr().out))
    assert set(lines) == {"✓ x (of y): between -1e+09 and 1e+09 (measured)\n"}


def test_nbval_compares_a_figure_without_its_drawing():
    file = repo_root() / "notebooks" / "nbval.cfg"
    shown = "<svg width='1pt'>\n <g/>\n</svg>\n"
    for regex, replacement in get_sanitize_patterns(file.read_text(encoding="utf-8")):
        shown = re.sub(regex, replacement, shown)
    assert shown == "(figure)"


# Each with the value that would be measured if the claim were false.
FALSE_CASES = [
    lambda value: check("x", 1, 1, atol=0.1, if_false=value),
    lambda value: check_at_least("x", 1, 0.9, if_false=value),
    lambda value: check_at_most("x", 1, 1.1, if_false=value),
    lambda value: check_between("x", 1, 0.9, 1.1, if_false=value),
]


@pytest.mark.parametrize("claim", FALSE_CASES)
def test_a_check_that_its_false_case_passes_raises(claim, capsys):
    with pytest.raises(ClaimError, match="^x: .* cannot fail: 1 passes$"):
        claim(1.0)
    # Of several values, each must be refused: the worst control decides.
    with pytest.raises(ClaimError, match="cannot fail"):
        claim([1.0, np.nan])
    assert capsys.readouterr().out == ""
    claim(np.nan)
    assert "; if false: nan)" in capsys.readouterr().out


def test_an_array_is_refused_as_a_whole(capsys):
    check("x", [1, 2, 3], [1, 2, 3], if_false=[1, 2, 4])
    with pytest.raises(ClaimError, match="cannot fail"):
        check("x", [1, 2, 3], [1, 2, 3], atol=1, if_false=[1, 2, 4])
    with pytest.raises(ValueError, match="if_false of 'x' must be one number or of shape"):
        check("x", [1, 2, 3], [1, 2, 3], if_false=[1, 2])


def test_a_condition_names_the_case_in_which_it_is_false(capsys):
    check_true("x", [True, True], if_false=[True, False])
    assert capsys.readouterr().out == "✓ x\n"
    with pytest.raises(ClaimError, match="^x cannot fail: the case in which it is false passes$"):
        check_true("x", True, if_false=True)


def test_an_identity_is_labelled_and_broken_by_one_input(capsys):
    check_identity("x", 2.0, 2, broken=2.5)
    check_identity("y", [1, 2], [1, 2], broken=[1, 3])
    check_identity("z", [1, 2], [1, 2], broken=[1, 2, 3])
    assert capsys.readouterr().out == (
        "✓ x: = 2, an identity (measured 2; broken: 2.5)\n"
        "✓ y: = the 2 expected values, an identity (measured off by at most 0)\n"
        "✓ z: = the 2 expected values, an identity (measured off by at most 0)\n"
    )
    with pytest.raises(ClaimError, match="^x: = 2, an identity cannot fail: the broken"):
        check_identity("x", 2.0, 2, broken=2.0)
    with pytest.raises(ClaimError, match="^x: claimed = 2, an identity, measured"):
        check_identity("x", 2.1, 2, broken=2.5)


def test_the_log_tells_the_kind_of_each_claim(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COURSE_CHECK_LOG", str(tmp_path / "log"))
    check("a", 1, 1)
    check_at_most("b", 1, 2, if_false=3)
    check_identity("c", 1, 1, broken=2)
    check_at_most("d", 3, 2, if_false=3)  # fails, is told and counted, and the notebook goes on
    lines = (tmp_path / "log").read_text().splitlines()
    told = [json.loads(line) for line in lines]
    kinds = ["plain", "with false case", "identity", "with false case"]
    assert [claim["kind"] for claim in told] == kinds
    assert [claim["failure"] is None for claim in told] == [True, True, True, False]
    assert "✗ d: claimed" in capsys.readouterr().out


@pytest.mark.parametrize(
    "claim",
    [
        lambda: check("x", 1.2, 1, rtol=0.1),
        lambda: check("x", [1, 2], [1, 3]),
        lambda: check_at_least("x", [3, 1], 2),
        lambda: check_at_most("x", float("nan"), 2),
        lambda: check_between("x", 3, 0, 1),
    ],
)
def test_a_claim_that_fails_raises_with_the_measured_value(claim, capsys):
    with pytest.raises(ClaimError, match="x: claimed .*, measured"):
        claim()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "condition",
    [
        True,
        np.bool_(True),
        np.arange(3) < 3,
        [True, True],
        [[True], [True]],
        torch.ones(2) > 0,
        torch.tensor(True),
        [torch.tensor(True), np.bool_(True), True],
    ],
)
def test_a_condition_that_holds_prints_its_name_alone(condition, capsys):
    check_true("x", condition)
    assert capsys.readouterr().out == "✓ x\n"


@pytest.mark.parametrize(
    ("condition", "counted"),
    [
        (False, "1 of 1"),
        (np.arange(3) < 2, "1 of 3"),
        ([True, False, False], "2 of 3"),
        (torch.zeros(2, 2) > 0, "4 of 4"),
    ],
)
def test_one_false_entry_is_enough_to_fail(condition, counted, capsys):
    with pytest.raises(ClaimError, match=f"^x: claimed true, measured false in {counted}$"):
        check_true("x", condition)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "condition",
    [1, 0.0, np.ones(2), torch.ones(2), "yes", None, [], [True, 1], [True, None], [[True], []]],
)
def test_only_bools_are_true_or_false(condition, capsys):
    message = "^condition of 'x' must be true or false, or an array of these, got "
    with pytest.raises(ValueError, match=message) as error:
        check_true("x", condition)
    assert "\n" not in str(error.value)
    assert capsys.readouterr().out == ""


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match=r"rtol must be a number in \[0, inf\), got -1"):
        check("x", 1, 1, rtol=-1)
    with pytest.raises(ValueError, match="value of 'x' must be at least one number"):
        check_at_least("x", [], 1)
    with pytest.raises(ValueError, match="low must be at most high = 1, got 2"):
        check_between("x", 1, 2, 1)


@pytest.mark.parametrize(
    ("claim", "message"),
    [
        (
            lambda: check("x", 5.0, np.inf, rtol=0.1),
            "expected value of 'x' must be finite, got inf",
        ),
        (lambda: check("x", [1.0, 1.0], [1.0, np.nan]), r"expected value of 'x' must be finite"),
        (
            lambda: check("x", 5.0, None),
            "expected value of 'x' must be at least one number, got None",
        ),
        (
            lambda: check("x", [[1, 2], [1, 2]], [1, 2]),
            r"expected value of 'x' must be one number or of shape \(2, 2\), "
            r"got an array of shape \(2,\)",
        ),
        (
            lambda: check("x", 1, [1, 1]),
            r"expected value of 'x' must be one number or of shape \(\), got",
        ),
        (
            lambda: check_at_least("x", 1, -np.inf),
            r"bound must be a number in \(-inf, inf\), got -inf",
        ),
        (lambda: check_at_most("x", 1, "2"), "bound must be a number in .*, got '2'"),
        (
            lambda: check_at_most("x", 1, np.ones(2)),
            r"bound must be .*, got an array of shape \(2,\)",
        ),
        (lambda: check_between("x", 1, 0, 1j), r"high must be a number in \(-inf, inf\), got 1j"),
        (lambda: check_between("x", 1, np.nan, 1), "low must be a number in .*, got nan"),
        *(
            (lambda value=value: check("x", value, 1), "value of 'x' must be at least one number")
            for value in (
                "1",
                None,
                1j,
                10**400,
                torch.ones(2).to_sparse(),
                np.array([1j]),
                [[1], [1, 2]],
                {1},
                ["1"],
            )
        ),
        *(
            (
                lambda value=value: glue("x", value),
                r"value of 'x' must be a number in \(-inf, inf\)",
            )
            for value in (None, "1", 1j, [1.0], np.inf)
        ),
    ],
)
def test_what_would_pass_or_fail_for_the_wrong_reason_is_refused(claim, message, capsys):
    with pytest.raises(ValueError, match=message) as error:
        claim()
    assert "\n" not in str(error.value)
    assert capsys.readouterr().out == ""


def test_every_precision_is_compared_in_float64():
    third = torch.tensor(1 / 3, dtype=torch.float64, requires_grad=True)
    check("float64 keeps every digit", third, 1 / 3)
    check("bfloat16", torch.ones(3, dtype=torch.bfloat16), 1)
    check("bool, tensors in a list", [torch.tensor(1.0), True], torch.ones(2))
    with pytest.raises(ClaimError):
        check("x", third.float(), 1 / 3)


def test_glue_stores_value_and_tolerance_and_logs_the_fresh_one(tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(
        "IPython.display.display", lambda data, **kw: shown.append((data, kw["metadata"]))
    )
    monkeypatch.setenv("COURSE_GLUE_LOG", str(tmp_path / "log"))
    glue("dd_x", np.float32(0.5), rtol=0.1)
    data, metadata = shown[0]
    assert data == {checks.PREFIX + "text/plain": "0.5"}
    assert metadata["scrapbook"] == {
        "name": "dd_x",
        "mime_prefix": checks.PREFIX,
        "value": 0.5,
        "rtol": 0.1,
        "atol": 0.0,
    }
    assert json.loads((tmp_path / "log").read_text())["value"] == 0.5


def test_glue_refuses_a_number_that_is_none():
    with pytest.raises(ValueError, match="value of 'dd_x' must be a number"):
        glue("dd_x", float("nan"))
