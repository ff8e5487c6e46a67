"""Log partition and posteriors of ragged chains.

.. math:: \\log Z = \\log \\sum_y \\tilde p(y), \\qquad
          p(y_t = k) = \\frac{\\alpha_t(k)\\, \\beta_t(k)}{Z}
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from inference.arrays import Array, as_kind_of, index_like, to_double, to_working
from inference.exact.chain.arrays import check_chain
from inference.exact.chain.blocks import blocked_pass, worth_blocks
from inference.exact.chain.layout import ChainLayout
from inference.exact.chain.log_space import Pass, log_pass
from inference.exact.chain.potentials import ChainPotentials
from inference.exact.chain.scaled import scaled_pass
from inference.exact.chain.symbols import SymbolEmissions

__all__ = ["ChainPosterior", "forward_backward", "log_partition"]


@dataclass(frozen=True)
class ChainPosterior:
    """What `forward_backward` returns.

    Attributes:
        log_partition: (B,) float64, nats, in the order the sequences were given.
        unary: (K, N), posterior probability of every state at every packed column, in the type
            and the memory order of the log emissions.
        pair_counts: (K, K) float64, posteriors of pairs of neighbours (from row to column),
            summed over steps and, with their weights, over sequences.
    """

    log_partition: Any
    unary: Any
    pair_counts: Any


def log_partition(
    potentials: ChainPotentials, log_emissions: Array | SymbolEmissions, layout: ChainLayout
) -> Any:
    """Log of the summed weight of all paths of every sequence.

    .. math:: \\log Z_b = \\log \\sum_y \\tilde p_b(y)

    Arguments:
        potentials: of K states.
        log_emissions: nats, in packed order, of tokens or symbols; -inf forbids.
        layout: of the sequences.

    Shapes:
        log_emissions: (K, N). result: (B,) float64, nats, in the order the sequences were given; 0
        for a sequence without tokens, -inf where no path is possible.

    Raises:
        ValueError: if shapes or types do not fit.

    Reference:
        Rabiner 1989, "A tutorial on hidden Markov models", eq. 103 (the sum of logged scales).

    Example:
        >>> import numpy as np
        >>> potentials = ChainPotentials(np.zeros(2), np.zeros((2, 2)))
        >>> np.exp(log_partition(potentials, np.zeros((2, 4)), ChainLayout([3, 1]))).round(9)
        array([8., 2.])
    """
    given, codes = _table(log_emissions, layout)
    own, emissions = check_chain(potentials, given, layout, symbols=codes is not None)
    found = _best_pass(own, emissions, layout, None, posterior=False, codes=codes)
    return as_kind_of(given, found.log_partition)


def forward_backward(
    potentials: ChainPotentials,
    log_emissions: Array | SymbolEmissions,
    layout: ChainLayout,
    weights: Array | None = None,
) -> ChainPosterior:
    """Log partitions and posteriors of all sequences.

    .. math:: p(y_t = k) = \\frac{\\alpha_t(k)\\, \\beta_t(k)}{Z}, \\qquad
              n_{ij} = \\sum_b w_b \\sum_{t > 1} p(y_{b,t-1} = i, y_{bt} = j)

    Scaled probabilities where that is proved to lose nothing (`Safety`), else double precision,
    else logarithms, sequence by sequence; few long sequences are cut into blocks (`worth_blocks`).
    The arrays may be numpy arrays or tensors; the results are what the log emissions are.

    The log emissions may lie in memory state by state, (K, N) in C order, or token by token, the
    transpose of a packed (N, K). On a CPU the first costs some 5 % less, for 1,000 x 200 tokens of
    K = 10 states in float64 as for 8,936 sequences of 24 tokens on average and K = 22 in float32,
    and nothing less for 64 x 50 tokens and K = 20: take the order that the emissions are computed
    in rather than copy them.

    Arguments:
        potentials: of K states.
        log_emissions: nats, in packed order, of tokens or symbols; -inf forbids.
        layout: of the sequences.
        weights: of the sequences in the counts of pairs; None: ones.

    Shapes:
        log_emissions: (K, N). weights: (B,).

    Raises:
        ValueError: if shapes or types do not fit.

    Reference:
        Rabiner 1989, "A tutorial on hidden Markov models", eq. 27, 37 and section V.A (scaling).

    Example:
        >>> import numpy as np
        >>> potentials = ChainPotentials(np.zeros(2), np.array([[0.0, 0.0], [-np.inf, 0.0]]))
        >>> found = forward_backward(potentials, np.zeros((2, 3)), ChainLayout([3]))
        >>> found.unary.round(9).tolist(), found.pair_counts.round(9).tolist()
        ([[0.75, 0.5, 0.25], [0.25, 0.5, 0.75]], [[0.75, 0.5], [0.0, 0.75]])
    """
    given, codes = _table(log_emissions, layout)
    own, emissions = check_chain(potentials, given, layout, symbols=codes is not None)
    own_weights = None if weights is None else to_working(weights, emissions)
    if own_weights is not None and tuple(own_weights.shape) != (layout.n_sequences,):
        raise ValueError(
            f"weights must be ({layout.n_sequences},), one per sequence, found "
            f"{tuple(own_weights.shape)}"
        )
    found = _best_pass(own, emissions, layout, own_weights, posterior=True, codes=codes)
    return ChainPosterior(*[as_kind_of(given, x) for x in found])


def _table(emissions: Array | SymbolEmissions, layout: ChainLayout) -> tuple[Array, Any]:
    """Log emissions of tokens and None, or of symbols and every token's working code."""
    if not isinstance(emissions, SymbolEmissions):
        return emissions, None
    if len(emissions.codes) != layout.n_tokens:
        raise ValueError(
            f"codes must be ({layout.n_tokens},), one per token in packed order, found "
            f"({len(emissions.codes)},)"
        )
    return emissions.table, to_working(emissions.codes)


def _best_pass(
    potentials: ChainPotentials,
    emissions: Any,
    layout: ChainLayout,
    weights: Any,
    *,
    posterior: bool,
    codes: Any = None,
) -> Pass:
    """In blocks, scaled, in double precision or in logarithms: the first that is proved right."""
    rest = emissions, layout, weights
    if worth_blocks(potentials, emissions, layout):
        blocked = blocked_pass(potentials, *rest, posterior=posterior, codes=codes)
        if blocked is not None:
            return blocked
    found, failed = scaled_pass(potentials, *rest, posterior=posterior, codes=codes)
    if not len(failed):
        return found
    some, columns = layout.select(failed)
    failed, columns = index_like(failed, emissions), index_like(columns, emissions)
    own = to_double(emissions[:, columns if codes is None else codes[columns]])
    weights = None if weights is None else to_double(weights[failed])
    again = log_pass if own.dtype == emissions.dtype else _best_pass
    parts = (potentials.log_start, potentials.log_transitions, potentials.log_end)
    double = ChainPotentials(*[to_double(x) for x in parts])
    right = again(double, own, some, weights, posterior=posterior)
    found.log_partition[failed] = right.log_partition
    if not posterior:
        return found
    found.unary[:, columns] = to_working(right.unary, found.unary)
    return found._replace(pair_counts=found.pair_counts + right.pair_counts)
