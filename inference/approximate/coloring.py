"""Groups of variables of which no two share a factor, so that a group may move at once.

.. math:: c(u) \\ne c(v) \\quad \\text{for all } u, v \\in S_f
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

from inference.approximate.factor_groups import FactorGroups

__all__ = ["color_graph", "neighbor_pairs"]


def neighbor_pairs(model: FactorGroups) -> np.ndarray:
    """Pairs (E, 2) of variables that share a factor, smaller one first, each once."""
    n = len(model.cards)
    keys = [np.zeros(0, dtype=np.int64)]
    for group in model.groups:
        scopes = group.scopes.cpu().numpy()
        for a, b in combinations(range(scopes.shape[1]), 2):
            pair = scopes[:, [a, b]]
            keys.append(pair.min(1) * n + pair.max(1))
    unique = np.unique(np.concatenate(keys))
    return np.stack(np.divmod(unique, max(n, 1)), axis=1)


def color_graph(n: int, edges: np.ndarray) -> np.ndarray:
    """Colour variables so that neighbours differ: two colours if that can be, else few.

    A graph is bipartite if its double cover falls into two pieces per component; else variables
    of high degree choose first, all local maxima at a time.

    Arguments:
        n: number of variables.
        edges: (E, 2) pairs of neighbours, each once.

    Shapes:
        result: (n,) colours 0, 1, ..., int64.

    Reference:
        Jones & Plassmann 1993, "A parallel graph coloring heuristic", section 3; Welsh & Powell
        1967 (largest degree first).

    Example:
        >>> color_graph(4, np.array([[0, 1], [1, 2], [2, 3]])).tolist()
        [0, 1, 0, 1]
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not len(edges):
        return np.zeros(n, dtype=np.int64)
    i, j = edges.T
    ends = (np.concatenate([i, i + n]), np.concatenate([j + n, j]))
    cover = coo_array((np.ones(2 * len(i)), ends), shape=(2 * n, 2 * n))
    piece = connected_components(cover, directed=False)[1]
    here, there = piece[:n], piece[n:]
    lonely = np.bincount(edges.reshape(-1), minlength=n) == 0
    if (here != there).all():
        return np.where(lonely, 0, here > there).astype(np.int64)
    return _largest_first(n, edges)


def _largest_first(n: int, edges: np.ndarray) -> np.ndarray:
    """Greedy colours in the order of degrees, vectorised over what is free to choose."""
    degree = np.bincount(edges.reshape(-1), minlength=n)
    rank = np.empty(n, dtype=np.int64)
    # A fixed shuffle among equal degrees keeps chains of waiting variables short.
    shuffle = np.random.Generator(np.random.PCG64(0)).permutation(n)
    rank[np.lexsort((shuffle, degree))] = np.arange(n)
    first, second = edges.T
    low = np.where(rank[first] < rank[second], first, second)
    high = first + second - low
    colors = np.full(n, -1, dtype=np.int64)
    waiting = np.bincount(low, minlength=n)
    ready = waiting == 0
    while ready.any():
        colors[ready] = _smallest_free(ready, low, high, colors)
        done = np.bincount(low[ready[high]], minlength=n)
        waiting = waiting - done
        ready = (waiting == 0) & (colors < 0)
    return colors


def _smallest_free(
    chosen: np.ndarray, low: np.ndarray, high: np.ndarray, colors: np.ndarray
) -> np.ndarray:
    """For every chosen variable the smallest colour that no neighbour before it has."""
    seen = chosen[low]
    taken = np.zeros((len(colors), colors.max(initial=-1) + 2), dtype=bool)
    taken[low[seen], colors[high[seen]]] = True
    return taken[chosen].argmin(1)
