"""The compute explorer without a browser: JavaScript = Python, the steps, and the class."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import traitlets as t
from scipy.optimize import minimize_scalar

from tests.node import node
from utils import records
from utils.models.budget import GPUS, training_days
from utils.runtime import repo_root
from utils.scaling.laws import Law
from utils.scaling.published import KAPLAN, PUBLISHED
from utils.widgets.compute_explorer.settings import (
    FITTED_TO,
    LAW_NAMES,
    OURS,
    RANGES,
    RECORD,
    REPETITIONS_WORTH,
    UTILISATION,
    WATTS,
    models,
)
from utils.widgets.compute_explorer.widget import ComputeExplorer

GOPHER = 5.76e23  # FLOPs, as Hoffmann et al. 2022 count them


@pytest.fixture(scope="module")
def ours() -> dict:
    return records.load(RECORD).data["ours"]


@pytest.fixture(scope="module")
def laws(ours) -> dict[str, Law]:
    return {
        name: Law(**ours["laws"][name]) if name in OURS else PUBLISHED[name] for name in LAW_NAMES
    }


def fresh(tokens, unique: float):
    """Muennighoff et al. 2023: D' = U + U R* (1 - exp(-R / R*)), with R = D/U - 1."""
    if unique == 0:
        return tokens
    repetitions = np.maximum(tokens / unique - 1, 0)
    worth = REPETITIONS_WORTH * (1 - np.exp(-repetitions / REPETITIONS_WORTH))
    return np.minimum(tokens, unique) + unique * worth


def loss_at(law: Law, budget: float, n_params, unique: float = 0.0):
    return law.loss(n_params, fresh(budget / 6 / n_params, unique))


def bottom(law: Law, budget: float, unique: float = 0.0) -> float:
    """The best size: by formula, or by a grid and SciPy's search where tokens repeat."""
    if unique == 0:
        return Law.optimal(law, budget).n_params
    x = np.linspace(-16, 16, 20001) + np.log(np.sqrt(budget / 120))
    best = x[loss_at(law, budget, np.exp(x), unique).argmin()]

    def loss(log_n: float) -> float:
        return float(loss_at(law, budget, np.exp(log_n), unique))

    found = minimize_scalar(loss, bounds=(best - 0.01, best + 0.01), method="bounded")
    return float(np.exp(found.x))


def test_javascript_finds_what_python_finds(laws, ours, tmp_path) -> None:
    sizes = [(1e4, 1e6), (1e6, 1e6), (70e9, 1.4e12), (1e13, 1e9)]
    limits = [(GOPHER, 0.0), (1e14, 0.0), (GOPHER, 1e11), (1e26, 1e10), (1e15, 1e6), (1e12, 1e14)]
    fixture = {
        "ours": ours,
        "losses": [
            {"law": name, "n": n, "d": d, "loss": float(law.loss(n, d))}
            for name, law in laws.items()
            for n, d in sizes
        ],
        "bottoms": [],
        "fresh": [
            {"d": d, "unique": u, "worth": float(fresh(d, u))}
            for d, u in [(1e9, 0), (1e9, 1e10), (1e9, 1e9), (4e9, 1e9), (1e12, 1e9)]
        ],
        "costs": [
            {
                "budget": budget,
                "gpu": gpu,
                "days": training_days(budget, gpu, utilisation=UTILISATION),
                "kwh": training_days(budget, gpu, utilisation=UTILISATION) * 24 * WATTS[gpu] / 1000,
            }
            for gpu in GPUS
            for budget in (1e15, GOPHER)
        ],
        "advice": [{"budget": c, "n": KAPLAN.optimal(c).n_params} for c in (1e15, 1e21, GOPHER)],
    }
    for name, law in laws.items():
        for budget, unique in limits:
            n = bottom(law, budget, unique)
            loss = float(loss_at(law, budget, n, unique))
            fixture["bottoms"].append(
                {"law": name, "budget": budget, "unique": unique, "n": n, "loss": loss}
            )
    node("compute_explorer/compute_explorer.test.mjs", json.loads(json.dumps(fixture)), tmp_path)


# ---- what the steps on the page let the reader find


