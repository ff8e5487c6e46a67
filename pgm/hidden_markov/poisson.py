"""Counts given the hidden state, independent of each other.

.. math:: \\log p(x \\mid k) = \\sum_{j \\text{ observed}} \\bigl[
          x_j \\log \\lambda_{kj} - \\lambda_{kj} - \\log x_j! \\bigr]
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from inference.logspace import safe_log
from pgm.hidden_markov.clusters import assign
from pgm.hidden_markov.emissions import Emissions, Init, Numbers, Options, Statistics
from pgm.hidden_markov.gaussian import as_vectors
from pgm.hidden_markov.token_sequences import TokenSequences

__all__ = ["PoissonEmissions"]


class Prepared(NamedTuple):
    """Counts and presence.

    Attributes:
        counts: zero where missing, (D, n).
        present: (D, n).
        base: the terms without a rate, (n,).
    """

    counts: Tensor
    present: Tensor
    base: Tensor


@dataclass(frozen=True)
class PoissonEmissions(Emissions):
    """Counts with ``rates`` (K, D); NaN are missing ones, which drop out.

    The statistics (K, D) are expected sums and expected numbers of counts.

    Arguments:
        n_features: D; 0 learns it.
    """

    n_features: int
    name: ClassVar[str] = "poisson"
    own_init: ClassVar[Init] = "kmeans"

    @property
    def width(self) -> int:
        """Number of counts per observation."""
        return self.n_features

    def config(self) -> dict[str, Any]:
        """Number of counts per observation."""
        return {"n_features": self.n_features or None}

    def read(
        self, sequences: Any, lengths: Any, *, learn: bool
    ) -> tuple[PoissonEmissions, TokenSequences]:
        """Rows of counts (N, D), NaN for missing."""
        found = as_vectors(sequences, lengths, 0 if learn else self.n_features)
        x = found.values
        wrong = (x < 0) | ((x != x.floor()) & ~x.isnan())
        if wrong.any():
            token, feature = wrong.nonzero()[0].tolist()
            raise ValueError(
                f"sequences hold {x[token, feature]:g} at {found.place(token)}, feature "
                f"{feature}; counts must be whole and not negative, missing ones are NaN"
            )
        return replace(self, n_features=x.shape[1]), found

    def blank(self, n_states: int) -> dict[str, Tensor]:
        """Rates of one."""
        return {"rates": torch.ones((n_states, self.n_features), dtype=torch.float64)}

    def check(self, numbers: Numbers) -> None:
        """Rates must not be negative."""
        rates = numbers["rates"]
        if not ((rates >= 0) & rates.isfinite()).all():
            raise ValueError(f"rates must be finite and not negative, found {rates.tolist()}")

    def n_parameters(self, n_states: int) -> int:
        """Rates."""
        return n_states * self.n_features

    def reference(self, values: Tensor) -> Tensor:
        """Mean counts, (D,)."""
        return values.nanmean(0).nan_to_num(nan=0.0)

    def learning_reference(self, values: Tensor) -> Tensor:
        """Mean counts, (D,).

        Raises:
            ValueError: if a feature was never observed.
        """
        missing = values.isnan().all(0)
        if missing.any():
            raise ValueError(
                f"sequences have no observed count of feature {int(missing.nonzero()[0])}; "
                "leave it out"
            )
        return self.reference(values)

    def prepare(self, values: Tensor, reference: Any) -> Prepared:
        """Counts by feature."""
        present = ~values.isnan()
        counts = values.nan_to_num(nan=0.0)
        return Prepared(counts.T.contiguous(), present.T.double(), -(counts + 1).lgamma().sum(1))

    def log_likelihood(
        self, numbers: Numbers, prepared: Prepared, out: Tensor | None = None
    ) -> Tensor:
        """One matrix product; a rate of zero allows no count but zero."""
        rates = numbers["rates"]
        logs = safe_log(rates)
        counts, present, base = [part.to(rates.dtype) for part in prepared]
        result = torch.matmul(logs.masked_fill(rates == 0, 0.0), counts, out=out)
        result = result - rates @ present
        never = (rates == 0).to(rates.dtype) @ counts > 0
        return (result + base).masked_fill(never, -torch.inf)

    def statistics(self, numbers: Numbers, prepared: Prepared, weights: Tensor) -> Statistics:
        """Expected sums of the counts and of their number."""
        return weights @ prepared.counts.T, weights @ prepared.present.T

    def maximize(
        self, numbers: Numbers, statistics: Statistics, reference: Any, options: Options
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Mean counts."""
        total, number = statistics
        none = number == 0
        rates = torch.where(none, numbers["rates"], total / number.masked_fill(none, 1.0))
        return {"rates": rates}, none.all(1)

    def broad(self, reference: Tensor, n_states: int) -> dict[str, Tensor]:
        """Mean counts of all observations."""
        return {"rates": reference.expand(n_states, -1)}

    def memberships(
        self,
        values: Tensor,
        reference: Tensor,
        n_states: int,
        init: Init,
        generator: torch.Generator,
    ) -> Tensor:
        """Clusters of square roots of the counts, which vary alike at all rates."""
        roots = torch.where(values.isnan(), reference, values).sqrt()
        return assign(roots, n_states, init, generator=generator)

    def sample(self, numbers: Numbers, states: Tensor, generator: torch.Generator) -> Tensor:
        """Counts, float64."""
        return torch.poisson(numbers["rates"].detach()[states], generator=generator)
