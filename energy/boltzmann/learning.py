"""Learning a Boltzmann machine in two phases: what the data do, and what the machine does.

.. math:: \\Delta w_{ij} = \\frac{\\eta}{T} \\bigl(\\langle x_i x_j \\rangle_{\\text{data}}
          - \\langle x_i x_j \\rangle_{\\text{model}}\\bigr), \\qquad
          \\Delta b_i = \\frac{\\eta}{T} \\bigl(\\langle x_i \\rangle_{\\text{data}}
          - \\langle x_i \\rangle_{\\text{model}}\\bigr)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

import torch
from torch import Tensor

from energy.boltzmann.dense_law import DenseLaw, DenseState
from energy.boltzmann.exact import Moments, check_free, clamped_moments
from inference.inputs import as_whole
from inference.progress import progress_bar

__all__ = ["LearningMethod", "Numbers", "Settings", "first_weights", "learn", "mean_field"]

LearningMethod: TypeAlias = Literal["exact", "persistent"]

#: Steps of the default number of epochs.
STEPS = {"exact": 2_000, "persistent": 10_000}

#: Unknown units of a row that are summed in every step; more are treated by mean field.
FEW_FREE = 12

#: Rounds of the mean field, each of which goes half of the way.
ROUNDS = 30

#: Standard deviation of the first weights of hidden units.
SPREAD = 0.1


class Numbers(NamedTuple):
    """Parameters: W, symmetric with a diagonal of zeros, (n, n), and b, (n,)."""

    weights: Tensor
    bias: Tensor


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
        if self.method not in get_args(LearningMethod):
            raise ValueError(f'method must be "exact" or "persistent", found {self.method!r}')
        for name in ("epochs", "batch_size", "chains", "k"):
            if name != "epochs" or self.epochs is not None:
                as_whole(name, getattr(self, name), least=1)
        for name in ("lr", "l2"):
            value = getattr(self, name)
            if not 0 <= value < math.inf:
                raise ValueError(f"{name} must be at least 0 and finite, found {value}")


def first_weights(
    weights: Tensor, n_visible: int, allowed: Tensor, generator: torch.Generator
) -> Tensor:
    """Weights to start from: small random ones if the hidden units have none, (n, n).

    Hidden units without weights would all stay alike.

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
    if bool(weights[n_visible:].any()) or n_visible == len(weights):
        return weights
    noise = torch.empty_like(weights).normal_(0, SPREAD, generator=generator)
    noise[:n_visible, :n_visible] = 0
    upper = noise.triu(1) * allowed
    return weights + upper + upper.T


def learn(
    numbers: Numbers,
    rows: Tensor,
    settings: Settings,
    temperature: float,
    allowed: Tensor,
    generator: torch.Generator,
    *,
    progress: bool | None = None,
) -> tuple[Numbers, list[dict[str, Any]]]:
    """Parameters learned from rows, and what happened in every epoch.

    Arguments:
        numbers: parameters to start from, float64.
        rows: all units, -1 for one that is not known, (R, n).
        settings: how to learn.
        temperature: T.
        allowed: which pairs may have weights, (n, n), zeros and ones.
        generator: of the draws.
        progress: a bar; None shows it on a terminal.

    Raises:
        ValueError: more unknown units than the method can deal with.
    """
    numbers = Numbers(*[part.clone() for part in numbers])
    if settings.method == "exact":
        check_free(torch.full_like(rows[:1], -1))
        phases: _Exact | _Persistent = _Exact(rows)
    else:
        phases = _Persistent(rows, settings, generator)
    epochs = settings.epochs or math.ceil(STEPS[settings.method] / phases.per_epoch)
    total, taken = phases.per_epoch * epochs, 0
    history: list[dict[str, Any]] = []
    with progress_bar(epochs, "learning", progress) as bar:
        for epoch in range(epochs):
            figures = []
            for batch in phases.batches():
                cold = Numbers(numbers.weights / temperature, numbers.bias / temperature)
                gap, figure = phases.gap(cold, batch)
                rate = settings.lr * (1 - taken / total)
                taken += 1
                step = rate / temperature
                numbers.weights.mul_(1 - rate * settings.l2).add_(gap * allowed, alpha=step)
                numbers.bias.add_(gap.diagonal(), alpha=step)
                figures.append(figure)
            mean = float(torch.stack(figures).mean())
            history.append({"epoch": epoch + 1, phases.figure: mean})
            bar.update(1)
    return numbers, history


class _Exact:
    """Both phases summed over all states; what is reported is the log-likelihood before a step."""

    figure = "log_likelihood"
    per_epoch = 1

    def __init__(self, rows: Tensor) -> None:
        self._rows, self._counts = torch.unique(rows, dim=0, return_counts=True)
        self._nothing = torch.full_like(rows[:1], -1)

    def batches(self) -> list[Tensor]:
        """All rows, each once."""
        return [self._rows]

    def gap(self, cold: Numbers, batch: Tensor) -> tuple[Tensor, Tensor]:
        """Pair means of the data minus those of the machine, (n, n), and the figure, ()."""
        data = clamped_moments(*cold, batch, self._counts)
        model = clamped_moments(*cold, self._nothing)
        share = self._counts.to(data.log_sums) / self._counts.sum()
        return data.pairs - model.pairs, share @ data.log_sums - model.log_sums[0]


class _Persistent:
    """Chains that follow the machine; what is reported is the mean gap between the two phases."""

    figure = "mean_gap"

    def __init__(self, rows: Tensor, settings: Settings, generator: torch.Generator) -> None:
        self._rows, self._generator, self._sweeps = rows, generator, settings.k
        self._size = min(settings.batch_size, len(rows))
        self.per_epoch = len(rows) // self._size
        self._few = int((rows < 0).sum(1).max()) <= FEW_FREE
        shape = (rows.shape[1], settings.chains)
        device = rows.device
        uniform = torch.rand(shape, dtype=torch.float64, device=device, generator=generator)
        self._chains = DenseState((uniform < 0.5).double().T)

    def batches(self) -> list[Tensor]:
        """Rows in random order; what is left over waits for the next epoch."""
        order = torch.randperm(
            len(self._rows), generator=self._generator, device=self._rows.device
        )
        return list(self._rows[order[: self.per_epoch * self._size]].split(self._size))

    def gap(self, cold: Numbers, batch: Tensor) -> tuple[Tensor, Tensor]:
        """Pair means of the data minus those of the chains, (n, n), and the figure, ()."""
        summed = clamped_moments if self._few else mean_field
        law = DenseLaw(*cold)
        self._chains = law.run(self._chains, [1.0] * self._sweeps, self._generator)
        x = self._chains.units
        gap = summed(*cold, batch).pairs - x.T @ x / len(x)
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
