"""What a Markov chain does in the long run: its classes of states, periods, stationary law.

.. math:: \\pi P = \\pi, \\qquad \\sum_i \\pi_i = 1
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from inference.information import entropy
from inference.inputs import Values, as_tensors, check_distribution, check_finite
from inference.memory import require_memory

__all__ = [
    "as_row",
    "as_transitions",
    "closed_classes",
    "context_transitions",
    "entropy_rate",
    "period",
    "stationary_distribution",
]


#: Rows that miss the sum one by less are taken as normalised.
ROUNDING = 1e-14


def as_transitions(values: Values, name: str = "transitions") -> Tensor:
    """Check a transition matrix and make its rows sum to one in double precision.

    Arguments:
        values: probabilities from (rows) to (columns).
        name: of the argument, for messages.

    Shapes:
        values: (K, K). result: (K, K) float64.

    Raises:
        TypeError: if they are no numbers.
        ValueError: if they form no square matrix, or a row is no distribution within 1e-6.

    Example:
        >>> as_transitions([[0.5, 0.5], [0, 1]])
        tensor([[0.5000, 0.5000],
                [0.0000, 1.0000]], dtype=torch.float64)
    """
    matrix = _as_numbers(name, values)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not len(matrix):
        raise ValueError(f"{name} must be a square matrix, found shape {tuple(matrix.shape)}")
    return _as_distribution(name, matrix)


def as_row(name: str, values: Values, n: int) -> Tensor:
    """Check one distribution over n states and make it sum to one in double precision.

    Arguments:
        name: of the argument, for messages.
        values: probabilities.
        n: number of states.

    Shapes:
        values: (n,). result: (n,) float64.

    Raises:
        TypeError: if they are no numbers.
        ValueError: if there are not n, or they do not sum to one within 1e-6.

    Example:
        >>> as_row("initial", [0.25, 0.75], 2)
        tensor([0.2500, 0.7500], dtype=torch.float64)
    """
    row = _as_numbers(name, values)
    if row.shape != (n,):
        raise ValueError(f"{name} must have shape ({n},), found {tuple(row.shape)}")
    return _as_distribution(name, row)


def context_transitions(table: Tensor) -> Tensor:
    """The chain of order 1 over contexts that a chain of order k is.

    .. math:: P_{(x_1, \\dots, x_k), (x_2, \\dots, x_k, x)} = p(x \\mid x_1, \\dots, x_k)

    Arguments:
        table: probabilities of every symbol after every context, oldest symbol first.

    Shapes:
        table: (K,) * k + (K,), with k at least 1. result: (K^k, K^k).

    Raises:
        ValueError: if the result does not fit the memory.

    Example:
        >>> context_transitions(torch.tensor([[[0.5, 0.5], [1, 0]], [[0, 1], [1, 0]]]))[1]
        tensor([0., 0., 1., 0.])
    """
    rows = table.flatten(0, -2)
    n, n_symbols = rows.shape
    # The classes and the elimination work on copies.
    what = f"a matrix of transitions between {n:,} contexts"
    require_memory(4 * 8 * n * n, what, "use a lower order", rows.device)
    result = rows.new_zeros((n, n))
    contexts = torch.arange(n, device=rows.device)[:, None]
    symbols = torch.arange(n_symbols, device=rows.device)
    result[contexts, contexts % (n // n_symbols) * n_symbols + symbols] = rows
    return result


def closed_classes(transitions: Values) -> list[Tensor]:
    """Sets of states that reach each other and that the chain never leaves.

    Every finite chain has at least one. States in none of them are transient.

    Arguments:
        transitions: probabilities from (rows) to (columns); positive entries are what counts.

    Shapes:
        transitions: (K, K). result: sorted state numbers, by the first of each class.

    Raises:
        TypeError, ValueError: as :func:`as_transitions`.

    Reference:
        Kemeny & Snell 1976, section 2.4 (ergodic sets).

    Example:
        >>> closed_classes([[0.5, 0.25, 0.25], [0, 1, 0], [0, 0, 1]])
        [tensor([1]), tensor([2])]
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    possible = as_transitions(transitions).cpu().numpy() > 0
    n_classes, member = connected_components(csr_array(possible), True, "strong")
    source, target = np.nonzero(possible)
    left = np.zeros(n_classes, dtype=bool)
    left[member[source[member[source] != member[target]]]] = True
    found = [np.flatnonzero(member == number) for number in np.flatnonzero(~left)]
    return [torch.from_numpy(states) for states in sorted(found, key=lambda states: states[0])]


