"""A plan bound to numbers: all its groups run together, one query at a time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise

import numpy as np

from inference.exact.bounds import UnderflowRisk
from inference.exact.plan import Plan
from inference.exact.posed import Posed
from inference.exact.potentials import Potentials
from inference.exact.program import TreeProgram
from inference.exact.semiring import SUM_LINEAR, Semiring

__all__ = ["BoundPlan"]


class BoundPlan:
    """The programs of a plan's groups over one set of tables.

    Arguments:
        plan: groups and targets.
        potentials: the tables.
        semiring: what product and total mean.
    """

    def __init__(
        self, plan: Plan, potentials: Potentials, semiring: Semiring = SUM_LINEAR
    ) -> None:
        self.plan = plan
        self.potentials = potentials
        self.semiring = semiring
        structure, query = potentials.structure, plan.query
        tables = potentials.tables if semiring.linear else potentials.logs
        targets = [plan.live(target) for target in query.targets]
        sizes = [math.prod([structure.cards[v] for v in target]) for target in targets]
        ends = np.cumsum([0, *sizes])
        self._marginals = np.zeros(int(ends[-1]))
        self._starts = ends[:-1]
        self._segment = np.repeat(np.arange(len(sizes)), sizes)
        slots = [self._marginals[a:b] for a, b in pairwise(ends.tolist())]
        for target, slot in zip(targets, slots, strict=True):
            if not target:
                slot[...] = semiring.one
        self.targets = targets
        self.slots = slots
        self.programs = [
            TreeProgram(
                group, structure, query.observed, targets, slots, tables, potentials.lows, semiring
            )
            for group in plan.groups
        ]
        self._constants = [(f, structure.scopes[f]) for f in plan.constants]
        self._clique_of: dict[int, tuple[int, ...]] | None = None
        self._where: tuple[np.ndarray | None, int, list[tuple[int, int, int]]] | None = None

    def collect(self, posed: Posed) -> float:
        """Upward pass of all groups; return the log of the total of the product of all tables.

        Raises:
            UnderflowRisk: linear tables cannot be trusted for these numbers.
        """
        if self.semiring.linear and posed.tiny:
            raise UnderflowRisk
        states = posed.states
        weights = posed.weights if self.semiring.linear else posed.log_weights
        total = 0.0
        for factor, scope in self._constants:
            total += self.potentials.log_entry(factor, [states.get(v, 0) for v in scope])
        for program in self.programs:
            value = program.collect(states, weights)
            if program.group.complete:
                total += value
        return total

    def marginals(self) -> np.ndarray:
        """Downward pass; return all targets' marginals in one vector, each summing to one.

        Each target's axes come in the order in which its clique holds them.
        """
        for program in self.programs:
            program.distribute()
        values = self._marginals
        if len(values):
            if not self.semiring.linear:
                peaks = np.maximum.reduceat(values, self._starts)
                np.exp(values - peaks.take(self._segment), out=values)
            totals = np.add.reduceat(values, self._starts)
            values /= totals.take(self._segment)
        return values

    def expand(self, values: np.ndarray, states: Mapping[int, int]) -> np.ndarray:
        """Put single-variable marginals back among all states of the model.

        Arguments:
            values: what :meth:`marginals` returned, single variables only.
            states: original codes of the observed variables.
        """
        if self._where is None:
            self._where = self._places()
        index, size, observed = self._where
        if index is None:
            return values.copy()
        if observed:
            index = index.copy()
            for position, start, v in observed:
                index[position] = start + states[v]
        full = np.zeros(size)
        full[index] = values
        return full

    def _places(self) -> tuple[np.ndarray | None, int, list[tuple[int, int, int]]]:
        """Where each marginal entry belongs; entries of observed variables are set per run."""
        potentials, query = self.potentials, self.plan.query
        places: list[int] = []
        observed: list[tuple[int, int, int]] = []
        start = 0
        for (v,) in query.targets:
            kept, card = potentials.states[v], potentials.cards[v]
            if v in query.observed:
                observed.append((len(places), start, v))
                places.append(start)
            elif kept is None:
                places.extend(range(start, start + card))
            else:
                places.extend((kept + start).tolist())
            start += card
        if len(places) == start and not observed:
            return None, start, observed
        return np.array(places, dtype=np.intp), start, observed

    def table(self, index: int) -> np.ndarray:
        """The marginal of a target after :meth:`marginals`, axes in the order of its scope."""
        if self._clique_of is None:
            self._clique_of = {
                target: program.tree.cliques[clique]
                for program in self.programs
                for target, clique in program.group.reads
            }
        scope = self.targets[index]
        order = [v for v in self._clique_of.get(index, ()) if v in scope]
        cards = self.potentials.structure.cards
        table = self.slots[index].reshape([cards[v] for v in order])
        return table.transpose([order.index(v) for v in scope])
