"""The best structure of all, by dynamic programming over sets of variables.

.. math:: R(S) = \\max_{x \\in S}\\; R(S \\setminus x) + b_x(S \\setminus x), \\qquad
          b_x(S) = \\max_{P \\subseteq S} s(x \\mid P)

R(S) is the best score of a graph over S; x is its last variable, without children in S.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np

from inference.exact.structure import bits
from pgm.structure.constraints import Constraints
from pgm.structure.local_score import (
    LocalScore,
    SearchResult,
    check_sizes,
    families,
    require_finite,
    total_score,
)

__all__ = ["exact_search", "exact_search_bytes"]

Sets = TypeVar("Sets", int, np.ndarray)

#: Memory that the tables may take unless the caller says otherwise.
MAX_BYTES = 1 << 30


def exact_search(
    score: LocalScore, constraints: Constraints, *, max_bytes: int = MAX_BYTES
) -> SearchResult:
    """A structure of the largest score among all that the constraints permit.

    .. math:: R(S) = \\max_{x \\in S}\\; R(S \\setminus x) + \\max_{P \\subseteq S \\setminus x}
              s(x \\mid P)

    All families that the constraints permit are scored, at most
    :math:`V \\sum_{k \\le m} \\binom{V-1}{k}`; the tables then take :math:`O(V^2 2^V)` additions
    and :math:`4 V 2^V` bytes. About 20 variables are practical, 23 fit into 1 GiB.

    Arguments:
        score: score of the families; the larger, the better.
        constraints: required and permitted edges, number of parents; they bound the number of
            families, not the tables.
        max_bytes: memory that the search may take.

    Returns:
        One of the best structures: where several have the same score, always the same one.

    Raises:
        ValueError: tables over ``max_bytes``, a score that is not finite, masks of the wrong
            number.

    Reference:
        Silander & Myllymaki 2006, "A simple approach for finding the globally optimal Bayesian
        network structure", UAI, section 3; Koivisto & Sood 2004, "Exact Bayesian structure
        discovery in Bayesian networks", J. Mach. Learn. Res. 5.

    Example:
        >>> from pgm.discrete_data import DiscreteData
        >>> from pgm.structure.scores import SetScore
        >>> rows = DiscreteData({"a": [0, 0, 1, 1], "b": [0, 1, 0, 1], "c": [0, 1, 1, 0]})
        >>> score = SetScore(rows, "log-likelihood")
        >>> found = exact_search(score, Constraints.read(rows.vocabulary))
        >>> sum(above.bit_count() for above in found.parents), round(found.score, 4)
        (2, -5.5452)
    """
    check_sizes(score, constraints)
    n = score.n_variables
    needed = exact_search_bytes(constraints)
    if needed > max_bytes:
        raise ValueError(
            f"exact search over {n} variables would take {needed:,} bytes, more than max_bytes = "
            f"{max_bytes:,}; use hill climbing or equivalence search, or raise max_bytes"
        )
    candidates = [_Candidates(score, child, constraints) for child in range(n)]
    rewards = [found.best_within(n) for found in candidates]
    best = _best_orders(rewards)
    parents = _trace_back(candidates, rewards, best)
    total = total_score(score, parents)
    return SearchResult(parents, total, [{"phase": "exact", "moves": 0, "score": total}])


def exact_search_bytes(constraints: Constraints) -> int:
    """Memory that an exact search takes at most.

    .. math:: 2^V (4 V + 17) + 48 \\binom{V}{\\lfloor V/2 \\rfloor} + 16 F + 2^{16}

    with F the number of families that the constraints permit: best parents within every set,
    best scores and sets by size, the work on the largest layer, the families, small things.

    Example:
        >>> exact_search_bytes(Constraints((0,) * 3, (6, 5, 3), 1))
        66056
    """
    n = len(constraints.required)
    sets = 1 << n
    layer = math.comb(n, n // 2)
    return (1 << 16) + n * sets * 4 + sets * 17 + layer * 48 + 16 * _n_families(constraints)


def _n_families(constraints: Constraints) -> int:
    """Number of sets of parents that are permitted, over all children."""
    total = 0
    for child, (must, may) in enumerate(
        zip(constraints.required, constraints.allowed, strict=True)
    ):
        free = (may & ~must & ~(1 << child)).bit_count()
        room = constraints.max_parents - must.bit_count()
        total += sum(math.comb(free, size) for size in range(min(room, free) + 1))
    return total


class _Candidates:
    """The permitted sets of parents of one child with their scores.

    Arguments:
        score: of the families.
        child: whose parents.
        constraints: which sets are permitted.
    """

    def __init__(self, score: LocalScore, child: int, constraints: Constraints) -> None:
        self.child = child
        self.sets = np.fromiter(families(child, constraints), dtype=np.int64)
        values = (score.local(child, above) for above in families(child, constraints))
        self.scores = np.fromiter(values, dtype=np.float64, count=len(self.sets))
        require_finite(child, self.sets.tolist(), self.scores.tolist())

    def best_within(self, n: int) -> np.ndarray:
        """Per set of the other variables, (2 ** (n - 1),), the best score of parents within it."""
        best = np.full(1 << n - 1, -math.inf)
        best[_without(self.sets, self.child)] = self.scores
        for v in range(n - 1):
            halves = best.reshape(-1, 2, 1 << v)
            np.maximum(halves[:, 1], halves[:, 0], out=halves[:, 1])
        return best

    def choose(self, others: int) -> int:
        """The best set of parents within a set."""
        inside = np.flatnonzero(self.sets & ~others == 0)
        return int(self.sets[inside[self.scores[inside].argmax()]])


def _best_orders(rewards: Sequence[np.ndarray]) -> np.ndarray:
    """Per set of variables, (2 ** V,), the best score of a graph over it."""
    n = len(rewards)
    best = np.full(1 << n, -math.inf)
    best[0] = 0.0
    for layer in _layers(n):
        for x, reward in enumerate(rewards):
            sets = layer[layer >> x & 1 == 1]
            rest = sets ^ 1 << x
            best[sets] = np.maximum(best[sets], best[rest] + reward[_without(rest, x)])
    return best


def _layers(n: int) -> Iterator[np.ndarray]:
    """All sets of 1, 2, ..., n of the variables."""
    sizes = np.zeros(1 << n, dtype=np.uint8)
    for v in range(n):
        sizes[1 << v : 2 << v] = sizes[: 1 << v] + 1
    by_size = np.argsort(sizes, kind="stable")
    start = 1
    for size in range(1, n + 1):
        end = start + math.comb(n, size)
        yield by_size[start:end]
        start = end


def _trace_back(
    candidates: Sequence[_Candidates], rewards: Sequence[np.ndarray], best: np.ndarray
) -> list[int]:
    """Take away last variables, from the set of all to the empty one."""
    parents = [0] * len(candidates)
    left = len(best) - 1
    while left:
        gains = {
            x: best[left ^ 1 << x] + rewards[x][_without(left ^ 1 << x, x)] for x in bits(left)
        }
        last = max(gains, key=gains.__getitem__)
        left ^= 1 << last
        parents[last] = candidates[last].choose(left)
    return parents


def _without(sets: Sets, v: int) -> Sets:
    """Positions of sets without v among all sets of the other variables: bit v is squeezed out."""
    return sets & (1 << v) - 1 | sets >> v + 1 << v
