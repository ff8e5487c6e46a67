"""Tests of conditional independence of discrete variables, and the oracle that reads a graph.

.. math:: G^2 = 2 \\sum_{xyz} N_{xyz} \\log \\frac{N_{xyz} N_z}{N_{xz} N_{yz}}
        = 2 n\\, I(x; y \\mid z)
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple, Protocol, TypeAlias

import numpy as np

from inference.exact.structure import bits
from inference.inputs import check_choice
from pgm.digraph import Digraph
from pgm.discrete_data import DiscreteData
from pgm.structure.scores import SetScore

__all__ = [
    "ConditionalIndependence",
    "DSeparation",
    "Freedom",
    "IndependenceResult",
    "IndependenceTest",
    "Statistic",
]

Statistic: TypeAlias = Literal["g2", "chi2", "mutual-information"]
Freedom: TypeAlias = Literal["classical", "adjusted"]

#: Bytes of strata kept, so that a set's strata are made from those of a subset.
KEPT_BYTES = 48 << 20


class IndependenceResult(NamedTuple):
    """Outcome of one test.

    Attributes:
        statistic: G2, chi2, or the mutual information in nats.
        degrees_of_freedom: of the chi-square law that the statistic is held against.
        p_value: probability under independence of a statistic at least as large.
    """

    statistic: float
    degrees_of_freedom: int
    p_value: float


class IndependenceTest(Protocol):
    """What a constraint-based search asks; variables are numbers, sets are bit masks."""

    @property
    def n_variables(self) -> int:
        """Number of variables."""
        ...

    def p_value(self, x: int, y: int, given: int) -> float:
        """How well the data agree with independence, in [0, 1]."""
        ...

    def independent(self, x: int, y: int, given: int) -> bool:
        """Whether x and y pass for independent given a set of others."""
        ...


class ConditionalIndependence:
    """Tests of x independent of y given z, by counts of complete rows.

    .. math:: G^2 = 2\\,[F(xyz) - F(xz) - F(yz) + F(z)], \\quad F(A) = \\sum_a N_a \\log N_a

    .. math:: \\chi^2 = \\sum_{xyz} \\frac{(N_{xyz} - E_{xyz})^2}{E_{xyz}},
              \\quad E_{xyz} = \\frac{N_{xz} N_{yz}}{N_z}

    Both are compared with a chi-square law. The law holds for many rows per cell; with few the
    p-values are too large, and more so with the classical degrees of freedom.

    Arguments:
        data: complete rows; weights count as repeated rows.
        statistic: "g2" (likelihood ratio), "chi2" (Pearson), or "mutual-information", G2 / 2n
            in nats with the same p-values.
        alpha: independence is rejected at p-values up to this, in (0, 1).
        freedom: "classical": (r_x - 1)(r_y - 1) times the number q of strata of z that occur;
            "adjusted": per stratum only the states of x and of y that occur in it count.
        threshold: with "mutual-information", pass for independent below this number of nats,
            whatever the p-value.

    Attributes:
        n_tests: tests done so far.

    Raises:
        ValueError: missing cells, no rows, unknown options, alpha or threshold out of range.

    Reference:
        Spirtes, Glymour & Scheines 2000, section 5.5 (statistics and degrees of freedom);
        Tsamardinos, Brown & Aliferis 2006, section 4.1; Cover & Thomas 2006, eq. 2.60.

    Example:
        >>> rows = DiscreteData(np.array([[0, 0], [0, 1], [1, 0], [1, 1]] * 5))
        >>> ConditionalIndependence(rows).test(0, 1)
        IndependenceResult(statistic=0.0, degrees_of_freedom=1, p_value=1.0)
    """

    def __init__(
        self,
        data: DiscreteData,
        statistic: Statistic = "g2",
        *,
        alpha: float = 0.05,
        freedom: Freedom = "classical",
        threshold: float | None = None,
    ) -> None:
        check_choice("statistic", statistic, Statistic)
        check_choice("freedom", freedom, Freedom)
        if not 0 < alpha < 1:
            raise ValueError(f"alpha must be in (0, 1), found {alpha}")
        if threshold is not None and statistic != "mutual-information":
            raise ValueError(f"threshold needs statistic='mutual-information', not {statistic!r}")
        if threshold is not None and not 0 < threshold < math.inf:
            raise ValueError(f"threshold must be positive (nats), found {threshold}")
        data.require_rows("data")
        if data.weights is not None and (data.weights == 0).any():
            data = data.take(data.weights > 0)
        self._sums = SetScore(data, "log-likelihood")
        self.statistic, self.freedom = statistic, freedom
        self.alpha, self.threshold = alpha, threshold
        self.n_tests = 0
        self._cards = data.cards
        self._columns = [column.astype(np.int64) for column in data.columns]
        self._weights, self._total = data.weights, data.total
        self._strata: dict[int, tuple[np.ndarray, int]] = {
            0: (np.zeros(data.n_rows, dtype=np.int64), 1)
        }
        self._most_strata = max(64, KEPT_BYTES // (8 * data.n_rows))
        self._n_strata: dict[int, int] = {}
        self._present: dict[tuple[int, int], np.ndarray] = {}

    @property
    def n_variables(self) -> int:
        """Number of variables."""
        return len(self._cards)

    def test(self, x: int, y: int, given: int = 0) -> IndependenceResult:
        """Test whether variables x and y are independent given a set.

        Arguments:
            x: number of a variable.
            y: number of another one.
            given: mask of the variables to hold fixed, without x and y.

        Raises:
            ValueError: x, y and ``given`` overlap, or are no variables.
        """
        from scipy.special import chdtrc

        self._check(x, y, given)
        self.n_tests += 1
        value = self._chi2(x, y, given) if self.statistic == "chi2" else self._g2(x, y, given)
        freedom = self._degrees(x, y, given)
        # Without a degree of freedom there is nothing that could speak against independence.
        p_value = float(chdtrc(freedom, value)) if freedom else 1.0
        if self.statistic == "mutual-information":
            value /= 2 * self._total
        return IndependenceResult(value, freedom, p_value)

    def p_value(self, x: int, y: int, given: int = 0) -> float:
        """Probability, if x and y are independent given a set, of so large a statistic."""
        return self.test(x, y, given).p_value

    def independent(self, x: int, y: int, given: int = 0) -> bool:
        """Whether x and y pass for independent given a set: p > alpha, or below the threshold."""
        result = self.test(x, y, given)
        if self.threshold is not None:
            return result.statistic < self.threshold
        return result.p_value > self.alpha

    def _check(self, x: int, y: int, given: int) -> None:
        """Raise a ValueError unless x, y and the set are apart and variables."""
        n_variables = len(self._cards)
        if not (0 <= x < n_variables and 0 <= y < n_variables and 0 <= given < 1 << n_variables):
            raise ValueError(
                f"x and y must be in 0..{n_variables - 1} and given a mask of these, found "
                f"x = {x}, y = {y}, given = {given:#b}"
            )
        if x == y or given & (1 << x | 1 << y):
            raise ValueError(
                f"x, y and given must be disjoint, found x = {x}, y = {y}, given = {bits(given)}"
            )

    def _g2(self, x: int, y: int, given: int) -> float:
        """Likelihood ratio; rounding may leave a difference of equal sums below zero."""
        sums, with_x, with_y = self._sums.value, given | 1 << x, given | 1 << y
        value = sums(with_x | with_y) - sums(with_x) - sums(with_y) + sums(given)
        return max(2 * value, 0.0)

    def _chi2(self, x: int, y: int, given: int) -> float:
        """Pearson's statistic, all strata at once."""
        strata, n_strata = self._strata_of(given)
        shape = (n_strata, self._cards[x], self._cards[y])
        keys = (strata * shape[1] + self._columns[x]) * shape[2] + self._columns[y]
        counts = np.bincount(keys, self._weights, minlength=math.prod(shape)).reshape(shape)
        per_x, per_y = counts.sum(2, keepdims=True), counts.sum(1, keepdims=True)
        expected = per_x * per_y / per_x.sum(1, keepdims=True)
        possible = expected > 0
        return float(((counts - expected)[possible] ** 2 / expected[possible]).sum())

    def _degrees(self, x: int, y: int, given: int) -> int:
        """Degrees of freedom."""
        if self.freedom == "adjusted":
            return int(self._free_states(x, given) @ self._free_states(y, given))
        n_strata = self._n_strata.get(given)
        if n_strata is None:
            n_strata = self._n_strata[given] = self._strata_of(given)[1]
        return (self._cards[x] - 1) * (self._cards[y] - 1) * n_strata

    def _free_states(self, v: int, given: int) -> np.ndarray:
        """Per stratum the number of states of a variable that occur in it, less one."""
        found = self._present.get((v, given))
        if found is None:
            strata, n_strata = self._strata_of(given)
            card = self._cards[v]
            counts = np.bincount(strata * card + self._columns[v], minlength=n_strata * card)
            found = (counts.reshape(n_strata, card) > 0).sum(1) - 1
            if len(self._present) >= self._most_strata:
                del self._present[next(iter(self._present))]
            self._present[v, given] = found
        return found

    def _strata_of(self, given: int) -> tuple[np.ndarray, int]:
        """Every row's stratum, numbered without gaps, and the number of strata that occur."""
        found = self._strata.get(given)
        if found is None:
            v = (given & -given).bit_length() - 1
            base, n_base = self._strata_of(given ^ 1 << v)
            keys = base * self._cards[v] + self._columns[v]
            occurs = np.bincount(keys, minlength=n_base * self._cards[v]) > 0
            place = np.cumsum(occurs)
            found = (place - 1)[keys], int(place[-1])
            if len(self._strata) >= self._most_strata:
                # The empty set came first and ends every recursion: it stays.
                del self._strata[next(key for key in self._strata if key)]
            self._strata[given] = found
        return found


class DSeparation:
    """The test that is never wrong: d-separation in a known graph.

    .. math:: p(x, y \\mid z) = 1 \\text{ if z d-separates x and y, else } 0

    Arguments:
        graph: the true graph.

    Attributes:
        n_tests: tests done so far.

    Reference:
        Pearl 1988, section 3.3.1, theorem 9.

    Example:
        >>> oracle = DSeparation(Digraph(["a", "b", "c"], {"c": ["a", "b"]}))
        >>> oracle.independent(0, 1, 0), oracle.independent(0, 1, 0b100)
        (True, False)
    """

    def __init__(self, graph: Digraph) -> None:
        self._graph = graph
        self.n_tests = 0

    @property
    def n_variables(self) -> int:
        """Number of variables."""
        return len(self._graph.names)

    def p_value(self, x: int, y: int, given: int = 0) -> float:
        """1 where the set d-separates x and y, else 0."""
        return float(self.independent(x, y, given))

    def independent(self, x: int, y: int, given: int = 0) -> bool:
        """Whether a set d-separates x and y."""
        self.n_tests += 1
        names = self._graph.names
        fixed = {names[v] for v in bits(given)}
        return self._graph.is_d_separated({names[x]}, {names[y]}, fixed)
