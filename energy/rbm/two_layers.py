"""Two layers of units, all that joins them, and the law of the visible ones.

.. math:: E(v, h) = -(v \\cdot a + h \\cdot b + v^\\top W h) + s(v) + s(h), \\qquad
          p(v) \\propto \\sum_h e^{-E(v, h)}
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from energy.energy_model import EnergyModel
from energy.rbm.exact import exact_log_partition
from energy.rbm.factors import layers_as_factors
from energy.rbm.kinds import HiddenKind, VisibleKind, check_kinds, hidden_units, visible_units
from energy.rbm.law import LayerLaw
from energy.rbm.layers import Layers
from energy.rbm.rows import read_units
from inference.exact.graph import FactorGraph
from inference.inputs import Values, as_whole
from inference.random import GeneratorLike, as_generator
from inference.sampling.annealed_importance import LogPartition

__all__ = ["TwoLayers"]


class TwoLayers(EnergyModel):
    """Abstract: the parameters of two layers, their energies, conditional means and laws.

    Its arguments and attributes are those of ``RestrictedBoltzmannMachine``, which learns them.
    """

    weights: nn.Parameter
    visible_bias: nn.Parameter
    hidden_bias: nn.Parameter
    log_precision: nn.Parameter | None
    base_bias: Tensor

    def __init__(
        self,
        n_visible: int,
        n_hidden: int,
        visible: VisibleKind = "bernoulli",
        hidden: HiddenKind = "bernoulli",
        *,
        n_states: int | None = None,
        generator: GeneratorLike = None,
    ) -> None:
        super().__init__()
        sizes = as_whole("n_visible", n_visible, least=1), as_whole("n_hidden", n_hidden, least=1)
        check_kinds(visible, hidden, n_states)
        self._visible_kind: VisibleKind = visible
        self._hidden_kind: HiddenKind = hidden
        self._n_states = n_states
        sizes = sizes[0] * (n_states or 1), sizes[1]
        first = 0.01 * torch.randn(sizes, generator=as_generator(generator))
        self.weights = nn.Parameter(first, requires_grad=False)
        self.visible_bias = nn.Parameter(torch.zeros(sizes[0]), requires_grad=False)
        self.hidden_bias = nn.Parameter(torch.zeros(sizes[1]), requires_grad=False)
        self.register_buffer("base_bias", torch.zeros(sizes[0]))
        self.log_precision = None
        if visible == "gaussian":
            self.log_precision = nn.Parameter(torch.zeros(sizes[0]), requires_grad=False)

    def config(self) -> dict[str, Any]:
        """Sizes and kinds of the layers."""
        sizes = {"n_visible": self.n_visible, "n_hidden": self.n_hidden}
        kinds = {"visible": self._visible_kind, "hidden": self._hidden_kind}
        return {**sizes, **kinds, "n_states": self._n_states}

    @property
    def n_visible(self) -> int:
        """Number of visible variables: units, unless each is one of a few states."""
        return len(self.visible_bias) // (self._n_states or 1)

    @property
    def n_states(self) -> int | None:
        """Number of states of categorical visible variables; None for other kinds."""
        return self._n_states

    @property
    def n_hidden(self) -> int:
        """Number of hidden units."""
        return len(self.hidden_bias)

    def layers(self, *, detached: bool = False) -> Layers:
        """The layers as their numbers are now.

        Arguments:
            detached: copies without gradients.
        """
        found = {
            name: p.detach().clone() if detached else p for name, p in self.named_parameters()
        }
        bias = found["hidden_bias"]
        visible = visible_units(self._visible_kind, self._n_states, found.get("log_precision"))
        hidden = hidden_units(self._hidden_kind, bias)
        return Layers(found["weights"], found["visible_bias"], bias, visible, hidden)

    # Energies ------------------------------------------------------------------------------------

    def energy(self, x: Values, h: Values | None = None) -> Tensor:
        """Energy of both layers; of the visible one alone, its free energy.

        Arguments:
            x: visible units v.
            h: hidden units.

        Shapes:
            x: (..., n_visible). h: (..., n_hidden). result: (...).

        Raises:
            ValueError: values that the units cannot take, or another number of them.
        """
        if h is None:
            return self.free_energy(x)
        return self.layers().energy(self._visible("x", x), self._hidden("h", h))

    def free_energy(self, v: Values) -> Tensor:
        """Energy of visible units with the hidden ones summed out.

        .. math:: F(v) = -a \\cdot v + s(v) - \\sum_j A\\bigl(b_j + \\textstyle\\sum_i v_i w_{ij}
                  \\bigr)

        Arguments:
            v: visible units.

        Shapes:
            v: (..., n_visible). result: (...), nats.

        Reference:
            Hinton 2012, eq. 24.
        """
        return self.layers().free_energy(self._visible("v", v))

    def log_weight(self, x: Values) -> Tensor:
        """Log of the unnormalised probability of visible units, (...), nats."""
        return -self.free_energy(x)

    def exact_log_partition(self) -> Tensor:
        """Log Z by summing over the layer that has fewer states, (), float64, nats.

        Raises:
            ValueError: if both layers have more than 2^25.
        """
        return exact_log_partition(self.layers())

    def log_prob(
        self, x: Values, *, log_partition: LogPartition | Tensor | float | None = None
    ) -> Tensor:
        """Log-probability of visible units, (...), nats, float64.

        Arguments:
            x: visible units.
            log_partition: log Z, if it is known or has been estimated; None sums the smaller
                layer exactly.

        Raises:
            ValueError: None for two layers that are too large to be summed.
        """
        return self.log_weight(x).double() - self._log_z(log_partition)

    # Layers --------------------------------------------------------------------------------------

    def hidden_probabilities(self, v: Values) -> Tensor:
        """Means of hidden units given visible ones: probabilities of ones.

        Shapes:
            v: (..., n_visible). result: (..., n_hidden).
        """
        return self.layers().hidden_mean(self._visible("v", v))

    def visible_mean(self, h: Values) -> Tensor:
        """Means of visible units given hidden ones.

        Shapes:
            h: (..., n_hidden). result: (..., n_visible), of states (..., n_visible, n_states).
        """
        means = self.layers().visible_mean(self._hidden("h", h))
        return means if self._n_states is None else means.unflatten(-1, (-1, self._n_states))

    # Laws ----------------------------------------------------------------------------------------

    def tempered_law(self, *, base: Tensor | None = None) -> LayerLaw:
        """The path from independent visible units to the model's own law.

        Arguments:
            base: biases of the independent units, as ``base_bias``, which is the default.
        """
        start = self.base_bias if base is None else base
        return LayerLaw(self.layers(detached=True), start.detach().to(self.weights.data))

    def to_factor_graph(self) -> FactorGraph:
        """The same law over variables "v0", "v1", ... and "h0", "h1", ..., for small machines.

        Raises:
            ValueError: real units.
        """
        return layers_as_factors(self.layers())

    def _decoded(self, codes: Tensor) -> Tensor:
        found = codes[:, : self.n_visible]
        return found if self._n_states is not None else found.to(self.weights)

    def _visible(self, name: str, x: Values) -> Tensor:
        """Visible units, checked."""
        return read_units(name, x, self.n_visible, self.layers().visible, self.weights)

    def _hidden(self, name: str, x: Values) -> Tensor:
        """Hidden units, checked."""
        return read_units(name, x, self.n_hidden, self.layers().hidden, self.weights)