def period(transitions: Values) -> int:
    """Greatest common divisor of the numbers of steps in which a state can return.

    Arguments:
        transitions: of a chain with one closed class, whose states all have this period.

    Shapes:
        transitions: (K, K).

    Raises:
        TypeError, ValueError: as :func:`as_transitions`, and if there are several closed classes.

    Reference:
        Denardo 1977, "Periods of connected networks and powers of nonnegative matrices".

    Example:
        >>> period([[0, 1, 0], [0, 0, 1], [1, 0, 0]]), period([[0.5, 0.5], [1, 0]])
        (3, 1)
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import breadth_first_order

    matrix = as_transitions(transitions)
    states = _only_class(matrix, range(len(matrix)))
    possible = matrix[states][:, states].cpu().numpy() > 0
    order, before = breadth_first_order(csr_array(possible), 0)
    depth = np.zeros(len(possible), dtype=np.int64)
    for state in order[1:]:
        depth[state] = depth[before[state]] + 1
    source, target = np.nonzero(possible)
    return int(np.gcd.reduce(depth[source] + 1 - depth[target]))


def stationary_distribution(transitions: Values, labels: Sequence[object] | None = None) -> Tensor:
    """The only distribution that a step of the chain does not change.

    .. math:: \\pi P = \\pi, \\qquad \\sum_i \\pi_i = 1

    Transient states have probability zero exactly. States are eliminated one by one without any
    subtraction, so that every entry has nearly full relative precision, also where parts of the
    chain are almost disconnected. Periodic chains are fine: nothing is iterated. The work grows
    with the third power of the number of states.

    Arguments:
        transitions: probabilities from (rows) to (columns).
        labels: names of the states for messages.

    Shapes:
        transitions: (K, K). result: (K,) float64.

    Raises:
        TypeError, ValueError: as :func:`as_transitions`, and if there are several closed classes,
            each of which has a stationary distribution of its own.

    Reference:
        Grassmann, Taksar & Heyman 1985, "Regenerative analysis and steady state distributions for
        Markov chains"; O'Cinneide 1993 (precision).

    Example:
        >>> stationary_distribution([[0.9, 0.1], [0.3, 0.7]])
        tensor([0.7500, 0.2500], dtype=torch.float64)
    """
    matrix = as_transitions(transitions)
    states = _only_class(matrix, range(len(matrix)) if labels is None else labels)
    result = torch.zeros_like(matrix[0])
    kept = _eliminate(matrix[states][:, states].cpu().numpy())
    result[states] = torch.from_numpy(kept).to(result.device)
    return result


def entropy_rate(transitions: Values) -> Tensor:
    """Entropy per step of the stationary chain, nats.

    .. math:: H = -\\sum_i \\pi_i \\sum_j p_{ij} \\log p_{ij}

    Arguments:
        transitions: probabilities from (rows) to (columns).

    Shapes:
        transitions: (K, K). result: ().

    Raises:
        TypeError, ValueError: as :func:`stationary_distribution`.

    Reference:
        Cover & Thomas 2006, theorem 4.2.4.

    Example:
        >>> entropy_rate([[0.5, 0.5], [0.5, 0.5]])
        tensor(0.6931, dtype=torch.float64)
    """
    matrix = as_transitions(transitions)
    return (stationary_distribution(matrix) * entropy(matrix)).sum()


def _as_numbers(name: str, values: Values) -> Tensor:
    (numbers,) = as_tensors(**{name: values})
    check_finite(**{name: numbers})
    return numbers.detach()


def _as_distribution(name: str, rows: Tensor) -> Tensor:
    """Rows that sum to one, exactly if they did so within rounding."""
    check_distribution(name, rows)
    rows = rows.double()
    totals = rows.sum(-1, keepdim=True)
    # What is normalised already stays as it is, bit for bit.
    return rows / torch.where((totals - 1).abs() <= ROUNDING, 1.0, totals)


def _only_class(transitions: Tensor, labels: Sequence[object]) -> Tensor:
    """States of the closed class, if there is only one."""
    classes = closed_classes(transitions)
    if len(classes) > 1:
        names = [
            "{" + ", ".join([repr(labels[s]) for s in states[:5].tolist()])
            + (", ..." if len(states) > 5 else "") + "}"
            for states in classes[:4]
        ]  # fmt: skip
        more = ", ..." if len(classes) > 4 else ""
        raise ValueError(
            f"the chain has {len(classes)} closed classes, {' and '.join(names)}{more}, and a "
            "stationary distribution on each; make the others unreachable, or ask for absorption"
        )
    return classes[0].to(transitions.device)


def _eliminate(matrix: np.ndarray) -> np.ndarray:
    """Stationary distribution of an irreducible chain; the diagonal is not read."""
    a = matrix.copy()
    n = len(a)
    for k in range(n - 1, 0, -1):
        # The chain watched only while it is in the states before k.
        a[:k, k] /= a[k, :k].sum()
        a[:k, :k] += np.multiply.outer(a[:k, k], a[k, :k])
    result = np.ones(n)
    for k in range(1, n):
        result[k] = result[:k] @ a[:k, k]
    return result / result.sum()
