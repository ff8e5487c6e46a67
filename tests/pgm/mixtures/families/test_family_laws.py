"""Laws of the families, against scipy row by row, against sums over states and differences."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp

from pgm.mixtures.families.bernoulli import Bernoulli
from pgm.mixtures.families.categorical import Categorical
from pgm.mixtures.families.gaussian import Gaussian
from pgm.mixtures.families.poisson import Poisson
from pgm.mixtures.families.product import Product
from pgm.mixtures.families.student_t import StudentT

FAMILIES = [
    Bernoulli(4),
    Categorical((2, 3, 1, 4)),
    Poisson(3),
    Gaussian(3),
    StudentT(3),
    StudentT(3, "diag"),
    Product({(0, 3): StudentT(2), 1: Bernoulli(1), (4, 2): Categorical((3, 2)), 5: Poisson(1)}),
]
DISCRETE = [
    Bernoulli(4),
    Categorical((2, 3, 4)),
    Product({(0, 2): Bernoulli(2), 1: Categorical((3,))}),
]


def names(family):
    return type(family).__name__.lower()


@pytest.mark.parametrize("family", FAMILIES, ids=names)
@settings(max_examples=8)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.integers(0, 4), st.booleans())
def test_everything_agrees_with_scipy(
    draw_mixture, some_rows, component_logs, family, seed, k, n, zeros
):
    model, x = draw_mixture(seed, family, k, zeros=zeros), some_rows(seed, family, n)
    expected = component_logs(model, x)
    found = model.component_log_prob(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
    joint = expected + np.log(model.weights.detach().numpy())
    total = logsumexp(joint, axis=1) if n else np.zeros(0)
    np.testing.assert_allclose(model.log_prob(x).detach(), total, rtol=1e-9, atol=1e-9)
    possible = total > -math.inf
    shares = np.exp(joint[possible] - total[possible, None])
    np.testing.assert_allclose(model.predict_proba(x)[possible], shares, atol=1e-9)
    np.testing.assert_allclose(model.predict_proba(x).sum(1), np.ones(n), atol=1e-12)
    assert not model.log_prob(x).isnan().any()


@pytest.mark.parametrize("family", DISCRETE, ids=names)
@pytest.mark.parametrize("zeros", [False, True])
def test_missing_cells_are_summed_out_and_the_law_sums_to_one(draw_mixture, family, zeros):
    cards = {Bernoulli: (2,) * 4, Categorical: (2, 3, 4), Product: (2, 3, 2)}[type(family)]
    model = draw_mixture(3, family, 3, zeros=zeros)
    every = np.array(list(itertools.product(*map(range, cards))))
    p = model.log_prob(every).detach().exp().numpy()
    assert abs(p.sum() - 1) < 1e-12
    for hidden in itertools.product([False, True], repeat=len(cards)):
        row = every[5].copy()
        row[list(hidden)] = -1
        agree = ((every == row) | np.array(hidden)).all(1)
        assert abs(model.log_prob(row[None]).exp().item() - p[agree].sum()) < 1e-12


@pytest.mark.parametrize("family", FAMILIES, ids=names)
def test_gradients_are_those_of_differences(draw_mixture, some_rows, family):
    model, x = draw_mixture(5, family, 3), torch.from_numpy(some_rows(6, family, 7))
    parameters = dict(model.named_parameters())
    grads = torch.autograd.grad(model.log_prob(x).sum(), list(parameters.values()))
    rng, h = np.random.default_rng(0), 1e-6
    for (name, parameter), grad in zip(parameters.items(), grads, strict=True):
        assert grad.isfinite().all()
        shift = torch.from_numpy(rng.normal(size=parameter.shape))
        if name.startswith("scales") and parameter.ndim == 3:
            shift = shift + shift.mT
        if name in ("weights",) or name.startswith("probs"):
            # Stay among the laws: what one state gains the others lose.
            shift = _tangent(family, name, shift)
        with torch.no_grad():
            old = parameter.clone()
            sides = []
            for sign in (1, -1):
                parameter.copy_(old + sign * h * shift)
                sides.append(model.log_prob(x).sum().item())
            parameter.copy_(old)
        found, slope = (grad * shift).sum().item(), (sides[0] - sides[1]) / (2 * h)
        assert abs(found - slope) < 1e-5 * (1 + abs(slope)), name


def _tangent(family, name, shift):
    """A change of probabilities that keeps their sums."""
    if isinstance(family, Product) and name != "weights":
        family = family.parts[int(name[-1])][1]
    if name == "weights":
        return shift - shift.mean()
    if isinstance(family, Bernoulli):
        return shift
    return torch.cat([part - part.mean(1, keepdim=True) for part in family.tables(shift)], dim=1)


@pytest.mark.parametrize("family", [Gaussian(3), StudentT(3), StudentT(3, "diag")], ids=names)
def test_gradients_reach_the_rows(draw_mixture, some_rows, family):
    model, x = draw_mixture(5, family, 3), torch.from_numpy(some_rows(6, family, 7))
    x[2] = math.nan
    x.requires_grad_()
    (grad,) = torch.autograd.grad(model.log_prob(x).sum(), x)
    assert (grad[x.isnan()] == 0).all()
    shift, h = torch.from_numpy(np.random.default_rng(1).normal(size=x.shape)), 1e-6
    plain = x.detach()
    slope = (model.log_prob(plain + h * shift) - model.log_prob(plain - h * shift)).sum() / (2 * h)
    torch.testing.assert_close((grad * shift).sum(), slope.detach(), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("family", FAMILIES, ids=names)
def test_hard_zeros_and_gaps_leave_gradients_finite(draw_mixture, some_rows, family):
    model = draw_mixture(11, family, 3, zeros=True)
    with torch.no_grad():
        model.weights.copy_(torch.tensor([0.0, 0.3, 0.7]))
    x = torch.from_numpy(some_rows(12, family, 30))
    x[0] = math.nan
    total = model.log_prob(x)
    assert total[0] == 0 and not total.isnan().any()
    finite = total[total > -math.inf].sum()
    for grad in torch.autograd.grad(finite, list(model.parameters())):
        assert grad.isfinite().all()


def test_far_normal_components_keep_their_digits(draw_mixture, component_logs, some_rows):
    model = draw_mixture(1, Gaussian(2), 2)
    with torch.no_grad():
        model.means[0] += 1e5
        model.covariances[0] = 1e-4
    x = np.concatenate([some_rows(2, Gaussian(2), 20), np.full((2, 2), 1e5)])
    found = model.component_log_prob(x)
    np.testing.assert_allclose(found.detach(), component_logs(model, x), rtol=1e-9)


def test_rows_without_a_possible_component_have_the_weights(draw_mixture):
    model = draw_mixture(1, Bernoulli(1), 2)
    with torch.no_grad():
        model.probs.zero_()
    assert model.log_prob([[1]]).item() == -math.inf
    torch.testing.assert_close(model.predict_proba([[1]])[0], model.weights.detach())


@pytest.mark.parametrize("family", FAMILIES, ids=names)
def test_any_shares_bound_the_log_probability(draw_mixture, some_rows, family):
    """log p = ELBO + KL, with the KL zero at the responsibilities."""
    model, x = draw_mixture(2, family, 3), some_rows(3, family, 9)
    with torch.no_grad():
        joint = model.component_log_prob(x) + model.weights.log()
        log_p, r = model.log_prob(x), model.predict_proba(x)
        generator = torch.Generator().manual_seed(0)
        q = torch.rand(r.shape, generator=generator, dtype=torch.float64)
        q /= q.sum(1, keepdim=True)
        for share in (r, q):
            elbo = torch.special.entr(share).sum(1) + (share * joint).sum(1)
            kl = (torch.special.xlogy(share, share) - share * r.log()).sum(1)
            torch.testing.assert_close(elbo + kl, log_p)
            assert (kl > -1e-12).all()
            assert (kl.abs().max() < 1e-12) == (share is r)


@pytest.mark.parametrize("family", DISCRETE, ids=names)
def test_samples_follow_the_law(draw_mixture, family):
    """Pearson's statistic over all states; false alarms at most 1e-6 per family."""
    from scipy.stats import chi2

    cards = {Bernoulli: (2,) * 4, Categorical: (2, 3, 4), Product: (2, 3, 2)}[type(family)]
    model = draw_mixture(4, family, 2)
    every = np.array(list(itertools.product(*map(range, cards))))
    n = 40_000
    expected = n * model.log_prob(every).detach().exp().numpy()

    def statistic(x):
        keys = np.ravel_multi_index(x.long().numpy().T, cards)
        counts = np.bincount(keys, minlength=len(every))
        few = expected < 10
        counts = np.append(counts[~few], counts[few].sum())
        wanted = np.append(expected[~few], expected[few].sum())
        counts, wanted = counts[wanted > 0], wanted[wanted > 0]
        return chi2.sf(((counts - wanted) ** 2 / wanted).sum(), len(counts) - 1)

    x, labels = model.sample_labelled(n, generator=0)
    assert statistic(x) > 1e-6
    assert labels.shape == (n,) and torch.equal(x, model.sample(n, generator=0))
    shuffled = torch.stack(
        [
            column[torch.randperm(n, generator=torch.Generator().manual_seed(j))]
            for j, column in enumerate(x.T)
        ],
        dim=1,
    )
    assert statistic(shuffled) < 1e-6  # the right columns, but independent of each other


