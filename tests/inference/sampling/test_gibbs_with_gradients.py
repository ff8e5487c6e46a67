"""Gibbs with gradients: exact transition matrices of small models, exact starts, encodings."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch import Tensor

from inference.exact.enumerate import enumerate_states
from inference.random import as_generator
from inference.sampling.continuous_law import tempered
from inference.sampling.gibbs_with_gradients import (
    Binary,
    Encoding,
    GibbsWithGradients,
    GradientGibbsState,
    OneHot,
)


@dataclass(frozen=True)
class Model:
    """A log density that is bent between joint states, so that slopes are not exact."""

    encoding: Encoding
    states: int
    n: int
    scale: float = 1.0

    def __call__(self, x: Tensor) -> Tensor:
        width = x[0].numel()
        pairs = torch.randn(width, width, dtype=torch.float64, generator=as_generator(width))
        bias = torch.randn(width, dtype=torch.float64, generator=as_generator(1))
        flat = x.flatten(1)
        field = flat @ pairs / width + bias
        return self.scale * (field.tanh() * flat + (flat @ pairs).sin() / 2).sum(1)

    @property
    def codes(self) -> Tensor:
        return enumerate_states([self.states] * self.n)

    @property
    def probs(self) -> Tensor:
        return self(self.encoding.encode(self.codes)).softmax(0)


MODELS = [
    Model(Binary(), 2, 5),
    Model(Binary(-1.0, 1.0), 2, 4),
    Model(Binary(0.5, -2.0), 2, 6),
    Model(OneHot(3), 3, 4),
    Model(OneHot(2), 2, 4),
    Model(Binary(-1.0, 1.0), 2, 5, scale=4.0),
]


def matrix_of(kernel: GibbsWithGradients, codes: Tensor, forget: bool = False) -> Tensor:
    """Probabilities of every change and of its acceptance, from one step for each of them."""
    state = kernel.init(kernel.encoding.position(codes))
    n_states, n_changes = state.log_proposals.shape
    every = GradientGibbsState(*[part.repeat_interleave(n_changes, 0) for part in state])
    choice = torch.arange(n_changes).repeat(n_states)
    possible = every.log_proposals.gather(1, choice[:, None])[:, 0] > -math.inf
    choice = torch.where(possible, choice, every.log_proposals.argmax(1))
    changed, _ = kernel.encoding.changed(every.codes, choice)
    _, outcome = kernel._changed(every, choice, as_generator(0))
    acceptance = outcome.acceptance
    if forget:  # the ratio of densities alone
        logs = kernel.log_density(kernel.encoding.encode(codes))
        new = kernel.log_density(kernel.encoding.encode(changed))
        acceptance = (new - logs.repeat_interleave(n_changes)).clamp(max=0).exp()
    flow = every.log_proposals.gather(1, choice[:, None])[:, 0].exp() * acceptance * possible
    same = (changed[:, None] == codes[None]).all(-1).double()
    matrix = (flow[:, None] * same).reshape(n_states, n_changes, n_states).sum(1)
    return matrix + torch.diag(1 - matrix.sum(1))


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("forget", [False, True])
def test_a_step_leaves_the_law_invariant(model, forget):
    """Without the probabilities of the way back it would not."""
    kernel = GibbsWithGradients(model, model.encoding)
    matrix = matrix_of(kernel, model.codes, forget)
    assert (matrix >= -1e-15).all()
    off = float((model.probs @ matrix - model.probs).abs().max())
    assert off > 1e-3 if forget else off < 1e-12
    if not forget:
        flow = model.probs[:, None] * matrix
        torch.testing.assert_close(flow, flow.T, rtol=0, atol=1e-14)


def test_every_state_is_reached():
    model = MODELS[3]
    matrix = matrix_of(GibbsWithGradients(model, model.encoding), model.codes)
    assert (torch.linalg.matrix_power(matrix, 40) > 0).all()


@pytest.mark.parametrize("model", [MODELS[0], MODELS[3]])
@pytest.mark.parametrize("wrong", [False, True])
def test_steps_from_exact_draws(model, wrong):
    """Exact starts, three steps, chi-square over all joint states; false alarms: one in 1e7."""
    from scipy.stats import chi2

    n = 100_000
    generator = as_generator(1)
    start = model.codes[torch.multinomial(model.probs, n, True, generator=generator)]
    density = tempered(model, 1.3) if wrong else model
    kernel = GibbsWithGradients(density, model.encoding)
    state = kernel.init(model.encoding.position(start))
    for _ in range(3):
        state = kernel.step(state, generator)
    strides = model.states ** torch.arange(model.n - 1, -1, -1)
    counts = torch.bincount(state.codes @ strides, minlength=len(model.codes))
    expected = n * model.probs
    value = float(((counts - expected) ** 2 / expected).sum())
    assert expected.min() > 5
    assert (value > chi2.isf(1e-7, len(model.codes) - 1)) == wrong


def test_a_step_takes_changes_as_often_as_its_matrix_says():
    """All chains from one state against the exact row; false alarms: one in 1e7."""
    from scipy.stats import chi2

    model = MODELS[3]
    kernel = GibbsWithGradients(model, model.encoding)
    row = matrix_of(kernel, model.codes)[10]
    start = model.codes[10].expand(50_000, -1)
    codes = kernel.step(kernel.init(start), as_generator(2)).codes
    strides = model.states ** torch.arange(model.n - 1, -1, -1)
    counts = torch.bincount(codes @ strides, minlength=len(model.codes))
    expected = len(codes) * row
    assert (counts[expected == 0] == 0).all()
    kept = expected > 0
    value = float(((counts - expected)[kept] ** 2 / expected[kept]).sum())
    assert value < chi2.isf(1e-7, int(kept.sum()) - 1)


def test_first_order_gains_are_exact_where_the_density_is_linear():
    """Then a proposal is accepted always, up to how the two sums of weights differ."""
    bias = torch.tensor([1.0, -2.0, 0.5]).double()
    for encoding in (Binary(), Binary(-1.0, 1.0)):
        codes = enumerate_states([2, 2, 2])
        x = encoding.encode(codes)
        gains = encoding.gains(codes, bias.expand(8, 3))[..., 0]
        for v in range(3):
            changed, back = encoding.changed(codes, torch.full((8,), v))
            assert (back == v).all()
            torch.testing.assert_close(gains[:, v], (encoding.encode(changed) - x) @ bias)


def test_categorical_changes_lead_back():
    encoding = OneHot(3)
    codes = torch.tensor([[0, 2], [1, 1]])
    changed, back = encoding.changed(codes, torch.tensor([4, 2]))
    assert changed.tolist() == [[0, 1], [2, 1]]
    home, forth = encoding.changed(changed, back)
    assert torch.equal(home, codes) and forth.tolist() == [4, 2]
    gains = encoding.gains(codes, torch.arange(12).double().reshape(2, 2, 3))
    assert gains.tolist() == [
        [[-math.inf, 1.0, 2.0], [-2.0, -1.0, -math.inf]],
        [[-1.0, -math.inf, 1.0], [-1.0, -math.inf, 1.0]],
    ]


def test_hard_zeros_are_never_entered():
    """Only states with an even number of ones, or one more than that at the first variable."""

    def forbidden(x: Tensor) -> Tensor:
        return torch.where(x.sum(1) > 2.5, -math.inf, 3 * x.sum(1))

    kernel = GibbsWithGradients(forbidden, Binary())
    codes = enumerate_states([2] * 4)
    allowed = codes[codes.sum(1) <= 2]
    state = kernel.init(allowed.double().repeat(20, 1))
    generator = as_generator(0)
    for _ in range(20):
        state = kernel.step(state, generator)
    assert (state.codes.sum(1) <= 2).all() and (state.invalid == 0).all()
    probs = (3 * allowed.sum(1).double()).softmax(0)
    inside = matrix_of_allowed(kernel, allowed)
    assert (probs @ inside - probs).abs().max() < 1e-12


def matrix_of_allowed(kernel: GibbsWithGradients, codes: Tensor) -> Tensor:
    matrix = matrix_of(kernel, codes)
    assert (matrix.sum(1) - 1).abs().max() < 1e-12
    return matrix


def test_a_density_that_is_no_number_is_counted():
    def broken(x: Tensor) -> Tensor:
        return torch.where(x[:, 0] > 0.5, math.nan, x.sum(1))

    kernel = GibbsWithGradients(broken, Binary())
    state = kernel.init(torch.zeros(100, 3))
    generator = as_generator(0)
    for _ in range(4):
        state = kernel.step(state, generator)
    assert (state.codes[:, 0] == 0).all() and state.invalid.sum() > 20
    with pytest.raises(ValueError, match="log_density must be finite where chains start"):
        kernel.init(torch.ones(1, 3))


def test_at_most_one_variable_changes_and_seeds_repeat():
    model = MODELS[3]
    kernel = GibbsWithGradients(model, model.encoding)
    state = kernel.init(torch.zeros(64, 4, dtype=torch.int64))
    before = [part.clone() for part in state]
    first, second = kernel.step(state, as_generator(1)), kernel.step(state, as_generator(1))
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    torch.testing.assert_close(list(state), before, rtol=0, atol=0)
    changes = (kernel.position(first) != kernel.position(state)).sum(1)
    assert changes.max() == 1
    assert (first.acceptance > 0).all() and (first.acceptance <= 1).all()


def test_positions_are_what_the_user_gave():
    spins = torch.tensor([[1.0, -1.0, 1.0]])
    kernel = GibbsWithGradients(lambda s: s.sum(1), Binary(-1.0, 1.0))
    assert kernel.position(kernel.init(spins)).tolist() == spins.tolist()
    codes = torch.tensor([[2, 0, 1]])
    onehot = GibbsWithGradients(lambda x: x[..., 0].sum(1), OneHot(3))
    assert torch.equal(onehot.position(onehot.init(codes)), codes)
    assert onehot.device == torch.device("cpu")


@pytest.mark.parametrize(
    ("encoding", "position", "kind", "message"),
    [
        (Binary(), torch.tensor([[0.0, 0.5]]), ValueError, "hold 0 and 1, found 0.5"),
        (Binary(-1.0, 1.0), torch.tensor([[0.0]]), ValueError, "hold -1 and 1, found 0"),
        (OneHot(3), torch.tensor([[3]]), ValueError, r"codes 0\.\.2, found 3"),
        (OneHot(3), torch.tensor([[-1]]), ValueError, r"codes 0\.\.2, found -1"),
        (OneHot(3), torch.tensor([[1.0]]), TypeError, "integer codes, found torch.float32"),
        (Binary(), torch.zeros(3), ValueError, r"\(chain, n\).*found \(3,\)"),
        (Binary(), torch.zeros(0, 3), ValueError, "not empty"),
        (Binary(), [[0.0]], ValueError, "found <class 'list'>"),
    ],
)
def test_starts_are_checked(encoding, position, kind, message):
    with pytest.raises(kind, match=message):
        GibbsWithGradients(lambda x: x.flatten(1).sum(1), encoding).init(position)


def test_encodings_are_checked():
    with pytest.raises(ValueError, match="low and high must be two numbers"):
        Binary(1.0, 1.0)
    with pytest.raises(ValueError, match="states must be at least 2"):
        OneHot(1)


@given(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3))
@example(1.37, -0.67)  # 1.37 + (-0.67 - 1.37) is not -0.67
def test_positions_can_be_started_from(low, high):
    if low == high:
        return
    kernel = GibbsWithGradients(lambda x: x.sum(1), Binary(low, high))
    codes = torch.tensor([[0, 1]])
    position = kernel.position(kernel.init(kernel.encoding.position(codes)))
    assert position.tolist() == [[low, high]]


def test_gains_of_the_largest_slopes_are_numbers():
    """A flip gains twice the slope, more than the largest number; a proposal needs half of it."""
    kernel = GibbsWithGradients(lambda s: 1e308 * s[:, 0], Binary(-1.0, 1.0))
    state = kernel.init(-torch.ones(3, 2))
    assert state.log_proposals[0].tolist() == [0.0, -1e308]
    assert kernel.step(state, as_generator(0)).codes.tolist() == [[1, 0]] * 3
