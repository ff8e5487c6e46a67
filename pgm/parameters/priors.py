"""Dirichlet priors of conditional probability tables, as pseudo-counts.

.. math:: \\theta_{vj} \\sim \\operatorname{Dirichlet}(\\alpha_{vj1}, \\dots, \\alpha_{vjr_v})
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch

from inference.exact.structure import Structure

__all__ = ["BDeu", "Prior", "pseudo_counts"]


@dataclass(frozen=True)
class BDeu:
    """The prior that gives equivalent structures equal scores: alpha spread over each table.

    .. math:: \\alpha_{vjk} = \\alpha / (q_v r_v)

    Arguments:
        equivalent_sample_size: alpha, the weight of the prior in rows of data.

    Raises:
        ValueError: if it is not positive.

    Reference:
        Buntine 1991; Heckerman, Geiger & Chickering 1995, eq. 28.

    Example:
        >>> BDeu(8.0).equivalent_sample_size
        8.0
    """

    equivalent_sample_size: float = 10.0

    def __post_init__(self) -> None:
        if not 0 < self.equivalent_sample_size < math.inf:
            raise ValueError(
                "equivalent_sample_size must be positive and finite, found "
                f"{self.equivalent_sample_size}"
            )


#: One pseudo-count for every cell, an array per variable, or a rule.
Prior: TypeAlias = float | Mapping[str, Any] | BDeu


def pseudo_counts(prior: Prior, structure: Structure, names: Sequence[str]) -> np.ndarray:
    """Pseudo-counts of all cells, one table after the other.

    Arguments:
        prior: a number for every cell; a mapping from names to arrays that broadcast to the
            variable's table (names left out get 0); or :class:`BDeu`.
        structure: one table per variable, in the order of ``names``.
        names: the variables.

    Raises:
        TypeError, ValueError: another kind of prior, unknown names, shapes that do not fit,
            negative or infinite pseudo-counts.
    """
    sizes = np.diff(structure.offsets)
    if isinstance(prior, BDeu):
        return np.repeat(prior.equivalent_sample_size / np.maximum(sizes, 1), sizes)
    if isinstance(prior, Mapping):
        return _from_mapping(prior, structure, names)
    if isinstance(prior, bool) or not isinstance(prior, (int, float, np.integer, np.floating)):
        raise TypeError(
            "prior must be a pseudo-count, a mapping from names to arrays of them or BDeu(...), "
            f"found {type(prior).__name__}"
        )
    if not 0 <= prior < math.inf:
        raise ValueError(f"prior must be finite and not negative, found {prior}")
    return np.full(structure.offsets[-1], float(prior))


def _from_mapping(
    prior: Mapping[str, Any], structure: Structure, names: Sequence[str]
) -> np.ndarray:
    """Pseudo-counts given per variable."""
    unknown = [name for name in prior if name not in names]
    if unknown:
        raise ValueError(f"prior: unknown variable {unknown[0]!r}")
    full = np.zeros(structure.offsets[-1])
    for v, name in enumerate(names):
        if name not in prior:
            continue
        given = prior[name]
        if isinstance(given, torch.Tensor):
            given = given.detach().cpu().numpy()
        shape = structure.shapes[v]
        try:
            array = np.asarray(given, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(f"prior[{name!r}] must hold numbers: {error}") from None
        try:
            table = np.broadcast_to(array, shape)
        except ValueError:
            raise ValueError(
                f"prior[{name!r}] must broadcast to {shape}, found shape {array.shape}"
            ) from None
        if not ((table >= 0) & (table < math.inf)).all():
            raise ValueError(f"prior[{name!r}] must be finite and not negative")
        full[structure.offsets[v] : structure.offsets[v + 1]] = table.reshape(-1)
    return full
