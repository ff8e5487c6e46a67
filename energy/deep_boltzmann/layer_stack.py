"""Layers in a stack, each joined to the next, their energy and the law of the visible ones.

.. math:: E(h_0, \\dots, h_L) = -\\sum_l h_l^\\top W_l h_{l+1} - \\sum_l b_l \\cdot h_l, \\qquad
          h_0 = v, \\quad p(v) \\propto \\sum_{h_1, \\dots, h_L} e^{-E}
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn

from energy.deep_boltzmann.factors import stack_as_factors
from energy.deep_boltzmann.hidden_law import HiddenLaw
from energy.deep_boltzmann.sides import Sides
from energy.energy_model import EnergyModel
from energy.rbm.exact import exact_log_partition
from energy.rbm.law import LayerLaw
from energy.rbm.layers import Layers
from energy.rbm.rows import check_rows, read_units
from energy.rbm.units import BernoulliUnits
from inference.exact.graph import FactorGraph
from inference.inputs import Values, as_whole
from inference.random import GeneratorLike, as_generator

__all__ = ["LayerStack"]


class LayerStack(EnergyModel):
    """Abstract: the parameters of a stack of layers, its energies, laws and samples.

    Its arguments and attributes are those of ``DeepBoltzmannMachine``, which learns them.
    """

    weights: nn.ParameterList
    biases: nn.ParameterList
    base_bias: Tensor

    def __init__(self, layer_sizes: Sequence[int], *, generator: GeneratorLike = None) -> None:
        super().__init__()
        sizes = tuple(as_whole("layer_sizes", size, least=1) for size in layer_sizes)
        if len(sizes) < 2:
            raise ValueError(f"layer_sizes must be of two layers or more, found {list(sizes)}")
        self._sides = Sides(sizes)
        source = as_generator(generator)
        first = [0.01 * torch.randn(pair, generator=source) for pair in pairwise(sizes)]
        self.weights = nn.ParameterList(nn.Parameter(w, requires_grad=False) for w in first)
        self.biases = nn.ParameterList(
            nn.Parameter(torch.zeros(size), requires_grad=False) for size in sizes
        )
        self.register_buffer("base_bias", torch.zeros(sizes[0]))

    def config(self) -> dict[str, Any]:
        """Sizes of the layers."""
        return {"layer_sizes": list(self.layer_sizes)}

    @property
    def layer_sizes(self) -> tuple[int, ...]:
        """Numbers of units, bottom up."""
        return self._sides.layer_sizes

    @property
    def n_visible(self) -> int:
        """Number of visible units."""
        return self.layer_sizes[0]

    @property
    def n_units(self) -> int:
        """Number of all units."""
        return sum(self.layer_sizes)

    def layers(self, *, detached: bool = False) -> Layers:
        """The machine as one of two layers, its even side and its odd one, as numbers are now.

        Arguments:
            detached: without gradients.
        """
        weights, biases = list(self.weights), list(self.biases)
        if detached:
            weights, biases = [w.detach() for w in weights], [b.detach() for b in biases]
        even, odd = self._sides.join(biases)
        units = BernoulliUnits(), BernoulliUnits()
        return Layers(self._sides.joined_weights(weights), even, odd, *units)

    # Energies ------------------------------------------------------------------------------------

    def energy(self, x: Values, *hidden: Values) -> Tensor:
        """Energy of all layers.

        Arguments:
            x: visible units; alone, all units side by side, bottom up.
            hidden: the other layers, bottom up, all or none.

        Shapes:
            x: (..., n_visible) or (..., n_units). hidden: (..., n_l). result: (...).

        Raises:
            TypeError, ValueError: values that the units cannot take, another number of units or
                layers.

        Example:
            >>> from energy.deep_boltzmann_machine import DeepBoltzmannMachine
            >>> machine = DeepBoltzmannMachine([2, 1, 1])
            >>> _ = machine.biases[2].data.fill_(3.0)
            >>> machine.energy([0, 0, 0, 1]).item(), machine.energy([0, 0], [0], [1]).item()
            (-3.0, -3.0)
        """
        return self.layers().energy(*self._sides.join(self._stack(x, hidden)))

    def free_energy(self, v: Values) -> Tensor:
        """Energy of visible units with all hidden ones summed out exactly.

        .. math:: F(v) = -\\log \\sum_{h_1, \\dots, h_L} e^{-E(v, h_1, \\dots, h_L)}

        Arguments:
            v: visible units.

        Shapes:
            v: (..., n_visible). result: (...), float64, nats.

        Raises:
            ValueError: if both sides of the hidden layers have more than 20 units.
        """
        rows = self._units("v", v, self.n_visible)
        flat = rows.reshape(-1, self.n_visible).double()
        sums = flat @ self.biases[0].double() + self._hidden_law(flat).log_sums()
        return -sums.reshape(rows.shape[:-1])

    def log_weight(self, x: Values) -> Tensor:
        """Log of the unnormalised probability of visible units, (...), float64, nats."""
        return -self.free_energy(x)

    def exact_log_partition(self) -> Tensor:
        """Log Z by summing over the side that has fewer units, (), float64, nats.

        Raises:
            ValueError: if both sides have more than 25.
        """
        return exact_log_partition(self.layers())

    # Laws and samples ----------------------------------------------------------------------------

    def tempered_law(self, *, base: Tensor | None = None) -> LayerLaw:
        """The path from independent units of the even side to the machine's own law.

        Its positions are units of the even side, (chain, n_even): v, h_2, h_4, ... side by side;
        the odd layers are summed out.

        Arguments:
            base: biases of the independent visible units, (n_visible,); ``base_bias`` by default.
                Those of the other units are zero.
        """
        layers, start = self.layers(detached=True), self.base_bias if base is None else base
        biases = torch.zeros_like(layers.visible_bias)
        biases[: self.n_visible] = start.detach()
        return LayerLaw(layers, biases)

    def gibbs_sweep(self, x: Values, beta: float = 1.0, generator: GeneratorLike = None) -> Tensor:
        """All units after the even side has been drawn given the odd one, and then the odd one.

        Arguments:
            x: units of all layers side by side, bottom up.
            beta: inverse temperature.
            generator: None, a seed or a generator.

        Shapes:
            x: (chain, n_units). result: the same.

        Raises:
            TypeError, ValueError: values that the units cannot take, or another number of them.
        """
        layers, source = self.layers(detached=True), as_generator(generator, self.device)
        _, odd = self._sides.join(self._stack(x, ()))
        even_fields = layers.visible_bias + odd @ layers.weights.T
        even = layers.visible.sample(beta * even_fields, source)
        odd = layers.hidden.sample(beta * layers.hidden_fields(even), source)
        return torch.cat(self._sides.split(even, odd), -1)

    def sample_layers(
        self,
        n: int,
        *,
        sweeps: int = 1000,
        method: Literal["gibbs", "exact"] = "gibbs",
        generator: GeneratorLike = None,
    ) -> list[Tensor]:
        """Draws of all layers, bottom up, one from each of n chains; see ``sample``.

        Shapes:
            result: (n, n_l) each.
        """
        source = as_generator(generator, self.device)
        even = super().sample(n, sweeps=sweeps, method=method, generator=source)
        layers = self.layers(detached=True)
        odd = layers.hidden.sample(layers.hidden_fields(even), source)
        return self._sides.split(even, odd)

    def sample(
        self,
        n: int,
        *,
        sweeps: int = 1000,
        method: Literal["gibbs", "exact"] = "gibbs",
        generator: GeneratorLike = None,
    ) -> Tensor:
        """Draws of the visible units, one from each of n chains; see ``EnergyModel.sample``.

        Shapes:
            result: (n, n_visible).
        """
        return self.sample_layers(n, sweeps=sweeps, method=method, generator=generator)[0]

    def to_factor_graph(self) -> FactorGraph:
        """The same law over "v0", ..., "h1_0", ..., "h2_0", ..., for small machines."""
        return stack_as_factors(list(self.weights), list(self.biases))

    def _decoded(self, codes: Tensor) -> Tensor:
        """Units of the even side, which is where the path of laws lives."""
        layers = codes.to(self.weights[0]).split(list(self.layer_sizes), -1)
        return self._sides.join(layers)[0]

    # Units ---------------------------------------------------------------------------------------

    def _hidden_law(self, rows: Tensor) -> HiddenLaw:
        """The law of hidden units given checked rows, (n, n_visible), in their type."""
        layers, below = self.layers(), self.n_visible
        weights = layers.weights.to(rows)
        fields = torch.addmm(layers.hidden_bias.to(rows), rows, weights[:below])
        return HiddenLaw(weights[below:], layers.visible_bias[below:].to(rows), fields)

    def _stack(self, x: Values, hidden: Sequence[Values]) -> list[Tensor]:
        """All layers, checked, with the same leading axes."""
        if not hidden:
            return list(self._units("x", x, self.n_units).split(list(self.layer_sizes), -1))
        if len(hidden) != len(self.layer_sizes) - 1:
            count = len(self.layer_sizes) - 1
            raise ValueError(f"hidden must be {count} layers or none, found {len(hidden)}")
        named = [("x", x), *[(f"h{level}", h) for level, h in enumerate(hidden, 1)]]
        layers = [
            self._units(name, units, size)
            for (name, units), size in zip(named, self.layer_sizes, strict=True)
        ]
        lead = torch.broadcast_shapes(*[units.shape[:-1] for units in layers])
        return [units.expand(*lead, -1) for units in layers]

    def _rows(self, name: str, v: Values) -> Tensor:
        """Rows of visible units, checked."""
        rows = self._units(name, v, self.n_visible)
        check_rows(name, rows, self.n_visible)
        return rows

    def _units(self, name: str, x: Values, size: int) -> Tensor:
        """Units, checked, in the type of the weights."""
        return read_units(name, x, size, BernoulliUnits(), self.weights[0])
