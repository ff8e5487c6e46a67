"""Expectation-maximisation of mixtures of any family.

.. math:: r_{ik} = \\frac{\\pi_k f(x_i; \\theta_k)}{\\sum_l \\pi_l f(x_i; \\theta_l)}, \\qquad
          \\pi_k \\propto \\sum_i w_i r_{ik} + c, \\qquad
          \\theta = \\arg\\max_\\theta \\sum_{ik} w_i r_{ik} \\log f(x_i; \\theta_k)
          + \\log p(\\theta)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from inference.inputs import as_whole, check_choice
from inference.learning.em import check_tolerance
from inference.logspace import safe_log
from inference.memory import require_memory
from pgm.hidden_markov.clusters import kmeans, nearest
from pgm.mixtures.families.family import Family, Init, Numbers, Titles
from pgm.mixtures.responsibilities import share
from pgm.mixtures.rows import block_width

__all__ = ["FamilyLearner", "FamilySettings", "MixtureNumbers"]

#: Rows of a block on devices other than the CPU, which has caches to keep to.
DEVICE_BLOCK = 1 << 16
#: Rows of a block for which what is done once per block is little.
LEAST_BLOCK = 1024
#: Pseudo-rows without which the first components might be narrower than what they are to find.
FIRST_PRIOR = 1.0


class MixtureNumbers(NamedTuple):
    """Weights (K,) and the numbers of the components."""

    weights: Tensor
    components: Numbers


@dataclass(frozen=True)
class FamilySettings:
    """How to learn.

    Attributes:
        prior: pseudo-rows in every component.
        weight_prior: pseudo-count of every component in the weights.
        n_init: number of starts.
        init: how learning starts; None for the family's own way.
        max_iter: most steps per start.
        tol: the change of the objective per unit of weight that ends a run, nats.

    Raises:
        TypeError, ValueError: for settings out of range.
    """

    prior: float = 0.0
    weight_prior: float = 0.0
    n_init: int = 1
    init: Init | None = None
    max_iter: int = 200
    tol: float = 1e-4

    def __post_init__(self) -> None:
        for name in ("prior", "weight_prior"):
            value = getattr(self, name)
            if not 0 <= value < math.inf:
                raise ValueError(f"{name} must be finite and not negative, found {value}")
        as_whole("n_init", self.n_init, least=1)
        as_whole("max_iter", self.max_iter, least=1)
        check_tolerance(self.tol)
        check_choice("init", self.init, Init | None)
        if self.init == "current" and self.n_init > 1:
            raise ValueError(f"n_init must be 1 where init is 'current', found {self.n_init}")


class _Block(NamedTuple):
    """Rows in the form that steps read, and their weights, or None for ones."""

    prepared: Any
    weights: Tensor | None


class FamilyLearner:
    """Rows to learn from, and the steps of EM.

    Arguments:
        family: of the components.
        values: rows, NaN for missing.
        weights: of the rows, not negative.
        n_components: K.
        settings: how to learn.
        title: what messages call a column.

    Shapes:
        values: (n, d). weights: (n,).

    Raises:
        ValueError: if there is nothing, or too little, to learn from, or too much for the memory.
    """

    def __init__(
        self,
        family: Family,
        values: Tensor,
        weights: Tensor,
        n_components: int,
        settings: FamilySettings,
        title: Titles,
    ) -> None:
        if settings.prior and not family.takes_prior:
            raise ValueError(
                f"prior must be 0 for the family {family.name!r}, found {settings.prior}"
            )
        # Rows without weight or entries change nothing but would be read at every step.
        used = (weights > 0) & ~values.isnan().all(1)
        values, weights = values[used], weights[used]
        _check_rows(values, n_components, title)
        _check_memory(family, len(values), n_components)
        self._family, self._values, self._weights = family, values, weights
        self._n_components, self._settings = n_components, settings
        self._reference = family.reference(values, weights)
        self._width = DEVICE_BLOCK
        if values.device.type == "cpu":
            width = block_width(n_components + family.row_numbers(n_components))
            self._width = max(width, LEAST_BLOCK)
        equal = bool((weights == 1).all())
        self._blocks = [
            _Block(family.prepare(part, self._reference), None if equal else mine)
            for part, mine in zip(
                values.split(self._width), weights.split(self._width), strict=True
            )
        ]

    @property
    def total(self) -> float:
        """Weight of all rows."""
        return float(self._weights.sum())

    def start(self, current: MixtureNumbers, generator: torch.Generator) -> MixtureNumbers:
        """Numbers to start from."""
        init = self._settings.init or self._family.own_init
        if init == "current":
            self._family.check(current.components)
            found = self._family.feasible(current.components, self._reference)
            return current._replace(components=found)
        if init == "random_from_data":
            n, k = len(self._values), self._n_components
            chosen = torch.randperm(n, generator=generator, device=generator.device)[:k]
            even = torch.full_like(current.weights, 1 / k)
            rows = self._values[chosen]
            return MixtureNumbers(even, self._family.around(rows, self._reference))
        return self._fitted(self._memberships(init, generator))

    def _memberships(self, init: Init, generator: torch.Generator) -> Tensor:
        """Shares of the components in the rows, (K, n)."""
        k = self._n_components
        if init == "kmeans":
            points = self._family.points(self._values, self._reference)
            labels = nearest(points, kmeans(points, k, generator=generator))
            found = labels == torch.arange(k, device=labels.device)[:, None]
            return found.to(points.dtype)
        parts = self._values.new_empty(k, len(self._values)).exponential_(generator=generator)
        return parts / parts.sum(0)

    def _fitted(self, members: Tensor) -> MixtureNumbers:
        """Numbers that fit shares (K, n)."""
        family, members = self._family, members * self._weights
        broad = family.broad(self._reference, self._n_components)
        statistics = [
            family.statistics(broad, block.prepared, mine)
            for block, mine in zip(self._blocks, members.split(self._width, 1), strict=True)
        ]
        prior = max(self._settings.prior, FIRST_PRIOR if family.takes_prior else 0.0)
        found = family.maximize(broad, statistics, self._reference, prior)
        # A component without rows would stay without.
        counts = members.sum(1) + members.sum() / members.numel()
        return MixtureNumbers(counts / counts.sum(), found)

    def step(self, numbers: MixtureNumbers) -> tuple[MixtureNumbers, float]:
        """The next numbers, and the log-posterior of those given, nats."""
        family, settings = self._family, self._settings
        logs = safe_log(numbers.weights)
        objective, counts = self._log_prior(numbers), torch.zeros_like(logs)
        statistics = []
        for block in self._blocks:
            scores = family.log_likelihood(numbers.components, block.prepared) + logs[:, None]
            objective = objective + share(scores[None], block.weights)[0]
            counts += scores.sum(1)
            statistics.append(family.statistics(numbers.components, block.prepared, scores))
        counts = counts + settings.weight_prior * (numbers.weights > 0)
        found = family.maximize(numbers.components, statistics, self._reference, settings.prior)
        return MixtureNumbers(counts / counts.sum(), found), float(objective)

    def _log_prior(self, numbers: MixtureNumbers) -> Tensor:
        """Logarithm of the prior up to a constant; weights of zero stay so, and add nothing."""
        result = self._family.log_prior(numbers.components, self._reference, self._settings.prior)
        weights = numbers.weights
        logs = safe_log(weights).masked_fill(weights == 0, 0.0)
        return result + self._settings.weight_prior * logs.sum()


def _check_rows(values: Tensor, n_components: int, title: Titles) -> None:
    """Refuse rows that nothing can be learned from."""
    if not len(values):
        raise ValueError("X has no row with an entry and a positive weight; nothing to learn from")
    if len(values) < n_components:
        raise ValueError(
            f"n_components must be at most the number of rows with an entry and a positive "
            f"weight, found {n_components} components and {len(values)} rows"
        )
    empty = values.isnan().all(0)
    if empty.any():
        raise ValueError(
            f"X has no entry in {title(int(empty.nonzero()[0]))} (of the rows with a positive "
            "weight); leave it out"
        )


def _check_memory(family: Family, n_rows: int, n_components: int) -> None:
    """Refuse rows whose prepared form does not fit."""
    needed = 8 * n_rows * family.row_numbers(n_components)
    require_memory(needed, "X, in the form that steps read,", "pass fewer rows")
