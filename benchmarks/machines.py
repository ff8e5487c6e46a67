"""Machines of two layers: sweeps, steps of learning, annealed importance sampling, short types."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from benchmarks.bars_and_stripes import patterns
from benchmarks.peer_rbms import Learnergy, Rbms, ScikitLearn
from benchmarks.report import MEASUREMENTS, Row, Section, measurement, timed
from benchmarks.settings import Settings
from benchmarks.timing import Contender
from energy import RestrictedBoltzmannMachine
from inference import annealed_importance_sampling

__all__ = ["random_bits", "section"]

VISIBLE, HIDDEN, BATCH, SWEEPS = 784, 500, 128, 20
FEW_CHAINS, MANY_CHAINS = 128, 500
#: Operations of one product of a row with the weights.
PRODUCT = 2 * VISIBLE * HIDDEN
#: Rows and passes that are timed: enough that what learning costs once does not count.
ROWS, PASSES = 40 * BATCH, 3
RATE = 0.01
#: Passes over bars and stripes, from which short types are judged.
EPOCHS = 4000
AIS_CHAINS, TEMPERATURES = 100, 200
#: How many times a peer's rate.
TIMES_RBMS_SWEEPS, TIMES_SKLEARN_SWEEPS, TIMES_RBMS_STEPS, TIMES_RBMS_AIS = 1.65, 2.2, 2.0, 3.0
#: A tie with the bare loop: what two clocks of the same work differ by.
TIE = 0.97

NOTES = (
    f"sweeps   full Gibbs sweeps a second, {VISIBLE} x {HIDDEN} units, through tempered_law();",
    "         tight: addmm, sigmoid_, uniform_, lt into given memory and nothing else;",
    "         products: the two products of matrices alone; a tie is at least",
    f"         {TIE} of the tight loop; targets are for {FEW_CHAINS} chains",
    f"pcd      steps a second of fit(), one sweep of persistent chains each, {BATCH} rows",
    "         centred: the same with centred gradients, as rbms has them",
    "cd       the same with chains that start at the data",
    f"ais      seconds, {AIS_CHAINS} chains x {TEMPERATURES} temperatures",
    "bf16     fit(chain_dtype=torch.bfloat16) against float32; and its bias: machines of bars and",
    "         stripes, 16 x 12, learned with either, exact log-likelihood per pattern in float64",
    "of roof  the products of matrices in a sweep, a step or all temperatures, at the rate of a",
    "         large one in single precision",
    "peers: rbms (centred gradients; no files, no logs), learnergy (its fit, with its figures),",
    "scikit-learn; one thread each, single precision",
)


def section(settings: Settings) -> Section:
    """The table of this section."""
    return Section("Machines of two layers", NOTES, MEASUREMENTS, _rows(settings))


def _rows(settings: Settings) -> Iterator[Row]:
    machine = _machine(settings)
    for chains in (FEW_CHAINS, MANY_CHAINS):
        yield from _sweeps(settings, machine, chains)
    for chains in (FEW_CHAINS, MANY_CHAINS):
        yield from _persistent(settings, machine, chains)
    yield from _contrastive(settings, machine)
    yield from _annealed(settings, machine)
    if settings.device == "cpu":
        yield _bias(settings)


def _machine(settings: Settings) -> RestrictedBoltzmannMachine:
    """A machine whose numbers have the size of learned ones."""
    machine = RestrictedBoltzmannMachine(VISIBLE, HIDDEN, generator=0)
    source = torch.Generator().manual_seed(0)
    with torch.no_grad():
        machine.weights.normal_(0, 0.1, generator=source)
        machine.visible_bias.normal_(-1, 1, generator=source)
    return machine.to(settings.device)


def random_bits(rows: int, units: int, device: str) -> torch.Tensor:
    """Fair bits, the same ones every time."""
    source = torch.Generator().manual_seed(1)
    return torch.randint(0, 2, (rows, units), generator=source).float().to(device)


def _bits(settings: Settings, rows: int) -> torch.Tensor:
    return random_bits(rows, VISIBLE, settings.device)


def _sweeps(settings: Settings, machine: RestrictedBoltzmannMachine, chains: int) -> Iterator[Row]:
    v = _bits(settings, chains)
    law = machine.tempered_law()
    generator = torch.Generator(settings.device).manual_seed(0)
    state, betas = law.init(v), [1.0] * SWEEPS

    def ours() -> Any:
        found = law.run(state, betas, generator)
        settings.wait()
        return law.position(found)

    calls = {
        "ours": ours,
        "tight": _tight(settings, machine, v),
        "products": _products(settings, machine, v),
    }
    if settings.peers:
        if Rbms.installed():
            calls["rbms"] = Rbms(machine).sweeps(v, SWEEPS)
        if Learnergy.installed():
            calls["learnergy"] = Learnergy(machine, RATE).sweeps(v, SWEEPS)
        calls["scikit-learn"] = ScikitLearn(machine).sweeps(v, SWEEPS)
    times = settings.time(
        *[Contender.repeating(name, call, SWEEPS) for name, call in calls.items()]
    )
    label, own = f"sweeps, {chains} chains", times.pop("ours")
    floor = settings.floor("float32", 2 * chains * PRODUCT, own.median)
    yield timed(label, "1/s", own, floor=floor)
    targets = {"rbms": TIMES_RBMS_SWEEPS, "scikit-learn": TIMES_SKLEARN_SWEEPS, "tight": TIE}
    if chains != FEW_CHAINS:
        targets = {}
    for name, theirs in times.items():
        target = targets[name] * theirs.read("1/s") if name in targets else None
        yield timed(f"{label} (beside: {name})", "1/s", own, theirs, target=target)


def _tight(
    settings: Settings, machine: RestrictedBoltzmannMachine, v: torch.Tensor
) -> Callable[[], Any]:
    """The least that a sweep takes with torch's own draws."""
    w, a, b = (machine.weights.data, machine.visible_bias.data, machine.hidden_bias.data)
    visible, hidden = v.clone(), v.new_empty(len(v), HIDDEN)
    draws = [v.new_empty(len(v), HIDDEN), torch.empty_like(v)]
    generator = torch.Generator(settings.device).manual_seed(0)

    def run() -> Any:
        for _ in range(SWEEPS):
            torch.addmm(b, visible, w, out=hidden).sigmoid_()
            torch.lt(draws[0].uniform_(generator=generator), hidden, out=hidden)
            torch.addmm(a, hidden, w.T, out=visible).sigmoid_()
            torch.lt(draws[1].uniform_(generator=generator), visible, out=visible)
        settings.wait()
        return visible

    return run


