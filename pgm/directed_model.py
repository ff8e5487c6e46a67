"""What the models over a directed acyclic graph share: names, parents, children, separation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pgm.digraph import Digraph
from pgm.row_model import RowModel

if TYPE_CHECKING:
    import networkx

__all__ = ["DirectedModel"]


class DirectedModel(RowModel):
    """Abstract base of models whose density is a product of one conditional per variable.

    .. math:: p(x_1, \\dots, x_V) = \\prod_v p(x_v \\mid x_{\\pi(v)})

    Arguments:
        digraph: the structure.
    """

    def __init__(self, digraph: Digraph) -> None:
        super().__init__()
        self._digraph = digraph

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the variables, in the order given (a file's order when loaded)."""
        return self._digraph.names

    @property
    def edges(self) -> list[tuple[str, str]]:
        """All (parent, child) pairs."""
        return self._digraph.edges

    def parents(self, name: str) -> tuple[str, ...]:
        """Parents of a variable, in the order in which its conditional knows them."""
        self._digraph.check(name)
        return self._digraph.parents[name]

    def children(self, name: str | None = None) -> Any:
        """Children of a variable; without a name, the submodules (as of every torch module)."""
        if name is None:
            return super().children()
        self._digraph.check(name)
        return self._digraph.children[name]

    @property
    def graph(self) -> networkx.DiGraph:
        """The structure as a new networkx graph."""
        import networkx

        graph = networkx.DiGraph()
        graph.add_nodes_from(self.variables)
        graph.add_edges_from(self.edges)
        return graph

    def markov_blanket(self, name: str) -> set[str]:
        """Parents, children and the children's other parents of a variable."""
        self._digraph.check(name)
        return self._digraph.markov_blanket(name)

    def is_d_separated(
        self,
        x: str | Iterable[str],
        y: str | Iterable[str],
        given: str | Iterable[str] | None = None,
    ) -> bool:
        """Whether the graph makes ``x`` and ``y`` independent given ``given``.

        Raises:
            ValueError: unknown names, or sets that are not disjoint.

        Example:
            >>> from pgm import BayesianNetwork
            >>> v = BayesianNetwork([("a", "c"), ("b", "c")], {"a": 2, "b": 2, "c": 2})
            >>> v.is_d_separated("a", "b", []), v.is_d_separated("a", "b", "c")
            (True, False)
        """
        sets = []
        for argument, value in (("x", x), ("y", y), ("given", given or ())):
            members = {value} if isinstance(value, str) else set(value)
            for name in members:
                self._digraph.check(name, argument)
            sets.append(members)
        for first, second in ((0, 1), (0, 2), (1, 2)):
            if sets[first] & sets[second]:
                raise ValueError(
                    f"x, y and given must be disjoint; found {sets[first] & sets[second]} twice"
                )
        return self._digraph.is_d_separated(*sets)
