"""Entries of models whose options are models of their own: laws, kinds and types."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import Any

import torch

from pgm import GaussianMixture, HiddenMarkovModel, Mixture, NaiveBayes
from pgm.mixtures.families.categorical import Categorical
from pgm.mixtures.families.family import Family
from pgm.mixtures.families.gaussian import Gaussian
from pgm.mixtures.families.poisson import Poisson
from pgm.mixtures.families.student_t import StudentT
from tests.contract.case import Case
from tests.contract.pgm_cases import BITS, CLASSES, POINTS, fill
from tests.contract.pgm_cases import CASES as PGM

COUNTS = POINTS.abs().round().long()
BASIS = {case.name: case for case in PGM}


def mixture(family: Family, rows: torch.Tensor, **changes: Any) -> Case:
    """A mixture of another family."""
    return replace(
        BASIS["Mixture"],
        make=lambda: Mixture(2, family).fit(rows, generator=0, max_iter=1000),
        rows=(rows,),
        fit_rows=lambda m, x: m.fit(x),
        learn=lambda m, g: m.fit(rows, max_iter=3, init="random", generator=g),
        event=(rows.shape[1],),
        variant=type(family).__name__.lower(),
        **changes,
    )


def gaussian(covariance_type: Any) -> Case:
    """A mixture with another form of covariances."""
    return replace(
        BASIS["GaussianMixture"],
        make=lambda: GaussianMixture(2, covariance_type, random_state=0).fit(POINTS),
        variant=covariance_type,
    )


def naive_bayes(
    kind: Any, rows: torch.Tensor, options: Any = MappingProxyType({}), **changes: Any
) -> Case:
    """Features of another kind."""
    classes = CLASSES[: len(rows)]
    basis = BASIS["NaiveBayes"]
    settings = {
        "make": lambda: NaiveBayes(kind, **options).fit(rows, classes),
        "rows": (rows,),
        "judged": (rows, classes),
        "score": lambda m: (
            m.score(rows, classes),
            (m.predict(rows) == classes).double().mean(),
        ),
        "learn": lambda m, g: m.fit(rows, classes),
        "event": (rows.shape[1],),
        "variant": kind,
    }
    return replace(basis, **(settings | changes))


def poisson() -> HiddenMarkovModel:
    model = HiddenMarkovModel(2, "poisson", n_features=2)
    fill(model, start=[0.6, 0.4], transitions=[[0.7, 0.3], [0.2, 0.8]])
    return fill(model, rates=[[1.5, 0.5], [4.0, 3.0]])


CASES = [
    replace(
        BASIS["HiddenMarkovModel-gaussian"],
        make=poisson,
        rows=(COUNTS[:12].reshape(3, 4, 2),),
        learn=lambda m, g: m.fit(
            COUNTS[:12].reshape(3, 4, 2), max_iterations=3, init="random", generator=g
        ),
        variant="poisson",
    ),
    mixture(Categorical([2, 2, 2]), BITS),
    mixture(Poisson(2), COUNTS, missing=""),
    mixture(Gaussian(2), POINTS),
    mixture(StudentT(2), POINTS, missing=""),
    gaussian("tied"),
    gaussian("diag"),
    gaussian("spherical"),
    naive_bayes("bernoulli", BITS, {"binarize": None}),
    naive_bayes("categorical", BITS, fit_rows=None),
    naive_bayes(
        "multinomial",
        COUNTS,
        missing="",
        draw=lambda m, n, g: m.sample(n, n_trials=4, generator=g)[0],
    ),
    naive_bayes("complement", COUNTS, missing="", draw=None, values=(), maps=("predict",)),
]
