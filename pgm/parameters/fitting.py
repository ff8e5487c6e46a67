"""Tables of a Bayesian network from data: counts where all is seen, EM or gradients elsewhere.

.. math:: \\hat\\theta = \\arg\\max_\\theta
          \\sum_i w_i \\log p(x^{(i)}_{\\text{seen}} \\mid \\theta)
          + \\sum_{v, j, k} a_{vjk} \\log \\theta_{vjk}
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from inference.exact.incomplete_rows import IncompleteRows, RowCliques
from inference.exact.structure import Structure
from inference.inputs import as_whole, check_choice
from inference.learning.em import check_tolerance, expectation_maximization
from inference.learning.lbfgs import minimize
from inference.progress import check_progress
from inference.random import GeneratorLike, as_generator, numpy_generator
from pgm.discrete_data import DiscreteData
from pgm.parameters.estimates import TableRows
from pgm.parameters.family_counts import GluedFamilies

__all__ = ["FitMethod", "Fitted", "Start", "TableFitter"]

FitMethod: TypeAlias = Literal["auto", "counts", "em", "gradient"]
Start: TypeAlias = Literal["available", "random", "current"]

#: Added to every cell of the available-case counts that EM starts from: nothing is impossible.
SMOOTHING = 0.1


@dataclass(frozen=True)
class Fitted:
    """Flat tables and how they were found."""

    values: np.ndarray
    history: list[dict[str, Any]]


@dataclass(frozen=True)
class TableFitter:
    """Learning the tables of one structure.

    Arguments:
        structure: one table per variable, the child last.
        cliques: its junction tree, for rows with missing cells.
        families: its families, for complete rows.
        data: the rows.
        added: pseudo-counts that the estimate adds to every cell.
    """

    structure: Structure
    cliques: RowCliques
    families: GluedFamilies
    data: DiscreteData
    added: np.ndarray

    def fit(
        self,
        method: FitMethod,
        init: Start,
        n_init: int,
        max_iterations: int,
        tolerance: float,
        current: np.ndarray,
        generator: GeneratorLike,
        progress: bool | None,
    ) -> Fitted:
        """Learn by the method asked for; the arguments are those of ``BayesianNetwork.fit``."""
        check_choice("method", method, FitMethod)
        check_choice("init", init, Start)
        n_init = as_whole("n_init", n_init, least=1)
        max_iterations = as_whole("max_iterations", max_iterations, least=1)
        check_tolerance(tolerance)
        check_progress(progress)
        as_generator(generator, getattr(generator, "device", "cpu"))
        if method == "counts" or (method == "auto" and self.data.complete):
            self.data.require_complete("data", "method='counts' needs all; use 'em'")
            return self.by_counts()
        if method == "gradient" and n_init > 1:
            raise ValueError("n_init > 1 is for method='em'; call fit again with init='random'")
        starts = self.starts(init, n_init, current, numpy_generator(generator))
        if method == "gradient":
            return self.by_gradient(starts[0], max_iterations, tolerance, progress)
        return self.by_em(starts, max_iterations, tolerance, progress)

    def by_counts(self) -> Fitted:
        """Closed form for complete data."""
        counts = self.families.counts(self.data)
        values, unseen = TableRows(self.structure).estimate(counts + self.added)
        value = _weighted_logs(counts, values)
        entry = {
            "log_likelihood": value,
            "objective": value + _weighted_logs(self.added, values),
            "unseen_rows": unseen,
        }
        return Fitted(values, [entry])

    def by_em(
        self,
        starts: list[np.ndarray],
        max_iterations: int,
        tolerance: float,
        progress: bool | None,
    ) -> Fitted:
        """Exact expectation-maximisation; every start is a vector of tables."""
        table_rows, objective = TableRows(self.structure), self._objective()

        def step(tables: tuple[np.ndarray, int]) -> tuple[tuple[np.ndarray, int], float]:
            counts, value = objective(tables[0])
            return table_rows.estimate(counts), value

        found = expectation_maximization(
            step,
            [(start, 0) for start in starts],
            max_iterations=max_iterations,
            tolerance=tolerance,
            size=self.data.total or 1.0,
            progress=progress,
        )
        values, found.history[-1]["unseen_rows"] = found.parameters
        return Fitted(values, found.history)

    def by_gradient(
        self, start: np.ndarray, max_iterations: int, tolerance: float, progress: bool | None
    ) -> Fitted:
        """L-BFGS on the logits of all rows; the gradient comes from the expected counts.

        .. math:: \\partial \\ell / \\partial \\eta_{jk} = N_{jk} - N_j \\theta_{jk}

        Reference:
            Binder, Koller, Russell & Kanazawa 1997, "Adaptive probabilistic networks with hidden
            variables", theorem 1.
        """
        table_rows, objective = TableRows(self.structure), self._objective()
        scale = max(self.data.total, 1.0)
        with np.errstate(divide="ignore"):
            logits = np.log(start)
        if not np.isfinite(logits).all():
            raise ValueError(
                "method='gradient' needs starting tables without zeros; "
                "use init='available' or 'random'"
            )

        def loss(logits: Tensor) -> tuple[float, Tensor]:
            values = table_rows.softmax(logits.numpy())
            counts, value = objective(values)
            slope = counts - table_rows.spread(table_rows.sums(counts)) * values
            return -value / scale, torch.from_numpy(-slope / scale)

        found = minimize(
            loss,
            logits,
            max_iterations=max_iterations,
            gradient_tolerance=0.0,
            value_tolerance=tolerance,
            period=1,
            progress=progress,
        )
        history = [
            {"iteration": step["iteration"], "objective": -step["value"] * scale}
            for step in found.history
        ]
        values = table_rows.softmax(found.x.numpy())
        empty = table_rows.sums(objective(values)[0]) <= 0
        uniform = table_rows.spread(1.0 / table_rows.lengths)
        values = np.where(table_rows.spread(empty), uniform, values)
        history.append({"objective": objective(values)[1], "unseen_rows": int(empty.sum())})
        return Fitted(values, history)

    def starts(
        self, init: Start, n_init: int, current: np.ndarray, generator: np.random.Generator
    ) -> list[np.ndarray]:
        """Tables to start from: the one asked for, then mixtures of it with random ones.

        Families that no row shows whole have no counts; equal rows would be a saddle point of the
        likelihood, so those start at random.
        """
        table_rows = TableRows(self.structure)
        if init == "current":
            first = current
        elif init == "random":
            first = table_rows.random(generator)
        else:
            counts, hidden = self._available_counts()
            first = table_rows.estimate(counts + SMOOTHING)[0]
            if hidden.any():
                first = np.where(hidden, table_rows.random(generator), first)
        others = [table_rows.random(generator) for _ in range(n_init - 1)]
        if init == "random":
            return [first, *others]
        return [first, *[(first + other) / 2 for other in others]]

    def _available_counts(self) -> tuple[np.ndarray, np.ndarray]:
        """Counts of every family over the rows that show all of it, and where there are none."""
        full = np.zeros(self.structure.offsets[-1])
        hidden = np.zeros(len(full), dtype=bool)
        data, structure = self.data, self.structure
        for family, scope in enumerate(structure.scopes):
            start, stop = structure.offsets[family : family + 2]
            gaps = [v for v in scope if data.gaps[v]]
            rows = data
            if gaps:
                rows = data.take(np.all([data.columns[v] >= 0 for v in gaps], axis=0))
            counts = np.bincount(rows.keys(scope), rows.weights, stop - start)
            full[start:stop] = counts
            hidden[start:stop] = not counts.any()
        return full, hidden

    def _objective(self) -> Callable[[np.ndarray], tuple[np.ndarray, float]]:
        """Expected counts with pseudo-counts, and the penalised log-likelihood."""
        rows = IncompleteRows(self.cliques, self.data.columns, self.data.weights)
        added = self.added

        def evaluate(values: np.ndarray) -> tuple[np.ndarray, float]:
            counts, value = rows.expected_counts(values)
            return counts + added, value + _weighted_logs(added, values)

        return evaluate


def _weighted_logs(weights: np.ndarray, values: np.ndarray) -> float:
    """Sum of the weights times the logarithms of the values, 0 log 0 = 0."""
    seen = weights > 0
    with np.errstate(divide="ignore"):
        return float(weights[seen] @ np.log(values[seen])) if seen.any() else 0.0
