"""Best trees: Chow-Liu, and naive Bayes augmented by one.

.. math:: \\max_T \\log p(D \\mid T) = n \\sum_{(u, v) \\in T} \\hat I(u; v) + \\text{const}
"""

from __future__ import annotations

import numpy as np

from pgm.discrete_data import DiscreteData
from pgm.structure.scores import SetScore

__all__ = ["chow_liu", "pairwise_information", "tan"]

#: Cells of indicators multiplied at once: they should fit in the cache.
CHUNK_CELLS = 1 << 20

#: With more states than this, one pair after the other is faster (per variable) or smaller.
MOST_STATES_PER_VARIABLE = 6
MOST_STATES = 8192


def chow_liu(source: DiscreteData | SetScore, root: int | None = None) -> tuple[int, ...]:
    """The tree of the largest likelihood, or the forest of the largest score.

    .. math:: \\max_T \\sum_{(u, v) \\in T} w_{uv}, \\qquad
              w_{uv} = n \\hat I(u; v) \\text{ or } s(v \\mid u) - s(v)

    With data (or the score "log-likelihood") all variables are joined, also by edges that gain
    nothing. With a score that charges for parameters, edges of weight zero or less are left out.

    Arguments:
        source: complete rows, or a score of them.
        root: number of the variable at the top of its tree, by default 0; every further tree
            has its lowest number at the top.

    Returns:
        One parent mask per variable.

    Raises:
        TypeError: ``source`` is neither; ``root`` is no whole number.
        ValueError: missing cells, no rows, ``root`` is no variable.

    Reference:
        Chow & Liu 1968, "Approximating discrete probability distributions with dependence
        trees", section III; Heckerman, Geiger & Chickering 1995, section 6.1 (scores).

    Example:
        >>> rows = DiscreteData(np.array([[0, 0, 1], [1, 1, 1], [0, 0, 0], [1, 1, 0]]))
        >>> chow_liu(rows)
        (0, 1, 1)
        >>> chow_liu(SetScore(rows, "bic"), root=1)
        (2, 0, 0)
    """
    if isinstance(source, DiscreteData):
        weights, penalised = pairwise_information(source), False
    elif isinstance(source, SetScore):
        weights, penalised = _pairwise_gains(source), source.kind != "log-likelihood"
    else:
        raise TypeError(f"source must be DiscreteData or SetScore, found {type(source).__name__}")
    top = 0 if root is None else _checked_number("root", root, len(weights))
    return _spanning_forest(weights, top, penalised=penalised)


def tan(data: DiscreteData, target: int, root: int | None = None) -> tuple[int, ...]:
    """Tree-augmented naive Bayes: the class above all features, and the best tree among them.

    .. math:: \\max_T \\sum_{(u, v) \\in T} \\hat I(u; v \\mid c)

    Arguments:
        data: complete rows.
        target: number of the class variable c.
        root: number of the feature at the top of the tree, by default the lowest.

    Returns:
        One parent mask per variable.

    Raises:
        TypeError: ``target`` or ``root`` is no whole number.
        ValueError: missing cells, no rows, ``target`` or ``root`` is no variable or both are the
            same.

    Reference:
        Friedman, Geiger & Goldszmidt 1997, "Bayesian network classifiers", section 4.1,
        theorem 4.4.

    Example:
        >>> rows = [[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0], [1, 1, 0]]
        >>> tan(DiscreteData(np.array(rows)), target=0)
        (0, 1, 3)
    """
    n_variables = len(data.cards)
    target = _checked_number("target", target, n_variables)
    features = [v for v in range(n_variables) if v != target]
    if root is not None and _checked_number("root", root, n_variables) == target:
        raise ValueError(f"root must be a feature, found the target {target}")
    weights = pairwise_information(data, given=target)[np.ix_(features, features)]
    top = 0 if root is None else features.index(root)
    tree = _spanning_forest(weights, top, penalised=False)
    parents = [0] * n_variables
    for v, above in zip(features, tree, strict=True):
        parents[v] = 1 << target
        if above:
            parents[v] |= 1 << features[above.bit_length() - 1]
    return tuple(parents)


