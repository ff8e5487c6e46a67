"""How far a learned structure is from another: edges missing, extra and turned.

.. math:: \\mathrm{SHD} = \\text{missing} + \\text{extra} + \\text{reversed}
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from pgm.digraph import Digraph
from pgm.structure.cpdag import PDAG, children_of, essential_graph

if TYPE_CHECKING:
    import networkx

    from pgm.bayesian_network import BayesianNetwork

    Structure: TypeAlias = BayesianNetwork | networkx.DiGraph | Iterable[tuple[str, str]]

__all__ = [
    "StructureComparison",
    "compare_partial_structures",
    "compare_structures",
    "structural_hamming_distance",
]


class StructureComparison(NamedTuple):
    """Counts of edges, and rates of the skeleton.

    A rate of nothing is 1: without learned edges none is wrong, without true ones none is missed.

    Attributes:
        correct: edges that both have alike.
        missing: edges of the true structure between variables that the learned one leaves apart.
        extra: edges of the learned structure between variables that the true one leaves apart.
        reversed: edges that both have, but not in the same direction (or a line in one only).
        precision: share of the learned edges that are in the true skeleton.
        recall: share of the true edges that are in the learned skeleton.
        f1: harmonic mean of precision and recall.
    """

    correct: int
    missing: int
    extra: int
    reversed: int
    precision: float
    recall: float
    f1: float

    @property
    def distance(self) -> int:
        """Structural Hamming distance."""
        return self.missing + self.extra + self.reversed


def structural_hamming_distance(a: Structure, b: Structure, *, equivalence: bool = False) -> int:
    """Number of edges to add, delete or turn to get from one structure to the other.

    .. math:: \\mathrm{SHD}(a, b) = \\text{missing} + \\text{extra} + \\text{reversed}

    Arguments:
        a: a network, a networkx.DiGraph, or an iterable of (parent, child) names.
        b: the same; the order of the variables is of no importance.
        equivalence: compare the essential graphs (CPDAGs), so that structures no observation can
            tell apart have distance 0.

    Raises:
        TypeError: an undirected graph, or edges that are no pairs.
        ValueError: a directed cycle; different variables, where both structures name them.

    Reference:
        Tsamardinos, Brown & Aliferis 2006, "The max-min hill-climbing Bayesian network structure
        learning algorithm", algorithm 4 (with ``equivalence``); Acid & de Campos 2003 (without).

    Example:
        >>> chain, fork = [("a", "b"), ("b", "c")], [("b", "a"), ("b", "c")]
        >>> structural_hamming_distance(chain, fork)
        1
        >>> structural_hamming_distance(chain, fork, equivalence=True)
        0
    """
    return compare_structures(a, b, equivalence=equivalence).distance


def compare_structures(
    learned: Structure, true: Structure, *, equivalence: bool = False
) -> StructureComparison:
    """Count what a learned structure has right, misses, adds and turns.

    Arguments:
        learned: a network, a networkx.DiGraph, or an iterable of (parent, child) names.
        true: the same; the order of the variables is of no importance.
        equivalence: compare the essential graphs (CPDAGs).

    Raises:
        TypeError: an undirected graph, or edges that are no pairs.
        ValueError: a directed cycle; different variables, where both structures name them.

    Reference:
        Tsamardinos, Brown & Aliferis 2006, algorithm 4.

    Example:
        >>> found = compare_structures([("a", "b"), ("c", "b")], [("b", "a"), ("b", "d")])
        >>> found.missing, found.extra, found.reversed, found.precision
        (1, 1, 1, 0.5)
    """
    read = _read(learned, "learned"), _read(true, "true")
    names = _common_names(*read)
    graphs = [_masks(given, names) for given in read]
    if equivalence:
        pdags = [essential_graph(parents) for parents in graphs]
    else:
        pdags = [PDAG(parents, (0,) * len(parents)) for parents in graphs]
    return compare_partial_structures(*pdags)


def compare_partial_structures(learned: PDAG, true: PDAG) -> StructureComparison:
    """Compare two partially directed graphs over the same variables in the same order.

    Raises:
        ValueError: different numbers of variables.

    Reference:
        Tsamardinos, Brown & Aliferis 2006, algorithm 4.

    Example:
        >>> arrow, line = PDAG((0, 1), (0, 0)), PDAG((0, 0), (2, 1))
        >>> compare_partial_structures(arrow, line).reversed
        1
    """
    if len(learned.parents) != len(true.parents):
        raise ValueError(
            f"the structures must have the same variables, found {len(learned.parents)} and "
            f"{len(true.parents)}"
        )
    correct = missing = extra = turned = 0
    sides = zip(*[_sides(graph) for graph in (learned, true)], strict=True)
    for (adjacent, above, below), (true_adjacent, true_above, true_below) in sides:
        both = adjacent & true_adjacent
        other = both & (above ^ true_above | below ^ true_below)
        correct += (both ^ other).bit_count()
        turned += other.bit_count()
        missing += (true_adjacent ^ both).bit_count()
        extra += (adjacent ^ both).bit_count()
    # Every edge was seen from both ends.
    correct, missing, extra, turned = correct // 2, missing // 2, extra // 2, turned // 2
    found, wrong = correct + turned, missing + extra
    return StructureComparison(
        correct,
        missing,
        extra,
        turned,
        precision=_share(found, found + extra),
        recall=_share(found, found + missing),
        f1=_share(2 * found, 2 * found + wrong),
    )


def _sides(graph: PDAG) -> list[tuple[int, int, int]]:
    """Per variable the masks of adjacent ones, parents and children."""
    return list(zip(graph.adjacent, graph.parents, children_of(graph.parents), strict=True))


def _share(part: int, whole: int) -> float:
    """A rate; 1 where there is nothing to count."""
    return part / whole if whole else 1.0


class _Given(NamedTuple):
    """A structure as it was passed; ``names`` is None where only edges tell of the variables."""

    argument: str
    edges: list[Any]
    names: tuple[Any, ...] | None


def _read(graph: Structure, argument: str) -> _Given:
    """Edges of a structure, and its variables where it names them."""
    from pgm.bayesian_network import BayesianNetwork

    if isinstance(graph, BayesianNetwork):
        return _Given(argument, graph.edges, graph.variables)
    if "networkx" in sys.modules:
        import networkx

        if isinstance(graph, networkx.Graph):
            if not graph.is_directed():
                raise TypeError(f"{argument} must be a directed graph, found {graph}")
            nodes: list[Any] = list(graph.nodes())
            return _Given(argument, list(graph.edges()), tuple(nodes))
    if isinstance(graph, (str, bytes)) or not isinstance(graph, Iterable):
        raise TypeError(
            f"{argument} must be a BayesianNetwork, a networkx.DiGraph or (parent, child) pairs, "
            f"found {type(graph).__name__}"
        )
    edges = list(graph)
    for edge in edges:
        if isinstance(edge, str) or not isinstance(edge, Sequence) or len(edge) != 2:
            raise TypeError(f"{argument} must list (parent, child) pairs, found {edge!r}")
    return _Given(argument, edges, None)


def _common_names(learned: _Given, true: _Given) -> tuple[str, ...]:
    """Variables of both structures; those that only edges tell of must be among the other's."""
    if learned.names is not None and true.names is not None:
        different = sorted(map(str, set(learned.names) ^ set(true.names)))
        if different:
            raise ValueError(
                f"learned and true must have the same variables; only one has {different[:8]}"
            )
    told = dict.fromkeys([name for edge in [*learned.edges, *true.edges] for name in edge])
    known = true.names if learned.names is None else learned.names
    names = tuple(told) if known is None else known
    unknown = [name for name in told if name not in set(names)]
    if unknown:
        raise ValueError(
            f"learned and true must have the same variables; edges of one name {unknown[:8]}, "
            "which the other does not have"
        )
    return names


def _masks(given: _Given, names: tuple[str, ...]) -> tuple[int, ...]:
    """Parent masks of a DAG given by its edges."""
    try:
        graph = Digraph.from_edges(names, given.edges)
    except ValueError as error:
        raise ValueError(f"{given.argument}: {error}") from None
    number = {name: v for v, name in enumerate(names)}
    return tuple([sum([1 << number[p] for p in graph.parents[name]]) for name in names])
