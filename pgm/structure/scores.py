"""Decomposable scores of structures, as differences of one function of sets of variables.

.. math:: s(x \\mid S) = G(S \\cup x) - G(S) - \\lambda\\, (r_x - 1) \\prod_{v \\in S} r_v

With :math:`G(A) = \\sum_a N_a \\log N_a` over the cells of the counts of A this is the
log-likelihood with a penalty (BIC: :math:`\\lambda = \\tfrac12 \\log n`, AIC: 1); with
:math:`G(A) = \\sum_a \\log\\Gamma(N_a + \\alpha/|A|) - \\log\\Gamma(\\alpha/|A|)` and
:math:`\\lambda = 0` it is BDeu. A set is counted once, whatever families it serves.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np

from inference.inputs import check_choice
from pgm.discrete_data import DiscreteData
from pgm.structure.extensions import Extensions

__all__ = ["ScoreName", "SetScore"]

ScoreName: TypeAlias = Literal["bic", "aic", "bdeu", "log-likelihood"]

#: Bytes of row keys kept, so that a set's keys are made from those of a subset.
KEPT_BYTES = 16 << 20
#: Counting all variables at once costs as much as counting one in so many by itself.
WORTH_ALL = 3


class SetScore:
    """Scores of families of discrete variables, cached by set.

    Sets of variables are integers: bit v stands for variable v.

    Arguments:
        data: complete rows.
        kind: which score; all are log-scores in nats, larger is better.
        equivalent_sample_size: alpha of BDeu, the weight of its prior in rows.

    Attributes:
        n_variables: number of variables.
        cards: their numbers of states.
        n_sets: sets counted so far.

    Raises:
        ValueError: missing cells, no rows, an unknown kind, alpha not positive.

    Reference:
        Schwarz 1978 (BIC); Heckerman, Geiger & Chickering 1995, eq. 28 (BDeu).

    Example:
        >>> rows = DiscreteData(np.array([[0, 0], [1, 1], [0, 0], [1, 1]]))
        >>> score = SetScore(rows, "log-likelihood")
        >>> round(score.local(1, 0), 4), score.local(1, 0b01)
        (-2.7726, 0.0)
    """

    def __init__(
        self, data: DiscreteData, kind: ScoreName = "bic", equivalent_sample_size: float = 10.0
    ) -> None:
        check_choice("score", kind, ScoreName)
        if not 0 < equivalent_sample_size < math.inf:
            raise ValueError(
                f"equivalent_sample_size must be positive, found {equivalent_sample_size}"
            )
        data.require_rows("data")
        data.require_complete(
            "data", "fill them (impute) or drop them before learning a structure"
        )
        self.kind = kind
        self.cards = data.cards
        self.n_variables = len(self.cards)
        self._rows = data.n_rows
        self._weights = data.weights
        self._alpha = equivalent_sample_size
        self._columns = [
            column.astype(np.uint16 if card <= 1 << 16 else np.int64)
            for column, card in zip(data.columns, data.cards, strict=True)
        ]
        rate = {"bic": 0.5 * math.log(data.total), "aic": 1.0}.get(kind, 0.0)
        self._rates = [rate * (card - 1) for card in self.cards]
        self._n_log_n = None if data.weights is not None else _n_log_n(data.n_rows)
        self._extensions = None
        if self._n_log_n is not None and kind != "bdeu" and self.cards:
            self._extensions = Extensions(self._columns, self.cards, self._n_log_n)
        self._values: dict[int, float] = {}
        self._cells: dict[int, int] = {0: 1}
        self._keys: dict[int, tuple[np.ndarray, int]] = {}
        self._most_keys = max(64, KEPT_BYTES // (2 * max(self._rows, 1)))

    @property
    def n_sets(self) -> int:
        """Number of sets counted so far."""
        return len(self._values)

    def local(self, child: int, parents: int) -> float:
        """Score of one family; ``parents`` is a set without the child."""
        values = self._values
        both = parents | 1 << child
        above = values.get(both)
        if above is None:
            above = self.value(both)
        below = values.get(parents)
        if below is None:
            below = self.value(parents)
        rate = self._rates[child]
        return above - below - rate * self.cells(parents) if rate else above - below

    def prepare(self, child: int, parents: int) -> None:
        """Count the sets that families with one parent more consist of, all at once."""
        if self._extensions is not None:
            self._extend(self._extensions, parents | 1 << child)
            self._extend(self._extensions, parents)

    def _extend(self, extensions: Extensions, base: int) -> None:
        """Count a set with each other variable, if many of those are not counted yet."""
        values = self._values
        wanted = [v for v in range(self.n_variables) if base | 1 << v not in values]
        if len(wanted) * WORTH_ALL < self.n_variables:
            return
        empty = np.zeros(self._rows, dtype=np.uint16), 1
        sums = extensions.sums(*(self._base_keys(base) if base else empty))
        if sums is not None:
            values.update(zip([base | 1 << v for v in wanted], sums[wanted].tolist(), strict=True))

    def total(self, parents: Sequence[int]) -> float:
        """Score of a graph given as one parent set per variable."""
        return sum([self.local(child, above) for child, above in enumerate(parents)])

    def bound(self, child: int, parents: int) -> float:
        """What no family with these parents, or more, can pass: its likelihood is at most one."""
        return -self._rates[child] * self.cells(parents)

    def value(self, variables: int) -> float:
        """G of a set of variables."""
        found = self._values.get(variables)
        if found is None:
            found = self._values[variables] = self._compute(variables)
        return found

    def cells(self, variables: int) -> int:
        """Number of cells of the full table over a set."""
        found = self._cells.get(variables)
        if found is None:
            low = variables & -variables
            found = self.cells(variables ^ low) * self.cards[low.bit_length() - 1]
            self._cells[variables] = found
        return found

    def _compute(self, variables: int) -> float:
        """Count a set and sum over its cells."""
        keys = self._row_keys(variables)
        if self._weights is None:
            counts = np.bincount(keys)
            if self._n_log_n is not None and self.kind != "bdeu":
                return float(self._n_log_n.take(counts).sum())
        else:
            counts = np.bincount(keys, self._weights)
        counts = counts[counts > 0]
        if self.kind != "bdeu":
            return float(counts @ np.log(counts))
        from scipy.special import gammaln

        share = self._alpha / self.cells(variables)
        return float(gammaln(counts + share).sum() - len(counts) * math.lgamma(share))

    def _row_keys(self, variables: int) -> np.ndarray:
        """Every row's cell in the table over a set: the keys of a kept subset and one column."""
        if not variables:
            return np.zeros(self._rows, dtype=np.uint16)
        base = variables & (variables - 1)
        rest = variables
        while rest:
            low = rest & -rest
            rest ^= low
            if variables ^ low in self._keys:
                base = variables ^ low
                break
        return self._joined(base, (variables ^ base).bit_length() - 1)[0]

    def _joined(self, base: int, new: int) -> tuple[np.ndarray, int]:
        """Keys of a set and one more variable, and a bound on them."""
        if not base:
            return self._columns[new], self.cards[new]
        keys, bound = self._base_keys(base)
        card, column = self.cards[new], self._columns[new]
        if bound * card > 1 << 16:
            return keys.astype(np.int64) * card + column, bound * card
        found = keys * np.uint16(card)
        found += column
        return found, bound * card

    def _base_keys(self, variables: int) -> tuple[np.ndarray, int]:
        """Keys of a set that others are made from, kept.

        Tables larger than the data are relabelled to the cells that occur.
        """
        found = self._keys.get(variables)
        if found is None:
            base = variables & (variables - 1)
            keys, bound = self._joined(base, (variables ^ base).bit_length() - 1)
            if bound > self._rows >> 2:
                keys, bound = _relabel(keys, bound)
            if len(self._keys) >= self._most_keys:
                del self._keys[next(iter(self._keys))]
            found = self._keys[variables] = keys, bound
        return found


def _relabel(keys: np.ndarray, bound: int) -> tuple[np.ndarray, int]:
    """Number the keys that occur 0, 1, ... in order."""
    place = np.cumsum(np.bincount(keys, minlength=bound) > 0)
    count = int(place[-1])
    dtype = np.uint16 if count <= 1 << 16 else np.int64
    return (place - 1).astype(dtype)[keys], count


def _n_log_n(n: int) -> np.ndarray:
    """Table of k log k for k = 0..n."""
    k = np.arange(n + 1, dtype=np.float64)
    k[1:] *= np.log(k[1:])
    return k
