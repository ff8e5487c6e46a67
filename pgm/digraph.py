"""Directed acyclic graphs: order, blankets and d-separation, without any numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

__all__ = ["Digraph"]


class Digraph:
    """A directed acyclic graph over named variables.

    Arguments:
        names: the variables.
        parents: for every variable its parents, in order.

    Raises:
        ValueError: unknown or repeated parents, or a directed cycle (which is named).

    Example:
        >>> g = Digraph(["a", "b", "c"], {"c": ["a", "b"]})
        >>> g.is_d_separated({"a"}, {"b"}, set()), g.is_d_separated({"a"}, {"b"}, {"c"})
        (True, False)
    """

    def __init__(self, names: Sequence[str], parents: Mapping[str, Sequence[str]]) -> None:
        known = set(names)
        self.names = tuple(names)
        self.parents: dict[str, tuple[str, ...]] = {}
        for name in names:
            above = tuple(parents.get(name, ()))
            for parent in above:
                if parent not in known:
                    raise ValueError(f"edges: unknown variable {parent!r} (parent of {name!r})")
            if len(set(above)) != len(above):
                raise ValueError(f"edges: {name!r} has a parent twice: {above}")
            self.parents[name] = above
        children: dict[str, list[str]] = {name: [] for name in names}
        for name, above in self.parents.items():
            for parent in above:
                children[parent].append(name)
        self.children = {name: tuple(below) for name, below in children.items()}
        self._check_acyclic()

    @classmethod
    def from_edges(cls, names: Sequence[str], edges: Iterable[Any]) -> Digraph:
        """Build a graph from (parent, child) pairs; a child's parents keep the pairs' order."""
        known = set(names)
        parents: dict[str, list[str]] = {}
        for edge in edges:
            try:
                parent, child = edge
                if isinstance(edge, str):
                    raise TypeError
            except (TypeError, ValueError):
                raise TypeError(f"edges must be (parent, child) pairs, found {edge!r}") from None
            for name in (parent, child):
                if name not in known:
                    raise ValueError(
                        f"edges: unknown variable {name!r} in {(parent, child)}; give its states"
                    )
            parents.setdefault(child, []).append(parent)
        return cls(names, parents)

    def _check_acyclic(self) -> None:
        """Peel off variables without remaining parents; what stays holds a cycle."""
        left = set(self.names) - set(self.topological())
        if not left:
            return
        path = [next(name for name in self.names if name in left)]
        while path.count(path[-1]) < 2:
            path.append(next(parent for parent in self.parents[path[-1]] if parent in left))
        cycle = path[path.index(path[-1]) :][::-1]
        raise ValueError("edges contain a directed cycle: " + " -> ".join(cycle))

    def check(self, name: object, argument: str = "name") -> None:
        """Raise a ValueError that lists the variables if ``name`` is none of them."""
        if not isinstance(name, str) or name not in self.parents:
            shown = ", ".join(map(repr, self.names[:8]))
            more = f", ... ({len(self.names)} in all)" if len(self.names) > 8 else ""
            raise ValueError(f"{argument}: unknown variable {name!r}; the model has {shown}{more}")

    @property
    def edges(self) -> list[tuple[str, str]]:
        """All (parent, child) pairs, children in order, each with its parents in order."""
        return [(parent, name) for name, above in self.parents.items() for parent in above]

    def topological(self) -> list[str]:
        """The variables, parents before children."""
        waiting = {name: len(above) for name, above in self.parents.items()}
        ready = [name for name, count in waiting.items() if not count]
        for name in ready:
            for child in self.children[name]:
                waiting[child] -= 1
                if not waiting[child]:
                    ready.append(child)
        return ready

    def ancestors(self, names: Iterable[str]) -> set[str]:
        """The given variables and everything above them."""
        found: set[str] = set()
        stack = list(names)
        while stack:
            name = stack.pop()
            if name not in found:
                found.add(name)
                stack.extend(self.parents[name])
        return found

    def markov_blanket(self, name: str) -> set[str]:
        """Parents, children and the children's other parents: they shield ``name`` from the rest.

        Reference:
            Pearl 1988, section 3.3.1, corollary 6.
        """
        blanket = set(self.parents[name]) | set(self.children[name])
        for child in self.children[name]:
            blanket |= set(self.parents[child])
        return blanket - {name}

    def is_d_separated(self, x: set[str], y: set[str], given: set[str]) -> bool:
        """Whether every path between ``x`` and ``y`` is blocked by ``given``.

        A chain or fork is blocked by observing its middle, a collider by observing neither it
        nor a descendant (the Bayes-ball walk).

        Reference:
            Shachter 1998, algorithm 1; Koller & Friedman 2009, algorithm 3.1.
        """
        opened = self.ancestors(given)
        stack = [(name, True) for name in x]
        seen: set[tuple[str, bool]] = set()
        while stack:
            name, from_child = stack.pop()
            if (name, from_child) in seen:
                continue
            seen.add((name, from_child))
            if name in y and name not in given:
                return False
            if from_child and name not in given:
                stack.extend((parent, True) for parent in self.parents[name])
                stack.extend((child, False) for child in self.children[name])
            elif not from_child:
                if name not in given:
                    stack.extend((child, False) for child in self.children[name])
                if name in opened:
                    stack.extend((parent, True) for parent in self.parents[name])
        return True
