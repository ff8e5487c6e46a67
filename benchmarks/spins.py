"""Spins and memories: sweeps, searches for cuts, clusters, tempering, recall, diagnostics."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from functools import partial
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import torch

from benchmarks.bars_and_stripes import bars_against_stripes, trained_law
from benchmarks.peer_dwave import Dwave
from benchmarks.peer_thrml import Thrml
from benchmarks.report import MEASUREMENTS, Row, Section, measurement, timed
from benchmarks.settings import Settings
from benchmarks.timing import Contender
from energy import HopfieldNetwork, IsingModel
from energy.hopfield.capacity import overlap_after_recall
from energy.ising.onsager import CRITICAL_BETA
from inference import (
    ess_bulk,
    ess_tail,
    mcse,
    parallel_tempering,
    rhat,
    sample_chain,
    simulated_annealing,
)
from inference.sampling.observers import Function, Trace

__all__ = ["section"]

SIDE, BETA, CHAINS, SWEEPS = 100, 0.44, 32, 50
#: How many times a peer's sweeps per second.
TIMES_THRML, TIMES_DWAVE = 3.0, 5.0

SEARCH_SWEEPS, FEW_SWEEPS, SEEDS, CPU_SHARE = 1000, 500, 3, 0.7
GRAPHS = ("G1", "G22", "G51")

CRITICAL_SIDE, CRITICAL_CHAINS, CLUSTER_TIMES = 64, 16, 5.0
CLUSTER_STEPS, SINGLE_STEPS = 1000, 20_000

TEMPERING_CHAINS, TEMPERATURES, TEMPERING_TIMES = 16, 16, 4.0
TEMPERING_DRAWS, GIBBS_DRAWS = 4000, 16_000
WARMUP = 200
#: Of slow chains not every step is looked at, which would cost as much as the step.
THIN = 10

MEMORY = (2000, 200, 200)
RECALL_SECONDS, STUDY_SECONDS, DIAGNOSTIC_SECONDS = 0.12, 30.0, 2.0

NOTES = (
    f"sweeps       heat-bath sweeps a second of {CHAINS} chains on the {SIDE} x {SIDE} torus at",
    f"             beta = {BETA}, through IsingModel.kernel() of a general sparse graph; of roof:",
    "             every unit read and written once, at the rate of a copy",
    f"cut          seconds of simulated_annealing() with its defaults, {SEARCH_SWEEPS} sweeps and",
    f"             {CHAINS} chains; mean and best cut over {SEEDS} seeds beside the peer's, whose",
    "             temperatures are its own; a lower mean is WRONG. Random graphs have normal or",
    f"             whole weights; the former also with {FEW_SWEEPS} sweeps of ours: the peer's",
    "             sweeps are fast where it is too cold for anything to move",
    "clusters     effective draws a second of |m| at the critical point of the torus of side",
    f"             {CRITICAL_SIDE}, {CRITICAL_CHAINS} chains: Swendsen-Wang, against single spins",
    f"tempering    effective draws a second of bars against stripes, RBM 16 x 12, {TEMPERATURES}",
    f"             temperatures, {TEMPERING_CHAINS} chains, against plain Gibbs; weights as they",
    "             were learned, and x 1.5",
    f"recall       {MEMORY[0]} units, {MEMORY[1]} patterns, {MEMORY[2]} cues, a tenth of their",
    "             units flipped; asynchronous, until every cue is at a fixed point",
    "capacity     the study of 1,000 units, 20 loads, 10 trials of 20 cues",
    "diagnostics  R-hat, bulk and tail ESS and MCSE of 4 chains x 1,000 draws x 1,000 dimensions",
    "peers: thrml, dwave-samplers and ArviZ, one thread each",
)


class Graph(NamedTuple):
    """A graph to be cut."""

    name: str
    n: int
    edges: np.ndarray
    weights: np.ndarray


def section(settings: Settings) -> Section:
    """The table of this section."""
    return Section("Spins and memories", NOTES, MEASUREMENTS, _rows(settings))


def _rows(settings: Settings) -> Iterator[Row]:
    yield from _sweeps(settings)
    for graph in _graphs(settings):
        yield _cut(settings, graph, SEARCH_SWEEPS)
        if graph.name.startswith("normal"):
            yield _cut(settings, graph, FEW_SWEEPS)
    yield _clusters(settings)
    for scale in (1.0, 1.5):
        yield _tempering(settings, scale)
    yield _recall(settings)
    if settings.device == "cpu":
        yield _capacity(settings)
        yield _diagnostics(settings)


def _sweeps(settings: Settings) -> Iterator[Row]:
    """Sweeps a second on a lattice."""
    model = IsingModel.lattice((SIDE, SIDE), beta=BETA).to(settings.device)
    kernel = model.kernel()
    generator = torch.Generator(settings.device).manual_seed(0)
    start = kernel.init(2.0 * torch.randint(0, 2, (CHAINS, SIDE**2)) - 1)

    def ours() -> Any:
        state = start
        for _ in range(SWEEPS):
            state = kernel.step(state, generator)
        settings.wait()
        return kernel.position(state)

    contenders = [Contender.repeating("ours", ours, SWEEPS)]
    if settings.peers and Thrml.installed():
        theirs = Thrml(SIDE, BETA, CHAINS).sweeps(SWEEPS)
        contenders.append(Contender.repeating("thrml", theirs, SWEEPS))
    if settings.peers and Dwave.installed():
        edges = model.edges.cpu().numpy()
        peer = Dwave(edges, -np.ones(len(edges)))
        for rule in ("Metropolis", "Gibbs"):
            call = partial(peer.sweeps, BETA, SWEEPS, CHAINS, rule)
            contenders.append(Contender.repeating(f"dwave {rule}", call, SWEEPS))
    times = settings.time(*contenders)
    own, units = times.pop("ours"), CHAINS * SIDE**2
    # Every unit, in single precision, is read and written at least once.
    floor = settings.floor("copy", 8 * units, own.median)
    note = f"{units / own.median / 1e6:.0f} M spins/s"
    yield timed("sweeps", "1/s", own, note=note, floor=floor)
    targets = {"thrml": TIMES_THRML, "dwave Metropolis": TIMES_DWAVE, "dwave Gibbs": TIMES_DWAVE}
    for name, theirs in times.items():
        target = targets[name] * theirs.read("1/s")
        yield timed(f"sweeps (peer: {name})", "1/s", own, theirs, target=target)


def _graphs(settings: Settings) -> Iterator[Graph]:
    """Published graphs where they are at hand, and random ones with weights."""
    folder = settings.data.folder / "data" / "gset"
    for name in GRAPHS:
        if (path := folder / f"{name}.txt").exists():
            model = IsingModel.from_max_cut(path)
            weights = -model.couplings.data.numpy()
            yield Graph(name, model.n_units, model.edges.numpy(), weights)
    draws = np.random.default_rng(0)
    for n, degree in ((800, 12), (1500, 6)):
        chosen = draws.choice(n * (n - 1) // 2, n * degree // 2, replace=False)
        edges = np.stack(np.triu_indices(n, 1), axis=1)[chosen]
        yield Graph(f"normal, {n}, degree {degree}", n, edges, draws.normal(size=len(edges)))
        whole = draws.integers(1, 11, size=len(edges)).astype(float)
        yield Graph(f"1 to 10, {n}, degree {degree}", n, edges, whole)


def _cut(settings: Settings, graph: Graph, sweeps: int) -> Row:
    """Annealing, time and quality."""
    model = IsingModel.from_edges(graph.n, graph.edges, -graph.weights).to(settings.device)
    total, most = graph.weights.sum(), settings.rows(SEARCH_SWEEPS)

    def ours(seed: int) -> np.ndarray:
        found = simulated_annealing(
            model, sweeps=settings.rows(sweeps), chains=CHAINS, generator=seed, progress=False
        )
        return (total - found.energy.cpu().numpy()) / 2

    contenders = [Contender.repeating("ours", partial(ours, 0))]
    peer = None
    if settings.peers and Dwave.installed():
        peer = Dwave(graph.edges, graph.weights)
        call = partial(peer.energies, most, CHAINS, 0)
        contenders.append(Contender.repeating("dwave", call))
    times = settings.time(*contenders)
    cuts = np.stack([ours(seed) for seed in range(SEEDS)])
    note = f"mean {cuts.mean():,.1f}, best {cuts.max():,.1f}"
    label = f"cut {graph.name}" + (f", {sweeps} sweeps" if sweeps != SEARCH_SWEEPS else "")
    if peer is None:
        return timed(label, "s", times["ours"], note=note)
    energies = [peer.energies(most, CHAINS, seed) for seed in range(SEEDS)]
    theirs = (total - np.stack(energies)) / 2
    return timed(
        f"{label} (peer: dwave)",
        "s",
        times["ours"],
        times["dwave"],
        target=settings.target(CPU_SHARE * times["dwave"].median),
        right=settings.most_rows is not None or cuts.mean() >= theirs.mean(),
        note=f"{note}; peer {theirs.mean():,.1f}, {theirs.max():,.1f}",
    )


def _effective(run: Callable[[], Any]) -> tuple[float, float]:
    """Effective draws a second of the figure that a run returns, (chain, draw), and how many."""
    began = perf_counter()
    figure = run()
    seconds = perf_counter() - began
    size = float(ess_bulk(figure))
    return size / seconds, size


def _traced(
    kernel: Any, start: Any, figure: Function, draws: int, thin: int, warmup: int = 0
) -> torch.Tensor:
    """A figure of every draw of some chains, (chain, draw)."""
    found = sample_chain(
        kernel,
        start,
        draws=draws,
        thin=thin,
        warmup=warmup,
        observers={"figure": Trace(figure)},
        keep=False,
        generator=1,
        progress=False,
    )
    return found.observed["figure"]


def _clusters(settings: Settings) -> Row:
    """Cluster moves against single spins, at the critical point."""
    n = CRITICAL_SIDE**2
    model = IsingModel.lattice((CRITICAL_SIDE, CRITICAL_SIDE), beta=CRITICAL_BETA)
    model = model.to(settings.device)
    clusters, single = model.kernel("clusters"), model.kernel()
    warm = sample_chain(
        clusters,
        torch.ones(CRITICAL_CHAINS, n),
        draws=1,
        warmup=settings.rows(WARMUP),
        generator=0,
        progress=False,
    ).values[:, -1]

    def magnetization(spins: torch.Tensor) -> torch.Tensor:
        return spins.mean(1).abs()

    steps, sweeps = settings.rows(CLUSTER_STEPS), settings.rows(SINGLE_STEPS)
    ours, size = _effective(partial(_traced, clusters, warm, magnetization, steps, 1))
    slow = partial(_traced, single, warm, magnetization, sweeps // THIN, THIN)
    theirs, few = _effective(slow)
    return measurement(
        "clusters (peer: single spins)",
        ours,
        "1/s",
        target=settings.target(CLUSTER_TIMES * theirs),
        peer=theirs,
        more=True,
        note=f"{size:.0f} in {steps * CRITICAL_CHAINS:,} steps, "
        f"{few:.0f} in {sweeps * CRITICAL_CHAINS:,}",
    )


def _tempering(settings: Settings, scale: float) -> Row:
    """Replicas at many temperatures against plain Gibbs sampling."""
    law, score = trained_law(scale)
    draws, sweeps = settings.rows(TEMPERING_DRAWS), settings.rows(GIBBS_DRAWS)

    def tempered() -> torch.Tensor:
        found = parallel_tempering(
            law,
            betas=ladder,
            draws=draws,
            chains=TEMPERING_CHAINS,
            warmup=settings.rows(WARMUP),
            generator=1,
            progress=False,
        )
        return bars_against_stripes(found.samples)

    def plain() -> torch.Tensor:
        start = law.start(TEMPERING_CHAINS, torch.Generator().manual_seed(0))
        warmup = settings.rows(WARMUP)
        return _traced(law.at(1.0), start, bars_against_stripes, sweeps // THIN, THIN, warmup)

    tuned = parallel_tempering(
        law, betas=TEMPERATURES, draws=1, chains=TEMPERING_CHAINS, generator=0, progress=False
    )
    ladder = tuned.betas
    ours, size = _effective(tempered)
    theirs, few = _effective(plain)
    return measurement(
        f"tempering, weights x {scale:g} (peer: Gibbs)",
        ours,
        "1/s",
        target=settings.target(TEMPERING_TIMES * theirs),
        peer=theirs,
        more=True,
        note=f"{score:.2f} nats; {size:.0f} in {draws * TEMPERING_CHAINS:,} steps, "
        f"{few:.0f} in {sweeps * TEMPERING_CHAINS:,}",
    )


def _recall(settings: Settings) -> Row:
    """Cues to fixed points."""
    n, stored, count = MEMORY
    generator = torch.Generator().manual_seed(0)
    patterns = 2.0 * torch.randint(0, 2, (stored, n), generator=generator) - 1
    flips = torch.rand((count, n), generator=generator) < 0.1
    cues = torch.where(flips, -patterns[:count], patterns[:count]).to(settings.device)
    network = HopfieldNetwork(n).store(patterns).to(settings.device)
    times = settings.time(Contender.repeating("ours", lambda: network.recall(cues, generator=1)))
    found = times["ours"].first
    overlap = (found.state.cpu() * patterns[:count]).mean()
    return timed(
        "recall",
        "s",
        times["ours"],
        target=settings.target(RECALL_SECONDS),
        right=bool(found.converged.all()) and abs(float(overlap) - 0.998) < 0.002,
        note=f"overlap {overlap:.5f}, {int(found.sweeps.max())} sweeps at most",
    )


def _capacity(settings: Settings) -> Row:
    """The study of the critical load."""
    loads = np.linspace(0.01, 0.2, 20)
    trials = 10
    if settings.most_rows is not None:
        loads, trials = loads[9:10], 2
    began = perf_counter()
    found = overlap_after_recall(1000, loads, trials=trials, cues=20, generator=0, progress=False)
    seconds = perf_counter() - began
    level = float(found.mean[np.argmin(np.abs(loads - 0.1))])
    return measurement(
        "capacity",
        seconds,
        "s",
        target=settings.target(STUDY_SECONDS),
        right=abs(level - 0.998) < 0.01,
        note=f"overlap {level:.4f} at load 0.10; theory 0.9980",
    )


def _diagnostics(settings: Settings) -> Row:
    """All diagnostics of many dimensions at once."""
    dimensions = settings.rows(1000)
    draws = np.random.default_rng(0).normal(size=(4, 1000, dimensions)).cumsum(1)
    draws -= 0.95 * np.concatenate([draws[:, :1], draws[:, :-1]], axis=1)

    def ours() -> list[torch.Tensor]:
        return [figure(draws) for figure in (rhat, ess_bulk, ess_tail, mcse)]

    contenders = [Contender.repeating("ours", ours)]
    times = settings.time(*contenders)
    note, peer = "", None
    if settings.peers and importlib.util.find_spec("arviz_stats") is not None:
        peer, gap = _arviz(draws, times["ours"].first)
        note = f"largest relative difference {gap:.0e}"
    return measurement(
        "diagnostics (peer: ArviZ, from 20 dimensions)",
        times["ours"].median,
        "s",
        target=settings.target(DIAGNOSTIC_SECONDS),
        peer=peer,
        right=not note or gap < 1e-6,
        note=note,
        timing=times["ours"],
    )


def _arviz(draws: np.ndarray, ours: list[torch.Tensor]) -> tuple[float, float]:
    """Seconds that the peer would take, and the largest relative difference."""
    from arviz_stats.base import array_stats

    few = np.ascontiguousarray(draws[:, :, :20])
    began = perf_counter()
    theirs = [
        array_stats.rhat(few, chain_axis=0, draw_axis=1),
        array_stats.ess(few, chain_axis=0, draw_axis=1, method="bulk"),
        array_stats.ess(few, chain_axis=0, draw_axis=1, method="tail", prob=(0.05, 0.95)),
        array_stats.mcse(few, chain_axis=0, draw_axis=1),
    ]
    seconds = (perf_counter() - began) * draws.shape[2] / few.shape[2]
    gaps = [
        np.abs(mine[:20].numpy() / peer - 1).max() for mine, peer in zip(ours, theirs, strict=True)
    ]
    return seconds, float(max(gaps))
