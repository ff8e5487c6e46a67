"""The two layers on top, which are a restricted Boltzmann machine, with or without a label.

.. math:: p(x, y, h) \\propto e^{a \\cdot x + d_y + b \\cdot h + x^\\top W h + u_y \\cdot h}
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from energy.deep_belief.label_units import LabelledUnits, one_hot
from energy.energy_model import annealed_draws
from energy.rbm.law import LayerLaw
from energy.rbm.layers import Layers
from energy.restricted_boltzmann_machine import RestrictedBoltzmannMachine
from inference.random import categorical

__all__ = ["AssociativeMemory"]

#: Rows times classes times hidden units whose fields are made at a time.
FIELDS = 2**24


@dataclass(frozen=True, eq=False)
class AssociativeMemory:
    """The machine on top as its numbers are now.

    Its visible units are those of the layer below, x, and then one per class, of which one is on.

    Arguments:
        layers: weights, biases and units; without classes, two layers of units 0 and 1.
        base: biases of the independent units that annealing starts from.
        n_classes: number of classes, 0 for none.

    Shapes:
        x: (..., n_below).

    Reference:
        Hinton, Osindero & Teh 2006, "A fast learning algorithm for deep belief nets", figure 1
        (the top-level associative memory).

    Example:
        >>> top = RestrictedBoltzmannMachine(3 + 2, 2, generator=0)
        >>> memory = AssociativeMemory.of(top, n_classes=2)
        >>> memory.label_probabilities(torch.ones(1, 3)).round(decimals=1).tolist()
        [[0.5, 0.5]]
    """

    layers: Layers
    base: Tensor
    n_classes: int

    @classmethod
    def of(
        cls, top: RestrictedBoltzmannMachine, n_classes: int, *, detached: bool = False
    ) -> AssociativeMemory:
        """That of a machine, whose last visible units are the label's.

        Arguments:
            top: the machine.
            n_classes: number of units of the label.
            detached: with copies, without gradients.
        """
        layers = top.layers(detached=detached)
        if n_classes:
            layers = replace(layers, visible=LabelledUnits(n_classes))
        return cls(layers, top.base_bias, n_classes)

    @property
    def n_below(self) -> int:
        """Number of units that are no label's."""
        return len(self.layers.visible_bias) - self.n_classes

    def log_weight(self, x: Tensor) -> Tensor:
        """Log of the unnormalised probability of x, hidden units and label summed out, (...)."""
        if not self.n_classes:
            return -self.layers.free_energy(x)
        return self.label_log_weights(x).logsumexp(-1)

    def label_log_weights(self, x: Tensor) -> Tensor:
        """Log of the unnormalised probability of x with each label, (..., K), nats."""
        n, layers = self.n_below, self.layers
        fields = layers.hidden_bias + x @ layers.weights[:n]
        parts = [layers.hidden.log_normalizer(part).sum(-1) for part in self._labelled(fields)]
        summed = torch.cat(parts).reshape(*x.shape[:-1], self.n_classes)
        return (x @ layers.visible_bias[:n])[..., None] + layers.visible_bias[n:] + summed

    def label_probabilities(self, x: Tensor) -> Tensor:
        """p(y | x), (..., K)."""
        return self.label_log_weights(x).softmax(-1)

    def hidden_mean(self, x: Tensor) -> Tensor:
        """Means of the hidden units given x, (..., n_hidden), the label summed out."""
        n, layers = self.n_below, self.layers
        fields = layers.hidden_bias + x @ layers.weights[:n]
        if not self.n_classes:
            return layers.hidden.mean(fields)
        shares = self.label_probabilities(x).reshape(-1, self.n_classes)
        parts, first = [], 0
        for part in self._labelled(fields):
            some = shares[first : first + len(part)]
            parts.append(torch.einsum("nk,nkh->nh", some, layers.hidden.mean(part)))
            first += len(part)
        return torch.cat(parts).reshape(fields.shape)

    def below(self, hidden: Tensor) -> Tensor:
        """Means of x given the hidden units, (..., n_below)."""
        return self.layers.visible_mean(hidden)[..., : self.n_below]

    def law(self, labels: Tensor | None = None) -> LayerLaw:
        """The path from independent units to the machine's own law.

        Arguments:
            labels: of the chains, (chain,), which are held; None draws them too.
        """
        layers = self.layers
        if labels is not None:
            held = one_hot(labels, self.n_classes, layers.weights)
            layers = replace(layers, visible=LabelledUnits(self.n_classes, held))
        return LayerLaw(layers, self.base)

    def draw(
        self, n: int, sweeps: int, labels: Tensor | None, generator: torch.Generator
    ) -> Tensor:
        """Visible units after sweeps that anneal first, one draw from each of n chains.

        Arguments:
            n: chains.
            sweeps: their length.
            labels: one per chain, (n,), to be held, or None.
            generator: of the draws.

        Shapes:
            result: (n, n_visible), labels among them.
        """
        return annealed_draws(self.law(labels), n, sweeps, generator)

    def draw_hidden(self, x: Tensor, labels: Tensor | None, generator: torch.Generator) -> Tensor:
        """Hidden units given units below and labels, which are drawn too if there are none given.

        Shapes:
            x: (n, n_below). labels: (n,). result: (n, n_hidden).
        """
        if self.n_classes:
            if labels is None:
                labels = categorical(self.label_log_weights(x), generator=generator)
            x = torch.cat([x, one_hot(labels, self.n_classes, x)], -1)
        return self.layers.draw_hidden(x, generator)

    def _labelled(self, fields: Tensor) -> Iterator[Tensor]:
        """Fields of hidden units under every label, (some, K, n_hidden), some rows at a time."""
        rows = fields.reshape(-1, 1, fields.shape[-1])
        size = max(1, FIELDS // (self.n_classes * rows.shape[-1]))
        return (part + self.layers.weights[self.n_below :] for part in rows.split(size))
