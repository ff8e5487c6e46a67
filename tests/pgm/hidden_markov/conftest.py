"""Oracles of hidden Markov models: sums over all paths, with densities from scipy."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from pgm.hidden_markov_model import HiddenMarkovModel


def _log_density(model: HiddenMarkovModel, state: int, x: Any) -> float:
    """Log-probability of one observation, whose missing entries are left out."""
    if model.emission == "categorical":
        p = model.emission_probs[state, int(x)].item() if x >= 0 else 1.0
        return math.log(p) if p > 0 else -math.inf
    x = np.atleast_1d(np.asarray(x, dtype=float))
    seen = np.flatnonzero(~np.isnan(x))
    if not len(seen):
        return 0.0
    if model.emission == "poisson":
        return stats.poisson(model.rates[state].numpy()[seen]).logpmf(x[seen]).sum()
    mean = model.means[state].detach().numpy()[seen]
    matrix = covariance_matrix(model, state)[np.ix_(seen, seen)]
    return float(stats.multivariate_normal(mean, matrix).logpdf(x[seen]))


def covariance_matrix(model: HiddenMarkovModel, state: int) -> np.ndarray:
    """Covariance of a state as a matrix, whatever its type."""
    covariances = model.covariances.detach()
    d = model.means.shape[1]
    forms = {
        (1, d): lambda: covariances[state] * torch.eye(d, dtype=torch.float64),
        (2, d): lambda: covariances[state].diag(),
        (3, d): lambda: covariances[state],
    }
    tied = covariances.shape == (d, d) and model.config()["covariance_type"] == "tied"
    return (covariances if tied else forms[covariances.ndim, d]()).numpy()


@pytest.fixture(scope="session")
def joint_law() -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """All paths (S, T) of one sequence and their log-probabilities with it (S,)."""

    def law(model: HiddenMarkovModel, sequence: Any) -> tuple[np.ndarray, np.ndarray]:
        t, k = len(sequence), model.n_states
        start, steps = model.start.detach().numpy(), model.transitions.detach().numpy()
        logs = np.array([[_log_density(model, s, x) for s in range(k)] for x in sequence])
        paths = np.array(list(product(range(k), repeat=t)), dtype=int).reshape(k**t, t)
        with np.errstate(divide="ignore"):
            log_start, log_steps = np.log(start), np.log(steps)
        total = np.zeros(len(paths))
        for i, path in enumerate(paths):
            if t:
                total[i] = log_start[path[0]] + log_steps[path[:-1], path[1:]].sum()
                total[i] += logs[np.arange(t), path].sum()
        return paths, total

    return law


def random_model(
    generator: np.random.Generator, n_states: int, emission: str = "categorical", **shape: Any
) -> HiddenMarkovModel:
    """A model whose numbers are drawn; of the categorical ones, some are zero."""
    model = HiddenMarkovModel(n_states, emission, **shape)
    k = n_states
    with torch.no_grad():
        model.start.copy_(torch.from_numpy(generator.dirichlet(np.ones(k))))
        model.transitions.copy_(torch.from_numpy(generator.dirichlet(np.ones(k), size=k)))
        if emission == "categorical":
            width = model.emission_probs.shape[1]
            model.emission_probs.copy_(torch.from_numpy(generator.dirichlet(np.ones(width), k)))
        elif emission == "poisson":
            model.rates.copy_(torch.from_numpy(generator.gamma(2.0, 2.0, model.rates.shape)))
        else:
            d = model.means.shape[1]
            model.means.copy_(torch.from_numpy(generator.normal(size=(k, d)) * 2))
            roots = torch.from_numpy(generator.normal(size=(k, d, d)))
            full = roots @ roots.mT + 0.3 * torch.eye(d)
            forms = {
                "full": full,
                "tied": full[0],
                "diag": full.diagonal(dim1=1, dim2=2),
                "spherical": full[:, 0, 0],
            }
            model.covariances.copy_(forms[model.config()["covariance_type"]])
    return model


@pytest.fixture(scope="session")
def draw_model() -> Callable[..., HiddenMarkovModel]:
    """The function `random_model`."""
    return random_model
