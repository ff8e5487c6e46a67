"""Laws of small networks by visiting every joint state."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from energy.deep_belief_network import DeepBeliefNetwork
from inference.exact.enumerate import enumerate_states


class Joint(NamedTuple):
    """Every joint state: units of the layers, codes of labels, log-probabilities, log q(h | v)."""

    units: list[Tensor]
    labels: Tensor
    log_prob: Tensor
    log_guess: Tensor


def bernoulli_log_prob(x: Tensor, probs: Tensor) -> Tensor:
    return torch.where(x == 1, probs, 1 - probs).log().sum(1)


def enumerated(network: DeepBeliefNetwork) -> Joint:
    """The law from the definition: one table of all units of all layers, and of the label."""
    sizes, classes = network.layer_sizes, max(1, network.n_classes)
    codes = enumerate_states([2] * sum(sizes) + [classes])
    labels = codes[:, -1]
    units = [part.double() for part in codes[:, :-1].split(sizes, 1)]
    top, ahead = network.top, units[-2]
    if network.n_classes:
        ahead = torch.cat([ahead, torch.eye(classes).double()[labels]], 1)
    log_weight = ahead @ top.visible_bias + units[-1] @ top.hidden_bias
    log_weight += ((ahead @ top.weights) * units[-1]).sum(1)
    # The weights of the machine on top, its own Z: each of its states stands here 2^rest times.
    rest = sum(sizes[:-2])
    log_prob = log_weight - log_weight.logsumexp(0) + rest * torch.tensor(2.0).log().double()
    log_guess = torch.zeros_like(log_prob)
    for index, layer in enumerate(network.layers):
        below, above = units[index], units[index + 1]
        made = torch.sigmoid(layer.bias + above @ layer.weights.T)
        guessed = torch.sigmoid(layer.recognition_bias + below @ layer.recognition_weights)
        log_prob = log_prob + bernoulli_log_prob(below, made)
        log_guess = log_guess + bernoulli_log_prob(above, guessed)
    return Joint(units, labels, log_prob, log_guess)


@pytest.fixture(scope="session")
def joint() -> Callable[[DeepBeliefNetwork], Joint]:
    """The law by visiting every joint state."""
    return enumerated
