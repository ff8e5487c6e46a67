"""The planner: what to contract, in which order, and what it will cost, before touching a number.

A query names observed variables and target scopes. The planner drops what cannot matter, cuts out
the observed variables, splits the rest into connected components and chooses for each either one
junction tree or several trees over smaller ancestral sets, whichever is cheaper.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from inference.exact.order import (
    Elimination,
    check_width,
    interaction_graph,
    min_fill,
    min_weight,
)
from inference.exact.structure import Structure, bits
from inference.exact.tree import JunctionTree, build_tree
from inference.memory import allowed_memory, readable_bytes, readable_count

__all__ = ["Group", "Plan", "Query", "Scopes", "make_plan"]

#: Entries that cost as much time as visiting one clique (about 20 us against 8 ns).
CLIQUE_OVERHEAD = 2500
#: A clique is merged into its parent when that adds at most this many entries.
MERGE_ALLOWANCE = 1200
#: Below this many entries, and this many per variable, splitting costs more than it saves.
SMALL = 300_000
SMALL_PER_VARIABLE = 2500
#: A plan of fewer bytes is not held against the free memory: asking for that would take longer.
UNASKED = 2**28
#: Share of the factors from which the first half of the targets is not worth a tree.
NEARLY_ALL = 0.98
#: Seconds per table entry and per clique, for the expected time only.
SECONDS_PER_ENTRY = 8e-9
SECONDS_PER_CLIQUE = 2e-5


class Scopes(tuple[tuple[int, ...], ...]):
    """Target scopes, of which there may be thousands; their hash is computed once."""

    _hash: int | None = None

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = tuple.__hash__(self)
        return self._hash


@dataclass(frozen=True)
class Query:
    """What a plan depends on: which variables are cut out, weighted, and asked for.

    Arguments:
        observed: variables with a hard state; their tables are sliced.
        weighted: variables with a likelihood vector.
        targets: scopes whose joint marginals are read; observed variables may occur in them.
        everything: keep barren variables too (sampling and maximisation need them).
    """

    observed: frozenset[int]
    weighted: frozenset[int]
    targets: tuple[tuple[int, ...], ...]
    everything: bool = False


@dataclass(frozen=True)
class Group:
    """One junction forest with the factors it multiplies and the marginals read from it.

    Arguments:
        tree: the forest over the unobserved variables.
        homes: pairs (factor, clique).
        weights: pairs (weighted variable, clique).
        reads: pairs (index of the target in the query, clique); the variables of the target that
            are observed are not axes of the clique.
        complete: whether log Z of this group counts (each component is counted once).
    """

    tree: JunctionTree
    homes: tuple[tuple[int, int], ...]
    weights: tuple[tuple[int, int], ...]
    reads: tuple[tuple[int, int], ...]
    complete: bool


@dataclass(frozen=True)
class Plan:
    """An immutable plan with its cost; print it to see what a query will take.

    Arguments:
        query: what is asked.
        structure: cardinalities and scopes, after impossible states were dropped.
        constants: factors whose variables are all observed: plain numbers.
        groups: the junction forests.
    """

    query: Query
    structure: Structure
    constants: tuple[int, ...]
    groups: tuple[Group, ...]

    def live(self, scope: Iterable[int]) -> tuple[int, ...]:
        """The variables of a scope that are axes of the plan's tables."""
        cut = self.cut
        return tuple([v for v in scope if v not in cut])

    @cached_property
    def cut(self) -> frozenset[int]:
        """Variables whose state is given or the only one."""
        return self.query.observed | self.structure.single_state

    @cached_property
    def width(self) -> int:
        """Largest number of variables in a clique, minus one (induced width)."""
        return max([len(c) for g in self.groups for c in g.tree.cliques], default=0) - 1

    @cached_property
    def largest_table(self) -> int:
        """Entries of the largest clique table."""
        return max([size for g in self.groups for size in g.tree.sizes], default=0)

    @cached_property
    def largest_clique(self) -> tuple[int, ...]:
        """Variables of the largest clique table."""
        cliques = [
            (size, clique)
            for g in self.groups
            for size, clique in zip(g.tree.sizes, g.tree.cliques, strict=True)
        ]
        return max(cliques, default=(0, ()))[1]

    @cached_property
    def entries(self) -> int:
        """Entries of all clique tables together."""
        return sum([g.tree.entries for g in self.groups])

    @cached_property
    def cliques(self) -> int:
        """Number of cliques of all groups."""
        return sum([len(g.tree.cliques) for g in self.groups])

    @cached_property
    def operations(self) -> int:
        """Multiplications and additions of both passes, to first order."""
        return sum(
            [
                size * (4 + 2 * len(children))
                for g in self.groups
                for size, children in zip(g.tree.sizes, g.tree.children, strict=True)
            ]
        )

    @cached_property
    def bytes(self) -> int:
        """Memory for the tables of all groups (float64)."""
        return 8 * self.entries

    @property
    def seconds(self) -> float:
        """Expected time of one run on one CPU core."""
        if self.entries.bit_length() > 1000:
            return math.inf
        return SECONDS_PER_ENTRY * self.entries + SECONDS_PER_CLIQUE * self.cliques

    def __str__(self) -> str:
        seconds = f"{self.seconds:.1e}" if self.seconds < 1e6 else "very many"
        return (
            f"Plan: {len(self.groups)} group(s), {self.cliques} cliques, width {self.width}, "
            f"largest table {readable_count(self.largest_table)} entries, "
            f"{readable_count(self.entries)} entries in all ({readable_bytes(self.bytes)}), "
            f"about {readable_count(self.operations)} operations, "
            f"{seconds} s"
        )

    def check_memory(self, memory_limit: int | None, names: Sequence[str] | None = None) -> None:
        """Refuse a plan that does not fit, before anything is allocated.

        Raises:
            ValueError: naming the width, the largest clique, the bytes and the alternatives.
        """
        if memory_limit is None and self.bytes < UNASKED:
            return
        limit = allowed_memory(memory_limit)
        if self.bytes <= limit:
            return
        clique = [names[v] if names else str(v) for v in self.largest_clique]
        shown = ", ".join(clique[:8]) + (", ..." if len(clique) > 8 else "")
        raise ValueError(
            f"exact inference needs {readable_bytes(self.bytes)} in tables but memory_limit is "
            f"{readable_bytes(limit)}: width {self.width}, largest clique of {len(clique)} "
            f"variables ({shown}) with {readable_count(self.largest_table)} entries. Observe some "
            "of these variables, ask for fewer targets, raise memory_limit, or use an approximate "
            "method (belief propagation, mean field, Gibbs sampling)."
        )


