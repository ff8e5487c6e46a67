"""Which pairs of attribute and label, and of neighbouring labels, have a weight.

.. math:: s(x, y) = \\sum_t \\Bigl[ \\sum_a x_{ta} w_{a y_t} + w_{y_{t-1} y_t} \\Bigr]
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from inference.memory import require_memory

__all__ = ["FeatureIndex"]


@dataclass(frozen=True)
class FeatureIndex:
    """The places of the weights in the two tables that they fill; all other entries are zero.

    The weights, (P,), are those of the pairs of attribute and label, then those of the pairs of
    labels.

    Attributes:
        states: attribute times K plus label, sorted, (F,) int64.
        transitions: label times K plus next label, sorted, (L,) int64.
        n_attributes: A.
        n_labels: K.

    Example:
        >>> index = FeatureIndex(torch.tensor([0, 3]), torch.tensor([2]), 2, 2)
        >>> states, transitions = index.tables(torch.tensor([5.0, 6.0, 7.0]))
        >>> states.tolist(), transitions.tolist()
        ([[5.0, 0.0], [0.0, 6.0]], [[0.0, 0.0], [7.0, 0.0]])
    """

    states: Tensor
    transitions: Tensor
    n_attributes: int
    n_labels: int

    def __len__(self) -> int:
        """Number of weights, P."""
        return len(self.states) + len(self.transitions)

    @property
    def state_pairs(self) -> tuple[Tensor, Tensor]:
        """Attributes and labels of the first F weights."""
        return self.states // self.n_labels, self.states % self.n_labels

    @property
    def transition_pairs(self) -> tuple[Tensor, Tensor]:
        """Labels and next labels of the last L weights."""
        return self.transitions // self.n_labels, self.transitions % self.n_labels

    def tables(self, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Weights (P,) as tables of states, (A, K), and transitions, (K, K)."""
        states = weights.new_zeros(self.n_attributes * self.n_labels)
        transitions = weights.new_zeros(self.n_labels**2)
        states[self.states] = weights[: len(self.states)]
        transitions[self.transitions] = weights[len(self.states) :]
        return states.view(-1, self.n_labels), transitions.view(-1, self.n_labels)

    def weights(self, states: Tensor, transitions: Tensor) -> Tensor:
        """The entries of two tables that have a weight, (P,), of the type of the first."""
        chosen = transitions.reshape(-1)[self.transitions]
        return torch.cat([states.reshape(-1)[self.states], chosen.to(states)])

    def restricted(self, attributes: Tensor) -> tuple[FeatureIndex, Tensor]:
        """The index of a few attributes, numbered anew, and the places of its weights here.

        Arguments:
            attributes: distinct, (a,) int64.
        """
        device, n_labels = self.states.device, self.n_labels
        attributes = attributes.to(device)
        begins = torch.searchsorted(self.states, attributes * n_labels)
        sizes = torch.searchsorted(self.states, (attributes + 1) * n_labels) - begins
        owners = torch.arange(len(attributes), device=device).repeat_interleave(sizes)
        inside = torch.arange(len(owners), device=device) - (sizes.cumsum(0) - sizes)[owners]
        places = begins[owners] + inside
        local = owners * n_labels + self.states[places] % n_labels
        # Sorted as the rest of an index is, whatever the order of the attributes.
        index = FeatureIndex(local, self.transitions, len(attributes), n_labels)
        others = torch.arange(len(self.states), len(self), device=device)
        return index, torch.cat([places, others])

    def selected(self, kept: Tensor) -> FeatureIndex:
        """The index of some of the weights, chosen by a mask (P,)."""
        n_states = len(self.states)
        return replace(
            self,
            states=self.states[kept[:n_states]],
            transitions=self.transitions[kept[n_states:]],
        )

    def to(self, device: torch.device) -> FeatureIndex:
        """The same index on a device."""
        return replace(
            self, states=self.states.to(device), transitions=self.transitions.to(device)
        )

    @classmethod
    def observed(
        cls,
        attributes: np.ndarray,
        labels: np.ndarray,
        amounts: np.ndarray,
        pairs: np.ndarray,
        sizes: tuple[int, int],
        *,
        min_freq: float,
        all_states: bool,
        all_transitions: bool,
    ) -> FeatureIndex:
        """The pairs that data show.

        Arguments:
            attributes: of every occurrence of an attribute, (M,).
            labels: of its token, (M,).
            amounts: its absolute value, (M,).
            pairs: label times K plus next label of all neighbours.
            sizes: A and K.
            min_freq: least sum of the amounts of a pair, or least number of neighbours.
            all_states: whether pairs that never occur have a weight too, if ``min_freq`` is 0.
            all_transitions: the same for pairs of labels.

        Raises:
            ValueError: the table of all pairs does not fit in memory.
        """
        n_attributes, n_labels = sizes
        cells = n_attributes * n_labels
        # The sums here, and in training the table of weights and that of the gradient.
        what = f"the table of {n_attributes:,} attributes and {n_labels:,} labels of X and y"
        require_memory(3 * 8 * cells, what, "leave out rare attributes")
        counts = np.bincount(attributes.astype(np.int64) * n_labels + labels, amounts, cells)
        steps = np.bincount(pairs, minlength=n_labels**2)
        return cls(
            _frequent(counts, min_freq, all_states),
            _frequent(steps, min_freq, all_transitions),
            n_attributes,
            n_labels,
        )


def _frequent(counts: np.ndarray, min_freq: float, every: bool) -> Tensor:
    """Places of what occurs, and that often at least."""
    seen = counts >= min_freq if every else (counts > 0) & (counts >= min_freq)
    return torch.from_numpy(seen.nonzero()[0])
