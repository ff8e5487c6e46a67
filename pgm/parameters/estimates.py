"""From counts to conditional probability tables, all rows of all tables at once.

.. math:: \\theta_{jk} = \\frac{N_{jk} + a_{jk}}{\\sum_l (N_{jl} + a_{jl})}, \\qquad
          a = \\alpha \\text{ (mean)} \\quad\\text{or}\\quad a = \\alpha - 1 \\text{ (mode)}
"""

from __future__ import annotations

from math import prod
from typing import Literal, TypeAlias

import numpy as np
import torch

from inference.exact.structure import Structure
from inference.inputs import check_choice

__all__ = ["Estimate", "TableRows", "added_counts", "concentrations"]

Estimate: TypeAlias = Literal["mean", "map"]


class TableRows:
    """The rows of all tables of a network: one per configuration of the parents.

    Arguments:
        structure: scopes with the child last.

    Example:
        >>> rows = TableRows(Structure((2, 2), ((0,), (0, 1)), (0, 1)))
        >>> values, unseen = rows.estimate(np.array([3.0, 1, 3, 0, 0, 0]))
        >>> values.tolist(), unseen
        ([0.75, 0.25, 1.0, 0.0, 0.5, 0.5], 1)
    """

    def __init__(self, structure: Structure) -> None:
        cards = np.array([shape[-1] for shape in structure.shapes], dtype=np.intp)
        self.lengths = np.repeat(cards, [prod(shape[:-1]) for shape in structure.shapes])
        self._starts = np.cumsum(self.lengths) - self.lengths

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Sum of every row."""
        return np.add.reduceat(values, self._starts) if len(values) else np.zeros(0)

    def spread(self, rows: np.ndarray) -> np.ndarray:
        """One number per row, repeated for its cells."""
        return np.repeat(rows, self.lengths)

    def estimate(self, counts: np.ndarray) -> tuple[np.ndarray, int]:
        """Rows divided by their sums; uniform where the sum is zero, and how many those are."""
        sums = self.sums(counts)
        empty = sums <= 0
        n_empty = int(empty.sum())
        if n_empty:
            counts = np.where(self.spread(empty), 1.0, counts)
            sums = np.where(empty, self.lengths, sums)
        return counts / self.spread(sums), n_empty

    def softmax(self, logits: np.ndarray) -> np.ndarray:
        """Rows of probabilities whose logarithms are these numbers, up to one for every row."""
        # A large common shift of a row's logits must not overflow.
        weights = np.exp(logits - self.spread(np.maximum.reduceat(logits, self._starts)))
        return weights / self.spread(self.sums(weights))

    def random(self, generator: np.random.Generator) -> np.ndarray:
        """Rows drawn uniformly from all distributions."""
        draws = generator.standard_exponential(int(self.lengths.sum()))
        return draws / self.spread(self.sums(draws))


def concentrations(total: np.ndarray) -> torch.Tensor:
    """Counts and pseudo-counts as parameters of Dirichlet distributions.

    Raises:
        ValueError: a cell has neither.
    """
    if len(total) and not total.min() > 0:
        raise ValueError("prior must give every cell that is never seen a positive count")
    return torch.from_numpy(total)


def added_counts(pseudo: np.ndarray, estimate: Estimate) -> np.ndarray:
    """What the estimate adds to the counts of every cell.

    Raises:
        ValueError: an unknown estimate, or a MAP estimate under a prior without a mode.
    """
    check_choice("estimate", estimate, Estimate)
    if estimate == "mean":
        return pseudo
    if len(pseudo) and pseudo.min() < 1:
        raise ValueError(
            "estimate='map' needs pseudo-counts of at least 1 in every cell, found "
            f"{pseudo.min():g}: below 1 the posterior may have no mode (prior=1 is maximum "
            "likelihood); estimate='mean' takes any prior"
        )
    return pseudo - 1.0