def test_gopher_is_too_large_by_besiroglus_law_and_chinchilla_is_not(laws) -> None:
    law = laws["besiroglu"]
    best = bottom(law, GOPHER)
    lowest = loss_at(law, GOPHER, best)
    assert 3.5 < 280e9 / best < 4.5
    assert 0.010 < loss_at(law, GOPHER, 280e9) - lowest < 0.025
    assert 0.9 < 70e9 / best < 1.1
    assert loss_at(law, GOPHER, 70e9) - lowest < 0.001


def test_the_law_of_2020_moves_the_bottom_to_the_right(laws) -> None:
    assert 3 < bottom(laws["kaplan"], GOPHER) / bottom(laws["besiroglu"], GOPHER) < 4
    assert KAPLAN.optimal(GOPHER).n_params > 280e9


def test_the_printed_law_puts_chinchilla_right_of_the_bottom(laws) -> None:
    assert 2 < 70e9 / bottom(laws["hoffmann"], GOPHER) < 2.5


def test_a_limit_on_the_tokens_moves_the_bottom_to_the_right(laws) -> None:
    law = laws["besiroglu"]
    limited = bottom(law, GOPHER, 1e11)
    assert 1.2 < limited / bottom(law, GOPHER) < 1.6
    assert loss_at(law, GOPHER, limited, 1e11) > loss_at(law, GOPHER, bottom(law, GOPHER))


def test_llama_3_8b_lies_far_left_of_the_bottom(laws) -> None:
    budget = 6 * 8.03e9 * 15e12
    assert bottom(laws["besiroglu"], budget) / 8.03e9 > 8


def test_our_two_laws_agree_on_our_runs_and_part_beyond_them(laws, ours) -> None:
    for run in ours["runs"]:
        said = [float(loss_at(laws[name], run["budget"], run["n_params"])) for name in OURS]
        assert np.allclose(said, run["loss"], rtol=0.03)
    floors = [ours["laws"][name]["E"] for name in OURS]
    assert floors[1] - floors[0] > 0.3
    far = [float(loss_at(laws[name], GOPHER, bottom(laws[name], GOPHER))) for name in OURS]
    assert far[1] - far[0] > 0.3


def test_every_step_of_the_page_is_a_setting_of_the_explorer() -> None:
    page = repo_root() / "book" / "scaling_laws.md"
    if not page.is_file():
        pytest.skip("the page is not written yet")
    mounted = re.search(
        r"```\{anywidget\} \.\./utils/widgets/compute_explorer/widget\.mjs\n(.*?)```",
        page.read_text(encoding="utf-8"),
        re.DOTALL,
    )
    assert mounted
    steps = json.loads(mounted[1][mounted[1].index("{") :])["steps"]
    assert steps[0]["settings"] == {}  # the first one is what the page shows untouched
    for step in steps:
        ComputeExplorer(**step["settings"])


# ---- tables and the class


def test_the_tables_name_every_gpu_and_law() -> None:
    assert set(WATTS) == set(GPUS)
    assert set(LAW_NAMES) == {*FITTED_TO, *OURS}
    assert set(FITTED_TO) <= set(PUBLISHED)
    rows = {row["label"]: row for row in models()}
    assert 6 * rows["GPT-3"]["n_params"] * rows["GPT-3"]["n_tokens"] == pytest.approx(3.15e23)
    assert all(row["n_params"] and row["n_tokens"] for row in rows.values())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"budget": 1e27}, "budget must be a number in [1e+11, 1e+26], got 1e+27"),
        ({"tokens_per_parameter": 0}, "tokens_per_parameter must be a number in [0.002, 200000]"),
        ({"unique": -1}, "unique must be a number in [0, 1e+14], got -1"),
        ({"size": 1}, "setting must be one of budget, gpu, law, tokens_per_parameter, unique"),
    ],
)
def test_the_class_refuses_in_one_line(settings, message) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        ComputeExplorer(**settings)
    assert "\n" not in str(error.value)


def test_the_class_refuses_another_law() -> None:
    with pytest.raises(t.TraitError):
        ComputeExplorer(law="moore")


def test_the_class_has_the_settings_of_the_page_and_our_runs(ours) -> None:
    widget = ComputeExplorer(law="coupled", budget=1e15)
    assert set(widget.trait_names(page=True)) == {*RANGES, "law", "gpu"}
    assert widget.ours == ours
    assert widget.page_state() == {"budget": 1e15, "law": "coupled"}
