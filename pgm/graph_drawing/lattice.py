"""Rows of nodes and of the slots that long edges take through them: order and positions.

Crossings are reduced by barycentres and exchanges of neighbours, as in Sugiyama, Tagawa & Toda
1981; positions are least squares under the order, solved row by row as isotonic regressions.
"""

from __future__ import annotations

import random
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from itertools import pairwise

__all__ = ["SPACE", "Lattice", "Ports", "Size", "abscissae", "fewest_crossings", "straighten"]

Size = tuple[float, float]
Ports = dict[tuple[int, int], float]

SPACE = 0.28  # inches between two boxes of a row
SLOT = 0.10  # on either side of an edge that crosses a row

# Starts of the crossing reduction; lattices with more nodes than CHEAP get only one.
RESTARTS = 12
CHEAP = 400


class Lattice:
    """Nodes and dummy nodes, numbered, in rows; every edge joins neighbouring rows."""

    def __init__(
        self,
        parents: Mapping[str, Sequence[str]],
        layer: Mapping[str, int],
        sizes: Mapping[str, Size],
    ) -> None:
        self.names = list(parents)
        number = {name: i for i, name in enumerate(self.names)}
        self.n_real = len(self.names)
        self.rows: list[list[int]] = [[] for _ in range(max(layer.values()) + 1)]
        self.half = [sizes[name][0] / 2 for name in self.names]
        for name, i in number.items():
            self.rows[layer[name]].append(i)
        self.chains: dict[tuple[str, str], list[int]] = {}
        for name, above in parents.items():
            for parent in above:
                chain = [number[parent]]
                for level in range(layer[parent] + 1, layer[name]):
                    chain.append(len(self.half))
                    self.rows[level].append(len(self.half))
                    self.half.append(0.0)
                self.chains[parent, name] = [*chain, number[name]]
        self.up: list[list[int]] = [[] for _ in self.half]
        self.down: list[list[int]] = [[] for _ in self.half]
        for chain in self.chains.values():
            for upper, lower in pairwise(chain):
                self.down[upper].append(lower)
                self.up[lower].append(upper)

    def distance(self, left: int, right: int) -> float:
        """Smallest distance between the middles of two neighbours in a row."""
        dummies = (left >= self.n_real) + (right >= self.n_real)
        return self.half[left] + self.half[right] + (SPACE, SPACE / 2 + SLOT / 2, SLOT)[dummies]


def fewest_crossings(lattice: Lattice) -> list[list[int]]:
    """Order every row by barycentres, sweeping down and up from several starts."""
    best, fewest = lattice.rows, -1
    chance = random.Random(0)
    for start in range(RESTARTS if len(lattice.half) <= CHEAP else 1):
        rows = [list(row) for row in lattice.rows]
        if start:
            for row in rows:
                chance.shuffle(row)
        for sweep in range(16):
            _sweep(lattice, rows, downwards=sweep % 2 == 0)
            if len(lattice.half) <= CHEAP:
                _swap_neighbours(lattice, rows)
            crossings = _crossings(lattice, rows)
            if fewest < 0 or crossings < fewest:
                best, fewest = [list(row) for row in rows], crossings
            if not fewest:
                return best
    return best


def _sweep(lattice: Lattice, rows: list[list[int]], downwards: bool) -> None:
    """Sort every row by the mean place of its neighbours in the row before it."""
    neighbours = lattice.up if downwards else lattice.down
    levels = range(1, len(rows)) if downwards else range(len(rows) - 2, -1, -1)
    for level in levels:
        before = rows[level - 1 if downwards else level + 1]
        place = {node: i / len(before) for i, node in enumerate(before)}
        key = {}
        for i, node in enumerate(rows[level]):
            near = neighbours[node]
            own = i / len(rows[level])
            key[node] = sum([place[n] for n in near]) / len(near) if near else own
        rows[level].sort(key=key.__getitem__)


def _swap_neighbours(lattice: Lattice, rows: list[list[int]]) -> None:
    """Exchange adjacent nodes of a row while that removes crossings."""
    place = {node: i for row in rows for i, node in enumerate(row)}
    for _ in range(8):
        better = False
        for row in rows:
            for i in range(len(row) - 1):
                a, b = row[i], row[i + 1]
                gain = 0
                for near in (lattice.up, lattice.down):
                    first, second = [sorted([place[n] for n in near[v]]) for v in (a, b)]
                    gain += sum([bisect_left(second, p) for p in first])
                    gain -= sum([bisect_left(first, p) for p in second])
                if gain > 0:
                    row[i], row[i + 1] = b, a
                    place[a], place[b] = i + 1, i
                    better = True
        if not better:
            return


