"""Fields to networks and back, files, factor graphs, pictures."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from inference.exact.factor import Factor
from pgm.classic import asia
from pgm.markov_random_field import MarkovRandomField
from tests.pgm.random_fields.enumeration import all_rows


def test_a_network_becomes_its_moral_field():
    net = asia()
    field = MarkovRandomField.from_bayesian_network(net)
    rows = net.sample(200, generator=0)
    torch.testing.assert_close(field.log_prob(rows), net.log_prob(rows))
    assert "either" in field.neighbours("bronc")  # married parents of dysp
    evidence = {"xray": "yes", "smoke": "no"}
    for name, table in field.marginals(evidence).items():
        torch.testing.assert_close(table, net.marginals(evidence)[name])
    assert field.states == net.states


@pytest.mark.parametrize("zeros", [0.0, 0.3])
def test_a_field_becomes_a_network_of_the_same_law(random_field, zeros):
    for seed in range(4):
        field = random_field(seed, zeros)
        net = field.to_bayesian_network()
        rows = all_rows(field)
        torch.testing.assert_close(net.log_prob(rows), field.log_prob(rows))
        assert net.variables == field.variables and net.states == field.states
        back = MarkovRandomField.from_bayesian_network(net)
        torch.testing.assert_close(back.log_prob(rows), field.log_prob(rows))


def test_separations_of_the_network_hold_in_the_field():
    field = MarkovRandomField.ising(0.4, shape=(1, 5))
    net = field.to_bayesian_network()
    assert len(net.edges) == 4
    assert net.is_d_separated("0,0", "0,4", "0,2")


def test_what_does_not_fit_is_refused():
    field = MarkovRandomField.ising(0.1, shape=(12, 12), memory_limit=10_000)
    with pytest.raises(ValueError, match=r"memory_limit is 9\.8 KiB"):
        field.to_bayesian_network()
    nothing = MarkovRandomField({"a": 2}, [Factor(["a"], [-np.inf, -np.inf])])
    with pytest.raises(ValueError, match="zero everywhere"):
        nothing.to_bayesian_network()


@pytest.mark.parametrize("suffix", [".uai", ".uai.gz", ".safetensors"])
def test_files_keep_the_law(random_field, tmp_path, suffix):
    field = random_field(0, 0.2)
    path = tmp_path / f"field{suffix}"
    field.save(path)
    read = MarkovRandomField.load(path)
    rows = all_rows(field)
    torch.testing.assert_close(read.energy(rows), field.energy(rows), rtol=1e-14, atol=1e-14)
    scopes = [len(factor.scope) for factor in field.factors]
    assert [len(factor.scope) for factor in read.factors] == scopes
    if suffix == ".safetensors":
        assert torch.equal(read.weights, field.weights)
        assert read.states == field.states


@pytest.mark.parametrize(
    "make",
    [
        lambda: MarkovRandomField.ising(0.3, 0.1, shape=(2, 3), periodic=True),
        lambda: MarkovRandomField.grid((2, 2), [0.0, 1.0], [[1.0, 0.0], [0.5, 2.0]]),
        lambda: MarkovRandomField.log_linear(
            {"a": ["x", "y"], "b": 2},
            [(["a", "b"], [[0.25, 1.0], [0.0, -1.5]])],
            [0.7],
            [Factor(["b"], [0.0, -np.inf])],
        ),
        lambda: MarkovRandomField({"a": 2}),
    ],
)
def test_every_kind_of_field_is_saved(make, tmp_path):
    field = make()
    field.save(tmp_path / "field.safetensors")
    read = MarkovRandomField.load(tmp_path / "field.safetensors")
    rows = all_rows(field)
    assert torch.equal(read.energy(rows), field.energy(rows))
    assert torch.equal(read.weights, field.weights)
    assert read.log_partition() == field.log_partition()
    twin = copy.deepcopy(field)
    with torch.no_grad():
        twin.weights.add_(1.0)
    assert torch.equal(read.energy(rows), field.energy(rows))


def test_bad_files_are_refused(tmp_path):
    field = MarkovRandomField({"a": 2}, [Factor(["a"], [0.0, 800.0])])
    with pytest.raises(ValueError, match="range of floats"):
        field.save(tmp_path / "large.uai")
    with pytest.raises(ValueError, match="suffix"):
        field.save(tmp_path / "field.bif")
    with pytest.raises(ValueError, match="suffix"):
        MarkovRandomField.load(tmp_path / "field.bif")
    (tmp_path / "bad.uai").write_text("MARKOV 1 2 1 1 0 2 0.5 -2.0")
    with pytest.raises(ValueError, match=r"bad\.uai"):
        MarkovRandomField.load(tmp_path / "bad.uai")


def test_a_network_file_is_read_as_factors(tmp_path):
    net = asia()
    net.save(tmp_path / "asia.uai")
    field = MarkovRandomField.load(tmp_path / "asia.uai")
    rows = net.sample(50, generator=0)
    torch.testing.assert_close(field.log_prob(rows), net.log_prob(rows))


def test_factor_graphs_carry_gradients(random_field):
    field = random_field(0)
    field.weights.requires_grad_()
    graph = field.to_factor_graph()
    torch.testing.assert_close(graph.log_partition(), field.log_partition())
    graph.log_partition().backward()
    torch.testing.assert_close(field.weights.grad, field.feature_expectations())


def test_tied_weights_get_the_sum_of_gradients():
    field = MarkovRandomField.ising(0.3, 0.1, shape=(2, 3))
    field.weights.requires_grad_()
    field.log_partition().backward()
    torch.testing.assert_close(field.weights.grad, field.feature_expectations())
    rows = torch.tensor([[0, 1, 1, 1, 0, 0]])
    energy = torch.autograd.grad(field.energy(rows).sum(), field.weights)[0]
    s = (2 * rows - 1).double().reshape(2, 3)
    pairs = (s[:1] * s[1:]).sum() + (s[:, :-1] * s[:, 1:]).sum()
    torch.testing.assert_close(-energy, torch.stack([pairs, s.sum()]))


def test_the_field_moves_to_other_types(random_field):
    field = random_field(0).float()
    assert field.weights.dtype == torch.float32
    assert field.log_partition().dtype == torch.float64
    torch.testing.assert_close(
        field.log_partition(), random_field(0).log_partition(), rtol=1e-5, atol=1e-5
    )
    ising = MarkovRandomField.ising(0.3, shape=(2, 2)).float()
    exact = MarkovRandomField.ising(0.3, shape=(2, 2)).log_partition()
    torch.testing.assert_close(ising.log_partition(), exact, rtol=1e-6, atol=1e-6)


def test_pictures_have_boxes_and_lines():
    field = MarkovRandomField.ising(0.3, shape=(2, 3))
    ax = field.plot(Figure().add_subplot())
    assert {patch.get_gid() for patch in ax.patches} == {f"node:{v}" for v in field.variables}
    assert len(ax.lines) == 7
    for empty in (MarkovRandomField({}), MarkovRandomField({"a": 2})):
        assert len(empty.plot(Figure().add_subplot()).patches) == len(empty.variables)


def test_rows_may_be_frames_with_labels():
    pandas = pytest.importorskip("pandas")
    field = MarkovRandomField(
        {"a": ["no", "yes"], "b": 2}, [Factor(["a", "b"], [[0.0, 1.0], [2.0, 0.5]])]
    )
    frame = pandas.DataFrame({"b": [0, 1], "a": ["yes", None]})
    expected = field.log_prob([[1, 0], [-1, 1]])
    torch.testing.assert_close(field.log_prob(frame), expected)
    assert field.fit(frame).history
