"""The penalised negative log-likelihood of a linear-chain CRF with features, and its gradient.

.. math:: f(w) = \\sum_b \\omega_b \\bigl[ \\log Z(x_b) - s(x_b, y_b) \\bigr]
          + \\sum_i \\lambda_i w_i^2
"""

from __future__ import annotations

from torch import Tensor

from inference.exact.chain.forward_backward import forward_backward
from inference.exact.chain.potentials import ChainPotentials
from pgm.tagging.corpus import Corpus
from pgm.tagging.index import FeatureIndex

__all__ = ["Objective", "chain_potentials"]


def chain_potentials(transitions: Tensor) -> ChainPotentials:
    """A chain without weights at its ends."""
    return ChainPotentials(transitions.new_zeros(len(transitions)), transitions)


class Objective:
    """Value and gradient as a function of the weights.

    The gradient is an expectation minus an observation. The two are subtracted at every token,
    before the sum over tokens: in single precision their large sums would lose the difference.

    Arguments:
        corpus: sequences and labels.
        index: which weights there are.
        l2: the :math:`\\lambda` of every weight, one number or (P,).
        like: a tensor of the type and on the device to work in.

    Reference:
        Sutton & McCallum 2012, "An introduction to conditional random fields", eq. 5.4 and 5.5.
    """

    def __init__(
        self, corpus: Corpus, index: FeatureIndex, l2: float | Tensor, like: Tensor
    ) -> None:
        self._corpus = corpus.to(like.device, like.dtype)
        self._index = index.to(like.device)
        self._l2 = l2
        self._token_weights = corpus.token_weights(like)

    def __call__(self, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Value, () float64 in nats, and gradient, (P,), at weights (P,)."""
        corpus, index = self._corpus, self._index
        states, transitions = index.tables(weights)
        emissions = corpus.rows.matmul(states)
        found = forward_backward(
            chain_potentials(transitions), emissions.T, corpus.layout, corpus.weights
        )
        residual = found.unary.T.contiguous()
        residual.view(-1)[corpus.gold] -= 1
        gold = emissions.view(-1)[corpus.gold].double()
        log_partition = found.log_partition.double()
        if corpus.weights is not None and self._token_weights is not None:
            residual *= self._token_weights
            gold *= self._token_weights.squeeze(1)
            log_partition = log_partition * corpus.weights
        gold_transitions = transitions.reshape(-1).double() @ corpus.pairs
        exact = weights.double()
        penalty = (self._l2 * exact).dot(exact)
        value = log_partition.sum() - gold.sum() - gold_transitions + penalty
        surplus = found.pair_counts.double().reshape(-1) - corpus.pairs
        gradient = index.weights(corpus.columns.matmul(residual), surplus)
        return value, gradient.add_((2 * self._l2 * exact).to(gradient))
