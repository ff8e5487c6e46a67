"""Log-likelihood of rows under a Markov random field, and its gradient: observed minus expected.

.. math:: L = \\frac1W \\sum_i w_i \\log \\frac{Z(x^{(i)}_s)}{Z}, \\qquad
          \\frac{\\partial L}{\\partial \\ell_c} =
          \\frac1W \\sum_i w_i\\, \\mathbb{E}[n_c \\mid x^{(i)}_s] - \\mathbb{E}[n_c]

n_c is how often a joint state reads entry c of the tables.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from inference.exact.engine import ExactEngine
from inference.exact.evidence import Evidence
from inference.exact.incomplete_rows import IncompleteRows, RowCliques
from inference.exact.scaled_tables import scaled
from inference.sampling.factor_arrays import FactorArrays
from pgm.discrete_data import DiscreteData

__all__ = ["ExactExpectations", "Likelihood", "check_possible", "mean_counts", "shared_counts"]


def check_possible(arrays: FactorArrays, logs: Tensor, rows: DiscreteData) -> None:
    """Refuse complete rows that hard zeros exclude.

    Raises:
        ValueError: with the number of the first one.
    """
    weights = arrays.log_weight(logs, torch.from_numpy(rows.codes()))
    if bool(weights.isneginf().any()):
        row = int(weights.isneginf().nonzero()[0])
        raise ValueError(f"data: row {row} is impossible: a hard zero of the factors excludes it")


def mean_counts(arrays: FactorArrays, rows: DiscreteData) -> Tensor:
    """How often complete rows read every entry of the tables on average, (size,)."""
    weights = None if rows.weights is None else torch.from_numpy(rows.weights)
    return arrays.counts(torch.from_numpy(rows.codes()), weights) / rows.total


def shared_counts(arrays: FactorArrays, counts: np.ndarray) -> Tensor:
    """Counts of the factors' own tables, (total,), added up where factors share one, (size,)."""
    total = torch.zeros(arrays.size, dtype=torch.float64)
    cells = torch.from_numpy(arrays.cells)
    return total.index_add(0, cells, torch.from_numpy(counts[: len(cells)]))


class ExactExpectations:
    """How often a joint state reads every entry of the tables, on average under the field.

    Arguments:
        arrays: scopes.
        names: of the variables, for messages.
        memory_limit: bytes that the tables of the engine may take.
    """

    def __init__(
        self, arrays: FactorArrays, names: tuple[str, ...], memory_limit: int | None
    ) -> None:
        self._arrays = arrays
        self._engine = ExactEngine(arrays.structure, names, memory_limit)
        self._cells = torch.from_numpy(arrays.cells)
        self._free = arrays.structure.offsets[-1] - len(arrays.cells)

    def own_tables(self, logs: Tensor) -> np.ndarray:
        """One log table per factor, and zeros for variables without one."""
        full = logs.detach().cpu().double()[self._cells].numpy()
        return np.concatenate([full, np.zeros(self._free)])

    def __call__(self, logs: Tensor) -> tuple[float, Tensor]:
        """Log of the sum of all weights, and the expectations, (size,)."""
        full = self.own_tables(logs)
        values, log_scale, full = scaled(self._arrays.structure, full)
        self._engine.load(values, log_scale, full)
        total = self._engine.log_evidence(Evidence())
        return total, shared_counts(self._arrays, self._engine.factor_marginals(Evidence()))


class Likelihood:
    """The mean log-likelihood of rows as a function of the log tables.

    Rows with missing cells are summed over them exactly.

    Arguments:
        arrays: scopes.
        names: of the variables.
        rows: the data.
        memory_limit: bytes that tables may take.
    """

    def __init__(
        self,
        arrays: FactorArrays,
        names: tuple[str, ...],
        rows: DiscreteData,
        memory_limit: int | None,
    ) -> None:
        self._expect = ExactExpectations(arrays, names, memory_limit)
        self._arrays = arrays
        self._total = rows.total
        self._counts: Tensor | None = None
        if rows.complete:
            self._counts = mean_counts(arrays, rows)
        else:
            cliques = RowCliques(arrays.structure, memory_limit)
            self._rows = IncompleteRows(cliques, rows.columns, rows.weights, rows.n_rows)

    def __call__(self, logs: Tensor) -> tuple[float, Tensor]:
        """Mean log-likelihood, nats, and its gradient by the log tables, (size,)."""
        log_total, expected = self._expect(logs)
        observed, counts = self._observed(logs)
        return observed - log_total, counts - expected

    def _observed(self, logs: Tensor) -> tuple[float, Tensor]:
        """Mean log-weight of what the rows show, and the mean use of every entry given that."""
        if self._counts is not None:
            seen = self._counts > 0
            return float(self._counts[seen] @ logs[seen]), self._counts
        full = self._expect.own_tables(logs)
        values, log_scale, _ = scaled(self._arrays.structure, full)
        counts, total = self._rows.expected_counts(values)
        mean = total / self._total + log_scale
        return mean, shared_counts(self._arrays, counts) / self._total