def pairwise_information(data: DiscreteData, given: int | None = None) -> np.ndarray:
    """Mutual information of every pair in the rows, times their number, in nats.

    .. math:: n \\hat I(u; v \\mid c) = \\sum_c [F(uvc) - F(uc) - F(vc) + F(c)], \\quad
              F(A) = \\sum_a N_a \\log N_a

    Variables of few states are counted all at once, by a product of indicator matrices for every
    block of rows.

    Arguments:
        data: complete rows.
        given: number of a variable c to condition on.

    Shapes:
        result: (V, V), symmetric; the diagonal is the entropy times the number of rows, and the
            row and column of ``given`` are zero.

    Raises:
        ValueError: missing cells, no rows.

    Reference:
        Cover & Thomas 2006, eqs. 2.35 and 2.60.

    Example:
        >>> rows = DiscreteData(np.array([[0, 0], [1, 1], [0, 0], [1, 1]]))
        >>> pairwise_information(rows).round(4).tolist()
        [[2.7726, 2.7726], [2.7726, 2.7726]]
    """
    data.require_rows("data")
    data.require_complete("data", "fill them (impute) or drop them before learning a structure")
    if given is None:
        return _information(data)
    of_state = [data.take(data.columns[given] == code) for code in range(data.cards[given])]
    return np.sum([_information(rows) for rows in of_state if rows.total > 0], axis=0)


def _information(data: DiscreteData) -> np.ndarray:
    """F(uv) - F(u) - F(v) + F() of all pairs of variables."""
    n_states, n_variables = sum(data.cards), len(data.cards)
    if n_states <= min(MOST_STATES, MOST_STATES_PER_VARIABLE * n_variables):
        starts = np.concatenate([[0], np.cumsum(data.cards)[:-1]]).astype(np.int64)
        sums = _n_log_n(_pair_counts(data))
        joint = np.add.reduceat(np.add.reduceat(sums, starts, axis=0), starts, axis=1)
    else:
        score, joint = SetScore(data, "log-likelihood"), np.zeros((n_variables, n_variables))
        for u in range(n_variables):
            for v in range(u + 1):
                joint[u, v] = joint[v, u] = score.value(1 << u | 1 << v)
    single = np.diagonal(joint)
    total = _n_log_n(np.array(data.total))
    # Rounding may leave a difference of equal sums below zero.
    return np.maximum(joint - single[:, None] - single + total, 0.0)


def _pair_counts(data: DiscreteData) -> np.ndarray:
    """Counts of all pairs of states of all variables, (sum of cards, sum of cards)."""
    n_states = sum(data.cards)
    # Whole numbers up to 2**24 are exact in float32; a block has far fewer rows.
    dtype = np.float32 if data.weights is None else np.float64
    counts = np.zeros((n_states, n_states))
    step = max(CHUNK_CELLS // n_states, 256)
    states = np.arange(max(data.cards))[:, None]
    for first in range(0, data.n_rows, step):
        rows = slice(first, first + step)
        indicators = np.concatenate(
            [
                column[None, rows] == states[:card].astype(column.dtype)
                for column, card in zip(data.columns, data.cards, strict=True)
            ]
        ).astype(dtype)
        right = indicators if data.weights is None else indicators * data.weights[rows]
        counts += indicators @ right.T
    return counts


def _n_log_n(counts: np.ndarray) -> np.ndarray:
    """N log N, 0 at 0."""
    from scipy.special import xlogy

    return xlogy(counts, counts)


def _pairwise_gains(score: SetScore) -> np.ndarray:
    """What every edge adds to the score of the empty graph."""
    n_variables = score.n_variables
    gains = np.zeros((n_variables, n_variables))
    for v in range(n_variables):
        alone = score.local(v, 0)
        for u in range(v):
            gains[u, v] = gains[v, u] = score.local(v, 1 << u) - alone
    return gains


def _spanning_forest(weights: np.ndarray, root: int, *, penalised: bool) -> tuple[int, ...]:
    """Prim's algorithm: the heaviest tree; with ``penalised`` only edges of positive weight."""
    n_variables = len(weights)
    parents = [0] * n_variables
    outside = np.ones(n_variables, dtype=bool)
    best, nearest = np.full(n_variables, -np.inf), np.zeros(n_variables, dtype=np.int64)
    worth = 0.0 if penalised else -np.inf
    newest = root
    for step in range(n_variables):
        if step:
            reach = np.where(outside, best, -np.inf)
            newest = int(reach.argmax())
            if reach[newest] > worth:
                parents[newest] = 1 << int(nearest[newest])
            else:
                newest = int(outside.argmax())
        outside[newest] = False
        closer = weights[newest] > best
        best[closer], nearest[closer] = weights[newest][closer], newest
    return tuple(parents)


def _checked_number(argument: str, value: int, n_variables: int) -> int:
    """The number of a variable, or an error."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{argument} must be the number of a variable, found {value!r}")
    if not 0 <= value < n_variables:
        raise ValueError(f"{argument} must be in 0..{n_variables - 1}, found {value}")
    return int(value)
