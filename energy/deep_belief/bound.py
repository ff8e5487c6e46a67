"""A lower bound of log-probabilities by guesses of the hidden layers, drawn by recognition.

.. math:: \\log p(v) \\ge \\mathbb{E}_{q(h \\mid v)} \\log w(h), \\qquad
          w(h) = \\frac{p^*(h_{L-1})}{Z} \\prod_{l=1}^{L-1}
          \\frac{p(h_{l-1} \\mid h_l)}{q(h_l \\mid h_{l-1})}
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from energy.deep_belief.associative_memory import AssociativeMemory
from energy.deep_belief.directed_layer import DirectedLayer, log_bernoulli
from energy.rbm.units import BernoulliUnits

__all__ = ["log_weights", "summed_up"]

#: Guesses times units of the widest layer that are made at a time.
GUESSED = 2**23


def log_weights(
    v: Tensor,
    layers: Sequence[DirectedLayer],
    memory: AssociativeMemory,
    generator: torch.Generator,
) -> Tensor:
    """Log weights, without Z, of one guess of the hidden layers per row, (...), nats, float64.

    Arguments:
        v: visible units, (..., n_visible).
        layers: directed ones, from below.
        memory: the machine on top.
        generator: of the guesses.
    """
    found, below = torch.zeros_like(v[..., 0], dtype=torch.float64), v
    for layer in layers:
        fields = layer.up_fields(below)
        above = BernoulliUnits().sample(fields.detach(), generator)
        found = found + log_bernoulli(below, layer.down_fields(above)).double()
        found = found - log_bernoulli(above, fields).double()
        below = above
    return found + memory.log_weight(below).double()


def summed_up(
    v: Tensor,
    layers: Sequence[DirectedLayer],
    memory: AssociativeMemory,
    n_samples: int,
    generator: torch.Generator,
    *,
    importance: bool,
) -> Tensor:
    """Mean of the log weights of many guesses, or log of their mean, (batch,), nats, float64.

    Arguments:
        v: visible units, (batch, n_visible).
        layers: directed ones, from below.
        memory: the machine on top.
        n_samples: guesses per row.
        generator: of the guesses.
        importance: the log of the mean weight, which is nearer to the log-probability.

    Reference:
        Salakhutdinov & Murray 2008, "On the quantitative analysis of deep belief networks",
        section 5; Burda, Grosse & Salakhutdinov 2016, "Importance weighted autoencoders", eq. 8.
    """
    parts = []
    for some in _shares(v, layers, memory, n_samples):
        found = log_weights(v.expand(some, *v.shape), layers, memory, generator)
        parts.append(found.logsumexp(0) if importance else found.sum(0))
    together = torch.stack(parts)
    if importance:
        return together.logsumexp(0) - math.log(n_samples)
    return together.sum(0) / n_samples


def _shares(
    v: Tensor, layers: Sequence[DirectedLayer], memory: AssociativeMemory, n_samples: int
) -> Iterator[int]:
    """Numbers of guesses of all rows that are made at a time."""
    weights = [*(layer.weights for layer in layers), memory.layers.weights]
    width = max(max(part.shape) for part in weights) * max(1, memory.n_classes)
    size = max(1, GUESSED // (max(1, len(v)) * width))
    for first in range(0, n_samples, size):
        yield min(size, n_samples - first)
