"""Tree-reweighted message passing: an upper bound on the log partition function.

.. math:: \\log Z(\\theta) \\le \\sum_T P(T) \\log Z(\\theta_T), \\qquad
          \\sum_T P(T)\\, \\theta_T = \\theta
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, overload

import numpy as np
import torch
from torch import Tensor

from inference.approximate.factor_groups import FactorGroups
from inference.approximate.log_messages import LogMessages
from inference.approximate.pairwise import IsingGrid, PairwiseArrays, pose
from inference.approximate.problem import marginals_of
from inference.approximate.result import ApproximateResult
from inference.approximate.schedules import (
    Damping,
    Messages,
    check_settings,
    iterate,
    warn_unconverged,
)
from inference.approximate.spanning_trees import edge_appearance, heaviest_tree
from inference.exact.graph import FactorGraph
from inference.inputs import as_whole
from inference.logspace import log_normalize, logsumexp

__all__ = ["tree_reweighted"]


@overload
def tree_reweighted(
    graph: FactorGraph,
    evidence: Mapping[str, Any] | None = None,
    *,
    edge_updates: int = 0,
    damping: float = 0.5,
    max_iterations: int = 1000,
    tolerance: float = 1e-9,
    progress: bool | None = None,
) -> ApproximateResult[dict[str, Any]]: ...


@overload
def tree_reweighted(
    graph: PairwiseArrays | IsingGrid,
    evidence: None = None,
    *,
    edge_updates: int = 0,
    damping: float = 0.5,
    max_iterations: int = 1000,
    tolerance: float = 1e-9,
    progress: bool | None = None,
) -> ApproximateResult[Tensor]: ...


def tree_reweighted(
    graph: FactorGraph | PairwiseArrays | IsingGrid,
    evidence: Mapping[str, Any] | None = None,
    *,
    edge_updates: int = 0,
    damping: float = 0.5,
    max_iterations: int = 1000,
    tolerance: float = 1e-9,
    progress: bool | None = None,
) -> ApproximateResult[Any]:
    """Bound the log partition function of a pairwise model from above.

    .. math:: \\log Z \\le \\max_{\\mu} \\; \\langle \\theta, \\mu \\rangle + \\sum_v H_v(\\mu_v)
              - \\sum_e \\rho_e I_e(\\mu_e)

    ``log_partition`` is a bound wherever the iteration stops, since what the pseudo-marginals of
    neighbours still disagree by is added to it. It is exact on trees and its gradient by the log
    potentials is that at the fixed point. The marginals are those of the bound's maximiser, and
    mostly worse than those of belief propagation where that converges.

    Arguments:
        graph: a factor graph whose factors, the evidence put in, have at most two variables; or
            a pairwise model as arrays.
        evidence: as :class:`FactorGraph` takes it; for a factor graph only.
        edge_updates: steps of conditional gradient that change how often edges appear in the
            trees, each a run of its own; they tighten the bound. Without, spanning trees are
            uniform.
        damping: share of the old message, in [0, 1).
        max_iterations: most rounds of messages per run.
        tolerance: largest change of a message, whose entries sum to one, that counts as none (in
            damped rounds a quarter of that of its logarithms, relative where they exceed one).
        progress: True, False, or None: a bar if on a terminal.

    Raises:
        ValueError: for a factor of three variables or more, or evidence of probability zero.

    Warns:
        ConvergenceWarning: if the last run stops at ``max_iterations``.

    Reference:
        Wainwright, Jaakkola & Willsky 2005, "A new class of upper bounds on the log partition
        function", eq. 34 and 39 and theorem 2.

    Example:
        >>> from inference import Factor
        >>> agree = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
        >>> ring = [Factor(pair, agree) for pair in (["a", "b"], ["b", "c"], ["a", "c"])]
        >>> graph = FactorGraph({"a": 2, "b": 2, "c": 2}, ring)
        >>> round(graph.log_partition().item(), 4)
        4.0339
        >>> round(tree_reweighted(graph).log_partition.item(), 4)
        4.096
    """
    problem = pose(graph, evidence)
    check_settings(damping, tolerance)
    edge_updates = as_whole("edge_updates", edge_updates, least=0)
    max_iterations = as_whole("max_iterations", max_iterations, least=1)
    model = problem.model.double()
    edges = _edges(model)
    appearance = edge_appearance(len(model.cards), edges)

    def run(start: Tensor | None) -> tuple[LogMessages, Messages[Tensor]]:
        kernel = _kernel(model, appearance)
        with torch.no_grad():
            return kernel, iterate(
                kernel,
                start=start,
                rows=model.rows,
                damping=Damping(damping),
                schedule="synchronous",
                max_iterations=max_iterations,
                tolerance=tolerance,
                progress=progress,
                description="tree-reweighted",
            )

    kernel, found = run(None)
    for update in range(edge_updates):
        tree = heaviest_tree(len(model.cards), edges, _mutual_information(kernel, found.state))
        # Steps shorter than the usual 2 / (t + 2) keep every edge's share well above zero.
        share = 1.0 / (update + 3)
        appearance = (1 - share) * appearance + share * tree
        kernel, found = run(found.state)
    warn_unconverged(found, "tree_reweighted", tolerance, 2)
    bound = kernel.log_partition(found.state) + _disagreement(kernel, found.state, appearance)
    marginals = marginals_of(problem, kernel.beliefs(found.state).detach())
    return problem.answer(found, marginals, bound)


def _edges(model: FactorGroups) -> np.ndarray:
    """Pairs (E, 2) of all groups, one after the other.

    Raises:
        ValueError: if a factor joins more than two variables.
    """
    wide = max([len(group.cards) for group in model.groups], default=2)
    if wide > 2:
        raise ValueError(
            f"graph must be pairwise for tree_reweighted, found a factor over {wide} variables; "
            "use belief_propagation or mean_field"
        )
    parts = [group.scopes.cpu().numpy() for group in model.groups]
    return np.concatenate(parts) if parts else np.zeros((0, 2), dtype=np.int64)


def _split(model: FactorGroups, values: np.ndarray) -> list[Tensor]:
    """Numbers of edges, group by group."""
    tensor = torch.from_numpy(values).to(model.log_nodes.device)
    return list(tensor.split([len(group.scopes) for group in model.groups]))


def _kernel(model: FactorGroups, appearance: np.ndarray) -> LogMessages:
    """Messages of the model whose edges appear in trees that often."""
    weights = _split(model, appearance)
    groups = [
        replace(group, log_tables=group.log_tables / weight)
        for group, weight in zip(model.groups, weights, strict=True)
    ]
    return LogMessages(replace(model, groups=tuple(groups)), weights=weights)


@torch.no_grad()
def _mutual_information(kernel: LogMessages, messages: Tensor) -> np.ndarray:
    """Mutual information (E,) of every edge, nats: minus the bound's slope by its appearance."""
    found = [messages.new_zeros(0)]
    for joint in kernel.factor_beliefs(messages):
        p = log_normalize(joint, (1, 2))
        independent = logsumexp(p, 2, keepdim=True) + logsumexp(p, 1, keepdim=True)
        ratio = (p - independent).masked_fill(p == -torch.inf, 0.0)
        found.append((p.exp() * ratio).sum((0, 1, 2)))
    return torch.cat(found).cpu().numpy()