@dataclass(frozen=True)
class _Candidate:
    """A tree for some factors, and the targets that it was built for."""

    factors: tuple[int, ...]
    tree: JunctionTree
    elimination: Elimination
    complete: bool

    @property
    def cost(self) -> int:
        return self.tree.entries + CLIQUE_OVERHEAD * len(self.tree.cliques)


class _Planner:
    """The working state of one call of :func:`make_plan`."""

    def __init__(self, structure: Structure, query: Query, allowance: int) -> None:
        self.structure = structure
        self.query = query
        self.allowance = allowance
        self.cut = query.observed | structure.single_state
        self.log_cards = [math.log(max(card, 1)) for card in structure.cards]
        self.evidence = query.observed | query.weighted

    @cached_property
    def anchored(self) -> frozenset[int]:
        """Variables that every group must hold: ancestors of evidence and plain potentials."""
        scopes = self.structure.scopes
        factors = self.structure.relevant_factors(self.evidence)
        return frozenset([v for f in factors for v in scopes[f]]) - self.cut

    def live(self, scope: Iterable[int]) -> tuple[int, ...]:
        """The variables of a scope whose state is open."""
        cut = self.cut
        return tuple([v for v in scope if v not in cut])

    def factor_home(self, tree: JunctionTree, factor: int) -> int:
        """The clique that multiplies a factor.

        A conditional distribution goes as near to the root as possible: the subtrees below then
        more often send the message one.
        """
        scope = self.live(self.structure.scopes[factor])
        head = self.structure.heads[factor]
        if head < 0 or head in self.cut:
            return tree.home(scope)
        return tree.holders(scope)[-1]

    def candidate(
        self, factors: Sequence[int], joints: Sequence[tuple[int, ...]], complete: bool
    ) -> _Candidate:
        """Triangulate the factors' graph and join the cliques to a tree."""
        scopes = self.structure.scopes
        live = [self.live(scopes[f]) for f in factors]
        check_width([*live, *joints], self.log_cards)
        graph = interaction_graph([*live, *joints])
        best = self._tree(min_fill(graph, self.log_cards))
        if best[0].entries > SMALL:
            other = self._tree(min_weight(graph, self.log_cards))
            best = min(best, other, key=lambda pair: pair[0].entries)
        return _Candidate(tuple(factors), *best, complete)

    def _tree(self, elimination: Elimination) -> tuple[JunctionTree, Elimination]:
        return build_tree(elimination, self.structure.cards, self.allowance), elimination

    def components(self, factors: Sequence[int], joints: Sequence[tuple[int, ...]]) -> list[int]:
        """Connected components, as bit sets of variables, of the unobserved graph."""
        scopes = self.structure.scopes
        closed = interaction_graph([*[self.live(scopes[f]) for f in factors], *joints])
        remaining = 0
        for v in closed:
            remaining |= 1 << v
        found = []
        while remaining:
            component = frontier = remaining & -remaining
            while frontier:
                reached = 0
                for v in bits(frontier):
                    reached |= closed[v]
                frontier = reached & ~component
                component |= frontier
            found.append(component)
            remaining &= ~component
        return found

    def split(self, whole: _Candidate, targets: list[int], depth: int = 0) -> list[_Candidate]:
        """Return the cheapest of one tree and two recursively split halves of the targets.

        ``targets`` are single variables; halves are taken along the elimination tree so that
        each half's ancestral set stays small.
        """
        variables = len(whole.elimination.order)
        if whole.tree.entries <= max(SMALL, SMALL_PER_VARIABLE * variables):
            return [whole]
        sinks = self._sinks(whole, targets)
        if len(sinks) < 2:
            return [whole]
        half = len(sinks) // 2
        found: list[_Candidate] = []
        for part, complete in ((sinks[:half], whole.complete), (sinks[half:], False)):
            inner = self._ancestral(whole, part, complete)
            enough = len(whole.factors) * (1 if depth else NEARLY_ALL)
            if len(inner.factors) >= enough:
                # Half the targets already need (nearly) everything: there is nothing to gain.
                return [whole]
            kept = set(inner.elimination.order)
            found += self.split(inner, [v for v in targets if v in kept], depth + 1)
        cost = sum([candidate.cost for candidate in found])
        return found if cost < whole.cost else [whole]

    def _sinks(self, whole: _Candidate, targets: list[int]) -> list[int]:
        """Targets with no child in the group, in depth-first order of the elimination tree."""
        heads, scopes = self.structure.heads, self.structure.scopes
        inner = {v for f in whole.factors for v in scopes[f] if v != heads[f]}
        sinks = {v for v in targets if v not in inner and v not in self.anchored}
        return [v for v in _depth_first(whole.elimination) if v in sinks]

    def _ancestral(self, whole: _Candidate, sinks: list[int], complete: bool) -> _Candidate:
        """The candidate over the ancestral set of some sinks and of the evidence."""
        inside = set(whole.factors)
        factors = [
            f for f in self.structure.relevant_factors([*sinks, *self.evidence]) if f in inside
        ]
        if not complete and self.evidence:
            wanted = sum([1 << v for v in sinks])
            kept = 0
            for component in self.components(factors, []):
                if component & wanted:
                    kept |= component
            scopes = self.structure.scopes
            factors = [f for f in factors if any(kept >> v & 1 for v in self.live(scopes[f]))]
        return self.candidate(factors, [], complete)


