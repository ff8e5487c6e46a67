"""Learning a machine of two layers from data, by chains that follow it.

.. math:: \\Delta W \\propto \\langle v h^\\top \\rangle_{\\text{data}}
          - \\langle v h^\\top \\rangle_{\\text{chains}}, \\qquad
          \\Delta a \\propto \\langle v \\rangle_{\\text{data}}
          - \\langle v \\rangle_{\\text{chains}}
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from energy.rbm.chains import Chains, phase_shares
from energy.rbm.layers import Layers
from energy.rbm.parted_chains import PartedChains
from energy.rbm.settings import Settings
from energy.rbm.units import GaussianUnits
from inference.learning.trainer import Learner

__all__ = ["MachineLearner"]

#: How fast the means of hidden units that learning remembers follow those of a batch.
FOLLOWED = 0.05

#: Rows whose free energies are compared after every epoch.
COMPARED = 1000


class MachineLearner(Learner[Tensor]):
    """Steps up the likelihood of a machine of two layers.

    Centring takes the means of units off before products are made, which changes the metric of
    the step and not where it leads; with mu and nu the means of v and h,

    .. math:: \\Delta W = \\langle (v - \\mu)(h - \\nu)^\\top \\rangle_{\\text{data}}
              - \\langle (v - \\mu)(h - \\nu)^\\top \\rangle_{\\text{chains}}, \\qquad
              \\Delta a = \\langle v \\rangle_{\\text{data}} - \\langle v \\rangle_{\\text{chains}}
              - \\Delta W \\nu

    and b likewise. A target p of sparsity adds :math:`c (p - q)` to the slope of every hidden
    unit's field, where q is how often it has been on of late.

    Arguments:
        layers: the machine; its tensors are changed in place.
        settings: how to learn.
        chains: of the negative phase.
        rows: all that is learned from, for figures.
        others: rows whose free energy is compared with that of the rows.

    Reference:
        Hinton 2012, "A practical guide to training restricted Boltzmann machines", sections 3,
        6, 9 to 11; Melchior, Fischer & Wiskott 2016, "How to center deep Boltzmann machines",
        eq. 9 to 11.
    """

    def __init__(
        self,
        layers: Layers,
        settings: Settings,
        chains: Chains,
        rows: Tensor,
        others: Tensor | None = None,
    ) -> None:
        self._layers, self._settings, self._chains = layers, settings, chains
        self.parameters = {
            "weights": layers.weights,
            "visible_bias": layers.visible_bias,
            "hidden_bias": layers.hidden_bias,
        }
        if isinstance(layers.visible, GaussianUnits):
            self.parameters["log_precision"] = layers.visible.log_precision
        self._gradients = {name: torch.zeros_like(x) for name, x in self.parameters.items()}
        self._velocities = {name: torch.zeros_like(x) for name, x in self.parameters.items()}
        self._activity = torch.full_like(layers.hidden_bias, settings.sparsity or 0.5)
        self._rows, self._others, self._mean = rows[:COMPARED], others, rows.mean(0)
        self._last = rows[:0]
        self._sizes, self._shares = (0, 0), rows.new_zeros(0, 1)
        self._parted = chains if isinstance(chains, PartedChains) else None
        self._of: tuple[int, int] | None = None

    def step(self, batch: Tensor, rate: float, taken: int, generator: torch.Generator) -> None:
        """Change the parameters on some rows; see ``Learner.step``."""
        count, total = len(batch), len(batch)
        if self._parted is not None:
            count, *of = self._parted.sizes(total)
            self._of = (of[0], of[1])
        elif self._settings.draw_data:
            batch = self._layers.visible.sample(batch.logit(), generator)
        rows, means = self._chains.phases(self._layers, batch, taken, generator)
        followed = self._settings.centered or self._settings.sparsity is not None
        active = [means[:count].mean(0).mul_(count / total)] if followed else []
        self._estimate(rows, means, count)
        if self._parted is not None:
            self._parted.team.sum([*self._gradients.values(), *active])
        for mean in active:
            self._activity.lerp_(mean, FOLLOWED)
        self._center()
        self._regularize()
        momentum = self._settings.momentum
        for name, gradient in self._gradients.items():
            if momentum:
                gradient = self._velocities[name].mul_(momentum).add_(gradient)
            self.parameters[name].add_(gradient, alpha=rate)
        self._last = rows[count:]

    def memory(self) -> dict[str, Tensor]:
        """Chains, velocities and how active the hidden units have been."""
        velocities = {f"velocity.{name}": x for name, x in self._velocities.items()}
        used = velocities if self._settings.momentum else {}
        return {**self._chains.memory(), **used, "activity": self._activity}

    def recall(self, memory: Mapping[str, Tensor]) -> None:
        """Take over what ``memory`` returned."""
        self._chains.recall(memory)
        self._activity = memory["activity"]
        if self._settings.momentum:
            self._velocities = {name: memory[f"velocity.{name}"] for name in self._velocities}

    def report(self) -> dict[str, float]:
        """How far chains and rows are apart, and free energies if there are other rows."""
        mean = self._last.mean(0) if self._parted is None else self._parted.mean(self._last)
        found = {"mean_gap": float((mean - self._mean).abs().mean())}
        if self._others is not None:
            own, other = (
                self._layers.free_energy(part).mean() for part in (self._rows, self._others)
            )
            found |= {"free_energy": float(own), "free_energy_gap": float(other - own)}
        return found

    def _estimate(self, rows: Tensor, means: Tensor, count: int) -> None:
        """Gradients from rows of both phases, of which the first ``count`` are data."""
        # Both phases in one product each way: rows weigh 1 / B and -1 / C.
        shares = self._row_shares(count, len(rows) - count)
        found = self._gradients
        torch.mv(rows.T, shares[:, 0], out=found["visible_bias"])
        torch.mv(means.T, shares[:, 0], out=found["hidden_bias"])
        torch.mm(rows.T, means.mul_(shares), out=found["weights"])
        if "log_precision" in found:
            precision = self.parameters["log_precision"].exp()
            torch.mul(
                (rows.square() * shares).sum(0), -0.5 * precision, out=found["log_precision"]
            )

    def _center(self) -> None:
        """Take the means of units off, where that is wanted."""
        if self._settings.centered:
            found = self._gradients
            ahead, behind = found["visible_bias"], found["hidden_bias"]
            found["weights"].addr_(self._mean, behind, alpha=-1).addr_(
                ahead, self._activity, alpha=-1
            )
            ahead.addmv_(found["weights"], self._activity, alpha=-1)
            behind.addmv_(found["weights"].T, self._mean, alpha=-1)

    def _regularize(self) -> None:
        """Decay of the weights, and the pull to the sparsity that is wanted."""
        settings, weights = self._settings, self.parameters["weights"]
        gradient = self._gradients["weights"]
        if settings.l2:
            gradient.add_(weights, alpha=-settings.l2)
        if settings.l1:
            gradient.add_(weights.sign(), alpha=-settings.l1)
        if settings.sparsity is not None:
            pull = settings.sparsity_cost * (settings.sparsity - self._activity)
            gradient.addr_(self._mean, pull)
            self._gradients["hidden_bias"].add_(pull)

    def _row_shares(self, rows: int, chains: int) -> Tensor:
        """Shares of rows in both phases, kept from step to step."""
        if self._sizes != (rows, chains):
            self._sizes = (rows, chains)
            self._shares = phase_shares(rows, chains, self._shares, self._of)
        return self._shares