@pytest.mark.parametrize(
    "family", [Poisson(1), Gaussian(1), StudentT(1), StudentT(1, "diag")], ids=names
)
def test_samples_of_numbers_follow_the_law(draw_mixture, family):
    """Kolmogorov's statistic at points of the law's distribution; false alarms below 1e-6."""
    model = draw_mixture(8, family, 2)
    n = 20_000
    x = model.sample(n, generator=1)[:, 0].sort().values
    grid = torch.linspace(-60, 60, 240_001, dtype=torch.float64)
    if isinstance(family, Poisson):
        grid = torch.arange(0, 100, dtype=torch.float64)
        cdf = model.log_prob(grid[:, None]).exp().cumsum(0)
    else:
        cdf = torch.cumulative_trapezoid(model.log_prob(grid[:, None]).exp(), grid)
        grid = grid[1:]
        cdf = cdf + (1 - cdf[-1]) / 2  # what is left out lies on both sides
    own = torch.searchsorted(x, grid, right=True) / n
    gap = (own - cdf.detach()).abs().max().item()
    limit = math.sqrt(math.log(2e6) / (2 * n))  # Dvoretzky, Kiefer and Wolfowitz
    assert gap < limit
    wrong = torch.searchsorted(x + 0.5, grid, right=True) / n
    assert (wrong - cdf.detach()).abs().max().item() > limit


def test_t_tails_of_a_row_are_shared(draw_mixture):
    """The entries of a row are uncorrelated but not independent: they share u."""
    model = draw_mixture(0, StudentT(2, "diag"), 1)
    with torch.no_grad():
        model.means.zero_()
        model.scales.fill_(1.0)
        model.degrees.fill_(3.0)
    x = model.sample(20_000, generator=0)
    far = (x.abs() > 3).double()
    both, apart = far.prod(1).mean().item(), far.mean(0).prod().item()
    # Independent entries would be far together 66 times in 20,000; six deviations are 49 more.
    assert both > apart + 6 * math.sqrt(apart / 20_000)
