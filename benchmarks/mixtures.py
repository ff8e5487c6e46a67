"""Gaussian mixtures: steps of EM, restarts, many rows, missing entries."""

from __future__ import annotations

import importlib.util
import tracemalloc
import unittest.mock
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np
import torch

from benchmarks.peer_pomegranate import Pomegranate
from benchmarks.report import MEASUREMENTS, Row, Section, timed
from benchmarks.settings import Settings
from benchmarks.timing import Contender
from pgm import GaussianMixture
from pgm.mixtures import search

__all__ = ["section"]

ROWS, STEPS = 100_000, 20
#: Largest accepted differences of mean log-likelihoods, by precision.
CLOSE = {"float64": 1e-6, "float32": 0.05}
MANY_ROWS, MANY = 1_000_000, (8, 10)
RESTARTS = 20
#: Share of the time of a loop over restarts, of plain EM on a million rows, of complete rows.
RESTART_SHARE, SUBSET_SHARE, HOLES_SHARE = 1 / 8, 1 / 4, 3.0
HOLES, HOLES_ROWS, HOLES_SIZE = 0.2, 20_000, (8, 5)


class Case(NamedTuple):
    """Data of d columns for K components; the target is a share of scikit-learn's time."""

    d: int
    k: int
    kind: str
    dtype: Literal["float32", "float64"]
    target: float | None


CASES = (
    Case(16, 16, "full", "float64", 0.25),
    Case(16, 16, "full", "float32", 0.25),
    Case(2, 5, "full", "float64", 0.12),
    Case(2, 5, "full", "float32", 0.12),
    Case(64, 8, "full", "float64", 0.45),
    Case(64, 8, "full", "float32", 0.45),
    Case(16, 16, "diag", "float64", 0.3),
    Case(16, 16, "diag", "float32", 0.3),
    Case(16, 16, "spherical", "float64", 0.3),
    Case(16, 16, "spherical", "float32", 0.3),
    Case(16, 16, "tied", "float64", 0.1),
    Case(16, 16, "tied", "float32", 0.1),
)

NOTES = (
    f"{ROWS:,} rows of normal clusters; milliseconds per step of EM through fit(), with set-up:",
    f"a fit of {STEPS} steps from given parameters, over {STEPS}.",
    "GFLOP/s      4 n K d^2, the textbook step of full covariances; of roof: over the rate of a",
    "             large matrix product",
    "MB           most memory that a fit takes beyond the rows (tracemalloc), ours and the peer's",
    f"restarts     one step of {RESTARTS} mixtures of iris at once, against one after the other",
    f"many rows    seconds for {MANY_ROWS:,} rows, d = {MANY[0]}, K = {MANY[1]}, from a start on",
    "             some of them, against plain steps on all, to the same tolerance",
    f"holes        {HOLES:.0%} of the entries missing, {HOLES_ROWS:,} rows, d = {HOLES_SIZE[0]}, "
    f"K = {HOLES_SIZE[1]}; against complete rows",
    "peer: scikit-learn, same first parameters, reg_covar = 1e-6 in both; pomegranate where it is",
    "      installed. The log-likelihoods must be the same",
)


def section(settings: Settings) -> Section:
    """The table of this section."""
    return Section("Gaussian mixtures", NOTES, MEASUREMENTS, _rows(settings))


def _rows(settings: Settings) -> Iterator[Row]:
    for case in CASES:
        yield _steps(settings, case)
    if settings.peers and Pomegranate.installed():
        # On wider data its covariances stop being positive definite.
        yield _pomegranate(settings, CASES[3])
    yield _restarts(settings)
    yield from _many_rows(settings)
    yield from _holes(settings)


def clusters(
    n: int, d: int, k: int, dtype: str = "float64", separation: float = 3.0
) -> np.ndarray:
    """Rows of k normal clusters with covariances of their own."""
    draws = np.random.default_rng(0)
    means = separation * draws.normal(size=(k, d))
    roots = draws.normal(size=(k, d, d)) / np.sqrt(d) + 0.5 * np.eye(d)
    labels = draws.integers(0, k, n)
    noise = draws.normal(size=(n, d))
    x = np.empty((n, d), dtype=dtype)
    for c in range(k):
        mine = labels == c
        x[mine] = means[c] + noise[mine] @ roots[c].T
    return x


