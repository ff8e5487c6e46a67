"""Parameters of several runs at once: arrays whose leading axis counts the runs.

.. math:: \\theta = \\bigl(\\theta^{(1)}, \\dots, \\theta^{(R)}\\bigr)

Parameters are an array or tensor, or a tuple (a NamedTuple, say) of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from torch import Tensor

from inference.arrays import index_like, namespace

__all__ = ["choose_runs", "join_runs", "put_runs", "select_runs", "to_host"]

Parameters = TypeVar("Parameters")


def select_runs(parameters: Parameters, runs: np.ndarray) -> Parameters:
    """Some of the runs, in a given order.

    Arguments:
        parameters: of R runs.
        runs: their numbers.

    Example:
        >>> select_runs((np.array([1.0, 2.0, 3.0]),), np.array([2, 0]))
        (array([3., 1.]),)
    """
    return _map(lambda x: x[index_like(runs, x)], parameters)


def join_runs(parts: Sequence[Parameters]) -> Parameters:
    """The runs of all parts, one after the other.

    Example:
        >>> join_runs([np.array([1.0]), np.array([2.0, 3.0])])
        array([1., 2., 3.])
    """
    return _map(lambda *x: namespace(x[0]).concatenate(x), *parts)


def choose_runs(chosen: np.ndarray, one: Parameters, other: Parameters) -> Parameters:
    """Runs of ``one`` where chosen (R,), of ``other`` elsewhere.

    Example:
        >>> choose_runs(np.array([True, False]), np.array([1, 2]), np.array([3, 4]))
        array([1, 4])
    """

    def choose(x: Any, y: Any) -> Any:
        mask = index_like(chosen.reshape(-1, *(1,) * (x.ndim - 1)), x)
        return namespace(x).where(mask, x, y)

    return _map(choose, one, other)


def put_runs(parameters: Parameters, runs: np.ndarray, others: Parameters) -> Parameters:
    """Parameters of which some runs, given by their numbers, are replaced.

    Example:
        >>> put_runs(np.array([1, 2, 3]), np.array([1]), np.array([7]))
        array([1, 7, 3])
    """
    n_runs = len(_first(parameters))
    places = np.arange(n_runs)
    places[runs] = n_runs + np.arange(len(runs))
    return select_runs(join_runs([parameters, others]), places)


def to_host(values: Any, dtype: Any = np.float64) -> np.ndarray:
    """One number per run as a numpy array, whatever it came in."""
    if isinstance(values, Tensor):
        values = values.detach().cpu().numpy()
    return np.asarray(values, dtype=dtype)


def _map(change: Callable[..., Any], *parameters: Any) -> Any:
    """Apply a function to every array."""
    first = parameters[0]
    if not isinstance(first, tuple):
        return change(*parameters)
    parts = [_map(change, *same) for same in zip(*parameters, strict=True)]
    return tuple(parts) if type(first) is tuple else type(first)(*parts)


def _first(parameters: Any) -> Any:
    """Any of the arrays."""
    return _first(parameters[0]) if isinstance(parameters, tuple) else parameters
