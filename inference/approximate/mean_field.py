"""Mean field: the best law that factorises, and the lower bound it gives.

.. math:: \\log Z \\ge \\mathbb{E}_q \\sum_f \\log \\phi_f(x_{S_f}) + H(q), \\qquad
          q(x) = \\prod_v q_v(x_v)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, overload

import torch
from torch import Tensor

from inference.approximate.coloring import color_graph, neighbor_pairs
from inference.approximate.expected_logs import ExpectedLogs, best_laws
from inference.approximate.factor_groups import FactorGroups, check_fits
from inference.approximate.pairwise import IsingGrid, PairwiseArrays, pose
from inference.approximate.problem import GraphProblem
from inference.approximate.result import ApproximateResult
from inference.approximate.schedules import Messages, check_settings, warn_unconverged
from inference.approximate.structured_mean_field import structured_mean_field
from inference.exact.graph import FactorGraph
from inference.inputs import as_whole
from inference.progress import progress_bar
from inference.random import GeneratorLike, as_generator

__all__ = ["mean_field"]


@overload
def mean_field(
    graph: FactorGraph,
    evidence: Mapping[str, Any] | None = None,
    *,
    blocks: Sequence[Sequence[str]] | Literal["trees"] | None = None,
    n_starts: int = 4,
    max_iterations: int = 500,
    tolerance: float = 1e-8,
    generator: GeneratorLike = 0,
    progress: bool | None = None,
) -> ApproximateResult[dict[str, Any]]: ...


@overload
def mean_field(
    graph: PairwiseArrays | IsingGrid,
    evidence: None = None,
    *,
    blocks: None = None,
    n_starts: int = 4,
    max_iterations: int = 500,
    tolerance: float = 1e-8,
    generator: GeneratorLike = 0,
    progress: bool | None = None,
) -> ApproximateResult[Tensor]: ...


def mean_field(
    graph: FactorGraph | PairwiseArrays | IsingGrid,
    evidence: Mapping[str, Any] | None = None,
    *,
    blocks: Sequence[Sequence[str]] | Literal["trees"] | None = None,
    n_starts: int = 4,
    max_iterations: int = 500,
    tolerance: float = 1e-8,
    generator: GeneratorLike = 0,
    progress: bool | None = None,
) -> ApproximateResult[Any]:
    """Bound the log partition function from below by a law of independent parts.

    .. math:: q_v(x_v) \\propto \\exp \\mathbb{E}_{q_{-v}}
              \\Bigl[\\sum_{f \\ni v} \\log \\phi_f(x_{S_f})\\Bigr]

    Variables that share no factor are renewed together, which never lowers the bound. With
    ``blocks`` the parts are whole blocks of variables, each with the exact law that the others'
    expectations leave it; they start from the independent variables' optimum and so never end
    below it.

    ``log_partition`` is the bound, of the best start. Its gradient by the log potentials is the
    one at the optimum; the marginals have none. Where hard zeros leave no possible law within
    reach, the bound is -inf; marginals of blocks that have none are NaN.

    Arguments:
        graph: a factor graph, or a pairwise model as arrays.
        evidence: as :class:`FactorGraph` takes it; for a factor graph only.
        blocks: disjoint lists of variable names (those in none stand alone), or "trees" for
            blocks without cycles that the graph is cut into; None for single variables.
        n_starts: random starts, besides one from the potentials of single variables, are one
            less.
        max_iterations: most sweeps over the variables, and over the blocks.
        tolerance: largest change of a probability that counts as none.
        generator: of the random starts.
        progress: True, False, or None: a bar if on a terminal.

    Raises:
        ValueError: if blocks overlap, have unknown names, or a hard zero joins two of them.

    Warns:
        ConvergenceWarning: if the last sweep is the one of ``max_iterations``.

    Reference:
        Wainwright & Jordan 2008, eq. 5.17 (naive) and section 5.5 (structured).

    Example:
        >>> from inference import Factor
        >>> agree = torch.tensor([[0.5, 0.0], [0.0, 0.5]])
        >>> graph = FactorGraph({"a": 2, "b": 2}, [Factor(["a", "b"], agree)])
        >>> round(graph.log_partition().item(), 4)
        1.6672
        >>> round(mean_field(graph).log_partition.item(), 4)
        1.6363
        >>> round(mean_field(graph, blocks=[["a", "b"]]).log_partition.item(), 4)
        1.6672
    """
    problem = pose(graph, evidence)
    check_settings(None, tolerance)
    n_starts = as_whole("n_starts", n_starts, least=1)
    max_iterations = as_whole("max_iterations", max_iterations, least=1)
    model = problem.model.double()
    entries = sum([group.log_tables.numel() for group in model.groups])
    check_fits(entries * n_starts * model.rows, model.device)
    logs = ExpectedLogs(model, color_graph(len(model.cards), neighbor_pairs(model)))
    q = _starts(model, n_starts, generator)
    with torch.no_grad():
        found = _climb(logs, q, max_iterations, tolerance, progress)
        bound = _bound(logs, found.state)
        best = bound.argmax(0)
        rows = torch.arange(model.rows, device=best.device)
        q = found.state[best, rows]
    found = Messages(q, found.iterations, found.residual[best, rows], found.converged[best, rows])
    if blocks is not None:
        if not isinstance(problem, GraphProblem):
            raise ValueError("blocks need the names of a FactorGraph, found arrays")
        return structured_mean_field(
            problem, blocks, model.by_variable(q.log()).exp(), max_iterations, tolerance, progress
        )
    warn_unconverged(found, "mean_field", tolerance, 2)
    return problem.answer(found, model.by_variable(q.log()).exp(), _bound(logs, q))


def _starts(model: FactorGroups, n_starts: int, generator: GeneratorLike) -> Tensor:
    """Laws (starts, B, S): from the single potentials first, then at random."""
    shape = (n_starts, model.rows, model.log_nodes.shape[-1])
    draws = as_generator(generator, model.device)
    weights = torch.empty(shape, dtype=torch.float64, device=model.device)
    logits = weights.exponential_(generator=draws).log_()
    nodes = model.log_nodes.detach()
    zero = nodes == -torch.inf
    logits[0] = nodes.masked_fill(zero, 0.0)
    laws = best_laws(logits, zero.double().expand(shape), model.places)
    return laws[..., model.places < shape[-1]]


def _climb(
    logs: ExpectedLogs, q: Tensor, max_iterations: int, tolerance: float, progress: bool | None
) -> Messages[Tensor]:
    """Sweep over the colours until no probability moves."""
    sweep, largest = 0, torch.inf
    change = q.new_zeros(q.shape[:-1])
    with progress_bar(max_iterations, "mean field", progress) as bar:
        while sweep < max_iterations and largest > tolerance:
            sweep += 1
            old = q
            for color in range(logs.n_colors):
                q = logs.renewed(color, q)
            change = (q - old).abs().amax(-1) if q.shape[-1] else change
            largest = float(change.max())
            bar.update(1)
            bar.set_postfix_str(f"residual {largest:.3g}")
    return Messages(q, sweep, change, change <= tolerance)


def _bound(logs: ExpectedLogs, q: Tensor) -> Tensor:
    """The lower bound (..., B); -inf for laws that reach a hard zero."""
    value, lost = logs.expectation(q)
    return (value - torch.xlogy(q, q).sum(-1)).masked_fill(lost > 0, -torch.inf)
