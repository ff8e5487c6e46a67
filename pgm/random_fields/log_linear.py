"""Log-linear models: weighted features of a few variables each.

.. math:: \\log p(x) = \\sum_k \\theta_k f_k(x_{S_k}) + \\log q(x) - \\log Z(\\theta)

Fitted by maximum likelihood they are the laws of maximum entropy, relative to q, among those under
which every feature has the mean that it has in the data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import product
from math import prod
from typing import Any, TypeAlias

import numpy as np
import torch

from inference.exact.evidence import Variables
from inference.exact.factor import Factor
from inference.sampling.factor_arrays import FactorArrays
from pgm.random_fields.factor_tables import Design, FactorTables, tables_of_factors

__all__ = ["Feature", "log_linear_tables"]

#: Variables, and a table over their states or a function of their states.
Feature: TypeAlias = tuple[Sequence[str], Any]


def log_linear_tables(
    vocabulary: Variables,
    features: Iterable[Feature],
    weights: Any,
    factors: Iterable[Factor],
) -> FactorTables:
    """Tables of ``MarkovRandomField.log_linear``: one per set of variables that features share.

    Arguments:
        vocabulary: names and states.
        features: scopes with tables or functions.
        weights: of the features; zeros for None.
        factors: of the fixed law q.
    """
    scopes: dict[tuple[int, ...], int] = {}
    entries, columns, values = [], [], []
    found = []
    for number, feature in enumerate(features):
        scope, table = _feature(vocabulary, feature, number)
        scopes.setdefault(scope, len(scopes))
        found.append((scope, table))
    fixed = tables_of_factors(vocabulary, factors)
    arrays, starts = _joined(vocabulary.cards, list(scopes), fixed.arrays)
    for number, (scope, table) in enumerate(found):
        places = np.flatnonzero(table)
        entries.append(starts[scopes[scope]] + places)
        columns.append(np.full(len(places), number))
        values.append(table[places])
    base = np.zeros(arrays.size)
    base[arrays.size - fixed.arrays.size :] = np.asarray(fixed.weights)
    design = Design(_flat(entries, np.int64), _flat(columns, np.int64), _flat(values), base)
    theta = np.zeros(len(found)) if weights is None else np.array(weights, dtype=np.float64)
    if theta.shape != (len(found),) or not np.isfinite(theta).all():
        raise ValueError(
            f"weights must be {len(found)} finite numbers, one per feature, found {theta!r}"
        )
    return FactorTables(arrays, theta, design)


def _feature(
    vocabulary: Variables, feature: Feature, number: int
) -> tuple[tuple[int, ...], np.ndarray]:
    """Variables in ascending order, and the values of a feature over their states, flat."""
    if not isinstance(feature, tuple) or len(feature) != 2:
        raise TypeError(
            f"features[{number}] must be a pair (scope, function or table), found {feature!r}"
        )
    names, given = feature
    argument = f"features[{number}]"
    scope = list(vocabulary.numbers(names, argument))
    shape = tuple([vocabulary.cards[v] for v in scope])
    if callable(given):
        table = _tabulated(vocabulary, scope, given)
    else:
        given = given.detach().cpu().numpy() if isinstance(given, torch.Tensor) else given
        table = np.array(given, dtype=np.float64)
    if table.shape != shape:
        raise ValueError(
            f"{argument} over {tuple(vocabulary.names[v] for v in scope)} must have shape "
            f"{shape}, found {table.shape}"
        )
    if not np.isfinite(table).all():
        raise ValueError(
            f"{argument} must be finite, found NaN or infinity; state hard zeros as factors"
        )
    order = np.argsort(scope)
    return tuple(np.array(scope)[order].tolist()), table.transpose(order).reshape(-1)


def _tabulated(
    vocabulary: Variables, scope: Sequence[int], function: Callable[..., Any]
) -> np.ndarray:
    """Values of a function of state labels (codes where there are none)."""
    cards = [vocabulary.cards[v] for v in scope]
    labels = [[vocabulary.label(v, code) for code in range(vocabulary.cards[v])] for v in scope]
    return np.array([float(function(*states)) for states in product(*labels)]).reshape(cards)


def _joined(
    cards: tuple[int, ...], scopes: Sequence[tuple[int, ...]], fixed: FactorArrays
) -> tuple[FactorArrays, list[int]]:
    """Arrays of tables over the scopes, then the fixed ones; and where the former start."""
    every = [*scopes, *fixed.structure.scopes[: fixed.n_factors]]
    sizes = [prod([cards[v] for v in scope]) for scope in scopes]
    starts = [0, *np.cumsum(sizes).tolist()]
    return FactorArrays.from_scopes(cards, every), starts


def _flat(parts: list[np.ndarray], dtype: Any = np.float64) -> np.ndarray:
    return np.concatenate([np.zeros(0, dtype), *parts])
