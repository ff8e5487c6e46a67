"""Laws of the weights of variational mixtures, and the special functions that they need."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from pgm.mixtures.special import digamma, log_gamma, log_multivariate_gamma, multivariate_digamma
from pgm.mixtures.weight_laws import WEIGHT_LAWS, BrokenSticks, DirichletWeights

WEIGHT_LAW_NAMES = ("dirichlet_process", "dirichlet_distribution")


def evidence(law, counts):
    """Log-probability of labels with these counts, from the law of the weights that they leave."""
    counts = np.array([counts])
    found = law.posterior(counts)
    return float((counts * law.expected_logs(found)).sum() - law.divergence(found)[0])


@pytest.mark.parametrize("weights", WEIGHT_LAW_NAMES)
def test_weights_agree_with_draws_of_their_law(weights):
    """Means within six standard errors (false alarm below 1e-7 with eight comparisons)."""
    law = WEIGHT_LAWS[weights](0.8)
    counts = np.array([[5.0, 0.5, 3.0, 0.0]])
    concentration = law.posterior(counts)
    assert concentration.shape[1:] == law.shape(4)
    rng = np.random.default_rng(0)
    if weights == "dirichlet_process":
        sticks = rng.beta(*concentration[0][:, None], size=(200_000, 4))
        left = np.cumprod(1 - sticks, 1)
        draws = sticks * np.concatenate([np.ones((len(left), 1)), left[:, :-1]], 1)
    else:
        draws = rng.dirichlet(concentration[0], size=200_000)
    expected, rest = law.expected(concentration)
    for found, values in ((expected, draws), (law.expected_logs(concentration), np.log(draws))):
        errors = values.std(0) / math.sqrt(len(values))
        assert (np.abs(values.mean(0) - found[0]) < 6 * errors).all()
    assert expected.sum() + rest[0] == pytest.approx(1, abs=1e-12)
    assert law.divergence(concentration)[0] > 0
    assert law.divergence(law.posterior(0 * counts))[0] == pytest.approx(0, abs=1e-12)


def test_evidence_of_labels_is_a_product_of_beta_functions():
    counts = np.array([7.0, 4.5, 1.0, 0.0])
    later = np.array([5.5, 1.0, 0.0, 0.0])
    sticks = special.betaln(1 + counts, 0.3 + later) - special.betaln(1, 0.3)
    assert evidence(BrokenSticks(0.3), counts) == pytest.approx(sticks.sum(), rel=1e-12)
    wanted = special.gammaln(1.2) - special.gammaln(1.2 + 12.5)
    wanted += (special.gammaln(0.3 + counts) - special.gammaln(0.3)).sum()
    assert evidence(DirichletWeights(0.3), counts) == pytest.approx(wanted, rel=1e-12)


def test_sticks_are_worth_most_from_the_largest_count_down():
    counts = (7.0, 4.5, 1.0, 0.0)
    law = BrokenSticks(0.3)
    worth = {order: evidence(law, order) for order in itertools.permutations(counts)}
    assert law.prefers_falling
    assert max(worth, key=worth.__getitem__) == counts
    swapped = worth[counts] - worth[7.0, 1.0, 4.5, 0.0]
    assert swapped == pytest.approx(math.log((0.3 + 4.5) / (0.3 + 1.0)), rel=1e-12)
    equal = {round(evidence(DirichletWeights(0.3), order), 9) for order in worth}
    assert len(equal) == 1


def test_tiny_concentrations_stay_finite():
    for weights in WEIGHT_LAW_NAMES:
        law = WEIGHT_LAWS[weights](1e-200)
        concentration = law.posterior(np.array([[3.0, 2.0, 0.0, 0.0]]))
        assert np.isfinite(law.expected_logs(concentration)).all()
        assert np.isfinite(law.divergence(concentration)).all()
        assert law.expected(concentration)[0].sum() == pytest.approx(1, abs=1e-12)


@given(x=st.floats(2.01, 1e6), d=st.integers(1, 5))
def test_gamma_functions_equal_those_of_scipy(x, d):
    assert float(log_gamma(np.array(x))) == pytest.approx(special.gammaln(x), rel=1e-13, abs=1e-14)
    assert float(digamma(np.array(x))) == pytest.approx(special.digamma(x), rel=1e-13, abs=1e-14)
    several = np.array([x, x + 1])
    np.testing.assert_allclose(
        log_multivariate_gamma(several, d),
        special.multigammaln(several, d)
        if d == 1
        else [special.multigammaln(v, d) for v in several],
        rtol=1e-12,
        atol=1e-12,
    )
    halves = [special.digamma(x - 0.5 * i) for i in range(d)]
    found = float(multivariate_digamma(torch.tensor(x, dtype=torch.float64), d))
    assert found == pytest.approx(sum(halves), rel=1e-12, abs=1e-12)
