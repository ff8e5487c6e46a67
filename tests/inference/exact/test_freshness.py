"""Answers follow the numbers, whoever wrote them and by whichever way."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import pytest
import torch
from torch import Tensor

from energy.hopfield_network import HopfieldNetwork
from inference.exact.factor import Factor
from inference.exact.freshness import Snapshot
from inference.exact.graph import FactorGraph
from pgm.bayesian_network import BayesianNetwork
from pgm.chains.smoothing import Interpolated
from pgm.markov_chain import MarkovChain
from pgm.markov_random_field import MarkovRandomField

#: What is written into, other numbers for it, and what is asked then.
Case: TypeAlias = "tuple[Tensor, Tensor, Callable[[], Tensor]]"


def fused_step(tensor: Tensor, new: Tensor) -> None:
    """A step of an optimiser that does not count its writes."""
    tensor.grad = tensor.detach() - new
    torch.optim.SGD([tensor], lr=1.0, fused=True).step()


def write_data(tensor: Tensor, new: Tensor) -> None:
    """In place through ``.data``, which has a count of its own."""
    tensor.data.copy_(new)


def write_array(tensor: Tensor, new: Tensor) -> None:
    """Through a NumPy array over the same memory."""
    tensor.detach().numpy()[...] = new.numpy()


def write_counted(tensor: Tensor, new: Tensor) -> None:
    """In place, as PyTorch counts it."""
    with torch.no_grad():
        tensor.copy_(new)


def network() -> Case:
    net = BayesianNetwork([], {"a": 3}, {"a": [0.25, 0.5, 0.25]})
    new = torch.tensor([0.5, 0.125, 0.375], dtype=torch.float64)
    return net.values, new, lambda: net.marginals({"a": torch.tensor([1.0, 1.0, 0.0])})["a"]


def graph() -> Case:
    table = torch.tensor([[0.1, 0.9], [1.5, -0.4]], dtype=torch.float64)
    whole = FactorGraph({"a": 2, "b": 2}, [Factor(["a", "b"], table)])
    return table, table.flip(0), lambda: whole.marginals()["a"]


def field() -> Case:
    spins = MarkovRandomField.ising([0.4, -0.8], [0.1, 0.0, 0.3], graph=[(0, 1), (1, 2)])
    return spins.weights, -2 * spins.weights.detach(), spins.log_partition


def interpolation() -> Case:
    chain = MarkovChain(1, Interpolated(), states=["a", "b"]).fit("abbabaab")
    assert chain.weights is not None
    new = torch.tensor([0.5, 0.25], dtype=torch.float64)
    return chain.weights, new, lambda: chain.log_prob("abba")


def counts() -> Case:
    chain = MarkovChain(1, states=["a", "b"]).fit("abbabaab")
    written = chain.counts.get_buffer("counts_1")
    return written, 1 + written.flip(0), lambda: chain.log_prob("abba")


def memory() -> Case:
    patterns = torch.tensor([[1, -1, 1, -1, 1], [1, 1, -1, -1, -1]])
    recalling = HopfieldNetwork(5).store(patterns)
    new = torch.tensor([-3.0, 3.0, -3.0, 3.0, 3.0], dtype=torch.float64)
    return recalling.bias, new, lambda: recalling.recall(patterns, order="sequential").state


@pytest.mark.parametrize("write", [fused_step, write_data, write_array, write_counted])
@pytest.mark.parametrize("case", [network, graph, field, interpolation, counts, memory])
def test_answers_are_of_the_present_numbers(
    case: Callable[[], Case], write: Callable[[Tensor, Tensor], None]
) -> None:
    expected = case()
    write_counted(expected[0], expected[1])
    tensor, new, ask = case()
    before = ask()
    write(tensor, new)
    torch.testing.assert_close(ask(), expected[2](), rtol=0, atol=1e-12)
    assert not torch.equal(ask(), before)


def test_patterns_written_past_the_count_are_recalled() -> None:
    # The sum of all units stays what it was, as does their number.
    patterns = torch.tensor([[1, 1, 1, -1, -1, -1], [1, -1, 1, -1, 1, -1]])
    network = HopfieldNetwork(6).store(patterns)
    assert torch.equal(network.recall(patterns).state, patterns.double())
    fresh = HopfieldNetwork(6).store(patterns.flip(1))
    for old, new in zip(network.state_dict().values(), fresh.state_dict().values(), strict=True):
        write_array(old, new)
    states = network.recall(patterns.flip(1)).state
    assert torch.equal(states, patterns.flip(1).double())


def test_whole_numbers_go_by_the_count_of_writes() -> None:
    edges = torch.tensor([[0, 1], [1, 2]])
    before = Snapshot([edges])
    assert before.holds([edges])
    assert not before.holds([edges.clone()])
    assert not before.holds([edges.add_(1)])
    before = Snapshot([edges])
    assert not before.holds([edges[:1]]) and not before.holds([edges.T])


def test_what_counts_no_writes_is_compared() -> None:
    with torch.inference_mode():
        places = torch.tensor([3, 1])
        before = Snapshot([places])
        assert before.holds([places])
        places.add_(1)
    assert not before.holds([places])


def test_other_kinds_shapes_and_numbers_of_tensors_differ() -> None:
    x = torch.zeros(4)
    before = Snapshot([x])
    assert before.holds([x.clone()])
    for other in ([x.double()], [x.reshape(2, 2)], [x, x], []):
        assert not before.holds(other)
