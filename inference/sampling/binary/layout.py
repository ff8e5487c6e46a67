"""Where binary units and their neighbours lie in memory: index arrays, no numbers.

.. math:: a_i = b_i + \\sum_{j \\in N(i)} w_{ij} x_j

Units are numbered by colours, so that those updated together are consecutive rows; a row of ones
behind the last unit turns biases into one more neighbour. One sparse sum of rows then gives the
fields of a whole colour in all chains.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from inference.approximate.coloring import color_graph

__all__ = ["PairLayout"]


class PairLayout:
    """Units sorted by colours, and for every unit the rows that its field sums.

    Arguments:
        n_units: number of units.
        edges: (E, 2) pairs of different units, each pair once.
        device: of the index arrays.
        colors: (n_units,), neighbours differ; by default found greedily.

    Attributes:
        order: units in the order of their rows, (n,).
        rows: row of every unit, (n,).
        sizes: units per colour.
        terms: rows that are summed, colour by colour, unit by unit, (2 E + n,) int32.
        starts: per colour, where the terms of its units begin, counted from its first, int32.
        term_sizes: terms per colour.
        weight_of: which number is the weight of a term: edge e, or E + row for a bias, (2 E + n,).

    Example:
        >>> layout = PairLayout(3, np.array([[0, 1], [1, 2]]))
        >>> layout.sizes, layout.order.tolist(), layout.terms.tolist()
        ([2, 1], [0, 2, 1], [2, 3, 2, 3, 0, 1, 3])
    """

    def __init__(
        self,
        n_units: int,
        edges: np.ndarray,
        device: torch.device | str = "cpu",
        colors: np.ndarray | None = None,
    ) -> None:
        self.n_units = n_units
        self.device = torch.device(device)
        colors = color_graph(n_units, edges) if colors is None else colors
        order = np.argsort(colors, kind="stable")
        rows = np.empty(n_units, dtype=np.int64)
        rows[order] = np.arange(n_units)
        self.sizes: list[int] = np.bincount(colors).tolist()
        self.order, self.rows = self._tensor(order), self._tensor(rows)
        first, second = rows[edges].T if len(edges) else np.zeros((2, 0), dtype=np.int64)
        self._find_terms(first, second)
        self._halve(first, second)

    def _find_terms(self, first: np.ndarray, second: np.ndarray) -> None:
        """List what the field of every row sums: its neighbours' rows, then the row of ones."""
        n, n_edges = self.n_units, len(first)
        owners = np.concatenate([first, second, np.arange(n)])
        terms = np.concatenate([second, first, np.full(n, n)])
        edge = np.arange(n_edges)
        weight_of = np.concatenate([edge, edge, n_edges + np.arange(n)])
        by_owner = np.lexsort((terms, owners))
        ends = np.cumsum(np.bincount(owners, minlength=n))
        starts = ends - np.bincount(owners, minlength=n)
        borders = np.cumsum([0, *self.sizes])
        self.terms = self._tensor(terms[by_owner].astype(np.int32))
        self.weight_of = self._tensor(weight_of[by_owner])
        self.starts, self.term_sizes = [], []
        for begin, end in pairwise(borders.tolist()):
            self.starts.append(self._tensor((starts[begin:end] - starts[begin]).astype(np.int32)))
            self.term_sizes.append(int(ends[end - 1] - starts[begin]) if end > begin else 0)

    def _halve(self, first: np.ndarray, second: np.ndarray) -> None:
        """List every edge at its later row only, for sums over all edges."""
        early, late = np.minimum(first, second), np.maximum(first, second)
        by_late = np.lexsort((early, late))
        counts = np.bincount(late, minlength=self.n_units)
        self.half_terms = self._tensor(early[by_late].astype(np.int32))
        self.half_edges = self._tensor(by_late)
        self.half_starts = self._tensor((np.cumsum(counts) - counts).astype(np.int32))

    def at_terms(self, of_edges: Tensor, of_units: Tensor) -> Tensor:
        """Numbers of edges, and of units, at the terms that they weigh, (2 E + n,)."""
        return torch.cat([of_edges, of_units[self.order]])[self.weight_of]

    def _tensor(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device)
