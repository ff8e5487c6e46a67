"""Hidden Markov models: iterations of EM, and the posterior of one long sequence."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Literal

import numpy as np
import torch

from benchmarks.report import MEASUREMENTS, Row, Section, by_peer
from benchmarks.settings import Settings
from benchmarks.timing import Contender
from pgm import HiddenMarkovModel

__all__ = ["section"]

SEQUENCES, LENGTH, STATES, FEATURES, SYMBOLS = 1000, 200, 10, 4, 50
LONG = 100_000
#: Iterations of the shorter and of the longer fit whose difference is timed.
FEW, MANY = 1, 5
#: Largest share of the peer's time, by its implementation.
EM_SHARE = {"scaling": 0.25, "log": 0.06}
POSTERIOR_SHARE = {"scaling": 1.0}
#: Largest accepted differences: relative of log-likelihoods, absolute of probabilities.
RELATIVE, ABSOLUTE = 1e-8, 1e-8

Emission = Literal["gaussian", "categorical"]

NOTES = (
    f"{SEQUENCES:,} sequences of {LENGTH} steps, {STATES} states, float64: milliseconds per EM",
    f"iteration, a fit of {MANY} iterations less one of {FEW}, from the same parameters.",
    f"gaussian     {FEATURES} features, a variance per state and feature",
    f"categorical  {SYMBOLS} symbols",
    f"posterior    milliseconds for the states' probabilities in one sequence of {LONG:,} steps",
    "peer: hmmlearn, its two implementations in C++ (log is its default). The log-likelihoods",
    "      after the iterations, or the posteriors, must be the same",
)


def section(settings: Settings) -> Section:
    """The table of this section."""
    return Section("Hidden Markov models", NOTES, MEASUREMENTS, _rows(settings))


def _rows(settings: Settings) -> Iterator[Row]:
    for emission in ("gaussian", "categorical"):
        yield from _em(settings, _Case(settings, emission, settings.rows(SEQUENCES), LENGTH))
    yield from _posterior(settings, _Case(settings, "gaussian", 1, settings.rows(LONG)))


class _Case:
    """Parameters and data drawn from them, for both libraries."""

    def __init__(self, settings: Settings, emission: Emission, n: int, length: int) -> None:
        draws = np.random.default_rng(0)
        self.emission, self.length = emission, length
        self.start = draws.dirichlet(np.ones(STATES))
        self.transitions = draws.dirichlet(np.ones(STATES), STATES)
        self.means = 2 * draws.normal(size=(STATES, FEATURES))
        self.variances = draws.uniform(0.5, 2.0, (STATES, FEATURES))
        self.probs = draws.dirichlet(np.ones(SYMBOLS), STATES)
        self._device = settings.device
        found = self.ours().sample(n, length, generator=0).observations
        self.rows = found.cpu().numpy()
        # A learner starts elsewhere than at the truth.
        self.means = self.means + 0.3 * draws.normal(size=self.means.shape)
        self.probs = 0.5 * self.probs + 0.5 / SYMBOLS

    def ours(self) -> HiddenMarkovModel:
        """Our model with these parameters."""
        if self.emission == "gaussian":
            model = HiddenMarkovModel(STATES, "gaussian", n_features=FEATURES)
            numbers = {"means": self.means, "covariances": self.variances}
        else:
            model = HiddenMarkovModel(STATES, n_symbols=SYMBOLS)
            numbers = {"emission_probs": self.probs}
        numbers |= {"start": self.start, "transitions": self.transitions}
        with torch.no_grad():
            for name, value in numbers.items():
                getattr(model, name).copy_(torch.from_numpy(value))
        return model.to(self._device)

    def theirs(self, implementation: str, iterations: int) -> Any:
        """The model of hmmlearn with these parameters, without priors."""
        from hmmlearn import hmm

        options: dict[str, Any] = {"n_iter": iterations, "tol": -np.inf, "init_params": ""}
        options["implementation"] = implementation
        if self.emission == "gaussian":
            model = hmm.GaussianHMM(STATES, covars_prior=0, covars_weight=0, **options)
            model.means_, model.covars_ = self.means, self.variances
        else:
            model = hmm.CategoricalHMM(STATES, n_features=SYMBOLS, **options)
            model.emissionprob_ = self.probs
        model.startprob_, model.transmat_ = self.start, self.transitions
        return model

    def joined(self) -> tuple[np.ndarray, list[int]]:
        """All sequences one after the other, and their lengths."""
        rows = self.rows.reshape(-1, self.rows.shape[2] if self.rows.ndim == 3 else 1)
        return rows, [self.length] * len(self.rows)


def _peers(settings: Settings) -> list[str]:
    there = settings.peers and importlib.util.find_spec("hmmlearn") is not None
    return ["scaling", "log"] if there else []


def _em(settings: Settings, case: _Case) -> Iterator[Row]:
    """One iteration, as the difference of two fits."""
    data = torch.from_numpy(case.rows).to(settings.device)

    def ours(iterations: int) -> Callable[[], float]:
        model = case.ours()

        def fit() -> float:
            options: dict[str, Any] = {"max_iterations": iterations, "tolerance": 0.0}
            model.fit(data, init="current", covariance_floor=0.0, progress=False, **options)
            settings.wait()
            return model.history[-1]["log_likelihood"]

        return fit

    def other(implementation: str, iterations: int) -> Callable[[], float]:
        model = case.theirs(implementation, iterations)
        rows, lengths = case.joined()
        return lambda: float(model.fit(rows, lengths).monitor_.history[-1])

    peers = _peers(settings)
    contenders = [Contender(f"ours {n}", partial(ours, n)) for n in (FEW, MANY)]
    contenders += [
        Contender(f"{peer} {n}", partial(other, peer, n)) for peer in peers for n in (FEW, MANY)
    ]
    times = settings.time(*contenders)

    iterations = {
        who: times[f"{who} {MANY}"].less(times[f"{who} {FEW}"], MANY - FEW)
        for who in ("ours", *peers)
    }

    def judge(peer: str) -> tuple[bool, str]:
        off = abs(iterations["ours"].first / iterations[peer].first - 1)
        return off <= RELATIVE, f"relative difference of log-likelihood {off:.0e}"

    yield from by_peer(f"{case.emission}, EM iteration", "ms", iterations, judge, shares=EM_SHARE)


def _posterior(settings: Settings, case: _Case) -> Iterator[Row]:
    """Smoothed states of one long sequence."""
    model, data = case.ours(), torch.from_numpy(case.rows[0]).to(settings.device)

    peers = _peers(settings)
    rows, _ = case.joined()
    contenders = [Contender.repeating("ours", settings.waiting(lambda: model.posterior(data)))]
    for peer in peers:
        predict = case.theirs(peer, 1).predict_proba
        contenders.append(Contender.repeating(peer, partial(predict, rows)))
    times = settings.time(*contenders)
    found = times["ours"].first[0].cpu().numpy()

    def judge(peer: str) -> tuple[bool, str]:
        off = float(np.abs(found - times[peer].first).max())
        return off <= ABSOLUTE, f"difference {off:.0e}"

    label = f"{case.length:,} steps, posterior"
    yield from by_peer(label, "ms", times, judge, shares=POSTERIOR_SHARE)