def first_parameters(x: np.ndarray, k: int, kind: str) -> dict[str, Any]:
    """Rows as means, and the mean variance of all columns."""
    d = x.shape[1]
    chosen = np.random.default_rng(1).choice(len(x), k, replace=False)
    precision = 1 / x.var(0, dtype=np.float64).mean()
    held = {
        "full": np.tile(np.eye(d), (k, 1, 1)),
        "tied": np.eye(d),
        "diag": np.ones((k, d)),
        "spherical": np.ones(k),
    }
    return {
        # In the type of the rows: scikit-learn computes in that of these.
        "weights_init": np.full(k, 1 / k, dtype=x.dtype),
        "means_init": x[chosen],
        "precisions_init": (precision * held[kind]).astype(x.dtype),
    }


def _fit(make: Callable[..., Any], x: Any, options: dict[str, Any]) -> Any:
    """A model that has made all the steps asked for."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make(**options).fit(x)


def _sklearn(settings: Settings) -> Any:
    """The peer's class, or None."""
    if not settings.peers or importlib.util.find_spec("sklearn") is None:
        return None
    from sklearn.mixture import GaussianMixture as Theirs

    return Theirs


def _memory(call: Callable[[], Any]) -> float:
    """Most megabytes that a call allocates."""
    tracemalloc.start()
    call()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak / 1e6


def _steps(settings: Settings, case: Case) -> Row:
    """Steps of EM through fit()."""
    x = clusters(settings.rows(ROWS), case.d, case.k, case.dtype)
    options = first_parameters(x, case.k, case.kind) | {
        "n_components": case.k,
        "covariance_type": case.kind,
        "max_iter": STEPS,
        "tol": 0.0,
        # With less, the peer's float32 covariances of 64 columns are not positive definite.
        "reg_covar": 1e-4 if (case.d, case.dtype) == (64, "float32") else 1e-6,
    }
    given = torch.from_numpy(x).to(settings.device) if settings.device != "cpu" else x

    def ours() -> Any:
        model = _fit(lambda **o: GaussianMixture(**o).to(settings.device), given, options)
        settings.wait()
        return model

    contenders = [Contender.repeating("ours", ours, STEPS)]
    theirs = _sklearn(settings)
    if theirs is not None:
        peer = partial(_fit, theirs, x, options)
        contenders.append(Contender.repeating("sklearn", peer, STEPS))
    times = settings.time(*contenders)
    found = times["ours"].median
    note, floor = "", None
    if case.kind == "full":
        work = 4 * len(x) * case.k * case.d**2
        note = f"{work / found / 1e9:.1f} GFLOP/s; "
        floor = settings.floor(case.dtype, work, found)
    if theirs is None:
        return timed(_name(case), "ms", times["ours"], note=note, floor=floor)
    difference = abs(times["ours"].first.lower_bound_ - times["sklearn"].first.lower_bound_)
    note += f"difference {difference:.0e} nats"
    if settings.device == "cpu":
        sizes = [_memory(ours), _memory(partial(_fit, theirs, x, options))]
        note += f"; {sizes[0]:.0f} MB, {sizes[1]:.0f} MB"
    share = case.target
    return timed(
        _name(case),
        "ms",
        times["ours"],
        times["sklearn"],
        target=share and settings.target(share * times["sklearn"].read("ms")),
        right=difference < CLOSE[case.dtype],
        note=note,
        floor=floor,
    )


def _name(case: Case) -> str:
    return f"{case.kind}, d = {case.d}, K = {case.k}, {case.dtype}"


def _pomegranate(settings: Settings, case: Case) -> Row:
    """The same steps by another library on torch."""
    x = clusters(settings.rows(ROWS), case.d, case.k, case.dtype)
    first = first_parameters(x, case.k, "full")
    options = first | {"n_components": case.k, "max_iter": STEPS, "tol": 0.0}
    times = settings.time(
        Contender.repeating("ours", partial(_fit, GaussianMixture, x, options), STEPS),
        Contender.repeating("pomegranate", partial(Pomegranate(first).fit, x, STEPS), STEPS),
    )
    label = f"{_name(case)} (peer: pomegranate)"
    return timed(label, "ms", times["ours"], times["pomegranate"])


