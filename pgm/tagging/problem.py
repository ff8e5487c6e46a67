"""Training data of a tagger as arrays, and the weights that they call for.

.. math:: X \\in \\mathbb{R}^{N \\times A}, \\qquad y \\in \\{0, \\dots, K - 1\\}^N
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from inference.inputs import as_weights
from inference.memory import require_memory
from pgm.tagging.corpus import neighbours
from pgm.tagging.features import read_features, read_labels
from pgm.tagging.index import FeatureIndex
from pgm.tagging.settings import Settings
from pgm.tagging.sparse_rows import SparseRows

__all__ = ["Problem"]

#: Vectors of all weights that training holds beside those L-BFGS remembers, and tables of tokens.
_VECTORS, _TABLES = 8, 6


@dataclass(frozen=True)
class Problem:
    """Sequences, one after the other, and which weights they call for.

    Attributes:
        names: the attributes, frequent ones first.
        labels: sorted.
        index: which weights there are.
        lengths: of the sequences, (B,).
        rows: attributes of the tokens, (N, A).
        codes: labels of the tokens, (N,).
        weights: of the sequences, (B,) float64, or None where all are one.
    """

    names: list[str]
    labels: list[str]
    index: FeatureIndex
    lengths: np.ndarray
    rows: SparseRows
    codes: np.ndarray
    weights: np.ndarray | None

    @classmethod
    def read(cls, X: Any, y: Any, sample_weight: Any, settings: Settings) -> Problem:
        """Read what a user passed to `fit`.

        Raises:
            TypeError, ValueError: something is of the wrong kind, lengths differ, there is no
                token, a feature is not finite, no sequence has a positive weight, or it does not
                fit in memory.
        """
        table = read_features(X)
        codes, labels = read_labels(y, table.lengths)
        weights = None
        if sample_weight is not None:
            weights = as_weights(sample_weight, len(table.lengths)).cpu().numpy()
        if not len(codes):
            raise ValueError(
                f"X must hold at least one token to learn from, found {len(table.lengths)} "
                "sequences without any"
            )
        if weights is not None and not weights.any():
            raise ValueError("sample_weight must hold a positive weight, found zeros only")
        # Rows of frequent attributes are read all the time: side by side they stay in the cache.
        # The others are read in the order of the tokens.
        order = np.argsort(-np.bincount(table.codes, minlength=len(table.names)), kind="stable")
        places = np.empty(len(order), np.int32)
        places[order] = np.arange(len(order))
        rows = SparseRows.of_table(table).relabelled(places, len(order))
        index = FeatureIndex.observed(
            rows.columns.numpy(),
            np.repeat(codes, table.sizes),
            np.abs(table.values),
            neighbours(table.lengths, codes, len(labels)),
            (len(order), len(labels)),
            min_freq=settings.min_freq,
            all_states=settings.all_possible_states,
            all_transitions=settings.all_possible_transitions,
        )
        _check_memory(index, len(codes), settings)
        names = [table.names[place] for place in order.tolist()]
        return cls(names, labels, index, table.lengths, rows, codes, weights)


def _check_memory(index: FeatureIndex, n_tokens: int, settings: Settings) -> None:
    """Refuse what training could not hold."""
    vectors = (2 * settings.memory + _VECTORS) * len(index)
    tables = (2 * index.n_attributes + _TABLES * n_tokens) * index.n_labels
    require_memory(
        (vectors + tables) * settings.dtype.itemsize,
        f"training {len(index):,} weights on {n_tokens:,} tokens",
        "raise min_freq or lower memory",
    )
