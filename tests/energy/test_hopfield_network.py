"""Hopfield networks: six units by enumeration, what was stored, files, and each error."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from energy.hopfield.fields import DenseFields, OverlapFields
from energy.hopfield_network import HopfieldNetwork
from inference.sampling.annealed_importance import annealed_importance_sampling
from inference.sampling.annealing import simulated_annealing

PATTERNS = [[1, -1, 1, -1, 1, 1], [1, 1, 1, -1, -1, -1]]


def random_spins(rows: int, columns: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randint(2, (rows, columns), generator=generator).double() - 1


@pytest.fixture
def six(shared: Path) -> dict:
    """What is known of the network of six units."""
    return json.loads((shared / "references" / "energy.json").read_text())["hopfield_6"]


# Six units -----------------------------------------------------------------------------------


def codes(states: Tensor) -> list[int]:
    """Numbers of states, the first unit counting one."""
    return ((states > 0).long() * 2 ** torch.arange(states.shape[-1])).sum(-1).tolist()


def test_all_states_of_six_units(six: dict) -> None:
    network = HopfieldNetwork(6).store(PATTERNS)
    states = network.states()
    assert codes(states) == list(range(64))
    energies = torch.tensor(six["energy_all64"], dtype=torch.float64)
    assert torch.allclose(network.energy(states), energies, atol=1e-14, rtol=0)
    fixed = [point["k"] for point in six["fixed_points"]]
    assert codes(network.fixed_points()) == fixed
    assert network.is_stable(states).nonzero().squeeze(1).tolist() == fixed


def test_basins_of_six_units(six: dict) -> None:
    network = HopfieldNetwork(6).store(PATTERNS)
    found = network.recall(network.states(), order="sequential")
    assert codes(found.state) == six["sequential_0_to_5_endpoint"]
    assert found.converged.all()
    for seed in range(5):
        ends = codes(network.recall(network.states(), generator=seed).state)
        assert [[end] for end in ends] == six["reachable_attractors_any_async_order"]
    together = network.recall(network.states(), "synchronous")
    expected = [(kind["period"], kind["enters"]) for kind in six["synchronous"]]
    found = list(zip(together.cycle.tolist(), codes(together.state), strict=True))
    assert found == expected


def test_a_tie_that_turned_up_would_change_the_basins(six: dict) -> None:
    weights = torch.tensor(six["W"], dtype=torch.float64)
    ends = []
    for state in HopfieldNetwork(6).states():
        for _ in range(3):
            for i in range(6):
                state[i] = 1.0 if weights[i] @ state >= -1e-12 else -1.0
        ends.extend(codes(state[None]))
    assert ends != six["sequential_0_to_5_endpoint"]


def test_one_turned_unit_is_repaired_and_two_lead_to_the_other_pattern() -> None:
    network = HopfieldNetwork(6).store(PATTERNS)
    first, second = torch.tensor(PATTERNS).double()
    for pattern in (first, second):
        cues = pattern * (1 - 2 * torch.eye(6).double())
        assert (network.recall(cues).state == pattern).all()
    pairs = {(0, 2): -second, (0, 3): -second, (1, 4): second, (4, 5): second}
    for pair, end in pairs.items():
        cue = first.clone()
        cue[list(pair)] *= -1
        assert torch.equal(network.recall(cue).state, end)


def test_the_printed_diagonal_only_shifts_energies() -> None:
    bare = HopfieldNetwork(6).store(PATTERNS)
    full = HopfieldNetwork(6).store(PATTERNS, zero_diagonal=False)
    states = bare.states()
    shift = full.energy(states) - bare.energy(states)
    assert torch.allclose(shift, torch.tensor(-1.0).double(), atol=1e-14)
    assert full.energy(torch.tensor(PATTERNS)).tolist() == pytest.approx([-3, -3], abs=1e-14)
    assert (full.weights.diagonal() == 2 / 6).all()
    assert set(codes(full.fixed_points())) >= set(codes(bare.fixed_points()))
    for network, log_z in ((full, 5.5516096675), (bare, 4.5516096675)):
        assert (-network.energy(states)).logsumexp(0).item() == pytest.approx(log_z, abs=5e-10)


def test_two_units_that_repel() -> None:
    network = HopfieldNetwork(2)
    network.weights.copy_(torch.tensor([[0.0, -1.0], [-1.0, 0.0]]))
    found = network.recall([1, 1], "synchronous")
    assert found.cycle.item() == 2 and not found.converged
    assert found.energy.tolist() == [1.0, 1.0, 1.0]
    assert network.recall([1, 1]).converged


@given(st.integers(1, 6), st.integers(0, 10**6))
def test_boltzmann_form_differs_by_a_constant(n_units: int, seed: int) -> None:
    network = HopfieldNetwork(n_units)
    half = torch.randn(n_units, n_units, generator=torch.Generator().manual_seed(seed))
    network.weights.copy_(half + half.T)
    network.bias.copy_(half[0])
    weights, bias = network.boltzmann_parameters()
    spins = network.states()
    bits = (spins + 1) / 2
    energy = -((bits @ weights.triu(1)) * bits).sum(1) - bits @ bias
    apart = network.energy(spins) - energy
    assert (apart - apart[0]).abs().max() < 1e-12
    assert not weights.diagonal().any()


# Storing -------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["hebbian", "storkey", "pseudo-inverse"])
@pytest.mark.parametrize("zero_diagonal", [True, False])
def test_storing_in_two_steps_is_storing_at_once(rule, zero_diagonal: bool) -> None:
    patterns = random_spins(5, 23, 0)
    once = HopfieldNetwork(23).store(patterns, rule, zero_diagonal=zero_diagonal)
    twice = HopfieldNetwork(23)
    for part in (patterns[:2], patterns[2:]):
        assert twice.store(part, rule, zero_diagonal=zero_diagonal) is twice
    assert torch.equal(once.weights, twice.weights)
    assert torch.equal(once.patterns, patterns.to(torch.int8))
    assert torch.equal(once.patterns, twice.patterns)
    assert bool(once.weights.diagonal().any()) != zero_diagonal
    assert once.is_stable(patterns).all()
    assert isinstance(once.fields(), OverlapFields if rule == "hebbian" else DenseFields)


def test_rules_may_be_mixed() -> None:
    patterns = random_spins(4, 30, 1)
    network = HopfieldNetwork(30).store(patterns[:2]).store(patterns[2:], "storkey")
    assert isinstance(network.fields(), DenseFields)
    network.store(patterns[:1])
    expected = HopfieldNetwork(30).store(patterns[:2]).store(patterns[2:], "storkey").weights
    expected = expected + HopfieldNetwork(30).store(patterns[:1]).weights
    assert torch.allclose(network.weights, expected, atol=1e-14, rtol=0)
    network.store(patterns[3], "pseudo-inverse")
    assert torch.equal(
        network.weights,
        HopfieldNetwork(30).store(network.patterns, "pseudo-inverse").weights,
    )


def test_patterns_and_a_matrix_recall_the_same() -> None:
    patterns = random_spins(12, 200, 0)
    stored = HopfieldNetwork(200).store(patterns)
    copied = HopfieldNetwork(200)
    copied.weights.copy_(stored.weights)
    assert isinstance(copied.fields(), DenseFields)
    cues = torch.where(
        torch.rand(12, 200, generator=torch.Generator().manual_seed(0)) < 0.3, -1, 1
    )
    for update in ("asynchronous", "synchronous"):
        one = stored.recall(cues * patterns, update, generator=3)
        two = copied.recall(cues * patterns, update, generator=3)
        assert torch.equal(one.state, two.state) and torch.equal(one.sweeps, two.sweeps)
        assert torch.allclose(one.energy, two.energy, atol=1e-10, rtol=0)


WRITES = {
    "no_grad": lambda network, other: network.weights.copy_(other),
    "data": lambda network, other: network.weights.data.copy_(other),
    "one entry": lambda network, other: network.weights.data[3, 3:4].copy_(other[3, 3:4]),
    "rebinding": lambda network, other: setattr(
        network, "weights", torch.nn.Parameter(other, requires_grad=False)
    ),
    "data rebinding": lambda network, other: setattr(network.weights, "data", other),
    "state": lambda network, other: network.load_state_dict(
        {**network.state_dict(), "weights": other}
    ),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_numbers_copied_into_the_weights_count(write) -> None:
    network = HopfieldNetwork(6).store(PATTERNS)
    network.recall(network.states())
    with torch.no_grad():
        write(network, torch.full((6, 6), 0.7).double())
    assert isinstance(network.fields(), DenseFields)
    field = network.states() @ network.weights
    stable = (field * network.states() >= -1e-12).all(1)
    assert torch.equal(network.is_stable(network.states()), stable)


@pytest.mark.parametrize("through", ["data", "no_grad"])
def test_biases_copied_count(through: str) -> None:
    network = HopfieldNetwork(6).store(PATTERNS)
    network.recall(network.states())
    (network.bias.data if through == "data" else network.bias).copy_(torch.full((6,), 9.0))
    found = network.recall(network.states())
    assert (found.state == 1).all()
    assert isinstance(network.fields(), OverlapFields)
    assert torch.allclose(found.energy[-1], network.energy(found.state), atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_single_precision_recalls_the_same(dtype: torch.dtype) -> None:
    patterns = random_spins(9, 99, 4)
    cues = random_spins(20, 99, 5)
    double = HopfieldNetwork(99).store(patterns)
    network = HopfieldNetwork(99).store(patterns).to(dtype)
    assert isinstance(network.fields(), OverlapFields)
    found, expected = [n.recall(cues, generator=0) for n in (network, double)]
    assert found.state.dtype == dtype and found.energy.dtype == dtype
    assert torch.equal(found.state.double(), expected.state)
    matrix = HopfieldNetwork(99).to(dtype)
    matrix.weights.copy_(network.weights)
    assert isinstance(matrix.fields(), DenseFields)
    assert torch.equal(matrix.recall(cues, generator=0).state.double(), expected.state)


def test_file_round_trip(tmp_path: Path) -> None:
    network = HopfieldNetwork(20).store(random_spins(3, 20, 0))
    network.bias.copy_(torch.linspace(-0.1, 0.1, 20))
    network.save(tmp_path / "network.safetensors")
    copy = HopfieldNetwork.load(tmp_path / "network.safetensors")
    assert torch.equal(copy.patterns, network.patterns)
    assert torch.equal(copy.weights, network.weights)
    assert isinstance(copy.fields(), OverlapFields)
    cues = random_spins(10, 20, 1)
    assert torch.equal(
        copy.recall(cues, generator=0).state, network.recall(cues, generator=0).state
    )
    assert (
        HopfieldNetwork.load(tmp_path / "network.safetensors").store(cues[0]).patterns.shape[0]
        == 4
    )


def test_energies_have_gradients() -> None:
    network = HopfieldNetwork(6).store(PATTERNS)
    network.weights.requires_grad_()
    network.energy(torch.tensor(PATTERNS)).sum().backward()
    x = torch.tensor(PATTERNS).double()
    assert network.weights.grad is not None
    assert torch.allclose(network.weights.grad, -0.5 * x.T @ x)


def test_shapes_of_batches_are_kept() -> None:
    network = HopfieldNetwork(6).store(PATTERNS)
    cues = network.states().reshape(4, 16, 6)
    found = network.recall(cues)
    assert found.state.shape == (4, 16, 6)
    assert found.converged.shape == found.sweeps.shape == found.cycle.shape == (4, 16)
    assert found.energy.shape[1:] == (4, 16) == network.energy(cues).shape
    assert network.is_stable(cues).shape == (4, 16)
    none = network.recall(torch.empty(0, 6))
    assert none.state.shape == (0, 6) and none.energy.shape == (1, 0)


def test_numpy_and_whole_numbers_are_accepted() -> None:
    network = HopfieldNetwork(6).store(np.array(PATTERNS))
    assert network.recall(np.array(PATTERNS, dtype=np.int8)).converged.all()
    assert torch.equal(network.energy(PATTERNS), network.energy(torch.tensor(PATTERNS)))


# Errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("patterns", "message"),
    [
        ([1, 0, -1, 0, 1], r"patterns must hold -1 and \+1 only, found 0 at index \(1,\)"),
        ([[1, 1, 1, 1, 2]], "found 2 at index"),
        ([[1, 1, 1]], "patterns must have 5 units"),
        (torch.empty(0, 5), "at least one pattern"),
        ([1, float("nan"), 1, 1, 1], "NaN"),
        (torch.ones(2, 2, 5), "patterns must be"),
        (1, "patterns must have 5 units"),
    ],
)
def test_patterns_that_are_none(patterns, message: str) -> None:
    network = HopfieldNetwork(5)
    with pytest.raises(ValueError, match=message):
        network.store(patterns)
    assert not network.weights.any() and len(network.patterns) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cues": [1, 0, 1, 1, 1, 1]}, r"cues must hold -1 and \+1 only"),
        ({"cues": [1, 1]}, "cues must have 6 units"),
        ({"update": "parallel"}, "update must be"),
        ({"order": "backwards"}, "order must be"),
        ({"beta": -1.0}, "beta must be at least 0"),
        ({"beta": float("inf")}, "None is temperature zero"),
        ({"beta": float("nan")}, "beta must be"),
        ({"max_sweeps": -1}, "max_sweeps must be at least 0"),
    ],
)
def test_recall_refuses(change: dict, message: str) -> None:
    network = HopfieldNetwork(6).store(PATTERNS)
    with pytest.raises(ValueError, match=message):
        network.recall(**{"cues": PATTERNS, **change})


def test_weights_without_an_energy_are_refused() -> None:
    network = HopfieldNetwork(2)
    network.weights.copy_(torch.tensor([[0.0, 1.0], [-1.0, 0.0]]))
    for use in (network.energy, network.recall, network.is_stable):
        with pytest.raises(ValueError, match="weights must be symmetric"):
            use([1, 1])
    with pytest.raises(ValueError, match="weights must be symmetric"):
        network.boltzmann_parameters()
    network.weights.fill_(float("nan"))
    with pytest.raises(ValueError, match="weights must be finite"):
        network.recall([1, 1])


def test_other_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="rule must be"):
        HopfieldNetwork(2).store([1, 1], "oja")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="n_units must be at least 1"):
        HopfieldNetwork(0)
    with pytest.raises(TypeError, match="n_units must be a whole number"):
        HopfieldNetwork(2.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at most 20 units"):
        HopfieldNetwork(23).fixed_points()
    monkeypatch.setattr("inference.memory.free_memory", lambda: 100)
    with pytest.raises(ValueError, match=r"n_units = 4, for its weights, would take 128 bytes"):
        HopfieldNetwork(4)
    monkeypatch.setattr("inference.memory.free_memory", lambda: 200)
    network = HopfieldNetwork(4)
    with pytest.raises(ValueError, match="to store patterns"):
        network.store([1, 1, 1, 1])
    assert not network.weights.any() and len(network.patterns) == 0


def test_spins_have_the_same_law():
    """Energies up to the constant of the diagonal; log Z of the worked network."""
    patterns = [[1, -1, 1, -1, 1, 1], [1, 1, 1, -1, -1, -1]]
    for zero, expected in ((True, 4.5516096675), (False, 5.5516096675 - 1.0)):
        network = HopfieldNetwork(6).store(patterns, zero_diagonal=zero)
        spins = network.to_ising()
        gap = network.energy(network.states()) - spins.energy(network.states())
        torch.testing.assert_close(gap, gap[:1].expand_as(gap))
        assert float(spins.log_partition()) == pytest.approx(expected, abs=1e-9)


def test_annealing_finds_the_patterns_and_sums_the_law():
    """Six standard errors: a false alarm in 5e8."""
    patterns = torch.tensor([[1, -1, 1, -1, 1, 1], [1, 1, 1, -1, -1, -1]])
    network = HopfieldNetwork(6).store(patterns)
    found = simulated_annealing(network, sweeps=50, chains=16, generator=0)
    assert float(found.energy.min()) == pytest.approx(-2.0, abs=1e-5)
    assert bool(network.is_stable(found.state).all())
    estimate = annealed_importance_sampling(network, generator=0)
    assert abs(float(estimate) - 4.5516096675) < 6 * estimate.standard_error
