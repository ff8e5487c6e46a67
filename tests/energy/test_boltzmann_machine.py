"""The Boltzmann machine: worked numbers, conditional laws, learning, files, errors."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from energy.boltzmann.dense_law import DenseLaw
from energy.boltzmann.exact import clamped_log_sums
from energy.boltzmann_machine import BoltzmannMachine
from energy.hopfield_network import HopfieldNetwork
from energy.restricted_boltzmann_machine import RestrictedBoltzmannMachine
from inference.exact.enumerate import enumerate_states
from inference.sampling.annealing import simulated_annealing
from inference.sampling.binary.law import PairLaw


@pytest.fixture
def small() -> BoltzmannMachine:
    made = BoltzmannMachine(3)
    with torch.no_grad():
        made.weights.copy_(torch.tensor([[9, 1, -2], [1, 9, 0.5], [-2, 0.5, 9]]))
        made.bias.copy_(torch.tensor([0.5, -0.3, 0.2], dtype=torch.float64))
    return made


def test_worked_numbers(small):
    assert float(small.log_partition()) == pytest.approx(2.3608778764, abs=1e-10)
    states = enumerate_states([2] * 3).double()
    probs = small.log_prob(states).exp()
    expected = [0.094337, 0.115224, 0.069887, 0.140735, 0.155536, 0.025710, 0.313211, 0.085360]
    np.testing.assert_allclose(probs, expected, atol=5e-7)
    np.testing.assert_allclose(small.marginals(), [0.579817, 0.609193, 0.367029], atol=5e-7)
    pairs = states.T @ (probs[:, None] * states)
    np.testing.assert_allclose(pairs[0, 1:], [0.398571, 0.111070], atol=5e-7)
    assert float(pairs[1, 2]) == pytest.approx(0.226095, abs=5e-7)
    found = small.conditional_probabilities([1, 0, 1])
    np.testing.assert_allclose(found, [0.182426, 0.768525, 0.141851], atol=5e-7)
    graph = small.to_factor_graph().log_partition()
    torch.testing.assert_close(graph, small.log_partition())


def test_temperature_limits(small):
    states = enumerate_states([2] * 3).double()
    small.temperature = 1e9
    logs = small.log_prob(states)
    assert float(-(logs.exp() * logs).sum()) == pytest.approx(3 * math.log(2), abs=1e-8)
    small.temperature = 0.1
    assert states[small.log_prob(states).argmax()].tolist() == [1, 1, 0]
    assert float(small.log_prob([1, 1, 0]).exp()) > 0.99
    assert small.most_probable().tolist() == [1, 1, 0]
    assert small.most_probable([-1, 0, 1]).tolist() == [0, 0, 1]
    assert small.most_probable([1, 0, 1]).tolist() == [1, 0, 1]


def test_a_hopfield_network_is_a_machine():
    network = HopfieldNetwork(6).store([[1, -1, 1, 1, -1, 1], [1, 1, 1, -1, -1, -1]])
    made = BoltzmannMachine(6)
    weights, bias = network.boltzmann_parameters()
    with torch.no_grad():
        made.weights.copy_(weights)
        made.bias.copy_(bias)
    x = enumerate_states([2] * 6).double()
    gap = made.energy(x) - network.energy(2 * x - 1)
    torch.testing.assert_close(gap, gap[:1].expand(64), atol=1e-6, rtol=0)


def test_hidden_and_missing_units_are_summed_out(boltzmann):
    made = boltzmann(3, 2, 1.7)
    v, h = enumerate_states([2] * 3).double(), enumerate_states([2] * 2).double()
    both = torch.cat([v[:, None].expand(-1, 4, -1), h.expand(8, -1, -1)], -1)
    sums = made.log_weight(both).logsumexp(1)
    torch.testing.assert_close(made.free_energy(v), -1.7 * sums)
    torch.testing.assert_close(made.log_prob(v), sums - sums.logsumexp(0))
    torch.testing.assert_close(made.log_partition(), sums.logsumexp(0))
    first = made.log_prob(v).reshape(2, 4).logsumexp(1)
    torch.testing.assert_close(made.log_prob([[0, -1, -1], [1, -1, -1]]), first)
    probs = made.log_prob(v[4:]).softmax(0)
    torch.testing.assert_close(made.marginals([1, -1, -1, -1, -1])[:3], probs @ v[4:])


def test_laws_of_sparse_and_dense_graphs_agree(boltzmann):
    ring = torch.zeros(12, 12, dtype=torch.bool)
    ring[torch.arange(12), (torch.arange(12) + 1) % 12] = True
    made = boltzmann(12, mask=ring | ring.T)
    sparse, dense = made.tempered_law(dtype=torch.float64), DenseLaw(*made._cold())
    assert isinstance(sparse, PairLaw) and not isinstance(dense, PairLaw)
    x = sparse.position(sparse.start(9, torch.Generator().manual_seed(0)))
    torch.testing.assert_close(sparse.log_density(sparse.init(x), 1.0), made.log_weight(x))
    torch.testing.assert_close(dense.log_density(dense.init(x), 1.0), made.log_weight(x))
    found = simulated_annealing(made, sweeps=100, chains=8, generator=0, progress=False)
    assert torch.equal(found.best.double(), made.most_probable().double())


def test_annealed_log_partition(boltzmann):
    """Six standard errors: a false alarm in 5e8."""
    made = boltzmann(6, 4, 1.3)
    found = made.log_partition("ais", generator=0, progress=False)
    assert abs(float(found) - float(made.log_partition())) < 6 * found.standard_error


def test_a_search_beyond_enumeration_holds_what_is_known(boltzmann):
    made = boltzmann(30, seed=1)
    row = torch.full((30,), -1)
    row[:3] = torch.tensor([1, 0, 1])
    found = made.most_probable(row, sweeps=300, generator=0, progress=False)
    assert found[:3].tolist() == [1, 0, 1]
    gains = (made.conditional_probabilities(found).logit() * (1 - 2 * found))[3:]
    assert float(gains.max()) <= 1e-9


def test_conditional_draws(boltzmann):
    """Chains of 60 sweeps of 3 free units with weak couplings; 6 standard errors and 1e-3."""
    made, n = boltzmann(3, 2, scale=0.5), 40_000
    row = [1, -1, 0, -1, -1]
    drawn = made.conditional_sample(row, n, sweeps=60, generator=0).double()
    assert bool((drawn[:, [0, 2]] == torch.tensor([1.0, 0.0])).all())
    gap = (drawn.mean(0) - made.marginals(row)).abs()
    assert float(gap.max()) < 6 * 0.5 / math.sqrt(n) + 1e-3
    rows = torch.tensor([row[:3]]).repeat(n, 1)
    rows[: n // 2, 1] = 1
    completed = made.complete(rows, sweeps=60, generator=0)
    assert completed.shape == (n, 3)
    assert bool((completed[: n // 2] == rows[: n // 2]).all())
    gap = float(completed[n // 2 :, 1].mean()) - float(made.marginals(row)[1])
    assert abs(gap) < 6 * 0.5 / math.sqrt(n / 2) + 1e-3
    assert abs(float(made.marginals(row)[1] - made.marginals()[1])) > 0.02


def test_sweeps_hold_clamped_units_and_repeat_with_a_seed(boltzmann):
    made = boltzmann(8)
    x = torch.zeros(50, 8)
    held = torch.arange(8) < 3
    found = made.gibbs_sweep(x, generator=0, clamped=held)
    assert not found[:, :3].any() and bool(found[:, 3:].any())
    assert torch.equal(found, made.gibbs_sweep(x, generator=0, clamped=held))
    assert bool(made.gibbs_sweep(x, generator=0)[:, :3].any())
    draws = made.sample(5, sweeps=20, generator=3)
    assert torch.equal(draws, made.sample(5, sweeps=20, generator=3))
    assert made.sample(5, method="exact", generator=3).shape == (5, 8)


@pytest.mark.parametrize("missing", [False, True])
def test_a_step_is_the_gradient_of_the_likelihood(boltzmann, missing):
    """One exact step against autograd, and that against finite differences."""
    made = boltzmann(3, 2, 1.5, scale=0.5)
    data = torch.tensor([[1, 0, 1], [0, 0, 1], [1, 1, 0], [1, 0, 1]])
    if missing:
        data[0, 1] = -1
    before = made.weights.detach().clone(), made.bias.detach().clone()
    made.requires_grad_()
    made.log_prob(data).mean().backward()
    w, b = made.weights.grad.clone(), made.bias.grad.clone()
    rows = torch.nn.functional.pad(data, (0, 2), value=-1)

    def likelihood(weights, bias):
        sums = clamped_log_sums(weights / 1.5, bias / 1.5, rows)
        everything = clamped_log_sums(weights / 1.5, bias / 1.5, torch.full((1, 5), -1))
        return (sums - everything).mean()

    step = torch.zeros(5, 5, dtype=torch.float64)
    step[0, 3] = step[3, 0] = 1e-5
    up, down = likelihood(before[0] + step, before[1]), likelihood(before[0] - step, before[1])
    assert float(w[0, 3] + w[3, 0]) == pytest.approx(float(up - down) / 2e-5, abs=1e-8)
    made.requires_grad_(False).fit(data, epochs=1, lr=0.1, progress=False)
    off = ~torch.eye(5, dtype=torch.bool)
    torch.testing.assert_close(
        (made.weights - before[0])[off], 0.1 * (w + w.T)[off], atol=1e-12, rtol=1e-9
    )
    torch.testing.assert_close(made.bias - before[1], 0.1 * b, atol=1e-12, rtol=1e-9)


def test_learning_finds_the_moments_of_data(boltzmann):
    truth = boltzmann(4, seed=2, scale=0.7)
    data = truth.sample(400, method="exact", generator=0)
    made = BoltzmannMachine(4).fit(data, epochs=1500, lr=1.0, progress=False)
    x = enumerate_states([2] * 4).double()
    probs = made.log_prob(x).exp()
    pairs = x.T @ (probs[:, None] * x)
    expected = data.double().T @ data.double() / 400
    torch.testing.assert_close(pairs, expected, atol=1e-4, rtol=0)
    path = [one["log_likelihood"] for one in made.history]
    assert np.diff(path).min() > -1e-9
    chained = BoltzmannMachine(4).fit(
        data, "persistent", epochs=100, lr=0.1, generator=0, progress=False
    )
    assert made.score(data) - 0.02 < chained.score(data) <= made.score(data) + 1e-4
    assert len(chained.history) == 100


@pytest.mark.parametrize("method", ["exact", "persistent"])
def test_hidden_units_learn_what_pairs_cannot(boltzmann, method):
    """Parity of three: all pairs are independent, so that visible units alone stay at 3 log 2."""
    data = torch.tensor([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]]).repeat(25, 1)
    plain = BoltzmannMachine(3).fit(data, epochs=50, progress=False)
    assert plain.score(data) == pytest.approx(-3 * math.log(2), abs=1e-6)
    made = boltzmann(3, 3)
    settings = {"epochs": 1500, "lr": 0.8} if method == "exact" else {"epochs": 1000, "lr": 0.5}
    made.fit(data, method, generator=0, progress=False, **settings)
    assert made.score(data) > -1.6


def test_masks_hold_and_files_keep_everything(tmp_path):
    mask = torch.tensor([[0, 1, 0], [1, 0, 1], [0, 1, 0]]).bool()
    made = BoltzmannMachine(2, 1, 0.8, mask)
    made.fit([[1, 1], [0, 0]], epochs=20, l2=0.01, generator=0, progress=False)
    assert made.weights[0, 2] == 0 and made.weights[0, 1] > 0
    made.save(tmp_path / "machine.safetensors")
    copy = BoltzmannMachine.load(tmp_path / "machine.safetensors")
    assert torch.equal(copy.mask, mask) and copy.temperature == 0.8
    assert torch.equal(copy.log_prob([[1, 0]]), made.log_prob([[1, 0]]))
    assert copy.n_hidden == 1


def test_bad_input_is_refused(small):
    for x in ([[0.5, 0, 1]], [[-1, 1, 1]], [[1, 0]], [[math.nan, 0, 1]]):
        with pytest.raises(ValueError, match="x "):
            small.energy(x)
    with pytest.raises(ValueError, match="data must"):
        small.fit([[2, 0, 1]])
    with pytest.raises(ValueError, match="data must"):
        small.fit(torch.zeros(0, 3))
    with pytest.raises(ValueError, match="clamped must"):
        small.gibbs_sweep([[0, 0, 0]], clamped=[1, 0, 0])
    for wrong in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="temperature must be positive"):
            small.temperature = wrong
    for settings in ({"method": "cd"}, {"lr": -1.0}, {"epochs": 0}, {"l2": math.nan}):
        with pytest.raises(ValueError, match=next(iter(settings))):
            small.fit([[0, 0, 1]], **settings)
    with pytest.raises(ValueError, match="at most 22"):
        BoltzmannMachine(23).fit(torch.zeros(2, 23))
    with pytest.raises(ValueError, match="at most 22"):
        BoltzmannMachine(2, 23).free_energy([1, 0])
    small.weights.data[0, 1] = 5.0
    with pytest.raises(ValueError, match="symmetric"):
        small.energy([0, 0, 1])
    small.weights.data[0, 1] = math.nan
    with pytest.raises(ValueError, match="weights must be finite"):
        small.sample(2)


def test_bad_shapes_are_refused():
    with pytest.raises(ValueError, match="n_visible"):
        BoltzmannMachine(0)
    with pytest.raises(ValueError, match="n_hidden"):
        BoltzmannMachine(1, -1)
    with pytest.raises(ValueError, match="units would take"):
        BoltzmannMachine(10_000_000)
    with pytest.raises(TypeError, match="mask must be bool"):
        BoltzmannMachine(2, mask=torch.ones(2, 2))
    with pytest.raises(ValueError, match="mask must be symmetric"):
        BoltzmannMachine(2, mask=torch.tensor([[False, True], [False, False]]))
    masked = BoltzmannMachine(2, mask=torch.zeros(2, 2, dtype=torch.bool))
    masked.weights.data.fill_(1.0)
    with pytest.raises(ValueError, match="the mask has no such pair"):
        masked.log_partition()


def test_hidden_units_that_are_joined_to_nothing_do_not_stay_alike():
    machine = BoltzmannMachine(2, 3)
    machine.weights.data[0, 2] = machine.weights.data[2, 0] = 0.5
    machine.fit([[1, 1], [0, 0], [1, 1]], epochs=1, lr=0.0, generator=0, progress=False)
    weights = machine.weights
    assert not torch.equal(weights[3, :2], weights[4, :2])
    assert weights[0, 2] == 0.5
    assert weights[1, 2] == 0


def test_masks_that_may_not_be_written_to():
    """Torch warns of such arrays, once, unless it is told to always do so."""
    mask, clamped = np.ones((3, 3), dtype=bool), np.array([True, False, False])
    mask.setflags(write=False)
    clamped.setflags(write=False)
    torch.set_warn_always(True)
    try:
        machine = BoltzmannMachine(3, mask=mask)
        assert machine.gibbs_sweep([[1, 0, 0]], clamped=clamped, generator=0)[0, 0] == 1
        states = np.ones((1, 3))
        states.setflags(write=False)
        machine.gibbs_sweep(states, generator=0)
        RestrictedBoltzmannMachine(3, 2).gibbs_sweep(states, generator=0)
    finally:
        torch.set_warn_always(False)


def test_scores_of_parameters_that_want_gradients(boltzmann):
    """Torch warns of numbers with a graph, once, unless it is told to always do so."""
    machine = boltzmann(3).requires_grad_()
    torch.set_warn_always(True)
    try:
        found = machine.score([[1, 0, 1]])
    finally:
        torch.set_warn_always(False)
    assert found == float(machine.log_prob([[1, 0, 1]]).detach())


def test_messages_name_what_was_passed():
    with pytest.raises(ValueError, match=r"^v must hold"):
        BoltzmannMachine(2).free_energy([[2, 0]])
