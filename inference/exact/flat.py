"""A junction forest as one long vector: all cliques of a depth in a handful of array calls.

Entries that no assignment can make positive are dropped. The batch is the last axis, so that each
entry is a contiguous row of numbers; rows come in chunks whose tables fit the cache. A message
vector holds, one row each, the likelihood of every state of every variable and every separator
entry: gathering from it collects evidence and messages alike, and summing beliefs back into it
yields separator and variable marginals alike.
"""

from __future__ import annotations

import torch
from torch import Tensor

from inference.exact.flat_layout import FlatLayout, Level

__all__ = ["FlatProgram"]

#: Bytes of tables that a chunk of rows should fill on a CPU, and on an accelerator, where
#: launching costs more than memory.
CHUNK_BYTES = 4 << 20
DEVICE_CHUNK_BYTES = 1 << 30
SMALLEST_CHUNK, LARGEST_CHUNK = 32, 1024
#: Below every positive message entry of a safe layout, so that 0 / 0 reads as 0.
TINY = 1e-300


class _Workspace:
    """Tables for one chunk of rows."""

    def __init__(self, layout: FlatLayout, rows: int, device: torch.device) -> None:
        def table(n: int) -> Tensor:
            return torch.empty(n, rows, dtype=torch.float64, device=device)

        self.entries = table(layout.entries)
        self.gathered = table(max(level.stop - level.start for level in layout.levels))
        self.messages = table(layout.rows)
        self.beliefs = table(layout.rows)


class FlatProgram:
    """Log Z and all marginals of batches of evidence on one tree over all variables.

    Arguments:
        layout: index arrays and base table.
        device: where to run.
    """

    def __init__(self, layout: FlatLayout, device: torch.device) -> None:
        self.layout = layout
        self.device = device
        self._levels = [level.to(device) for level in layout.levels]
        self._base = torch.from_numpy(layout.base).to(device)[:, None]
        self._variable_of_state = torch.from_numpy(layout.variable_of_state).to(device)
        self._single_states = torch.tensor(layout.single_states, dtype=torch.long, device=device)
        self._workspace: _Workspace | None = None

    @property
    def chunk(self) -> int:
        """Rows to run at once."""
        if self.device.type != "cpu":
            return max(DEVICE_CHUNK_BYTES // (8 * self.layout.entries), SMALLEST_CHUNK)
        rows = CHUNK_BYTES // (8 * self.layout.entries)
        return min(max(rows, SMALLEST_CHUNK), LARGEST_CHUNK)

    def run(self, likelihoods: Tensor, marginals: bool = True) -> tuple[Tensor, Tensor | None]:
        """Return log Z and the marginals for a chunk of rows.

        Arguments:
            likelihoods: (states, B): likelihood of every state of every variable.
            marginals: whether to run the downward pass.

        Shapes:
            log Z: (B,), -inf for impossible rows.
            marginals: (states, B), NaN for impossible rows.
        """
        rows = likelihoods.shape[1]
        space = self._workspace
        if space is None or space.entries.shape[1] != rows:
            space = self._workspace = _Workspace(self.layout, rows, self.device)
        n_states = self.layout.n_states
        space.messages[:n_states] = likelihoods
        totals = torch.zeros(self.layout.components, rows, dtype=torch.float64, device=self.device)
        for level in reversed(self._levels):
            self._collect(level, space, totals)
        log_z = totals.log().sum(0) + self.layout.log_scale
        if len(self._single_states):
            log_z += space.messages[self._single_states].log().sum(0)
        if not marginals:
            return log_z, None
        space.beliefs.zero_()
        for level in self._levels:
            self._distribute(level, space)
        space.beliefs[self._single_states] = 1.0
        found = space.beliefs[:n_states]
        sums = torch.zeros(len(self.layout.cards), rows, dtype=torch.float64, device=self.device)
        sums.index_add_(0, self._variable_of_state, found)
        # An impossible row may still look possible in another component.
        sums[:, torch.isneginf(log_z)] = torch.nan
        return log_z, found / sums.index_select(0, self._variable_of_state)

    def _collect(self, level: Level, space: _Workspace, totals: Tensor) -> None:
        """Multiply one depth's tables and send its messages up."""
        table = space.entries[level.start : level.stop]
        base = self._base[level.start : level.stop]
        reached = len(level.slots[0]) if level.slots else 0
        if reached:
            torch.index_select(space.messages, 0, level.slots[0], out=table[:reached])
            table[:reached] *= base[:reached]
        if reached < len(table):
            table[reached:] = base[reached:]
        for slot in level.slots[1:]:
            factor = space.gathered[: len(slot)]
            torch.index_select(space.messages, 0, slot, out=factor)
            table[: len(slot)] *= factor
        if level.root:
            totals.index_add_(0, level.up, table)
        else:
            messages = space.messages[level.first_row : level.last_row]
            messages.zero_().index_add_(0, level.up, table)

    def _distribute(self, level: Level, space: _Workspace) -> None:
        """Turn one depth's tables into beliefs and sum them into separators and variables."""
        table = space.entries[level.start : level.stop]
        if not level.root:
            messages = space.messages[level.first_row : level.last_row]
            ratio = space.beliefs[level.first_row : level.last_row] / messages.clamp_min_(TINY)
            factor = space.gathered[: len(table)]
            torch.index_select(ratio, 0, level.up, out=factor)
            table *= factor
        for slot in level.slots:
            space.beliefs.index_add_(0, slot, table[: len(slot)])
