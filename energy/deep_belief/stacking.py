"""Where the machine above begins: at the one below, turned around.

.. math:: W' = W^\\top, \\quad a' = b, \\quad b' = a: \\qquad
          \\sum_v p(v, h) = \\sum_{h'} p'(h, h')

What the machine below says of its hidden units is what the one above says of them at first, so
that the bound begins where the likelihood of the machine below has ended.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch
from torch import Tensor

from energy.rbm.layers import Layers

__all__ = ["Start", "independent_biases", "start_at_random", "start_turned"]

Start: TypeAlias = Literal["transposed", "random"]

#: Standard deviation of weights that know nothing yet.
SPREAD = 0.01


def start_turned(above: Layers, below: Layers, rows: Tensor, generator: torch.Generator) -> None:
    """Set a machine to the one below it, turned around; in place.

    Where it has fewer hidden units than the one below has visible ones, those with the largest
    weights are kept, and what the others say on average is left to the biases; where it has more,
    they know nothing yet. Units of a label keep what they have.

    Arguments:
        above: machine that begins, whose first visible units are the hidden ones below.
        below: machine that has been learned.
        rows: visible means of the machine below, (n, n_visible).
        generator: of the weights that know nothing.

    Reference:
        Hinton, Osindero & Teh 2006, "A fast learning algorithm for deep belief nets", section 3
        (complementary priors); Salakhutdinov & Murray 2008, section 5 (the bound at the start).

    Example:
        >>> from energy.restricted_boltzmann_machine import RestrictedBoltzmannMachine
        >>> below = RestrictedBoltzmannMachine(4, 3, generator=0).layers()
        >>> above = RestrictedBoltzmannMachine(3, 4, generator=1).layers()
        >>> start_turned(above, below, torch.zeros(1, 4), torch.Generator().manual_seed(0))
        >>> torch.equal(above.weights, below.weights.T)
        True
    """
    n, size = len(below.hidden_bias), len(above.hidden_bias)
    norms = below.weights.norm(dim=1)
    kept = norms.topk(min(size, len(norms))).indices.sort().values
    start_at_random(above, generator)
    above.weights[:n, : len(kept)] = below.weights[kept].T
    above.hidden_bias[: len(kept)] = below.visible_bias[kept]
    left = rows.mean(0).index_fill(0, kept, 0.0)
    above.visible_bias[:n] = below.hidden_bias + left @ below.weights


def start_at_random(layers: Layers, generator: torch.Generator) -> None:
    """Set a machine to weights that know nothing, N(0, 0.01^2), and hidden biases zero."""
    layers.weights.normal_(0.0, SPREAD, generator=generator)
    layers.hidden_bias.zero_()


def independent_biases(layers: Layers, rows: Tensor, label: Tensor) -> Tensor:
    """Biases of independent visible units with the means of rows, and of labels with theirs.

    Arguments:
        layers: the machine.
        rows: means of its visible units that are no label's, (n, n_below).
        label: units of the label, (n, K).

    Example:
        >>> from energy.restricted_boltzmann_machine import RestrictedBoltzmannMachine
        >>> layers = RestrictedBoltzmannMachine(3, 1, generator=0).layers()
        >>> found = independent_biases(layers, torch.tensor([[0.5]]), torch.tensor([[1.0, 0.0]]))
        >>> found.exp().tolist()
        [1.0, 1.5, 0.5]
    """
    shares = label.sum(0) + 0.5
    return torch.cat([layers.visible.independent_bias(rows), shares.log()])
