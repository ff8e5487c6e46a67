"""Toy laws: densities against scipy and quadrature, samples against their densities.

Statistical tests fail by chance at most once in a million runs, by the thresholds they state.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.stats import chi2, multivariate_normal
from sklearn.datasets import make_moons, make_swiss_roll
from torch import Tensor

from generative.toy import (
    checkerboard,
    checkerboard_log_prob,
    grid,
    grid_centres,
    grid_log_prob,
    moons,
    ring,
    ring_centres,
    ring_log_prob,
    swiss_roll,
)

LAWS: list[Callable[..., Tensor]] = [ring, grid, moons, swiss_roll, checkerboard]

#: Probability with which a statistical test may fail by chance.
FALSE_ALARM = 1e-6


def uniform_counts(counts: Tensor) -> bool:
    """Whether Pearson's statistic accepts equal probabilities."""
    expected = counts.sum() / len(counts)
    statistic = float(((counts - expected) ** 2 / expected).sum())
    return statistic < chi2.isf(FALSE_ALARM, len(counts) - 1)


@pytest.mark.parametrize("law", LAWS)
def test_shape_type_seed_and_the_global_state(law: Callable[..., Tensor]) -> None:
    before = torch.get_rng_state()
    x = law(50, generator=3)
    assert x.shape == (50, 2)
    assert x.dtype == torch.float32
    assert torch.equal(x, law(50, generator=3))
    assert not torch.equal(x, law(50, generator=4))
    assert law(0, generator=0).shape == (0, 2)
    assert torch.equal(torch.get_rng_state(), before)


def test_centres_are_the_published_ones() -> None:
    angles = 2 * np.pi * np.arange(8) / 8
    assert np.allclose(ring_centres(), np.stack([np.cos(angles), np.sin(angles)], 1), atol=1e-7)
    assert set(map(tuple, grid_centres().tolist())) == {
        (x, y) for x in (-4.0, -2.0, 0.0, 2.0, 4.0) for y in (-4.0, -2.0, 0.0, 2.0, 4.0)
    }
    assert ring_centres(5, radius=2.0).norm(dim=1).tolist() == pytest.approx([2.0] * 5)


