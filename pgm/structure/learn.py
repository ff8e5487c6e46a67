"""Structures from rows of data: one call for every method.

.. math:: \\hat G = \\arg\\max_G \\sum_x s(x \\mid \\mathrm{pa}_G(x))
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeAlias

from inference.exact.structure import bits
from inference.random import GeneratorLike
from pgm.discrete_data import DiscreteData
from pgm.structure.constraints import Constraints
from pgm.structure.cpdag import essential_graph
from pgm.structure.equivalence_search import greedy_equivalence_search
from pgm.structure.exact_search import exact_search
from pgm.structure.independence import ConditionalIndependence
from pgm.structure.local_score import SearchResult
from pgm.structure.order_search import order_search
from pgm.structure.pc import pc
from pgm.structure.quick_climb import quick_climb
from pgm.structure.scores import ScoreName, SetScore
from pgm.structure.trees import chow_liu, tan

__all__ = ["LearnedStructure", "Method", "Search", "learn_structure"]

#: Most variables that a test of "pc" conditions on.
MAX_CONDITION = 3

#: A search of one's own: from a score and constraints to a structure.
Search: TypeAlias = Callable[[SetScore, Constraints], SearchResult]
Method: TypeAlias = (
    Literal["hill-climb", "order", "ges", "exact", "chow-liu", "tan", "pc"] | Search
)


@dataclass(frozen=True)
class LearnedStructure:
    """A structure with its names.

    Attributes:
        data: the rows it was learned from.
        parents: per variable the mask of its parents.
        score: the score asked for, nats.
        history: what the search reports.
    """

    data: DiscreteData
    parents: tuple[int, ...]
    score: float
    history: list[dict[str, Any]]

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the variables."""
        return self.data.vocabulary.names

    @property
    def edges(self) -> list[tuple[str, str]]:
        """All (parent, child) pairs."""
        names = self.variables
        return [
            (names[parent], names[child])
            for child, above in enumerate(self.parents)
            for parent in bits(above)
        ]

    @property
    def essential_edges(self) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        """Edges that every equivalent graph has, and those whose direction data cannot tell."""
        graph, names = essential_graph(self.parents), self.variables
        arrows = [
            (names[u], names[v]) for v, above in enumerate(graph.parents) for u in bits(above)
        ]
        lines = [
            (names[u], names[v])
            for v, beside in enumerate(graph.neighbours)
            for u in bits(beside)
            if u < v
        ]
        return arrows, lines


def learn_structure(
    data: Any,
    method: Method = "hill-climb",
    score: ScoreName = "bic",
    states: Mapping[str, int | Sequence[str]] | None = None,
    *,
    sample_weight: Any = None,
    required: Iterable[tuple[str, str]] = (),
    forbidden: Iterable[tuple[str, str]] = (),
    max_parents: int | None = None,
    target: str | None = None,
    equivalent_sample_size: float = 10.0,
    significance: float = 0.05,
    generator: GeneratorLike = None,
    progress: bool | None = None,
) -> LearnedStructure:
    """Learn a directed acyclic graph from complete rows.

    ============  ==========================================================================
    "hill-climb"  best single edits with a tabu list, from no edge and from a forest: quick
    "order"       insertions in orders over scored parent lists: highest scores, a second or two
    "ges"         greedy search over equivalence classes
    "exact"       dynamic programming over subsets, up to about 20 variables
    "chow-liu"    the best tree
    "tan"         the best tree of features under ``target``, the class
    "pc"          independence tests given up to three variables
    ============  ==========================================================================

    Arguments:
        data: (n, V) codes, a DataFrame, a mapping of columns, or ``DiscreteData``.
        method: one of the above, or a function of a score and constraints, for instance
            ``functools.partial(hill_climb, restarts=20)``.
        score: "bic", "aic", "bdeu" or "log-likelihood"; trees and "pc" do not maximise it, the
            result shows it all the same.
        states: states per variable; by default those in the data.
        sample_weight: (n,) weights of the rows.
        required: edges that must be there (white list).
        forbidden: edges that must not be there (black list).
        max_parents: largest number of parents.
        target: the class variable of "tan".
        equivalent_sample_size: of "bdeu".
        significance: level of the tests of "pc".
        generator: of "order"; None, a seed or a generator.
        progress: bar of "order"; None shows it on a terminal.

    Raises:
        TypeError, ValueError: missing cells, no rows, contradictory constraints, constraints
            that a method cannot keep, an unknown method or score.

    Reference:
        Koller & Friedman 2009, chapter 18.

    Example:
        >>> rain = [0, 1, 0, 1, 1, 0, 0, 1] * 20
        >>> wet = [0, 1, 0, 1, 1, 0, 0, 0] * 20
        >>> learn_structure({"rain": rain, "wet": wet}).essential_edges
        ([], [('rain', 'wet')])
    """
    rows = DiscreteData(data, states, sample_weight)
    limits = Constraints.read(rows.vocabulary, required, forbidden, max_parents)
    scores = SetScore(rows, score, equivalent_sample_size)
    name = method if isinstance(method, str) else "search"
    if name in ("chow-liu", "tan"):
        parents = _tree(rows, name, target, limits)
    elif target is not None:
        raise ValueError(f"target is for method='tan', found method={method!r}")
    elif name == "pc":
        # Tests with few rows per stratum have little power, and hubs have too many sets.
        test = ConditionalIndependence(rows, alpha=significance, freedom="adjusted")
        parents = pc(test, limits, max_condition=MAX_CONDITION).dag
    else:
        found = _search(method, generator, progress)(scores, limits)
        return LearnedStructure(rows, tuple(found.parents), found.score, found.history)
    value = scores.total(parents)
    return LearnedStructure(rows, tuple(parents), value, [{"score": value}])


def _search(method: str | Search, generator: GeneratorLike, progress: bool | None) -> Search:
    """The search of a name, or the function given."""
    if callable(method):
        return method
    searches: dict[str, Search] = {
        "hill-climb": quick_climb,
        "order": partial(order_search, generator=generator, progress=progress),
        "ges": greedy_equivalence_search,
        "exact": exact_search,
    }
    if method not in searches:
        raise ValueError(
            f"method must be one of {[*searches, 'chow-liu', 'tan', 'pc']} or a function, "
            f"found {method!r}"
        )
    return searches[method]


def _tree(
    rows: DiscreteData, method: str, target: str | None, limits: Constraints
) -> tuple[int, ...]:
    """The best tree; trees keep no constraints."""
    free = Constraints.read(rows.vocabulary)
    if limits != free:
        raise ValueError(
            f"method={method!r} keeps no required or forbidden edges and no max_parents; "
            "use 'hill-climb' or 'order'"
        )
    if method == "chow-liu":
        if target is not None:
            raise ValueError("target is for method='tan', found method='chow-liu'")
        return chow_liu(rows)
    if target is None:
        raise ValueError("method='tan' needs target, the name of the class variable")
    return tan(rows, rows.vocabulary.number(target, "target"))
