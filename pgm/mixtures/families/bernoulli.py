"""Independent bits.

.. math:: p(x \\mid k) = \\prod_j p_{kj}^{x_j} (1 - p_{kj})^{1 - x_j}
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from inference.inputs import as_whole
from inference.logspace import safe_log
from inference.random import bernoulli
from pgm.mixtures.families.counted import CountedFamily
from pgm.mixtures.families.family import Numbers, Titles

__all__ = ["Bernoulli"]


@dataclass(frozen=True)
class Bernoulli(CountedFamily):
    """Independent bits with ``probs`` (K, d) of a one; -1 or NaN for missing ones.

    .. math:: \\log p(x \\mid k) = \\sum_{j \\text{ observed}} \\bigl[
              x_j \\log p_{kj} + (1 - x_j) \\log(1 - p_{kj}) \\bigr]

    Arguments:
        n_features: d.

    Reference:
        Bishop 2006, "Pattern recognition and machine learning", section 9.3.3.

    Example:
        >>> Bernoulli(3).n_parameters(2)
        6
    """

    n_features: int
    name: ClassVar[str] = "bernoulli"

    def __post_init__(self) -> None:
        as_whole("n_features", self.n_features, least=1)

    @property
    def width(self) -> int:
        """Number of bits."""
        return self.n_features

    @property
    def n_cells(self) -> int:
        """Ones, then zeros."""
        return 2 * self.n_features

    def config(self) -> dict[str, Any]:
        """Number of bits."""
        return {"n_features": self.n_features}

    def blank(self, n_components: int) -> dict[str, Tensor]:
        """Fair bits."""
        return {"probs": torch.full((n_components, self.n_features), 0.5, dtype=torch.float64)}

    def check(self, numbers: Numbers) -> None:
        """Probabilities must be within [0, 1]."""
        probs = numbers["probs"]
        if not ((probs >= 0) & (probs <= 1)).all():
            raise ValueError(f"probs must be within [0, 1], found {probs.tolist()}")

    def n_parameters(self, n_components: int) -> int:
        """Probabilities."""
        return n_components * self.n_features

    def clean(self, values: Tensor, title: Titles) -> Tensor:
        """Zeros and ones."""
        values = torch.where(values == -1, torch.nan, values)
        wrong = (values != 0) & (values != 1) & ~values.isnan()
        if wrong.any():
            row, j = wrong.nonzero()[0].tolist()
            raise ValueError(
                f"X holds {values[row, j]:g} in row {row}, {title(j)}, which must hold 0, 1 or -1 "
                "(missing); compare it with a threshold first"
            )
        return values

    def features(self, values: Tensor) -> Tensor:
        """Where bits are one, and where they are zero, (n, 2 d)."""
        return torch.cat([values == 1, values == 0], dim=1).to(values.dtype)

    def log_table(self, numbers: Numbers) -> Tensor:
        """Of ones and zeros."""
        probs = numbers["probs"]
        return torch.cat([safe_log(probs), safe_log(1 - probs)], dim=1)

    def normalize(self, counts: Tensor, otherwise: Tensor) -> Tensor:
        """Shares of ones and zeros."""
        ones, zeros = counts.tensor_split(2, dim=1)
        total = (ones + zeros).repeat(1, 2)
        return torch.where(total > 0, counts / total.masked_fill(total == 0, 1.0), otherwise)

    def from_table(self, table: Tensor) -> dict[str, Tensor]:
        """Probabilities of ones."""
        return {"probs": table[:, : self.n_features].contiguous()}

    def sample(self, numbers: Numbers, labels: Tensor, generator: torch.Generator) -> Tensor:
        """Zeros and ones, int64."""
        return bernoulli(numbers["probs"].detach()[labels], generator=generator).long()
