"""Exact sums over the hidden units of a sigmoid belief network, state by state.

.. math:: \\log p(v) = \\log \\sum_h p(v, h)

The rows are taken together by which of their units are missing. Among these, a unit is summed
over only if something observed lies below it: all others drop out of the sum.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from inference.exact.enumerate import enumerate_states
from pgm.sigmoid.structure import Parameters, UnitGraph, softplus

__all__ = [
    "MOST_HIDDEN",
    "Pattern",
    "check_finite",
    "exact_log_prob",
    "exact_marginals",
    "log_joint",
    "patterns",
]

#: Most hidden units of a row that are summed over.
MOST_HIDDEN = 20

#: Numbers held at a time.
_CHUNK = 2**22


class Pattern(NamedTuple):
    """Rows with the same units missing.

    ``hidden`` are the units summed over, ``states`` (2^H, H) their joint states, and ``kept``
    (n,) tells whose conditionals take part.
    """

    rows: Tensor
    hidden: Tensor
    states: Tensor
    kept: Tensor


def patterns(graph: UnitGraph, rows: Tensor, *, leaves_only: bool = False) -> list[Pattern]:
    """Take rows together by their missing units.

    Arguments:
        graph: the units.
        rows: (n, units), -1 where missing.
        leaves_only: whether only units without children drop out, not all those without an
            observed descendant; a marginal of what drops out is then one step away.

    Raises:
        ValueError: if a row has more than ``MOST_HIDDEN`` units to sum over.
    """
    distinct, inverse = torch.unique(rows < 0, dim=0, return_inverse=True)
    if leaves_only:
        kept = ~distinct | torch.from_numpy(graph.adjacency.any(1)).to(rows.device)
    else:
        kept = graph.with_ancestors(~distinct)
    counts = (distinct & kept).sum(1).tolist()
    if (most := max(counts, default=0)) > MOST_HIDDEN:
        row = int((inverse == counts.index(most)).nonzero()[0])
        raise ValueError(
            f"row {row} has {most} hidden units to sum over, which have 2^{most} joint states; "
            f"the limit is {MOST_HIDDEN}. Use the method 'mean-field' or 'gibbs' for posteriors, "
            "'wake-sleep' or 'variational' for learning, or to_bayesian_network() where no unit "
            "has many parents"
        )
    found = []
    for number, hidden in enumerate(distinct & kept):
        states = enumerate_states([2] * counts[number], device=rows.device).to(rows.dtype)
        own_rows = (inverse == number).nonzero().squeeze(1)
        found.append(Pattern(own_rows, hidden.nonzero().squeeze(1), states, kept[number]))
    return found


def log_joint(
    graph: UnitGraph, parameters: Parameters, rows: Tensor, pattern: Pattern
) -> Iterator[tuple[Tensor, Tensor]]:
    """Log-probability of every row of a pattern with every state of its hidden units.

    .. math:: \\log p(v, h) = \\sum_k \\bigl[x_k a_k - \\log(1 + e^{a_k})\\bigr], \\qquad
              a_k = b_k + \\sum_{i \\in v} w_{ik} v_i + \\sum_{j \\in h} w_{jk} h_j

    Only the units with parents of both kinds need a number per row and state and unit.

    Yields:
        Positions of some rows (R,), and their log-probabilities (R, 2^H), nats.
    """
    weights, bias = parameters
    hidden, states, kept = pattern.hidden, pattern.states, pattern.kept
    arrows = torch.from_numpy(graph.adjacency).to(rows.device)
    is_hidden = torch.zeros_like(kept).index_fill(0, hidden, True)
    above_hidden = arrows[is_hidden].any(0)
    above_seen = arrows[~is_hidden].any(0)
    mixed = (kept & above_hidden & above_seen).nonzero().squeeze(1)
    by_state = (kept & ~above_seen).nonzero().squeeze(1)
    by_row = (kept & above_seen & ~above_hidden).nonzero().squeeze(1)

    down = weights[hidden]  # (H, n)
    own = _state_terms(bias, down, pattern, by_state)
    size = max(1, _CHUNK // len(states))
    for some in pattern.rows.split(size):
        seen = rows[some].clamp_min(0)
        from_seen = bias + seen @ weights  # (R, n)
        counted = seen * kept
        fixed = (counted * from_seen).sum(1) - softplus(from_seen[:, by_row]).sum(1)
        total = fixed[:, None] + own + (counted @ down.T + from_seen[:, hidden]) @ states.T
        for units in mixed.split(max(1, _CHUNK // total.numel())):
            total = total - softplus(from_seen[:, None, units] + states @ down[:, units]).sum(2)
        yield some, total


def _state_terms(bias: Tensor, down: Tensor, pattern: Pattern, units: Tensor) -> Tensor:
    """What depends on the hidden state alone, (2^H,): ``units`` have no parent that is seen."""
    found = []
    for states in pattern.states.split(max(1, _CHUNK // len(bias))):
        linear = (states * (states @ down[:, pattern.hidden])).sum(1)
        found.append(linear - softplus(bias[units] + states @ down[:, units]).sum(1))
    return torch.cat(found)


def exact_log_prob(graph: UnitGraph, parameters: Parameters, rows: Tensor) -> Tensor:
    """Log-probability of what is known of every row, (n,), nats, with gradients.

    Sums over hidden units are made in double precision: they are differences of large numbers.
    """
    check_finite(parameters)
    if (rows >= 0).all():
        return graph.log_prob(rows, parameters)
    wide, exact = _double(rows, parameters)
    where, values = [], []
    for pattern in patterns(graph, wide):
        for some, table in log_joint(graph, exact, wide, pattern):
            where.append(some)
            values.append(torch.logsumexp(table, 1).to(rows))
    return torch.empty_like(rows[:, 0]).index_copy(0, torch.cat(where), torch.cat(values))


def exact_marginals(graph: UnitGraph, parameters: Parameters, rows: Tensor) -> Tensor:
    """Posterior probability of a one for every unit, (n, units); observed entries as they are."""
    check_finite(parameters)
    kind = rows.dtype
    rows, parameters = _double(rows, parameters)
    found = rows.clone()
    for pattern in patterns(graph, rows, leaves_only=True):
        hidden, states = pattern.hidden, pattern.states
        leaves = (~pattern.kept).nonzero().squeeze(1)
        for some, table in log_joint(graph, parameters, rows, pattern):
            shares = torch.softmax(table, 1)
            found[some[:, None], hidden] = _share(shares @ states, shares @ (1 - states))
            seen = rows[some].clamp_min(0)
            from_seen = parameters.bias + seen @ parameters.weights
            for units in leaves.split(max(1, _CHUNK // table.numel())):
                from_hidden = states @ parameters.weights[hidden][:, units]
                odds = from_seen[:, None, units] + from_hidden
                on, off = ((shares[:, :, None] * torch.sigmoid(o)).sum(1) for o in (odds, -odds))
                found[some[:, None], units] = _share(on, off)
    return found.to(kind)


def check_finite(parameters: Parameters) -> None:
    """Refuse parameters that are not finite: their sums would be 0 times infinity."""
    for name, value in (("weights", parameters.weights), ("bias", parameters.bias)):
        if not value.isfinite().all():
            first = value[~value.isfinite()][0].item()
            raise ValueError(
                f"{name} must be finite, found {first}; sigmoid units are never certain, "
                "use BayesianNetwork for tables with zeros"
            )


def _double(rows: Tensor, parameters: Parameters) -> tuple[Tensor, Parameters]:
    return rows.double(), Parameters(*[value.double() for value in parameters])


def _share(on: Tensor, off: Tensor) -> Tensor:
    """Probability of a one, never above one by rounding."""
    return on / (on + off)