@torch.no_grad()
def _disagreement(kernel: LogMessages, messages: Tensor, appearance: np.ndarray) -> Tensor:
    """What the bound lacks (B,) while beliefs of edges and variables do not agree.

    A tree's law, written as a product of its beliefs, sums to at most the product over its edges
    of the largest ratio between an edge's belief about a variable and the variable's own.
    """
    model = kernel.model
    belief = kernel.beliefs(messages)
    own = belief - logsumexp(model.by_variable(belief), -1).repeat_interleave(
        torch.tensor(model.cards, dtype=torch.int64, device=belief.device), dim=1
    )
    lacking = belief.new_zeros(len(belief))
    weights = _split(model, appearance)
    joints = kernel.factor_beliefs(messages)
    for group, joint, weight in zip(model.groups, joints, weights, strict=True):
        p = log_normalize(joint, (1, 2))
        worst = p.new_zeros((len(p), p.shape[-1]))
        for slot in (0, 1):
            told = logsumexp(p, 2 - slot)
            ratio = told - own[:, group.states(model.offsets, slot)]
            # Impossible states, -inf on both sides, have nothing to disagree about.
            worst = torch.maximum(worst, ratio.masked_fill(told == -torch.inf, 0.0).amax(1))
        lacking = lacking + (weight * worst).sum(1)
    return lacking
