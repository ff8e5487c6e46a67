"""Filling the missing cells of rows from a Bayesian network.

.. math:: x_m \\sim p(x_m \\mid x_s)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

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
    codes = IncompleteRows(network.row_cliques, rows.columns).complete(values, draws)
    if not is_pandas(x):
        return torch.from_numpy(codes).to(network.device)
    filled = x.copy()
    for v, name in enumerate(network.variables):
        if rows.gaps[v]:
            label = network.vocabulary.label
            states = [label(v, code) for code in range(rows.cards[v])]
            filled[name] = _column(x[name], [states[code] for code in codes[:, v]])
    return filled


def predicted(
    network: BayesianNetwork, x: Any, variables: Sequence[str] | None
) -> dict[str, torch.Tensor]:
    """Distributions of all cells given those seen; ``BayesianNetwork.posterior_predictive``."""
    rows = DiscreteData(x, network.vocabulary, argument="x")
    numbers = network.vocabulary.numbers(variables)
    values = network.values.detach().cpu().double().numpy()
    tables = IncompleteRows(network.row_cliques, rows.columns).marginals(values, numbers)
    names = [network.variables[v] for v in numbers]
    found = [torch.from_numpy(table).to(network.device) for table in tables]
    return dict(zip(names, found, strict=True))


def _column(old: Any, states: list[Any]) -> Any:
    """A pandas column of states, categorical with the same categories if it was so."""
    from pandas import Categorical, Series

    if old.dtype.name == "category":
        return Categorical(states, dtype=old.dtype)
    return Series(states, index=old.index)
