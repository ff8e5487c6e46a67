"""The conditional log-likelihood of labellings: exact, approximated, or replaced.

.. math:: \\log p(y \\mid x) = s(y; x) - \\log Z(x), \\qquad
          \\log p(y_o \\mid x) = \\log Z(x, y_o) - \\log Z(x)
"""

from __future__ import annotations

import math
import warnings
from typing import Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor

from inference.approximate.linear_messages import LinearMessages
from inference.approximate.log_messages import LogMessages
from inference.approximate.mean_field import mean_field
from inference.approximate.pairwise import pose
from inference.approximate.problem import marginals_of
from inference.approximate.result import ApproximateResult
from inference.approximate.schedules import Damping, iterate, warn_unconverged
from inference.approximate.tree_reweighted import tree_reweighted
from inference.convergence import ConvergenceWarning
from inference.logspace import log_normalize
from pgm.conditional import exact
from pgm.conditional.potentials import Potentials

__all__ = [
    "PRECISION",
    "Bounded",
    "Likelihood",
    "PartitionMethod",
    "approximate",
    "log_likelihood",
    "log_partition",
    "quiet_log_likelihood",
]

PartitionMethod: TypeAlias = Literal[
    "exact", "belief-propagation", "mean-field", "tree-reweighted"
]
Likelihood: TypeAlias = PartitionMethod | Literal["pseudo-likelihood"]

#: While learning, messages stop where their error is small beside the noise of a batch.
ROUNDS, TOLERANCE = 200, 1e-6
#: Answers are settled further. Where couplings are about to order a grid, a picture in a hundred
#: takes thousands of rounds.
ANSWER_ROUNDS, ANSWER_TOLERANCE = 5_000, 1e-9

#: How short a gradient can be told from zero, per label.
PRECISION: dict[Likelihood, float] = {
    "exact": 1e-8,
    "pseudo-likelihood": 1e-8,
    "belief-propagation": 10 * TOLERANCE,
    "mean-field": 10 * TOLERANCE,
    "tree-reweighted": 10 * TOLERANCE,
}


class Bounded(NamedTuple):
    """Values (B,), nats, and whether the iterations behind them converged, (B,)."""

    value: Tensor
    converged: Tensor


def approximate(
    potentials: Potentials, method: PartitionMethod, *, learning: bool = False
) -> ApproximateResult[Tensor]:
    """What an approximate method finds in a batch of graphs.

    Arguments:
        potentials: of the graphs.
        method: any but "exact".
        learning: whether a small error is good enough.
    """
    arrays = potentials.arrays()
    rounds = ROUNDS if learning else ANSWER_ROUNDS
    tolerance = TOLERANCE if learning else ANSWER_TOLERANCE
    if method == "belief-propagation":
        return _bethe(potentials, rounds, tolerance)
    if method == "mean-field":
        starts = 1 if learning else 4
        return mean_field(
            arrays, n_starts=starts, max_iterations=rounds, tolerance=tolerance, progress=False
        )
    return tree_reweighted(arrays, max_iterations=rounds, tolerance=tolerance, progress=False)


def log_partition(
    potentials: Potentials, method: PartitionMethod, *, learning: bool = False
) -> Bounded:
    """Log partition function of every graph, or an approximation of it."""
    if method == "exact":
        value = exact.log_partition(potentials)
        return Bounded(value, torch.ones_like(value, dtype=torch.bool))
    found = approximate(potentials, method, learning=learning)
    return Bounded(found.log_partition, found.converged)


def log_likelihood(
    potentials: Potentials, y: Tensor, method: Likelihood, *, learning: bool = False
) -> Bounded:
    """Conditional log-likelihood of labellings, (B,), nats, differentiable.

    Labels -1 are missing: they are summed out by the same method that finds log Z; in the
    pseudo-likelihood only the nodes count that are labelled and whose neighbours all are.

    Shapes:
        y: (B, n).
    """
    if method == "pseudo-likelihood":
        value = pseudo_log_likelihood(potentials, y)
        return Bounded(value, torch.ones_like(value, dtype=torch.bool))
    free = log_partition(potentials, method, learning=learning)
    seen = y >= 0
    incomplete = (~seen).any(1).nonzero().squeeze(1)
    score = potentials.score(y.clamp_min(0)).double()
    if not len(incomplete):
        return Bounded(_difference(score, free.value), free.converged)
    clamped = potentials.select(incomplete).clamped(y[incomplete])
    given = log_partition(clamped, method, learning=learning)
    score = score.index_copy(0, incomplete, given.value)
    converged = free.converged.index_copy(
        0, incomplete, free.converged[incomplete] & given.converged
    )
    return Bounded(_difference(score, free.value), converged)


def pseudo_log_likelihood(potentials: Potentials, y: Tensor) -> Tensor:
    """Log-probabilities of labels given all their neighbours' labels, summed, (B,), nats.

    .. math:: \\sum_i \\log p(y_i \\mid y_{N(i)}, x)

    over the nodes that are labelled and have no unlabelled neighbour, so that every term is the
    logarithm of a probability under the model.

    Shapes:
        y: (B, n).

    Reference:
        Besag 1975, "Statistical analysis of non-lattice data", section 3.
    """
    first, second = potentials.layout.edges.unbind(1)
    gap = (y < 0).to(torch.int64)
    around = gap.index_add(1, first, gap[:, second]).index_add(1, second, gap[:, first])
    complete = y.clamp_min(0)
    scores = log_normalize(potentials.conditional_scores(complete).double(), 2)
    terms = scores.gather(2, complete[:, :, None]).squeeze(2)
    return terms.masked_fill(around > 0, 0.0).sum(1)


def quiet_log_likelihood(potentials: Potentials, y: Tensor, method: Likelihood) -> Bounded:
    """`log_likelihood` as `fit` needs it: what does not converge is returned, not warned of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return log_likelihood(potentials, y, method, learning=True)


def _difference(score: Tensor, total: Tensor) -> Tensor:
    """Their difference; -inf where no labelling at all is possible."""
    impossible = score == -math.inf
    return (score.masked_fill(impossible, 0.0) - total.masked_fill(impossible, 0.0)).masked_fill(
        impossible, -math.inf
    )


def _bethe(potentials: Potentials, rounds: int, tolerance: float) -> ApproximateResult[Tensor]:
    """Belief propagation whose log Z has the gradient of the fixed point.

    There Bethe's value does not move with the messages, so that the rounds need no record.
    """
    still = potentials.detach().arrays()
    problem = pose(still, None)
    model, dtype = problem.model, torch.float64
    linear = LinearMessages.fits(model, dtype)
    kernel = LinearMessages(model, "sum", dtype) if linear else LogMessages(model, "sum")
    with torch.no_grad():
        found = iterate(
            kernel,
            rows=potentials.rows,
            damping=Damping(None),
            schedule="synchronous",
            max_iterations=rounds,
            tolerance=tolerance,
            progress=False,
            description="belief propagation",
        )
        messages = kernel.log_messages(found.state)
    warn_unconverged(found, "belief_propagation", tolerance, 2)
    logs = LogMessages(pose(potentials.arrays(), None).model, "sum")
    marginals = marginals_of(problem, logs.beliefs(messages).detach())
    return ApproximateResult(
        problem.name_marginals(marginals),
        logs.log_partition(messages),
        found.converged,
        found.residual,
        found.iterations,
    )
