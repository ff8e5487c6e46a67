"""Laws of observations: their densities, draws, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.distributions import Poisson

from generative.vae.likelihood import (
    BernoulliLikelihood,
    CategoricalLikelihood,
    DistributionLikelihood,
    GaussianLikelihood,
    Likelihood,
    as_likelihood,
)


def case(kind: str, event: tuple[int, ...], seed: int) -> tuple[Likelihood, Tensor, Tensor]:
    """A law, an output for four rows, and four rows."""
    source = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return 2 * torch.randn(*shape, generator=source, dtype=torch.float64)

    x = normal(4, *event)
    if kind == "bernoulli":
        return BernoulliLikelihood(), normal(4, *event), (x > 0).double()
    if kind == "categorical":
        codes = torch.randint(3, (4, *event), generator=source)
        return CategoricalLikelihood(), normal(4, *event, 3), codes
    if kind == "poisson":
        law = DistributionLikelihood(lambda output: Poisson(output.exp()))
        return law, normal(4, *event) / 4, x.abs().floor()
    if kind == "decoder":
        return GaussianLikelihood(), normal(4, 2 * event[0], *event[1:]), x
    law = GaussianLikelihood("shared" if kind == "shared" else 0.7)
    if kind == "shared":
        assert law.log_scale is not None
        law.log_scale.data.fill_(0.3)
    return law, normal(4, *event), x


KINDS = ("bernoulli", "categorical", "poisson", "decoder", "shared", "fixed")


@given(
    kind=st.sampled_from(KINDS),
    event=st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple),
    seed=st.integers(0, 1000),
)
def test_density_is_that_of_the_distribution(kind: str, event: tuple[int, ...], seed: int) -> None:
    law, output, x = case(kind, event, seed)
    found = law.log_prob(output, x)
    expected = law.distribution(output).log_prob(x)
    assert expected.shape == found.shape == (4,)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
    assert law.mean(output).shape == law.sample(output, 0).shape == x.shape


def test_pixels_are_summed_not_averaged() -> None:
    law, output, x = case("bernoulli", (6,), 0)
    averaged = law.distribution(output).base_dist.log_prob(x).mean(1)  # pyright: ignore
    assert not torch.allclose(law.log_prob(output, x), averaged)
    torch.testing.assert_close(law.log_prob(output, x), 6 * averaged)


@pytest.mark.parametrize("kind", KINDS)
def test_draws_have_the_moments_of_the_law(
    kind: str, within: Callable[[Tensor, Tensor], bool]
) -> None:
    law, output, _ = case(kind, (2, 2), 1)
    many = output[:1].expand(20_000, *output.shape[1:])
    state = torch.random.get_rng_state()
    draws = law.sample(many, 0).double()
    assert torch.equal(state, torch.random.get_rng_state())
    assert torch.equal(draws, law.sample(many, 0).double())
    if kind == "categorical":
        draws = torch.nn.functional.one_hot(draws.long(), 3).double()
        mean, variance = output[0].softmax(-1), None
    else:
        mean = law.distribution(output).mean[0].detach()
        variance = law.distribution(output).variance[0].detach()
    assert within(draws, mean)
    if variance is not None:
        assert within((draws - mean).square(), variance)
        assert not within((draws - mean).square(), 1.3 * variance)


def test_mean_of_codes_is_the_most_probable_one() -> None:
    output = torch.tensor([[[0.0, 2.0, 1.0]]])
    assert CategoricalLikelihood().mean(output).tolist() == [[1]]


def test_shared_scale_is_learned_and_a_fixed_one_is_not() -> None:
    assert [len(list(GaussianLikelihood(x).parameters())) for x in ("decoder", "shared", 2.0)] == [
        0,
        1,
        0,
    ]
    law, x = GaussianLikelihood("shared"), 3 * torch.ones(5, 4)
    law.log_prob(torch.zeros(5, 4), x).sum().backward()
    assert law.log_scale is not None and law.log_scale.grad is not None
    # d/d log s of sum(-x^2 / 2 s^2 - log s) at s = 1.
    assert law.log_scale.grad.item() == pytest.approx(20 * (9 - 1))


def test_infinite_logits_are_certain() -> None:
    law = CategoricalLikelihood()
    output = torch.tensor([[[0.0, -torch.inf]]], requires_grad=True)
    found = law.log_prob(output, torch.tensor([[0]]))
    found.backward()
    assert found.item() == 0 and output.grad is not None and not output.grad.isnan().any()
    assert law.log_prob(output, torch.tensor([[1]])).item() == -torch.inf


@pytest.mark.parametrize(
    ("law", "output", "x", "message"),
    [
        (BernoulliLikelihood(), (1, 3), [[0.0, 0.5, 1.0]], "zeros and ones.*0.5 at .*binarise"),
        (BernoulliLikelihood(), (1, 2), [[0.0, torch.nan]], "finite numbers, found nan"),
        (GaussianLikelihood(), (1, 4), [[torch.inf, 0.0]], "finite numbers, found inf"),
        (CategoricalLikelihood(), (1, 2, 3), [[0, 3]], r"codes 0 to 2.*found 3 at index \(0, 1\)"),
        (CategoricalLikelihood(), (1, 2, 3), [[0, -1]], "missing entries"),
        (CategoricalLikelihood(), (1, 2, 3), [[0.5, 1.0]], "codes 0 to 2"),
        (BernoulliLikelihood(), (1, 4), [[[0.0, 1.0], [1.0, 0.0]]], r"\(batch, 2, 2\), found"),
        (GaussianLikelihood(), (1, 2), [[0.0, 1.0]], r"\(batch, 4\), found \(batch, 2\)"),
        (GaussianLikelihood(1.0), (1, 4), [[0.0, 1.0]], r"means.*\(batch, 2\), found"),
        (CategoricalLikelihood(), (1, 3), [[0, 1]], "K logits for every entry"),
    ],
)  # fmt: skip
def test_what_a_law_refuses(
    law: Likelihood, output: tuple[int, ...], x: list[list[float]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        law.check("x", torch.tensor(x), torch.zeros(output))


def test_bad_settings() -> None:
    with pytest.raises(ValueError, match=r'"bernoulli", "gaussian", "categorical".*\'normal\''):
        as_likelihood("normal")  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match=r"a name, a Likelihood or a function.*int"):
        as_likelihood(3)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="scale must be positive"):
        GaussianLikelihood(0.0)
    with pytest.raises(ValueError, match='scale must be "decoder"'):
        GaussianLikelihood("mine")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="even number"):
        GaussianLikelihood().mean(torch.zeros(2, 3))
    with pytest.raises(TypeError, match="torch distribution, found Tensor"):
        as_likelihood(lambda x: x).mean(torch.zeros(2, 3))  # pyright: ignore
    with pytest.raises(ValueError, match=r"law of observations \(batch, 2\).*found"):
        case("poisson", (3,), 0)[0].log_prob(torch.zeros(4, 3), torch.zeros(4, 2))
