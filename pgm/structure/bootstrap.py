"""How sure an edge is: the share of resampled data sets whose structure has it.

.. math:: \\hat c(u - v) = \\frac1B \\sum_b [\\,u - v \\in \\hat G(D^{*b})\\,]
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from inference.exact.structure import bits
from inference.inputs import as_whole
from inference.progress import progress_bar
from inference.random import GeneratorLike, numpy_generator
from pgm.discrete_data import DiscreteData
from pgm.structure.cpdag import essential_graph, topological_order

__all__ = ["EdgeConfidence", "bootstrap_edges"]


@dataclass(frozen=True)
class EdgeConfidence:
    """Shares of resampled data sets.

    Attributes:
        variables: names, in the order of the matrices.
        adjacency: (V, V), symmetric: share with an edge between two variables.
        direction: (V, V), from row to column: share with that arrow in the essential graph; a
            line, whose direction data cannot tell, counts half for both.
    """

    variables: tuple[str, ...]
    adjacency: Tensor
    direction: Tensor

    def edges(self, threshold: float = 0.5) -> list[tuple[str, str, float]]:
        """Edges whose adjacency passes a threshold, surest first, along their likelier way.

        Raises:
            ValueError: a threshold outside [0, 1).
        """
        if not 0 <= threshold < 1:
            raise ValueError(f"threshold must be in [0, 1), found {threshold}")
        found = []
        for u, v in (self.adjacency.triu(1) > threshold).nonzero().tolist():
            if self.direction[v, u] > self.direction[u, v]:
                u, v = v, u
            found.append((self.variables[u], self.variables[v], self.adjacency[u, v].item()))
        return sorted(found, key=lambda edge: -edge[2])


def bootstrap_edges(
    data: DiscreteData,
    learn: Callable[[DiscreteData], tuple[int, ...]],
    n_samples: int = 100,
    *,
    generator: GeneratorLike = None,
    progress: bool | None = None,
) -> EdgeConfidence:
    """Learn from data sets drawn with replacement and count the edges.

    Arguments:
        data: complete rows.
        learn: from rows to one parent mask per variable, for instance
            ``lambda rows: learn_structure(rows).parents``.
        n_samples: number B of data sets.
        generator: None, a seed or a generator.
        progress: bar; None shows it on a terminal.

    Raises:
        TypeError, ValueError: no rows, fewer samples than one.

    Reference:
        Friedman, Goldszmidt & Wyner 1999, "Data analysis with Bayesian networks: a bootstrap
        approach", section 3.

    Example:
        >>> from pgm.structure.trees import chow_liu
        >>> rows = DiscreteData({"a": [0, 1] * 50, "b": [0, 1] * 50, "c": [0, 0, 1, 1] * 25})
        >>> bootstrap_edges(rows, chow_liu, 20, generator=0).adjacency[0, 1].item()
        1.0
    """
    n_samples = as_whole("n_samples", n_samples, least=1)
    data.require_rows("data")
    draws, n = numpy_generator(generator), len(data.cards)
    direction = torch.zeros(n, n, dtype=torch.float64)
    with progress_bar(n_samples, "bootstrap", progress) as bar:
        for _ in range(n_samples):
            parents = learn(data.take(draws.integers(data.n_rows, size=data.n_rows)))
            topological_order(parents)
            graph = essential_graph(parents)
            for v, (above, beside) in enumerate(zip(graph.parents, graph.neighbours, strict=True)):
                for u in bits(above):
                    direction[u, v] += 1.0
                for u in bits(beside):
                    direction[u, v] += 0.5
            bar.update(1)
    direction /= n_samples
    return EdgeConfidence(data.vocabulary.names, direction + direction.T, direction)
