"""Paths of laws that are enumerated: a restricted Boltzmann machine, jointly and summed over."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from inference.exact.enumerate import enumerate_states
from inference.sampling.kernel import Beta, TemperedLaw


class Layers(NamedTuple):
    """Visible and hidden units of all chains."""

    visible: Tensor
    hidden: Tensor


@dataclass(frozen=True, eq=False)
class RBM(TemperedLaw[Layers]):
    """Block Gibbs sampling of a small machine on a path from the uniform law.

    ``summed``: the density is that of the visible units, which is not linear in beta.
    """

    weights: Tensor
    visible_bias: Tensor
    hidden_bias: Tensor
    summed: bool = False

    @property
    def device(self) -> torch.device:
        return self.weights.device

    @property
    def log_base(self) -> float:
        return sum(self.weights.shape) * math.log(2)

    def start(self, chains: int, generator: torch.Generator) -> Layers:
        units = torch.rand(
            (chains, sum(self.weights.shape)), generator=generator, dtype=torch.float64
        )
        return self.init((units < 0.5).to(self.weights))

    def init(self, position: Tensor) -> Layers:
        return Layers(*position.to(self.weights).split(list(self.weights.shape), 1))

    def position(self, state: Layers) -> Tensor:
        return torch.cat(state, 1)

    def log_density(self, state: Layers, beta: Beta) -> Tensor:
        inputs = state.visible @ self.weights + self.hidden_bias
        outer = state.visible @ self.visible_bias
        if not self.summed:
            return (beta * (outer + (inputs * state.hidden).sum(1))).double()
        column = beta[:, None] if isinstance(beta, Tensor) else beta
        return (beta * outer + torch.nn.functional.softplus(column * inputs).sum(1)).double()

    def step(self, state: Layers, beta: Beta, generator: torch.Generator) -> Layers:
        column = beta[:, None] if isinstance(beta, Tensor) else beta
        inputs = torch.addmm(self.hidden_bias, state.visible, self.weights)
        hidden = _units(inputs, column, generator)
        inputs = torch.addmm(self.visible_bias, hidden, self.weights.T)
        return Layers(_units(inputs, column, generator), hidden)

    def law(self, beta: float = 1.0) -> tuple[Tensor, Tensor, float]:
        """All positions, their probabilities, and log Z."""
        states = enumerate_states([2] * sum(self.weights.shape))
        joint = RBM(self.weights, self.visible_bias, self.hidden_bias)
        logs = joint.log_density(joint.init(states), beta)
        return states, logs.softmax(0), float(logs.logsumexp(0))

    def log_partition(self, beta: float = 1.0) -> float:
        """By enumeration of the visible units alone."""
        states = enumerate_states([2] * len(self.weights)).to(self.weights)
        inputs = beta * (states @ self.weights + self.hidden_bias)
        free = beta * states @ self.visible_bias + torch.nn.functional.softplus(inputs).sum(1)
        return float(free.logsumexp(0))


def _units(inputs: Tensor, beta: float | Tensor, generator: torch.Generator) -> Tensor:
    uniform = torch.rand(inputs.shape, generator=generator, dtype=inputs.dtype)
    return (uniform < torch.sigmoid(beta * inputs)).to(inputs)


@pytest.fixture(scope="session")
def machine() -> Callable[..., RBM]:
    """A random machine."""

    def made(visible: int, hidden: int, scale: float, seed: int = 0, summed: bool = False) -> RBM:
        rng = np.random.default_rng(seed)
        sizes = [(visible, hidden), (visible,), (hidden,)]
        return RBM(*[torch.from_numpy(scale * rng.normal(size=s)) for s in sizes], summed)

    return made


@pytest.fixture(scope="session")
def reference(shared: Path) -> tuple[RBM, float]:
    """The machine of the reference data, 10 by 8, and its log Z."""
    found = json.loads((shared / "references" / "energy.json").read_text())["rbm_10x8"]
    parts = [torch.tensor(found[name], dtype=torch.float64) for name in ("W", "b", "c")]
    return RBM(*parts), found["logZ"]


@pytest.fixture(scope="session")
def two_modes() -> RBM:
    """Eight visible units that agree, through hidden ones: Gibbs sampling does not cross over.

    The mode of ones has about two thirds of the mass.
    """
    weights = torch.full((8, 2), 6.0, dtype=torch.float64)
    bias = torch.full((8,), -6.0 + 0.09, dtype=torch.float64)
    return RBM(weights, bias, torch.full((2,), -24.0, dtype=torch.float64))
