"""Oracles of mixtures of families: every row by itself, with laws from scipy."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from pgm.mixture import Mixture
from pgm.mixtures.families.bernoulli import Bernoulli
from pgm.mixtures.families.categorical import Categorical
from pgm.mixtures.families.family import Family
from pgm.mixtures.families.gaussian import Gaussian
from pgm.mixtures.families.poisson import Poisson
from pgm.mixtures.families.product import Product


def _numbers(rng: np.random.Generator, family: Family, k: int, zeros: bool) -> dict[str, Any]:
    """Random parameters; with hard zeros where the family has some."""
    if isinstance(family, Product):
        parts = [_numbers(rng, part, k, zeros) for _, part in family.parts]
        return {f"{name}_{g}": x for g, part in enumerate(parts) for name, x in part.items()}
    d = family.width
    if isinstance(family, Bernoulli):
        p = rng.random((k, d))
        return {"probs": rng.choice([0.0, 1.0, 0.4], (k, d)) if zeros else p}
    if isinstance(family, Categorical):
        tables = [rng.dirichlet(np.ones(card), k) for card in family.cards]
        if zeros:
            tables = [
                np.eye(t.shape[1])[t.argmax(1)] if j % 2 else t for j, t in enumerate(tables)
            ]
        return {"probs": np.concatenate(tables, axis=1)}
    if isinstance(family, Poisson):
        rates = rng.gamma(2.0, 2.0, (k, d))
        return {"rates": np.where(rng.random((k, d)) < 0.4, 0.0, rates) if zeros else rates}
    means = rng.normal(size=(k, d)) * 3
    if isinstance(family, Gaussian):
        return {"means": means, "covariances": rng.gamma(2.0, 1.0, (k, d)) + 0.1}
    scales = rng.gamma(2.0, 1.0, (k, d)) + 0.1
    if family.scale == "full":
        roots = rng.normal(size=(k, d, d))
        scales = roots @ roots.transpose(0, 2, 1) + 0.3 * np.eye(d)
    return {"means": means, "scales": scales, "degrees": rng.gamma(2.0, 3.0, k) + 0.5}


def _draw_mixture(seed: int, family: Family, k: int, *, zeros: bool = False) -> Mixture:
    rng = np.random.default_rng(seed)
    model = Mixture(k, family)
    with torch.no_grad():
        model.weights.copy_(torch.from_numpy(rng.dirichlet(np.ones(k))))
        for name, value in _numbers(rng, family, k, zeros).items():
            getattr(model, name).copy_(torch.from_numpy(value))
    return model


def _some_rows(seed: int, family: Family, n: int, gaps: float = 0.3) -> np.ndarray:
    """Random rows, NaN for missing."""
    rng = np.random.default_rng(seed)
    if isinstance(family, Product):
        x = np.empty((n, family.width))
        for places, (_, part) in zip(family._places, family.parts, strict=True):
            x[:, places] = _some_rows(int(rng.integers(2**31)), part, n, 0.0)
    elif isinstance(family, Bernoulli):
        x = rng.integers(0, 2, (n, family.width)) * 1.0
    elif isinstance(family, Categorical):
        x = np.stack([rng.integers(0, card, n) * 1.0 for card in family.cards], axis=1)
    elif isinstance(family, Poisson):
        x = rng.poisson(3.0, (n, family.width)) * 1.0
    else:
        x = rng.standard_t(4, (n, family.width)) * 2
    x[rng.random(x.shape) < gaps] = math.nan
    return x


def _log_density(family: Family, numbers: dict[str, np.ndarray], k: int, x: np.ndarray) -> float:
    """Log-probability of one row in component k, by scipy, without what is missing."""
    if isinstance(family, Product):
        total = 0.0
        for g, (places, (_, part)) in enumerate(zip(family._places, family.parts, strict=True)):
            end = f"_{g}"
            own = {n.removesuffix(end): v for n, v in numbers.items() if n.endswith(end)}
            total += _log_density(part, own, k, x[places])
        return total
    seen = np.flatnonzero(~np.isnan(x))
    if not len(seen):
        return 0.0
    own = {name: value[k] for name, value in numbers.items()}
    if isinstance(family, Bernoulli):
        return stats.bernoulli(own["probs"][seen]).logpmf(x[seen]).sum()
    if isinstance(family, Categorical):
        first = np.cumsum((0, *family.cards))
        with np.errstate(divide="ignore"):
            return sum([np.log(own["probs"][first[j] + int(x[j])]) for j in seen])
    if isinstance(family, Poisson):
        return stats.poisson(own["rates"][seen]).logpmf(x[seen]).sum()
    if isinstance(family, Gaussian):
        return (
            stats.norm(own["means"][seen], own["covariances"][seen] ** 0.5).logpdf(x[seen]).sum()
        )
    scale = own["scales"] if family.scale == "full" else np.diag(own["scales"])
    law = stats.multivariate_t(own["means"][seen], scale[np.ix_(seen, seen)], own["degrees"])
    return float(law.logpdf(x[seen]))


def _component_logs(model: Mixture, x: np.ndarray) -> np.ndarray:
    """Log-probabilities (n, K) of rows in components."""
    numbers = {
        name: p.detach().numpy() for name, p in model.named_parameters() if name != "weights"
    }
    return np.array(
        [
            [_log_density(model.family, numbers, k, row) for k in range(model.n_components)]
            for row in np.asarray(x, dtype=float)
        ]
    ).reshape(-1, model.n_components)


@pytest.fixture(scope="session")
def draw_mixture() -> Callable[..., Mixture]:
    """A mixture with random parameters."""
    return _draw_mixture


@pytest.fixture(scope="session")
def some_rows() -> Callable[..., np.ndarray]:
    """Random rows of a family."""
    return _some_rows


@pytest.fixture(scope="session")
def component_logs() -> Callable[..., np.ndarray]:
    """The law of the components, by scipy."""
    return _component_logs
