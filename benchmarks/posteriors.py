"""All posteriors of one query, against pyAgrum's better engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch

from benchmarks.data import rebuilt
from benchmarks.peer import Peer
from benchmarks.report import Column, Row, Section, verdict
from benchmarks.settings import Settings
from benchmarks.targets import POSTERIORS, Target
from benchmarks.timing import Contender, Timing
from pgm import BayesianNetwork

__all__ = ["section"]

EVIDENCE = ("none", "e1")
ENGINES = {"lazy": "LazyPropagation", "ve": "VariableElimination"}
#: Minutes and gigabytes for the junction tree of everything.
LAZY_IS_SLOW = ("munin1", "link")
#: Does not finish in reasonable time on these.
VE_NEVER_ENDS = ("diabetes", "munin", "munin2", "munin3", "munin4")
#: Largest accepted difference of two exact float64 results.
TOLERANCE = 1e-9

NOTES = (
    "Milliseconds for the posterior of every variable, observed ones included.",
    "cold    first marginals(evidence) of a network object; building the object is not timed",
    "strict  cold, but the object's tables were just written to: what its constructor prepares",
    "        for queries, and its checks of the tables, are done again under the clock; no target",
    "warm    the same call again, with e1 in turns with another assignment to its variables",
    "lazy    pyAgrum: construct LazyPropagation, setEvidence, makeInference, posterior of every",
    "        variable into numpy; evidence given as numbers, which is quickest there",
    "VE      the same with VariableElimination",
    "reused  one LazyPropagation: eraseAllEvidence, setEvidence, makeInference, read; in turns",
    "        with the other assignment; for comparison only",
    "spread  of cold, of warm, and of the faster of lazy and VE",
    "Ours takes a dictionary of labels and gives a dictionary of tensors. Ratios are to the",
    "faster of lazy and VE. error: largest difference to the references and to pyAgrum.",
)
COLUMNS = (
    Column("network", "network", -11),
    Column("evidence", "", -4),
    Column("cold", "cold", 8),
    Column("cold_spread", "spread", 6, percent=True),
    Column("strict", "strict", 8),
    Column("warm", "warm", 8),
    Column("warm_spread", "spread", 6, percent=True),
    Column("lazy", "lazy", 8),
    Column("ve", "VE", 8),
    Column("best_spread", "spread", 6, percent=True),
    Column("reused", "reused", 8),
    Column("strict_ratio", "strict/best", 11),
    Column("cold_ratio", "cold/best", 9),
    Column("cold_target", "target", 6),
    Column("warm_ratio", "warm/best", 9),
    Column("warm_target", "target", 6),
    Column("error", "error", 7),
    Column("verdict", "", -14),
)


def section(settings: Settings) -> Section:
    """The table of this section."""
    return Section("All posteriors", NOTES, COLUMNS, _rows(settings))


def _rows(settings: Settings) -> Iterator[Row]:
    for name in settings.networks:
        network = settings.load(name)
        peer = None if settings.gum is None else Peer(settings.gum, network)
        for evidence, target in zip(EVIDENCE, POSTERIORS[name], strict=True):
            yield _row(settings, name, network, peer, evidence, target)


def _row(
    settings: Settings,
    name: str,
    network: BayesianNetwork,
    peer: Peer | None,
    evidence: str,
    target: Target,
) -> Row:
    assignments = settings.data.assignments(network, name, evidence)
    contenders = _ours(settings, network, assignments)
    if peer is not None:
        skipped = _skipped(name, settings.slow)
        contenders += _theirs(peer, assignments, skipped)
    times = settings.time(*contenders)
    reference = settings.data.reference(name, evidence)["posterior"]
    row: Row = {"what": f"{name} {evidence}", "network": name, "evidence": evidence}
    row |= {key: 1e3 * timing.median for key, timing in times.items()}
    row |= {f"{key}_spread": times[key].spread for key in ("cold", "warm")}
    best = min([key for key in ENGINES if key in times], key=row.__getitem__, default=None)
    row["best_spread"] = None if best is None else times[best].spread
    row |= _judged(row, target, _error(network, times, reference))
    # What a list of misses shows: the query that missed.
    kind = "warm" if row["verdict"] == "MISS warm" else "cold"
    row |= {"measured": row[kind], "unit": "ms", "ratio": row[f"{kind}_ratio"]}
    row["peer"] = None if best is None else row[best]
    row["target"] = None if best is None else row[f"{kind}_target"] * row[best]
    row["samples"] = {key: timing.samples for key, timing in times.items()}
    return row


def _ours(
    settings: Settings, network: BayesianNetwork, assignments: list[dict[str, str]]
) -> list[Contender]:
    """Build ours: the first query of new objects, and later ones of one object."""

    def query(asked: BayesianNetwork, given: dict[str, str]) -> dict[str, torch.Tensor]:
        found = asked.marginals(given)
        settings.wait()
        return found

    def fresh() -> BayesianNetwork:
        found = rebuilt(network)
        # Moving an object, even to where it is, may undo what its constructor has prepared.
        return found if settings.device == "cpu" else found.to(settings.device)

    def cold() -> Callable[[], Any]:
        return partial(query, fresh(), assignments[0])

    def strict() -> Callable[[], Any]:
        written = fresh()
        with torch.no_grad():
            written.values.mul_(1.0)
        return partial(query, written, assignments[0])

    known = fresh()

    def warm() -> None:
        for assignment in assignments:
            query(known, assignment)

    return [
        Contender("cold", cold),
        Contender("strict", strict),
        Contender.repeating("warm", warm, items=len(assignments)),
    ]


def _skipped(name: str, slow: bool) -> set[str]:
    """Name pyAgrum's contenders that are not worth the wait on this network."""
    skipped = {"ve"} if name in VE_NEVER_ENDS else set()
    return skipped | {"lazy", "reused"} if name in LAZY_IS_SLOW and not slow else skipped