def _products(
    settings: Settings, machine: RestrictedBoltzmannMachine, v: torch.Tensor
) -> Callable[[], Any]:
    """The two products of a sweep."""
    w = machine.weights.data
    hidden, visible = v.new_empty(len(v), HIDDEN), torch.empty_like(v)

    def run() -> Any:
        for _ in range(SWEEPS):
            torch.mm(v, w, out=hidden)
            torch.mm(hidden, w.T, out=visible)
        settings.wait()
        return visible

    return run


def _epoch(
    settings: Settings, machine: RestrictedBoltzmannMachine, rows: torch.Tensor, **options: Any
) -> Callable[[], Any]:
    """Some passes of our own learning; the same machine goes on."""

    def run() -> Any:
        machine.fit(
            rows,
            batch_size=BATCH,
            epochs=PASSES,
            lr=RATE,
            warm=True,
            generator=0,
            progress=False,
            **options,
        )
        settings.wait()
        return machine.weights

    return run


def _persistent(
    settings: Settings, machine: RestrictedBoltzmannMachine, chains: int
) -> Iterator[Row]:
    rows = _bits(settings, max(BATCH, settings.rows(ROWS)))
    short = {"chain_dtype": torch.bfloat16}
    calls = {
        name: _epoch(settings, _machine(settings), rows, chains=chains, **options)
        for name, options in (("ours", {}), ("bfloat16", short), ("centred", {"centered": True}))
    }
    if settings.peers:
        if Rbms.installed():
            calls["rbms"] = Rbms(machine).updates(rows, chains, BATCH, RATE)
        if chains == BATCH:
            calls["scikit-learn"] = ScikitLearn(machine, RATE, BATCH).epoch(rows)
    times = settings.time(*_steps(calls, len(rows) // BATCH))
    label, own = f"pcd, {chains} chains", times["ours"]
    ratio = own.median / times["bfloat16"].median
    floor = settings.floor("float32", _products_of_step(chains), own.median)
    yield timed(label, "1/s", own, floor=floor)
    yield timed(f"bf16 {label}", "1/s", times["bfloat16"], note=f"{ratio:.2f} x float32")
    yield timed(f"centred {label}", "1/s", times["centred"], times.get("rbms"))
    for name in ("rbms", "scikit-learn"):
        if name in times:
            wanted = name == "rbms" and chains == MANY_CHAINS
            target = TIMES_RBMS_STEPS * times[name].read("1/s") if wanted else None
            yield timed(f"{label} (peer: {name})", "1/s", own, times[name], target=target)


def _contrastive(settings: Settings, machine: RestrictedBoltzmannMachine) -> Iterator[Row]:
    rows = _bits(settings, max(BATCH, settings.rows(ROWS)))
    calls = {"ours": _epoch(settings, _machine(settings), rows, method="cd")}
    if settings.peers and Learnergy.installed():
        calls["learnergy"] = Learnergy(machine, RATE).epoch(rows, BATCH)
    times = settings.time(*_steps(calls, len(rows) // BATCH))
    floor = settings.floor("float32", _products_of_step(BATCH), times["ours"].median)
    yield timed("cd", "1/s", times["ours"], floor=floor)
    if "learnergy" in times:
        yield timed("cd (peer: learnergy)", "1/s", times["ours"], times["learnergy"])


def _products_of_step(chains: int) -> int:
    """Operations of a step: the hidden units of the rows, a sweep of the chains, two gradients."""
    return (BATCH + 2 * chains + BATCH + chains) * PRODUCT


def _steps(calls: dict[str, Callable[[], Any]], steps: int) -> list[Contender]:
    """Contenders by their steps a pass, of which ours make several."""
    own = ("ours", "bfloat16", "centred")
    return [
        Contender.repeating(name, call, steps * PASSES if name in own else steps)
        for name, call in calls.items()
    ]


def _annealed(settings: Settings, machine: RestrictedBoltzmannMachine) -> Iterator[Row]:
    temperatures = settings.rows(TEMPERATURES)
    betas = np.linspace(0, 1, temperatures + 1)

    def ours() -> Any:
        return annealed_importance_sampling(
            machine, betas=betas, chains=AIS_CHAINS, generator=0, progress=False
        )

    calls: dict[str, Callable[[], Any]] = {"ours": settings.waiting(ours)}
    if settings.peers and Rbms.installed():
        peer = Rbms(machine)
        calls["rbms"] = lambda: peer.log_partition(AIS_CHAINS, temperatures)
    times = settings.time(*[Contender.repeating(name, call) for name, call in calls.items()])
    work, theirs = 2 * AIS_CHAINS * temperatures * PRODUCT, times.get("rbms")
    yield timed(
        "ais" if theirs is None else "ais (peer: rbms)",
        "s",
        times["ours"],
        theirs,
        target=None if theirs is None else theirs.median / TIMES_RBMS_AIS,
        floor=settings.floor("float32", work, times["ours"].median),
    )


def _bias(settings: Settings) -> Row:
    """What short products cost in likelihood, over some seeds."""
    rows, epochs = patterns(4), settings.rows(EPOCHS)
    scores, shifts = {}, []
    for dtype in (None, torch.bfloat16):
        found = []
        for seed in range(5):
            machine = RestrictedBoltzmannMachine(16, 12, generator=seed)
            machine.fit(
                rows, epochs=epochs, lr=0.3, chain_dtype=dtype, generator=seed, progress=False
            )
            found.append(machine.score(rows))
            if dtype is None:
                shifts.append(_rounded(machine, rows))
        scores[dtype] = np.array(found)
    gap = scores[torch.bfloat16] - scores[None]
    error = gap.std(ddof=1) / len(gap) ** 0.5
    note = f"float32 {scores[None].mean():.3f}, difference {gap.mean():+.3f} (s.e. {error:.3f}); "
    note += f"weights rounded afterwards {np.mean(shifts):+.4f}"
    return measurement("bf16 log-likelihood", scores[torch.bfloat16].mean(), "nats", note=note)


def _rounded(machine: RestrictedBoltzmannMachine, rows: torch.Tensor) -> float:
    """What rounding its weights does to the log-likelihood of a machine, exactly."""
    before = machine.score(rows)
    with torch.no_grad():
        machine.weights.copy_(machine.weights.to(torch.bfloat16))
    return machine.score(rows) - before
