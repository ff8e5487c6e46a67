"""How often every edge of a graph lies in a random spanning tree.

.. math:: \\rho_e = \\sum_{T \\ni e} P(T), \\qquad
          \\rho_{ij} = L^+_{ii} + L^+_{jj} - 2 L^+_{ij} \\text{ for uniform } T
"""

from __future__ import annotations

import math

import numpy as np

__all__ = ["edge_appearance", "heaviest_tree", "tree_average"]

#: Most variables for which Kirchhoff's dense matrix is inverted.
DENSE = 1500
#: Trees that are averaged at least, beyond that size.
TREES = 16


def edge_appearance(n: int, edges: np.ndarray) -> np.ndarray:
    """Probabilities of edges in a random spanning tree (of every component one).

    Uniform over all trees up to 1,500 variables, from Kirchhoff's matrix: an edge appears as often
    as the effective resistance between its ends. Beyond, the average of trees that prefer the
    edges used least so far. Either is a point of the spanning tree polytope, all entries positive.

    Arguments:
        n: number of variables.
        edges: (E, 2) pairs, each once.

    Shapes:
        result: (E,) in (0, 1]; sums to n minus the number of components.

    Reference:
        Lyons & Peres 2016, "Probability on trees and networks", corollary 4.4 (Kirchhoff's
        effective resistance formula); Wainwright, Jaakkola & Willsky 2005, section V.

    Example:
        >>> edge_appearance(3, np.array([[0, 1], [1, 2], [0, 2]])).round(6).tolist()
        [0.666667, 0.666667, 0.666667]
    """
    if not len(edges):
        return np.zeros(0)
    return _resistances(n, edges) if n <= DENSE else tree_average(n, edges, TREES)


def tree_average(n: int, edges: np.ndarray, least: int) -> np.ndarray:
    """Average of spanning trees, each of the edges that the ones before used least.

    Arguments:
        n: number of variables.
        edges: (E, 2) pairs, each once.
        least: number of trees at least; there are more if that leaves an edge out.
    """
    used = np.zeros(len(edges))
    trees = 0
    # Ties among edges used equally often are broken anew in every tree, by a fixed sequence.
    noise = np.random.Generator(np.random.PCG64(0))
    while trees < least or not used.all():
        used += heaviest_tree(n, edges, -used - 0.5 * noise.random(len(edges)))
        trees += 1
    return used / trees


def heaviest_tree(n: int, edges: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Indicator (E,) of the edges of a spanning tree of greatest weight.

    Example:
        >>> heaviest_tree(3, np.array([[0, 1], [1, 2], [0, 2]]), np.array([1.0, 3.0, 2.0]))
        array([0., 1., 1.])
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import minimum_spanning_tree

    # Only the order of weights counts; a sparse matrix takes a weight of zero for no edge.
    rank = np.empty(len(edges))
    rank[np.argsort(-weights, kind="stable")] = np.arange(1, len(edges) + 1)
    found = minimum_spanning_tree(coo_array((rank, tuple(edges.T)), shape=(n, n)))
    chosen = np.zeros(len(edges))
    chosen[np.argsort(rank)[found.data.astype(np.int64) - 1]] = 1.0
    return chosen


def _resistances(n: int, edges: np.ndarray) -> np.ndarray:
    """Effective resistance between the ends of every edge, all edges having resistance one."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    i, j = edges.T
    _, component = connected_components(coo_array((np.ones(len(i)), (i, j)), shape=(n, n)))
    laplacian = np.zeros((n, n))
    np.add.at(laplacian, (i, j), -1.0)
    np.add.at(laplacian, (j, i), -1.0)
    laplacian[np.diag_indices(n)] = -laplacian.sum(1)
    # The constant vectors of the components, which the Laplacian sends to zero, are filled in.
    same = component[:, None] == component
    inverse = np.linalg.inv(laplacian + same / same.sum(1))
    found = inverse[i, i] + inverse[j, j] - 2 * inverse[i, j]
    return np.clip(found, math.ulp(1.0), 1.0)
