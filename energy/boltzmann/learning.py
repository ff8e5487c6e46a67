"""Learning a Boltzmann machine in two phases: what the data do, and what the machine does.

.. math:: \\Delta w_{ij} = \\frac{\\eta}{T} \\bigl(\\langle x_i x_j \\rangle_{\\text{data}}
          - \\langle x_i x_j \\rangle_{\\text{model}}\\bigr), \\qquad
          \\Delta b_i = \\frac{\\eta}{T} \\bigl(\\langle x_i \\rangle_{\\text{data}}
          - \\langle x_i \\rangle_{\\text{model}}\\bigr)
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor

from energy.boltzmann.dense_law import DenseLaw, DenseState
from energy.boltzmann.exact import Moments, check_free, clamped_moments
from inference.inputs import as_whole, check_choice
from inference.learning.schedule import Schedule
from inference.learning.trainer import Learner, train

__all__ = ["LearningMethod", "Settings", "first_weights", "learn", "mean_field"]

LearningMethod: TypeAlias = Literal["exact", "persistent"]

#: Steps of the default number of epochs.
STEPS = {"exact": 2_000, "persistent": 10_000}

#: Unknown units of a row that are summed in every step; more are treated by mean field.
FEW_FREE = 12

#: Rounds of the mean field, each of which goes half of the way.
ROUNDS = 30

#: Standard deviation of the first weights of hidden units.
SPREAD = 0.1


@dataclass(frozen=True)
class Settings:
    """How a machine is learned.

    Arguments:
        method: "exact" sums over all states; "persistent" keeps chains that follow the machine.
        epochs: passes over the rows; None for as many as make 2,000 steps, or 10,000.
        batch_size: rows per step of "persistent"; "exact" takes all.
        chains: of "persistent".
        k: sweeps of the chains per step.
        lr: rate of the first step; it falls to zero linearly.
        l2: weight decay, on W.

    Raises:
        TypeError, ValueError: a method or number that makes no sense.
    """

    method: LearningMethod = "exact"
    epochs: int | None = None
    batch_size: int = 50
    chains: int = 100
    k: int = 1
    lr: float = 0.1
    l2: float = 0.0

    def __post_init__(self) -> None:
        check_choice("method", self.method, LearningMethod)
        _ = self.schedule
        for name in ("chains", "k"):
            as_whole(name, getattr(self, name), least=1)
        if not 0 <= self.l2 < math.inf:
            raise ValueError(f"l2 must be at least 0 and finite, found {self.l2}")

    @property
    def schedule(self) -> Schedule:
        """How long and how fast."""
        return Schedule(self.epochs, self.batch_size, self.lr, STEPS[self.method])


def first_weights(
    weights: Tensor, n_visible: int, allowed: Tensor, generator: torch.Generator
) -> Tensor:
    """Weights to start from: small random ones for hidden units that have none, (n, n).

    Without any they would all stay alike.

    Arguments:
        weights: W.
        n_visible: number of visible units.
        allowed: which pairs may have weights, zeros and ones.
        generator: of the draws.

    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> first_weights(torch.zeros(3, 3), 2, torch.ones(3, 3), generator).count_nonzero().item()
        4
    """
    alone = ~weights.any(1)
    alone[:n_visible] = False
    if not bool(alone.any()):
        return weights
    noise = torch.empty_like(weights).normal_(0, SPREAD, generator=generator)
    upper = noise.triu(1) * (alone | alone[:, None]) * allowed
    return weights + upper + upper.T


def learn(
    weights: Tensor,
    bias: Tensor,
    rows: Tensor,
    settings: Settings,
    temperature: float,
    allowed: Tensor,
    generator: torch.Generator,
    *,
    progress: bool | None = None,
) -> list[dict[str, Any]]:
    """Change parameters in place; what happened in every epoch.

    Arguments:
        weights: W, symmetric with a diagonal of zeros, (n, n), float64.
        bias: b, (n,), float64.
        rows: all units, -1 for one that is not known, (R, n).
        settings: how to learn.
        temperature: T.
        allowed: which pairs may have weights, (n, n), zeros and ones.
        generator: of order and draws.
        progress: a bar; None shows it on a terminal.

    Raises:
        ValueError: more unknown units than the method can deal with.
    """
    schedule = settings.schedule
    if settings.method == "exact":
        check_free(torch.full_like(rows[:1], -1))
        phases: _Exact | _Persistent = _Exact(rows)
        # All rows in every step.
        schedule = replace(schedule, batch_size=len(rows))
    else:
        phases = _Persistent(rows, settings, generator)
    learner = _TwoPhases(weights, bias, phases, settings.l2, temperature, allowed)
    return train(learner, rows, schedule, generator, progress=progress)[1]


class _TwoPhases(Learner[Tensor]):
    """Steps by how far the data's means are from the machine's."""

    def __init__(
        self,
        weights: Tensor,
        bias: Tensor,
        phases: _Exact | _Persistent,
        l2: float,
        temperature: float,
        allowed: Tensor,
    ) -> None:
        self.parameters = {"weights": weights, "bias": bias}
        self._phases, self._l2, self._temperature = phases, l2, temperature
        self._allowed, self._figures = allowed, list[Tensor]()

    def step(self, batch: Tensor, rate: float, taken: int, generator: torch.Generator) -> None:
        """Change the parameters on some rows; see ``Learner.step``."""
        weights, bias = self.parameters["weights"], self.parameters["bias"]
        cold = weights / self._temperature, bias / self._temperature
        gap, figure = self._phases.gap(*cold, batch, generator)
        step = rate / self._temperature
        weights.mul_(1 - rate * self._l2).add_(gap * self._allowed, alpha=step)
        bias.add_(gap.diagonal(), alpha=step)
        self._figures.append(figure)

    def report(self) -> dict[str, float]:
        """The figure of the phases, as a mean over the epoch."""
        mean = float(torch.stack(self._figures).mean())
        self._figures.clear()
        return {self._phases.figure: mean}


class _Exact:
    """Both phases summed over all states; what is reported is the log-likelihood before a step."""

    figure = "log_likelihood"

    def __init__(self, rows: Tensor) -> None:
        self._rows, self._counts = torch.unique(rows, dim=0, return_counts=True)
        self._nothing = torch.full_like(rows[:1], -1)

    def gap(
        self, weights: Tensor, bias: Tensor, batch: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Pair means of all data minus those of the machine, (n, n), and the figure, ()."""
        data = clamped_moments(weights, bias, self._rows, self._counts)
        model = clamped_moments(weights, bias, self._nothing)
        share = self._counts.to(data.log_sums) / self._counts.sum()
        return data.pairs - model.pairs, share @ data.log_sums - model.log_sums[0]


