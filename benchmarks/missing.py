"""Rows with missing cells: learning by EM, and filling the cells."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch

from benchmarks.data import rebuilt
from benchmarks.parameters import difference, tables_by_counting, tables_of
from benchmarks.peer import Peer
from benchmarks.peer_learning import Agrum
from benchmarks.report import MEASUREMENTS, Row, Section, measurement, timed
from benchmarks.settings import Settings
from benchmarks.timing import Contender
from pgm import BayesianNetwork
from pgm.discrete_data import DiscreteData

__all__ = ["Case", "check_best", "deviation", "section"]

NETWORK = "alarm"
ROWS = 20_000
ITERATIONS = 10
#: Share of the cells that are missing -> seconds for the iterations.
TARGETS = {0.2: 2.0, 0.5: 5.0}
#: More than any run needs to converge.
MOST_ITERATIONS = 1000
#: Rows that pyAgrum's EM learns from, and rows whose posteriors it computes.
PEER_EM_ROWS = 100
PEER_ROWS = 50
PSEUDO_COUNT = 0.1
TOLERANCE = 1e-9
#: Largest accepted relative difference of a log-likelihood, and its largest fall by rounding.
LIKELIHOOD = 1e-8
FALL = 1e-9
#: Largest accepted deviation of a frequency, in standard errors.
DEVIATION = 6.0

NOTES = (
    f"The first {ROWS:,} of the rows of {NETWORK}, each cell removed with the given probability",
    "(seeded), as DiscreteData: one int8 column per variable in memory.",
    f"{ITERATIONS} EM iterations  seconds of fit() on a new network object: the junction tree,",
    "    reading the gaps and the start from available counts are timed; no iteration is left out",
    f"    peer: pyAgrum's EM on {PEER_EM_ROWS} of the rows, in proportion. The row after it has",
    "    both on these rows only, ours from DiscreteData, pyAgrum's from a BNLearner that has",
    f"    read them before, from the same tables and with {PSEUDO_COUNT} added to every count, as",
    "    pyAgrum stops at parents never seen together; in the end the tables must be the same",
    "EM to convergence  iterations until the log-likelihood changes by less than 1e-6 of its",
    "    size; it must never fall and end at the sum of log_prob",
    "table error  mean over all cells of all tables of the absolute difference to the network's",
    "    own tables, after convergence; beside it, of tables counted from the rows that show a",
    "    variable and its parents, and from the rows without a gap",
    "posterior_predictive, impute  milliseconds per 1,000 rows, under the network's own tables",
    f"    peer: pyAgrum, {PEER_ROWS} of the rows in a loop on one LazyPropagation, posteriors of",
    "    the missing variables into numpy; it completes no rows",
)


def section(settings: Settings) -> Section:
    """The table of this section."""
    return Section("Rows with missing cells", NOTES, MEASUREMENTS, _rows(settings))


@dataclass(frozen=True)
class Case:
    """Rows before and after some of their cells went.

    Arguments:
        share: the probability with which a cell went.
        full: (n, V) codes before.
        codes: (n, V) codes after, -1 where one went.
    """

    share: float
    network: BayesianNetwork
    full: np.ndarray
    codes: np.ndarray

    @classmethod
    def draw(cls, network: BayesianNetwork, full: np.ndarray, share: float) -> Case:
        gone = np.random.default_rng(0).random(full.shape) < share
        return cls(share, network, full, np.where(gone, -1, full).astype(full.dtype))

    @property
    def name(self) -> str:
        return f"{NETWORK}, {100 * self.share:.0f} % missing"

    @cached_property
    def rows(self) -> DiscreteData:
        return DiscreteData(self.codes, self.network.vocabulary)

    def em(self, iterations: int, tolerance: float) -> Callable[[], BayesianNetwork]:
        """A call that fits a new network to the rows."""
        network, rows = rebuilt(self.network), self.rows
        return lambda: network.fit(
            rows, max_iterations=iterations, tolerance=tolerance, progress=False
        )


def _rows(settings: Settings) -> Iterator[Row]:
    for name in settings.among([NETWORK]):
        network = settings.data.load(name)
        full = settings.data.alarm_rows[: settings.rows(ROWS)]
        for share in TARGETS:
            case = Case.draw(network, full, share)
            yield from _iterations(settings, case)
            yield from _converged(settings, case)
            yield from _filled(settings, case)


# EM -------------------------------------------------------------------------------------------


def _iterations(settings: Settings, case: Case) -> Iterator[Row]:
    """A fixed number of iterations on all rows, then beside pyAgrum on a few."""
    ours = settings.time(Contender("ours", lambda: case.em(ITERATIONS, 0.0)))["ours"]
    beside, n, few = None, len(case.codes), settings.rows(PEER_EM_ROWS)
    note = f"{n:,} rows"
    if settings.gum is not None:
        beside = _beside_peer(settings, case, few)
        note += f"; peer's time on {few} rows x {n / few:.0f}"
    yield measurement(
        f"{case.name}, {ITERATIONS} EM iterations",
        ours.median,
        "s",
        target=settings.target(TARGETS[case.share]),
        peer=beside["peer"] * n / few if beside is not None else None,
        right=len(ours.first.history) == ITERATIONS and _rising(ours.first),
        note=note,
        timing=ours,
    )
    if beside is not None:
        yield beside


def _beside_peer(settings: Settings, case: Case, n: int) -> Row:
    """Both libraries on the same rows from the same tables without zeros."""
    codes = case.codes[:n]
    rows = DiscreteData(codes, case.network.vocabulary)
    start = rebuilt(case.network).fit(rows, 1.0, max_iterations=1, progress=False)
    agrum = Agrum(settings.gum, start, codes)

    def ours() -> Callable[[], BayesianNetwork]:
        network = rebuilt(start)
        return lambda: network.fit(
            rows,
            PSEUDO_COUNT,
            init="current",
            max_iterations=ITERATIONS,
            tolerance=0.0,
            progress=False,
        )

    def theirs() -> Callable[[], Any]:
        return partial(agrum.em, agrum.read(), ITERATIONS, PSEUDO_COUNT)

    times = settings.time(Contender("ours", ours), Contender("peer", theirs))
    error = difference(tables_of(times["ours"].first), agrum.tables(times["peer"].first))
    return timed(
        f"{case.name}, {len(codes)} rows, {ITERATIONS} EM iterations",
        "s",
        times["ours"],
        times["peer"],
        right=error <= TOLERANCE,
        note=f"difference of the tables {error:.0e}",
    )


def _rising(network: BayesianNetwork) -> bool:
    """Whether the log-likelihood never falls, but for rounding."""
    values = np.array([entry["objective"] for entry in network.history])
    return bool((np.diff(values) >= -FALL * np.abs(values[1:])).all())


def _converged(settings: Settings, case: Case) -> Iterator[Row]:
    """EM to its end: how long it takes and how good its tables are."""
    ours = settings.once(case.em(MOST_ITERATIONS, 1e-6))
    network: BayesianNetwork = ours.first
    rising, iterations = _rising(network), len(network.history)
    likelihood = float(network.log_prob(case.rows).sum())
    truth = float(case.network.log_prob(case.rows).sum())
    yield measurement(
        f"{case.name}, EM to convergence",
        iterations,
        "iterations",
        right=rising and iterations < MOST_ITERATIONS and _agrees(network, case, likelihood),
        note=f"in {ours.median:.2f} s; log-likelihood {likelihood:,.2f}, true tables {truth:,.2f}",
    )
    yield _table_error(case, network)


def _agrees(network: BayesianNetwork, case: Case, likelihood: float) -> bool:
    """Whether EM counts the same log-likelihood as log_prob."""
    again = rebuilt(network).fit(case.rows, init="current", max_iterations=1, progress=False)
    return abs(again.history[0]["objective"] - likelihood) <= LIKELIHOOD * abs(likelihood)


def _table_error(case: Case, network: BayesianNetwork) -> Row:
    """How far the tables are from the truth, beside what counting gives."""

    def error(tables: list[np.ndarray]) -> float:
        truth = tables_of(case.network)
        cells = [np.abs(x - y).ravel() for x, y in zip(tables, truth, strict=True)]
        return float(np.concatenate(cells).mean())

    whole = case.codes[(case.codes >= 0).all(axis=1)]
    families = error(tables_by_counting(case.network, case.codes))
    note = f"rows that show the family: {families:.4f}; "
    if len(whole):
        counted = error(tables_by_counting(case.network, whole))
        note += f"the {len(whole)} rows without a gap: {counted:.4f}"
    else:
        note += "no row is without a gap"
    return measurement(f"{case.name}, table error", error(tables_of(network)), "", note=note)


# Filling cells ----------------------------------------------------------------------------------


def _filled(settings: Settings, case: Case) -> Iterator[Row]:
    """Posteriors of the missing cells, their best values and draws, all rows at once."""
    network, rows, n = case.network, case.rows, len(case.codes)
    contenders = [
        Contender.repeating("predictive", lambda: network.posterior_predictive(rows), n),
        Contender.repeating("best", lambda: network.impute(rows), n),
        Contender.repeating("sample", lambda: network.impute(rows, "sample", 0), n),
    ]
    if settings.gum is not None:
        contenders.append(_loop(Peer(settings.gum, network), case.codes[:PEER_ROWS]))
    times = settings.time(*contenders)
    probabilities = [table.numpy() for table in times["predictive"].first.values()]
    right, note = True, ""
    if "peer" in times:
        error = _difference(probabilities, times["peer"].first)
        right, note = error <= TOLERANCE, f"difference to the peer {error:.0e}"
    what, unit = f"{case.name}, posterior_predictive", "ms/1k rows"
    yield timed(what, unit, times["predictive"], times.get("peer"), right=right, note=note)
    right, note = check_best(case, times["best"].first)
    what = f"{case.name}, impute, most probable"
    yield timed(what, unit, times["best"], right=right, note=note)
    worst = deviation(case, times["sample"].first.numpy(), probabilities)
    note = f"worst frequency off by {worst:.1f} standard errors"
    what = f"{case.name}, impute, sample"
    yield timed(what, unit, times["sample"], right=worst <= DEVIATION, note=note)


def _loop(peer: Peer, codes: np.ndarray) -> Contender:
    """pyAgrum, row by row."""
    given = [{v: code for v, code in enumerate(row) if code >= 0} for row in codes.tolist()]
    missing = [np.flatnonzero(row < 0).tolist() for row in codes]
    engine = peer.gum.LazyPropagation(peer.bn)

    def call() -> list[dict[int, np.ndarray]]:
        found = []
        for seen, hidden in zip(given, missing, strict=True):
            engine.eraseAllEvidence()
            engine.setEvidence(seen)
            engine.makeInference()
            found.append({v: engine.posterior(v).toarray() for v in hidden})
        return found

    return Contender.repeating("peer", call, len(given))


def _difference(ours: list[np.ndarray], theirs: list[dict[int, np.ndarray]]) -> float:
    """Largest difference over the rows that both have answered."""
    differences = [
        float(np.abs(ours[v][row] - values).max())
        for row, answer in enumerate(theirs)
        for v, values in answer.items()
    ]
    return max(differences, default=0.0)


def _keeps(case: Case, filled: np.ndarray) -> bool:
    """Whether every seen cell is as it was and no gap is left."""
    seen = case.codes >= 0
    return bool((filled[seen] == case.codes[seen]).all() and (filled >= 0).all())


def check_best(case: Case, filled: torch.Tensor) -> tuple[bool, str]:
    """No completion may be more probable than the best: neither the truth nor a draw."""
    best = case.network.log_prob(filled)
    others = (torch.from_numpy(case.full), case.network.impute(case.rows, "sample", 1))
    least = min([float((best - case.network.log_prob(other)).min()) for other in others])
    right = _keeps(case, filled.numpy()) and least >= -TOLERANCE
    gone = case.codes < 0
    share = float((filled.numpy()[gone] == case.full[gone]).mean())
    return right, f"{100 * share:.1f} % of the cells as they were"


def deviation(case: Case, filled: np.ndarray, probabilities: list[np.ndarray]) -> float:
    """Largest deviation of a state's number of draws, in standard errors; inf if cells changed."""
    if not _keeps(case, filled):
        return float("inf")
    deviations = [0.0]
    for v, p in enumerate(probabilities):
        gone = case.codes[:, v] < 0
        expected, variance = p[gone].sum(axis=0), (p[gone] * (1 - p[gone])).sum(axis=0)
        counts = np.bincount(filled[gone, v], minlength=p.shape[1])
        # A certain or impossible state may be off by rounding, not by one draw.
        error = np.sqrt(np.maximum(variance, 1e-4))
        deviations.append(float((np.abs(counts - expected) / error).max()))
    return max(deviations)
