"""A question to an approximate method: the model as arrays, and names for the answer.

.. math:: p(x) \\propto \\prod_f \\phi_f(x_{S_f}), \\qquad x \\sim e
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Generic

import torch
from torch import Tensor

from inference.approximate.factor_groups import FactorGroups, group_factors
from inference.approximate.odds import EdgeList, Neighborhood
from inference.approximate.result import ApproximateResult, Named
from inference.approximate.schedules import Messages
from inference.exact.evidence import Evidence, Variables
from inference.exact.factor import Factor
from inference.exact.graph import FactorGraph
from inference.logspace import log_normalize

__all__ = ["GraphProblem", "Problem", "marginals_of"]


class Problem(ABC, Generic[Named]):
    """Abstract: a compiled model, and how its variables are spoken of.

    Attributes:
        model: the arrays.
        batched: whether results have a leading axis of rows.
    """

    model: FactorGroups
    batched: bool

    @abstractmethod
    def name_marginals(self, marginals: Tensor) -> Named:
        """Marginals (B, V, q_max) as the user wants them."""

    @abstractmethod
    def name_states(self, codes: Tensor) -> Named:
        """State codes (B, V) as the user wants them."""

    @abstractmethod
    def describe(self) -> str:
        """What was asked, for a message."""

    def neighborhood(self) -> Neighborhood:
        """How messages along the edges of a model with one group of pair factors meet."""
        return EdgeList(self.model.groups[0].scopes)

    def unbatch(self, values: Tensor) -> Tensor:
        """Drop the leading axis that one graph does not have."""
        return values if self.batched else values.squeeze(0)

    def answer(
        self,
        found: Messages[Any],
        marginals: Tensor,
        log_partition: Tensor,
        most_probable: Named | None = None,
    ) -> ApproximateResult[Named]:
        """What a method hands back of marginals (B, V, q_max) and a value (B,) where it ended."""
        return ApproximateResult(
            self.name_marginals(marginals),
            self.unbatch(log_partition),
            self.unbatch(found.converged),
            self.unbatch(found.residual),
            found.iterations,
            most_probable,
        )


class GraphProblem(Problem[dict[str, Any]]):
    """A factor graph given evidence: observed variables and single states are taken out.

    Arguments:
        graph: the factor graph.
        evidence: as :class:`FactorGraph` takes it.

    Raises:
        TypeError, ValueError: what the evidence is refused for.

    Example:
        >>> g = FactorGraph({"a": 2, "b": 3}, [Factor(["a", "b"], torch.zeros(2, 3))])
        >>> GraphProblem(g, {"a": 1}).model.cards
        (3,)
    """

    def __init__(self, graph: FactorGraph, evidence: Mapping[str, Any] | None) -> None:
        self._variables = Variables(graph.cardinalities)
        self._given = self._variables.evidence(evidence)
        self._device = graph.device
        names, cards = self._variables.names, self._variables.cards
        codes, weights = self._given.log_weights(cards, graph.device)
        self._fixed = {v: codes.get(v, 0) for v, q in enumerate(cards) if v in codes or q == 1}
        self.free = [v for v in range(len(cards)) if v not in self._fixed]
        self.rows = _rows(graph, self._given)
        self.batched = self.rows is not None
        soft = [Factor([names[v]], weight) for v, weight in weights.items()]
        # A free variable's place in the model's arrays.
        self._number = {names[v]: place for place, v in enumerate(self.free)}
        fixed = {names[v]: code for v, code in self._fixed.items()}
        self.factors = [_conditioned(factor, fixed) for factor in (*graph.factors, *soft)]
        self.model = group_factors(
            [cards[v] for v in self.free],
            [[self._number[name] for name in factor.scope] for factor in self.factors],
            [factor.log_values for factor in self.factors],
            rows=self.rows,
            device=graph.device,
        )

    @property
    def free_cardinalities(self) -> dict[str, int]:
        """Number of states of the variables that the arrays know, in their order."""
        names, cards = self._variables.names, self._variables.cards
        return {names[v]: cards[v] for v in self.free}

    def number(self, name: str, argument: str) -> int | None:
        """Place of a variable among the arrays' variables; None for one that is taken out."""
        v = self._variables.number(name, argument)
        return self._number.get(self._variables.names[v])

    def name_marginals(self, marginals: Tensor) -> dict[str, Any]:
        """Marginals by name, those of observed variables included."""
        rows = marginals.shape[0]
        columns = dict(zip(self.free, marginals.unbind(1), strict=True))
        impossible = self.model.log_constant.detach().expand(rows) == -torch.inf
        if columns:
            impossible = impossible | marginals.detach().isnan().any(2).any(1)
        found = {}
        for v, (name, card) in enumerate(
            zip(self._variables.names, self._variables.cards, strict=True)
        ):
            if v in columns:
                found[name] = self.unbatch(columns[v][:, :card])
                continue
            sure = marginals.new_zeros((rows, card))
            sure[:, self._fixed[v]] = 1.0
            found[name] = self.unbatch(sure.masked_fill(impossible[:, None], torch.nan))
        return found

    def name_states(self, codes: Tensor) -> dict[str, Any]:
        """State codes by name: ints, or (B,) for a batch."""
        columns = dict(zip(self.free, codes.unbind(1), strict=True))
        whole = {
            name: columns[v] if v in columns else codes.new_full((len(codes),), self._fixed[v])
            for v, name in enumerate(self._variables.names)
        }
        if self.batched:
            return whole
        return {name: int(column) for name, column in whole.items()}

    def describe(self) -> str:
        """The evidence."""
        return f"evidence {self._variables.describe(self._given)}"


def marginals_of(problem: Problem[Any], belief: Tensor) -> Tensor:
    """Beliefs (B, S), not normalised, as marginals (B, V, q_max).

    Rows in which a variable has no state left, or that weigh nothing at all, are NaN.

    Raises:
        ValueError: if there is no batch and the only row is such a one.
    """
    lost = problem.model.log_constant.detach().expand(len(belief)) == -torch.inf
    table = problem.model.by_variable(belief)
    if problem.model.cards:
        lost = lost | (table.detach() == -torch.inf).all(2).any(1)
    if not problem.batched and bool(lost):
        raise ValueError(f"{problem.describe()} has probability zero under this model")
    return log_normalize(table, -1).exp().masked_fill(lost[:, None, None], torch.nan)


def _rows(graph: FactorGraph, given: Evidence) -> int | None:
    """Number of rows of a batch of factors or evidence; None without one."""
    batches = {factor.log_values.shape[0] for factor in graph.factors if factor.batched}
    own = batches.pop() if batches else None
    if own is not None and given.rows not in (None, own):
        raise ValueError(f"evidence has {given.rows} rows but the factors a batch of {own}")
    return own if own is not None else given.rows


def _conditioned(factor: Factor, fixed: Mapping[str, int]) -> Factor:
    """The factor at the known states; the same object where it has none."""
    known = {name: fixed[name] for name in factor.scope if name in fixed}
    return factor.condition(known) if known else factor
