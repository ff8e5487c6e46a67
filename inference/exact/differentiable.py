"""Log evidence as a function of all log tables, with gradients at the price of two passes.

.. math:: \\frac{\\partial \\log Z(e)}{\\partial \\log \\phi_f(x_{S_f})} = p(x_{S_f} \\mid e)
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from inference.exact.engine import ExactEngine
from inference.exact.evidence import Evidence
from inference.exact.log_collect import log_collect
from inference.exact.plan import Query, make_plan
from inference.exact.structure import Structure

__all__ = ["cut_tables", "log_evidence", "log_evidence_recorded"]


def cut_tables(structure: Structure, flat: Tensor) -> list[Tensor]:
    """View a flat vector of all tables, (total,) or (B, total), as one tensor per factor."""
    offsets, lead = structure.offsets, flat.shape[:-1]
    return [
        flat[..., start:stop].reshape((*lead, *shape))
        for start, stop, shape in zip(offsets, offsets[1:], structure.shapes, strict=False)
    ]


def log_evidence_recorded(
    engine: ExactEngine,
    log_tables: list[Tensor],
    given: Evidence,
    probes: tuple[tuple[tuple[int, ...], Tensor], ...] = (),
) -> Tensor:
    """Log evidence recorded by autograd; see :func:`log_collect`.

    Runs over all states, possible or not: which ones are impossible may change as the tables
    are learned.

    Shapes:
        result: (), or (B,) for a batch of rows or tables.
    """
    structure = engine.structure
    states, weights = given.log_weights(structure.cards, log_tables[0].device)
    targets = tuple([scope for scope, _ in probes])
    query = Query(frozenset(states), frozenset(weights), targets)
    plan = make_plan(structure, query, split=False)
    plan.check_memory(engine.memory_limit, engine.names)
    total = log_collect(plan, log_tables, states, weights, probes)
    return total if given.rows is None else total.expand(given.rows)


def log_evidence(engine: ExactEngine, flat: Tensor, given: Evidence) -> Tensor:
    """Log evidence of one query, differentiable any number of times by the log tables.

    Arguments:
        engine: loaded with the same numbers.
        flat: (total,) float64 logarithms of all tables, one after the other.
        given: a single query's evidence.
    """
    return _LogEvidence.apply(flat, engine, given)  # type: ignore[no-any-return]


class _LogEvidence(torch.autograd.Function):
    """The compiled passes forwards and backwards, the recorded pass for higher orders."""

    @staticmethod
    def forward(ctx: Any, flat: Tensor, engine: ExactEngine, given: Evidence) -> Tensor:
        ctx.save_for_backward(flat)
        ctx.engine, ctx.given, ctx.generation = engine, given, engine.generation
        return flat.new_tensor(engine.log_evidence(given))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, None, None]:
        (flat,) = ctx.saved_tensors
        engine: ExactEngine = ctx.engine
        higher = torch.is_grad_enabled()
        if not higher and engine.generation == ctx.generation:
            # Barren conditional distributions total one whatever they hold: no gradient.
            seeds = [*ctx.given.states, *ctx.given.weights]
            relevant = engine.structure.relevant_factors(seeds)
            found = engine.factor_marginals(ctx.given, relevant)
            marginals = torch.from_numpy(found).to(flat.device)
        else:
            # Either somebody differentiates again, or the engine has moved on to other numbers.
            with torch.enable_grad():
                source = flat if higher else flat.detach().requires_grad_()
                tables = cut_tables(engine.structure, source)
                total = log_evidence_recorded(engine, tables, ctx.given)
            (marginals,) = torch.autograd.grad(total, source, create_graph=higher)
        return gradients[0] * marginals, None, None
