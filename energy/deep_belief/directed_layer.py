"""One directed layer: units that those above turn on, and how to guess those above from them.

.. math:: p(x_i = 1 \\mid h) = \\sigma\\bigl(a_i + \\textstyle\\sum_j w_{ij} h_j\\bigr), \\qquad
          q(h_j = 1 \\mid x) = \\sigma\\bigl(c_j + \\textstyle\\sum_i r_{ij} x_i\\bigr)
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from energy.rbm.units import BernoulliUnits

__all__ = ["DirectedLayer", "log_bernoulli"]


def log_bernoulli(x: Tensor, fields: Tensor) -> Tensor:
    """Log-probability of units 0 and 1 in fields, (...), nats.

    .. math:: \\sum_i x_i f_i - \\log(1 + e^{f_i})

    Example:
        >>> log_bernoulli(torch.ones(3), torch.zeros(3)).exp().item()
        0.125
    """
    return (x * fields - nn.functional.softplus(fields)).sum(-1)


class DirectedLayer(nn.Module):
    """Generative and recognition weights between two layers of units 0 and 1.

    Arguments:
        n_below: number of units below.
        n_above: number of units above.
        generator: of the first weights, N(0, 0.01^2); both kinds are the same at first.

    Attributes:
        weights: w, generative, (n_below, n_above).
        bias: a, of the units below, (n_below,).
        recognition_weights: r, (n_below, n_above).
        recognition_bias: c, of the units above, (n_above,).

    Shapes:
        below: (..., n_below). above: (..., n_above).

    Reference:
        Hinton, Dayan, Frey & Neal 1995, "The wake-sleep algorithm for unsupervised neural
        networks".

    Example:
        >>> layer = DirectedLayer(3, 2, torch.Generator().manual_seed(0))
        >>> layer.down(layer.up(torch.ones(4, 3))).shape
        torch.Size([4, 3])
    """

    weights: nn.Parameter
    bias: nn.Parameter
    recognition_weights: nn.Parameter
    recognition_bias: nn.Parameter

    def __init__(self, n_below: int, n_above: int, generator: torch.Generator) -> None:
        super().__init__()
        first = 0.01 * torch.randn(n_below, n_above, generator=generator)
        self.weights = nn.Parameter(first, requires_grad=False)
        self.bias = nn.Parameter(torch.zeros(n_below), requires_grad=False)
        self.recognition_weights = nn.Parameter(first.clone(), requires_grad=False)
        self.recognition_bias = nn.Parameter(torch.zeros(n_above), requires_grad=False)

    def up_fields(self, below: Tensor) -> Tensor:
        """What recognition makes of the layer above."""
        return self.recognition_bias + below @ self.recognition_weights

    def down_fields(self, above: Tensor) -> Tensor:
        """What the layer above makes of the one below."""
        return self.bias + above @ self.weights.T

    def up(self, below: Tensor) -> Tensor:
        """Recognised means of the units above."""
        return self.up_fields(below).sigmoid()

    def down(self, above: Tensor) -> Tensor:
        """Means of the units below."""
        return self.down_fields(above).sigmoid()

    def draw_up(self, below: Tensor, generator: torch.Generator) -> Tensor:
        """Units above drawn by recognition."""
        return BernoulliUnits().sample(self.up_fields(below), generator)

    def draw_down(self, above: Tensor, generator: torch.Generator) -> Tensor:
        """Units below drawn from the model."""
        return BernoulliUnits().sample(self.down_fields(above), generator)

    @torch.no_grad()
    def tie(self, weights: Tensor, visible_bias: Tensor, hidden_bias: Tensor) -> None:
        """Take over a machine of two layers: it generates and recognises with the same weights."""
        self.weights.copy_(weights)
        self.recognition_weights.copy_(weights)
        self.bias.copy_(visible_bias)
        self.recognition_bias.copy_(hidden_bias)
