"""Loopy belief propagation: time per iteration on large grids, error where truth is known."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.peer_pgmax import PGMax
from benchmarks.report import MEASUREMENTS, Row, Section, measurement, timed
from benchmarks.settings import Settings
from benchmarks.timing import Contender, Timing
from inference import Factor, FactorGraph
from inference.approximate import (
    ApproximateResult,
    ConvergenceWarning,
    IsingGrid,
    PairwiseArrays,
    belief_propagation,
    tree_reweighted,
)
from inference.approximate.belief_propagation import fastest_messages
from inference.approximate.log_messages import LogMessages
from inference.approximate.pairwise import pose
from pgm.formats import read_markov, read_uai_evidence

__all__ = ["section"]

SIDE = 300
#: Iterations of the shorter and of the longer run whose difference is timed.
FEW, MANY = 10, 60
#: Milliseconds per iteration: the grid, edges with couplings, tables of 2 and of 10 states.
GRID, EDGES, TABLES = 0.6, 2.0, {2: 4.0, 10: 25.0}
#: Seconds to build and pose the model.
BUILD = 0.2
#: Largest accepted difference to the peer's float32 beliefs after the same iterations.
TOLERANCE = 1e-4
COUPLINGS = (0.3, 0.6, 1.0)
PROBLEMS = (
    "Alchemy_11", "CSP_12", "DBN_11", "Grids_12", "Promedus_13", "Promedus_21", "Promedus_24",
    "Promedus_30", "Promedus_32", "Segmentation_11",
)  # fmt: skip

NOTES = (
    f"{SIDE} x {SIDE} variables, {2 * SIDE * (SIDE - 1):,} couplings, float32, all messages at",
    f"once, undamped. Milliseconds per iteration: a run of {MANY} less a run of {FEW}.",
    "grid        spins on IsingGrid, the planes of a grid",
    "edges       the same spins on PairwiseArrays, any list of edges",
    "tables      another q x q table on every edge",
    "build       seconds of making the model, with its checks, and of its messages' arrays",
    "peer: PGMax, the same tables; its build excludes compilation. Beliefs must be the same",
    "10 x 10     spins, fields 0.3 N(0, 1), couplings of the given size times N(0, 1), float64:",
    "            error of marginals and of log Z to exact elimination; TRW is an upper bound",
    "UAI         problems of the 2014 competition: largest and mean error of marginals, and of",
    "            log10 Z, to exact elimination",
)


def section(settings: Settings) -> Section:
    """The table of this section."""
    return Section("Loopy belief propagation", NOTES, MEASUREMENTS, _rows(settings))


def _rows(settings: Settings) -> Iterator[Row]:
    yield from _spins(settings)
    for q, target in TABLES.items():
        yield from _tables(settings, q, target)
    if settings.device == "cpu" and settings.most_rows is None:
        for scale in COUPLINGS:
            yield from _against_exact(f"10 x 10, couplings {scale}", *_small_grid(scale))
        for name in PROBLEMS:
            path = settings.data.folder / "data" / "uai" / f"{name}.uai"
            if path.is_file():
                yield from _against_exact(f"UAI {name}", *_problem(path), bound=False)


# Speed ---------------------------------------------------------------------------------------


def _run(model: IsingGrid | PairwiseArrays, iterations: int) -> ApproximateResult[Tensor]:
    """Exactly so many iterations."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return belief_propagation(model, damping=0.0, max_iterations=iterations, tolerance=0.0)


def _build(model: IsingGrid | PairwiseArrays) -> object:
    """All that comes before the first message."""
    problem = pose(model, None)
    return fastest_messages(problem, problem.model, LogMessages(problem.model))


def _spins(settings: Settings) -> Iterator[Row]:
    """Spins on a grid, as a grid and as a list of edges."""
    draws = torch.Generator().manual_seed(0)
    side = settings.rows(SIDE)
    shapes = (side, side), (side, side - 1), (side - 1, side)
    arrays = [0.3 * torch.randn(shape, generator=draws).to(settings.device) for shape in shapes]
    grid = IsingGrid(*arrays)
    pairs = grid.pairwise()
    peer = _peer(settings, pairs)
    for what, make, target in (
        ("grid", lambda: IsingGrid(*arrays), GRID),
        (
            "edges",
            lambda: PairwiseArrays(pairs.log_unary, pairs.edges, pairs.log_tables),
            EDGES,
        ),
    ):
        yield from _model_rows(settings, f"spins, {what}", make, target, peer)


def _tables(settings: Settings, q: int, target: float) -> Iterator[Row]:
    """Tables of their own on all edges."""
    draws = torch.Generator().manual_seed(q)
    zeros = torch.zeros
    side = settings.rows(SIDE)
    edges = IsingGrid(zeros(side, side), zeros(side, side - 1), zeros(side - 1, side)).edges()
    unary = 0.3 * torch.randn((side * side, q), generator=draws)
    tables = 0.3 * torch.randn((len(edges), q, q), generator=draws)
    arrays = [x.to(settings.device) for x in (unary, edges, tables)]
    peer = _peer(settings, PairwiseArrays(*arrays))
    yield from _model_rows(
        settings, f"tables, {q} states", lambda: PairwiseArrays(*arrays), target, peer
    )


