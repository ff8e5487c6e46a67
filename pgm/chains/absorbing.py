"""Markov chains that end: where they are absorbed, and after how many steps.

.. math:: N = (I - Q)^{-1}, \\qquad B = N R, \\qquad t = N \\mathbf{1}

Q holds the transitions among transient states, R those from them into closed classes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from inference.inputs import Values
from pgm.chains.recurrence import as_transitions, closed_classes

__all__ = ["Absorption", "absorption", "hitting_times"]


@dataclass(frozen=True)
class Absorption:
    """How a chain leaves its transient states.

    Attributes:
        transient: numbers of the transient states, (T,).
        classes: for every closed class the numbers of its states; an absorbing state is a class
            of its own.
        visits: N, the fundamental matrix: expected number of visits to transient states (columns)
            from transient states (rows), the start included, (T, T).
        probabilities: B, of ending in each class, (T, C); rows sum to one.
        steps: t, expected number of steps before a closed class is entered, (T,).
    """

    transient: Tensor
    classes: tuple[Tensor, ...]
    visits: Tensor
    probabilities: Tensor
    steps: Tensor


def absorption(transitions: Values) -> Absorption:
    """Where and when a chain enters its closed classes.

    .. math:: N = (I - Q)^{-1}, \\qquad B = N R, \\qquad t = N \\mathbf{1}

    Computed by elimination without subtractions, so that every entry has nearly full relative
    precision, also where absorption takes very long. The work grows with the third power of the
    number of transient states.

    Arguments:
        transitions: probabilities from (rows) to (columns).

    Shapes:
        transitions: (K, K). For the result see :class:`Absorption`.

    Raises:
        TypeError: if ``transitions`` holds no numbers.
        ValueError: if it is no square matrix, or a row is no distribution within 1e-6.

    Reference:
        Kemeny & Snell 1976, theorems 3.2.4 (N), 3.3.5 (t) and 3.3.7 (B).

    Example:
        A fair game between a player with 1 and one with 2 coins, until one has them all:

        >>> game = absorption([[1, 0, 0, 0], [0.5, 0, 0.5, 0], [0, 0.5, 0, 0.5], [0, 0, 0, 1]])
        >>> game.probabilities
        tensor([[0.6667, 0.3333],
                [0.3333, 0.6667]], dtype=torch.float64)
        >>> game.steps
        tensor([2., 2.], dtype=torch.float64)
    """
    matrix = as_transitions(transitions)
    classes = [states.to(matrix.device) for states in closed_classes(matrix)]
    staying = torch.zeros(len(matrix), dtype=torch.bool, device=matrix.device)
    staying[torch.cat(classes)] = True
    transient = (~staying).nonzero().squeeze(1)
    rows = matrix[transient]
    leaving = torch.stack([rows[:, states].sum(1) for states in classes], dim=1)
    visits, ends = _eliminate(rows[:, transient].cpu().numpy(), leaving.cpu().numpy())
    return Absorption(
        transient,
        tuple(classes),
        torch.from_numpy(visits).to(matrix.device),
        torch.from_numpy(ends).to(matrix.device),
        torch.from_numpy(visits.sum(1)).to(matrix.device),
    )


def hitting_times(transitions: Values, targets: Values) -> Tensor:
    """Expected number of steps until one of some states is reached.

    .. math:: h_i = 0 \\;(i \\in A), \\qquad h_i = 1 + \\sum_j p_{ij} h_j \\;(i \\notin A)

    Infinite where the chain may miss them for ever.

    Arguments:
        transitions: probabilities from (rows) to (columns).
        targets: numbers of the states in A.

    Shapes:
        transitions: (K, K). targets: () or (A,). result: (K,).

    Raises:
        TypeError: if an argument holds no numbers, or ``targets`` no whole ones.
        ValueError: if ``transitions`` is no square matrix of distributions, or ``targets`` is
            empty or outside 0..K-1.

    Reference:
        Norris 1997, "Markov chains", theorem 1.3.5.

    Example:
        >>> hitting_times([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5], [0.0, 0.0, 1.0]], 2)
        tensor([4., 2., 0.], dtype=torch.float64)
    """
    matrix = as_transitions(transitions)
    wanted = torch.as_tensor(targets).reshape(-1).to(matrix.device)
    if not len(wanted):
        raise ValueError("targets must hold at least one state, found none")
    if wanted.is_floating_point() or wanted.is_complex() or wanted.dtype is torch.bool:
        raise TypeError(f"targets must be numbers of states, found dtype {wanted.dtype}")
    if not 0 <= int(wanted.min()) <= int(wanted.max()) < len(matrix):
        raise ValueError(
            f"targets must be states in 0..{len(matrix) - 1}, found {wanted.tolist()[:5]}"
        )
    inside = torch.zeros(len(matrix), dtype=torch.bool, device=matrix.device)
    inside[wanted] = True
    stopped = matrix.clone()
    stopped[inside] = torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device)[inside]
    ends = absorption(stopped)
    result = torch.full_like(matrix[0], math.inf)
    result[inside] = 0.0
    elsewhere = [number for number, states in enumerate(ends.classes) if not inside[states[0]]]
    # The elimination keeps impossible events at zero exactly.
    sure = (ends.probabilities[:, elsewhere] == 0).all(1)
    result[ends.transient[sure]] = ends.steps[sure]
    return result


def _eliminate(within: np.ndarray, leaving: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Visits N and ends B of transient states with transitions Q and R.

    Column by column, the chain is watched only while it is not in a transient state. The sum of
    what leaves a state stands for 1 - q, so that nothing is ever subtracted: all entries keep
    their relative precision, and zeros stay zero.
    """
    n = len(within)
    going = np.concatenate([within, leaving], axis=1)
    visits = np.eye(n)
    for k in range(n):
        stays_out = going[k, k + 1 :].sum()
        going[k, k + 1 :] /= stays_out
        visits[k] /= stays_out
        into = going[:, k].copy()
        into[k] = 0.0
        going[:, k + 1 :] += np.multiply.outer(into, going[k, k + 1 :])
        visits += np.multiply.outer(into, visits[k])
    return visits, going[:, n:]
