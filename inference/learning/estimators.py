"""Gradients of expectations over draws that cannot be differentiated: the score function.

.. math:: \\nabla_\\theta \\mathbb{E}_{q_\\theta}[r(z)]
          = \\mathbb{E}_{q_\\theta}\\bigl[(r(z) - b)\\, \\nabla_\\theta \\log q_\\theta(z)\\bigr]
          + \\mathbb{E}_{q_\\theta}[\\nabla_\\theta r(z)]

for every baseline b that does not depend on z. Where z is a differentiable function of noise,
automatic differentiation through the draw (the pathwise estimator) needs no help from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from inference.inputs import Values, as_tensor

__all__ = ["Baseline", "MovingAverage", "leave_one_out", "score_function"]

Baseline: TypeAlias = Values | Literal["leave-one-out"] | None


def score_function(log_probs: Tensor, rewards: Tensor, *, baseline: Baseline = None) -> Tensor:
    """Mean reward of some draws, whose gradient is an unbiased estimate (REINFORCE).

    .. math:: \\frac{1}{K} \\sum_{i=1}^K \\bigl[(r_i - b_i)\\, \\nabla \\log q(z_i)
              + \\nabla r_i\\bigr]

    is the gradient of the result by whatever ``log_probs`` and ``rewards`` were computed from; its
    value is the mean of the rewards. Ascend it, or descend its negative. A reward that carries no
    gradient (detached) has no second term.

    The estimate is unbiased if the draws are independent and the baseline of a draw does not
    depend on that draw: a constant, a :class:`MovingAverage` of earlier rewards, a function
    learned of the input, or the mean of the other draws' rewards. It is biased with the mean over
    all draws, which holds the draw's own reward.

    Arguments:
        log_probs: log-probabilities of the draws, nats, with their gradient.
        rewards: what the draws are worth.
        baseline: None for zero, numbers that broadcast to ``rewards`` (no gradient flows into
            them), or ``"leave-one-out"``.

    Shapes:
        log_probs, rewards: (K, *batch), the K draws of a row on the first axis.
        result: (*batch).

    Raises:
        TypeError: if an argument is of another kind.
        ValueError: for shapes that differ, no draw, a single draw with ``"leave-one-out"``, or
            numbers that are not finite (tested on the CPU only: elsewhere the host would wait).

    Reference:
        Williams 1992, theorem 1; Mnih & Gregor 2014, section 2.3; Kool, van Hoof & Welling 2019
        (leave-one-out).

    Example:
        >>> theta = torch.tensor(0.3, requires_grad=True)
        >>> z = torch.tensor([1.0, 0.0, 1.0])
        >>> log_q = z * theta.log() + (1 - z) * (1 - theta).log()
        >>> estimate = score_function(log_q, 5 * z, baseline="leave-one-out")
        >>> estimate.backward()
        >>> round(estimate.item(), 4), round(theta.grad.item(), 4)
        (3.3333, 7.9365)
    """
    _check(log_probs, rewards)
    centred = rewards.detach() - _values(baseline, rewards.detach())
    # Zero in value, the score in gradient: the result then reads as the mean reward.
    score = log_probs - log_probs.detach()
    return (centred * score + rewards).mean(0)


def leave_one_out(rewards: Tensor) -> Tensor:
    """For every draw the mean reward of the others.

    .. math:: b_i = \\frac{1}{K - 1} \\sum_{j \\ne i} r_j

    Arguments:
        rewards: what the draws are worth.

    Shapes:
        rewards: (K, *batch). result: the same.

    Raises:
        ValueError: if there are fewer than two draws.

    Reference:
        Kool, van Hoof & Welling 2019, "Buy 4 REINFORCE samples, get a baseline for free!";
        Mnih & Rezende 2016, section 2.5.

    Example:
        >>> leave_one_out(torch.tensor([1.0, 2.0, 6.0]))
        tensor([4.0000, 3.5000, 1.5000])
    """
    if rewards.ndim == 0 or len(rewards) < 2:
        raise ValueError(
            "rewards must hold at least two draws on the first axis for the baseline "
            f"'leave-one-out', found shape {tuple(rewards.shape)}; draw more or use another one"
        )
    return (rewards.sum(0) - rewards) / (len(rewards) - 1)


@dataclass(frozen=True)
class MovingAverage:
    """Baseline that follows the rewards of earlier steps.

    .. math:: s_t = \\lambda s_{t-1} + (1 - \\lambda)\\, \\bar r_t, \\qquad
              b_t = \\frac{s_{t-1}}{1 - \\lambda^{t-1}}

    The state is a value: ``update`` returns the next one. Use ``value`` for the draws of a step
    first and update with their rewards afterwards, or the estimate is biased.

    Arguments:
        decay: the weight of what came before.
        total: the sum s; zero at the start.
        weight: what the weights of the rewards in it sum to; zero at the start.

    Raises:
        ValueError: if ``decay`` is outside [0, 1).

    Reference:
        Williams 1992, section 4 ("reinforcement comparison"); Mnih & Gregor 2014, section 2.3.1.

    Example:
        >>> state = MovingAverage(decay=0.5)
        >>> for rewards in ([1.0, 3.0], [5.0, 5.0]):
        ...     print(float(state.value))
        ...     state = state.update(torch.tensor(rewards))
        0.0
        2.0
        >>> float(state.value)
        4.0
    """

    decay: float = 0.9
    total: Tensor | float = 0.0
    weight: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.decay < 1:
            raise ValueError(f"decay must be in [0, 1), found {self.decay}")

    @property
    def value(self) -> Tensor | float:
        """Weighted mean of the rewards so far; zero before the first."""
        return self.total / self.weight if self.weight else 0.0

    def update(self, rewards: Tensor) -> MovingAverage:
        """The state after the rewards of one more step, of any shape."""
        step = 1 - self.decay
        total = self.decay * self.total + step * rewards.detach().mean()
        return MovingAverage(self.decay, total, self.decay * self.weight + step)


def _values(baseline: Baseline, rewards: Tensor) -> Tensor | float:
    """Numbers to subtract from the rewards."""
    if baseline is None:
        return 0.0
    if isinstance(baseline, str):
        if baseline != "leave-one-out":
            raise ValueError(
                f"baseline must be None, numbers or 'leave-one-out', found {baseline!r}"
            )
        return leave_one_out(rewards)
    values = as_tensor("baseline", baseline).detach().to(rewards)
    try:
        values = values.expand(rewards.shape)
    except RuntimeError:
        raise ValueError(
            f"baseline must broadcast to the rewards, which are {tuple(rewards.shape)}, "
            f"found {tuple(values.shape)}"
        ) from None
    _check_finite("baseline", values)
    return values


def _check(log_probs: Tensor, rewards: Tensor) -> None:
    """Refuse what makes no estimate."""
    for name, value in (("log_probs", log_probs), ("rewards", rewards)):
        if not isinstance(value, Tensor) or not value.is_floating_point():
            found = value.dtype if isinstance(value, Tensor) else type(value).__name__
            raise TypeError(f"{name} must be a floating-point tensor, found {found}")
    if log_probs.shape != rewards.shape or not log_probs.ndim or not len(log_probs):
        raise ValueError(
            "log_probs and rewards must both be (K, *batch) with at least one draw, found "
            f"{tuple(log_probs.shape)} and {tuple(rewards.shape)}"
        )
    _check_finite("log_probs", log_probs)
    _check_finite("rewards", rewards)


def _check_finite(name: str, value: Tensor) -> None:
    """Refuse what leaves no estimate; elsewhere than on the CPU the host would wait."""
    if value.device.type == "cpu" and not torch.isfinite(value).all():
        first = value[~value.isfinite()][0].item()
        raise ValueError(
            f"{name} must be finite, found {first}; a draw of probability zero cannot occur, "
            "and an infinite reward has no finite estimate"
        )
