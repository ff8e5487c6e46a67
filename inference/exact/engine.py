"""The exact engine: remembers plans and bound programs, and answers queries by variable number."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
import torch

from inference.exact.bounds import SAFE_LOG, UnderflowRisk
from inference.exact.evidence import Evidence
from inference.exact.execute import BoundPlan
from inference.exact.flat import FlatProgram
from inference.exact.flat_layout import flat_layout
from inference.exact.joint import JointTable
from inference.exact.maximum import decode
from inference.exact.plan import MERGE_ALLOWANCE, Plan, Query, Scopes, make_plan
from inference.exact.posed import Posed
from inference.exact.potentials import Potentials
from inference.exact.recent import Recent
from inference.exact.sample import ancestral_draws, run_draws, tree_draws
from inference.exact.semiring import MAX_LOG, SUM_LINEAR, SUM_LOG, Semiring
from inference.exact.structure import Structure
from inference.memory import allowed_memory, readable_bytes

__all__ = ["ExactEngine"]

#: Plans remembered, bytes of tables that bound plans may keep between queries, and queries
#: recognised when they come back.
REMEMBERED_PLANS = 64
REMEMBERED_BYTES = 1 << 29
REMEMBERED_QUERIES = 4096
#: Trees over all variables up to these sizes run batches as flat programs.
FLAT_TREE = 3_000_000
FLAT_ENTRIES = 200_000
#: Evidence sets not met before share one plan of at most this size.
SHARED_TREE = 20_000_000
#: numpy's limit.
MOST_AXES = 64


class ExactEngine:
    """Exact log Z, marginals, most probable states and samples of one factorised model.

    Methods take :class:`Evidence` and variable numbers; impossible evidence gives -inf from
    :meth:`log_evidence` and None from the others.

    Arguments:
        structure: cardinalities, scopes and heads of the model.
        names: variable names, for messages.
        memory_limit: bytes that the tables of one query may take (default: half of what is
            free).
    """

    def __init__(
        self, structure: Structure, names: Sequence[str], memory_limit: int | None = None
    ) -> None:
        if memory_limit is not None and not isinstance(memory_limit, Real):
            raise TypeError(
                f"memory_limit must be a number of bytes or None, found {memory_limit!r}"
            )
        self.structure = structure
        self.names = tuple(names)
        self.memory_limit = memory_limit
        self._potentials: Potentials | None = None
        self.lock = threading.RLock()
        self._singles = Scopes([(v,) for v in range(len(structure.cards))])
        self._shared = Query(frozenset(), frozenset(range(len(self._singles))), self._singles)
        self._met: Recent[bool] = Recent(REMEMBERED_QUERIES)
        self._plans: Recent[Plan] = Recent(REMEMBERED_PLANS)
        self._bound: Recent[BoundPlan] = Recent(REMEMBERED_PLANS, REMEMBERED_BYTES)
        self._flat: dict[torch.device, FlatProgram | None] = {}
        self._joint: JointTable | None = None
        self._small = False
        self.generation = 0

    def __getstate__(self) -> dict[str, Any]:
        return {
            "structure": self.structure,
            "names": self.names,
            "memory_limit": self.memory_limit,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        fresh = ExactEngine(**state)
        self.__dict__.update(fresh.__dict__)

    @property
    def loaded(self) -> bool:
        """Whether :meth:`load` was called (a copy of an engine starts without numbers)."""
        return self._potentials is not None

    @property
    def potentials(self) -> Potentials:
        """The numbers last given to :meth:`load`."""
        if self._potentials is None:
            raise RuntimeError("load() the tables before asking")
        return self._potentials

    def load(
        self, values: np.ndarray, log_scale: float = 0.0, logs: np.ndarray | None = None
    ) -> None:
        """Take new numbers: the arguments of :meth:`Potentials.from_values`."""
        with self.lock:
            fresh = Potentials.from_values(self.structure, values, log_scale, logs)
            old = self._potentials
            if old is not None and old.structure.cards != fresh.structure.cards:
                self._plans.clear()
            self._bound.clear()
            self._flat.clear()
            self._joint, self._small = None, JointTable.fits(fresh)
            self._potentials = fresh
            self.generation += 1

    # Plans -----------------------------------------------------------------------------------

    def plan(self, query: Query, allowance: int = MERGE_ALLOWANCE) -> Plan:
        """Plan a query over the possible states, or recall the plan."""
        key = (query, allowance)
        found = self._plans.get(key)
        if found is None:
            structure = self.potentials.structure if self.loaded else self.structure
            found = self._plans.put(key, make_plan(structure, query, allowance))
        return found

    def plan_for(self, evidence: Evidence, variables: Sequence[int]) -> Plan:
        """The plan that :meth:`marginals` would follow."""
        with self.lock:
            return self.plan(_query(evidence, tuple([(v,) for v in variables])))

    def _bind(
        self, query: Query, semiring: Semiring = SUM_LINEAR, allowance: int = MERGE_ALLOWANCE
    ) -> BoundPlan:
        key = (query, semiring.name, allowance)
        found = self._bound.get(key)
        if found is None:
            plan = self.plan(query, allowance)
            plan.check_memory(self.memory_limit, self.names)
            bound = BoundPlan(plan, self.potentials, semiring)
            found = self._bound.put(key, bound, plan.bytes)
        return found

    # Single queries --------------------------------------------------------------------------

    def _collect(
        self, posed: Posed, query: Query, allowance: int = MERGE_ALLOWANCE
    ) -> tuple[BoundPlan, float]:
        """Upward pass in linear tables, or in log space where those could lose entries."""
        try:
            bound = self._bind(query, SUM_LINEAR, allowance)
            return bound, bound.collect(posed)
        except UnderflowRisk:
            bound = self._bind(query, SUM_LOG, allowance)
            return bound, bound.collect(posed)

    def _joint_table(self, posed: Posed) -> JointTable | None:
        """The table of all joint states, where it is small and this evidence safe in it."""
        if not self._small:
            return None
        if self._joint is None:
            self._joint = JointTable(self.potentials)
        return self._joint if self._joint.safe_for(posed) else None

    def _shared_or_own(self, posed: Posed, query: Query) -> tuple[Posed, Query]:
        """Choose between a plan for these observed variables and one for any.

        Planning pays once a set of observed variables comes back. Until then its query runs, as
        likelihoods, on the plan that all such queries share, unless that plan's tree is too
        large or it is the very first query.
        """
        if self._met.get(query) is not None:
            return posed, query
        first = not len(self._met)
        self._met.put(query, True)
        if first:
            return posed, query
        shared = self.plan(self._shared)
        limit = self.memory_limit
        if shared.entries > SHARED_TREE or (limit is not None and shared.bytes > limit):
            return posed, query
        return posed.softened(self.potentials), self._shared

    def log_evidence(self, evidence: Evidence) -> float:
        """Log of the summed weight of all states that agree with the evidence; -inf if none."""
        with self.lock:
            posed = Posed(evidence, self.potentials)
            if not posed.possible:
                return -math.inf
            joint = self._joint_table(posed)
            if joint is not None:
                return joint.log_evidence(posed) + posed.log_scale
            posed, query = self._shared_or_own(posed, _query(posed, ()))
            return self._collect(posed, query)[1] + posed.log_scale

    def marginals(self, evidence: Evidence, variables: Sequence[int]) -> np.ndarray | None:
        """Posterior of each variable, one after the other, over the model's own states.

        A range of variables means all of them.
        """
        with self.lock:
            posed = Posed(evidence, self.potentials)
            if not posed.possible:
                return None
            joint = self._joint_table(posed)
            if joint is not None:
                return joint.marginals(posed, variables)
            everything = isinstance(variables, range)
            targets = self._singles if everything else tuple([(v,) for v in variables])
            posed, query = self._shared_or_own(posed, _query(posed, targets))
            bound, value = self._collect(posed, query)
            if value == -math.inf:
                return None
            found = bound.expand(bound.marginals(), evidence.states)
            if everything or query is not self._shared:
                return found
            ends = np.cumsum((0, *self.structure.cards))
            parts = [found[ends[v] : ends[v + 1]] for v in variables]
            return np.concatenate(parts) if parts else found[:0]

    def joint(self, evidence: Evidence, scope: Sequence[int]) -> np.ndarray | None:
        """Joint posterior of several variables, axes in the order of ``scope``."""
        with self.lock:
            potentials = self.potentials
            posed = Posed(evidence, potentials)
            if not posed.possible:
                return None
            size = 8 * math.prod([potentials.cards[v] for v in scope])
            limit = allowed_memory(self.memory_limit)
            if size > limit or len(scope) > MOST_AXES:
                raise ValueError(
                    f"the joint table of {len(scope)} variables needs {readable_bytes(size)}, "
                    f"memory_limit is {readable_bytes(limit)} and a table has at most "
                    f"{MOST_AXES} axes: ask for fewer variables, or for samples"
                )
            live = tuple([v for v in scope if v not in posed.states])
            bound, value = self._collect(posed, _query(posed, (live,)))
            if value == -math.inf:
                return None
            bound.marginals()
            full = np.zeros([potentials.cards[v] for v in scope])
            _place(full, bound.table(0), scope, evidence, potentials)
            return full

    def factor_marginals(
        self, evidence: Evidence, factors: Sequence[int] | None = None
    ) -> np.ndarray:
        """Posterior of every factor's scope, one after the other; zeros if impossible.

        With ``factors`` given only theirs; the others' places hold zeros.
        """
        with self.lock:
            potentials, structure = self.potentials, self.structure
            full = np.zeros(structure.offsets[-1])
            posed = Posed(evidence, potentials)
            if not posed.possible:
                return full
            chosen = range(len(structure.scopes)) if factors is None else factors
            live = tuple(
                [tuple([v for v in structure.scopes[f] if v not in posed.states]) for f in chosen]
            )
            bound, value = self._collect(posed, _query(posed, live))
            if value == -math.inf:
                return full
            bound.marginals()
            offsets = structure.offsets
            for position, factor in enumerate(chosen):
                view = full[offsets[factor] : offsets[factor + 1]]
                view = view.reshape(structure.shapes[factor])
                _place(view, bound.table(position), structure.scopes[factor], evidence, potentials)
            return full

    def most_probable(self, evidence: Evidence) -> tuple[np.ndarray, float] | None:
        """Codes of a most probable state of all variables, and the log of its weight."""
        with self.lock:
            potentials = self.potentials
            posed = Posed(evidence, potentials)
            if not posed.possible:
                return None
            bound = self._bind(_query(posed, (), everything=True), MAX_LOG)
            value = bound.collect(posed)
            if value == -math.inf:
                return None
            codes = np.zeros(len(potentials.cards), dtype=np.int64)
            for program in bound.programs:
                decode(program, codes)
            for v, state in posed.states.items():
                codes[v] = state
            for v, kept in enumerate(potentials.states):
                if kept is not None:
                    codes[v] = kept[codes[v]]
            return codes, value + posed.log_scale

    def sample(
        self, evidence: Evidence, n: int, generator: np.random.Generator
    ) -> np.ndarray | None:
        """Independent joint samples given the evidence, (n, V) codes."""
        with self.lock:
            potentials = self.potentials
            posed = Posed(evidence, potentials)
            if not posed.possible:
                return None
            structure = potentials.structure
            if not posed.states and not posed.weights and not structure.undirected_factors:
                draws = ancestral_draws(structure, potentials.tables)
            else:
                # Unmerged cliques: fewer joint states per draw.
                bound, value = self._collect(posed, _query(posed, (), everything=True), 0)
                if value == -math.inf:
                    return None
                draws = [draw for program in bound.programs for draw in tree_draws(program)]
            return run_draws(draws, n, posed.states, potentials.states, generator)

    def flat_program(self, device: torch.device) -> FlatProgram | None:
        """The flat program over all variables, or None where the tree is too large for it."""
        if device not in self._flat:
            self._flat[device] = self._make_flat(device)
        return self._flat[device]

    def _make_flat(self, device: torch.device) -> FlatProgram | None:
        potentials = self.potentials
        if potentials.empty or min(potentials.lows, default=0.0) < SAFE_LOG:
            return None
        plan = make_plan(potentials.structure, self._shared, allowance=0, split=False)
        limit = self.memory_limit
        if plan.entries > FLAT_TREE or (limit is not None and plan.bytes > limit):
            return None
        layout = flat_layout(plan, potentials)
        if layout.margin < 0 or not 0 < layout.entries <= FLAT_ENTRIES:
            return None
        return FlatProgram(layout, device)


def _query(
    posed: Posed | Evidence, targets: tuple[tuple[int, ...], ...], everything: bool = False
) -> Query:
    return Query(frozenset(posed.states), frozenset(posed.weights), targets, everything)


def _place(
    full: np.ndarray,
    table: np.ndarray,
    scope: Sequence[int],
    evidence: Evidence,
    potentials: Potentials,
) -> None:
    """Write a marginal over the unobserved, possible states into a table over all states."""
    index = []
    for v in scope:
        kept = potentials.states[v]
        if v in evidence.states:
            index.append(np.array([evidence.states[v]]))
        else:
            index.append(np.arange(potentials.cards[v]) if kept is None else kept)
    if index:
        full[np.ix_(*index)] = table.reshape([len(i) for i in index])
    else:
        full[...] = table
