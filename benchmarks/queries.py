"""Queries other than all posteriors: the most probable state, and the evidence alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.peer import Peer
from benchmarks.report import MEASUREMENTS, Row, Section, measurement, timed
from benchmarks.settings import Settings
from benchmarks.timing import Contender
from pgm import BayesianNetwork

__all__ = ["section"]

#: Network -> milliseconds for the most probable state of all variables.
MOST_PROBABLE = {"alarm": 0.5, "munin": 300.0}
#: Where log_evidence is compared with all posteriors, and the largest accepted share.
LOG_EVIDENCE = ("alarm", "hailfinder", "andes", "munin")
SHARE = 0.6
TOLERANCE = 1e-9

NOTES = (
    "Warm: the object has answered the same query before; with e1, evidence in turns with another",
    "assignment to the same variables. Results are compared with the references where there are.",
    "peer: pyAgrum, evidenceProbability() of a fresh LazyPropagation, construction included (its",
    "mpe() fails on these networks, so it has no most probable state to compare).",
)


def section(settings: Settings) -> Section:
    """The table of this section."""
    return Section("Single queries", NOTES, MEASUREMENTS, _rows(settings))


def _rows(settings: Settings) -> Iterator[Row]:
    for name in settings.among(list(MOST_PROBABLE)):
        network = settings.load(name)
        for evidence in ("none", "e1"):
            yield _most_probable(settings, name, network, evidence)
    for name in settings.among(LOG_EVIDENCE):
        yield from _log_evidence(settings, name)


def _turns(
    settings: Settings, query: Callable[[Any], Any], assignments: list[dict[str, str]]
) -> Callable[[], list]:
    """A call of the query with each of the assignments."""
    return settings.waiting(lambda: [query(assignment) for assignment in assignments])


def _most_probable(settings: Settings, name: str, network: BayesianNetwork, evidence: str) -> Row:
    assignments = settings.data.assignments(network, name, evidence)
    call = _turns(settings, network.most_probable, assignments)
    timing = settings.time(Contender.repeating("ours", call, len(assignments)))["ours"]
    found = timing.first[0][1].item()
    known = settings.data.reference(name, evidence).get("log_mpe")
    return timed(
        f"{name} {evidence}, most_probable",
        "ms",
        timing,
        target=MOST_PROBABLE[name],
        right=_close(found, known),
        note=f"log-probability {found:.9f}",
    )


def _log_evidence(settings: Settings, name: str) -> Iterator[Row]:
    """Time of log_evidence, alone and as a share of all posteriors."""
    network = settings.load(name)
    assignments = settings.data.assignments(network, name, "e1")
    items = len(assignments)
    contenders = [
        Contender.repeating(
            "evidence", _turns(settings, network.log_evidence, assignments), items
        ),
        Contender.repeating("marginals", _turns(settings, network.marginals, assignments), items),
    ]
    if settings.gum is not None:
        contenders.append(_peer(Peer(settings.gum, network), assignments[0]))
    times = settings.time(*contenders)
    ours, both = times["evidence"], times["marginals"]
    found = times["evidence"].first[0].item()
    right = _close(found, settings.data.reference(name, "e1")["logpe"])
    what, note = f"{name} e1, log_evidence", f"log-probability {found:.9f}"
    yield timed(what, "ms", ours, times.get("peer"), right=right, note=note)
    yield measurement(
        f"{name} e1, log_evidence / all posteriors",
        ours.median / both.median,
        "",
        target=SHARE,
        right=right,
        note=f"all posteriors in {both.read('ms'):.3g} ms",
        timing=ours,
        beside=both,
    )


def _peer(peer: Peer, given: dict[str, str]) -> Contender:
    codes = peer.codes(given)

    def make() -> Callable[[], float]:
        keep: list[Any] = []

        def call() -> float:
            keep.append(peer.gum.LazyPropagation(peer.bn))
            keep[-1].setEvidence(codes)
            return keep[-1].evidenceProbability()

        return call

    return Contender("peer", make)


def _close(found: float, known: float | None) -> bool:
    return known is None or math.isclose(found, known, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
