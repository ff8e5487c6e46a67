"""Filling the missing cells of rows from a Bayesian network.

.. math:: x_m \\sim p(x_m \\mid x_s)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from inference.exact.evidence import is_pandas
from inference.exact.incomplete_rows import IncompleteRows
from inference.random import GeneratorLike, numpy_generator
from pgm.discrete_data import DiscreteData

if TYPE_CHECKING:
    from pgm.bayesian_network import BayesianNetwork

__all__ = ["imputed", "predicted"]


def imputed(
    network: BayesianNetwork,
    x: Any,
    method: Literal["most-probable", "sample"],
    generator: GeneratorLike,
) -> Any:
    """Rows with their gaps filled; the arguments are those of ``BayesianNetwork.impute``.

    Raises:
        ValueError: an unknown method, or a row of probability zero.

    Example:
        >>> from pgm.classic import asia
        >>> imputed(asia(), [[-1, -1, 0, 0, -1, -1, -1, -1]], "most-probable", None)
        tensor([[1, 1, 0, 0, 0, 0, 0, 0]])
    """
    if method not in ("most-probable", "sample"):
        raise ValueError(f"method must be 'most-probable' or 'sample', found {method!r}")
    rows = DiscreteData(x, network.vocabulary, argument="x")
    draws = numpy_generator(generator) if method == "sample" else None
    values = network.values.detach().cpu().double().numpy()
    codes = IncompleteRows(network.row_cliques, rows.columns, n_rows=rows.n_rows).complete(
        values, draws
    )
    if not is_pandas(x):
        return torch.from_numpy(codes).to(network.device)
    filled = x.copy()
    for v, name in enumerate(network.variables):
        if rows.gaps[v]:
            gaps = rows.columns[v] < 0
            labels = network.vocabulary.labels[name]
            filled[name] = _filled(x[name], gaps, codes[gaps, v], labels)
    return filled


def predicted(
    network: BayesianNetwork, x: Any, variables: Sequence[str] | None
) -> dict[str, torch.Tensor]:
    """Distributions of all cells given those seen; ``BayesianNetwork.posterior_predictive``."""
    rows = DiscreteData(x, network.vocabulary, argument="x")
    numbers = network.vocabulary.numbers(variables)
    values = network.values.detach().cpu().double().numpy()
    tables = IncompleteRows(network.row_cliques, rows.columns, n_rows=rows.n_rows).marginals(
        values, numbers
    )
    names = [network.variables[v] for v in numbers]
    found = [torch.from_numpy(table).to(network.device) for table in tables]
    return dict(zip(names, found, strict=True))


def _filled(
    column: Any, gaps: np.ndarray, codes: np.ndarray, labels: tuple[str, ...] | None
) -> Any:
    """A pandas column with states in its gaps, spelled as its other states are."""
    kind, spellings = column.dtype.kind, set(map(type, column[~gaps]))
    labelled = any(issubclass(s, str) for s in spellings) if spellings else kind not in "iufb"
    boolean = kind == "b" or not spellings.isdisjoint((bool, np.bool_))
    states: Any = codes.tolist()
    result = column.copy()
    if labels is not None and labelled:
        states = [labels[code] for code in states]
    elif boolean and codes.max() <= 1:
        states = [bool(code) for code in states]
    elif kind == "b":
        result = result.astype(object)
    if column.dtype.name == "category":
        known = set(column.cat.categories)
        result = result.cat.add_categories([s for s in dict.fromkeys(states) if s not in known])
    elif kind in "iu" and isinstance(column.dtype, np.dtype):
        # pandas puts no int64 into narrower columns.
        largest = np.min_scalar_type(-int(codes.max()) - 1)
        result = result.astype(np.promote_types(column.dtype, largest))
        states = np.array(states, dtype=result.dtype)
    result[gaps] = states
    return result