def _crossings(lattice: Lattice, rows: list[list[int]]) -> int:
    """Number of pairs of edges that cross."""
    total = 0
    for upper, lower in pairwise(rows):
        place = {node: i for i, node in enumerate(lower)}
        seen: list[int] = []
        for node in upper:
            ends = sorted([place[child] for child in lattice.down[node]])
            total += sum([len(seen) - bisect_right(seen, end) for end in ends])
            for end in ends:
                seen.insert(bisect_right(seen, end), end)
    return total


def abscissae(lattice: Lattice) -> list[float]:
    """Horizontal positions: every node near its neighbours, long edges straight, order kept."""
    x = [0.0] * len(lattice.half)
    for row in lattice.rows:
        total = 0.0
        for i, node in enumerate(row):
            total += lattice.distance(row[i - 1], node) if i else 0.0
            x[node] = total
        for node in row:
            x[node] -= total / 2
    down = lattice.rows[1:]
    up = lattice.rows[-2::-1]
    for sweep in range(60):
        both = sweep >= 12
        for rows, near in ((down, lattice.up), (up, lattice.down)):
            for row in rows:
                _settle(
                    lattice, row, x, near, lattice.down if near is lattice.up else lattice.up, both
                )
    return x


def _settle(
    lattice: Lattice,
    row: list[int],
    x: list[float],
    near: list[list[int]],
    far: list[list[int]],
    both: bool,
) -> None:
    """Move the nodes of a row as near to their neighbours as their order and sizes permit."""
    goals, weights, offsets = [], [], [0.0]
    for i, node in enumerate(row):
        if i:
            offsets.append(offsets[-1] + lattice.distance(row[i - 1], node))
        pull = total = 0.0
        for other in [*near[node], *(far[node] if both or not near[node] else [])]:
            weight = (1.0, 2.0, 8.0)[(node >= lattice.n_real) + (other >= lattice.n_real)]
            pull += weight * x[other]
            total += weight
        goals.append((pull / total if total else x[node]) - offsets[i])
        weights.append(total or 0.1)
    for node, value, offset in zip(row, _isotonic(goals, weights), offsets, strict=True):
        x[node] = value + offset


def _isotonic(goals: list[float], weights: list[float]) -> list[float]:
    """Non-decreasing values nearest to the goals in weighted squares (pool adjacent violators)."""
    pools: list[tuple[float, float, int]] = []
    for goal, weight in zip(goals, weights, strict=True):
        value, total, count = goal, weight, 1
        while pools and pools[-1][0] > value:
            before, before_total, before_count = pools.pop()
            value = (before * before_total + value * total) / (before_total + total)
            total += before_total
            count += before_count
        pools.append((value, total, count))
    return [value for value, _, count in pools for _ in range(count)]


def straighten(lattice: Lattice, x: list[float], leaves: Ports, enters: Ports) -> None:
    """Let long edges run straight down as far as their neighbours in the rows leave room."""
    beside: dict[int, tuple[int | None, int | None]] = {}
    for row in lattice.rows:
        for left, node, right in zip([None, *row], row, [*row[1:], None], strict=False):
            beside[node] = (left, right)

    def room(node: int) -> tuple[float, float]:
        left, right = beside[node]
        low = x[left] + lattice.distance(left, node) if left is not None else -1e9
        high = x[right] - lattice.distance(node, right) if right is not None else 1e9
        return low, high

    for _ in range(3):
        for chain in lattice.chains.values():
            start = x[chain[0]] + leaves[chain[0], chain[1]]
            end = x[chain[-1]] + enters[chain[-1], chain[-2]]
            dummies = chain[1:-1]
            while dummies:
                low, high, count = -1e9, 1e9, 0
                for node in dummies:
                    nearer, farther = room(node)
                    if max(low, nearer) > min(high, farther):
                        break
                    low, high, count = max(low, nearer), min(high, farther), count + 1
                # A room of rounding errors' width still holds the node where it is.
                run = dummies[: max(count, 1)]
                middle = sum([x[node] for node in run]) / len(run)
                wanted = [end, start] if len(run) == len(dummies) else [start]
                goal = next((goal for goal in wanted if low <= goal <= high), middle)
                for node in run:
                    x[node] = min(max(goal, low), high) if count else x[node]
                start, dummies = x[run[-1]], dummies[len(run) :]
