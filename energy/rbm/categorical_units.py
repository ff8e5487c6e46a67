"""Variables of a few states each, as one unit per state of which exactly one is on.

.. math:: A(f) = \\log \\sum_{k=1}^{K} e^{f_k}, \\qquad P(x_k = 1) = e^{f_k - A(f)}
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from energy.rbm.units import PSEUDO_ROWS, Units
from inference.random import categorical

__all__ = ["CategoricalUnits"]


@dataclass(frozen=True)
class CategoricalUnits(Units):
    """Variables of K states; units i K to i K + K - 1 are those of variable i.

    .. math:: s(x) = 0, \\qquad A(f) = \\log \\sum_k e^{f_k}, \\qquad
              \\mathbb{E} x = \\operatorname{softmax}(f)

    Arguments:
        width: K.

    Shapes:
        fields, units: (..., n * K). normalisers, and values of variables: (..., n).

    Reference:
        Salakhutdinov, Mnih & Hinton 2007, "Restricted Boltzmann machines for collaborative
        filtering", eq. 1.

    Example:
        >>> CategoricalUnits(2).mean(torch.zeros(4)).tolist()
        [0.5, 0.5, 0.5, 0.5]
        >>> CategoricalUnits(3).encode("x", torch.tensor([0, 2])).tolist()
        [1.0, 0.0, 0.0, 0.0, 0.0, 1.0]
    """

    width: int

    @property
    def alphabet(self) -> Tensor:
        """One of the K units on."""
        return torch.eye(self.width, dtype=torch.float64)

    def log_normalizer(self, fields: Tensor) -> Tensor:
        """A of every variable."""
        return self._by_variable(fields).logsumexp(-1)

    def mean(self, fields: Tensor) -> Tensor:
        """Probabilities of the states."""
        return self._by_variable(fields).softmax(-1).flatten(-2)

    def sample(self, fields: Tensor, generator: torch.Generator) -> Tensor:
        """One unit of every variable on."""
        split = self._by_variable(fields)
        codes = categorical(split, generator=generator)
        return torch.zeros_like(split).scatter_(-1, codes[..., None], 1.0).flatten(-2)

    def self_energy(self, x: Tensor) -> Tensor:
        """None."""
        return torch.zeros_like(x[..., 0])

    def check(self, name: str, x: Tensor) -> None:
        """Refuse units that do not sum to one in every variable, or are negative."""
        sums = self._by_variable(x).sum(-1)
        if not bool((x >= 0).all()) or not bool(((sums - 1).abs() < 1e-4).all()):
            raise ValueError(f"{name} must have one unit of {self.width} on for every variable")

    def encode(self, name: str, values: Tensor) -> Tensor:
        """Units of states 0 to K - 1.

        Raises:
            ValueError: other values.
        """
        wrong = ~((values >= 0) & (values < self.width) & (values == values.round()))
        if bool(wrong.any()):
            found = values[wrong][0].item()
            raise ValueError(f"{name} must be states 0 to {self.width - 1}, found {found:g}")
        units = torch.nn.functional.one_hot(values.long(), self.width)
        return units.flatten(-2).to(values if values.is_floating_point() else torch.float32)

    def decode(self, x: Tensor) -> Tensor:
        """States of variables, int64."""
        return self._by_variable(x).argmax(-1)

    def independent_bias(self, rows: Tensor) -> Tensor:
        """Logs of how often states are met; one row of all states evenly is added."""
        shares = (rows.sum(0) + PSEUDO_ROWS / self.width) / (len(rows) + PSEUDO_ROWS)
        return shares.log()

    def _by_variable(self, x: Tensor) -> Tensor:
        """(..., n, K)."""
        return x.unflatten(-1, (-1, self.width))
