"""The engine's answers with names and tensors: shared by every model that it serves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from inference.exact.batch import log_evidence_batch, marginals_batch
from inference.exact.engine import ExactEngine
from inference.exact.evidence import Evidence, Variables
from inference.exact.plan import Plan
from inference.random import numpy_generator

__all__ = ["Queries"]


@dataclass(frozen=True)
class Queries:
    """Queries to an engine whose tables are up to date.

    Arguments:
        engine: the exact engine.
        variables: names and states.
        device: where results go.
    """

    engine: ExactEngine
    variables: Variables
    device: torch.device

    def plan(self, evidence: Mapping[str, Any] | None, variables: Sequence[str] | None) -> Plan:
        """Plan of :meth:`marginals`."""
        given = self.variables.evidence(evidence)
        return self.engine.plan_for(given, self.variables.numbers(variables))

    def log_evidence(self, given: Evidence) -> Tensor:
        """Log of the summed weight of what agrees with the evidence, () or (B,)."""
        if given.rows is not None:
            return log_evidence_batch(self.engine, given, self.device)
        return self._scalar(self.engine.log_evidence(given))

    def marginals(self, given: Evidence, numbers: Sequence[int]) -> dict[str, Tensor]:
        """Posterior of every variable asked for, (card,) or (B, card)."""
        names = self._names(numbers)
        if given.rows is not None:
            parts = marginals_batch(self.engine, given, numbers, self.device)
            return dict(zip(names, parts, strict=True))
        found = self.engine.marginals(given, numbers)
        if found is None:
            raise self._impossible(given)
        every = self.variables.cards
        cards = every if isinstance(numbers, range) else [every[v] for v in numbers]
        return dict(zip(names, self._tensor(found).split(cards), strict=True))

    def joint(self, evidence: Mapping[str, Any] | None, numbers: Sequence[int]) -> Tensor:
        """Joint posterior of several variables, one axis each."""
        given = self._single(evidence, "query")
        found = self.engine.joint(given, numbers)
        if found is None:
            raise self._impossible(given)
        return self._tensor(found)

    def most_probable(
        self, evidence: Mapping[str, Any] | None
    ) -> tuple[dict[str, str | int], Tensor]:
        """State labels (codes where there are none) of a most probable joint state, its log."""
        given = self._single(evidence, "most_probable")
        found = self.engine.most_probable(given)
        if found is None:
            raise self._impossible(given)
        label = self.variables.label
        codes = enumerate(found[0].tolist())
        return {self.variables.names[v]: label(v, c) for v, c in codes}, self._scalar(found[1])

    def sample(
        self,
        n: int,
        evidence: Mapping[str, Any] | None,
        generator: int | torch.Generator | None,
    ) -> Tensor:
        """Independent joint samples, (n, V)."""
        if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 0:
            raise ValueError(f"n must be a whole number >= 0, found {n!r}")
        given = self._single(evidence, "sample")
        found = self.engine.sample(given, int(n), numpy_generator(generator))
        if found is None:
            raise self._impossible(given)
        return self._tensor(found)

    def _names(self, numbers: Sequence[int]) -> Sequence[str]:
        names = self.variables.names
        return names if isinstance(numbers, range) else [names[v] for v in numbers]

    def _tensor(self, array: np.ndarray) -> Tensor:
        tensor = torch.from_numpy(array)
        return tensor if self.device.type == "cpu" else tensor.to(self.device)

    def _scalar(self, value: float) -> Tensor:
        return torch.tensor(value, dtype=torch.float64, device=self.device)

    def _single(self, evidence: Mapping[str, Any] | None, method: str) -> Evidence:
        given = self.variables.evidence(evidence)
        if given.rows is not None:
            raise ValueError(f"{method} takes one query at a time; loop over the batch's rows")
        return given

    def _impossible(self, given: Evidence) -> ValueError:
        shown = self.variables.describe(given)
        return ValueError(f"evidence {shown} has probability zero under this model")
