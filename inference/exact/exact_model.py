"""What every model with exact answers offers: marginals, joints, best states, samples.

.. math:: p(x \\mid e) \\propto \\prod_f \\phi_f(x_{S_f}, e)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from inference.exact.evidence import Variables
from inference.exact.factor import Factor
from inference.exact.plan import Plan
from inference.exact.queries import Queries

__all__ = ["ExactModel"]


class ExactModel(ABC):
    """Abstract base of discrete models that an exact engine serves.

    A subclass has a ``vocabulary`` of names and states, and its engine in :meth:`_queries`.
    """

    vocabulary: Variables

    @abstractmethod
    def _queries(self) -> Queries:
        """The engine with the model's present numbers."""

    def plan(
        self, evidence: Mapping[str, Any] | None = None, variables: Sequence[str] | None = None
    ) -> Plan:
        """Plan :meth:`marginals` without running it; print the result to see its cost."""
        return self._queries().plan(evidence, variables)

    def marginals(
        self, evidence: Mapping[str, Any] | None = None, variables: Sequence[str] | None = None
    ) -> dict[str, Tensor]:
        """Posterior of every variable (or of those asked for), observed ones included.

        .. math:: p(x_v \\mid e)

        Shapes:
            values: (card,), or (B, card) for a batch; impossible rows of a batch are NaN.

        Raises:
            ValueError: if single evidence has probability zero.
        """
        numbers = self.vocabulary.numbers(variables)
        return self._queries().marginals(self.vocabulary.evidence(evidence), numbers)

    def query(
        self, variables: str | Sequence[str], evidence: Mapping[str, Any] | None = None
    ) -> Factor:
        """Joint posterior of several variables, as a normalised factor with their axes.

        .. math:: p(x_{v_1}, \\dots, x_{v_k} \\mid e)
        """
        numbers = self.vocabulary.numbers(variables)
        table = self._queries().joint(evidence, numbers)
        return Factor.from_potential([self.vocabulary.names[v] for v in numbers], table)

    def most_probable(
        self, evidence: Mapping[str, Any] | None = None
    ) -> tuple[dict[str, str | int], Tensor]:
        """Most probable joint state that agrees with the evidence, and its log-probability.

        .. math:: \\max_{x \\sim e} \\log p(x)

        Shapes:
            log-probability: (); includes log-likelihoods of soft evidence.
        """
        return self._queries().most_probable(evidence)

    def sample(
        self,
        n: int,
        evidence: Mapping[str, Any] | None = None,
        generator: int | torch.Generator | None = None,
    ) -> Tensor:
        """Draw independent exact samples: ancestral without evidence, posterior with it.

        Shapes:
            result: (n, V) int64 codes in the order of ``variables``.
        """
        return self._queries().sample(n, evidence, generator)
