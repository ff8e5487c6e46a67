"""Few long sequences: cut into blocks that are worked on side by side, with the same result.

.. math:: R_k = \\prod_{t \\in \\text{block } k} A\\, \\mathrm{diag}(b_t), \\qquad
          f_k = R_k^\\top f_{k-1}, \\qquad g_{k-1} = R_k\\, g_k

The transfer matrices R of all blocks are multiplied up together, one product per step; a scan over
the blocks gives every block the message f that enters it and the message g that meets it at its
end; with these as start and end, the blocks are sequences of their own.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from inference.arrays import index_like, namespace, sum_by, to_double, zeros
from inference.exact.chain.layout import ChainLayout
from inference.exact.chain.log_space import Pass
from inference.exact.chain.potentials import ChainPotentials
from inference.exact.chain.safety import Safety
from inference.exact.chain.scaled import Scan
from inference.exact.chain.strip import Strip, scratch

__all__ = ["blocked_pass", "worth_blocks"]

# What one more step costs, in multiplications: some ten calls against the speed of a product.
_STEP_COST = 30_000
_LEAST_STEPS = 500


def worth_blocks(potentials: ChainPotentials, emissions: Any, layout: ChainLayout) -> bool:
    """Whether to cut: blocks save steps, and cost K times more multiplications.

    They do where the longest sequence has at least 500 steps, K**3 times the number of sequences
    (all tokens over the longest one's) is below 30,000, and the transitions are within a factor
    1e9 (float32) or 1e70 (float64) of each other. A transfer matrix is divided by the sum of its
    first column at every step. The sums of its columns, what follows its states, and the sums
    before and after a step are then each within that factor of each other, and a product that is
    lost costs tiny * factor**3, below 1e-10 (`Safety`).
    """
    n_steps, n_states = layout.n_steps, potentials.n_states
    if n_steps < _LEAST_STEPS or n_states**3 * layout.n_tokens > _STEP_COST * n_steps:
        return False
    transitions = potentials.log_transitions
    spread = float(transitions.max()) - float(transitions.min())
    limit = 160.0 if emissions.dtype == namespace(emissions).float64 else 20.7
    return spread <= limit and Safety.of(potentials, emissions).dense


class _Cut(NamedTuple):
    """Blocks of sequences.

    Attributes:
        layout: of the blocks, which follow each other as the tokens do.
        columns: packed columns, among the sequences, of every step of the blocks.
        owners: sequence of every block.
        heads, tails: whether a block is its sequence's first one, or its last one.
    """

    layout: ChainLayout
    columns: list[Any]
    owners: np.ndarray
    heads: np.ndarray
    tails: np.ndarray


def blocked_pass(
    potentials: ChainPotentials,
    emissions: Any,
    layout: ChainLayout,
    weights: Any = None,
    *,
    posterior: bool = True,
    codes: Any = None,
) -> Pass | None:
    """Log partitions, and posteriors on request; None where a sequence is impossible.

    With ``codes``, see `Scan`.
    """
    xp, cut = namespace(emissions), _cut(layout, emissions)
    order = cut.layout.order
    # Starts and ends of the blocks that have those of a sequence, by rank.
    free = zeros(emissions, (potentials.n_states, len(order)))
    start, end = free, free + 0
    start[:, index_like(cut.heads[order], free)] += potentials.log_start[:, None]
    end[:, index_like(cut.tails[order], free)] += potentials.log_end[:, None]  # type: ignore[index]
    scan = Scan(potentials, emissions, codes, start=start, end=end)
    widths, n_states = cut.layout.sizes.tolist(), potentials.n_states
    strip = Strip(cut.columns, widths, 0, scratch(emissions, layout.n_tokens), n_states)
    with np.errstate(all="ignore"):
        scan.load(strip)
        transfer, logs = _transfer(scan, strip, cut)
        between = _Between.of(transfer, cut.heads)
        total = sum_by(cut.owners, logs + xp.log(between.scales), layout.n_sequences)
        if not bool(xp.isfinite(total).all()):
            return None
        if not posterior:
            return Pass(total, None, None)
        return Pass(total, *_posterior(scan, strip, cut, between, weights))


def _cut(layout: ChainLayout, like: Any) -> _Cut:
    """Blocks of about 0.9 times the root of the number of tokens."""
    length = int(np.ceil(0.9 * np.sqrt(layout.n_tokens)))
    counts = -(-layout.lengths // length)
    owners = np.repeat(np.arange(layout.n_sequences), counts)
    places = np.arange(len(owners)) - np.repeat(np.cumsum(counts) - counts, counts)
    blocks = ChainLayout(np.minimum(layout.lengths[owners] - places * length, length))
    stops = np.cumsum(blocks.sizes)
    if layout.sizes[0] == 1:
        # Strided views of one sequence.
        columns: list[Any] = [
            slice(t, t + (n - 1) * length + 1, length) for t, n in enumerate(blocks.sizes.tolist())
        ]
    else:
        where = layout.columns[blocks.tokens]
        columns = [index_like(x, like) for x in np.split(where, stops[:-1])]
    tails = places == counts[owners] - 1
    return _Cut(blocks, columns, owners, places == 0, tails)


def _transfer(scan: Scan, strip: Strip, cut: _Cut) -> tuple[Any, Any]:
    """Transfer matrices (K to, K from, blocks), scaled, and their log scales (blocks,).

    A matrix has the transition into the block, which a sequence's first one lacks: there, all
    columns are the vector of starts.
    """
    xp, likelihoods = scan.xp, strip.likelihoods
    n_states = len(scan.transfer)
    heads = index_like(np.flatnonzero(cut.heads[cut.layout.order]), likelihoods[0])
    current = scan.onward[:, :, None] * likelihoods[0][:, None]
    current[:, :, heads] = likelihoods[0][:, None, heads]
    logs = zeros(current, (strip.widths[0],), "float64")
    for block in likelihoods[1:]:
        # Blocks that have ended keep their matrices.
        active = current[:, :, : block.shape[1]]
        scale = active[:, 0].sum(0)
        logs[: len(scale)] += xp.log(scale)
        further = xp.matmul(scan.onward, active.reshape(n_states, -1)).reshape(active.shape)
        xp.multiply(further, (block / scale)[:, None], out=active)
    logs += strip.sum_steps(to_double(strip.flat_peaks))
    ranks = index_like(cut.layout.rank, current)
    shifts = scan.shift * (cut.layout.lengths - cut.heads)
    return current[:, :, ranks], logs[ranks] + index_like(shifts, current)


class _Between(NamedTuple):
    """What a scan over the blocks finds.

    Attributes:
        entering: (blocks, K), forward message before every block, summing to one.
        meeting: (blocks, K), backward message after every block, summing to one.
        scales: (blocks,) float64, by which the forward messages were divided.
    """

    entering: Any
    meeting: Any
    scales: Any

    @classmethod
    def of(cls, transfer: Any, heads: np.ndarray) -> _Between:
        """Scan forwards and backwards."""
        n_states, _, n_blocks = transfer.shape
        # All columns of a first block's matrix are equal: what enters need only sum to one.
        entering = zeros(transfer, (n_blocks + 1, n_states)) + 1 / n_states
        meeting = entering[1:] + 0
        scales = zeros(transfer, (n_blocks,), "float64")
        for k in range(n_blocks):
            if heads[k]:
                entering[k] = 1 / n_states
            reached = transfer[:, :, k] @ entering[k]
            scales[k] = reached.sum()
            entering[k + 1] = reached / scales[k]
        for k in range(n_blocks - 1, 0, -1):
            if not heads[k]:
                met = meeting[k] @ transfer[:, :, k]
                meeting[k - 1] = met / met.sum()
        return cls(entering[:-1], meeting, scales)


def _posterior(
    scan: Scan, strip: Strip, cut: _Cut, between: _Between, weights: Any
) -> tuple[Any, Any]:
    """Posteriors of all tokens, (K, N), and counts of pairs, (K, K) float64."""
    layout = cut.layout
    unary = scan.blank()
    later = np.flatnonzero(~cut.heads)
    ranks, later = (index_like(x, unary) for x in (layout.rank[later], later))
    order = index_like(layout.order, unary)
    before = between.entering[later]
    entering = (before @ scan.transfer).T
    strip.likelihoods[0][:, ranks] *= entering
    meeting = between.meeting[order].T
    for block, n in zip(strip.likelihoods, strip.following, strict=True):
        block[:, n:] *= meeting[:, n : block.shape[1]]
    scan.forward(strip)
    scan.backward(strip, unary)
    if weights is not None:
        weights = weights[index_like(cut.owners, unary)]
        scan.weigh(strip, zeros(unary, (layout.n_sequences,), "bool"), weights[order])
    # Given the first state of a block, the last one of the block before follows the filter.
    ratios = unary[:, strip.columns[0]][:, ranks] / entering
    if weights is not None:
        ratios *= weights[later]
    return unary, scan.pairs(strip) + (before.T @ ratios.T) * scan.transfer
