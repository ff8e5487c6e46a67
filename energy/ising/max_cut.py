"""Graphs whose vertices are to be parted so that the heaviest edges are cut, as files.

.. math:: \\text{cut}(s) = \\sum_{i<j} w_{ij} \\frac{1 - s_i s_j}{2}
"""

from __future__ import annotations

import os

import numpy as np

__all__ = ["read_max_cut"]


def read_max_cut(path: str | os.PathLike[str]) -> tuple[int, np.ndarray, np.ndarray]:
    """Read a graph in the format of the G-set.

    The first line holds the numbers of vertices and edges; every other line an edge: two vertices,
    counted from one, and a weight, one where it is missing.

    Returns:
        Number of vertices, edges (E, 2) int64 counted from zero, weights (E,) float64.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a line is not in that format, or lines are missing; it names the line.

    Reference:
        Helmberg & Rendl 2000, "A spectral bundle method for semidefinite programming", section 5
        (the graphs G1 to G67, made by Rinaldi's generator).
    """
    with open(path, encoding="ascii", errors="replace") as file:
        lines = [line.split() for line in file]
    while lines and not lines[-1]:
        lines.pop()
    n, count = _header(lines, path)
    if len(lines) != count + 1:
        raise ValueError(f"{path}: {count} edges were announced, found {len(lines) - 1} lines")
    edges, weights = np.zeros((count, 2), np.int64), np.ones(count)
    for row, words in enumerate(lines[1:]):
        try:
            first, second, *weight = words
            edges[row] = int(first) - 1, int(second) - 1
            if weight:
                (weights[row],) = [float(word) for word in weight]
        except ValueError:
            raise ValueError(
                f"{path}, line {row + 2}: expected two vertices and a weight, "
                f"found {' '.join(words)!r}"
            ) from None
        if not (edges[row].min() >= 0 and edges[row].max() < n and np.isfinite(weights[row])):
            raise ValueError(
                f"{path}, line {row + 2}: vertices must be 1 to {n} and the weight finite, "
                f"found {' '.join(words)!r}"
            )
    return n, edges, weights


def _header(lines: list[list[str]], path: str | os.PathLike[str]) -> tuple[int, int]:
    """Numbers of vertices and edges."""
    try:
        n, count = [int(word) for word in lines[0]]
    except (IndexError, ValueError):
        raise ValueError(
            f"{path}, line 1: expected the numbers of vertices and edges, "
            f"found {' '.join(lines[0]) if lines else 'an empty file'!r}"
        ) from None
    if n < 1 or count < 0:
        raise ValueError(f"{path}, line 1: expected a vertex at least, found {n} and {count}")
    return n, count
