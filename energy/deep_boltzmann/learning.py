"""Learning all layers at once: a mean field follows the rows, chains follow the machine.

.. math:: \\Delta W \\propto \\langle \\mu_x \\mu_y^\\top \\rangle_{\\text{data}}
          - \\langle x y^\\top \\rangle_{\\text{chains}}, \\qquad x = (v, h_2, h_4, \\dots),
          \\quad y = (h_1, h_3, \\dots)
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from energy.deep_boltzmann.hidden_law import HiddenLaw
from energy.rbm.chains import phase_shares
from energy.rbm.units import BernoulliUnits
from inference.inputs import as_whole
from inference.learning.trainer import Learner

__all__ = ["JointLearner", "Settings"]


@dataclass(frozen=True)
class Settings:
    """How all layers are learned.

    Arguments:
        mean_field_steps: rounds of the mean field for the rows of a step.
        k: sweeps of the chains per step.
        chains: number of chains, which go on from step to step.
        l2: weight decay, on the weights.

    Raises:
        TypeError, ValueError: numbers that make no sense.
    """

    mean_field_steps: int = 5
    k: int = 1
    chains: int = 100
    l2: float = 0.0

    def __post_init__(self) -> None:
        for name in ("mean_field_steps", "k", "chains"):
            as_whole(name, getattr(self, name), least=1)
        if not 0 <= self.l2 < math.inf:
            raise ValueError(f"l2 must be at least 0 and finite, found {self.l2}")


class JointLearner(Learner[Tensor]):
    """Takes steps of all parameters together; the layers are two sides.

    Arguments:
        parameters: "weights" (n_even, n_odd), "even_bias" (n_even,) and "odd_bias" (n_odd,),
            which steps change in place.
        connected: which weights there are, bool, or None for all.
        means: of the rows, (n_visible,), for the report.
        chains: units of the odd side, (chain, n_odd); from step to step they are what is kept.
        settings: how to learn.

    Reference:
        Salakhutdinov & Hinton 2009, "Deep Boltzmann machines", sections 2.1 and 2.2; Tieleman
        2008, "Training restricted Boltzmann machines using approximations to the likelihood
        gradient".
    """

    def __init__(
        self,
        parameters: Mapping[str, Tensor],
        connected: Tensor | None,
        means: Tensor,
        chains: Tensor,
        settings: Settings,
    ) -> None:
        self.parameters = dict(parameters)
        weights = self.parameters["weights"]
        self._connected = None if connected is None else connected.to(weights)
        self._means = means
        self._chains = chains
        self._last = chains[:, :0]
        self._settings = settings
        self._units = BernoulliUnits()
        self._shares: dict[int, Tensor] = {}

    def step(self, batch: Tensor, rate: float, taken: int, generator: torch.Generator) -> None:
        """Change the parameters on some rows, (B, n_visible)."""
        w, even_bias, odd_bias = self._numbers()
        below = len(self._means)
        fields = torch.addmm(odd_bias, batch, w[:below])
        law = HiddenLaw(w[below:], even_bias[below:], fields)
        means = law.mean_field(self._settings.mean_field_steps)
        drawn, fields = self._swept(generator)
        # Both phases in one product; rows weigh 1 / B and chains -1 / C.
        even = torch.cat([torch.cat([batch, means.even], 1), drawn])
        odd = torch.cat([means.odd, fields.sigmoid_()])
        shares = self._row_shares(len(batch))
        weighted = odd.mul_(shares)
        if self._settings.l2:
            w.mul_(1 - rate * self._settings.l2)
        w.addmm_(even.T, weighted, alpha=rate)
        if self._connected is not None:
            w.mul_(self._connected)
        odd_bias.add_(weighted.sum(0), alpha=rate)
        even_bias.addmv_(even.T, shares[:, 0], alpha=rate)

    def memory(self) -> dict[str, Tensor]:
        """The chains."""
        return {"chains": self._chains}

    def recall(self, memory: Mapping[str, Tensor]) -> None:
        """Take over chains."""
        self._chains = memory["chains"]

    def report(self) -> dict[str, float]:
        """How far the chains are from the rows in the means of visible units."""
        return {"mean_gap": float((self._last.mean(0) - self._means).abs().mean())}

    def _numbers(self) -> tuple[Tensor, Tensor, Tensor]:
        found = self.parameters
        return found["weights"], found["even_bias"], found["odd_bias"]

    def _swept(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Move the chains; units of their even side, and what these make of the odd one."""
        w, even_bias, odd_bias = self._numbers()
        even, fields = self._chains, self._chains
        for _ in range(self._settings.k):
            even = self._units.draw(torch.addmm(even_bias, self._chains, w.T), generator)
            fields = torch.addmm(odd_bias, even, w)
            self._chains = self._units.sample(fields, generator)
        self._last = even[:, : len(self._means)]
        return even, fields

    def _row_shares(self, rows: int) -> Tensor:
        """Shares of rows in both phases, kept from step to step."""
        if rows not in self._shares:
            self._shares[rows] = phase_shares(rows, len(self._chains), self._chains)
        return self._shares[rows]
