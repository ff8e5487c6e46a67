"""Neural energies: linear networks, whose law is known, densities learned, and errors.

With a linear network w x + c the confined law is normal with mean mu - sigma^2 w.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from energy.neural.quadrature import grid_points
from energy.neural_energy import NeuralEnergy
from inference import warm_up
from inference.sampling.annealed_importance import LogPartition
from inference.sampling.continuous_law import NormalBase


def linear(size: int) -> tuple[NeuralEnergy, Tensor, Tensor, float]:
    """A model with a linear network, the mean and scale of its law, and its log Z."""
    slope = torch.linspace(-1.0, 0.8, size, dtype=torch.float64)
    network = nn.Linear(size, 1).double()
    network.weight.data[0], network.bias.data[0] = slope, 0.7
    model = NeuralEnergy(network, size)
    model.mean += torch.linspace(-2.0, 3.0, size)
    model.scale *= torch.linspace(0.5, 1.5, size)
    shift = -model.scale.square() * slope
    log_z = size * 0.5 * math.log(2 * math.pi) + model.scale.log().sum() - 0.7
    log_z = log_z - slope @ model.mean + 0.5 * (slope * model.scale).square().sum()
    return model, model.mean + shift, model.scale, float(log_z)


def smooth(size: int = 1) -> nn.Sequential:
    """A network with the same first parameters every time."""
    layers = [nn.Linear(size, 32), nn.Linear(32, 32), nn.Linear(32, 1)]
    source = torch.Generator().manual_seed(7)
    for layer in layers:
        for p in layer.parameters():
            p.data.normal_(0, layer.in_features**-0.5, generator=source)
    return nn.Sequential(layers[0], nn.SiLU(), layers[1], nn.SiLU(), layers[2])


# Laws that are known ---------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2])
def test_log_prob_is_that_of_the_normal_law(size: int) -> None:
    model, mean, scale, log_z = linear(size)
    x = torch.randn(7, size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    exact = NormalBase(mean, scale).log_prob(x)
    assert torch.allclose(model.log_prob(x), exact, atol=1e-10)
    assert float(model.log_partition("grid")) == pytest.approx(log_z, abs=1e-10)
    assert torch.equal(model.log_weight(x), -model.energy(x))
    assert model.score(x) == pytest.approx(float(exact.mean()), abs=1e-10)


def test_annealing_finds_log_z() -> None:
    model, mean, scale, log_z = linear(4)
    found = model.log_partition(generator=0, progress=False)
    assert isinstance(found, LogPartition) and found.reliable
    # Six standard errors of some 256 chains: false alarms are below 1e-8.
    assert abs(found.value - log_z) < 6 * found.standard_error
    assert found.standard_error < 0.1
    x = mean[None]
    exact = NormalBase(mean, scale).log_prob(x)
    assert torch.allclose(model.log_prob(x, log_partition=log_z), exact)
    assert float((model.log_prob(x, log_partition=found) - exact).detach()) == pytest.approx(
        log_z - found.value
    )


def test_score_field_is_the_slope() -> None:
    model, mean, scale, _ = linear(3)
    x = torch.randn(5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert torch.allclose(model.score_field(x), (mean - x) / scale.square(), atol=1e-12)
    deep = NeuralEnergy(smooth(2).double(), 2)
    step = 1e-6 * torch.eye(2, dtype=torch.float64)
    y = x[:, :2]
    with torch.no_grad():
        ends = [[deep.log_weight(y + sign * e) for e in step] for sign in (1, -1)]
    numeric = (torch.stack(ends[0], 1) - torch.stack(ends[1], 1)) / 2e-6
    assert torch.allclose(deep.score_field(y), numeric, atol=1e-7)
    assert not deep.score_field(y).requires_grad
    assert torch.allclose(deep.energy(y).detach(), deep.network(y)[:, 0] + 0.5 * (y**2).sum(1))
    free = NeuralEnergy(deep.network, 2, confine=False)
    assert torch.equal(free.energy(y), deep.network(y)[:, 0])


@pytest.mark.parametrize("move", ["mala", "hmc"])
def test_samples_have_the_moments(move: Any) -> None:
    model, mean, scale, _ = linear(2)
    n = 1500
    draws = model.sample(n, steps=60, move=move, generator=0)
    z = (draws - mean) / scale
    # Draws are independent and nearly exact: six standard errors, false alarms below 1e-8.
    assert float(z.mean(0).abs().max()) < 6 / math.sqrt(n)
    assert float((z.var(0) - 1).abs().max()) < 6 * math.sqrt(2 / n)
    # The base law, where the chains started, is told from it.
    assert float(((model.mean - mean) / scale).abs().max()) > 6 / math.sqrt(n)


def test_samples_from_starts_and_by_unadjusted_steps() -> None:
    model, mean, _, _ = linear(2)
    near = model.sample(3, steps=1, step_size=1e-6, starts=mean.expand(3, 2), generator=0)
    assert torch.allclose(near, mean.expand(3, 2), atol=1e-4)
    assert model.sample(3, steps=5, move="ula", generator=0).isfinite().all()
    with pytest.raises(ValueError, match="starts must be n = 2 positions, found 3"):
        model.sample(2, starts=mean.expand(3, 2))
    with pytest.raises(ValueError, match="step_size must be positive"):
        model.sample(2, step_size=0.0)
    with pytest.raises(ValueError, match="move must be"):
        model.kernel("nuts")  # type: ignore[arg-type]


def test_kernels_run_and_adapt() -> None:
    model, mean, _, _ = linear(2)
    tuned, state = warm_up(
        model.kernel("hmc"), mean.expand(64, 2), 100, generator=0, progress=False
    )
    after = tuned.step(state, torch.Generator().manual_seed(0))
    assert after.position.shape == (64, 2)
    assert 0.5 < float(after.acceptance.mean()) <= 1


# Learning --------------------------------------------------------------------------------------


def truth(x: Tensor) -> Tensor:
    """Log density of two unequal bumps, (row,)."""
    left = math.log(0.3 / 0.5) - 0.5 * ((x[:, 0] + 2) / 0.5) ** 2
    right = math.log(0.7 / 0.8) - 0.5 * ((x[:, 0] - 1) / 0.8) ** 2
    return torch.logaddexp(left, right) - 0.5 * math.log(2 * math.pi)


def bumps(n: int) -> Tensor:
    """Draws from it."""
    source = torch.Generator().manual_seed(0)
    left = torch.rand(n, 1, generator=source) < 0.3
    noise = torch.randn(n, 1, generator=source)
    return torch.where(left, -2 + 0.5 * noise, 1 + 0.8 * noise)


def divergence(log_density: Any) -> float:
    """KL divergence of a density from the truth, nats."""
    grid = grid_points([(-8, 8)], 2001, torch.zeros(()))
    with torch.no_grad():
        gap = truth(grid).double() - log_density(grid).double()
    return float((truth(grid).double().exp() * gap).sum() * 16 / 2000)


@pytest.mark.parametrize(
    ("method", "numbers"),
    [
        ("persistent", {"epochs": 30, "steps": 4, "batch_size": 64}),
        ("denoising", {"epochs": 60}),
        ("sliced", {"epochs": 60}),
        ("sliced", {"epochs": 60, "projections": None}),
        ("noise-contrastive", {"epochs": 60, "noise_ratio": 2}),
    ],
)
def test_two_bumps_are_learned(method: Any, numbers: dict[str, Any]) -> None:
    data = bumps(2000)
    model = NeuralEnergy(smooth())
    model.fit(data, method, lr=1e-2, generator=0, progress=False, **numbers)
    # A fixed seed. The best normal law is further away by ten times the bound.
    assert divergence(NormalBase(model.mean, model.scale).log_prob) > 0.2
    assert divergence(model.log_prob) < 0.02
    assert [entry["epoch"] for entry in model.history] == [*range(1, numbers["epochs"] + 1)]
    if method == "noise-contrastive":
        log_z = float(model.log_partition("grid"))
        assert float(model.log_normalizer) == pytest.approx(log_z, abs=0.05)
    else:
        assert model.log_normalizer.isnan()


def test_noise_of_the_users_own() -> None:
    model = NeuralEnergy(smooth())
    noise = NormalBase(torch.tensor([0.0]), 2.5)
    model.fit(
        bumps(2000), "noise-contrastive", noise=noise, epochs=60, lr=1e-2, generator=0,
        progress=False,
    )  # fmt: skip
    assert divergence(model.log_prob) < 0.02


@pytest.mark.parametrize("method", ["persistent", "denoising", "sliced", "noise-contrastive"])
def test_seeds_and_global_state(method: Any) -> None:
    data = bumps(50)
    models = [NeuralEnergy(smooth()) for _ in range(3)]
    before = torch.get_rng_state()
    first, second, third = (
        model.fit(data, method, epochs=2, batch_size=16, generator=seed, progress=False)
        for model, seed in zip(models, (0, 0, 1), strict=True)
    )
    assert torch.equal(before, torch.get_rng_state())
    x = bumps(5)
    assert torch.equal(first.energy(x), second.energy(x))
    assert not torch.equal(first.energy(x), third.energy(x))
    assert first.history == second.history
    assert torch.equal(
        first.sample(3, steps=5, generator=2), second.sample(3, steps=5, generator=2)
    )


def test_events_of_any_shape() -> None:
    data = torch.randn(20, 1, 3, 3, generator=torch.Generator().manual_seed(0))
    data[:, 0, 0, 0] = 5.0
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.SiLU(), nn.Flatten(), nn.Linear(2, 1))
    for method in ("persistent", "denoising", "sliced", "noise-contrastive"):
        model = NeuralEnergy(network).fit(data, method, epochs=1, generator=0, progress=False)
        assert model.event_shape == (1, 3, 3)
        assert float(model.scale[0, 0, 0]) == 1.0  # of a number that is constant
        assert model.energy(data).shape == (20,)
    assert model.score_field(data).shape == data.shape
    assert model.sample(2, steps=3, step_size=0.1, generator=0).shape == (2, 1, 3, 3)
    with pytest.raises(ValueError, match="vectors of one or two numbers"):
        model.log_partition("grid")


# Files and errors ------------------------------------------------------------------------------


def test_file(tmp_path: Path) -> None:
    model = NeuralEnergy(smooth()).fit(
        bumps(50), "noise-contrastive", epochs=1, generator=0, progress=False
    )
    model.save(tmp_path / "energy.safetensors")
    blank = smooth()
    for p in blank.parameters():
        p.data.zero_()
    copy = NeuralEnergy.load(tmp_path / "energy.safetensors", blank)
    x = bumps(5)
    assert torch.equal(copy.energy(x), model.energy(x))
    assert torch.equal(copy.log_normalizer, model.log_normalizer)
    assert copy.config() == {"event_shape": [1], "confine": True}
    with pytest.raises(TypeError, match="network must be a module like the one"):
        NeuralEnergy.load(tmp_path / "energy.safetensors")
    with pytest.raises(ValueError, match="network"):
        NeuralEnergy.load(tmp_path / "energy.safetensors", nn.Linear(1, 1))


def test_networks_are_checked() -> None:
    with pytest.raises(TypeError, match="network must be a torch module"):
        NeuralEnergy(lambda x: x)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"network must return \(2,\) or \(2, 1\)"):
        NeuralEnergy(nn.Linear(2, 3), 2)
    with pytest.raises(ValueError, match=r"network must take rows of shape \(2,\)"):
        NeuralEnergy(nn.Linear(3, 1), 2)
    with pytest.raises(ValueError, match="event_shape must be at least 1"):
        NeuralEnergy(nn.Linear(3, 1), 0)
    with pytest.raises(ValueError, match="event_shape must have at least one axis"):
        NeuralEnergy(nn.Linear(3, 1), ())
    with pytest.raises(ValueError, match="event_shape is not known yet"):
        NeuralEnergy(nn.Linear(3, 1)).sample(3)
    with pytest.raises(ValueError, match="network must return"):
        NeuralEnergy(nn.Linear(2, 3)).fit(torch.zeros(4, 2))
    with pytest.raises(ValueError, match="parameters that require gradients"):
        NeuralEnergy(nn.Linear(2, 1).requires_grad_(False)).fit(torch.zeros(4, 2))


def test_rows_are_checked() -> None:
    model = linear(2)[0]
    mean = model.mean.clone()
    for x, message in [
        ([[0.0, math.nan]], "must not hold NaN"),
        ([[0.0, math.inf]], "must be finite"),
        ([[0.0, 1.0, 2.0]], r"must be \(batch, 2\)"),
        ([0.0, 1.0], r"must be \(batch, 2\)"),
    ]:
        with pytest.raises(ValueError, match=f"x {message}"):
            model.energy(x)
        with pytest.raises(ValueError, match=f"data {message}"):
            model.fit(x)
    with pytest.raises(ValueError, match="at least two rows"):
        model.fit([[0.0, 1.0]])
    with pytest.raises(ValueError, match="method must be one of"):
        model.fit([[0.0, 1.0], [1.0, 2.0]], "cd")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match='method must be "grid" or "ais"'):
        model.log_partition("exact")  # type: ignore[arg-type]
    assert torch.equal(model.mean, mean)


def test_learning_that_is_refused_leaves_the_model(tmp_path: Path) -> None:
    source, file = torch.Generator().manual_seed(0), tmp_path / "learning"
    rows = 5 + 3 * torch.randn(40, 2, generator=source)
    options = {"generator": 0, "progress": False, "checkpoint": file}
    NeuralEnergy(smooth(2), 2).fit(rows, "denoising", epochs=1, **options)
    model = NeuralEnergy(smooth(2), 2)
    before = model.energy(rows).detach()
    with pytest.raises(ValueError, match="other settings"):
        model.fit(rows, "denoising", epochs=2, **options)
    torch.testing.assert_close(model.energy(rows).detach(), before, rtol=0, atol=0)


def test_constant_numbers_keep_scale_one() -> None:
    """The mean of some numbers that are all the same is not always that number."""
    rows = torch.full((333, 1), 1234.567)
    assert rows.std(0, correction=0) > 0
    model = NeuralEnergy(smooth()).fit(rows, "denoising", epochs=1, generator=0, progress=False)
    assert model.scale.tolist() == [1.0]
