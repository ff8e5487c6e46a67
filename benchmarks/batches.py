"""Many rows at once, each with its own pattern of missing entries."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.data import rebuilt
from benchmarks.peer import Peer
from benchmarks.report import MEASUREMENTS, Row, Section, timed
from benchmarks.settings import Settings
from benchmarks.timing import Contender
from pgm import BayesianNetwork

__all__ = ["section"]

#: Network -> target in milliseconds per row.
TARGETS = {"alarm": 0.01, "win95pts": 0.03, "hailfinder": 0.06}
ROWS = 1000
ROWS_ON_GPU = 100_000
PEER_ROWS = 50
TOLERANCE = 1e-9

NOTES = (
    f"Milliseconds per row for the posteriors of all variables, float64; {ROWS:,} rows drawn from",
    "the network (seeded), half of the entries of each missing at random.",
    "warm        one marginals() call over all rows, from a dictionary of int64 columns in host",
    "            memory to a dictionary of tensors",
    "first call  the same on a network object that has answered nothing before",
    f"peer        pyAgrum, {PEER_ROWS} of the rows in a loop on one LazyPropagation:",
    "            eraseAllEvidence, setEvidence, makeInference, every posterior into numpy",
)

Codes = np.ndarray


def section(settings: Settings) -> Section:
    """The table of this section."""
    return Section("Batches of rows", NOTES, MEASUREMENTS, _rows(settings))


def _rows(settings: Settings) -> Iterator[Row]:
    for name in settings.among(list(TARGETS)):
        network = settings.load(name)
        peer = None if settings.gum is None else Peer(settings.gum, network)
        yield from _measured(settings, name, network, peer)
        if settings.device == "cuda":
            yield _large(settings, name, network)


def incomplete_rows(network: BayesianNetwork, n: int, seed: int = 0) -> Codes:
    """Draws from the network with half of the entries missing (-1)."""
    codes = network.sample(n, generator=seed).cpu().numpy()
    return np.where(np.random.default_rng(seed).random(codes.shape) < 0.5, -1, codes)


def _columns(network: BayesianNetwork, codes: Codes) -> dict[str, np.ndarray]:
    return dict(zip(network.variables, np.ascontiguousarray(codes.T), strict=True))


def _query(settings: Settings, network: BayesianNetwork, codes: Codes) -> Callable[[], Any]:
    """A call of marginals() over all rows."""
    evidence = _columns(network, codes)
    return settings.waiting(lambda: network.marginals(evidence))


def _loop(peer: Peer, codes: Codes) -> Contender:
    """pyAgrum, row by row."""
    given = [{v: int(c) for v, c in enumerate(row) if c >= 0} for row in codes[:PEER_ROWS]]
    engine = peer.gum.LazyPropagation(peer.bn)
    return Contender.repeating(
        "peer", lambda: [peer.reused(engine, row) for row in given], len(given)
    )


def _measured(
    settings: Settings, name: str, network: BayesianNetwork, peer: Peer | None
) -> Iterator[Row]:
    """The standard batch, warm and from nothing."""
    codes = incomplete_rows(network, settings.rows(ROWS))
    n = len(codes)

    def first() -> Callable[[], Any]:
        return _query(settings, rebuilt(network).to(settings.device), codes)

    contenders = [
        Contender.repeating("warm", _query(settings, network, codes), n),
        Contender("first", first, n),
    ]
    if peer is not None:
        contenders.append(_loop(peer, codes))
    times = settings.time(*contenders)
    right, note = True, ""
    if peer is not None:
        error = _error(network, times["warm"].first, times["peer"].first)
        right, note = error <= TOLERANCE, f"difference to the peer {error:.0e}"
    theirs, target = times.get("peer"), settings.target(TARGETS[name])
    warm = times["warm"]
    yield timed(f"{name}, warm", "ms/row", warm, theirs, target=target, right=right, note=note)
    yield timed(f"{name}, first call", "ms/row", times["first"], theirs)


def _error(network: BayesianNetwork, ours: dict[str, Any], theirs: list) -> float:
    """Largest difference over the rows that both have answered."""
    differences = [
        np.abs(ours[name][row].cpu().numpy() - values).max()
        for row, answer in enumerate(theirs)
        for name, values in zip(network.variables, answer, strict=True)
    ]
    return float(np.max(differences))


def _large(settings: Settings, name: str, network: BayesianNetwork) -> Row:
    """A batch that fills a GPU."""
    codes = incomplete_rows(network, ROWS_ON_GPU)
    query = _query(settings, network, codes)
    timing = settings.time(Contender.repeating("warm", query, ROWS_ON_GPU))["warm"]
    return timed(f"{name}, warm, {ROWS_ON_GPU:,} rows", "ms/row", timing)
