"""Loopy belief propagation: local messages until they agree, exact on trees.

.. math:: m_{f \\to v}(x_v) \\propto \\sum_{x_{S_f \\setminus v}} \\phi_f(x_{S_f})
          \\prod_{u \\in S_f \\setminus v} \\prod_{g \\ni u, g \\ne f} m_{g \\to u}(x_u)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, TypeAlias, overload

import numpy as np
import torch
from torch import Tensor

from inference.approximate.factor_groups import FactorGroups
from inference.approximate.implicit import fixed_point
from inference.approximate.linear_messages import LinearMessages
from inference.approximate.log_messages import LogMessages, Mode
from inference.approximate.odds import OddsMessages
from inference.approximate.pairwise import IsingGrid, PairwiseArrays, pose
from inference.approximate.problem import Problem, marginals_of
from inference.approximate.result import ApproximateResult
from inference.approximate.schedules import (
    Damping,
    Schedule,
    check_settings,
    iterate,
    warn_unconverged,
)
from inference.exact.graph import FactorGraph
from inference.inputs import as_whole

__all__ = ["Gradient", "belief_propagation", "fastest_messages"]

Gradient: TypeAlias = Literal["unrolled", "implicit"]

#: By precision: default tolerances on graphs with cycles, what breaks ties of maxima, and the
#: default tolerances that see every tie broken and every branch of a tree answer.
TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-6}
TIE = {torch.float64: 1e-10, torch.float32: 1e-5}
FINEST = {torch.float64: 1e-13, torch.float32: 1e-7}


@overload
def belief_propagation(
    graph: FactorGraph,
    evidence: Mapping[str, Any] | None = None,
    *,
    mode: Mode = "sum",
    damping: float | None = None,
    schedule: Schedule = "synchronous",
    max_iterations: int = 1000,
    tolerance: float | None = None,
    gradient: Gradient = "unrolled",
    progress: bool | None = None,
) -> ApproximateResult[dict[str, Any]]: ...


@overload
def belief_propagation(
    graph: PairwiseArrays | IsingGrid,
    evidence: None = None,
    *,
    mode: Mode = "sum",
    damping: float | None = None,
    schedule: Schedule = "synchronous",
    max_iterations: int = 1000,
    tolerance: float | None = None,
    gradient: Gradient = "unrolled",
    progress: bool | None = None,
) -> ApproximateResult[Tensor]: ...


def belief_propagation(
    graph: FactorGraph | PairwiseArrays | IsingGrid,
    evidence: Mapping[str, Any] | None = None,
    *,
    mode: Mode = "sum",
    damping: float | None = None,
    schedule: Schedule = "synchronous",
    max_iterations: int = 1000,
    tolerance: float | None = None,
    gradient: Gradient = "unrolled",
    progress: bool | None = None,
) -> ApproximateResult[Any]:
    """Approximate marginals, or a most probable state, by passing messages in rounds.

    .. math:: b_v(x_v) \\propto \\phi_v(x_v) \\prod_{f \\ni v} m_{f \\to v}(x_v), \\qquad
              \\log Z_{\\text{Bethe}} = \\sum_v (1 - d_v) \\log Z_v + \\sum_f \\log Z_f

    Exact on trees, in as many rounds as they are deep. Elsewhere a fixed point need not exist, be
    unique or be reached. Factors over the same variables are multiplied first. In max mode sums
    become maxima, ties are broken by a fixed perturbation of 1e-10 nats (1e-5 in float32), and
    ``log_partition`` is the log weight of the state decoded: a maximum on trees, never above it.

    Binary pairwise models run on odds and other pairwise models of one cardinality on plain
    probabilities where no product can leave the range of the numbers (the rules are those of
    :class:`~inference.approximate.odds.OddsMessages` and
    :class:`~inference.approximate.linear_messages.LinearMessages`); all others, those with hard
    zeros and those with gradients run on logarithms. All have the same fixed points.

    Arguments:
        graph: a factor graph, or a pairwise model as arrays.
        evidence: as :class:`FactorGraph` takes it; for a factor graph only.
        mode: "sum" for marginals, "max" for a most probable state.
        damping: share of the old message, in [0, 1). None starts without any, and goes on to 0.3
            and 0.5 when the residual stops falling.
        schedule: "synchronous" renews all messages in every round, "residual" the quarter that
            would change most.
        max_iterations: most rounds.
        tolerance: largest change of a message, whose entries sum to one, that counts as none (in
            damped rounds a quarter of that of its logarithms, relative where they exceed one);
            None is 1e-9 (1e-6 for arrays in float32), and on trees and for maxima hardly more
            than rounding, 1e-13 (1e-7).
        gradient: how results depend on the factors. "unrolled" differentiates the rounds that
            were made, any number of times; "implicit" the fixed point, once, without keeping the
            rounds in memory: right only where they converged.
        progress: True, False, or None: a bar if on a terminal.

    Shapes:
        marginals: (card,) or (B, card) by name; (..., n, q) or (..., H, W, 2) for arrays.

    Raises:
        TypeError: if ``graph`` is of another kind.
        ValueError: if an option is unknown or out of range, or single evidence has probability
            zero (rows of a batch that have are NaN).

    Warns:
        ConvergenceWarning: if a row has not converged after ``max_iterations``.

    Reference:
        Pearl 1988, section 4.2; Kschischang, Frey & Loeliger 2001, eq. 5 and 6; Yedidia, Freeman
        & Weiss 2005, eq. 37 (Bethe free energy).

    Example:
        >>> from inference import Factor
        >>> pairs = [Factor.from_potential(s, [[2, 1], [1, 2]]) for s in (["a", "b"], ["b", "c"])]
        >>> graph = FactorGraph({"a": 2, "b": 2, "c": 2}, pairs)
        >>> found = belief_propagation(graph, {"a": 1})
        >>> found.marginals["c"].numpy().round(4).tolist()
        [0.4444, 0.5556]
        >>> round(found.log_partition.exp().item(), 6)
        9.0
    """
    problem = pose(graph, evidence)
    _check_options(mode, schedule, gradient)
    check_settings(damping, tolerance or 0.0)
    max_iterations = as_whole("max_iterations", max_iterations, least=1)
    model = problem.model if mode == "sum" else _perturbed(problem.model)
    if tolerance is None:
        finest = mode == "max" or not model.has_cycles
        tolerance = (FINEST if finest else TOLERANCE)[model.log_nodes.dtype]
    # Undamped rounds end on a forest, however long the residual stands still before.
    policy = Damping(damping if damping is not None or model.has_cycles else 0.0)
    logs = LogMessages(model, mode)
    kernel = logs if model.recorded else fastest_messages(problem, model, logs)
    with torch.set_grad_enabled(model.recorded and gradient == "unrolled"):
        found = iterate(
            kernel,
            rows=model.rows,
            damping=policy,
            schedule=schedule,
            max_iterations=max_iterations,
            tolerance=tolerance,
            progress=progress,
            description="belief propagation",
        )
    warn_unconverged(found, "belief_propagation", tolerance, 2)
    messages = kernel.log_messages(found.state)
    if model.recorded and gradient == "implicit":
        messages = fixed_point(logs, messages, tolerance, max_iterations)
    belief = logs.beliefs(messages)
    marginals = marginals_of(problem, belief)
    states = None
    if mode == "max":
        codes = model.by_variable(belief.detach()).argmax(2) if model.cards else belief.long()
        value, states = problem.model.log_weight(codes), problem.name_states(codes)
    else:
        value = logs.log_partition(messages)
    return problem.answer(found, marginals, value, states)


def _check_options(mode: str, schedule: str, gradient: str) -> None:
    """Refuse unknown words."""
    for name, value, known in (
        ("mode", mode, ("sum", "max")),
        ("schedule", schedule, ("synchronous", "residual")),
        ("gradient", gradient, ("unrolled", "implicit")),
    ):
        if value not in known:
            raise ValueError(f"{name} must be one of {known}, found {value!r}")


def _perturbed(model: FactorGroups) -> FactorGroups:
    """The model with ties broken, always in the same way."""
    size = TIE[model.log_nodes.dtype]
    noise = np.random.Generator(np.random.PCG64(0)).random(model.log_nodes.shape[-1])
    return replace(model, log_nodes=model.log_nodes + size * model.log_nodes.new_tensor(noise))


def fastest_messages(
    problem: Problem[Any], model: FactorGroups, logs: LogMessages
) -> LogMessages | OddsMessages | LinearMessages:
    """The first form of messages that the model fits."""
    dtype = model.log_nodes.dtype
    if OddsMessages.fits(model, dtype):
        return OddsMessages(model, logs.mode, dtype, problem.neighborhood())
    if LinearMessages.fits(model, dtype):
        return LinearMessages(model, logs.mode, dtype)
    return logs
