"""Log tables of all factors as a linear function of the weights of a Markov random field.

.. math:: \\ell_c = b_c + \\sum_k \\Phi_{ck}\\, \\theta_k

Plain tables are their own weights. Tied tables and features are other choices of Phi: what is
learned is learned in the same way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from inference.exact.evidence import Variables
from inference.exact.factor import Factor
from inference.sampling.factor_arrays import FactorArrays

__all__ = ["Design", "FactorTables", "TableMap", "tables_of_factors"]


@dataclass(frozen=True, eq=False)
class Design:
    """The sparse matrix Phi, one triple per entry that is not zero, and b.

    Arguments:
        entries: (m,), rows: places in the vector of log tables.
        columns: (m,), the weights.
        values: (m,), finite.
        base: b, (size,); -inf is a hard zero.
    """

    entries: np.ndarray
    columns: np.ndarray
    values: np.ndarray
    base: np.ndarray


@dataclass(frozen=True, eq=False)
class FactorTables:
    """Everything about a Markov random field but the names of its variables.

    Arguments:
        arrays: scopes, and where the tables lie.
        weights: theta; without a design the log tables themselves.
        design: how tables follow from weights, None if they are the weights.
    """

    arrays: FactorArrays
    weights: np.ndarray | Tensor
    design: Design | None = None

    def config(self) -> dict[str, Any]:
        """The shape as JSON values: scopes, offsets, and where the design has entries."""
        groups = [
            {
                "scopes": group.scopes.tolist(),
                "offsets": group.offsets.tolist(),
                "numbers": group.numbers.tolist(),
            }
            for group in self.arrays.groups
        ]
        design = self.design
        return {
            "groups": groups,
            "n_weights": len(self.weights),
            "design": None
            if design is None
            else {"entries": design.entries.tolist(), "columns": design.columns.tolist()},
        }

    @classmethod
    def from_config(cls, cards: tuple[int, ...], config: Mapping[str, Any]) -> FactorTables:
        """Tables of that shape, all weights zero."""
        groups = config["groups"]
        arrays = FactorArrays(
            cards,
            [group["scopes"] for group in groups],
            [group["offsets"] for group in groups],
            [group["numbers"] for group in groups],
        )
        weights, design = np.zeros(int(config["n_weights"])), None
        if config["design"] is not None:
            entries = np.array(config["design"]["entries"], dtype=np.int64)
            columns = np.array(config["design"]["columns"], dtype=np.int64)
            for name, places, size in (
                ("entries", entries, arrays.size),
                ("columns", columns, len(weights)),
            ):
                if places.size and not (places.min() >= 0 and places.max() < size):
                    raise ValueError(f"design: {name} must be in 0..{size - 1}")
            design = Design(entries, columns, np.zeros(len(entries)), np.zeros(arrays.size))
        elif len(weights) != arrays.size:
            raise ValueError(f"{arrays.size} table entries need as many weights")
        return cls(arrays, weights, design)


@dataclass(frozen=True, eq=False)
class TableMap:
    """The linear map from weights to log tables, on a device.

    Arguments:
        base: b, (size,), or None where the weights are the tables.
        entries, columns, values: (m,), the matrix Phi.
        n_weights: length of theta.
    """

    n_weights: int
    base: Tensor | None = None
    entries: Tensor | None = None
    columns: Tensor | None = None
    values: Tensor | None = None

    def tables(self, weights: Tensor) -> Tensor:
        """Log tables, with gradients to the weights.

        Shapes:
            weights: (n_weights,). result: (size,), float64.
        """
        if self.base is None or self.entries is None or self.values is None:
            return weights.double()
        terms = self.values.double() * weights.double()[self.columns]
        return self.base.double().index_add(0, self.entries, terms)

    def pull_back(self, gradient: Tensor) -> Tensor:
        """Phi transposed times a vector: expected features, from the expected use of entries.

        .. math:: \\frac{\\partial}{\\partial \\theta_k} =
                  \\sum_c \\Phi_{ck} \\frac{\\partial}{\\partial \\ell_c}

        Shapes:
            gradient: (size,). result: (n_weights,).
        """
        if self.entries is None or self.columns is None or self.values is None:
            return gradient
        total = gradient.new_zeros(self.n_weights)
        return total.index_add(0, self.columns, self.values.double() * gradient[self.entries])


def tables_of_factors(vocabulary: Variables, factors: Iterable[Factor]) -> FactorTables:
    """Plain tables, one per factor.

    Raises:
        TypeError: something is no factor.
        ValueError: unknown variables, other numbers of states, a batch of tables.
    """
    scopes, parts = [], []
    for factor in factors:
        if not isinstance(factor, Factor):
            raise TypeError(f"factors must be Factor objects, found {type(factor).__name__}")
        if factor.batched:
            raise ValueError(
                f"factors: the one over {factor.scope} is a batch of tables; a field has one "
                "table per factor (a FactorGraph takes batches)"
            )
        numbers = [vocabulary.number(name, "factors") for name in factor.scope]
        for v, card in zip(numbers, factor.cardinalities.values(), strict=True):
            if card != vocabulary.cards[v]:
                raise ValueError(
                    f"factors: the one over {factor.scope} has {card} states for "
                    f"{vocabulary.names[v]!r}, states has {vocabulary.cards[v]}"
                )
        scopes.append(numbers)
        parts.append(factor.log_values.detach().double().reshape(-1))
    weights = torch.cat(parts) if parts else torch.zeros(0, dtype=torch.float64)
    return FactorTables(FactorArrays.from_scopes(vocabulary.cards, scopes), weights)