def _depth_first(elimination: Elimination) -> list[int]:
    """Variables in depth-first order of the elimination tree."""
    place = {v: i for i, v in enumerate(elimination.order)}
    children: dict[int, list[int]] = {}
    roots = []
    for v, clique in zip(elimination.order, elimination.cliques, strict=True):
        rest = clique ^ (1 << v)
        if rest:
            parent = min(bits(rest), key=place.__getitem__)
            children.setdefault(parent, []).append(v)
        else:
            roots.append(v)
    found, stack = [], roots
    while stack:
        v = stack.pop()
        found.append(v)
        stack.extend(children.get(v, ()))
    return found


def make_plan(
    structure: Structure, query: Query, allowance: int = MERGE_ALLOWANCE, split: bool = True
) -> Plan:
    """Plan a query: relevance, components, elimination orders, groups and where to read.

    Arguments:
        structure: cardinalities, scopes and heads.
        query: observed and weighted variables and target scopes.
        allowance: see :func:`inference.exact.tree.build_tree`.
        split: whether several trees may share the targets.
    """
    planner = _Planner(structure, query, allowance)
    seeds = [v for target in query.targets for v in target]
    if query.everything:
        factors = list(range(len(structure.scopes)))
    else:
        factors = structure.relevant_factors([*seeds, *planner.evidence])
    certain = set(structure.certain_factors)
    factors = [f for f in factors if f not in certain]
    scopes, cut = structure.scopes, planner.cut
    constants, live = [], []
    for f in factors:
        (live if any(v not in cut for v in scopes[f]) else constants).append(f)
    targets = [planner.live(target) for target in query.targets]
    joints = sorted({t for t in targets if t} | {(v,) for v in query.weighted - cut})
    wide = [t for t in joints if len(t) > 1]
    singles = sorted({t[0] for t in targets if len(t) == 1})
    whole = planner.candidate(live, joints, True)
    chosen = [whole]
    if split and not wide and not query.everything and structure.factor_of_head:
        chosen = planner.split(whole, singles)
    return Plan(query, structure, tuple(constants), _groups(planner, chosen, targets))


def _groups(
    planner: _Planner, chosen: list[_Candidate], targets: list[tuple[int, ...]]
) -> tuple[Group, ...]:
    """Place factors, weights and reads in the chosen trees."""
    reads: list[list[tuple[int, int]]] = [[] for _ in chosen]
    for index, target in enumerate(targets):
        if not target:
            continue
        options = []
        for number, candidate in enumerate(chosen):
            home = candidate.tree.home(target)
            if home >= 0:
                options.append((candidate.tree.sizes[home], number, home))
        _, number, home = min(options)
        reads[number].append((index, home))
    groups = []
    for number, candidate in enumerate(chosen):
        tree = candidate.tree
        homes = [(f, planner.factor_home(tree, f)) for f in candidate.factors]
        weights = [(v, tree.home((v,))) for v in sorted(planner.query.weighted - planner.cut)]
        groups.append(
            Group(
                tree,
                tuple(homes),
                tuple([pair for pair in weights if pair[1] >= 0]),
                tuple(reads[number]),
                candidate.complete,
            )
        )
    return tuple(groups)