def _restarts(settings: Settings) -> Row:
    """One step of many mixtures at once."""
    from sklearn.datasets import load_iris

    from pgm.mixtures.moments import Components

    x: Any = load_iris(return_X_y=True)[0]
    arguments = GaussianMixture(3, n_init=RESTARTS).settings
    draws = torch.Generator().manual_seed(0)
    found = search.Search(x, None, arguments, generator=draws, progress=False)
    learner = found.learner()
    whole = found.seeds(learner)
    parts = [Components(*[p[r : r + 1] for p in whole]) for r in range(RESTARTS)]
    times = settings.time(
        Contender.repeating("together", lambda: learner.step(whole)),
        Contender.repeating("loop", lambda: [learner.step(part) for part in parts]),
    )
    return timed(
        f"{RESTARTS} restarts on iris, one step (peer: a loop)",
        "ms",
        times["together"],
        times["loop"],
        target=RESTART_SHARE * times["loop"].read("ms"),
    )


def _many_rows(settings: Settings) -> Iterator[Row]:
    """A start on some of the rows, and then all, against all rows from the start."""
    d, k = MANY
    x = clusters(settings.rows(MANY_ROWS), d, k, separation=1.0)

    def fit(init: str, threshold: int) -> Any:
        options = {"n_components": k, "tol": 1e-6, "max_iter": 1000, "accelerate": False}
        with unittest.mock.patch.object(search, "MANY_ROWS", threshold):
            return _fit(GaussianMixture, x, options | {"init": init, "random_state": 0})

    for init in ("random", "kmeans"):
        times = settings.time(
            Contender.repeating("ours", partial(fit, init, search.MANY_ROWS)),
            Contender.repeating("plain", partial(fit, init, len(x) + 1)),
        )
        models = [times[name].first for name in ("ours", "plain")]
        steps = [model.n_iter_ for model in models]
        scores = [model.score(x[:40_000]).item() for model in models]
        yield timed(
            f"many rows, {init} start (peer: plain steps)",
            "s",
            times["ours"],
            times["plain"],
            target=settings.target(SUBSET_SHARE * times["plain"].median),
            right=settings.most_rows is not None or abs(scores[0] - scores[1]) < 1e-4,
            note=f"{scores[0]:.5f} and {scores[1]:.5f} nats; {steps[0]} and {steps[1]} steps",
        )


def _holes(settings: Settings) -> Iterator[Row]:
    """Rows with missing entries beside complete ones."""
    d, k = HOLES_SIZE
    complete = clusters(settings.rows(HOLES_ROWS), d, k)
    draws = np.random.default_rng(2)
    holes = complete.copy()
    holes[draws.random(holes.shape) < HOLES] = np.nan
    holes[np.isnan(holes).all(1)] = 0.0
    few = complete.copy()
    for rows, columns in enumerate(([], [0], [1, 2], [3], [4, 5, 6])):
        few[np.ix_(np.arange(len(few)) % 5 == rows, columns)] = np.nan
    options = first_parameters(complete, k, "full")
    options |= {"n_components": k, "max_iter": STEPS, "tol": 0.0, "reg_covar": 1e-6}
    data = {"complete": complete, "at random": holes, "five patterns": few}
    calls = {name: partial(_fit, GaussianMixture, x, options) for name, x in data.items()}
    theirs = _sklearn(settings)
    if theirs is not None:
        calls["sklearn"] = partial(_fit, theirs, complete, options)
    times = settings.time(
        *[Contender.repeating(name, call, STEPS) for name, call in calls.items()]
    )
    note = f"scikit-learn on complete rows {times['sklearn'].read('ms'):.1f} ms" if theirs else ""
    target = settings.target(HOLES_SHARE * times["complete"].read("ms"))
    for name in ("at random", "five patterns"):
        label = f"holes {name} (peer: complete rows)"
        yield timed(label, "ms", times[name], times["complete"], target=target, note=note)
