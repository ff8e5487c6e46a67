"""Components that describe next to nothing: found, reported, and set elsewhere.

.. math:: N_k < d + 1, \\qquad \\lambda_{\\min}(B^{-1} C_k B^{-\\top}) < 5
"""

from __future__ import annotations

from typing import Any

from inference.arrays import namespace
from pgm.mixtures.components import try_cholesky
from pgm.mixtures.floors import Guard, held
from pgm.mixtures.moments import Components

__all__ = ["dead", "find_collapsed", "revive"]

#: A variance, in scaled units, that only many rows can tell from a collapse.
NARROW = 1e-3
#: Rows per free direction below which a narrow component is not believed.
FEW = 5


def find_collapsed(components: Components, counts: Any, whole: Any, guard: Guard) -> Any:
    """Which components have collapsed, (R, K).

    One has if it holds fewer rows than it has directions and one more, if it is at the floor in
    more directions than the data are, or if it is very thin in more directions than the data and
    its rows are few. (The least variance alone would flag true components that are thin.)

    Arguments:
        components: in scaled coordinates.
        counts: rows of every component, (R, K).
        whole: covariance of all rows, (d, d).
        guard: its matrix is the floor.
    """
    kind, d = guard.covariance_type, components.means.shape[-1]
    # Only a matrix of its own needs as many rows as there are columns.
    directions = d if kind == "full" else 1
    own, floor = held(whole, kind), guard.own()
    thin = _directions_below(components.covariances, NARROW, own) > 0
    found = (counts < directions + 1) | (thin & (counts < FEW * (directions + 1)))
    pair = _in_units_of(floor, components.covariances, own)
    if pair is None:
        return found
    return found | (_directions_below(pair[0], guard.near, pair[1]) > 0)


def _in_units_of(floor: Any, *covariances: Any) -> list[Any] | None:
    """Covariances relative to a floor; None where there is none."""
    if floor.ndim == 1:
        return [x / floor for x in covariances] if bool((floor > 0).all()) else None
    root = try_cholesky(floor)
    if root is None:
        return None
    inverse = namespace(floor).linalg.inv(root)
    return [inverse @ x @ inverse.T for x in covariances]


def _directions_below(covariances: Any, limit: float, whole: Any) -> Any:
    """In how many directions variances are below a limit, beyond those of all data."""
    xp = namespace(covariances)
    if whole.ndim == 2:
        covariances, whole = xp.linalg.eigvalsh(covariances), xp.linalg.eigvalsh(whole)
    return (covariances < limit).sum(-1) - (whole < limit).sum(-1)


def dead(counts: Any, unit: float) -> Any:
    """Components that hold less than one row, (R, K); ``unit`` is the mean weight of a row."""
    return counts < unit


def revive(
    components: Components, ordinary: Any, lost: Any, places: Any, share: float
) -> Components:
    """Put lost components (R, K) on rows that the others describe badly.

    Arguments:
        components: from the M step.
        ordinary: covariance for them, (R, 1, ...).
        lost: (R, K).
        places: rows for them, (R, K, d).
        share: weight.
    """
    xp = namespace(lost)
    weights = xp.where(lost, xp.full_like(components.weights, share), components.weights)
    weights = weights / weights.sum(-1)[:, None]
    means = xp.where(lost[..., None], places, components.means)
    covariances = components.covariances
    if covariances.shape[1] == lost.shape[1]:
        shape = (*lost.shape, *(1,) * (covariances.ndim - 2))
        covariances = xp.where(lost.reshape(shape), ordinary + 0 * covariances, covariances)
    return Components(weights, means, covariances)
