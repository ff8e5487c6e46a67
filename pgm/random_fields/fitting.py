"""Learning the weights of a Markov random field from rows.

.. math:: \\max_\\theta\\; L(\\theta) - \\lambda_1 \\|\\theta\\|_1 -
          \\tfrac{\\lambda_2}{2} \\|\\theta\\|_2^2
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from torch import Tensor

from inference.inputs import as_whole, check_choice
from inference.learning.lbfgs import minimize
from inference.random import GeneratorLike
from inference.sampling.factor_arrays import FactorArrays
from pgm.discrete_data import DiscreteData
from pgm.random_fields.factor_tables import TableMap
from pgm.random_fields.likelihood import Likelihood, check_possible
from pgm.random_fields.proportional import proportional_fit
from pgm.random_fields.pseudo_likelihood import PseudoLikelihood
from pgm.random_fields.stochastic import ascend

__all__ = ["FieldFitter", "FitMethod"]

FitMethod: TypeAlias = Literal[
    "likelihood", "pseudo-likelihood", "contrastive", "persistent", "proportional"
]
#: Default limits: sweeps over the factors, and steps of the other methods.
SWEEPS, STEPS = 500, 1000

Fitted: TypeAlias = tuple[Tensor, list[dict[str, Any]]]


@dataclass(frozen=True, eq=False)
class FieldFitter:
    """A field without its names, and data to learn it from.

    Arguments:
        arrays: scopes.
        table_map: from weights to log tables.
        names: of the variables, for messages.
        rows: the data.
        weights: (n_weights,) where to start; -inf marks a hard zero that is not learned.
        memory_limit: bytes that tables may take.
    """

    arrays: FactorArrays
    table_map: TableMap
    names: tuple[str, ...]
    rows: DiscreteData
    weights: Tensor
    memory_limit: int | None

    def fit(
        self,
        method: FitMethod,
        *,
        l1: float,
        l2: float,
        max_iterations: int | None,
        tolerance: float,
        sweeps: int,
        chains: int,
        learning_rate: float,
        generator: GeneratorLike,
        progress: bool | None,
    ) -> Fitted:
        """Weights, and what happened per iteration."""
        check_choice("method", method, FitMethod)
        if max_iterations is None:
            max_iterations = SWEEPS if method == "proportional" else STEPS
        limit = as_whole("max_iterations", max_iterations, least=1)
        for name, value in (("l1", l1), ("l2", l2), ("tolerance", tolerance)):
            if not 0 <= value < math.inf:
                raise ValueError(f"{name} must be finite and not negative, found {value}")
        if method != "likelihood":
            self.rows.require_complete("data", 'missing cells need method="likelihood"')
        if self.rows.complete:
            check_possible(self.arrays, self.table_map.tables(self.weights), self.rows)
        if method in ("likelihood", "pseudo-likelihood"):
            objective = (
                Likelihood(self.arrays, self.names, self.rows, self.memory_limit)
                if method == "likelihood"
                else PseudoLikelihood(self.arrays, self.rows)
            )
            return self._climb(objective, l1, l2, limit, tolerance, progress)
        if l1:
            raise ValueError(f"l1 needs a method with exact gradients, found {method!r}; use l2")
        if method == "proportional":
            return self._proportional(l2, limit, tolerance, progress)
        if not 0 < learning_rate < math.inf:
            raise ValueError(f"learning_rate must be positive and finite, found {learning_rate}")
        return ascend(
            self.arrays,
            self.rows,
            self.table_map,
            self.weights,
            method,
            l2=l2,
            chains=as_whole("chains", chains, least=1),
            sweeps=as_whole("sweeps", sweeps, least=1),
            steps=limit,
            learning_rate=learning_rate,
            generator=generator,
            progress=progress,
        )

    def _climb(
        self,
        objective: Callable[[Tensor], tuple[float, Tensor]],
        l1: float,
        l2: float,
        limit: int,
        tolerance: float,
        progress: bool | None,
    ) -> Fitted:
        """L-BFGS on the weights that are no hard zeros; OWL-QN with an L1 penalty."""
        learned = self.weights.isfinite()
        full = self.weights.clone()

        def penalized(x: Tensor) -> tuple[float, Tensor]:
            full[learned] = x
            value, gradient = objective(self.table_map.tables(full))
            slope = self.table_map.pull_back(gradient)[learned]
            return 0.5 * l2 * float(x @ x) - value, l2 * x - slope

        start = self.weights[learned]
        value, _ = penalized(start)
        if not math.isfinite(value):
            raise ValueError("data: a row is impossible: hard zeros of the factors exclude it")
        found = minimize(
            penalized,
            start,
            l1=l1,
            max_iterations=limit,
            gradient_tolerance=tolerance,
            value_tolerance=0.0,
            progress=progress,
            description="fitting",
        )
        full[learned] = found.x
        history = [{**step, "objective": -step["value"]} for step in found.history]
        return full, history

    def _proportional(
        self, l2: float, limit: int, tolerance: float, progress: bool | None
    ) -> Fitted:
        if self.table_map.base is not None or len(self.arrays.cells) != self.arrays.size:
            raise ValueError(
                'method "proportional" needs a table of its own for every factor; tied tables and '
                'features need "likelihood"'
            )
        if l2:
            raise ValueError(f'method "proportional" has no penalty, found l2={l2}')
        return proportional_fit(
            self.arrays,
            self.names,
            self.rows,
            self.weights,
            tolerance=tolerance,
            max_iterations=limit,
            memory_limit=self.memory_limit,
            progress=progress,
        )
