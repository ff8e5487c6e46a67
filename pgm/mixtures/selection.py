"""How many components, and of which shape: the best of several fits.

.. math:: \\text{BIC} = -2 \\ell(\\hat\\theta) + p \\log n, \\qquad
          \\text{AIC} = -2 \\ell(\\hat\\theta) + 2 p
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, TypeAlias, TypeVar

import torch
from torch import Tensor

from inference.inputs import check_choice
from inference.progress import progress_bar
from pgm.mixtures.components import CovarianceType

__all__ = ["Candidate", "Criterion", "MixtureSelection", "choose"]

Criterion: TypeAlias = Literal["bic", "aic"]


class Fitted(Protocol):
    """What a candidate must have."""

    collapsed: list[int]

    def score(self, x: Any) -> Tensor:
        """Mean log-likelihood."""
        ...

    def bic(self, x: Any) -> float:
        """Bayesian information criterion."""
        ...

    def aic(self, x: Any) -> float:
        """Akaike's information criterion."""
        ...


Mixture = TypeVar("Mixture", bound=Fitted)


@dataclass(frozen=True)
class Candidate(Generic[Mixture]):
    """One of the mixtures that were fitted.

    Attributes:
        n_components: K.
        covariance_type: its shape.
        model: as fitted.
        log_likelihood: mean per row, nats.
        bic, aic: criteria, lower is better.
        collapsed: components that have collapsed: what the criteria say of them means nothing, as
            the likelihood of a component on a few rows has no bound.
    """

    n_components: int
    covariance_type: str
    model: Mixture
    log_likelihood: float
    bic: float
    aic: float
    collapsed: tuple[int, ...]

    def value(self, criterion: Criterion) -> float:
        """The criterion, infinite where components have collapsed."""
        if self.collapsed:
            return math.inf
        return self.bic if criterion == "bic" else self.aic


@dataclass(frozen=True)
class MixtureSelection(Generic[Mixture]):
    """What `GaussianMixture.select` returns.

    Attributes:
        best: the mixture with the lowest criterion among those without collapsed components.
        candidates: all, in the order fitted.
        criterion: what was compared.
    """

    best: Mixture
    candidates: list[Candidate[Mixture]]
    criterion: Criterion

    def table(self) -> list[dict[str, Any]]:
        """One dict per candidate, the best first; a DataFrame takes it as it is."""
        order = sorted(self.candidates, key=lambda one: one.value(self.criterion))
        return [
            {
                "n_components": one.n_components,
                "covariance_type": one.covariance_type,
                "log_likelihood": one.log_likelihood,
                "bic": one.bic,
                "aic": one.aic,
                "collapsed": list(one.collapsed),
            }
            for one in order
        ]


@torch.no_grad()
def choose(
    tried: Sequence[tuple[int, CovarianceType]],
    fitted: Callable[[int, CovarianceType], Mixture],
    x: Any,
    *,
    criterion: Criterion,
    progress: bool | None,
) -> MixtureSelection[Mixture]:
    """Fit all that is to be tried, and choose.

    Arguments:
        tried: number of components and covariance type of every candidate.
        fitted: fits one.
        x: rows.
        criterion: what to compare.
        progress: True, False, or None: a bar if on a terminal.

    Raises:
        ValueError: if there is nothing to try, the criterion is unknown, or all candidates have
            collapsed components.
    """
    if not tried:
        raise ValueError("n_components and covariance_types must hold at least one of each")
    check_choice("criterion", criterion, Criterion)
    candidates: list[Candidate[Mixture]] = []
    with progress_bar(len(tried), "mixtures", progress) as bar:
        for k, kind in tried:
            model = fitted(k, kind)
            numbers = float(model.score(x)), model.bic(x), model.aic(x)
            candidates.append(Candidate(k, kind, model, *numbers, tuple(model.collapsed)))
            bar.update(1)
    best = min(candidates, key=lambda one: one.value(criterion))
    if best.collapsed:
        raise ValueError(
            "every mixture has collapsed components; try fewer components, or other "
            "covariance types"
        )
    return MixtureSelection(best.model, candidates, criterion)
