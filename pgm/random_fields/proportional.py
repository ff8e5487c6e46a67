"""Iterative proportional fitting: one factor after the other is given the margin of the data.

.. math:: \\phi_f(x_{S_f}) \\leftarrow \\phi_f(x_{S_f})\\, \\hat p(x_{S_f}) / p(x_{S_f})
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from inference.exact.engine import ExactEngine
from inference.exact.evidence import Evidence
from inference.exact.scaled_tables import scaled
from inference.exact.structure import Structure
from inference.progress import progress_bar
from inference.sampling.factor_arrays import FactorArrays
from pgm.discrete_data import DiscreteData
from pgm.random_fields.likelihood import mean_counts

__all__ = ["perfect_order", "proportional_fit"]


def proportional_fit(
    arrays: FactorArrays,
    names: tuple[str, ...],
    rows: DiscreteData,
    logs: Tensor,
    *,
    tolerance: float,
    max_iterations: int,
    memory_limit: int | None,
    progress: bool | None,
) -> tuple[Tensor, list[dict[str, Any]]]:
    """Scale log tables until all factors' margins are those of the rows.

    Every sweep raises the likelihood. For a decomposable set of scopes one sweep is enough, as
    factors are visited along a perfect order where there is one. Zeros stay zeros.

    Arguments:
        arrays: scopes; every factor has a table of its own.
        names: of the variables.
        rows: complete data.
        logs: (size,) where to start.
        tolerance: largest difference of margins that ends it.
        max_iterations: most sweeps.
        memory_limit: bytes that the engine's tables may take.
        progress: a bar.

    Returns:
        Log tables, and per sweep the largest difference before it.

    Raises:
        ValueError: the data need cells that hard zeros exclude.

    Reference:
        Deming & Stephan 1940; Koller & Friedman 2009, section 20.3.4; Tarjan & Yannakakis 1984
        (the perfect order).
    """
    structure = arrays.structure
    engine = ExactEngine(structure, names, memory_limit)
    cells, offsets = torch.from_numpy(arrays.cells), structure.offsets
    observed = mean_counts(arrays, rows)[cells].numpy()
    free = np.zeros(offsets[-1] - len(cells))
    full = np.concatenate([logs.double()[cells].numpy(), free])
    order = perfect_order(structure, arrays.n_factors)
    history: list[dict[str, Any]] = []
    with progress_bar(max_iterations, "proportional fitting", progress) as bar:
        for sweep in range(max_iterations):
            _load(engine, structure, full)
            margins = engine.factor_marginals(Evidence())[: len(observed)]
            difference = float(np.abs(margins - observed).max(initial=0.0))
            value = float(observed[observed > 0] @ full[: len(observed)][observed > 0])
            value -= engine.log_evidence(Evidence())
            history.append(
                {"iteration": sweep, "objective": value, "largest_difference": difference}
            )
            if difference <= tolerance:
                break
            for factor in order:
                _load(engine, structure, full)
                part = slice(offsets[factor], offsets[factor + 1])
                margin = engine.factor_marginals(Evidence(), [factor])[part]
                seen = observed[part] > 0
                full[part][seen] += np.log(observed[part][seen]) - np.log(margin[seen])
                full[part][~seen] = -np.inf
            bar.update(1)
            bar.set_postfix_str(f"difference {difference:.3g}")
    found = logs.double().clone()
    found[cells] = torch.from_numpy(full[: len(cells)])
    return found, history


def perfect_order(structure: Structure, n_factors: int) -> list[int]:
    """Factors so that each shares as many variables as possible with those before it.

    Where the scopes are the cliques of a chordal graph, what a factor shares with all those
    before it then lies within one of them.

    Example:
        >>> perfect_order(Structure((2,) * 4, ((0, 1), (2, 3), (1, 2)), (-1,) * 3), 3)
        [0, 2, 1]
    """
    waiting = dict.fromkeys(range(n_factors))
    seen: set[int] = set()
    order = []
    while waiting:
        best = max(waiting, key=lambda f: (len(seen.intersection(structure.scopes[f])), -f))
        order.append(best)
        del waiting[best]
        seen.update(structure.scopes[best])
    return order


def _load(engine: ExactEngine, structure: Structure, logs: np.ndarray) -> None:
    values, log_scale, shifted = scaled(structure, logs)
    engine.load(values, log_scale, shifted)