def _peer(settings: Settings, pairs: PairwiseArrays) -> tuple[PGMax, float] | None:
    """PGMax's model and the seconds that it took to build it."""
    if not settings.peers or not PGMax.installed():
        return None
    side = settings.rows(SIDE)
    unary = pairs.log_unary.reshape(side, side, -1).numpy()
    built = settings.once(lambda: PGMax(unary, pairs.edges.numpy(), pairs.log_tables.numpy()))
    return built.first, built.median


def _model_rows(
    settings: Settings,
    what: str,
    make: Callable[[], IsingGrid | PairwiseArrays],
    target: float,
    peer: tuple[PGMax, float] | None,
) -> Iterator[Row]:
    """Time per iteration and to build."""
    model = make()

    contenders = [
        Contender.repeating(f"ours {n}", settings.waiting(partial(_run, model, n)))
        for n in (FEW, MANY)
    ]
    contenders.append(Contender.repeating("ours, build", lambda: _build(make())))
    if peer is not None:
        contenders += [
            Contender.repeating(f"peer {n}", peer[0].iterations(n)) for n in (FEW, MANY)
        ]
    times = settings.time(*contenders)

    def per_iteration(who: str) -> Timing:
        return times[f"{who} {MANY}"].less(times[f"{who} {FEW}"], MANY - FEW)

    ours, theirs = per_iteration("ours"), None
    error = None
    if peer is not None:
        theirs = per_iteration("peer")
        beliefs = peer[0].marginals(theirs.first)
        found = ours.first.marginals.cpu().numpy()
        error = float(np.abs(found.reshape(beliefs.shape) - beliefs).max())
    yield timed(
        f"{what}, one iteration",
        "ms",
        ours,
        theirs,
        target=settings.target(target),
        right=error is None or error <= TOLERANCE,
        note="" if error is None else f"difference of beliefs {error:.0e}",
    )
    yield measurement(
        f"{what}, build",
        times["ours, build"].median,
        "s",
        target=settings.target(BUILD),
        peer=None if peer is None else peer[1],
        timing=times["ours, build"],
    )


# Error ---------------------------------------------------------------------------------------


def _small_grid(scale: float) -> tuple[FactorGraph, dict[str, int]]:
    """Spins on a 10 x 10 grid."""
    draws = np.random.default_rng(7)
    side, signs = 10, np.array([-1.0, 1.0])
    name = {(r, c): f"{r},{c}" for r in range(side) for c in range(side)}
    factors = [Factor([n], 0.3 * draws.normal() * signs) for n in name.values()]
    for (r, c), first in name.items():
        for second in (name.get((r, c + 1)), name.get((r + 1, c))):
            if second is not None:
                table = scale * draws.normal() * np.outer(signs, signs)
                factors.append(Factor([first, second], table))
    return FactorGraph(dict.fromkeys(name.values(), 2), factors), {}


def _problem(path: Path) -> tuple[FactorGraph, dict[str, int]]:
    """A competition problem and its evidence."""
    tables = read_markov(path)
    cards = {str(v): card for v, card in enumerate(tables.cardinalities)}
    factors = [
        Factor.from_potential([str(v) for v in scope], table)
        for scope, table in zip(tables.scopes, tables.tables, strict=True)
    ]
    evidence = {str(v): state for v, state in read_uai_evidence(f"{path}.evid").items()}
    return FactorGraph(cards, factors), evidence


def _against_exact(
    what: str, graph: FactorGraph, evidence: dict[str, int], bound: bool = True
) -> Iterator[Row]:
    """Errors of one model, where propagation ended, settled or not."""
    exact = graph.marginals(evidence)
    log_z = float(graph.log_partition(evidence))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = belief_propagation(graph, evidence, max_iterations=2000)
        upper = tree_reweighted(graph, evidence) if bound else None
    errors = torch.cat([(found.marginals[name] - p).abs() for name, p in exact.items()])
    settled = "settled" if bool(found.converged) else f"residual {float(found.residual):.0e}"
    off = (float(found.log_partition) - log_z) / math.log(10)
    note = f"mean {float(errors.mean()):.1e}; log10 Z {off:+.3g} of {log_z / math.log(10):.6g}"
    if upper is not None:
        note += f", TRW {(float(upper.log_partition) - log_z) / math.log(10):+.3g}"
    yield measurement(
        f"{what}, largest error",
        float(errors.max()),
        "",
        right=upper is None or float(upper.log_partition) >= log_z,
        note=f"{note}; {settled} after {found.iterations}",
    )
