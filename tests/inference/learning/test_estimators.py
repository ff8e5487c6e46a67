"""Score-function estimators: bias and variance by visiting every outcome, never by simulation."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from inference.learning.estimators import MovingAverage, leave_one_out, score_function

OUTCOMES = torch.tensor(list(itertools.product([0.0, 1.0], repeat=2)), dtype=torch.float64)
REWARDS = torch.tensor([3.0, -1.0, 4.0, 10.5], dtype=torch.float64)


def parameters(seed: int = 0) -> Tensor:
    """Two logits of independent bits and one weight that couples them."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(3, generator=generator, dtype=torch.float64).requires_grad_()


def log_q(theta: Tensor) -> Tensor:
    """Log-probabilities of the four outcomes of two dependent bits."""
    first, second = OUTCOMES.T
    logits = torch.stack([theta[0].expand(4), theta[1] + theta[2] * first], 1)
    return -torch.nn.functional.softplus((1 - 2 * torch.stack([first, second], 1)) * logits).sum(1)


def gradient(value: Tensor, theta: Tensor) -> Tensor:
    return torch.autograd.grad(value, theta)[0]


def exact_gradient(theta: Tensor, rewards: Tensor) -> Tensor:
    return gradient((log_q(theta).exp() * rewards).sum(), theta)


def estimates(theta: Tensor, draws: int, baseline) -> tuple[Tensor, Tensor]:
    """Probability and estimate of every tuple of draws; `baseline` is a function of rewards."""
    probs, found = [], []
    for tuple_ in itertools.product(range(4), repeat=draws):
        picked = list(tuple_)
        logs, rewards = log_q(theta)[picked], REWARDS[picked]
        found.append(
            gradient(score_function(logs, rewards, baseline=baseline(rewards)), theta),
        )
        probs.append(logs.sum().exp().detach())
    return torch.stack(probs), torch.stack(found)


def mean_and_variance(probs: Tensor, found: Tensor) -> tuple[Tensor, float]:
    mean = probs @ found
    return mean, float(probs @ (found - mean).square().sum(1))


BASELINES = {
    "none": lambda rewards: None,
    "constant": lambda rewards: 2.5,
    "tensor": lambda rewards: torch.tensor([1.7], dtype=torch.float64),
    "leave-one-out": lambda rewards: "leave-one-out",
}


@pytest.mark.parametrize("draws", [2, 3])
@pytest.mark.parametrize("name", BASELINES)
def test_unbiased_over_every_tuple_of_draws(name, draws):
    theta = parameters()
    probs, found = estimates(theta, draws, BASELINES[name])
    assert probs.sum().item() == pytest.approx(1.0, abs=1e-14)
    mean, _ = mean_and_variance(probs, found)
    torch.testing.assert_close(mean, exact_gradient(theta, REWARDS), rtol=0, atol=1e-12)


@pytest.mark.parametrize("draws", [2, 3])
def test_the_mean_that_holds_the_own_reward_is_biased(draws):
    theta = parameters()
    probs, found = estimates(theta, draws, lambda rewards: rewards.mean())
    mean, _ = mean_and_variance(probs, found)
    exact = exact_gradient(theta, REWARDS)
    assert (mean - exact).abs().max() > 0.1
    # The own share of the mean takes away one part in K.
    torch.testing.assert_close(mean, exact * (1 - 1 / draws), rtol=0, atol=1e-12)


def test_a_baseline_lowers_the_variance():
    theta = parameters()
    exact = (log_q(theta).exp() @ REWARDS).item()
    variance = {
        name: mean_and_variance(*estimates(theta, 3, baseline))[1]
        for name, baseline in {**BASELINES, "mean": lambda rewards: exact}.items()
    }
    assert variance["leave-one-out"] < 0.7 * variance["none"]
    assert variance["mean"] < 0.7 * variance["none"]
    shifted = mean_and_variance(*estimates(theta, 3, lambda rewards: exact + 100.0))[1]
    assert shifted > 10 * variance["none"], "a bad baseline is unbiased, but not harmless"


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**31), st.lists(st.floats(-50, 50), min_size=4, max_size=4))
def test_unbiased_for_any_law_and_reward(seed, rewards):
    theta, worth = parameters(seed), torch.tensor(rewards, dtype=torch.float64)
    pairs = torch.cartesian_prod(torch.arange(4), torch.arange(4)).T
    logs = log_q(theta)[pairs]
    surrogate = score_function(logs, worth[pairs], baseline="leave-one-out")
    mean = gradient((logs.sum(0).exp().detach() * surrogate).sum(), theta)
    exact = exact_gradient(theta, worth)
    torch.testing.assert_close(mean, exact, rtol=1e-12, atol=1e-12)


def test_rewards_that_depend_on_the_parameters_add_their_own_gradient():
    """The evidence lower bound: its reward holds log q itself."""
    theta = parameters()
    log_joint = torch.tensor([-1.0, -2.5, -0.5, -4.0], dtype=torch.float64)
    logs = log_q(theta)
    exact = gradient((logs.exp() * (log_joint - logs)).sum(), theta)
    probs = logs.exp().detach()
    for with_own in (True, False):
        logs = log_q(theta)
        reward = log_joint - (logs if with_own else logs.detach())
        surrogate = torch.stack(
            [score_function(logs[k : k + 1], reward[k : k + 1], baseline=0.7) for k in range(4)]
        )
        torch.testing.assert_close(
            gradient((probs * surrogate).sum(), theta), exact, rtol=0, atol=1e-12
        )


