"""The potentials of a batch of inputs as arrays, and what a labelling makes of them.

.. math:: s(y) = \\sum_i \\theta_i(y_i) + \\sum_{(i, j) \\in E} \\theta_{ij}(y_i, y_j)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from inference.approximate.pairwise import PairwiseArrays
from pgm.conditional.templates import Layout

__all__ = ["Potentials"]


@dataclass(frozen=True, eq=False)
class Potentials:
    """Log potentials of a batch of graphs of one layout; -inf is a hard zero.

    Arguments:
        layout: nodes and edges.
        unary: of the nodes, nats.
        tables: of the edges, nats; the first axis is the edge's first node.

    Shapes:
        unary: (B, n, K). tables: (E, K, K) or (B, E, K, K).

    Example:
        >>> from pgm.conditional.templates import GridTemplate
        >>> layout = GridTemplate(2).layout((2,))
        >>> both = Potentials(layout, torch.zeros(1, 2, 2), torch.tensor([[[1.0, 0], [0, 2]]]))
        >>> both.score(torch.tensor([[1, 1]])).tolist()
        [2.0]
    """

    layout: Layout
    unary: Tensor
    tables: Tensor

    @property
    def n_states(self) -> int:
        """Number of states of every node."""
        return self.unary.shape[2]

    @property
    def rows(self) -> int:
        """Number of graphs."""
        return len(self.unary)

    def score(self, y: Tensor) -> Tensor:
        """Log weight of complete labellings, (B,), of y (B, n)."""
        first, second = self.layout.edges.unbind(1)
        nodes = self.unary.gather(2, y[:, :, None]).squeeze(2).sum(1)
        a, b = y[:, first], y[:, second]
        edge = torch.arange(len(first), device=y.device)
        if self.tables.ndim == 3:
            return nodes + self.tables[edge, a, b].sum(1)
        row = torch.arange(len(y), device=y.device)[:, None]
        return nodes + self.tables[row, edge, a, b].sum(1)

    def conditional_scores(self, y: Tensor) -> Tensor:
        """Log weight of every state of every node given its neighbours, (B, n, K).

        .. math:: s_i(a) = \\theta_i(a) + \\sum_{(i, j)} \\theta_{ij}(a, y_j)
                  + \\sum_{(j, i)} \\theta_{ji}(y_j, a)

        Shapes:
            y: (B, n), complete.
        """
        first, second = self.layout.edges.unbind(1)
        edge = torch.arange(len(first), device=y.device)
        a, b = y[:, first], y[:, second]
        if self.tables.ndim == 3:
            to_first, to_second = self.tables.mT[edge, b], self.tables[edge, a]
        else:
            row = torch.arange(len(y), device=y.device)[:, None]
            to_first, to_second = self.tables.mT[row, edge, b], self.tables[row, edge, a]
        return self.unary.index_add(1, first, to_first).index_add(1, second, to_second)

    def clamped(self, y: Tensor) -> Potentials:
        """The same with hard zeros for all states but the labels; -1 leaves a node free.

        Shapes:
            y: (B, n).
        """
        states = torch.arange(self.n_states, device=y.device)
        wrong = (y[:, :, None] != states) & (y[:, :, None] >= 0)
        return Potentials(self.layout, self.unary.masked_fill(wrong, -math.inf), self.tables)

    def select(self, rows: Tensor) -> Potentials:
        """Some graphs of the batch."""
        tables = self.tables if self.tables.ndim == 3 else self.tables[rows]
        return Potentials(self.layout, self.unary[rows], tables)

    def detach(self) -> Potentials:
        """The numbers alone, without the record of where they came from."""
        return Potentials(self.layout, self.unary.detach(), self.tables.detach())

    def arrays(self) -> PairwiseArrays:
        """The form that approximate inference takes."""
        return PairwiseArrays(self.unary, self.layout.edges, self.tables)
