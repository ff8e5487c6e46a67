"""Learning all layers: steps follow exact gradients, likelihoods rise, runs go on bit for bit."""

from __future__ import annotations

import pytest
import torch

from energy.deep_boltzmann.learning import JointLearner, Settings
from energy.deep_boltzmann_machine import DeepBoltzmannMachine
from inference.learning import checkpoint as module
from inference.sampling.annealed_importance import annealed_importance_sampling


def numbers(machine: DeepBoltzmannMachine) -> dict[str, torch.Tensor]:
    """Copies of the parameters as learning has them."""
    layers = machine.layers(detached=True)
    found = layers.weights, layers.visible_bias, layers.hidden_bias
    names = "weights", "even_bias", "odd_bias"
    return {name: part.clone() for name, part in zip(names, found, strict=True)}


def steps(machine, rows, draws, settings) -> dict[str, torch.Tensor]:
    """What steps of rate one add, each from other chains, (step, ...)."""
    generator, before, found = torch.Generator().manual_seed(3), numbers(machine), []
    for chains in draws.split(settings.chains):
        learner = JointLearner(
            numbers(machine), machine._sides.connected(), rows.mean(0), chains, settings
        )
        learner.step(rows, 1.0, 0, generator)
        found.append({name: learner.parameters[name] - before[name] for name in before})
    return {name: torch.stack([one[name] for one in found]) for name in before}


def far(found: torch.Tensor, expected: torch.Tensor) -> bool:
    """Whether a mean is more than seven standard errors off anywhere: alarms 3e-12 each."""
    error = found.std(0) / len(found) ** 0.5
    return bool(((found.mean(0) - expected).abs() > 7 * error + 1e-12).any())


@pytest.mark.parametrize("sizes", [(4, 3, 2), (3, 2, 2, 2), (4, 3)])
@pytest.mark.parametrize("l2", [0.0, 0.2])
def test_a_step_follows_the_gradient_on_average(stack, sizes, l2):
    """From exact draws the mean step is the slope of the bound, less what decays."""
    machine, settings = stack(*sizes, scale=0.6), Settings(k=2, chains=200, l2=l2)
    generator = torch.Generator().manual_seed(1)
    rows = torch.randint(0, 2, (40, sizes[0]), generator=generator).double()
    machine.requires_grad_()
    bound = machine.log_prob_bound(rows, iterations=5, log_partition=0.0).mean()
    (bound - machine.log_partition()).backward()
    slopes = machine._sides.joined_weights([w.grad for w in machine.weights])
    even, odd = machine._sides.join([b.grad for b in machine.biases])
    machine.requires_grad_(False)
    expected = {
        "weights": slopes - l2 * numbers(machine)["weights"] * (slopes != 0),
        "even_bias": even,
        "odd_bias": odd,
    }
    _, draws = machine._sides.join(machine.sample_layers(20_000, method="exact", generator=2))
    found = steps(machine, rows, draws, settings)
    assert not any(far(found[name], expected[name]) for name in expected)
    # One sweep from draws of another law does not reach this one.
    hasty = Settings(chains=200, l2=l2)
    other = steps(machine, rows, torch.ones_like(draws), hasty)
    assert any(far(other[name], expected[name]) for name in expected)


def test_without_couplings_above_the_gradient_is_that_of_the_likelihood(stack):
    machine = stack(4, 3, 2, scale=0.6)
    machine.weights[1].data.zero_()
    rows = torch.randint(0, 2, (40, 4), generator=torch.Generator().manual_seed(1)).double()
    machine.requires_grad_()
    machine.log_prob(rows).mean().backward()
    expected = machine._sides.joined_weights([w.grad for w in machine.weights])
    machine.requires_grad_(False)
    _, draws = machine._sides.join(machine.sample_layers(20_000, method="exact", generator=2))
    found = steps(machine, rows, draws, Settings(chains=200))["weights"]
    assert not far(found, expected)


@pytest.mark.parametrize("pretrain", [True, False])
@pytest.mark.parametrize("sizes", [[6, 4, 2], [6, 4, 3, 2]])
def test_learning_nears_the_entropy_of_the_data(bars, pretrain, sizes):
    machine = DeepBoltzmannMachine(sizes, generator=0)
    before = machine.score(bars)
    machine.fit(
        bars,
        pretrain=pretrain,
        pretrain_epochs=150,
        epochs=150 if pretrain else 300,
        lr=0.3,
        generator=0,
        progress=False,
    )
    _, counts = bars.unique(dim=0, return_counts=True)
    shares = counts / len(bars)
    best = float((shares * shares.log()).sum())
    assert before < best - 1.0
    assert machine.score(bars) > best - 0.15
    assert float(machine.log_prob_bound(bars).mean()) > best - 0.2
    assert [row["epoch"] for row in machine.history] == list(range(1, len(machine.history) + 1))
    assert machine.history[-1]["mean_gap"] < 0.1
    means = torch.sigmoid(machine.base_bias)
    torch.testing.assert_close(means, bars.mean(0), rtol=0, atol=0.01)


