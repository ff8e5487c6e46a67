"""The up-down algorithm: guesses of the data teach generation, dreams teach recognition.

.. math:: \\Delta w_{ij} \\propto \\langle (x_i - p_i(h))\\, h_j \\rangle_{q(h \\mid x)}, \\qquad
          \\Delta r_{ij} \\propto \\langle x_i\\, (h_j - q_j(x)) \\rangle_{p(x, h)}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from energy.deep_belief.directed_layer import DirectedLayer
from energy.rbm.chains import Chains, Phases
from energy.rbm.layers import Layers
from energy.rbm.learning import MachineLearner
from inference.learning.trainer import Learner

__all__ = ["Dreams", "StackLearner", "delta_rule"]


def delta_rule(
    weights: Tensor, bias: Tensor, given: Tensor, drawn: Tensor, mean: Tensor, rate: float
) -> None:
    """Step up the log-probability of drawn units 0 and 1 given others; in place.

    .. math:: \\Delta w_{ij} = \\eta \\langle g_i (d_j - m_j) \\rangle

    Arguments:
        weights: (given, drawn).
        bias: of the drawn units.
        given: units they depend on, (n, given).
        drawn: (n, drawn).
        mean: of the drawn units as they were expected, (n, drawn).
        rate: of the step.

    Example:
        >>> weights, bias, one = torch.zeros(1, 1), torch.zeros(1), torch.ones(1, 1)
        >>> delta_rule(weights, bias, one, one, mean=0.5 * one, rate=1.0)
        >>> weights.item(), bias.item()
        (0.5, 0.5)
    """
    error = drawn - mean
    weights.addmm_(given.T, error, alpha=rate / len(given))
    bias.add_(error.mean(0), alpha=rate)


class Dreams(Chains):
    """Chains of the machine on top, and where they were last.

    Arguments:
        chains: of any kind.
        n_below: number of visible units that are no label's.
    """

    def __init__(self, chains: Chains, n_below: int) -> None:
        self._chains, self._n_below = chains, n_below
        self.last = torch.zeros(0, n_below)

    def phases(
        self, layers: Layers, batch: Tensor, taken: int, generator: torch.Generator
    ) -> Phases:
        """Move on, and remember the visible units of the chains."""
        found = self._chains.phases(layers, batch, taken, generator)
        self.last = found.rows[len(batch) :, : self._n_below]
        return found

    def memory(self) -> dict[str, Tensor]:
        """What going on takes."""
        return self._chains.memory()

    def recall(self, memory: Mapping[str, Tensor]) -> None:
        """Take over what ``memory`` returned."""
        self._chains.recall(memory)


class StackLearner(Learner[Tensor]):
    """Steps of a machine that stands on directed layers, and of these if it dreams.

    Rows are visible units and then the label's, if there is one. Recognition draws the layers
    above from them, anew in every step.

    Arguments:
        layers: directed ones, from below.
        machine: learns the two layers on top.
        dreams: its chains, from which the network below is drawn and recognition learns; None
            leaves the directed layers as they are, so that the machine alone learns.

    Reference:
        Hinton, Osindero & Teh 2006, "A fast learning algorithm for deep belief nets", sections 4
        and 5 and appendix B. There the chains on top start at the data; those that go on know
        more of what the network dreams.
    """

    def __init__(
        self, layers: Sequence[DirectedLayer], machine: MachineLearner, dreams: Dreams | None
    ) -> None:
        self._layers, self._machine, self._dreams = list(layers), machine, dreams
        self.parameters = {f"top.{name}": x for name, x in machine.parameters.items()}
        if dreams is not None:
            self.parameters |= {
                f"layers.{index}.{name}": parameter.data
                for index, layer in enumerate(layers)
                for name, parameter in layer.named_parameters()
            }

    @torch.no_grad()
    def step(self, batch: Tensor, rate: float, taken: int, generator: torch.Generator) -> None:
        """Up from the data, a step of the machine on top, and down from its chains."""
        below, label = batch, batch[:, :0]
        if self._layers:
            below, label = batch.tensor_split([len(self._layers[0].bias)], 1)
        for layer in self._layers:
            above = layer.draw_up(below, generator)
            if self._dreams is not None:
                expected = layer.down(above)
                delta_rule(layer.weights.T, layer.bias, above, below, expected, rate)
            below = above
        self._machine.step(torch.cat([below, label], 1), rate, taken, generator)
        if self._dreams is not None:
            self._sleep(self._dreams.last, rate, generator)

    def _sleep(self, above: Tensor, rate: float, generator: torch.Generator) -> None:
        """Recognition learns from what is drawn below some units of the upper layer."""
        for layer in reversed(self._layers):
            below = layer.draw_down(above, generator)
            weights, bias = layer.recognition_weights, layer.recognition_bias
            delta_rule(weights, bias, below, above, layer.up(below), rate)
            above = below

    def memory(self) -> dict[str, Tensor]:
        """That of the machine on top."""
        return self._machine.memory()

    def recall(self, memory: Mapping[str, Tensor]) -> None:
        """Take over that of the machine on top."""
        self._machine.recall(memory)

    def report(self) -> dict[str, float]:
        """Figures of the machine on top."""
        return self._machine.report()
