"""Linear structural equations with independent Gaussian noise.

.. math:: x = b + W^T x + \\varepsilon, \\quad \\varepsilon \\sim N(0, D)
          \\qquad\\Longrightarrow\\qquad
          x = A^T (b + \\varepsilon), \\quad A = (I - W)^{-1}
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["LinearEquations"]


@dataclass(frozen=True)
class LinearEquations:
    """One equation per variable, as long as it is acyclic; differentiable in its numbers.

    .. math:: x \\sim N(\\mu, \\Sigma), \\qquad \\mu = A^T b, \\qquad \\Sigma = A^T D A

    Attributes:
        weights: W, (V, V), from -> to; zero where there is no edge.
        intercepts: b, (V,).
        variances: the diagonal of D, (V,), not negative.
        order: the variables, parents before children.

    Reference:
        Wright 1934, "The method of path coefficients"; Koller & Friedman 2009, section 7.2.1.

    Example:
        >>> weights = torch.tensor([[0.0, 2.0, 1.0], [0.0, 0.0, 3.0], [0.0, 0.0, 0.0]])
        >>> equations = LinearEquations(weights, torch.zeros(3), torch.ones(3), [0, 1, 2])
        >>> equations.effects()
        tensor([[1., 2., 7.],
                [0., 1., 3.],
                [0., 0., 1.]])
        >>> equations.covariance().diagonal()
        tensor([ 1.,  5., 59.])
    """

    weights: Tensor
    intercepts: Tensor
    variances: Tensor
    order: Sequence[int]

    def check(self, names: Sequence[str]) -> None:
        """Refuse NaN, infinities and negative variances.

        Raises:
            ValueError: naming what is wrong, and the variable.
        """
        for label, value in (("weights", self.weights), ("intercepts", self.intercepts)):
            if not value.isfinite().all():
                raise ValueError(
                    f"{label} must be finite, found NaN or an infinity; set them anew"
                )
        wrong = ~((self.variances >= 0) & self.variances.isfinite())
        if wrong.any():
            v = int(wrong.nonzero()[0])
            raise ValueError(
                "variances must be finite and not negative, found "
                f"{self.variances[v].item():g} for {names[v]!r}"
            )

    def check_noise(self, names: Sequence[str]) -> None:
        """Refuse deterministic variables, of which there is no density.

        Raises:
            ValueError: naming the first one.
        """
        if not self.variances.all():
            name = names[int((self.variances == 0).nonzero()[0])]
            raise ValueError(
                f"there is no density: {name!r} has variance zero, so its parents determine it; "
                "leave it out (NaN) or give it noise"
            )

    def effects(self) -> Tensor:
        """What one unit more of every variable adds to every other, along all paths: A, (V, V).

        .. math:: A = (I - W)^{-1} = I + W + W^2 + \\dots
        """
        places = torch.as_tensor(self.order, device=self.weights.device)
        # In this order the matrix is triangular: who is no descendant gets an exact zero.
        triangle = self._unit() - self.weights[places][:, places]
        effects = torch.linalg.solve_triangular(
            triangle, self._unit(), upper=True, unitriangular=True
        )
        back = places.argsort()
        return effects[back][:, back]

    def mean(self) -> Tensor:
        """Mean of all variables, (V,)."""
        return self.intercepts @ self.effects()

    def covariance(self) -> Tensor:
        """Covariance of all variables, (V, V)."""
        effects = self.effects()
        return (effects.mT * self.variances) @ effects

    def precision(self) -> Tensor:
        """Inverse covariance, (I - W) D^-1 (I - W)^T, where every variable has noise."""
        residual = self._unit() - self.weights
        return (residual / self.variances) @ residual.mT

    def noise_root(self) -> Tensor:
        """How every variable is made of independent standard normal noise, (V, V).

        .. math:: x = \\mu + R z, \\quad R = A^T D^{1/2}, \\quad \\Sigma = R R^T
        """
        return self.effects().mT * self.variances.sqrt()

    def log_prob(self, x: Tensor) -> Tensor:
        """Log-density of complete rows (n, V) in nats, (n,): one normal density per equation.

        .. math:: \\log p(x) = -\\tfrac12 \\sum_v \\Bigl[\\log 2\\pi s_v^2
                  + \\frac{(x_v - b_v - \\sum_p w_{pv} x_p)^2}{s_v^2}\\Bigr]
        """
        residuals = x - self.intercepts - x @ self.weights
        constant = (2 * math.pi * self.variances).log().sum()
        return -0.5 * ((residuals.square() / self.variances).sum(-1) + constant)

    def _unit(self) -> Tensor:
        """Identity of the weights' size, type and device."""
        return torch.eye(len(self.weights), dtype=self.weights.dtype, device=self.weights.device)