def test_constant_features_stay_finite(bars):
    bars[:, 0], bars[:, 1] = 0.0, 1.0
    machine = DeepBoltzmannMachine([6, 3, 2], generator=0)
    machine.fit(bars, pretrain_epochs=5, epochs=10, generator=0, progress=False)
    assert all(bool(p.isfinite().all()) for p in machine.parameters())


ROWS = torch.randint(0, 2, (60, 5), generator=torch.Generator().manual_seed(0)).float()


class Stopped(RuntimeError):
    """What stops learning in the middle."""


def learned(path=None, sizes=(5, 3, 2, 2), **options) -> DeepBoltzmannMachine:
    machine = DeepBoltzmannMachine(sizes, generator=1)
    options = {"pretrain_epochs": 3, "epochs": 6, "batch_size": 20, "generator": 7} | options
    return machine.fit(ROWS, checkpoint=path, progress=False, **options)


def same(one: DeepBoltzmannMachine, other: DeepBoltzmannMachine) -> bool:
    parameters = zip(one.parameters(), other.parameters(), strict=True)
    return one.history == other.history and all(torch.equal(*pair) for pair in parameters)


@pytest.mark.parametrize("stop", [1, 4])
def test_going_on_is_never_having_stopped(tmp_path, monkeypatch, stop):
    path = tmp_path / "run.safetensors"
    write = module.Checkpoint.write

    def stopping(self, tensors, figures) -> None:
        write(self, tensors, figures)
        if path.exists() and figures["epoch"] == stop:
            raise Stopped

    whole = learned()
    monkeypatch.setattr(module.Checkpoint, "write", stopping)
    with pytest.raises(Stopped):
        learned(path)
    monkeypatch.undo()
    assert same(learned(path, generator=99), whole)  # the file's generator counts
    assert same(learned(path), whole)
    # Only the first layer had been learned.
    path.unlink()
    assert same(learned(path, generator=99), whole)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": 0.2}, "settings"),
        ({"epochs": 7}, "settings"),
        ({"pretrain_epochs": 4}, "settings"),
        ({"sizes": (5, 3, 2)}, "machine"),
    ],
)
def test_other_runs_are_refused(tmp_path, options, message):
    path = tmp_path / "run.safetensors"
    learned(path)
    with pytest.raises(ValueError, match=f"other {message}"):
        learned(path, **options)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mean_field_steps": 0}, "mean_field_steps"),
        ({"k": 0}, "k must"),
        ({"epochs": 0}, "epochs"),
        ({"pretrain_epochs": 0}, "epochs"),
        ({"batch_size": 0}, "batch_size"),
        ({"chains": 0}, "chains"),
        ({"lr": -1.0}, "lr"),
        ({"l2": float("nan")}, "l2"),
        ({"data": torch.full((3, 6), 2.0)}, "0 and 1"),
        ({"data": torch.full((3, 6), torch.nan)}, "NaN"),
        ({"data": torch.zeros(3, 5)}, "6 units"),
        ({"data": torch.zeros(6)}, "rows"),
        ({"data": torch.zeros(0, 6)}, "rows"),
    ],
)
def test_bad_settings_and_data_are_refused(bars, arguments, message):
    machine = DeepBoltzmannMachine([6, 3, 2], generator=0)
    before = [p.data.clone() for p in machine.parameters()]
    with pytest.raises(ValueError, match=message):
        machine.fit(**({"data": bars, "progress": False} | arguments))
    assert all(map(torch.equal, before, machine.parameters()))


@pytest.mark.slow
def test_digits_are_learned():
    """Default settings on 8 x 8 digits: 0.2 nats above the limit; two log Z agree, |z| < 6."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    pixels, labels = load_digits(return_X_y=True)
    rows = torch.from_numpy(pixels >= 8).float()
    known, other = train_test_split(
        range(len(rows)), test_size=297, random_state=0, stratify=labels
    )
    machine = DeepBoltzmannMachine([64, 64, 64], generator=0)
    machine.fit(rows[known], generator=0, progress=False)
    options = {"betas": 2000, "chains": 200, "progress": False}
    forward = annealed_importance_sampling(machine, generator=1, **options)
    back = annealed_importance_sampling(machine, reverse=True, generator=2, **options)
    error = (forward.standard_error**2 + back.standard_error**2) ** 0.5
    assert abs(float(forward) - float(back)) < 6 * error
    assert float(machine.log_prob_bound(rows[other], log_partition=back).mean()) > -16.7
