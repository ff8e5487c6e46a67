"""Laws of small stacks of layers by enumeration."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from energy.deep_boltzmann_machine import DeepBoltzmannMachine
from inference.exact.enumerate import enumerate_states


class Enumerated(NamedTuple):
    """All joint states (state, n_units), their log weights, log Z, and log p(v) (2^n_visible,)."""

    states: Tensor
    logs: Tensor
    log_partition: Tensor
    log_visible: Tensor


@pytest.fixture(scope="session")
def enumerated() -> Callable[[DeepBoltzmannMachine], Enumerated]:
    """The law of a machine, from its weights and biases alone."""

    def made(machine: DeepBoltzmannMachine) -> Enumerated:
        sizes = machine.layer_sizes
        states = enumerate_states([2] * sum(sizes)).double()
        layers = states.split(list(sizes), 1)
        logs = sum(h @ b for h, b in zip(layers, machine.biases, strict=True))
        for lower, w, upper in zip(layers[:-1], machine.weights, layers[1:], strict=True):
            logs = logs + torch.einsum("si,ij,sj->s", lower, w, upper)
        visible = logs.view(2 ** sizes[0], -1).logsumexp(1)
        return Enumerated(states, logs, logs.logsumexp(0), visible - logs.logsumexp(0))

    return made
