"""Laws: the formula, its optimum, and what published laws say of their papers' own examples."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from utils.scaling.constants import KAPLAN_N, page_data
from utils.scaling.counting import (
    KAPLAN_SIZES,
    non_embedding_frontier,
    non_embedding_params,
    total_params,
)
from utils.scaling.laws import Law
from utils.scaling.published import BESIROGLU, HOFFMANN, HOFFMANN_UNROUNDED, KAPLAN, PUBLISHED

GOPHER = 5.76e23  # FLOPs, Hoffmann et al. 2022, table 3


@pytest.mark.parametrize(
    "law", [BESIROGLU, HOFFMANN, Law(E=0.0, A=1e4, B=1e5, alpha=0.6, beta=0.7, k=0.3)]
)
@pytest.mark.parametrize("compute", [1e18, 1e22, 1e26])
def test_the_optimum_is_where_a_search_finds_it(law, compute):
    def loss(log_n):
        return law.loss(np.exp(log_n), compute / 6 / np.exp(log_n))

    best = law.optimal(compute)
    found = minimize_scalar(loss, bounds=(5, 40), method="bounded", options={"xatol": 1e-9})
    assert np.log(best.n_params) == pytest.approx(found.x, abs=1e-3)
    assert 6 * best.n_params * best.n_tokens == pytest.approx(compute)
    assert law.a + law.b == pytest.approx(1)
    grown = law.optimal(10 * compute)
    assert np.log10(grown.n_params / best.n_params) == pytest.approx(law.a)
    assert np.log10(grown.n_tokens / best.n_tokens) == pytest.approx(law.b)


def test_a_law_is_its_formula_in_any_shape():
    law = Law(E=1.2, A=1e4, B=1e5, alpha=0.6, beta=0.7, k=0.5)
    n, d = np.meshgrid([1e6, 1e9], [1e9, 1e10, 1e11])
    expected = (1e4 / n**0.6 + 1e5 / d**0.7) ** 0.5 + 1.2
    np.testing.assert_allclose(law.loss(n, d), expected, rtol=1e-12)
    np.testing.assert_allclose(law.predict(n, d), expected, rtol=1e-12)


# ---- published laws ------------------------------------------------------------------------------


def test_kaplans_law_is_equation_1_5():
    alpha_n, alpha_d, n_c, d_c = KAPLAN_N.values()
    n, d = 1e9, 1e10
    written = ((n_c / n) ** (alpha_n / alpha_d) + d_c / d) ** alpha_d
    assert KAPLAN.loss(n, d) == pytest.approx(written, rel=1e-12)


@pytest.mark.parametrize("n", [1e6, 1e8, 1e10])
def test_kaplans_example_of_enough_data(n):
    """Their equation 4.4: D of 5e3 · N^0.74 keeps the loss within 2 % of that at endless data."""
    enough = 5e3 * n**0.74
    excess = KAPLAN.loss(n, enough) / KAPLAN.loss(n, 1e40) - 1
    assert excess == pytest.approx(0.02, abs=0.003)


def test_kaplans_optimum_as_hoffmann_et_al_compute_it():
    assert KAPLAN.optimal(1e21).n_params == pytest.approx(4.68e9, rel=0.002)  # their appendix D.4
    # Kaplan et al. 2020, table 6: D_opt = 2e10 · C_min^0.27, printed with one digit.
    c_min = 1e21 / 2 / 8.64e19
    assert KAPLAN.optimal(1e21).n_tokens == pytest.approx(2e10 * c_min**0.27, rel=0.15)


def test_the_printed_digits_decide_the_optimum():
    """Hoffmann et al. 2022: 40 billion in the caption of figure 4, 32 from the printed digits."""
    assert HOFFMANN_UNROUNDED.optimal(GOPHER).n_params == pytest.approx(40e9, rel=0.02)
    assert HOFFMANN.optimal(GOPHER).n_params == pytest.approx(32.2e9, rel=0.01)
    assert HOFFMANN.optimal(GOPHER).tokens_per_param == pytest.approx(93, abs=1)
    assert round(HOFFMANN_UNROUNDED.a, 2) == 0.46  # their table 2
    assert round(HOFFMANN.a, 2) == 0.45


# Hoffmann et al. 2022, table A3, approach 3: parameters, FLOPs. The row of 175 billion is left out:
# its FLOPs are printed as 1.26e24, less than those of 67 billion.
TABLE_A3 = [
    (400e6, 2.21e19),
    (1e9, 1.62e20),
    (10e9, 2.46e22),
    (67e9, 1.71e24),
    (280e9, 3.52e25),
    (520e9, 1.36e26),
    (1e12, 5.65e26),
    (10e12, 8.55e28),
]


@pytest.mark.parametrize(("n_params", "flops"), TABLE_A3)
def test_more_digits_come_closer_to_the_papers_table(n_params, flops):
    """Within 8 %, over nine orders of magnitude; the printed digits miss by 18 to 30 %."""
    assert HOFFMANN_UNROUNDED.optimal(flops).n_params == pytest.approx(n_params, rel=0.08)
    assert HOFFMANN.optimal(flops).n_params < 0.83 * n_params


def test_besiroglu_et_al_find_what_chinchilla_was():
    best = BESIROGLU.optimal(GOPHER)
    assert best.n_params == pytest.approx(70e9, rel=0.05)
    assert best.tokens_per_param == pytest.approx(20, rel=0.1)
    assert round(BESIROGLU.a, 3) == 0.513


def test_the_page_gets_the_laws_as_plain_data():
    data = page_data()
    assert json.loads(json.dumps(data)) == data
    for name, law in PUBLISHED.items():
        stored = data["LAWS"][name]
        assert Law(**{key: stored[key] for key in ("E", "A", "B", "alpha", "beta", "k")}) == Law(
            law.E, law.A, law.B, law.alpha, law.beta, law.k
        )


# ---- what is counted -----------------------------------------------------------------------------


def test_counting_goes_both_ways():
    n = np.geomspace(1.0, 1e13, 40)
    np.testing.assert_allclose(non_embedding_params(total_params(n)), n, rtol=1e-9)


def test_the_embedding_of_hoffmanns_models():
    """73M with a width of 640: all but 32,000 · 640 of them lie outside the embedding."""
    for n_total, width in ((73.7e6, 640), (552e6, 1280), (6796e6, 3584)):
        outside = n_total - 32_000 * width
        assert total_params(outside) == pytest.approx(n_total, rel=0.1)


@pytest.mark.parametrize("law", [BESIROGLU, HOFFMANN_UNROUNDED])
def test_the_frontier_is_where_a_search_finds_it(law):
    frontier = non_embedding_frontier(law, n_sizes=5)
    for n, compute in zip(frontier.n_non_embedding, frontier.compute, strict=True):

        def loss(log_n, compute=compute):
            size = np.exp(log_n)
            return law.loss(total_params(size), compute / 6 / size)

        around = (np.log(n) - 3, np.log(n) + 3)
        found = minimize_scalar(loss, bounds=around, method="bounded", options={"xatol": 1e-9})
        assert np.log(n) == pytest.approx(found.x, abs=1e-3)


def test_kaplans_exponent_follows_from_chinchillas_law():
    """Counted without embeddings, at Kaplan's sizes, both laws give an exponent like his .73."""
    for law, expected in ((BESIROGLU, 0.79), (HOFFMANN_UNROUNDED, 0.75)):
        small = non_embedding_frontier(law)
        assert round(small.exponent, 2) == expected
        assert small.exponent - law.a > 0.25
        # The control: the same count, at sizes where the embedding no longer matters.
        large = non_embedding_frontier(law, sizes=(1e12, 1e15))
        assert large.exponent == pytest.approx(law.a, abs=0.01)


def test_the_exponent_is_local():
    frontier = non_embedding_frontier(BESIROGLU, n_sizes=60)
    local = frontier.local_exponent()
    assert local.max() > 0.95
    assert local[-1] < 0.55
    assert frontier.n_non_embedding[[0, -1]] == pytest.approx(KAPLAN_SIZES)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((0.0, 1e9), r"sizes\[0\] must be a number in \(0, inf\), got 0"),
        ((1e9, 1e9), r"sizes\[1\] must be a number in \(1e\+09, inf\), got 1000000000"),
    ],
)
def test_sizes_grow_from_above_zero(sizes, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        non_embedding_frontier(BESIROGLU, sizes=sizes)
