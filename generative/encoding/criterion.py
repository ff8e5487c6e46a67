"""What an autoencoder minimises, as its options say.

.. math:: E(x) = L(x, g(f(\\tilde x))) + \\lambda\\, \\Omega(f(x))
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from generative.encoding.contraction import contraction
from generative.encoding.terms import (
    absolute_codes,
    bernoulli_errors,
    masked,
    noisy,
    squared_errors,
)
from inference.inputs import check_choice

__all__ = ["Criterion", "Loss", "Noise", "Penalty"]

Penalty: TypeAlias = Literal["sparse", "contractive", "denoising"]
Loss: TypeAlias = Literal["squared", "bernoulli"]
Noise: TypeAlias = Literal["gaussian", "masking"]

_ERRORS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "squared": squared_errors,
    "bernoulli": bernoulli_errors,
}
_DAMAGES: dict[str, Callable[[Tensor, float, torch.Generator], Tensor]] = {
    "gaussian": noisy,
    "masking": masked,
}


@dataclass(frozen=True)
class Criterion:
    """What an autoencoder minimises.

    Arguments:
        penalty: "sparse" or "contractive" for Omega, "denoising" for damaged rows, or None.
        weight: lambda.
        loss: L, "squared" or "bernoulli".
        noise: what damages rows, "gaussian" or "masking".
        noise_level: standard deviation of the noise, or share of the entries.

    Raises:
        ValueError: an unknown option, or a number that makes no sense.

    Example:
        >>> Criterion("sparse", weight=0.5).penalised(nn.Identity(), torch.ones(1, 4))[1]
        tensor([2.])
    """

    penalty: Penalty | None = None
    weight: float = 0.1
    loss: Loss = "squared"
    noise: Noise = "gaussian"
    noise_level: float = 0.3

    def __post_init__(self) -> None:
        check_choice("penalty", self.penalty, Penalty | None)
        check_choice("loss", self.loss, Loss)
        check_choice("noise", self.noise, Noise)
        if not 0 <= self.weight < math.inf:
            raise ValueError(f"weight must be at least 0 and finite, found {self.weight}")
        masks = self.noise == "masking"
        if not 0 <= self.noise_level < (1 if masks else math.inf):
            wanted = "from 0 to below 1" if masks else "at least 0 and finite"
            raise ValueError(f"noise_level must be {wanted}, found {self.noise_level}")

    @property
    def bits(self) -> bool:
        """Whether rows are bits, and the decoder gives logits."""
        return self.loss == "bernoulli"

    def check(self, name: str, rows: Tensor) -> None:
        """Refuse rows that the loss does not know.

        Raises:
            ValueError: numbers outside [0, 1] for "bernoulli".
        """
        if self.bits and not ((rows >= 0) & (rows <= 1)).all():
            raise ValueError(
                f"{name} must be from 0 to 1 for bits, found numbers from {float(rows.min()):g} "
                f'to {float(rows.max()):g}; scale them, or take loss="squared"'
            )

    def terms(
        self, encoder: nn.Module, decoder: nn.Module, rows: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Error and penalty of every row, (batch,) each, as learning sees them."""
        seen = self.damaged(rows, generator) if self.penalty == "denoising" else rows
        codes, penalties = self.penalised(encoder, seen)
        return self.errors(decoder(codes), rows), penalties

    def errors(self, found: Tensor, rows: Tensor) -> Tensor:
        """L of what the decoder gave and of rows, (batch,)."""
        return _ERRORS[self.loss](found, rows)

    def penalised(self, encoder: nn.Module, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Codes of rows, and lambda Omega of each, (batch,)."""
        if self.penalty == "contractive":
            codes, slopes = contraction(encoder, rows)
            return codes, self.weight * slopes
        codes = encoder(rows)
        if self.penalty == "sparse":
            return codes, self.weight * absolute_codes(codes)
        return codes, codes.new_zeros(len(codes))

    def damaged(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        """Rows with noise."""
        return _DAMAGES[self.noise](rows, self.noise_level, generator)
