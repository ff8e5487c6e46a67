"""The penalised conditional likelihood of a log-linear model, and its gradient.

.. math:: L(w, b) = -\\frac{1}{W} \\sum_i \\omega_i \\log p(y_i \\mid x_i)
          + \\frac{1}{C W} \\Bigl[\\rho \\lVert w \\rVert_1
          + \\tfrac{1 - \\rho}{2} \\lVert w \\rVert_2^2\\Bigr]
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from inference.logspace import log_normalize
from pgm.max_entropy.design import Design
from pgm.max_entropy.settings import Settings

__all__ = ["Problem", "class_scores"]


def class_scores(scores: Tensor) -> Tensor:
    """Scores (n, K) of all classes: those given, or beside a single column the reference 0.

    Example:
        >>> class_scores(torch.tensor([[2.0]]))
        tensor([[0., 2.]])
    """
    if scores.shape[1] > 1:
        return scores
    return torch.cat([torch.zeros_like(scores), scores], 1)


@dataclass(frozen=True)
class Problem:
    """The smooth part of the objective at flat parameters, in the units of the design.

    Two classes have one row of weights, that of the second class; more have one row each.

    Arguments:
        design: the rows.
        y: codes of the classes.
        weight: of the rows, summing to one.
        n_rows: rows of weights R, 1 or the number of classes.
        intercept: whether there is one.
        penalty: strength 1 / (C W) of the whole penalty.
        l1_ratio: share of the absolute values in it.

    Shapes:
        y, weight: (n,). parameters: (R D + R,), intercepts last; (R D,) without.
    """

    design: Design
    y: Tensor
    weight: Tensor
    n_rows: int
    intercept: bool
    penalty: float
    l1_ratio: float

    @classmethod
    def of(
        cls, matrix: Tensor, y: Tensor, weight: Tensor, n_classes: int, settings: Settings
    ) -> Problem:
        """The problem of weighted rows (n, D) with class codes y (n,)."""
        total = float(weight.sum())
        penalty = 1 / (settings.C * total)
        # Where all classes are equally likely, the curvature along a weight is this times the
        # second moment of its feature, plus that of the penalty.
        curvature = (1 - 1 / n_classes) / n_classes
        ridge = penalty * (1 - settings.l1_ratio) / curvature
        centered = settings.fit_intercept
        design = Design.of(matrix, weight, centered=centered, ridge=ridge)
        n_rows = 1 if n_classes == 2 else n_classes
        return cls(design, y, weight / total, n_rows, centered, penalty, settings.l1_ratio)

    def start(self) -> Tensor:
        """Parameters that make all classes equally likely."""
        scale = self.design.scale
        return scale.new_zeros(self.n_rows * (len(scale) + self.intercept))

    @property
    def l1(self) -> Tensor:
        """Strength of the absolute value of every parameter; zero for intercepts."""
        strength = self.penalty * self.l1_ratio / self.design.scale
        return torch.cat([strength.repeat(self.n_rows), strength.new_zeros(self._n_intercepts)])

    @property
    def _n_intercepts(self) -> int:
        return self.n_rows if self.intercept else 0

    def value_and_gradient(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """The objective without its absolute values, (), and its gradient."""
        weights, bias = self._split(parameters)
        log_p = log_normalize(class_scores(self.design.matrix @ weights.T + bias), 1)
        rows = torch.arange(len(self.y), device=self.y.device)
        value = -(self.weight @ log_p[rows, self.y])
        residual = log_p.exp()
        residual[rows, self.y] -= 1.0
        residual = residual[:, -self.n_rows :] * self.weight[:, None]
        slope = (self.design.transposed @ residual).T
        # The square of a scale may vanish, a root of no penalty over it does not.
        l2 = (math.sqrt(self.penalty * (1 - self.l1_ratio)) / self.design.scale).square()
        value = value + 0.5 * (l2 * weights.square()).sum()
        gradient = [(slope + l2 * weights).flatten()]
        if self.intercept:
            gradient.append(residual.sum(0))
        return value, torch.cat(gradient)

    def solution(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Weights (R, D) and intercepts (R,) of features in their own units."""
        weights, bias = self._split(parameters)
        weights = weights / self.design.scale
        return weights, bias - weights @ self.design.center

    def _split(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Weights and intercepts in the units of the design."""
        count = self.n_rows * len(self.design.scale)
        weights = parameters[:count].view(self.n_rows, -1)
        bias = parameters[count:] if self.intercept else weights.new_zeros(self.n_rows)
        return weights, bias
