"""Learning a machine of two layers from data, by chains that follow it.

.. math:: \\Delta W \\propto \\langle v h^\\top \\rangle_{\\text{data}}
          - \\langle v h^\\top \\rangle_{\\text{chains}}, \\qquad
          \\Delta a \\propto \\langle v \\rangle_{\\text{data}}
          - \\langle v \\rangle_{\\text{chains}}

What the last step of such noisy gradients leaves is nats worse than the law they circle around:
the rate falls to zero, and the mean over the last half of all steps is kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

import torch
from torch import Tensor

from energy.rbm.law import LayerLaw
from energy.rbm.layers import Layers
from energy.rbm.tempered_chains import coldest, ladder, tempered_sweep
from energy.rbm.units import BernoulliUnits, GaussianUnits, UnitKind, Units
from inference.inputs import as_whole
from inference.progress import progress_bar

__all__ = [
    "LearningMethod",
    "LearningState",
    "Numbers",
    "Settings",
    "Step",
    "first_numbers",
    "learn",
    "mean_bias",
]

LearningMethod: TypeAlias = Literal["cd", "pcd", "pt"]

#: Share of the steps whose parameters are averaged, the last ones.
AVERAGED = 0.5

#: Steps that a machine takes to learn some dozens of features, however few rows there are.
STEPS = 12_000

#: Means of data are moved this many rows towards the middle before log-odds are taken.
PSEUDO_ROWS = 1.0


class Numbers(NamedTuple):
    """Parameters: W, a, b, and the log precisions of real visible units, (0,) for others."""

    weights: Tensor
    visible_bias: Tensor
    hidden_bias: Tensor
    log_precision: Tensor


class LearningState(NamedTuple):
    """All that going on after an epoch takes.

    Attributes:
        numbers: parameters.
        sums: of the parameters over the steps that are averaged, so far.
        chains: visible units of the chains, or of all their replicas, (chain * K, n_visible).
        generator: state of the generator.
        epoch: epochs that are done.
        history: what they report.
    """

    numbers: Numbers
    sums: Numbers
    chains: Tensor
    generator: Tensor
    epoch: int
    history: list[dict[str, Any]]


@dataclass(frozen=True)
class Settings:
    """How a machine is learned.

    Arguments:
        method: "pcd", chains that go on from step to step; "cd", chains that start at the data;
            "pt", chains that go on, each with replicas at several temperatures.
        k: sweeps of the chains per step.
        epochs: passes over the rows; None for as many as make 12,000 steps.
        batch_size: rows per step.
        chains: of "pcd" and "pt".
        temperatures: of "pt".
        lr: rate of the first step; it falls to zero linearly.
        l2: weight decay, on W.

    Raises:
        TypeError, ValueError: a method or number that makes no sense.
    """

    method: LearningMethod = "pcd"
    k: int = 1
    epochs: int | None = None
    batch_size: int = 50
    chains: int = 100
    temperatures: int = 8
    lr: float = 0.1
    l2: float = 0.0

    def __post_init__(self) -> None:
        if self.method not in get_args(LearningMethod):
            raise ValueError(f'method must be "cd", "pcd" or "pt", found {self.method!r}')
        for name in ("k", "epochs", "batch_size", "chains"):
            if name != "epochs" or self.epochs is not None:
                as_whole(name, getattr(self, name), least=1)
        as_whole("temperatures", self.temperatures, least=2)
        for name, least in (("lr", 0.0), ("l2", 0.0)):
            value = getattr(self, name)
            if not least <= value < math.inf:
                raise ValueError(f"{name} must be at least 0 and finite, found {value}")

    @property
    def replicas(self) -> int:
        """Of every chain."""
        return self.temperatures if self.method == "pt" else 1


def first_numbers(numbers: Numbers, rows: Tensor, real: bool) -> Numbers:
    """Visible biases, and precisions, that fit the rows' own means, and variances.

    .. math:: a_i = \\log \\frac{\\bar v_i}{1 - \\bar v_i} \\quad\\text{or}\\quad
              \\lambda_i = 1 / \\mathrm{Var}\\, v_i, \\; a_i = \\lambda_i \\bar v_i

    One row between zero and one is added, so that constant features stay finite; a real feature
    that is constant keeps precision one.

    Reference:
        Hinton 2012, "A practical guide to training restricted Boltzmann machines", section 8.1.
    """
    if not real:
        return numbers._replace(visible_bias=mean_bias(rows, BernoulliUnits()))
    variance = rows.var(0, correction=0)
    log_precision = -torch.where(variance > 0, variance, 1.0).log()
    bias = mean_bias(rows, GaussianUnits(log_precision))
    return numbers._replace(visible_bias=bias, log_precision=log_precision)


def mean_bias(rows: Tensor, visible: Units) -> Tensor:
    """Biases of independent visible units with the means of rows, (n_visible,).

    Means of units 0 and 1 are those of the rows and one more row between.
    """
    if isinstance(visible, GaussianUnits):
        return rows.mean(0) * visible.log_precision.exp()
    means = (rows.sum(0) + 0.5 * PSEUDO_ROWS) / (len(rows) + PSEUDO_ROWS)
    return means.logit()


class Step:
    """One update of all parameters.

    Arguments:
        settings: how to learn.
        hidden: kind of the hidden units.
        visible: kind of the visible ones, if they are not real.
    """

    def __init__(self, settings: Settings, visible: Units | None, hidden: Units) -> None:
        self._settings = settings
        self._visible = visible
        self._hidden = hidden
        self._sizes = (0, 0)
        self._shares = torch.zeros(0, 1)

    def __call__(
        self,
        numbers: Numbers,
        chains: Tensor,
        batch: Tensor,
        rate: float,
        parity: int,
        generator: torch.Generator,
    ) -> Tensor:
        """Chains after a step on some rows; the parameters change in place.

        Arguments:
            numbers: parameters.
            chains: visible units of the chains, (chain, n_visible); of all replicas, (chain * K,
                n_visible).
            batch: rows, (B, n_visible).
            rate: of the step.
            parity: of the number of the step: which neighbours "pt" swaps.
            generator: of the draws.
        """
        w, a, b, log_precision = numbers
        visible = GaussianUnits(log_precision) if self._visible is None else self._visible
        if self._settings.method == "pt":
            layers = Layers(w, a, b, visible, self._hidden)
            law = LayerLaw(layers, torch.zeros_like(a))
            betas = ladder(self._settings.temperatures, w)
            for sweep in range(self._settings.k):
                chains = tempered_sweep(law, chains, betas, (parity + sweep) % 2, generator)
            x = coldest(chains, len(betas))
        else:
            x = batch if self._settings.method == "cd" else chains
            for _ in range(self._settings.k):
                hidden = self._hidden.sample(torch.addmm(b, x, w), generator)
                x = visible.sample(torch.addmm(a, hidden, w.T), generator)
            chains = x
        # Both phases in one product each way; rows weigh 1 / B and -1 / C.
        both = torch.cat([batch, x])
        shares = self._row_shares(len(batch), len(x), both)
        weighted = self._hidden.mean(torch.addmm(b, both, w)).mul_(shares)
        if self._settings.l2:
            w.mul_(1 - rate * self._settings.l2)
        w.addmm_(both.T, weighted, alpha=rate)
        b.add_(weighted.sum(0), alpha=rate)
        a.addmv_(both.T, shares[:, 0], alpha=rate)
        if self._visible is None:
            slope = (both.square() * shares).sum(0) * log_precision.exp()
            log_precision.sub_(slope, alpha=0.5 * rate)
        return chains

    def _row_shares(self, rows: int, chains: int, like: Tensor) -> Tensor:
        """1 / B for rows of the data and -1 / C for chains, (B + C, 1); kept from step to step."""
        if (rows, chains) != self._sizes:
            parts = [like.new_full((rows, 1), 1 / rows), like.new_full((chains, 1), -1 / chains)]
            self._sizes, self._shares = (rows, chains), torch.cat(parts)
        return self._shares


def learn(
    numbers: Numbers,
    rows: Tensor,
    settings: Settings,
    kinds: tuple[UnitKind, UnitKind],
    generator: torch.Generator,
    *,
    state: LearningState | None = None,
    keep: Callable[[LearningState], None] | None = None,
    progress: bool | None = None,
) -> tuple[Numbers, list[dict[str, Any]]]:
    """Parameters learned from rows, and what happened in every epoch.

    Arguments:
        numbers: parameters to start from; what the rows' means say replaces the visible biases.
        rows: (n, n_visible).
        settings: how to learn.
        kinds: of visible and hidden units.
        generator: of the draws.
        state: where to go on; then ``numbers`` does not count, and the generator is set back.
        keep: is shown the state after every epoch.
        progress: a bar; None shows it on a terminal.
    """
    real = kinds[0] == "gaussian"
    if state is None:
        state = _first_state(numbers, rows, settings, real, generator)
    else:
        generator.set_state(state.generator)
    hidden: Units = BernoulliUnits()
    if kinds[1] == "gaussian":
        hidden = GaussianUnits(torch.zeros_like(numbers.hidden_bias))
    step = Step(settings, None if real else BernoulliUnits(), hidden)
    size = min(settings.batch_size, len(rows))
    per_epoch = len(rows) // size
    epochs = settings.epochs or math.ceil(STEPS / per_epoch)
    total = per_epoch * epochs
    averaged = max(1, int(AVERAGED * total))
    chains, history = state.chains, list(state.history)
    with progress_bar(epochs, "learning", progress) as bar:
        bar.update(state.epoch)
        for epoch in range(state.epoch, epochs):
            order = torch.randperm(len(rows), generator=generator, device=rows.device)
            batches = rows[order[: per_epoch * size]].split(size)
            for taken, batch in enumerate(batches, epoch * per_epoch):
                rate = settings.lr * (1 - taken / total)
                chains = step(state.numbers, chains, batch, rate, taken % 2, generator)
                if taken >= total - averaged:
                    for part, kept in zip(state.numbers, state.sums, strict=True):
                        kept.add_(part)
            cold = coldest(chains, settings.replicas)
            gap = float((cold.mean(0) - rows.mean(0)).abs().mean())
            history.append({"epoch": epoch + 1, "mean_gap": gap})
            state = state._replace(
                chains=chains, generator=generator.get_state(), epoch=epoch + 1, history=history
            )
            if keep is not None:
                keep(state)
            bar.update(1)
    return Numbers(*[kept / averaged for kept in state.sums]), history


def _first_state(
    numbers: Numbers, rows: Tensor, settings: Settings, real: bool, generator: torch.Generator
) -> LearningState:
    """Parameters that know the rows' means, and chains drawn by them."""
    numbers = first_numbers(numbers, rows, real)
    visible = GaussianUnits(numbers.log_precision) if real else BernoulliUnits()
    count = settings.chains * settings.replicas
    chains = visible.sample(numbers.visible_bias.expand(count, -1), generator)
    sums = Numbers(*[torch.zeros_like(part) for part in numbers])
    return LearningState(numbers, sums, chains, generator.get_state(), 0, [])
