"""Tables of a network from complete rows, and the log-likelihood of rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from benchmarks.data import rebuilt
from benchmarks.peer import Peer
from benchmarks.peer_learning import Agrum, Pgmpy
from benchmarks.report import MEASUREMENTS, Row, Section, timed
from benchmarks.settings import Settings
from benchmarks.timing import Contender, Timing
from pgm import BayesianNetwork
from pgm.discrete_data import DiscreteData

__all__ = ["section", "tables_by_counting", "tables_of"]

NETWORK = "alarm"
ROWS = 100_000
#: Rows whose log-probability pyAgrum computes one by one.
PEER_ROWS = 1000
#: Milliseconds from columns in memory and from an int64 tensor.
FIT_COLUMNS = 5.0
FIT_TENSOR = 30.0
LOG_PROB_COLUMNS = 5.0
#: Largest accepted difference of a probability, or of a log-probability in nats.
TOLERANCE = 1e-9

NOTES = (
    f"Milliseconds for {ROWS:,} complete rows of {NETWORK}: maximum likelihood tables, and the",
    "log-probability of every row under the network's own tables.",
    "columns     the rows are in memory as DiscreteData: one int8 column per variable",
    "            peer: pyAgrum, learnParameters of a BNLearner that has read the rows before",
    "tensor      an (n, V) int64 tensor; reading it is timed",
    "            peer: pyAgrum, BNLearner(frame) and learnParameters; pandas writes the frame to",
    "            a file that pyAgrum reads",
    f"log_prob    peer: pyAgrum, log2JointProbability in a loop over {PEER_ROWS:,} of the rows,",
    "            in proportion; it has no call for many rows",
    "pgmpy       DiscreteMLE on a frame of categories, timed once",
    "difference  of the tables to counts by np.add.at and to the peer's; of the log-probabilities",
    "            to sums of logs of table entries in numpy and to the peer's",
)


def section(settings: Settings) -> Section:
    """The table of this section."""
    return Section("Learning tables from complete rows", NOTES, MEASUREMENTS, _rows(settings))


def _rows(settings: Settings) -> Iterator[Row]:
    for name in settings.among([NETWORK]):
        network = settings.data.load(name)
        codes = settings.data.alarm_rows[: settings.rows(ROWS)]
        yield from _fits(settings, network, codes)
        yield from _log_probs(settings, network, codes)


def tables_of(network: BayesianNetwork) -> list[np.ndarray]:
    """All tables, in the order of the variables."""
    return [network.table(name).numpy() for name in network.variables]


def tables_by_counting(network: BayesianNetwork, codes: np.ndarray) -> list[np.ndarray]:
    """Frequencies in the rows that show a variable and its parents; uniform where none does."""
    number = {name: v for v, name in enumerate(network.variables)}
    tables = []
    for name, v in number.items():
        family = codes[:, [*[number[p] for p in network.parents(name)], v]]
        counts = np.zeros(tuple(network.table(name).shape))
        np.add.at(counts, tuple(family[(family >= 0).all(axis=1)].T), 1.0)
        counts[counts.sum(axis=-1) == 0] = 1.0
        tables.append(counts / counts.sum(axis=-1, keepdims=True))
    return tables


def difference(a: Sequence[np.ndarray], b: Sequence[np.ndarray]) -> float:
    """Largest difference between tables."""
    return max([float(np.abs(x - y).max()) for x, y in zip(a, b, strict=True)])


def _fits(settings: Settings, network: BayesianNetwork, codes: np.ndarray) -> Iterator[Row]:
    """Maximum likelihood, from columns and from a tensor."""
    ours, counted = rebuilt(network), tables_by_counting(network, codes)
    columns = DiscreteData(codes, network.vocabulary)
    tensor = torch.from_numpy(codes.astype(np.int64))

    def fit(rows: Any) -> Callable[[], list[np.ndarray]]:
        # A copy, because the next fit writes into the same parameter.
        return lambda: [table.copy() for table in tables_of(ours.fit(rows))]

    contenders = [
        Contender.repeating("columns", fit(columns)),
        Contender.repeating("tensor", fit(tensor)),
    ]
    agrum = None if settings.gum is None else Agrum(settings.gum, network, codes)
    if agrum is not None:
        contenders += _peer_fits(agrum)
    times = settings.time(*contenders)
    for kind, target in (("columns", FIT_COLUMNS), ("tensor", FIT_TENSOR)):
        errors = [difference(times[kind].first, counted)]
        if agrum is not None and f"peer {kind}" in times:
            errors.append(difference(times[kind].first, agrum.tables(times[f"peer {kind}"].first)))
        yield _row(settings, f"fit, {kind}", kind, times, target, errors)
    if settings.pgmpy:
        yield _beside_pgmpy(settings, Pgmpy(network, codes), times["columns"])


def _peer_fits(agrum: Agrum) -> list[Contender]:
    """Fits in pyAgrum, of rows read before and reading them each time; none if it refuses."""
    learner = agrum.read()
    if agrum.refuses(learner):
        return []
    return [
        Contender.repeating("peer columns", lambda: agrum.fit(learner)),
        Contender.repeating("peer tensor", lambda: agrum.fit(agrum.read())),
    ]


def _beside_pgmpy(settings: Settings, pgmpy: Pgmpy, ours: Timing) -> Row:
    """The fit from columns again, next to the other peer."""
    theirs = settings.once(pgmpy.fit)
    error = difference(ours.first, pgmpy.tables(theirs.first))
    what, note = f"{NETWORK}, fit, columns (peer: pgmpy)", f"difference {error:.0e}"
    return timed(what, "ms", ours, theirs, right=error <= TOLERANCE, note=note)


def _log_probs(settings: Settings, network: BayesianNetwork, codes: np.ndarray) -> Iterator[Row]:
    """Log-probability of every row, from columns and from a tensor."""
    n = len(codes)
    columns = DiscreteData(codes, network.vocabulary)
    tensor = torch.from_numpy(codes.astype(np.int64))
    contenders = [
        Contender.repeating("columns", lambda: network.log_prob(columns), n),
        Contender.repeating("tensor", lambda: network.log_prob(tensor), n),
    ]
    if settings.gum is not None:
        contenders.append(_loop(Peer(settings.gum, network), codes[:PEER_ROWS]))
    times = settings.time(*contenders)
    known = _sums_of_logs(network, codes)
    for kind, target in (("columns", LOG_PROB_COLUMNS), ("tensor", None)):
        found = times[kind].first.numpy()
        errors = [float(np.abs(found - known).max())]
        if "peer" in times:
            theirs = np.array(times["peer"].first)
            errors.append(float(np.abs(found[: len(theirs)] - theirs).max()))
        yield _row(settings, f"log_prob, {kind}", kind, times, target, errors, n)


def _loop(peer: Peer, codes: np.ndarray) -> Contender:
    """Joint probabilities in pyAgrum, row by row; assignments are made beforehand."""
    given = [{f"v{v}": f"s{code}" for v, code in enumerate(row)} for row in codes.tolist()]
    row = peer.bn.completeInstantiation()

    def call() -> list[float]:
        found = []
        for assignment in given:
            row.fromdict(assignment)
            found.append(math.log(2) * peer.bn.log2JointProbability(row))
        return found

    return Contender.repeating("peer", call, len(given))


def _sums_of_logs(network: BayesianNetwork, codes: np.ndarray) -> np.ndarray:
    """Log-probability of every row by look-ups in numpy, nats."""
    number = {name: v for v, name in enumerate(network.variables)}
    total = np.zeros(len(codes))
    for (name, v), table in zip(number.items(), tables_of(network), strict=True):
        scope = [*[number[p] for p in network.parents(name)], v]
        total += np.log(table[tuple(codes[:, scope].T)])
    return total


def _row(
    settings: Settings,
    what: str,
    kind: str,
    times: dict[str, Timing],
    target: float | None,
    errors: Sequence[float],
    items: int = 1,
) -> Row:
    """Milliseconds for all rows, beside the peer of this kind or of all kinds."""
    theirs = times.get(f"peer {kind}", times.get("peer"))
    return timed(
        f"{NETWORK}, {what}",
        "ms",
        times[kind].times(items),
        theirs and theirs.times(items),
        target=settings.target(target),
        right=max(errors) <= TOLERANCE,
        note="difference " + ", ".join([f"{error:.0e}" for error in errors]),
    )
