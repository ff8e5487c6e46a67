"""Maximum likelihood for sigmoid belief networks: exactly, and by EM where units are hidden.

.. math:: Q(\\theta) = \\sum_n \\sum_h p(h \\mid v_n, \\theta_t)
          \\sum_k \\log p(x_k \\mid x_{\\pi(k)}, \\theta)

The sum falls apart into one weighted logistic regression per unit.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from inference.inputs import as_whole
from inference.learning.em import expectation_maximization
from inference.memory import require_memory
from inference.progress import progress_bar
from inference.random import GeneratorLike, as_generator
from pgm.sigmoid.enumeration import Pattern, log_joint, patterns
from pgm.sigmoid.regression import Regression, fit_regressions
from pgm.sigmoid.structure import Level, Parameters, UnitGraph

__all__ = ["check_settings", "informed_start", "learn_exactly", "random_parameters"]

#: Newton steps of one M step. They need not reach the maximum: it is enough that they climb.
_M_STEPS = 2


def learn_exactly(
    graph: UnitGraph,
    start: Parameters,
    rows: Tensor,
    *,
    l2: float,
    max_iterations: int,
    tolerance: float,
    n_init: int,
    generator: torch.Generator,
    progress: bool | None,
) -> tuple[Parameters, list[dict[str, Any]]]:
    """Maximise the likelihood: by Newton's method if no entry is missing, else by EM.

    In EM the posterior is exact and every M step is a few Newton steps, which climb.

    Returns:
        The parameters (float64), and per iteration the penalised log-likelihood: after a Newton
        step, before an EM step, nats.

    Raises:
        ValueError: too many hidden units, or too many completed rows to hold.

    Reference:
        Dempster, Laird & Rubin 1977; Neal & Hinton 1998, section 2 (partial M steps).
    """
    rows, start = rows.double(), Parameters(*[value.double() for value in start])
    completed = _Completions(graph, rows)
    if (rows >= 0).all():
        return _newton(completed, start, l2, max_iterations, progress)

    def step(parameters: Parameters) -> tuple[Parameters, float]:
        shares, log_likelihood = completed.posterior(parameters)
        penalty = 0.5 * l2 * float(parameters.weights.square().sum())
        return completed.maximize(parameters, shares, l2, _M_STEPS)[0], log_likelihood - penalty

    starts = [informed_start(graph, start, rows, generator)]
    starts += [random_parameters(graph, rows, generator) for _ in range(n_init - 1)]
    result = expectation_maximization(
        step,
        starts,
        max_iterations=max_iterations,
        tolerance=tolerance,
        size=len(rows),
        progress=progress,
    )
    return result.parameters, result.history


def informed_start(
    graph: UnitGraph, start: Parameters, rows: Tensor, generator: torch.Generator
) -> Parameters:
    """The start, or a random one if it is all zero: zeros do not tell hidden units apart."""
    if any([bool(value.any()) for value in start]):
        return start
    return random_parameters(graph, rows, generator)


def random_parameters(graph: UnitGraph, rows: Tensor, generator: GeneratorLike) -> Parameters:
    """A start that tells hidden units apart: random weights, biases from the observed means.

    .. math:: w_{ik} \\sim N(0, 1 / |\\pi(k)|), \\qquad
              b_k = \\operatorname{logit} \\frac{1 + \\#\\{x_k = 1\\}}{2 + \\#\\{x_k\\}}
    """
    adjacency = torch.from_numpy(graph.adjacency).to(rows)
    noise = torch.empty_like(adjacency)
    noise.normal_(generator=as_generator(generator, rows.device))
    ones, zeros = (rows == 1).sum(0) + 1, (rows == 0).sum(0) + 1
    bias = ones.to(rows).log() - zeros.to(rows).log()
    return Parameters(noise * adjacency / adjacency.sum(0).clamp_min(1).sqrt(), bias)


def _newton(
    completed: _Completions,
    parameters: Parameters,
    l2: float,
    max_iterations: int,
    progress: bool | None,
) -> tuple[Parameters, list[dict[str, Any]]]:
    """Logistic regression of every unit on its parents, one Newton step of all at a time."""
    history, last = [], math.nan
    with progress_bar(max_iterations, "logistic regressions", progress) as bar:
        for iteration in range(1, max_iterations + 1):
            parameters, found = completed.maximize(parameters, completed.counts, l2, steps=1)
            objective = sum([regression.trace[-1] for regression in found])
            change = objective - last
            history.append({"iteration": iteration, "objective": objective, "change": change})
            last = objective
            bar.update(1)
            bar.set_postfix_str(f"objective {objective:.6g}")
            if all([regression.converged for regression in found]):
                break
    return parameters, history


def check_settings(*, l2: float, max_iterations: int, n_init: int) -> None:
    """Refuse numbers out of range."""
    if not 0 <= l2 < float("inf"):
        raise ValueError(f"l2 must be finite and not negative, found {l2}")
    as_whole("max_iterations", max_iterations, least=1)
    as_whole("n_init", n_init, least=1)


class _Design(NamedTuple):
    """Regression of one level: distinct states of its parents, and which each completion has."""

    level: Level
    parents: Tensor
    which: Tensor


class _Completions:
    """Every distinct row with every state of its hidden units, once."""

    def __init__(self, graph: UnitGraph, rows: Tensor) -> None:
        self._graph = graph
        # Rows as given come first, so that a row with too much hidden is named by its number.
        patterns(graph, rows)
        self._rows, counts = torch.unique(rows, dim=0, return_counts=True)
        self._row_counts = counts.to(rows)
        self._patterns = patterns(graph, self._rows)
        self._check_memory()
        pairs = [self._complete(pattern) for pattern in self._patterns]
        self._states = torch.cat([states for states, _ in pairs])
        self._counted = torch.cat([counted for _, counted in pairs])
        self._designs = [self._design(level) for level in graph.levels]

    @property
    def counts(self) -> Tensor:
        """How often each completion occurs, where nothing is hidden."""
        return self._row_counts[torch.cat([pattern.rows for pattern in self._patterns])]

    def posterior(self, parameters: Parameters) -> tuple[Tensor, float]:
        """Share of every completion in the data (E step), and the log-likelihood, nats."""
        shares, total = [], 0.0
        for pattern in self._patterns:
            for some, table in log_joint(self._graph, parameters, self._rows, pattern):
                evidence = torch.logsumexp(table, 1, keepdim=True)
                counts = self._row_counts[some, None]
                shares.append((counts * torch.exp(table - evidence)).flatten())
                total += float((counts * evidence).sum())
        return torch.cat(shares), total

    def maximize(
        self, parameters: Parameters, shares: Tensor, l2: float, steps: int
    ) -> tuple[Parameters, list[Regression]]:
        """Newton steps for the expected log-likelihood under these shares (M step)."""
        weights, bias = parameters.weights.clone(), parameters.bias.clone()
        found = []
        for level, parents, which in self._designs:
            counted = shares[:, None] * self._counted[:, level.units]
            trials = counted.new_zeros(len(parents), counted.shape[1])
            successes = trials.index_add(0, which, counted * self._states[:, level.units])
            rows = _numbers(level.parents, bias.device)[:, None]
            columns = _numbers(level.units, bias.device)
            regression = fit_regressions(
                parents,
                successes,
                trials.index_add(0, which, counted),
                (weights[rows, columns], bias[columns]),
                mask=None if level.mask is None else level.mask.to(bias.device),
                l2=l2,
                max_steps=steps,
            )
            weights[rows, columns] = regression.weights
            bias[columns] = regression.bias
            found.append(regression)
        return Parameters(weights, bias), found

    def _complete(self, pattern: Pattern) -> tuple[Tensor, Tensor]:
        """States (int8) of all completions of a pattern, and which entries count."""
        n_rows, n_states = len(pattern.rows), len(pattern.states)
        states = self._rows[pattern.rows].clamp_min(0).to(torch.int8)
        states = states.repeat_interleave(n_states, 0)
        states[:, pattern.hidden] = pattern.states.to(torch.int8).repeat(n_rows, 1)
        return states, pattern.kept.expand(len(states), -1)

    def _design(self, level: Level) -> _Design:
        above = self._states[:, level.parents]
        if not above.shape[1]:
            which = torch.zeros(len(above), dtype=torch.int64, device=above.device)
            return _Design(level, self._rows.new_zeros(1, 0), which)
        parents, which = torch.unique(above, dim=0, return_inverse=True)
        return _Design(level, parents.to(self._rows), which)

    def _check_memory(self) -> None:
        """Refuse more completions than fit: the states, what counts, and two tables of shares."""
        count = sum([len(pattern.rows) * len(pattern.states) for pattern in self._patterns])
        require_memory(
            count * len(self._graph.units) * (1 + 1 + 2 * 8),
            f"data with {count:,} joint states of rows and hidden units",
            "use method='wake-sleep' or 'variational'",
        )


def _numbers(index: slice | Tensor, device: torch.device) -> Tensor:
    """The positions that a compact index stands for."""
    if isinstance(index, slice):
        return torch.arange(index.start, index.stop, device=device)
    return index.to(device)
