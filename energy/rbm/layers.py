"""Two layers and all that joins them, as numbers are now.

.. math:: E(v, h) = -(v \\cdot a + h \\cdot b + v^\\top W h) + s(v) + s(h)
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import linear

from energy.rbm.units import Units

__all__ = ["Layers"]


@dataclass(frozen=True, eq=False)
class Layers:
    """Weights, biases and kinds of units of two layers; everything is differentiable by them.

    Arguments:
        weights: W, (n_visible, n_hidden).
        visible_bias: a, (n_visible,).
        hidden_bias: b, (n_hidden,).
        visible: kind of the visible units.
        hidden: kind of the hidden ones.

    Shapes:
        v: (..., n_visible). h: (..., n_hidden).

    Example:
        >>> import torch
        >>> from energy.rbm.units import BernoulliUnits
        >>> nothing = torch.zeros(3, 2), torch.zeros(3), torch.zeros(2)
        >>> layers = Layers(*nothing, BernoulliUnits(), BernoulliUnits())
        >>> layers.hidden_mean(torch.ones(3)).tolist()
        [0.5, 0.5]
    """

    weights: Tensor
    visible_bias: Tensor
    hidden_bias: Tensor
    visible: Units
    hidden: Units

    def energy(self, v: Tensor, h: Tensor) -> Tensor:
        """E(v, h), (...)."""
        fields = self.visible_fields(h)
        own = self.visible.self_energy(v) + self.hidden.self_energy(h)
        return own - (v * fields).sum(-1) - h @ self.hidden_bias

    def free_energy(self, v: Tensor) -> Tensor:
        """Energy of v with the hidden units summed out, (...), nats."""
        hidden = self.hidden.log_normalizer(self.hidden_fields(v)).sum(-1)
        return self.visible.self_energy(v) - v @ self.visible_bias - hidden

    def hidden_fields(self, v: Tensor) -> Tensor:
        """What v makes of the hidden layer, (..., n_hidden)."""
        return _fields(v, self.weights.T, self.hidden_bias)

    def visible_fields(self, h: Tensor) -> Tensor:
        """What h makes of the visible layer, (..., n_visible)."""
        return _fields(h, self.weights, self.visible_bias)

    def hidden_mean(self, v: Tensor) -> Tensor:
        """Means of the hidden units given v, (..., n_hidden)."""
        return self.hidden.mean(self.hidden_fields(v))

    def visible_mean(self, h: Tensor) -> Tensor:
        """Means of the visible units given h, (..., n_visible)."""
        return self.visible.mean(self.visible_fields(h))

    def draw_hidden(self, v: Tensor, generator: torch.Generator) -> Tensor:
        """Hidden units given v, (..., n_hidden)."""
        return self.hidden.draw(self.hidden_fields(v), generator)

    def draw_visible(self, h: Tensor, generator: torch.Generator) -> Tensor:
        """Visible units given h, (..., n_visible)."""
        return self.visible.draw(self.visible_fields(h), generator)

    def rounded(self, dtype: torch.dtype) -> Layers:
        """The same layers with weights in a shorter type, in which products are then made."""
        return replace(self, weights=self.weights.to(dtype))


def _fields(x: Tensor, weights: Tensor, bias: Tensor) -> Tensor:
    """W x + b; the product in the type of the weights."""
    if weights.dtype == bias.dtype:
        return linear(x, weights, bias)
    return linear(x.to(weights.dtype), weights).to(bias.dtype).add_(bias)
