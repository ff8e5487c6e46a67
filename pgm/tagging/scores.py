"""Scores of labellings from weights: what training leaves behind and prediction needs.

.. math:: s(x, y) = \\sum_t \\Bigl[ \\sum_a x_{ta} w_{a y_t} + w_{y_{t-1} y_t} \\Bigr]
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from inference.exact.chain.forward_backward import forward_backward, log_partition
from inference.exact.chain.layout import ChainLayout
from inference.exact.chain.potentials import ChainPotentials
from inference.exact.chain.viterbi import viterbi
from pgm.tagging.features import read_features, read_labels
from pgm.tagging.index import FeatureIndex
from pgm.tagging.objective import chain_potentials
from pgm.tagging.sparse_rows import SparseRows

__all__ = ["LinearScores", "Tokens"]


@dataclass(frozen=True)
class Tokens:
    """Sequences as a model sees them: what it does not know is left out.

    Attributes:
        layout: where every token lies.
        rows: attributes of the tokens in packed order, (N, a).
        attributes: numbers in the model of the a attributes that occur, (a,) int64.
    """

    layout: ChainLayout
    rows: SparseRows
    attributes: Tensor

    @classmethod
    def read(cls, X: Any, places: Mapping[str, int]) -> Tokens:
        """Read sequences for a model whose attributes have these numbers."""
        attributes, table = read_features(X).known(places)
        layout = ChainLayout(table.lengths)
        rows = SparseRows.of_table(table).select(layout.tokens)
        return cls(layout, rows, torch.from_numpy(attributes))

    def codes(self, y: Any, labels: Sequence[str]) -> Tensor:
        """Codes of labels in packed order, (N,); -1 for those that are not among ``labels``."""
        found, names = read_labels(y, self.layout.lengths)
        known = {label: code for code, label in enumerate(labels)}
        codes = np.array([known.get(name, -1) for name in names], np.int64)[found]
        return self.layout.pack(torch.from_numpy(codes))

    def split(self, packed: Tensor) -> Iterator[list[Any]]:
        """Rows in packed order, (N, ...), as one list per sequence."""
        flat = self.layout.unpack(packed).tolist()
        bounds = np.concatenate([[0], np.cumsum(self.layout.lengths)]).tolist()
        return (flat[start:stop] for start, stop in pairwise(bounds))


@dataclass(frozen=True)
class LinearScores:
    """Weights and where they belong.

    Attributes:
        labels: in the order of their codes.
        index: which weights there are.
        weights: (P,).
    """

    labels: Sequence[str]
    index: FeatureIndex
    weights: Tensor

    def best(self, tokens: Tokens) -> Tensor:
        """Codes of the most probable labels in packed order, (N,)."""
        return viterbi(*self._chain(tokens, self.weights), tokens.layout).states

    def marginals(self, tokens: Tokens) -> Tensor:
        """The probability of every label in packed order, (N, K) float64."""
        chain = self._chain(tokens, self.weights.double())
        return forward_backward(*chain, tokens.layout).unary.T

    def log_prob(self, tokens: Tokens, codes: Tensor) -> Tensor:
        """Log-probability of labels, (B,) float64, from their codes in packed order, (N,)."""
        potentials, emissions = self._chain(tokens, self.weights.double())
        layout, device = tokens.layout, emissions.device
        codes = codes.to(device)
        known = codes.clamp_min(0)
        terms = emissions.gather(0, known.unsqueeze(0)).squeeze(0)
        later, earlier = [torch.from_numpy(columns).to(device) for columns in _neighbours(layout)]
        terms[later] += potentials.log_transitions[known[earlier], known[later]]
        terms = terms.masked_fill(codes < 0, -torch.inf)
        owners = torch.from_numpy(layout.owners).to(device)
        score = terms.new_zeros(layout.n_sequences).index_add_(0, owners, terms)
        return score - log_partition(potentials, emissions, layout)

    def accuracy(self, tokens: Tokens, codes: Tensor) -> float:
        """Share of tokens with the right label, whose codes are in packed order, (N,)."""
        if not len(codes):
            raise ValueError("X must hold at least one token to score, found none")
        found = self.best(tokens)
        return float((found == codes.to(found.device)).double().mean())

    def _chain(self, tokens: Tokens, weights: Tensor) -> tuple[ChainPotentials, Tensor]:
        """Potentials and emissions (K, N) in packed order."""
        # A table of the attributes that occur here is much smaller than that of all.
        index, kept = self.index.restricted(tokens.attributes)
        states, transitions = index.tables(weights[kept])
        emissions = tokens.rows.to(weights.device, weights.dtype).matmul(states)
        return chain_potentials(transitions), emissions.T


def _neighbours(layout: ChainLayout) -> tuple[np.ndarray, np.ndarray]:
    """Packed columns of all tokens but the first of each sequence, and of those before them."""
    later = np.arange(layout.n_tokens)[layout.steps > 0]
    steps = layout.steps[later]
    return later, later - layout.starts[steps] + layout.starts[steps - 1]
