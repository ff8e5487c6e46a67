"""Maps and sigmoids as a network with logits on top.

.. math:: x_l = \\sigma(x_{l-1} R_l + c_l), \\qquad z = x_L V + d
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

__all__ = ["classifier"]


def classifier(maps: Sequence[tuple[Tensor, Tensor]], n_classes: int) -> nn.Sequential:
    """A network of copies of given maps, each followed by a sigmoid, and logits that are zero.

    Arguments:
        maps: weights (n_in, n_out) and biases (n_out,), from below.
        n_classes: number of logits.

    Example:
        >>> import torch
        >>> classifier([(torch.eye(2), torch.zeros(2))], 3)(torch.zeros(1, 2)).tolist()
        [[0.0, 0.0, 0.0]]
    """
    parts: list[nn.Module] = []
    for weights, bias in maps:
        parts += [_linear(weights.detach().T, bias.detach()), nn.Sigmoid()]
    last = maps[-1][1].detach()
    zeros = last.new_zeros(n_classes, len(last)), last.new_zeros(n_classes)
    return nn.Sequential(*parts, _linear(*zeros))


def _linear(weights: Tensor, bias: Tensor) -> nn.Linear:
    """A linear map with copies of weights (n_out, n_in) and bias; nothing is drawn for it."""
    n_out, n_in = weights.shape
    made = nn.Linear(n_in, n_out, device="meta")
    made.weight, made.bias = nn.Parameter(weights.clone()), nn.Parameter(bias.clone())
    return made
