"""Mixtures whose components are laws of one family, and what fits them.

.. math:: p(x) = \\sum_{k=1}^{K} \\pi_k\\, f(x; \\theta_k)
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from inference.inputs import check_distribution
from inference.learning.em import expectation_maximization
from inference.random import GeneratorLike, as_generator
from pgm.mixture_model import MixtureModel
from pgm.mixtures.families.family import Family, Titles
from pgm.mixtures.families.learning import FamilyLearner, FamilySettings, MixtureNumbers

__all__ = ["FamilyMixture"]


class FamilyMixture(MixtureModel):
    """Abstract base of mixtures of K laws of a family.

    The numbers of the components are parameters under the names that the family gives them.

    Arguments:
        n_components: K.
        family: law of a row.
    """

    def __init__(self, n_components: int, family: Family) -> None:
        super().__init__()
        self.family = family
        even = torch.full((n_components,), 1 / n_components, dtype=torch.float64)
        self._take(MixtureNumbers(even, family.blank(n_components)))
        self.converged_, self.n_iter_ = False, 0

    @abstractmethod
    def _read(self, x: Any) -> Tensor:
        """Rows of a user as the family has them, float64 (n, d), NaN for missing."""

    @property
    def n_parameters(self) -> int:
        """Number of free numbers."""
        k = len(self.weights)
        return k - 1 + self.family.n_parameters(k)

    def component_log_prob(self, x: Any) -> Tensor:
        """Log-probability (or density) of every row under every component, (n, K), nats.

        Differentiable, with respect to numbers x too. A row without entries has probability one.

        Raises:
            TypeError, ValueError: for rows that are not the model's, or parameters that are no
                law.
        """
        check_distribution("weights", self.weights.detach())
        self.family.check(self._detached())
        values = self._read(x)
        return self.family.log_likelihood(self._numbers(), self.family.prepare(values, None)).T

    def _sample_components(self, labels: Tensor, generator: torch.Generator) -> Tensor:
        return self.family.sample(self._detached(), labels, generator)

    @torch.no_grad()
    def _learn(
        self,
        values: Tensor,
        weights: Tensor,
        settings: FamilySettings,
        *,
        title: Titles,
        generator: GeneratorLike,
        progress: bool | None,
    ) -> None:
        """Learn from rows as the family has them, and take over the result as a whole."""
        source = as_generator(generator, self.device)
        current = MixtureNumbers(self.weights.detach(), self._detached())
        learner = FamilyLearner(
            self.family, values, weights.to(self.device), len(self.weights), settings, title
        )
        found = expectation_maximization(
            learner.step,
            [learner.start(current, source) for _ in range(settings.n_init)],
            max_iterations=settings.max_iter,
            tolerance=settings.tol,
            size=learner.total,
            progress=progress,
        )
        self._take(found.parameters)
        self.history = found.history
        self.converged_, self.n_iter_ = found.converged, found.iterations

    def _take(self, numbers: MixtureNumbers) -> None:
        """Make numbers the parameters."""
        self.weights = nn.Parameter(numbers.weights.clone())
        for name, value in numbers.components.items():
            setattr(self, name, nn.Parameter(value.clone()))

    def _numbers(self) -> dict[str, Tensor]:
        """Numbers of the components by name."""
        return {name: p for name, p in self.named_parameters() if name != "weights"}

    def _detached(self) -> dict[str, Tensor]:
        """Numbers of the components without their gradients."""
        return {name: p.detach() for name, p in self._numbers().items()}
