"""Two layers and all that joins them, as numbers are now.

.. math:: E(v, h) = -(v \\cdot a + h \\cdot b + v^\\top W h) + s(v) + s(h)
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

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
        fields = self.visible_bias + h @ self.weights.T
        own = self.visible.self_energy(v) + self.hidden.self_energy(h)
        return own - (v * fields).sum(-1) - h @ self.hidden_bias

    def free_energy(self, v: Tensor) -> Tensor:
        """Energy of v with the hidden units summed out, (...), nats."""
        hidden = self.hidden.log_normalizer(self.hidden_fields(v)).sum(-1)
        return self.visible.self_energy(v) - v @ self.visible_bias - hidden

    def hidden_fields(self, v: Tensor) -> Tensor:
        """What v makes of the hidden layer, (..., n_hidden)."""
        return self.hidden_bias + v @ self.weights

    def hidden_mean(self, v: Tensor) -> Tensor:
        """Means of the hidden units given v, (..., n_hidden)."""
        return self.hidden.mean(self.hidden_fields(v))

    def visible_mean(self, h: Tensor) -> Tensor:
        """Means of the visible units given h, (..., n_visible)."""
        return self.visible.mean(self.visible_bias + h @ self.weights.T)
