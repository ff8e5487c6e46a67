"""Two ways down to the best weights: L-BFGS on all sequences, AdaGrad on a few at a time.

.. math:: \\min_w f(w) + c_1 \\|w\\|_1
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor

from inference.learning.lbfgs import Iterate, minimize
from inference.progress import progress_bar
from pgm.tagging.corpus import Corpus
from pgm.tagging.objective import Objective
from pgm.tagging.problem import Problem
from pgm.tagging.settings import Settings

__all__ = ["Progress", "train"]

#: Keeps the first step of a weight whose gradient is zero from dividing by zero.
_TINY = 1e-10


@dataclass
class Progress:
    """The weights so far and what led to them.

    Attributes:
        weights: after the last iteration, (P,); None before the first.
        history: one dict per iteration.
        check: what to measure at the weights after every iteration.
    """

    weights: Tensor
    check: Callable[[Tensor], dict[str, float]] | None = None
    history: list[dict[str, Any]] = field(default_factory=list)

    def add(self, weights: Tensor, record: dict[str, Any]) -> None:
        """Take over the result of an iteration."""
        found = {} if self.check is None else self.check(weights)
        self.weights = weights
        self.history.append({"iteration": len(self.history) + 1, **record, **found})


def train(
    problem: Problem,
    settings: Settings,
    progress: Progress,
    generator: torch.Generator,
    show: bool | None,
) -> None:
    """Lower the objective from the weights in ``progress``, which holds the result.

    Arguments:
        problem: what to learn from.
        settings: how.
        progress: holds the start, then the weights after every iteration.
        generator: shuffles.
        show: True, False, or None: a bar if on a terminal.
    """
    if settings.method == "sgd":
        _descend(problem, settings, progress, generator, show)
        return
    corpus = Corpus.build(
        problem.lengths, problem.rows, problem.codes, len(problem.labels), problem.weights
    )
    # Single precision goes most of the way in a third of the time.
    types = [torch.float32] if settings.precision == "single" else [torch.float32, torch.float64]
    for dtype in types:
        _minimize(problem, corpus, settings, progress, dtype, show)


def _minimize(
    problem: Problem,
    corpus: Corpus,
    settings: Settings,
    progress: Progress,
    dtype: torch.dtype,
    show: bool | None,
) -> None:
    """L-BFGS, or OWL-QN if there is an L1 penalty, in one type of numbers."""
    start = progress.weights.to(dtype)
    before = progress.history[-1] if progress.history else {"evaluations": 0, "seconds": 0.0}
    total = settings.limit - len(progress.history)

    def note(iterate: Iterate) -> None:
        record = {
            "loss": iterate.value,
            "gradient_norm": iterate.gradient_norm,
            "evaluations": before["evaluations"] + iterate.evaluations,
            "seconds": before["seconds"] + iterate.seconds,
        }
        progress.add(iterate.x, record)

    found = minimize(
        Objective(corpus, problem.index, settings.c2, start),
        start,
        l1=settings.c1,
        memory=settings.memory,
        max_iterations=total,
        gradient_tolerance=settings.epsilon,
        value_tolerance=settings.delta,
        period=settings.period,
        callback=note,
        progress=show,
        description="CRF",
    )
    progress.weights = found.x
    if progress.history:  # those of the last iteration, also where the type is new
        progress.history[-1].update(loss=found.value, gradient_norm=found.gradient_norm)


@dataclass(frozen=True)
class _Batch:
    """A few sequences: their objective as a function of the weights that they touch.

    Attributes:
        objective: of the weights at ``places``.
        places: distinct, (p,) int64.
        l1: penalty of every weight, (p,).
    """

    objective: Objective
    places: Tensor
    l1: Tensor


def _descend(
    problem: Problem,
    settings: Settings,
    progress: Progress,
    generator: torch.Generator,
    show: bool | None,
) -> None:
    """AdaGrad: steps in inverse proportion to the root of the summed squares of gradients.

    A batch reads and writes the weights of its own attributes only. The penalty of a weight is
    divided evenly among the batches that touch it, so that a pass over all batches carries all of
    the objective. The L1 part is a proximal step, which makes weights exactly zero.

    Reference:
        Duchi, Hazan & Singer 2011, "Adaptive subgradient methods for online learning and
        stochastic optimization", section 1.1 and eq. 24.
    """
    weights = progress.weights.to(settings.dtype)
    squares = torch.zeros_like(weights)
    order = torch.randperm(len(problem.lengths), generator=generator).numpy()
    batches = list(_batches(problem, settings, order, weights))
    begin, losses = perf_counter(), []
    with progress_bar(settings.limit, "CRF", show) as bar:
        for epoch in range(settings.limit):
            loss = torch.zeros((), dtype=torch.float64, device=weights.device)
            for number in torch.randperm(len(batches), generator=generator).tolist():
                loss += _step(batches[number], weights, squares, settings.learning_rate)
            losses.append(float(loss))
            record = {
                "loss": losses[-1],
                "evaluations": (epoch + 1) * len(batches),
                "seconds": perf_counter() - begin,
            }
            progress.add(weights.clone(), record)
            bar.update(1)
            bar.set_postfix_str(f"loss {losses[-1]:.6g}")
            if epoch >= settings.period and settings.delta > 0:
                gain = losses[-1 - settings.period] - losses[-1]
                if gain <= settings.delta * max(1.0, abs(losses[-1])):
                    break


def _step(batch: _Batch, weights: Tensor, squares: Tensor, rate: float) -> Tensor:
    """One proximal AdaGrad step, in place; the objective before it, ()."""
    own = weights[batch.places]
    value, gradient = batch.objective(own)
    total = squares[batch.places] + gradient.square()
    squares[batch.places] = total
    step = rate / (total.sqrt() + _TINY)
    moved = own - step * gradient
    weights[batch.places] = torch.nn.functional.relu(moved.abs() - step * batch.l1) * moved.sign()
    return value + (batch.l1 * own.abs()).sum(dtype=torch.float64)


def _batches(
    problem: Problem, settings: Settings, order: np.ndarray, like: Tensor
) -> Iterator[_Batch]:
    """The sequences in a given order, a few at a time."""
    ends = np.cumsum(problem.lengths)
    found, shares = [], torch.zeros(len(problem.index), dtype=torch.float64)
    local = np.empty(problem.index.n_attributes, np.int32)
    for start in range(0, len(order), settings.batch_size):
        chosen = order[start : start + settings.batch_size]
        lengths = problem.lengths[chosen]
        inside = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        tokens = np.repeat(ends[chosen] - lengths, lengths) + inside
        rows = problem.rows.select(tokens)
        attributes = np.unique(rows.columns.numpy()).astype(np.int64)
        local[attributes] = np.arange(len(attributes))
        index, places = problem.index.restricted(torch.from_numpy(attributes))
        weights = None if problem.weights is None else problem.weights[chosen]
        corpus = Corpus.build(
            lengths,
            rows.relabelled(local, len(attributes)),
            problem.codes[tokens],
            len(problem.labels),
            weights,
        )
        shares[places] += 1
        found.append((corpus, index, places))
    for corpus, index, places in found:
        share = (1 / shares[places]).to(like.device)
        objective = Objective(corpus, index, settings.c2 * share, like)
        yield _Batch(objective, places.to(like.device), (settings.c1 * share).to(like))
