"""What mixtures have in common: a hidden label chooses the law of a row.

.. math:: p(x) = \\sum_{k=1}^{K} \\pi_k\\, p_k(x), \\qquad
          r_k(x) = \\frac{\\pi_k\\, p_k(x)}{p(x)}
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor

from inference.inputs import as_whole
from inference.logspace import logsumexp, safe_log
from inference.random import GeneratorLike, as_generator
from pgm.row_model import RowModel

__all__ = ["MixtureModel"]


class MixtureModel(RowModel):
    """Abstract base of mixtures of K laws of rows.

    Attributes:
        weights: (K,), float64, probabilities of the components; a parameter where they are learned
            as such.
    """

    weights: Tensor

    @property
    @abstractmethod
    def n_parameters(self) -> int:
        """Number of free numbers."""

    @abstractmethod
    def component_log_prob(self, x: Any) -> Tensor:
        """Log-probability of every row under every component, (n, K), nats; differentiable."""

    @abstractmethod
    def _sample_components(self, labels: Tensor, generator: torch.Generator) -> Tensor:
        """One row for every label (n,), (n, *event)."""

    def log_prob(self, x: Any) -> Tensor:
        """Log-probability (or density) of every row, differentiable.

        .. math:: \\log p(x) = \\log \\sum_k \\pi_k\\, p_k(x)

        Shapes:
            x: (n, d). result: (n,), nats.
        """
        return logsumexp(self._joint(x), dim=1)

    @torch.no_grad()
    def score(self, x: Any, y: Any = None) -> Tensor:
        """Mean log-probability of the rows, nats, (); y is ignored, as in scikit-learn.

        Without a gradient: for one take the mean of `log_prob`.

        Raises:
            ValueError: no rows.
        """
        return super().score(x)

    def score_samples(self, x: Any) -> Tensor:
        """The same as `log_prob`, by scikit-learn's name and without a gradient."""
        with torch.no_grad():
            return self.log_prob(x)

    @torch.no_grad()
    def predict_proba(self, x: Any) -> Tensor:
        """Responsibilities: probability of every component given the row.

        .. math:: r_k(x) = \\pi_k\\, p_k(x) / p(x)

        Shapes:
            x: (n, d). result: (n, K); rows sum to one. A row that is impossible in every
            component has the weights.
        """
        joint = self._joint(x)
        total = logsumexp(joint, dim=1)[:, None]
        return torch.where(total == -math.inf, self.weights, (joint - total).exp())

    @torch.no_grad()
    def predict(self, x: Any) -> Tensor:
        """The most probable component of every row, (n,) int64."""
        return self._joint(x).argmax(1)

    def _joint(self, x: Any) -> Tensor:
        """Log-probability of component and row together, (n, K)."""
        return self.component_log_prob(x) + safe_log(self.weights)

    @torch.no_grad()
    def bic(self, x: Any) -> float:
        """Bayesian information criterion, lower is better.

        .. math:: -2 \\sum_i \\log p(x_i) + p \\log n

        Reference:
            Schwarz 1978, "Estimating the dimension of a model".

        Raises:
            ValueError: no rows.
        """
        logs = self.log_prob(x)
        if not len(logs):
            raise ValueError("x has no rows; the logarithm of their number is not defined")
        return float(-2 * logs.sum() + self.n_parameters * math.log(len(logs)))

    @torch.no_grad()
    def aic(self, x: Any) -> float:
        """Akaike's information criterion, lower is better.

        .. math:: -2 \\sum_i \\log p(x_i) + 2 p

        Reference:
            Akaike 1974, "A new look at the statistical model identification".
        """
        return float(-2 * self.log_prob(x).sum() + 2 * self.n_parameters)

    @torch.no_grad()
    def sample(self, n: int, *, generator: GeneratorLike = None) -> Tensor:
        """Independent rows, (n, *event); `sample_labelled` tells their components too."""
        return self.sample_labelled(n, generator=generator)[0]

    @torch.no_grad()
    def sample_labelled(self, n: int, *, generator: GeneratorLike = None) -> tuple[Tensor, Tensor]:
        """Independent rows, (n, *event), and the component of every one, (n,) int64.

        Raises:
            TypeError, ValueError: ``n`` is no number of rows.
        """
        n = as_whole("n", n, least=0)
        source = as_generator(generator, self.device)
        if n == 0:
            labels = torch.zeros(0, dtype=torch.int64, device=self.device)
        else:
            labels = torch.multinomial(self.weights, n, replacement=True, generator=source)
        return self._sample_components(labels, source), labels
