"""The upward pass in log space, recorded by autograd: any device, batched, any range of numbers.

.. math:: \\log m_c = \\operatorname{logsumexp}_{res(c)} \\Bigl(\\sum_{f \\in c} \\log\\phi_f
          + \\sum_{k \\in ch(c)} \\log m_k\\Bigr)

Gradients of the result are marginals (Darwiche 2003): the derivative of log Z by
:math:`\\log \\phi_f(x)` is the probability of x. Slower than the compiled linear passes, but it
differentiates, twice if asked, and cannot underflow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from inference.exact.plan import Group, Plan
from inference.logspace import logsumexp

__all__ = ["log_collect"]


def log_collect(
    plan: Plan,
    log_tables: Sequence[Tensor],
    states: Mapping[int, int],
    log_weights: Mapping[int, Tensor],
    probes: Sequence[tuple[Sequence[int], Tensor]] = (),
) -> Tensor:
    """Return log Z of a plan as a differentiable tensor.

    Arguments:
        plan: where factors meet; must hold every component (see ``Group.complete``).
        log_tables: per factor (*shape) or (B, *shape), over the plan's states.
        states: state of every observed variable of the plan.
        log_weights: log likelihood (card,) or (B, card) of every weighted variable.
        probes: further log tables with their scopes (of unobserved variables that share a
            clique); the gradient by a table of zeros is the marginal of its scope.

    Shapes:
        result: () or (B,).
    """
    parts = []
    for factor in plan.constants:
        scope = plan.structure.scopes[factor]
        parts.append(log_tables[factor][(..., *[states.get(v, 0) for v in scope])])
    for v in plan.query.weighted & plan.cut:
        parts.append(log_weights[v][..., 0])
    for group in plan.groups:
        if group.complete:
            operands = _operands(group, plan, log_tables, states, log_weights)
            for scope, table in probes:
                if plan.live(scope):
                    clique = group.tree.home(scope)
                    axis = {v: i for i, v in enumerate(group.tree.cliques[clique])}
                    batched = table.ndim > len(scope)
                    operands[clique].append(_align(table, list(scope), axis, batched))
            parts += _collect_group(group, operands)
    if not parts:
        like = log_tables[0] if log_tables else torch.zeros(0, dtype=torch.float64)
        return like.new_zeros(())
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def _operands(
    group: Group,
    plan: Plan,
    log_tables: Sequence[Tensor],
    states: Mapping[int, int],
    log_weights: Mapping[int, Tensor],
) -> list[list[Tensor]]:
    """Factors and likelihoods of every clique, aligned with its axes."""
    tree, cut = group.tree, plan.cut
    operands: list[list[Tensor]] = [[] for _ in tree.cliques]
    axis = [{v: i for i, v in enumerate(clique)} for clique in tree.cliques]
    for factor, clique in group.homes:
        scope = plan.structure.scopes[factor]
        table = log_tables[factor]
        batched = table.ndim > len(scope)
        if any(v in cut for v in scope):
            index = [states.get(v, 0) if v in cut else slice(None) for v in scope]
            table = table[(slice(None), *index) if batched else tuple(index)]
        live = list(plan.live(scope))
        operands[clique].append(_align(table, live, axis[clique], batched))
    for variable, clique in group.weights:
        weight = log_weights[variable]
        operands[clique].append(_align(weight, [variable], axis[clique], weight.ndim > 1))
    return operands


def _collect_group(group: Group, operands: list[list[Tensor]]) -> list[Tensor]:
    """Log totals of the roots of one group."""
    tree = group.tree
    axis = [{v: i for i, v in enumerate(clique)} for clique in tree.cliques]
    totals = []
    for c, parent in enumerate(tree.parents):
        table = _sum(operands[c], tree.shapes[c])
        residual = tree.residuals[c]
        message = logsumexp(table, tuple(range(1, residual + 1)))
        if parent < 0:
            totals.append(message[0] if len(message) == 1 else message)
        else:
            separator = list(tree.cliques[c][residual:])
            operands[parent].append(_align(message, separator, axis[parent], True))
        operands[c] = []
    return totals


def _align(table: Tensor, variables: list[int], axis: Mapping[int, int], batched: bool) -> Tensor:
    """Give a table the axes (batch, *clique)."""
    if not batched:
        table = table.unsqueeze(0)
    order = sorted(range(len(variables)), key=lambda i: axis[variables[i]])
    table = table.permute(0, *[i + 1 for i in order])
    shape = [1] * len(axis)
    for position, i in enumerate(order):
        shape[axis[variables[i]]] = table.shape[position + 1]
    return table.reshape(table.shape[0], *shape)


def _sum(tables: list[Tensor], shape: Sequence[int]) -> Tensor:
    """Add broadcastable log tables, small ones first, and expand to the clique."""
    if not tables:
        return torch.zeros((1, *shape), dtype=torch.float64)
    tables = sorted(tables, key=Tensor.numel)
    total = tables[0]
    for table in tables[1:]:
        total = total + table
    return total.expand(total.shape[0], *shape)
