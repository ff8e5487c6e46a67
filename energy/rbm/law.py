"""The law of the visible units, the hidden ones summed out, on a path from independent units.

.. math:: g(v, \\beta) = (1 - \\beta)\\, a^0 \\cdot v + \\beta\\, a \\cdot v - s(v)
          + \\sum_j A\\bigl(\\beta (b_j + \\textstyle\\sum_i v_i w_{ij})\\bigr)

The hidden units of a law that is half as cold are in half the field. Summing them out leaves
weights far more even than those of both layers together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from energy.rbm.layers import Layers
from inference.sampling.kernel import Beta, TemperedLaw

__all__ = ["LayerLaw", "LayerState"]


class LayerState(NamedTuple):
    """Visible units of all chains, (chain, n_visible), and v W, (chain, n_hidden)."""

    visible: Tensor
    overlap: Tensor


@dataclass(frozen=True, eq=False)
class LayerLaw(TemperedLaw[LayerState]):
    """The path of two layers, moved by drawing one and then the other.

    Arguments:
        layers: weights, biases and kinds of units, without gradients.
        base: a^0, (n_visible,), biases at beta = 0.

    Reference:
        Salakhutdinov & Murray 2008, "On the quantitative analysis of deep belief networks",
        section 4.1 (the path); Smolensky 1986 (block sampling).
    """

    layers: Layers
    base: Tensor

    @property
    def device(self) -> torch.device:
        """Where the chains are."""
        return self.layers.weights.device

    @property
    def log_base(self) -> float:
        """Log Z of independent units, nats."""
        nothing = torch.zeros_like(self.layers.hidden_bias).double()
        hidden = self.layers.hidden.log_normalizer(nothing)
        return float(self.layers.visible.log_normalizer(self.base.double()).sum() + hidden.sum())

    def start(self, chains: int, generator: torch.Generator) -> LayerState:
        """Independent draws from the law at beta = 0."""
        return self.state_of(self.layers.visible.sample(self.base.expand(chains, -1), generator))

    def init(self, position: Tensor) -> LayerState:
        """State at visible variables, (chain, n_visible).

        Raises:
            ValueError: values that they cannot take, or another number of them.
        """
        units, values = self.layers.visible, position.to(self.layers.weights)
        size = len(self.layers.visible_bias) // units.width
        if values.ndim != 2 or values.shape[1] != size:
            raise ValueError(f"position must be (chain, {size}), found {tuple(position.shape)}")
        return self.state_of(units.encode("position", values))

    def position(self, state: LayerState) -> Tensor:
        """Visible variables, (chain, n_visible)."""
        return self.layers.visible.decode(state.visible)

    def log_density(self, state: LayerState, beta: Beta) -> Tensor:
        """g(v, beta), (chain,) float64, nats."""
        layers = self.layers
        fields = _across(beta, state.overlap) * (layers.hidden_bias + state.overlap)
        hidden = layers.hidden.log_normalizer(fields).sum(1).double()
        bias = (state.visible @ torch.stack([self.base, layers.visible_bias], 1)).double()
        own = layers.visible.self_energy(state.visible).double()
        return (1 - beta) * bias[:, 0] + beta * bias[:, 1] + hidden - own

    def log_ratio(self, state: LayerState, before: Beta, after: Beta) -> Tensor:
        """g(v, after) - g(v, before), (chain,) float64, nats; no state is impossible.

        What both have in common is computed once.
        """
        layers = self.layers
        fields = layers.hidden_bias + state.overlap
        hidden = [
            layers.hidden.log_normalizer(_across(beta, fields) * fields).sum(1).double()
            for beta in (before, after)
        ]
        bias = torch.mv(state.visible, layers.visible_bias - self.base).double()
        return (after - before) * bias + hidden[1] - hidden[0]

    def step(self, state: LayerState, beta: Beta, generator: torch.Generator) -> LayerState:
        """State after the hidden layer has been drawn, and then the visible one."""
        layers, share = self.layers, _across(beta, state.overlap)
        fields = layers.hidden_bias + state.overlap
        hidden = layers.hidden.draw(_scaled(fields, share), generator)
        fields = _scaled(layers.visible_fields(hidden), share)
        if not _is_one(share):
            fields = fields.add_((1 - share) * self.base)
        return self.state_of(layers.visible.draw(fields, generator))

    def state_of(self, visible: Tensor) -> LayerState:
        """State at visible units that are known to be such, (chain, n_visible)."""
        return LayerState(visible, visible @ self.layers.weights)


def _across(beta: Beta, like: Tensor) -> float | Tensor:
    """An inverse temperature for all units of a chain."""
    return beta.to(like)[:, None] if isinstance(beta, Tensor) else beta


def _is_one(share: float | Tensor) -> bool:
    """Whether all chains are known to be at the law itself."""
    return not isinstance(share, Tensor) and share == 1.0


def _scaled(fields: Tensor, share: float | Tensor) -> Tensor:
    """Fields, which are changed, of chains that are in a share of them."""
    return fields if _is_one(share) else fields.mul_(share)
