"""Losses of adversarial games: against plain formulas, tables and autograd."""

from __future__ import annotations

import math
from typing import get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from generative.gan.objectives import (
    Loss,
    check_loss,
    discriminator_loss,
    game_value,
    gan_value,
    generator_loss,
    optimal_discriminator,
)

LOGITS = st.lists(st.floats(-8, 8), min_size=1, max_size=5)
LOSSES: tuple[Loss, ...] = get_args(Loss)


def slope(loss: Loss, logit: float) -> float:
    """Size of the slope of a generator's loss at one logit."""
    s = torch.tensor([logit], dtype=torch.float64, requires_grad=True)
    (found,) = torch.autograd.grad(generator_loss(loss, s), s)
    return abs(found.item())


def laws(seed: int, k: int) -> tuple[Tensor, Tensor]:
    """Two random laws, with zeros."""
    source = torch.Generator().manual_seed(seed)
    p, q = torch.rand(2, k, dtype=torch.float64, generator=source).sub(0.3).clamp_min(0) + 0
    p[0] += 0.1
    q[-1] += 0.1
    return p / p.sum(), q / q.sum()


def test_T24_equal_laws_and_the_example() -> None:
    assert game_value(torch.zeros(2), torch.zeros(3)).item() == pytest.approx(-math.log(4))
    p, q = [0.5, 0.3, 0.2], [0.2, 0.2, 0.6]
    assert optimal_discriminator(p, q).tolist() == pytest.approx([5 / 7, 0.6, 0.25])
    assert gan_value(p, q).item() == pytest.approx(-1.2051626612, abs=1e-10)
    assert gan_value(p, p).item() == pytest.approx(-math.log(4))
    assert gan_value([1.0, 0.0], [0.0, 1.0]).item() == 0


@pytest.mark.parametrize(
    ("logit", "minimax", "printed", "saturating_not"),
    [(-6.0, 0.0024726, 0.0024665, 0.9975274), (0.0, 0.5, 0.25, 0.5)],
)
def test_T24b_slopes_of_the_three_rules(
    logit: float, minimax: float, printed: float, saturating_not: float
) -> None:
    found = [slope(rule, logit) for rule in ("minimax", "as-printed", "non-saturating")]
    assert found == pytest.approx([minimax, printed, saturating_not], abs=5e-8)


@given(real=LOGITS, fake=LOGITS)
def test_plain_formulas(real: list[float], fake: list[float]) -> None:
    r, f = (torch.tensor(x, dtype=torch.float64) for x in (real, fake))
    d, g = r.sigmoid(), f.sigmoid()
    value = d.log().mean() + (1 - g).log().mean()
    assert torch.isclose(game_value(r, f), value)
    expected: dict[Loss, tuple[Tensor, Tensor]] = {
        "minimax": (-value, (1 - g).log().mean()),
        "non-saturating": (-value, -g.log().mean()),
        "as-printed": (-value, -g.mean()),
        "least-squares": (
            ((r - 1) ** 2).mean() / 2 + (f**2).mean() / 2,
            ((f - 1) ** 2).mean() / 2,
        ),
        "hinge": (
            -torch.minimum(r - 1, 0 * r).mean() - torch.minimum(-f - 1, 0 * f).mean(),
            -f.mean(),
        ),
    }
    assert set(expected) == set(LOSSES)
    for loss, (judged, made) in expected.items():
        assert torch.isclose(discriminator_loss(loss, r, f), judged)
        assert torch.isclose(generator_loss(loss, f), made)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("logit", [-1e4, 1e4])
def test_sure_logits_have_finite_losses_and_slopes(loss: Loss, logit: float) -> None:
    s = torch.tensor([logit], requires_grad=True)
    for found in (discriminator_loss(loss, s, s), generator_loss(loss, s)):
        (slopes,) = torch.autograd.grad(found, s)
        assert found.isfinite() and slopes.isfinite().all()


@given(seed=st.integers(0, 10**6), k=st.integers(2, 6))
def test_the_optimum_is_one(seed: int, k: int) -> None:
    p, q = laws(seed, k)

    def value(d: Tensor) -> Tensor:
        return torch.xlogy(p, d).sum() + torch.xlogy(q, 1 - d).sum()

    best = optimal_discriminator(p, q)
    assert torch.isclose(value(best), gan_value(p, q), atol=1e-12)
    others = torch.rand(50, k, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    assert all(value(d) <= value(best) + 1e-12 for d in others)
    # The mean with the weights swapped is no optimum.
    if not torch.allclose(p, q):
        assert value(1 - best) < value(best)


@pytest.mark.parametrize("rule", [r for r in LOSSES if r not in ("least-squares", "hinge")])
def test_generators_ascend_the_logit(rule: Loss) -> None:
    s = torch.tensor([0.3], requires_grad=True)
    (found,) = torch.autograd.grad(generator_loss(rule, s), s)
    assert found.item() < 0


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match=r"found 'wgan'"):
        check_loss("wgan")
    with pytest.raises(ValueError, match="loss must be one of"):
        generator_loss("x", torch.zeros(1))  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match=r"one shape, found \(2,\) and \(3,\)"):
        gan_value([0.5, 0.5], [0.2, 0.2, 0.6])
    with pytest.raises(ValueError, match="q must sum to one"):
        optimal_discriminator([0.5, 0.5], [0.5, 0.6])
