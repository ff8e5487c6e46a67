"""Rows with missing cells: exact likelihoods, expected counts, posteriors and completions.

.. math:: \\log p(x_{\\text{seen}}) = \\log \\sum_{x_{\\text{missing}}} p(x)

Every row may miss its own cells, and variables may be hidden in all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from inference.exact.circuit import Circuit
from inference.exact.circuit_layout import CircuitLayout, circuit_layout
from inference.exact.clique_tables import CliqueTables
from inference.exact.order import check_width, interaction_graph, min_fill
from inference.exact.structure import Structure
from inference.exact.tree import JunctionTree, build_tree
from inference.memory import allowed_memory, readable_bytes, readable_count

__all__ = ["IncompleteRows", "RowCliques"]

#: Bytes that one entry of a circuit takes with its indices, and entries compiled at a time:
#: for counts of all rows together, and for answers row by row, which should stay in the cache.
ENTRY_BYTES = 56
CHUNK = 1 << 25
ROW_CHUNK = 1 << 19


@dataclass(frozen=True)
class RowCliques:
    """The junction tree of a model over all its variables, for rows.

    Arguments:
        structure: cardinalities and scopes.
        memory_limit: bytes the tables may take (default: half of what is free).
    """

    structure: Structure
    memory_limit: int | None = None

    @cached_property
    def tree(self) -> JunctionTree:
        """Cliques over all variables with several states."""
        structure = self.structure
        scopes = [structure.several_states(f) for f in range(len(structure.scopes))]
        logs = [float(np.log(max(card, 1))) for card in structure.cards]
        check_width(scopes, logs)
        return build_tree(min_fill(interaction_graph(scopes), logs), structure.cards)

    @cached_property
    def tables(self) -> CliqueTables:
        """Where the factors go in the cliques; a ValueError if that would not fit in memory."""
        tree, limit = self.tree, self.limit
        needed = 16 * tree.entries
        if needed > limit:
            widest = max(tree.sizes)
            raise ValueError(
                f"rows with missing cells need clique tables of {readable_bytes(needed)} "
                f"(the largest has {readable_count(widest)} entries), memory_limit is "
                f"{readable_bytes(limit)}: raise it, or use a structure with fewer parents"
            )
        return CliqueTables(self.structure, tree)

    @property
    def limit(self) -> int:
        """Bytes that may be used."""
        return allowed_memory(self.memory_limit)


class IncompleteRows:
    """Some rows under one structure; the numbers of the model may change between calls.

    What is compiled depends on which cells are missing and on the codes, not on the numbers.

    Arguments:
        cliques: the model's junction tree.
        columns: per variable the codes of all rows, -1 for missing.
        weights: of the rows; ones by default.
        n_rows: number of rows of no columns.
    """

    def __init__(
        self,
        cliques: RowCliques,
        columns: Sequence[np.ndarray],
        weights: np.ndarray | None = None,
        n_rows: int = 0,
    ) -> None:
        self._cliques = cliques
        self._columns = columns
        self._weights = weights
        self._n = len(columns[0]) if columns else n_rows
        self._kept: dict[tuple[int, int], Circuit] = {}
        self._kept_bytes = 0

    def expected_counts(self, values: np.ndarray) -> tuple[np.ndarray, float]:
        """Expected weighted counts of every factor's cells, and the log-likelihood.

        .. math:: N_f(x_{S_f}) = \\sum_i w_i\\, p(x_{S_f} \\mid x^{(i)}_{\\text{seen}})

        Arguments:
            values: all tables, one after the other.
        """
        tables = self._cliques.tables
        full, counts, total = tables.collect(values), np.zeros(tables.offsets[-1]), 0.0
        for circuit in self._circuits():
            part, value = circuit.expected_counts(full)
            counts += part
            total += value
        weight = float(self._n if self._weights is None else self._weights.sum())
        for factor in tables.constants:
            start = self._cliques.structure.offsets[factor]
            with np.errstate(divide="ignore"):
                total += weight * float(np.log(values[start]))
        return tables.scatter(counts, weight), total

    def log_likelihoods(self, values: np.ndarray) -> np.ndarray:
        """Log-likelihood of every row, (n,), nats; -inf for impossible rows."""
        tables = self._cliques.tables
        full, result = tables.collect(values), np.zeros(self._n)
        for rows, layout in self._layouts(CHUNK, distinct=True):
            if layout.levels:
                result[rows] = Circuit(layout, tables.offsets[-1]).log_likelihoods(full)
        for factor in tables.constants:
            with np.errstate(divide="ignore"):
                result += np.log(values[self._cliques.structure.offsets[factor]])
        return result

    def marginals(self, values: np.ndarray, variables: Sequence[int]) -> list[np.ndarray]:
        """Posterior of each variable in every row, (n, card): one-hot where it was seen.

        NaN in every variable of an impossible row.
        """
        cards = self._cliques.structure.cards
        result = [_one_hot(self._columns[v], cards[v]) for v in variables]
        place = {v: i for i, v in enumerate(variables)}
        tables = self._cliques.tables
        full = tables.collect(values)
        home = {v: tables_home for v in variables if (tables_home := self._home(v)) is not None}
        for rows, layout in self._layouts(ROW_CHUNK, distinct=False):
            if not layout.levels:
                continue
            circuit = Circuit(layout, tables.offsets[-1])
            weights, logs = circuit.posterior_weights(full)
            for block in layout.blocks:
                wanted = [v for v in block.missing if home.get(v) == block.clique]
                if not wanted:
                    continue
                part = weights[block.entry : block.entry + block.n_entries]
                part = part.reshape(len(block.rows), block.assignments)
                for v in wanted:
                    states = block.states(v, cards)
                    sums = part @ _one_hot(states, cards[v])
                    with np.errstate(invalid="ignore"):  # 0 / 0 in impossible rows
                        sums /= sums.sum(axis=1, keepdims=True)
                    result[place[v]][block.rows + rows.start] = sums
            for table in result:
                table[rows][np.isneginf(logs)] = np.nan
        return result

    def complete(
        self, values: np.ndarray, generator: np.random.Generator | None = None
    ) -> np.ndarray:
        """Rows with their missing cells filled jointly, (n, V) codes.

        .. math:: x_{\\text{missing}} \\sim p(\\cdot \\mid x_{\\text{seen}}) \\quad\\text{or}\\quad
                  \\arg\\max_{x_{\\text{missing}}} p(x_{\\text{missing}} \\mid x_{\\text{seen}})

        Arguments:
            values: all tables, one after the other.
            generator: makes exact draws; None takes the most probable completion.

        Raises:
            ValueError: a row is impossible.
        """
        cards, tables = self._cliques.structure.cards, self._cliques.tables
        result = np.stack(self._columns, axis=1).astype(np.int64) if self._columns else None
        if result is None:
            return np.zeros((self._n, 0), dtype=np.int64)
        full = tables.collect(values)
        for rows, layout in self._layouts(ROW_CHUNK, distinct=False):
            if not layout.levels:
                continue
            circuit = Circuit(layout, tables.offsets[-1])
            chosen, logs = circuit.chosen_entries(full, generator)
            impossible = np.flatnonzero(np.isneginf(logs))
            if len(impossible):
                row = int(impossible[0]) + rows.start
                raise ValueError(f"x: row {row} has probability zero under this model")
            _write(layout, chosen, cards, result[rows])
        single = [v for v, card in enumerate(cards) if card == 1]
        result[:, single] = 0
        return result

    def _home(self, variable: int) -> int | None:
        """A small clique that holds a variable; None if it has one state."""
        if self._cliques.structure.cards[variable] < 2:
            return None
        return self._cliques.tree.home([variable])

    def _circuits(self) -> Iterator[Circuit]:
        """Circuits over all rows, kept for the next call as far as memory allows."""
        n_cells = self._cliques.tables.offsets[-1]
        for bounds in self._bounds:
            found = self._kept.get(bounds)
            if found is None:
                layout = self._layout(slice(*bounds), distinct=True)
                if not layout.levels:
                    continue
                found = Circuit(layout, n_cells)
                if self._kept_bytes + layout.nbytes <= self._cliques.limit:
                    self._kept[bounds] = found
                    self._kept_bytes += layout.nbytes
            yield found

    @cached_property
    def _bounds(self) -> list[tuple[int, int]]:
        """Chunks for counts: they must not move with the memory that is free."""
        return self._chunks(CHUNK)

    def _layouts(self, most: int, distinct: bool) -> Iterator[tuple[slice, CircuitLayout]]:
        for bounds in self._chunks(most):
            rows = slice(*bounds)
            yield rows, self._layout(rows, distinct)

    def _layout(self, rows: slice, distinct: bool) -> CircuitLayout:
        cliques = self._cliques
        columns = [column[rows] for column in self._columns]
        # Answers row by row do not depend on how much a row counts.
        weights = self._weights[rows] if distinct and self._weights is not None else None
        cards = cliques.structure.cards
        return circuit_layout(
            cliques.tree, cliques.tables.offsets, cards, columns, weights, distinct
        )

    def _chunks(self, most: int) -> list[tuple[int, int]]:
        """Bounds of runs of rows with at most so many entries, if none is shared."""
        if not self._n:
            return []
        most = max(1, min(most, self._cliques.limit // ENTRY_BYTES))
        chunk = (np.cumsum(self._entries) // most).astype(np.int64)
        edges = np.append(np.flatnonzero(np.diff(chunk, prepend=-1)), self._n)
        return list(pairwise(edges.tolist()))

    @cached_property
    def _entries(self) -> np.ndarray:
        """Per row the assignments of the missing variables, summed over the cliques."""
        cards, tree = self._cliques.structure.cards, self._cliques.tree
        factors = [
            np.where(c < 0, float(card), 1.0) for c, card in zip(self._columns, cards, strict=True)
        ]
        per_row = np.zeros(self._n)
        for clique in tree.cliques:
            product = factors[clique[0]]
            for v in clique[1:]:
                product = product * factors[v]
            per_row += product
        return per_row


def _one_hot(codes: np.ndarray, card: int) -> np.ndarray:
    """(n, card) indicators; a missing code has none, unless there is but one state."""
    if card == 1:
        return np.ones((len(codes), 1))
    return (codes[:, None] == np.arange(card)).astype(np.float64)


def _write(
    layout: CircuitLayout, chosen: np.ndarray, cards: Sequence[int], result: np.ndarray
) -> None:
    """Write the states of chosen entries into their rows."""
    for block in layout.blocks:
        if not block.missing:
            continue
        low, high = np.searchsorted(chosen, [block.entry, block.entry + block.n_entries])
        row, assignment = np.divmod(chosen[low:high] - block.entry, block.assignments)
        for v in block.missing:
            result[block.rows[row], v] = block.states(v, cards)[assignment]
