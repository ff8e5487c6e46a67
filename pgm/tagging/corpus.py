"""Labelled sequences compiled for training: sparse features in the order of the chain engine.

.. math:: X \\in \\mathbb{R}^{N \\times A}, \\qquad U \\mapsto X^\\top U
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from inference.exact.chain.layout import ChainLayout
from pgm.tagging.sparse_rows import SparseRows

__all__ = ["Corpus", "neighbours"]


@dataclass(frozen=True)
class Corpus:
    """Sequences with their labels.

    Attributes:
        layout: where every token lies.
        rows: attributes of the tokens, (N, A), in packed order.
        columns: the transpose.
        gold: of every token, in packed order, its place times K plus its label: the entry of a
            table (N, K) that holds the right label, (N,) int64.
        pairs: weighted counts of label and next label, (K * K,) float64.
        weights: of the sequences, (B,) float64, or None where all are one.
    """

    layout: ChainLayout
    rows: SparseRows
    columns: SparseRows
    gold: Tensor
    pairs: Tensor
    weights: Tensor | None

    @classmethod
    def build(
        cls,
        lengths: np.ndarray,
        rows: SparseRows,
        labels: np.ndarray,
        n_labels: int,
        weights: np.ndarray | None,
    ) -> Corpus:
        """Compile sequences whose tokens are given one sequence after the other.

        Arguments:
            lengths: of the sequences, (B,).
            rows: attributes of the tokens, (N, A).
            labels: of the tokens, (N,).
            n_labels: K.
            weights: of the sequences, (B,), or None.
        """
        layout = ChainLayout(lengths)
        packed = rows.select(layout.tokens)
        pairs = neighbours(lengths, labels, n_labels)
        amounts = None if weights is None else np.repeat(weights, np.maximum(lengths - 1, 0))
        counts = np.bincount(pairs, amounts, n_labels**2)
        gold = np.arange(len(labels)) * n_labels + labels[layout.tokens]
        return cls(
            layout,
            packed,
            packed.transposed(),
            torch.from_numpy(gold),
            torch.from_numpy(counts.astype(np.float64)),
            None if weights is None else torch.from_numpy(weights),
        )

    def token_weights(self, like: Tensor) -> Tensor | None:
        """Weights of the sequences of the tokens, in packed order, (N, 1), on a device."""
        if self.weights is None:
            return None
        owners = torch.from_numpy(self.layout.owners)
        return self.weights[owners].to(like).unsqueeze(1)

    def to(self, device: torch.device, dtype: torch.dtype) -> Corpus:
        """The same sequences on a device, with the values of their attributes in a type."""
        return Corpus(
            self.layout,
            self.rows.to(device, dtype),
            self.columns.to(device, dtype),
            self.gold.to(device),
            self.pairs.to(device),
            None if self.weights is None else self.weights.to(device),
        )


def neighbours(lengths: np.ndarray, labels: np.ndarray, n_labels: int) -> np.ndarray:
    """Label times K plus next label of all neighbours, one sequence after the other.

    Example:
        >>> neighbours(np.array([2, 1, 3]), np.array([0, 1, 1, 0, 0, 1]), 2).tolist()
        [1, 0, 1]
    """
    if not len(labels):
        return np.empty(0, np.int64)
    inside = np.ones(len(labels), bool)
    ends = np.cumsum(lengths)
    inside[ends[lengths > 0] - 1] = False
    places = inside.nonzero()[0]
    return labels[places] * n_labels + labels[places + 1]