@pytest.mark.parametrize(
    ("log_prob", "centres", "std"),
    [(ring_log_prob, ring_centres(), 0.01), (grid_log_prob, grid_centres(), 0.05)],
)
def test_density_of_a_mixture_is_that_of_scipy(
    log_prob: Callable[..., Tensor], centres: Tensor, std: float
) -> None:
    noise = torch.randn(200, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = centres.double()[torch.arange(200) % len(centres)] + 2 * std * noise
    density = sum(
        multivariate_normal(c.numpy(), std**2).pdf(x.numpy()) for c in centres.double()
    ) / len(centres)
    assert torch.allclose(log_prob(x), torch.tensor(density).log(), rtol=0, atol=1e-9)
    # Far away the density underflows and its logarithm does not.
    far = log_prob([[100.0, 0.0]])
    nearest = (torch.tensor([[100.0, 0.0]]) - centres).norm(dim=1).min().item()
    # The last term: how many modes may be equally near.
    constant = math.log(len(centres) * 2 * math.pi * std**2)
    assert far.item() == pytest.approx(-0.5 * (nearest / std) ** 2 - constant, abs=math.log(2))


@pytest.mark.parametrize(
    ("log_prob", "reach", "settings"),
    [
        (ring_log_prob, 3.0, {"modes": 5, "radius": 1.5, "std": 0.2}),
        (grid_log_prob, 4.0, {"side": 3, "spacing": 1.5, "std": 0.3}),
        (checkerboard_log_prob, 7.0, {"side": 6}),
    ],
)
def test_densities_integrate_to_one(
    log_prob: Callable[..., Tensor], reach: float, settings: dict
) -> None:
    step = 0.02
    ticks = torch.arange(-reach + step / 2, reach, step, dtype=torch.float64)
    total = log_prob(torch.cartesian_prod(ticks, ticks), **settings).exp().sum() * step**2
    # Midpoints integrate smooth functions that vanish at the border, and whole squares, exactly.
    assert total.item() == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize(
    ("draw", "centres", "std"), [(ring, ring_centres(), 0.01), (grid, grid_centres(), 0.05)]
)
def test_samples_of_a_mixture_follow_it(
    draw: Callable[..., Tensor], centres: Tensor, std: float
) -> None:
    n = 20_000
    x = draw(n, generator=0).double()
    distances = torch.cdist(x, centres.double())
    nearest = distances.min(1)
    assert uniform_counts(torch.bincount(nearest.indices, minlength=len(centres)).double())
    squares = float((nearest.values / std).square().sum())  # chi squared, two per point
    assert chi2.ppf(FALSE_ALARM / 2, 2 * n) < squares < chi2.isf(FALSE_ALARM / 2, 2 * n)
    # The same test rejects a deviation that is five in a hundred too large.
    assert squares * 1.05**2 > chi2.isf(FALSE_ALARM / 2, 2 * n)


def test_checkerboard_is_uniform_on_its_squares() -> None:
    x = checkerboard(40_000, generator=1)
    assert x.abs().max() <= 4
    log_density = checkerboard_log_prob(x)
    assert torch.equal(log_density, torch.full_like(log_density, -math.log(32)))
    # Quarters of squares: 4 * 8 equal cells.
    cells = (x + 4).floor().long()
    counts = torch.bincount(8 * cells[:, 0] + cells[:, 1], minlength=64)
    assert (counts > 0).sum() == 32
    assert uniform_counts(counts[counts > 0].double())
    # One colour less a square would not do.
    assert not uniform_counts(counts[counts > 0][:-1].double().scatter(0, torch.tensor([0]), 0.0))


def test_checkerboard_never_rounds_onto_the_next_square(monkeypatch: pytest.MonkeyPatch) -> None:
    last = 1 - 2.0**-24
    monkeypatch.setattr(torch, "rand", lambda *shape, **_: torch.full(shape, last))
    x = checkerboard(64, side=16, generator=0)
    assert checkerboard_log_prob(x, side=16).isfinite().all()


def test_curves_are_those_of_scikit_learn() -> None:
    # Each of their points has one of ours near it, and each of ours one of theirs.
    for theirs, ours in [
        (make_moons(3000, noise=None)[0], moons(3000, std=0.0, generator=0)),
        (make_swiss_roll(3000, random_state=0)[0][:, [0, 2]] / 7.5, swiss_roll(3000, std=0.0)),
    ]:
        between = torch.cdist(torch.from_numpy(theirs).float(), ours)
        # At least 160 points per unit of length: a gap of 0.3 has probability below exp(-48).
        assert between.min(0).values.max() < 0.15
        assert between.min(1).values.max() < 0.15


def test_curves_are_exact_without_blur() -> None:
    x = moons(500, std=0.0, generator=0).double()
    upper, lower = x.norm(dim=1) - 1, (x - torch.tensor([1.0, 0.5])).norm(dim=1) - 1
    assert torch.minimum(upper.abs(), lower.abs()).max() < 1e-6
    assert ((upper.abs() < 1e-6) & (x[:, 1] > -1e-6)).double().mean() == pytest.approx(
        0.5, abs=0.15
    )
    roll = swiss_roll(500, std=0.0, generator=0).double()
    angles = 7.5 * roll.norm(dim=1)
    assert ((angles > 1.5 * math.pi - 1e-4) & (angles < 4.5 * math.pi + 1e-4)).all()
    assert torch.allclose(roll[:, 0] / roll.norm(dim=1), angles.cos(), atol=1e-4)


@pytest.mark.parametrize("law", [moons, swiss_roll])
def test_blur_is_normal(law: Callable[..., Tensor]) -> None:
    blur = (law(20_000, std=0.3, generator=5) - law(20_000, std=0.0, generator=5)).double() / 0.3
    squares = float(blur.square().sum())
    assert chi2.ppf(FALSE_ALARM / 2, 40_000) < squares < chi2.isf(FALSE_ALARM / 2, 40_000)


def test_log_densities_pass_gradients_and_keep_types() -> None:
    x = torch.tensor([[0.5, 0.5]], requires_grad=True)
    density = ring_log_prob(x)
    assert density.dtype == torch.float32
    (slope,) = torch.autograd.grad(density.sum(), x)
    toward = ring_centres()[1] - x[0]
    assert torch.allclose(slope[0], toward / 0.01**2, rtol=1e-4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ring(-1), "n must be at least 0, found -1"),
        (lambda: ring(5, modes=0), "modes must be at least 1"),
        (lambda: ring(5, radius=0.0), "radius must be positive"),
        (lambda: ring(5, std=-1.0), "std must be finite and not negative"),
        (lambda: grid(5, spacing=math.inf), "spacing must be positive"),
        (lambda: grid(5, side=0), "side must be at least 1"),
        (lambda: moons(5, std=math.nan), "std must be finite"),
        (lambda: checkerboard(5, side=3), "side must be even, found 3; pass 4"),
        (lambda: ring_log_prob([[1.0, 2.0, 3.0]]), r"x must be \(\.\.\., 2\)"),
        (lambda: ring_log_prob([[math.inf, 0.0]]), "x must be finite"),
        (lambda: grid_log_prob([[0.0, 0.0]], std=0.0), "std must be positive"),
    ],
)
def test_bad_input(call: Callable[[], Tensor], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_counts_are_whole_numbers() -> None:
    with pytest.raises(TypeError, match="n must be a whole number"):
        swiss_roll(2.5)