def test_value_is_the_mean_reward_and_rows_are_apart():
    generator = torch.Generator().manual_seed(3)
    logs = torch.randn(5, 3, 2, generator=generator, requires_grad=True)
    rewards = torch.randn(5, 3, 2, generator=generator)
    surrogate = score_function(logs, rewards, baseline=torch.zeros(3, 1))
    assert surrogate.shape == (3, 2)
    torch.testing.assert_close(surrogate, rewards.mean(0))
    (found,) = torch.autograd.grad(surrogate[1, 1], logs)
    torch.testing.assert_close(found[:, 1, 1], rewards[:, 1, 1] / 5)
    assert found.count_nonzero() == 5


def test_lists_and_arrays_are_baselines():
    log_probs = torch.zeros(3, 2, requires_grad=True)
    rewards, numbers = torch.arange(6.0).reshape(3, 2), torch.tensor([1.0, 2.0])
    wanted = gradient(score_function(log_probs, rewards, baseline=numbers).sum(), log_probs)
    for baseline in (numbers.tolist(), numbers.numpy()):
        found = score_function(log_probs, rewards, baseline=baseline)
        assert found.dtype == rewards.dtype
        assert torch.equal(gradient(found.sum(), log_probs), wanted)


def test_no_gradient_flows_into_the_baseline():
    baseline = torch.zeros(3, requires_grad=True)
    logs = torch.zeros(3, requires_grad=True)
    score_function(logs, torch.ones(3), baseline=baseline).backward()
    assert baseline.grad is None and logs.grad is not None


@pytest.mark.parametrize("early", [False, True])
def test_moving_average_is_unbiased_if_used_before_its_update(early):
    """Two steps of one draw each: all sixteen histories."""
    theta = parameters()
    mean = torch.zeros(3, dtype=torch.float64)
    for first, second in itertools.product(range(4), repeat=2):
        state = MovingAverage(0.6).update(REWARDS[[first]])
        logs = log_q(theta)
        prob = (logs[first] + logs[second]).exp().detach()
        if early:
            state = state.update(REWARDS[[second]])
        surrogate = score_function(logs[[second]], REWARDS[[second]], baseline=state.value)
        mean += prob * gradient(surrogate, theta)
    error = (mean - exact_gradient(theta, REWARDS)).abs().max()
    assert (error > 0.1) if early else (error < 1e-12)


def test_moving_average_is_the_weighted_mean_and_a_value():
    start = MovingAverage(0.8)
    state, rewards = start, [4.0, -2.0, 7.0]
    for reward in rewards:
        state = state.update(torch.tensor([reward, reward], dtype=torch.float64))
    weights = torch.tensor([0.8**2, 0.8, 1.0], dtype=torch.float64)
    expected = (weights @ torch.tensor(rewards, dtype=torch.float64)) / weights.sum()
    assert float(state.value) == pytest.approx(expected.item(), rel=1e-14)
    assert float(start.value) == 0.0, "an update leaves the old state alone"
    assert float(MovingAverage(0.0).update(torch.tensor([1.0, 3.0])).value) == 2.0


def test_leave_one_out_is_the_mean_of_the_others():
    rewards = torch.randn(4, 3, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    found = leave_one_out(rewards)
    for i in range(4):
        others = [j for j in range(4) if j != i]
        torch.testing.assert_close(found[i], rewards[others].mean(0))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: score_function(torch.zeros(3), torch.zeros(2)), ValueError, r"\(3,\) and \(2,\)"),
        (lambda: score_function(torch.zeros(0), torch.zeros(0)), ValueError, "at least one draw"),
        (
            lambda: score_function(torch.tensor(0.0), torch.tensor(0.0)),
            ValueError,
            "at least one draw",
        ),
        (lambda: score_function([0.0], torch.zeros(1)), TypeError, "log_probs .* found list"),
        (
            lambda: score_function(torch.zeros(1), torch.ones(1, dtype=torch.int64)),
            TypeError,
            "rewards must be a floating-point tensor, found torch.int64",
        ),
        (
            lambda: score_function(torch.zeros(1), torch.zeros(1), baseline="leave-one-out"),
            ValueError,
            "at least two draws",
        ),
        (
            lambda: score_function(torch.zeros(2), torch.zeros(2), baseline="mean"),
            ValueError,
            "found 'mean'",
        ),
        (
            lambda: score_function(torch.zeros(2), torch.zeros(2), baseline=torch.zeros(3)),
            ValueError,
            r"which are \(2,\), found \(3,\)",
        ),
        (
            lambda: score_function(torch.zeros(2), torch.tensor([0.0, -torch.inf])),
            ValueError,
            "rewards must be finite, found -inf",
        ),
        (
            lambda: score_function(torch.zeros(2), torch.zeros(2), baseline=float("nan")),
            ValueError,
            "baseline must be finite, found nan",
        ),
        (
            lambda: score_function(torch.zeros(2), torch.zeros(2), baseline=[None]),
            TypeError,
            "baseline must hold real numbers",
        ),
        (lambda: MovingAverage(1.0), ValueError, r"decay must be in \[0, 1\), found 1.0"),
        (lambda: leave_one_out(torch.zeros(1, 4)), ValueError, "at least two draws"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
