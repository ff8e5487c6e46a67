"""What is timed against its size: a family of calls, and the exponent that its algorithm has."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch

from benchmarks.machines import random_bits
from benchmarks.mixtures import clusters, first_parameters
from benchmarks.settings import Settings
from benchmarks.timing import Call
from energy import IsingModel, RestrictedBoltzmannMachine
from inference import annealed_importance_sampling
from inference.approximate import ConvergenceWarning, IsingGrid, belief_propagation
from pgm import GaussianMixture, HiddenMarkovModel, MarkovRandomField

__all__ = ["LINES", "Line", "Sized"]


class Sized(NamedTuple):
    """A call, and how large its problem is in the unit of the axis."""

    size: float
    call: Call


@dataclass(frozen=True)
class Line:
    """Calls of growing size.

    Arguments:
        what: is timed.
        axis: what the size counts.
        expected: exponent of the algorithm; of time per call against size.
        steps: what the sizes are made from.
        make: the call of one size.
    """

    what: str
    axis: str
    expected: float
    steps: tuple[int, ...]
    make: Callable[[Settings, int], Sized]


# Exact inference and belief propagation ----------------------------------------------------------


def _strip(settings: Settings, width: int, length: int) -> MarkovRandomField:
    """Spins on a strip: as wide a tree as the strip is narrow."""
    draws = torch.Generator().manual_seed(0)
    field = torch.randn((width, length, 2), generator=draws)
    return MarkovRandomField.grid((width, length), field, [[0.4, 0.0], [0.0, 0.4]]).to(
        settings.device
    )


def _width(settings: Settings, width: int) -> Sized:
    strip = _strip(settings, width, 20)
    return Sized(strip.plan().entries, settings.waiting(strip.marginals))


def _nodes(settings: Settings, length: int) -> Sized:
    strip = _strip(settings, 4, length)
    return Sized(4 * length, settings.waiting(strip.marginals))


def _edges(settings: Settings, side: int) -> Sized:
    draws = torch.Generator().manual_seed(0)
    shapes = (side, side), (side, side - 1), (side - 1, side)
    grid = IsingGrid(*[0.3 * torch.randn(s, generator=draws).to(settings.device) for s in shapes])

    def call() -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return belief_propagation(grid, damping=0.0, max_iterations=20, tolerance=0.0)

    return Sized(2 * side * (side - 1), settings.waiting(call))


# Sampling ----------------------------------------------------------------------------------------


def _sweeps(settings: Settings, side: int, chains: int) -> Call:
    """Heat-bath sweeps of spins on a torus."""
    kernel = IsingModel.lattice((side, side), beta=0.44).to(settings.device).kernel()
    generator = torch.Generator(settings.device).manual_seed(0)
    start = kernel.init(torch.ones((chains, side**2), device=settings.device))

    def call() -> Any:
        state = start
        for _ in range(10):
            state = kernel.step(state, generator)
        return state

    return settings.waiting(call)


def _chains(settings: Settings, chains: int) -> Sized:
    return Sized(chains, _sweeps(settings, 64, chains))


def _spins(settings: Settings, side: int) -> Sized:
    return Sized(side**2, _sweeps(settings, side, 32))


def _temperatures(settings: Settings, number: int) -> Sized:
    machine = _machine(settings, 64)

    def call() -> Any:
        return annealed_importance_sampling(
            machine, betas=np.linspace(0, 1, number + 1), chains=64, generator=0, progress=False
        )

    return Sized(number, settings.waiting(call))


# Learning ----------------------------------------------------------------------------------------


def _machine(settings: Settings, width: int) -> RestrictedBoltzmannMachine:
    return RestrictedBoltzmannMachine(width, width, generator=0).to(settings.device)


def _steps(settings: Settings, width: int, batch: int) -> Call:
    """Four steps of persistent contrastive divergence, as many chains as rows."""
    machine, rows = _machine(settings, width), random_bits(4 * batch, width, settings.device)

    def call() -> Any:
        return machine.fit(
            rows, batch_size=batch, chains=batch, epochs=1, lr=0.01, warm=True, generator=0,
            progress=False,
        )  # fmt: skip

    return settings.waiting(call)


def _batch(settings: Settings, batch: int) -> Sized:
    return Sized(batch, _steps(settings, 512, batch))


def _units(settings: Settings, width: int) -> Sized:
    return Sized(width, _steps(settings, width, 128))


def _mixture(settings: Settings, n: int, d: int, k: int) -> Call:
    """Ten steps of EM with full covariances."""
    x = clusters(n, d, k)
    options = first_parameters(x, k, "full") | {"n_components": k, "max_iter": 10, "tol": 0.0}
    rows = torch.from_numpy(x).to(settings.device)

    def call() -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return GaussianMixture(**options).to(settings.device).fit(rows)

    return settings.waiting(call)


def _rows(settings: Settings, n: int) -> Sized:
    return Sized(n, _mixture(settings, n, 8, 8))


def _components(settings: Settings, k: int) -> Sized:
    return Sized(k, _mixture(settings, 10_000, 8, k))


def _dimensions(settings: Settings, d: int) -> Sized:
    return Sized(d, _mixture(settings, 5_000, d, 4))


def _smoothing(settings: Settings, states: int, length: int) -> Call:
    """Posterior of the states in one sequence."""
    model = HiddenMarkovModel(states, n_symbols=20).to(settings.device)
    draws = torch.Generator().manual_seed(0)
    codes = torch.randint(0, 20, (length,), generator=draws).to(settings.device)
    return settings.waiting(lambda: model.posterior(codes))


def _length(settings: Settings, length: int) -> Sized:
    return Sized(length, _smoothing(settings, 8, length))


def _states(settings: Settings, states: int) -> Sized:
    return Sized(states, _smoothing(settings, states, 2_000))


LINES = (
    Line("exact inference", "entries of the tables", 1, (8, 10, 12, 13, 14, 15), _width),
    Line("exact inference", "nodes, width 4", 1, (50, 100, 200, 400, 800, 1600), _nodes),
    Line("belief propagation", "edges", 1, (96, 128, 192, 256, 384, 512), _edges),
    Line("Ising sweeps", "chains", 1, (32, 64, 128, 256, 512, 1024), _chains),
    Line("Ising sweeps", "spins", 1, (48, 64, 96, 128, 192, 256), _spins),
    Line("annealed sampling", "temperatures", 1, (50, 100, 200, 400, 800), _temperatures),
    Line("Boltzmann machine, step", "batch", 1, (32, 64, 128, 256, 512, 1024), _batch),
    Line("Boltzmann machine, step", "units per layer", 2, (128, 256, 512, 1024, 2048), _units),
    Line("hidden Markov posterior", "length", 1, tuple(4000 * 2**i for i in range(7)), _length),
    Line("hidden Markov posterior", "states", 2, (8, 16, 32, 64, 128), _states),
    Line("mixture, EM", "rows", 1, tuple(8000 * 2**i for i in range(6)), _rows),
    Line("mixture, EM", "components", 1, (4, 8, 16, 32, 64), _components),
    Line("mixture, EM", "dimensions", 2, (8, 16, 32, 64, 128), _dimensions),
)
