"""Maximum likelihood of linear-Gaussian networks: least squares, or EM where entries are missing.

.. math:: \\max_{W, b, D} \\sum_i c_i \\log N(x^{(i)}_{O_i}; \\mu_{O_i}, \\Sigma_{O_i O_i})
          - \\frac{\\lambda}{2} \\sum_v \\frac{\\lVert w_v \\rVert^2}{s_v^2}
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from inference.inputs import as_whole
from inference.learning.em import check_tolerance, expectation_maximization
from inference.progress import check_progress
from inference.random import GeneratorLike, as_generator
from pgm.linear_gaussian.conditioning import Conditional, condition
from pgm.linear_gaussian.family_regression import FamilyRegressions, triangular_root
from pgm.linear_gaussian.missing_patterns import PatternBlock, pattern_blocks
from pgm.linear_gaussian.structural_equations import LinearEquations

__all__ = ["EMOptions", "LinearGaussianLearner", "check_range", "column_centers"]

#: Noise below this share of a variable's spread is too small for EM: what a step gains in the
#: likelihood is less than what rounding changes in it.
NEGLIGIBLE = 1e-9
#: Numbers up to this have squares in float64, and so have spreads from this, with room for
#: residuals that are as small as rounding leaves them.
LARGEST, NARROWEST = 1e150, 1e-140


class EMOptions(NamedTuple):
    """How to run expectation-maximisation; the fields mean what they mean in ``fit``."""

    n_starts: int = 1
    max_iterations: int = 1000
    tolerance: float = 1e-8
    generator: GeneratorLike = None
    progress: bool | None = None


def column_centers(rows: Tensor, row_weights: Tensor) -> Tensor:
    """Weighted mean of what is present in every column, exact where that is constant.

    Shapes:
        rows: (n, V), NaN = missing. row_weights: (n,). result: (V,), 0 for empty columns.

    Example:
        >>> rows = torch.tensor([[0.1, 1.0, torch.nan], [0.1, torch.nan, torch.nan]])
        >>> column_centers(rows, torch.ones(2))
        tensor([0.1000, 1.0000, 0.0000])
    """
    present = ~rows.isnan()
    counts = row_weights @ present.to(rows)
    means = row_weights @ torch.where(present, rows, 0.0) / counts
    lowest = torch.where(present, rows, math.inf).amin(0)
    highest = torch.where(present, rows, -math.inf).amax(0)
    return torch.where(counts > 0, torch.where(lowest == highest, lowest, means), 0.0)


def check_range(rows: Tensor, names: Sequence[str]) -> None:
    """Refuse columns whose squares float64 does not hold: variances would be infinite or zero.

    Shapes:
        rows: (n, V), NaN = missing, at least one row.

    Raises:
        ValueError: naming the first such column.
    """
    present = ~rows.isnan()
    size = torch.where(present, rows, 0.0).abs().amax(0)
    lowest = torch.where(present, rows, math.inf).amin(0)
    spread = torch.where(present, rows, -math.inf).amax(0) - lowest
    wrong = (size > LARGEST) | ((spread > 0) & (spread < NARROWEST))
    if wrong.any():
        v = int(wrong.nonzero()[0])
        found = f"numbers of {size[v]:g}" if size[v] > LARGEST else f"a spread of {spread[v]:g}"
        raise ValueError(
            f"data: {names[v]!r} has {found}, whose squares float64 does not hold; rescale it"
        )


@dataclass(frozen=True)
class LinearGaussianLearner:
    """Learn the numbers of a given graph.

    Attributes:
        names: of the variables, for messages.
        parents: numbers of the parents of every variable.
        order: the variables, parents before children.
        ridge: lambda: weights are shrunk as if by ridge regression of that penalty.

    Example:
        >>> rows = torch.tensor([[0.0, 1.0], [1.0, 3.0], [2.0, 5.0], [3.0, 7.0]]).double()
        >>> learner = LinearGaussianLearner(["a", "b"], [[], [0]], [0, 1])
        >>> found, history = learner.complete(rows, torch.ones(4).double())
        >>> round(found.weights[0, 1].item(), 9), round(found.intercepts[1].item(), 9)
        (2.0, 1.0)
        >>> found.variances
        tensor([1.2500, 0.0000], dtype=torch.float64)
    """

    names: Sequence[str]
    parents: Sequence[Sequence[int]]
    order: Sequence[int]
    ridge: float = 0.0

    def learn(
        self, rows: Tensor, row_weights: Tensor, options: EMOptions
    ) -> tuple[LinearEquations, list[dict[str, Any]]]:
        """Parameters and history, by least squares where nothing is missing and by EM elsewhere.

        Shapes:
            rows: (n, V), float64, NaN = missing. row_weights: (n,), not negative.

        Raises:
            TypeError, ValueError: bad options, too few rows for the parents of a variable,
                nothing observed at all, numbers whose squares float64 does not hold, or gaps in
                the rows of a variable without noise.
        """
        as_whole("n_starts", options.n_starts, least=1)
        as_whole("max_iterations", options.max_iterations, least=1)
        check_tolerance(options.tolerance)
        check_progress(options.progress)
        as_generator(options.generator, rows.device)
        if not 0 <= self.ridge < math.inf:
            raise ValueError(f"ridge must be finite and not negative, found {self.ridge}")
        present = ~rows.isnan()
        # A row without entries has likelihood one under all parameters; EM would crawl with it.
        informative = present.any(1) & (row_weights > 0)
        if not informative.any():
            raise ValueError("data must hold at least one observed entry of positive weight")
        rows, row_weights, present = (x[informative] for x in (rows, row_weights, present))
        check_range(rows, self.names)
        self._check_counts(present.sum(0).tolist())
        if present.all():
            return self.complete(rows, row_weights)
        return self.incomplete(rows, row_weights, options)

    def complete(
        self, rows: Tensor, row_weights: Tensor
    ) -> tuple[LinearEquations, list[dict[str, Any]]]:
        """Least squares on rows without gaps; variances are mean squared residuals.

        Shapes:
            rows: (n, V), float64. row_weights: (n,), positive.
        """
        center = column_centers(rows, row_weights)
        roots = row_weights.sqrt().unsqueeze(-1)
        triangle = triangular_root(torch.cat([roots, roots * (rows - center)], dim=1))
        found = self.maximize(triangle, center)
        densities = 1 + (2 * math.pi * found.variances).log()
        objective = -0.5 * (row_weights.sum() * densities.sum()).item()
        entry = {"start": 0, "iteration": 1, "objective": objective, "change": math.nan}
        return _moved(found, center), [entry]

    def incomplete(
        self, rows: Tensor, row_weights: Tensor, options: EMOptions
    ) -> tuple[LinearEquations, list[dict[str, Any]]]:
        """Expectation-maximisation on rows with gaps.

        Every iteration costs the same however many rows there are per pattern of gaps: a pattern
        is first reduced to at most k + 1 rows that have the same second moments.

        Shapes:
            rows: (n, V), float64, NaN = missing. row_weights: (n,), positive.
        """
        present = ~rows.isnan()
        center = column_centers(rows, row_weights)
        shifted = rows - center
        counts = row_weights @ present.double()
        squares = row_weights @ torch.where(present, shifted, 0.0).square()
        variances = torch.where(counts > 0, squares / counts, 1.0)
        self.check_variances(variances)
        source = as_generator(options.generator, rows.device)
        starts = [self._start(variances, counts == 0, source) for _ in range(options.n_starts)]
        result = expectation_maximization(
            _ExpectedMoments(self, shifted, row_weights, center),
            starts,
            max_iterations=options.max_iterations,
            tolerance=options.tolerance,
            size=float(row_weights.sum()),
            progress=options.progress,
        )
        return _moved(result.parameters, center), result.history

    def maximize(self, triangle: Tensor, center: Tensor) -> LinearEquations:
        """Maximise the likelihood of complete rows, given by their second moments (M step).

        Arguments:
            triangle: T with T^T T the moments of (1, x - center).
            center: what was taken off the rows.
        """
        last = triangle[0, 0]
        mean, root = triangle[0, 1:] / last, (triangle[1:, 1:] / last).cpu().numpy()
        size = np.hypot(np.linalg.norm(root, axis=0), (center + mean).cpu().numpy())
        solved = self._families.solve(root, size, self.ridge / last.item() ** 2)
        weights, variances = (torch.from_numpy(array).to(mean.device) for array in solved)
        return LinearEquations(weights, mean - mean @ weights, variances, self.order)

    @cached_property
    def _families(self) -> FamilyRegressions:
        """The regressions of this graph."""
        return FamilyRegressions(self.parents)

    def check_variances(self, variances: Tensor) -> None:
        """Refuse variances of zero, which rows with gaps cannot be learned with.

        Raises:
            ValueError: naming the variable.
        """
        if not variances.all():
            name = self.names[int((variances == 0).nonzero()[0])]
            raise ValueError(
                f"data: {name!r} is constant or determined by its parents, where the likelihood "
                "of rows with gaps has no maximum; drop it, or pass a ridge for determined ones"
            )

    def _check_counts(self, counts: Sequence[int]) -> None:
        """Refuse variables observed too seldom for their parents, unless never observed."""
        for name, above, count in zip(self.names, self.parents, counts, strict=True):
            needed = 2 if self.ridge else 2 + len(above)
            if 0 < count < needed:
                raise ValueError(
                    f"data: {name!r} with {len(above)} parents is observed in {count} rows, needs "
                    f"at least {needed}; pass a ridge, or remove edges or the variable"
                )

    def _start(
        self, variances: Tensor, hidden: Tensor, source: torch.Generator
    ) -> LinearEquations:
        """Independent variables; edges of hidden ones, where zero is a saddle, at random."""
        edges = torch.zeros(len(hidden), len(hidden), dtype=torch.bool, device=hidden.device)
        for child, above in enumerate(self.parents):
            edges[above, child] = True
        drawn = variances.new_empty(edges.shape).normal_(generator=source)
        deviations = variances.sqrt()
        drawn = 0.5 * drawn * deviations / deviations.unsqueeze(-1)
        weights = torch.where(edges & (hidden | hidden.unsqueeze(-1)), drawn, 0.0)
        return LinearEquations(weights, torch.zeros_like(variances), variances, self.order)


def _moved(equations: LinearEquations, center: Tensor) -> LinearEquations:
    """The equations of rows to which the center is added again."""
    moved = equations.intercepts + center - center @ equations.weights
    return replace(equations, intercepts=moved)


class _ExpectedMoments:
    """One step of EM: expected second moments of the completed rows, then regressions."""

    def __init__(
        self, learner: LinearGaussianLearner, rows: Tensor, row_weights: Tensor, center: Tensor
    ) -> None:
        self._learner = learner
        self._center = center
        self._total = row_weights.sum()
        self._blocks = [_Reduced(b, rows, row_weights) for b in pattern_blocks(~rows.isnan())]

    def __call__(self, parameters: LinearEquations) -> tuple[LinearEquations, float]:
        """Next parameters, and the objective at the given ones."""
        root, mean = parameters.noise_root(), parameters.mean()
        triangle = root.new_zeros(1, len(root) + 1)
        # How much of the noise no evidence has fixed, summed over all rows.
        free = self._total * torch.eye(len(root), dtype=root.dtype, device=root.device)
        norms = (parameters.weights.square().sum(0) / parameters.variances).sum()
        objective = -0.5 * self._learner.ridge * norms
        for block in self._blocks:
            found = condition(root, block.observed)
            expected, likelihood = block.complete(found, mean)
            triangle = triangular_root(torch.cat([triangle, expected]))
            free -= block.fixed(found)
            objective = objective + likelihood
        values, vectors = torch.linalg.eigh(free)
        # Below zero there is rounding only.
        uncertain = root @ (vectors * values.clamp_min(0.0).sqrt())
        uncertain = torch.nn.functional.pad(uncertain.mT, (1, 0))
        triangle = triangular_root(torch.cat([triangle, uncertain]))
        following = self._learner.maximize(triangle, self._center)
        spread = torch.linalg.vector_norm(triangle[:, 1:], dim=0) / triangle[0, 0].abs()
        real = following.variances.sqrt() > NEGLIGIBLE * spread
        self._learner.check_variances(torch.where(real, following.variances, 0.0))
        return following, float(objective)


class _Reduced:
    """A block of patterns, its rows replaced by at most k + 1 of the same second moments."""

    def __init__(self, block: PatternBlock, rows: Tensor, row_weights: Tensor) -> None:
        roots = torch.where(block.valid, row_weights[block.rows], 0.0).sqrt().unsqueeze(-1)
        ones_and_values = torch.cat([roots, roots * block.values(rows)], dim=-1)
        if ones_and_values.shape[-2] > ones_and_values.shape[-1]:
            ones_and_values = triangular_root(ones_and_values)
        self.observed = block.observed
        self._block = block
        self._total = roots.square().sum((-2, -1))
        self._ones, self._values = ones_and_values[..., :1], ones_and_values[..., 1:]

    def complete(self, found: Conditional, mean: Tensor) -> tuple[Tensor, Tensor]:
        """Expected rows of (1, x), and the log-likelihood of what is observed of them."""
        shift = self._values - self._ones * mean[self.observed].unsqueeze(-2)
        standard = shift @ found.whiten.mT
        expected = self._ones * mean + standard @ found.gain.mT
        expected = self._block.fill(expected, self._values)
        size = self.observed.shape[-1]
        constant = self._total @ (found.log_scale + size / 2 * math.log(2 * math.pi))
        likelihood = -0.5 * standard.square().sum() - constant
        return torch.cat([self._ones, expected], dim=-1).flatten(0, 1), likelihood

    def fixed(self, found: Conditional) -> Tensor:
        """How much of the noise the evidence has fixed, summed over the rows, (V, V)."""
        weighted = found.basis * self._total.sqrt()[:, None, None]
        flat = weighted.transpose(0, 1).flatten(1)
        return flat @ flat.mT
