"""The path of laws of whatever annealing is given.

.. math:: \\text{model} \\to (p_\\beta)_{0 \\le \\beta}
"""

from __future__ import annotations

from typing import Any, TypeAlias

from inference.exact.graph import FactorGraph
from inference.sampling.density import DiscreteDensity
from inference.sampling.gibbs import ColoredGibbs
from inference.sampling.kernel import Annealable, SearchLaw, TemperedLaw

__all__ = ["Tempered", "as_search_law", "as_tempered_law"]

Tempered: TypeAlias = Annealable | TemperedLaw[Any] | DiscreteDensity | FactorGraph


def as_tempered_law(model: Tempered) -> TemperedLaw[Any]:
    """The path of laws of a model, a density or a factor graph; a path is itself.

    Raises:
        TypeError: if ``model`` is none of them.

    Example:
        >>> round(as_tempered_law(FactorGraph({"a": 2}, [])).log_base, 4)
        0.6931
    """
    if isinstance(model, TemperedLaw):
        return model
    if isinstance(model, Annealable):
        return model.tempered_law()
    if isinstance(model, FactorGraph):
        return ColoredGibbs(DiscreteDensity.from_graph(model))
    if isinstance(model, DiscreteDensity):
        return ColoredGibbs(model)
    raise TypeError(
        "model must be an energy model, a path of laws, a FactorGraph or a DiscreteDensity, "
        f"found {type(model).__name__}"
    )


def as_search_law(model: Tempered) -> SearchLaw[Any]:
    """The path of laws along which heavy states of a model are searched for.

    Raises:
        TypeError: if the model has no discrete states.
    """
    law = model.search_law() if isinstance(model, Annealable) else as_tempered_law(model)
    if isinstance(law, SearchLaw):
        return law
    raise TypeError(f"{type(model).__name__} has no discrete states to search among")
