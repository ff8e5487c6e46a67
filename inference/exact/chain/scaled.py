"""Forward and backward recursions on scaled probabilities, with a proof that nothing was lost.

.. math:: a_t = \\frac{b_t}{c_{t-1}} \\circ A^\\top a_{t-1}, \\quad c_t = \\sum_k a_t(k), \\quad
          \\beta_{t-1} = A \\Bigl(\\frac{b_t}{c_{t-1}} \\circ \\beta_t\\Bigr), \\quad
          \\log Z = \\sum_t (\\log c_t + m_t)

Here b_t is the exponential of the emissions less their maximum m_t, and A that of the transitions
less theirs. Start and end are part of the first and the last emission.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from inference.arrays import column_sum, empty, index_like, look_up, namespace, zeros
from inference.exact.chain.layout import ChainLayout
from inference.exact.chain.likelihoods import Likelihoods, to_likelihoods
from inference.exact.chain.log_space import Pass
from inference.exact.chain.potentials import ChainPotentials
from inference.exact.chain.safety import Safety
from inference.exact.chain.strip import Strip, strips

__all__ = ["Scan", "scaled_pass"]


def scaled_pass(
    potentials: ChainPotentials,
    emissions: Any,
    layout: ChainLayout,
    weights: Any = None,
    *,
    posterior: bool = True,
    codes: Any = None,
) -> tuple[Pass, np.ndarray]:
    """Log partitions, and posteriors on request, of the sequences where scaling loses nothing.

    All arguments are working arrays of one type; with ``codes``, see `Scan`.

    Returns:
        The results, and the numbers of the sequences that fail the rule of `Safety`: what is said
        of those means nothing, and the counts of pairs leave them out.
    """
    scan = Scan(potentials, emissions, codes)
    order = index_like(layout.order, emissions)
    total = zeros(emissions, (layout.n_sequences,), "float64")
    failed = zeros(emissions, (layout.n_sequences,), "bool")
    failed[:] = not scan.safety.usable
    counts = zeros(emissions, tuple(scan.transfer.shape), "float64")
    unary = scan.blank() if posterior else None
    with np.errstate(all="ignore"):
        for strip in strips(emissions, layout) if scan.safety.usable else ():
            owners = order[strip.left : strip.left + strip.widths[0]]
            scan.load(strip)
            scan.forward(strip)
            if posterior or not scan.safety.dense:
                scan.backward(strip, unary)
            failed[owners] = bad = scan.failures(strip)
            total[owners] = strip.sum_steps(strip.log_scales()) - scan.shift
            if posterior:
                scan.weigh(strip, bad, None if weights is None else weights[owners])
                counts += scan.pairs(strip)
    total += index_like(scan.shift * layout.lengths, emissions)
    again = failed if scan.xp is np else failed.cpu().numpy()
    found = Pass(total, unary, counts if posterior else None)
    return found, np.flatnonzero(again)


class Scan:
    """The passes over one strip of sequences after the other.

    Arguments:
        potentials: shared by all steps.
        emissions: (K, N), or (K, M) for M symbols.
        codes: (N,), the symbol of every token, where emissions are those of symbols.
        start, end: (K, B) by rank, of every sequence, instead of the shared ones.
    """

    def __init__(
        self,
        potentials: ChainPotentials,
        emissions: Any,
        codes: Any = None,
        *,
        start: Any = None,
        end: Any = None,
    ) -> None:
        xp = self.xp = namespace(emissions)
        self.emissions, self.safety = emissions, Safety.of(potentials, emissions)
        self.codes = codes
        self.symbols = None if codes is None else Likelihoods.of(emissions, self.safety)
        transitions = potentials.log_transitions
        peak = float(transitions.max())
        # Without any allowed transition there is nothing to shift by.
        self.shift = peak if peak > -np.inf else 0.0
        self.transfer = xp.exp(transitions - self.shift)
        self.onward = self.transfer.T.copy() if xp is np else self.transfer.T.contiguous()
        shape = (potentials.n_states, emissions.shape[1] if codes is None else len(codes))
        self.start, self.end = [
            xp.broadcast_to(shared[:, None], shape) if own is None else own  # type: ignore[index]
            for shared, own in ((potentials.log_start, start), (potentials.log_end, end))
        ]

    def load(self, strip: Strip) -> None:
        """Likelihoods: exponentials of shifted emissions, with starts and ends."""
        if self.safety.dead_ends:
            strip.low = zeros(self.emissions, (strip.n_columns,), "bool")
        for run in strip.runs:
            if self.symbols is not None and self._is_inner(strip, run):
                self._look_up(strip, run)
                continue
            blocks = strip.stacked(strip.flat_likelihoods, run, len(self.transfer))
            peaks = strip.stacked(strip.flat_peaks, run)
            blocks[:] = self._scores(strip, run)
            self._add_ends(strip, run)
            small = to_likelihoods(blocks, peaks, self.safety)
            if small is not None:
                strip.low[strip.offsets[run[0]] : strip.offsets[run[1]]] = small.reshape(-1)

    def blank(self) -> Any:
        """An array (K, N) with anything in it."""
        if self.codes is None:
            return self.xp.empty_like(self.emissions)
        n_states = len(self.transfer)
        return empty(self.emissions, n_states * len(self.codes)).reshape(n_states, -1)

    def _scores(self, strip: Strip, run: tuple[int, int]) -> Any:
        """Log emissions of a run, (steps, K, n)."""
        if self.codes is None:
            return strip.gathered(self.emissions, run)
        codes = strip.gathered(self.codes[None], run)[:, 0]
        return self.emissions[:, codes].swapaxes(0, 1)

    @staticmethod
    def _is_inner(strip: Strip, run: tuple[int, int]) -> bool:
        """Whether no sequence starts or ends in a run."""
        last = run[1] - 1
        return run[0] > 0 and strip.following[last] == strip.widths[last]

    def _look_up(self, strip: Strip, run: tuple[int, int]) -> None:
        """Likelihoods of a run where no sequence starts or ends, from those of the symbols."""
        symbols, codes = self.symbols, strip.gathered(self.codes[None], run)[:, 0]
        assert symbols is not None
        for t, own in zip(range(*run), codes, strict=True):
            look_up(symbols.table, own, strip.likelihoods[t])
            look_up(symbols.peaks, own, strip.peaks[t])
            if symbols.low is not None:
                start = strip.offsets[t]
                look_up(symbols.low, own, strip.low[start : start + len(own)])

    def _add_ends(self, strip: Strip, run: tuple[int, int]) -> None:
        """Starts and ends of the sequences that do so in a run; they end with its last step."""
        first, last, left = run[0], run[1] - 1, strip.left
        if first == 0:
            strip.likelihoods[0] += self.start[:, left : left + strip.widths[0]]
        width, after = strip.widths[last], strip.following[last]
        if after < width:
            strip.likelihoods[last][:, after:] += self.end[:, left + after : left + width]

    def forward(self, strip: Strip) -> None:
        """Forward messages and, where they are divided by them, their sums; elsewhere ones."""
        xp, likelihoods, messages = self.xp, strip.likelihoods, strip.messages
        scales, inverse = strip.scales, xp.empty_like(strip.scales[0])
        strip.flat_scales[:] = 1
        messages[0][:] = likelihoods[0]
        column_sum(messages[0], scales[0])
        divided = True
        for t, n in enumerate(strip.widths[1:], 1):
            xp.matmul(self.onward, messages[t - 1][:, :n], out=messages[t])
            if divided:
                likelihoods[t] *= xp.reciprocal(scales[t - 1][:n], out=inverse[:n])
            messages[t] *= likelihoods[t]
            # What a sequence ends with is a part of its log partition, whatever its length.
            divided = t % self.safety.every == 0 or strip.following[t] < n
            if divided:
                column_sum(messages[t], scales[t])

    def backward(self, strip: Strip, unary: Any) -> None:
        """Posteriors into ``unary``; likelihoods become 1 / c_{t-1} b_t beta_t (t > 0)."""
        xp = self.xp
        memory = xp.empty_like(strip.likelihoods[0]).reshape(-1)
        for t in range(len(strip.widths) - 1, -1, -1):
            n, after = strip.widths[t], strip.following[t]
            beta = memory[: n * len(self.transfer)].reshape(-1, n)
            if after:
                xp.matmul(self.transfer, strip.likelihoods[t + 1], out=beta[:, :after])
                if not self.safety.dense:
                    alive = xp.sign(beta[:, :after]) if self.safety.dead_ends else 1.0
                    beta[:, :after] += alive * self.safety.floor
            if after < n:
                beta[:, after:] = 1 / strip.scales[t][after:]
            if t:
                strip.likelihoods[t] *= beta
            if unary is not None:
                beta *= strip.messages[t]
                unary[:, strip.columns[t]] = beta

    def failures(self, strip: Strip) -> Any:
        """Which sequences fail the rule, (widths[0],)."""
        xp, safety = self.xp, self.safety
        if safety.dense:
            good = strip.flat_scales > 0
        else:
            good = strip.flat_scales >= 1 / safety.largest
            for block, column in zip(strip.likelihoods, strip.cut(good), strict=True):
                column &= xp.amax(block, 0) <= safety.largest
            if safety.dead_ends:
                good &= ~strip.low
        if good.all():
            return good[: strip.widths[0]] ^ True
        return strip.sum_steps(~good) > 0

    def weigh(self, strip: Strip, bad: Any, weights: Any) -> None:
        """Weights into the backward factor of the counts of pairs; nothing of failed sequences."""
        if bool(bad.any()):
            for block, message, n in zip(
                strip.likelihoods, strip.messages, strip.widths, strict=True
            ):
                block[:, bad[:n]] = message[:, bad[:n]] = 0
        if weights is not None:
            for block, n in zip(strip.likelihoods, strip.widths, strict=True):
                block *= weights[:n]

    def pairs(self, strip: Strip) -> Any:
        """Sums of the posteriors of pairs of neighbours, (K, K) float64."""
        xp = self.xp
        found = zeros(self.emissions, tuple(self.transfer.shape), "float64")
        for first, stop in strip.runs:
            if first:
                before = strip.messages[first - 1][:, : strip.widths[first]]
                found += xp.matmul(before, strip.likelihoods[first].T)
            if stop - first > 1:
                n_states = len(self.transfer)
                before = strip.stacked(strip.flat_messages, (first, stop - 1), n_states)
                after = strip.stacked(strip.flat_likelihoods, (first + 1, stop), n_states)
                found += xp.matmul(before, after.swapaxes(1, 2)).sum(0)
        return found * self.transfer