def _theirs(peer: Peer, assignments: list[dict[str, str]], skipped: set[str]) -> list[Contender]:
    """Build pyAgrum's contenders: fresh engines and, with evidence to change, a reused one."""
    codes = [peer.codes(assignment) for assignment in assignments]

    def fresh(engine: str) -> Callable[[], Callable[[], Any]]:
        def make() -> Callable[[], Any]:
            keep: list[Any] = []
            return lambda: peer.fresh(engine, codes[0], keep)

        return make

    found = [Contender(key, fresh(engine)) for key, engine in ENGINES.items()]
    if len(codes) > 1:
        engine = peer.gum.LazyPropagation(peer.bn)

        def reused() -> None:
            for code in codes:
                peer.reused(engine, code)

        found.append(Contender.repeating("reused", reused, items=len(codes)))
    return [contender for contender in found if contender.name not in skipped]


def _error(
    network: BayesianNetwork, times: Mapping[str, Timing], reference: Mapping[str, list[float]]
) -> float:
    """Largest difference of our first answer to the references and to pyAgrum's engines."""
    ours = {name: values.cpu().numpy() for name, values in times["cold"].first.items()}
    differences = [np.abs(ours[name] - values).max() for name, values in reference.items()]
    for engine in ENGINES:
        if engine in times:
            pairs = zip(network.variables, times[engine].first, strict=True)
            differences += [np.abs(ours[name] - values).max() for name, values in pairs]
    return float(np.max(differences))


def _judged(row: Row, target: Target, error: float) -> Row:
    """Ratios, targets and what follows from them."""
    best = min([row[key] for key in ENGINES if key in row], default=None)
    ratios = {key: None if best is None else row[key] / best for key in ("cold", "warm", "strict")}
    missed = [
        key
        for key, limit in (("cold", target.cold), ("warm", target.warm))
        if best is not None and verdict(row[key] / best, limit) == "MISS"
    ]
    judgement = "" if best is None else f"MISS {'+'.join(missed)}" if missed else "ok"
    return {
        "cold_ratio": ratios["cold"],
        "cold_target": target.cold,
        "warm_ratio": ratios["warm"],
        "warm_target": target.warm,
        "strict_ratio": ratios["strict"],
        "error": error,
        "verdict": judgement if error <= TOLERANCE else "WRONG",
    }
