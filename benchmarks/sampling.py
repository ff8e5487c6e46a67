"""Exact independent samples, with and without evidence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from benchmarks.peer import Peer
from benchmarks.report import MEASUREMENTS, Row, Section, timed
from benchmarks.settings import Settings
from benchmarks.timing import Contender
from pgm import BayesianNetwork

__all__ = ["section"]

NETWORK = "alarm"
ROWS = 1_000_000
PEER_ROWS = 100_000
#: Rows per second.
FORWARD = 4e6
POSTERIOR = 2e6
#: Largest accepted deviation of a frequency, in standard errors.
DEVIATION = 6.0

NOTES = (
    f"Rows per second of sample({ROWS:,}), {NETWORK}, into an int64 tensor on the device.",
    f"peer: pyAgrum's BNDatabaseGenerator.drawSamples({PEER_ROWS:,}), rows left inside it.",
    "More is better. The note compares the frequency of every state with its exact probability.",
)


def section(settings: Settings) -> Section:
    """The table of this section."""
    return Section("Sampling", NOTES, MEASUREMENTS, _rows(settings))


def _rows(settings: Settings) -> Iterator[Row]:
    for name in settings.among([NETWORK]):
        network = settings.load(name)
        given = settings.data.given(name, "e1")
        yield _row(settings, network, "forward", {}, FORWARD)
        yield _row(settings, network, "posterior given e1", given, POSTERIOR)


def _row(
    settings: Settings,
    network: BayesianNetwork,
    what: str,
    given: Mapping[str, str],
    target: float,
) -> Row:
    rows, few = settings.rows(ROWS), settings.rows(PEER_ROWS)

    draw = settings.waiting(lambda: network.sample(rows, given, generator=0))
    contenders = [Contender.repeating("ours", draw, rows)]
    if settings.gum is not None and not given:
        bn = Peer(settings.gum, network).bn
        generator = settings.gum.BNDatabaseGenerator(bn)
        contenders.append(Contender.repeating("peer", lambda: generator.drawSamples(few), few))
    times = settings.time(*contenders)
    worst = _deviation(network, times["ours"].first.cpu().numpy(), given)
    return timed(
        f"{NETWORK}, {what}",
        "rows/s",
        times["ours"],
        times.get("peer"),
        target=settings.target(target),
        right=worst <= DEVIATION,
        note=f"worst frequency off by {worst:.1f} standard errors",
    )


def _deviation(network: BayesianNetwork, codes: np.ndarray, given: Mapping[str, str]) -> float:
    """Largest deviation of a state's frequency, in standard errors; inf for impossible states."""
    deviations = []
    for column, probabilities in zip(codes.T, network.marginals(given).values(), strict=True):
        p = probabilities.cpu().numpy()
        frequency = np.bincount(column, minlength=len(p)) / len(column)
        error = np.sqrt(np.maximum(p * (1 - p), 0) / len(column))
        # A certain or impossible state may be off by rounding, not by one draw.
        error = np.maximum(error, 1e-2 / len(column))
        deviations.append((np.abs(frequency - p) / error).max())
    return float(np.max(deviations))