class _Persistent:
    """Chains that follow the machine; what is reported is the mean gap between the two phases."""

    figure = "mean_gap"

    def __init__(self, rows: Tensor, settings: Settings, generator: torch.Generator) -> None:
        few = int((rows < 0).sum(1).max()) <= FEW_FREE
        self._summed, self._sweeps = clamped_moments if few else mean_field, settings.k
        shape, device = (rows.shape[1], settings.chains), rows.device
        uniform = torch.rand(shape, dtype=torch.float64, device=device, generator=generator)
        self._chains = DenseState((uniform < 0.5).double().T)

    def gap(
        self, weights: Tensor, bias: Tensor, batch: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Pair means of rows minus those of the chains, (n, n), and the figure, ()."""
        law = DenseLaw(weights, bias)
        self._chains = law.run(self._chains, [1.0] * self._sweeps, generator)
        x = self._chains.units
        gap = self._summed(weights, bias, batch).pairs - x.T @ x / len(x)
        return gap, gap.diagonal().abs().mean()


def mean_field(weights: Tensor, bias: Tensor, rows: Tensor) -> Moments:
    """Moments of units given those that are known, as if the others were independent.

    .. math:: m_i \\leftarrow \\tfrac12 m_i
              + \\tfrac12 \\sigma\\Bigl(\\sum_j w_{ij} m_j + b_i\\Bigr), \\qquad i \\in F

    The log sums are lower bounds.

    Arguments:
        weights: W over the temperature, symmetric with a diagonal of zeros, (n, n).
        bias: b over the temperature, (n,).
        rows: 0, 1 and -1 for a unit that is not known, (R, n).

    Reference:
        Peterson & Anderson 1987, "A mean field theory learning algorithm for neural networks".

    Example:
        >>> nothing = torch.zeros(2, 2).double(), torch.zeros(2).double()
        >>> mean_field(*nothing, torch.tensor([[1, -1]])).means.tolist()
        [[1.0, 0.5]]
    """
    free = rows < 0
    means = rows.to(bias).masked_fill(free, 0.5)
    for _ in range(ROUNDS):
        drawn = torch.addmm(bias, means, weights).sigmoid_()
        means = torch.where(free, torch.lerp(means, drawn, 0.5), means)
    pairs = means.T @ means / len(means)
    pairs.diagonal().copy_(means.mean(0))
    entropy = -(torch.xlogy(means, means) + torch.xlogy(1 - means, 1 - means)).sum(1)
    energy = (means * torch.addmm(bias, means, weights, alpha=0.5)).sum(1)
    return Moments(energy + entropy, means, pairs)
