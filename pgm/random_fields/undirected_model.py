"""What the models over an undirected graph share: names, neighbours, separation.

.. math:: X \\perp Y \\mid Z \\quad\\text{if every path from } X \\text{ to } Y
          \\text{ meets } Z
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING

from inference.exact.evidence import Variables
from inference.sampling.factor_arrays import FactorArrays
from pgm.row_model import RowModel

if TYPE_CHECKING:
    import networkx

__all__ = ["UndirectedModel"]


class UndirectedModel(RowModel):
    """Abstract base of models whose weight is a product of factors of discrete variables.

    .. math:: p(x) \\propto \\prod_f \\phi_f(x_{S_f})

    Arguments:
        vocabulary: names and states of the variables.
        arrays: the factors' scopes.
    """

    def __init__(self, vocabulary: Variables, arrays: FactorArrays) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        self.arrays = arrays

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the variables, in the order given."""
        return self.vocabulary.names

    @property
    def states(self) -> dict[str, tuple[str, ...] | range]:
        """State labels of every variable (a range of codes where a number was given)."""
        found = self.vocabulary.states.items()
        return {n: range(given) if isinstance(given, int) else given for n, given in found}

    @property
    def edges(self) -> list[tuple[str, str]]:
        """Pairs of variables that share a factor."""
        names = self.variables
        return [(names[u], names[v]) for u, v in self.arrays.edges.tolist()]

    @property
    def graph(self) -> networkx.Graph:
        """The structure as a new networkx graph."""
        import networkx

        graph = networkx.Graph()
        graph.add_nodes_from(self.variables)
        graph.add_edges_from(self.edges)
        return graph

    def neighbours(self, name: str) -> tuple[str, ...]:
        """Variables that share a factor with one, in the order of the variables."""
        found = self._adjacent[self.vocabulary.number(name, "name")]
        return tuple([self.variables[v] for v in sorted(found)])

    def markov_blanket(self, name: str) -> set[str]:
        """The neighbours: given them, a variable is independent of all others."""
        return set(self.neighbours(name))

    def is_separated(
        self,
        x: str | Iterable[str],
        y: str | Iterable[str],
        given: str | Iterable[str] | None = None,
    ) -> bool:
        """Whether every path from ``x`` to ``y`` meets ``given``: they are independent given it.

        Raises:
            ValueError: unknown names, or sets that are not disjoint.

        Example:
            >>> from pgm.markov_random_field import MarkovRandomField
            >>> chain = MarkovRandomField.ising(graph=[("a", "b"), ("b", "c")])
            >>> chain.is_separated("a", "c"), chain.is_separated("a", "c", "b")
            (False, True)
        """
        sets = [
            self._numbers(argument, value)
            for argument, value in (("x", x), ("y", y), ("given", given or ()))
        ]
        for first, second in ((0, 1), (0, 2), (1, 2)):
            common = sets[first] & sets[second]
            if common:
                shown = sorted([self.variables[v] for v in common])
                raise ValueError(f"x, y and given must be disjoint, found {shown} in two of them")
        sources, targets, seen = sets[0], sets[1], sets[0] | sets[2]
        stack = list(sources)
        while stack:
            fresh = [u for u in self._adjacent[stack.pop()] if u not in seen]
            if not targets.isdisjoint(fresh):
                return False
            seen.update(fresh)
            stack.extend(fresh)
        return True

    @cached_property
    def _adjacent(self) -> list[list[int]]:
        """Numbers of every variable's neighbours."""
        found: list[list[int]] = [[] for _ in self.variables]
        for u, v in self.arrays.edges.tolist():
            found[u].append(v)
            found[v].append(u)
        return found

    def _numbers(self, argument: str, value: str | Iterable[str]) -> set[int]:
        names = [value] if isinstance(value, str) else list(dict.fromkeys(value))
        return set(self.vocabulary.numbers(names, argument))
