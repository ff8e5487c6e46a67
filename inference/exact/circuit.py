"""An arithmetic circuit over rows of incomplete evidence: likelihoods, expected counts, choices.

.. math:: \\log p(x^{(i)}_{\\text{seen}}) = \\sum_c \\log z_c(i), \\qquad
          N_c(x_c) = \\sum_i w_i\\, p(x_c \\mid x^{(i)}_{\\text{seen}})

Upwards, entries are products of a clique's cell and its children's messages, and a message is
their sums, normalised; downwards, the weight of a message number is shared among the entries it
was summed from. Expected counts of all rows come from one such sweep: the derivative of the
log-likelihood with respect to the logarithms of the tables.

Reference:
    Darwiche 2003, "A differential approach to inference in Bayesian networks", section 4.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np

from inference.exact.circuit_layout import CircuitLayout, Level
from inference.exact.clique_tables import CliqueValues

__all__ = ["Circuit"]

#: From the entries of a level to their keys: the smallest key of every sum is chosen.
Keys = Callable[[np.ndarray], np.ndarray]

#: Sums of a situation's entries above this have lost nothing that matters to underflow.
SMALLEST_SCALE = 1e-200


class Circuit:
    """One layout with its numbers.

    Arguments:
        layout: what to compute.
        n_cells: length of the vector of clique tables.
    """

    def __init__(self, layout: CircuitLayout, n_cells: int) -> None:
        self.layout = layout
        self._n_cells = n_cells
        self._entries = np.empty(layout.n_entries)
        self._messages = np.empty(len(layout.open_messages))
        self._sums = np.empty(len(layout.open_messages))
        self._logs = np.empty(len(layout.weights))

    @cached_property
    def _cells(self) -> np.ndarray:
        """Cells of all entries, in one piece so that counting them is one call."""
        return np.concatenate([level.cells for level in self.layout.levels])

    def log_likelihoods(self, tables: CliqueValues) -> np.ndarray:
        """Log-likelihood of every row, (n,); -inf for impossible ones."""
        self._collect(tables, np.add)
        return self._row_logs()

    def expected_counts(self, tables: CliqueValues) -> tuple[np.ndarray, float]:
        """Expected weighted counts of all cells of the clique tables, and the log-likelihood.

        An impossible row makes the log-likelihood -inf; the counts then have no meaning.
        """
        self._collect(tables, np.add)
        weights = self.layout.weights
        with np.errstate(invalid="ignore"):
            value = float(np.where(weights > 0, weights * self._logs, 0.0).sum())
        self._distribute()
        return np.bincount(self._cells, self._entries, self._n_cells), value

    def posterior_weights(self, tables: CliqueValues) -> tuple[np.ndarray, np.ndarray]:
        """Posterior weight of every entry, and the log-likelihood of every row."""
        self._collect(tables, np.add)
        logs = self._row_logs()
        self._distribute()
        return self._entries, logs

    def chosen_entries(
        self, tables: CliqueValues, generator: np.random.Generator | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """One entry per situation that a choice reaches, and a score (n,): -inf if impossible.

        Exact draws with a generator, else the most probable. Draws win an exponential race: the
        smallest of independent Exp(1) / weight.
        """
        if generator is None:
            self._collect(tables, np.maximum)
            return self._choose(np.negative), self._row_logs()
        self._collect(tables, np.add)

        def race(entries: np.ndarray) -> np.ndarray:
            # Who is impossible, or all but, never arrives.
            with np.errstate(divide="ignore", over="ignore"):
                return generator.standard_exponential(len(entries)) / entries

        return self._choose(race), self._row_logs()

    def _row_logs(self) -> np.ndarray:
        """Logs of the normalisers, summed over the situations of every row."""
        first, *others = self.layout.row_situations
        total = self._logs[first]
        for situations in others:
            total += self._logs[situations]
        return total

    def _collect(self, tables: CliqueValues, reduce: np.ufunc) -> None:
        """Upward pass: entries, their sums (or maxima) and normalised messages.

        In log space where products of tables or of messages could leave the range of floats.
        """
        if not (tables.safe and self._collect_linear(tables.linear, reduce)):
            self._collect_logs(tables.logs, np.logaddexp if reduce is np.add else np.maximum)

    def _collect_linear(self, tables: np.ndarray, reduce: np.ufunc) -> bool:
        """Upward pass; False, and left undone, where a situation comes close to underflow."""
        below = self._messages[:0]
        for level in self.layout.levels:
            entries = self._entries[level.entries]
            np.take(tables, level.cells, out=entries)
            for slot in level.slots:
                entries[: len(slot)] *= below.take(slot)
            sums = reduce.reduceat(entries, level.starts, out=self._sums[level.messages])
            scales = np.add.reduceat(sums, level.situation_starts)
            if len(scales) and not scales.min() > SMALLEST_SCALE:
                return False
            np.log(scales, out=self._logs[level.situation_slice])
            below = self._messages[level.messages]
            np.divide(sums, scales.take(level.situations), out=below)
        return True

    def _collect_logs(self, tables: np.ndarray, reduce: np.ufunc) -> None:
        """Upward pass in log space; entries are left as shares of their sums."""
        messages = np.empty(len(self._messages))
        for level in self.layout.levels:
            entries = tables.take(level.cells)
            for slot in level.slots:
                entries[: len(slot)] += messages[level.below :].take(slot)
            sums = reduce.reduceat(entries, level.starts)
            logs = np.logaddexp.reduceat(sums, level.situation_starts)
            self._logs[level.situation_slice] = logs
            possible = np.where(np.isneginf(logs), 0.0, logs)
            messages[level.messages] = sums - possible.take(level.situations)
            whole = np.where(np.isneginf(sums), 0.0, sums)
            np.exp(entries - whole.take(level.sums), out=self._entries[level.entries])
            self._sums[level.messages] = ~np.isneginf(sums)

    def _distribute(self) -> None:
        """Downward pass: entries become posterior weights of their assignments."""
        layout = self.layout
        shares = np.zeros(len(self._messages))
        for level in reversed(layout.levels):
            share = shares[level.messages]
            closed = ~layout.open_messages[level.messages]
            share[closed] = layout.weights[level.situations[closed] + level.first_situation]
            sums = self._sums[level.messages]
            with np.errstate(divide="ignore", invalid="ignore"):
                ratio = share / sums
            if not sums.all():
                ratio[sums == 0] = 0.0
            entries = self._entries[level.entries]
            entries *= ratio.take(level.sums)
            for slot in level.slots:
                self._share_out(level, slot, entries[: len(slot)], shares)

    def _share_out(
        self, level: Level, slot: np.ndarray, entries: np.ndarray, shares: np.ndarray
    ) -> None:
        """Add entries' weights to the message numbers they were multiplied by."""
        if len(slot):
            low = int(slot.min())
            added = np.bincount(slot - low, entries)
            first = level.below + low
            shares[first : first + len(added)] += added

    def _choose(self, keys: Keys) -> np.ndarray:
        """Downward pass that follows, from every chosen entry, the messages it multiplied."""
        layout = self.layout
        active = ~layout.open_messages
        found = []
        for level in reversed(layout.levels):
            key = keys(self._entries[level.entries])
            least = np.minimum.reduceat(key, level.starts)
            hit = np.flatnonzero(
                (key == least.take(level.sums)) & active[level.messages][level.sums]
            )
            owner = level.sums[hit]
            hit = hit[np.diff(owner, prepend=-1) != 0]  # the first of equals
            for slot in level.slots:
                active[level.below + slot[hit[hit < len(slot)]]] = True
            found.append(hit + level.first_entry)
        return np.concatenate(found[::-1])
