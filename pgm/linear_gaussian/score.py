"""Scores of families of continuous variables, for the search of structures.

.. math:: s(x \\mid S) = -\\tfrac{n}{2} \\bigl(1 + \\log 2\\pi \\hat s^2_{x \\mid S}\\bigr)
          - \\lambda\\, (|S| + 2)
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import torch

from inference.exact.evidence import is_pandas
from inference.exact.structure import bits
from inference.inputs import check_choice
from pgm.linear_gaussian.family_regression import regress, triangular_root
from pgm.linear_gaussian.learning import check_range, column_centers
from pgm.linear_gaussian.real_variables import RealVariables, as_reals

__all__ = ["GaussianScore", "GaussianScoreKind"]

GaussianScoreKind = Literal["bic", "aic", "loglik"]


class GaussianScore:
    """Scores of linear-Gaussian families, computed once each from the second moments of the data.

    .. math:: s(x \\mid S) = -\\tfrac{n}{2} \\bigl(1 + \\log 2\\pi \\hat s^2_{x \\mid S}\\bigr)
              - \\lambda\\, (|S| + 2)

    Here s^2 is the mean square that least squares on the parents S leaves of x, and the family
    has \\|S\\| weights, an intercept and a variance. BIC takes lambda = log(n) / 2, AIC 1 and the
    log-likelihood 0. Graphs that allow the same independences have the same sum of scores.

    Arguments:
        data: (n, V) numbers without gaps, or a DataFrame, all of whose columns are taken.
        kind: "bic", "aic" or "loglik"; all in nats, larger is better.

    Attributes:
        n_variables: number of variables.
        n_rows: number of rows.

    Raises:
        TypeError: if the data are no numbers.
        ValueError: an unknown kind, a wrong shape, missing or infinite entries, one row only,
            numbers whose squares float64 does not hold.

    Reference:
        Schwarz 1978; Geiger & Heckerman 1994, "Learning Gaussian networks", section 3.

    Example:
        >>> score = GaussianScore(np.array([[0.0, 1.0], [1.0, 2.0], [2.0, 5.0], [3.0, 6.0]]))
        >>> round(score.local(1, 0b00), 4), round(score.local(1, 0b01), 4)
        (-9.9559, -4.5363)
    """

    def __init__(self, data: Any, kind: GaussianScoreKind = "bic") -> None:
        check_choice("kind", kind, GaussianScoreKind)
        names = list(data.columns) if is_pandas(data) else None
        rows = RealVariables(names).rows(data, "data") if names else as_reals(data, "data")
        rows = rows.detach().double().cpu()
        if rows.ndim != 2 or len(rows) < 2 or not rows.shape[1]:
            raise ValueError(f"data must be (n, V) with n >= 2, found shape {tuple(rows.shape)}")
        if rows.isnan().any():
            row, column = rows.isnan().nonzero()[0].tolist()
            raise ValueError(
                f"data must have no gaps, found one in row {row}, column {column}; "
                "drop the row, or fill it with the impute of a fitted network"
            )
        self.n_rows, self.n_variables = rows.shape
        self._names = names or [f"column {v}" for v in range(self.n_variables)]
        check_range(rows, self._names)
        center = column_centers(rows, torch.ones(self.n_rows, dtype=rows.dtype))
        self._root = (triangular_root(rows - center) / math.sqrt(self.n_rows)).numpy()
        self._size = np.hypot(np.linalg.norm(self._root, axis=0), center.numpy())
        self._penalty = {"bic": math.log(self.n_rows) / 2, "aic": 1.0, "loglik": 0.0}[kind]
        self._known: dict[tuple[int, int], float] = {}

    def local(self, child: int, parents: int) -> float:
        """Score of one family, nats; -inf where there are too few rows to estimate it.

        Arguments:
            child: number of the child.
            parents: bit mask of the parents: bit v stands for variable v.

        Raises:
            ValueError: numbers out of range, a child among its parents, or a child that the
                parents determine, so that the likelihood is unbounded.
        """
        key = child, parents
        if key not in self._known:
            self._known[key] = self._score(child, parents)
        return self._known[key]

    def prepare(self, child: int, parents: int) -> None:
        """Nothing: every family is scored by itself."""

    def _score(self, child: int, parents: int) -> float:
        """Score of one family from the moments."""
        if not (0 <= child < self.n_variables and 0 <= parents < 1 << self.n_variables):
            raise ValueError(
                f"child and parents must name {self.n_variables} variables, "
                f"found {child} and {parents:#b}"
            )
        if parents >> child & 1:
            raise ValueError(f"parents must leave out the child, found {child} in {parents:#b}")
        above = bits(parents)
        if self.n_rows < len(above) + 2:
            return -math.inf
        places = np.array([above], dtype=np.int64).reshape(1, len(above))
        _, left = regress(self._root, self._size, np.array([child]), places)
        variance = float(left[0])
        if not variance:
            causes = ", ".join(self._names[v] for v in above)
            how = f"determined by {causes}" if above else "constant"
            raise ValueError(
                f"data: {self._names[child]} is {how}; its likelihood is unbounded: drop it"
            )
        log_likelihood = -self.n_rows / 2 * (1 + math.log(2 * math.pi * variance))
        return log_likelihood - self._penalty * (len(above) + 2)
