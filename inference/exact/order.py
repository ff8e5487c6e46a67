"""Elimination orders: greedy min-fill and min-weight on neighbourhoods kept as bit sets.

Eliminating v joins its neighbours to a clique; the order decides how large the cliques get
(Koller & Friedman 2009, section 9.4.3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from math import log

from inference.exact.structure import bits

__all__ = ["Elimination", "check_width", "interaction_graph", "min_fill", "min_weight"]

#: Models with more variables are looked over before an order is worked out with care, which may
#: take minutes there; and the log of a number of entries that no memory holds.
LARGE, HOPELESS = 5000, 62 * log(2)


@dataclass(frozen=True)
class Elimination:
    """An order and, for each eliminated variable, the clique it was eliminated from (bit set)."""

    order: tuple[int, ...]
    cliques: tuple[int, ...]


def check_width(scopes: Sequence[Sequence[int]], log_cards: Sequence[float]) -> None:
    """Refuse a large model whose tables would be hopelessly large, without long planning.

    Variables are eliminated in the order of least weight, on plain sets, until a clique has more
    than 2**62 joint states.

    Arguments:
        scopes: variables of every factor.
        log_cards: logarithm of every variable's number of states.

    Raises:
        ValueError: then.
    """
    around: dict[int, set[int]] = {}
    for scope in scopes:
        for v in scope:
            around.setdefault(v, set()).update(scope)
    n = len(around)
    if n <= LARGE:
        return
    weight = {v: sum([log_cards[u] for u in members]) for v, members in around.items()}
    heap = [(load, v) for v, load in weight.items()]
    heapify(heap)
    while heap:
        load, v = heappop(heap)
        if weight.get(v) != load:
            continue
        members = around.pop(v)
        if load > HOPELESS:
            raise ValueError(
                f"exact inference on these {n:,} variables needs a table over {len(members)} of "
                "them with more than 2**62 entries, by the order of least weight. Observe some of "
                "them, or use an approximate method (belief propagation, mean field, Gibbs "
                "sampling)."
            )
        del weight[v]
        members.discard(v)
        for u in members:
            own = around[u]
            weight[u] += sum([log_cards[w] for w in members - own]) - log_cards[v]
            own |= members
            own.discard(v)
            heappush(heap, (weight[u], u))


def interaction_graph(scopes: Sequence[Sequence[int]]) -> dict[int, int]:
    """Return, per variable, the bit set of the variables it shares a scope with, itself included.

    Example:
        >>> interaction_graph([(0, 1), (1, 2)])
        {0: 3, 1: 7, 2: 6}
    """
    neighbours: dict[int, int] = {}
    for scope in scopes:
        mask = 0
        for variable in scope:
            mask |= 1 << variable
        for variable in scope:
            neighbours[variable] = neighbours.get(variable, 0) | mask
    return neighbours


def _fill(closed: dict[int, int], variable: int) -> int:
    """Number of edges that eliminating ``variable`` would add."""
    around = closed[variable] ^ (1 << variable)
    degree = present = 0
    rest = around
    while rest:
        low = rest & -rest
        rest ^= low
        degree += 1
        present += (closed[low.bit_length() - 1] & around).bit_count()
    return (degree * degree - present) >> 1


def _connect(closed: dict[int, int], around: int, members: list[int]) -> list[tuple[int, int]]:
    """Join ``members`` to a clique; return the new edges."""
    edges = []
    for u in members:
        missing = around & ~closed[u]
        if missing:
            closed[u] |= missing
            later = missing >> (u + 1) << (u + 1)
            while later:
                low = later & -later
                later ^= low
                edges.append((u, low.bit_length() - 1))
    return edges


def min_fill(graph: dict[int, int], log_cards: Sequence[float]) -> Elimination:
    """Eliminate the variable that adds fewest edges; ties go to the lightest clique.

    Arguments:
        graph: closed neighbourhoods as bit sets, from :func:`interaction_graph`.
        log_cards: logarithm of every variable's number of states.

    Example:
        >>> min_fill(interaction_graph([(0, 1), (1, 2), (2, 3), (3, 0)]), [0.0] * 4).cliques
        (11, 14, 12, 8)
    """
    closed = dict(graph)
    weight, fill = {}, {}
    for v, mask in closed.items():
        weight[v] = sum([log_cards[u] for u in bits(mask)])
        fill[v] = _fill(closed, v)
    heap = [(fill[v], weight[v], v) for v in closed]
    heapify(heap)
    order, cliques = [], []
    while heap:
        score, load, v = heappop(heap)
        if v not in closed or fill[v] != score or weight[v] != load:
            continue
        clique = closed.pop(v)
        order.append(v)
        cliques.append(clique)
        bit = 1 << v
        around = clique ^ bit
        members = bits(around)
        before = [closed[u] for u in members] if score else []
        edges = _connect(closed, around, members) if score else []
        changed = 0
        for a, b in edges:
            # A common neighbour outside the clique now misses one edge fewer.
            common = closed[a] & closed[b] & ~clique
            changed |= common
            for w in bits(common):
                fill[w] -= 1
        for position, u in enumerate(members):
            grown = score and closed[u] != before[position]
            closed[u] ^= bit
            weight[u] -= log_cards[v]
            if grown:
                for w in bits(closed[u] & ~before[position]):
                    weight[u] += log_cards[w]
                fill[u] = _fill(closed, u)
            else:
                # u saw all of v's neighbours: it loses the pairs (v, x) and the new edges.
                fill[u] -= (closed[u] & ~clique).bit_count() + len(edges)
            heappush(heap, (fill[u], weight[u], u))
        for w in bits(changed):
            heappush(heap, (fill[w], weight[w], w))
    return Elimination(tuple(order), tuple(cliques))


def min_weight(graph: dict[int, int], log_cards: Sequence[float]) -> Elimination:
    """Eliminate the variable whose clique has the fewest joint states.

    Arguments and result as in :func:`min_fill`. Better than it where cardinalities differ a lot.
    """
    closed = dict(graph)
    weight = {v: sum([log_cards[u] for u in bits(mask)]) for v, mask in closed.items()}
    heap = [(load, v) for v, load in weight.items()]
    heapify(heap)
    order, cliques = [], []
    while heap:
        load, v = heappop(heap)
        if v not in closed or weight[v] != load:
            continue
        clique = closed.pop(v)
        order.append(v)
        cliques.append(clique)
        bit = 1 << v
        around = clique ^ bit
        for u in bits(around):
            missing = around & ~closed[u]
            closed[u] = (closed[u] | around) ^ bit
            weight[u] += sum([log_cards[w] for w in bits(missing)]) - log_cards[v]
            heappush(heap, (weight[u], u))
    return Elimination(tuple(order), tuple(cliques))
