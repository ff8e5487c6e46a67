"""The rows that a step compares: those of the data, and those of chains that follow the machine.

.. math:: v' \\sim p(v \\mid h), \\qquad h' \\sim p(h \\mid v')
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from energy.rbm.law import LayerLaw
from energy.rbm.layers import Layers
from energy.rbm.settings import Settings
from energy.rbm.tempered_chains import coldest, ladder, tempered_sweep

__all__ = [
    "Chains",
    "ContrastiveChains",
    "PersistentChains",
    "Phases",
    "chains_of",
    "phase_shares",
]


class Phases(NamedTuple):
    """Visible units of the data and then of the chains, and the hidden means of all of them.

    They may lie in memory that the next step takes.
    """

    rows: Tensor
    means: Tensor


class Chains(ABC):
    """Chains of one kind, and what they remember from step to step."""

    @abstractmethod
    def phases(
        self, layers: Layers, batch: Tensor, taken: int, generator: torch.Generator
    ) -> Phases:
        """Move on, and show rows of the data beside those of the chains.

        Arguments:
            layers: the machine as it is now.
            batch: visible units of the data, (B, n_visible).
            taken: steps before this one.
            generator: of the draws.

        Shapes:
            rows: (B + C, n_visible). means: (B + C, n_hidden).
        """

    def memory(self) -> dict[str, Tensor]:
        """What going on takes."""
        return {}

    def recall(self, memory: Mapping[str, Tensor]) -> None:  # noqa: B027
        """Take over what ``memory`` returned."""


class ContrastiveChains(Chains):
    """Chains that start at the data and are forgotten.

    Reference:
        Hinton 2002, "Training products of experts by minimizing contrastive divergence".
    """

    def __init__(self, sweeps: int) -> None:
        self._sweeps = sweeps

    def phases(
        self, layers: Layers, batch: Tensor, taken: int, generator: torch.Generator
    ) -> Phases:
        """Phases after the sweeps; see ``Chains.phases``."""
        first = fields = layers.hidden_fields(batch)
        v = batch
        for _ in range(self._sweeps):
            v = layers.draw_visible(layers.hidden.sample(fields, generator), generator)
            fields = layers.hidden_fields(v)
        return Phases(torch.cat([batch, v]), layers.hidden.mean(torch.cat([first, fields])))


class PersistentChains(Chains):
    """Chains that go on from step to step; between steps their hidden units are kept.

    Their last visible units and the data take one product together, from which their next hidden
    units are drawn.

    Arguments:
        hidden: units of the chains at first, (C, n_hidden).
        sweeps: per step.
        dtype: of the chains' products, if it is not that of the parameters.

    Reference:
        Tieleman 2008, "Training restricted Boltzmann machines using approximations to the
        likelihood gradient".
    """

    def __init__(self, hidden: Tensor, sweeps: int, dtype: torch.dtype | None = None) -> None:
        self.hidden, self._sweeps, self._dtype = hidden, sweeps, dtype
        self._rows = hidden.new_empty(0, 0)

    def phases(
        self, layers: Layers, batch: Tensor, taken: int, generator: torch.Generator
    ) -> Phases:
        """Phases after the sweeps; see ``Chains.phases``."""
        own = layers if self._dtype is None else layers.rounded(self._dtype)
        for _ in range(self._sweeps - 1):
            v = own.draw_visible(self.hidden, generator)
            self.hidden = own.draw_hidden(v, generator)
        rows = self._together(batch, own.draw_visible(self.hidden, generator))
        if own is layers:
            fields = layers.hidden_fields(rows)
        else:
            short = own.hidden_fields(rows[len(batch) :])
            fields = torch.cat([layers.hidden_fields(batch), short])
        means, self.hidden = layers.hidden.mean_and_draw(fields, len(batch), generator)
        return Phases(rows, means)

    def _together(self, batch: Tensor, v: Tensor) -> Tensor:
        """Rows of data and chains one below the other, in memory that is kept between steps."""
        if len(self._rows) != len(batch) + len(v):
            self._rows = batch.new_empty(len(batch) + len(v), batch.shape[1])
        return torch.cat([batch, v], out=self._rows)

    def memory(self) -> dict[str, Tensor]:
        """Where the chains are."""
        return {"hidden": self.hidden}

    def recall(self, memory: Mapping[str, Tensor]) -> None:
        """Go to where chains were."""
        self.hidden = memory["hidden"]


class TemperedChains(Chains):
    """Chains that go on, each with replicas at several temperatures.

    Arguments:
        visible: units of all replicas, (C * K, n_visible).
        temperatures: K.
        sweeps: per step.

    Reference:
        Desjardins et al. 2010, "Tempered Markov chain Monte Carlo for training of restricted
        Boltzmann machines".
    """

    def __init__(self, visible: Tensor, temperatures: int, sweeps: int) -> None:
        self.visible, self._sweeps = visible, sweeps
        self._betas = ladder(temperatures, visible)

    def phases(
        self, layers: Layers, batch: Tensor, taken: int, generator: torch.Generator
    ) -> Phases:
        """Phases after the sweeps; see ``Chains.phases``."""
        law = LayerLaw(layers, torch.zeros_like(layers.visible_bias))
        for sweep in range(self._sweeps):
            parity = (taken + sweep) % 2
            self.visible = tempered_sweep(law, self.visible, self._betas, parity, generator)
        rows = torch.cat([batch, coldest(self.visible, len(self._betas))])
        return Phases(rows, layers.hidden.mean(layers.hidden_fields(rows)))

    def memory(self) -> dict[str, Tensor]:
        """Where the chains are."""
        return {"visible": self.visible}

    def recall(self, memory: Mapping[str, Tensor]) -> None:
        """Go to where chains were."""
        self.visible = memory["visible"]


def chains_of(settings: Settings, layers: Layers, generator: torch.Generator) -> Chains:
    """Chains as the settings say, at draws of visible units that know their biases only."""
    if settings.method == "cd":
        return ContrastiveChains(settings.k)
    count = settings.chains * (settings.temperatures if settings.method == "pt" else 1)
    first = layers.visible.sample(layers.visible_bias.expand(count, -1), generator)
    if settings.method == "pt":
        return TemperedChains(first, settings.temperatures, settings.k)
    hidden = layers.draw_hidden(first, generator)
    return PersistentChains(hidden, settings.k, settings.chain_dtype)


def phase_shares(
    rows: int, chains: int, like: Tensor, of: tuple[int, int] | None = None
) -> Tensor:
    """What rows of both phases weigh in a gradient: 1 / B for data, -1 / C for chains, (B + C, 1).

    Arguments:
        rows: of the data.
        chains: how many.
        like: a tensor of the type and on the device wanted.
        of: B and C, where these are only some of all; None where they are all.

    Example:
        >>> phase_shares(1, 2, torch.zeros(0)).tolist()
        [[1.0], [-0.5], [-0.5]]
    """
    total = (rows, chains) if of is None else of
    parts = [like.new_full((rows, 1), 1 / total[0]), like.new_full((chains, 1), -1 / total[1])]
    return torch.cat(parts)
