"""Directed layers with a machine of two layers on top: parameters, the way up and down, bounds.

.. math:: p(v, h_1, \\dots, h_L) = p_{\\text{RBM}}(h_{L-1}, h_L)
          \\prod_{l=1}^{L-1} p(h_{l-1} \\mid h_l), \\qquad h_0 = v
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from energy.deep_belief.associative_memory import AssociativeMemory
from energy.deep_belief.bound import summed_up
from energy.deep_belief.directed_layer import DirectedLayer
from energy.deep_belief.exact import exact_log_prob
from energy.energy_model import PartitionMethod
from energy.rbm.exact import exact_log_partition, summed_states
from energy.rbm.layers import Layers
from energy.rbm.rows import check_rows, read_units
from energy.rbm.units import BernoulliUnits
from energy.restricted_boltzmann_machine import RestrictedBoltzmannMachine
from inference.inputs import Values, as_whole, check_choice
from inference.model import Model
from inference.random import GeneratorLike, as_generator
from inference.rows import mean_over_rows
from inference.sampling.annealed_importance import LogPartition, annealed_importance_sampling

__all__ = ["LayeredNetwork"]

#: States of a layer on top up to which Z is summed where nothing is said of how.
SUMMED = 2.0**18


class LayeredNetwork(Model):
    """Abstract: the parameters of a deep belief network, guesses and probabilities.

    Its arguments and attributes are those of ``DeepBeliefNetwork``, which learns them.
    """

    top: RestrictedBoltzmannMachine

    def __init__(
        self, layer_sizes: Sequence[int], n_classes: int = 0, *, generator: GeneratorLike = None
    ) -> None:
        super().__init__()
        sizes = [as_whole("layer_sizes", size, least=1) for size in layer_sizes]
        if len(sizes) < 2:
            raise ValueError(
                f"layer_sizes must name two layers at least, visible and hidden, found {sizes}"
            )
        self._n_classes = as_whole("n_classes", n_classes, least=0)
        if self._n_classes == 1:
            raise ValueError("n_classes must be 0 or at least 2, found 1")
        source = as_generator(generator)
        pairs = pairwise(sizes[:-1])
        self.layers = nn.ModuleList([DirectedLayer(n, above, source) for n, above in pairs])
        self.top = RestrictedBoltzmannMachine(
            sizes[-2] + self._n_classes, sizes[-1], generator=source
        )

    def config(self) -> dict[str, Any]:
        """Sizes of the layers, and number of classes."""
        return {"layer_sizes": self.layer_sizes, "n_classes": self._n_classes}

    @property
    def layer_sizes(self) -> list[int]:
        """Numbers of units of all layers, labels left out."""
        sizes = [len(layer.bias) for layer in self._directed()]
        return [*sizes, self.top.n_visible - self._n_classes, self.top.n_hidden]

    @property
    def n_classes(self) -> int:
        """Number of classes, 0 without labels."""
        return self._n_classes

    def memory(self) -> AssociativeMemory:
        """The machine on top as its numbers are now, its labels known as such."""
        return AssociativeMemory.of(self.top, self._n_classes)

    # Up and down ---------------------------------------------------------------------------------

    def up(self, v: Values) -> list[Tensor]:
        """Means of every hidden layer, each guessed from the means of the one below.

        Shapes:
            v: (..., n_visible). result: L tensors (..., n_l).
        """
        found = self._up(self._visible("v", v))
        return [*found[1:], self.memory().hidden_mean(found[-1])]

    def transform(self, x: Values) -> Tensor:
        """Features of rows: the means of the last layer, (n, n_L)."""
        return self.up(x)[-1]

    def reconstruct(self, v: Values) -> Tensor:
        """Visible means from those of the last layer: up and down again, (..., n_visible)."""
        return self._down(self.memory().below(self.transform(v)))

    # Probabilities -------------------------------------------------------------------------------

    def log_partition(
        self,
        method: PartitionMethod | None = None,
        *,
        betas: int | np.ndarray | Tensor | None = None,
        chains: int = 256,
        generator: GeneratorLike = None,
        progress: bool | None = None,
    ) -> Tensor | LogPartition:
        """Log Z of the machine on top, nats: exactly, (), or estimated with an error.

        Arguments:
            method: "exact" sums over all states of a layer; "ais" anneals importance samples;
                None sums where that takes no more than 2^18 states.
            betas: of "ais", see ``annealed_importance_sampling``; so the rest.
            chains: independent paths.
            generator: None, a seed or a generator.
            progress: a bar; None shows it on a terminal.

        Raises:
            ValueError: an unknown method, or a machine too large to be summed.
        """
        check_choice("method", method, PartitionMethod | None)
        layers = self.memory().layers
        if method is None:
            ahead = summed_states(layers.visible, self.top.n_visible)
            small = min(ahead, summed_states(layers.hidden, self.top.n_hidden)) <= SUMMED
            method = "exact" if small else "ais"
        if method == "exact":
            return exact_log_partition(layers)
        law = AssociativeMemory.of(self.top, self._n_classes, detached=True).law()
        return annealed_importance_sampling(
            law, betas=betas, chains=chains, generator=generator, progress=progress
        )

    def log_prob(self, x: Values) -> Tensor:
        """Log-probability of visible units, (n,), nats, float64, all hidden states summed.

        Raises:
            ValueError: more than 2^20 states of the hidden layers below the last, or a machine on
                top that is too large to be summed.
        """
        return exact_log_prob(self._rows("x", x), self._directed(), self.memory())

    def log_prob_bound(
        self,
        x: Values,
        *,
        n_samples: int = 100,
        importance: bool = False,
        log_partition: LogPartition | Tensor | float | None = None,
        generator: GeneratorLike = None,
    ) -> Tensor:
        """A lower bound of the log-probability, by guesses of the hidden layers.

        .. math:: \\mathbb{E}_q \\log w \\le \\log \\mathbb{E}_q w = \\log p(v), \\qquad
                  w = \\frac{p^*(h_{L-1})}{Z} \\prod_{l=1}^{L-1}
                  \\frac{p(h_{l-1} \\mid h_l)}{q(h_l \\mid h_{l-1})}

        Slopes are those of w where the guesses stay as they are.

        Arguments:
            x: visible units.
            n_samples: guesses per row.
            importance: the log of the mean weight, below log p(v) in expectation, and nearer to
                it the more guesses are made; else the mean of the log weights.
            log_partition: log Z of the machine on top, if it is known; else it is summed where
                that is quick, and estimated where not. Its error is that of the bound, and an
                estimate has no gradient.
            generator: None, a seed or a generator.

        Shapes:
            x: (n, n_visible). result: (n,), nats, float64.

        Raises:
            TypeError, ValueError: rows that the units cannot take, fewer than one guess.

        Reference:
            Salakhutdinov & Murray 2008, "On the quantitative analysis of deep belief networks",
            section 5; Burda, Grosse & Salakhutdinov 2016, eq. 8 (importance).
        """
        rows, n_samples = self._rows("x", x), as_whole("n_samples", n_samples, least=1)
        source = as_generator(generator, self.device)
        if log_partition is None:
            log_partition = self.log_partition(generator=source, progress=False)
        log_z = log_partition if isinstance(log_partition, Tensor) else float(log_partition)
        found = summed_up(
            rows, self._directed(), self.memory(), n_samples, source, importance=importance
        )
        return found - log_z

    def score(self, x: Values, *, generator: GeneratorLike = None) -> float:
        """Mean of ``log_prob_bound``, nats.

        Raises:
            ValueError: no rows.
        """
        with torch.no_grad():
            return float(mean_over_rows(self.log_prob_bound(x, generator=generator)))

    # Parts ---------------------------------------------------------------------------------------

    def _directed(self) -> list[DirectedLayer]:
        """The directed layers, from below."""
        return [layer for layer in self.layers if isinstance(layer, DirectedLayer)]

    def _machine(self, index: int) -> Layers:
        """Copies of a layer and the one above as a machine."""
        if index == len(self.layers):
            return AssociativeMemory.of(self.top, self._n_classes, detached=True).layers
        layer = self._directed()[index]
        return Layers(
            layer.weights.detach().clone(),
            layer.bias.detach().clone(),
            layer.recognition_bias.detach().clone(),
            BernoulliUnits(),
            BernoulliUnits(),
        )

    @torch.no_grad()
    def _set_top(self, weights: Tensor, visible_bias: Tensor, hidden_bias: Tensor) -> None:
        self.top.weights.copy_(weights)
        self.top.visible_bias.copy_(visible_bias)
        self.top.hidden_bias.copy_(hidden_bias)

    def _up(self, v: Tensor) -> list[Tensor]:
        """Means of the layers from the visible one to the last that is a directed layer's."""
        found = [v]
        for layer in self._directed():
            found.append(layer.up(found[-1]))
        return found

    def _down(self, x: Tensor, start: int | None = None) -> Tensor:
        """Visible means from those of a layer, of the last but one by default."""
        for layer in reversed(self._directed()[:start]):
            x = layer.down(x)
        return x

    def _rows(self, name: str, x: Values) -> Tensor:
        """Rows of visible units, checked."""
        rows = self._visible(name, x)
        check_rows(name, rows, rows.shape[-1])
        return rows

    def _visible(self, name: str, x: Values) -> Tensor:
        """Visible units, checked, in the type of the weights."""
        return read_units(name, x, self.layer_sizes[0], BernoulliUnits(), self.top.weights)
