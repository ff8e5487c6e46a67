"""Entries of the models in energy."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import torch
from torch import Tensor

from energy import (
    BoltzmannMachine,
    DeepBeliefNetwork,
    DeepBoltzmannMachine,
    DenseAssociativeMemory,
    HopfieldNetwork,
    IsingModel,
    ModernHopfield,
    NeuralEnergy,
    RestrictedBoltzmannMachine,
)
from generative.networks import mlp
from tests.contract.case import Case
from tests.contract.pgm_cases import BITS, fill, normal

SPINS = 2.0 * BITS - 1
ROWS = normal(12, 2, seed=11)
UNITS = torch.cat([BITS, BITS[:, 1:]], 1).double()
LAYERS = torch.cat([BITS, BITS, BITS[:, 1:]], 1).double()


def symmetric(n: int, seed: int) -> Tensor:
    """Symmetric numbers with a diagonal of zeros."""
    upper = normal(n, n, seed=seed).triu(1)
    return upper + upper.T


def boltzmann_machine() -> BoltzmannMachine:
    return fill(BoltzmannMachine(3, 2), weights=symmetric(5, 1), bias=normal(5, seed=2))


def ising_model() -> IsingModel:
    return IsingModel(symmetric(3, 3), normal(3, seed=4))


def restricted(visible: str = "bernoulli") -> RestrictedBoltzmannMachine:
    size = 3 if visible == "bernoulli" else 2
    machine = RestrictedBoltzmannMachine(size, 2, visible, generator=0).double()  # type: ignore[arg-type]
    fill(machine, weights=normal(size, 2, seed=5), visible_bias=normal(size, seed=6))
    return fill(machine, hidden_bias=normal(2, seed=7))


def deep_belief() -> DeepBeliefNetwork:
    return numbers(DeepBeliefNetwork([3, 3, 2], generator=0).double())


def deep_boltzmann() -> DeepBoltzmannMachine:
    return numbers(DeepBoltzmannMachine([3, 3, 2], generator=0).double())


def numbers(model: Any) -> Any:
    """Give every parameter numbers of its own."""
    with torch.no_grad():
        for i, parameter in enumerate(model.parameters()):
            parameter.copy_(normal(*parameter.shape, seed=i))
    return model


def hopfield() -> HopfieldNetwork:
    return fill(HopfieldNetwork(3).store(SPINS[:2]), bias=[0.5, -0.3, 0.1])


def widen(model: Any) -> None:
    """Enlarge all weights; turned around, a perceptron of one number may say the same."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.5)


def neural_energy() -> NeuralEnergy:
    return NeuralEnergy(mlp([1, 4, 1], "silu", generator=0).double(), 1).double()


MEMORY = {
    "fit": "patterns are stored, not fitted",
    "log_prob": "a memory, whose states are recalled",
    "score": "a memory, whose states are recalled",
    "sample": "a memory, whose states are recalled",
}

machine_case = partial(
    Case,
    missing="refused",
    fit_rows=lambda m, x: m.fit(x, epochs=1),
    learn=lambda m, g: m.fit(BITS, epochs=2, batch_size=3, chains=4, generator=g),
    draw=lambda m, n, g: m.sample(n, sweeps=5, generator=g),
    event=(3,),
)

CASES = [
    machine_case(
        BoltzmannMachine,
        boltzmann_machine,
        (BITS.double(),),
        values=("log_prob", "free_energy"),
        fit_rows=lambda m, x: m.fit(x, "persistent", epochs=1),
        learn=lambda m, g: m.fit(
            BITS, "persistent", epochs=2, batch_size=3, chains=4, generator=g
        ),
        event=(5,),
    ),
    Case(BoltzmannMachine, boltzmann_machine, (UNITS,), values=("energy",), variant="units"),
    Case(
        RestrictedBoltzmannMachine,
        restricted,
        (UNITS[:, :3], UNITS[:, 3:]),
        values=("energy",),
        variant="units",
    ),
    Case(DeepBoltzmannMachine, deep_boltzmann, (LAYERS,), values=("energy",), variant="units"),
    Case(
        IsingModel,
        ising_model,
        (SPINS.double(),),
        values=("log_prob", "energy", "log_weight", "magnetization"),
        draw=lambda m, n, g: m.sample(n, sweeps=5, generator=g),
        event=(3,),
        without={"fit": "couplings are given"},
    ),
    machine_case(
        RestrictedBoltzmannMachine,
        restricted,
        (BITS.double(),),
        values=("log_prob", "free_energy", "pseudo_log_likelihood"),
        maps=("transform", "reconstruct", "hidden_probabilities"),
    ),
    machine_case(
        RestrictedBoltzmannMachine,
        lambda: restricted("gaussian"),
        (ROWS,),
        values=("log_prob", "free_energy"),
        maps=("transform", "reconstruct", "hidden_probabilities"),
        fit_rows=None,
        learn=lambda m, g: m.fit(ROWS, epochs=2, batch_size=3, chains=4, generator=g),
        event=(2,),
        variant="gaussian",
    ),
    machine_case(
        DeepBeliefNetwork,
        deep_belief,
        (BITS.double(),),
        values=("log_prob",),
        maps=("transform", "reconstruct"),
        apart=("layers.0.recognition", "top.base"),
        score=lambda m: (
            m.score(BITS, generator=3),
            m.log_prob_bound(BITS, generator=3).mean(),
        ),
        without={"energy": "a directed network on top of a machine"},
    ),
    machine_case(
        DeepBoltzmannMachine,
        deep_boltzmann,
        (BITS.double(),),
        values=("log_prob", "free_energy"),
        maps=("transform", "reconstruct"),
        learn=lambda m, g: m.fit(
            BITS, epochs=2, pretrain_epochs=1, batch_size=3, chains=4, generator=g
        ),
    ),
    Case(
        HopfieldNetwork,
        hopfield,
        (SPINS.double(),),
        values=("energy", "is_stable"),
        without=MEMORY,
    ),
    Case(
        DenseAssociativeMemory,
        lambda: DenseAssociativeMemory(SPINS[:2], 3),
        (SPINS.double(),),
        values=("energy", "is_stable"),
        change=lambda m: m.patterns.neg_(),
        without=MEMORY,
    ),
    Case(
        ModernHopfield,
        lambda: ModernHopfield(ROWS[:3], 2.0),
        (ROWS,),
        values=("energy",),
        maps=("update",),
        without=MEMORY,
    ),
    Case(
        NeuralEnergy,
        neural_energy,
        (ROWS[:, :1],),
        values=("energy", "log_prob"),
        maps=("score_field",),
        change=widen,
        parts=lambda m: {"network": copy.deepcopy(m.network)},
        missing="refused",
        fit_rows=lambda m, x: m.fit(x, epochs=1),
        learn=lambda m, g: m.fit(
            ROWS[:, :1], epochs=2, batch_size=4, chains=4, steps=2, generator=g
        ),
        draw=lambda m, n, g: m.sample(n, steps=3, step_size=0.3, generator=g),
        event=(1,),
        excused={
            "test_models_made_in_inference_mode_work_there": (
                "slopes by x need parameters that torch can differentiate through"
            )
        },
    ),
]
