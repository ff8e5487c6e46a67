"""Wasserstein GANs: gaps against exact distances, constraints in learning, files and refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from generative.gan.critic_gap import estimate_earth_movers
from generative.gan.penalties import input_slopes
from generative.metrics.mode_coverage import mode_coverage
from generative.metrics.wasserstein_distance import wasserstein_distance
from generative.networks import dcgan_discriminator, dcgan_generator, mlp
from generative.toy import ring, ring_centres
from generative.wasserstein_gan import WassersteinGAN


def made(constraint: Any = "gradient-penalty", width: int = 16, **options: Any) -> WassersteinGAN:
    """A small model of pairs of numbers."""
    networks = mlp([2, width, 2], generator=0), mlp([2, width, 1], "leaky_relu", generator=1)
    return WassersteinGAN(*networks, constraint, **options)


def rows(n: int = 256, seed: int = 0) -> Tensor:
    """Pairs far from the origin, of a unit of their own."""
    noise = torch.randn(n, 2, generator=torch.Generator().manual_seed(seed))
    return 50 + noise * torch.tensor([10.0, 5.0])


def test_gap_is_the_difference_of_mean_ratings_in_the_rows_unit() -> None:
    x = rows(64)
    model = made().fit(x, steps=4, batch_size=32, generator=0, progress=False)
    source = torch.Generator().manual_seed(5)
    fake = model.sample(64, generator=source)
    expected = model.ratings(x).mean() - model.ratings(fake).mean()
    assert model.critic_gap(x, generator=5) == pytest.approx(expected.item(), rel=1e-4, abs=1e-4)
    # The slope does not depend on the unit: what is rated is in that of the rows.
    at = x.clone().requires_grad_()
    inner = ((x - model.location) / model.scale).requires_grad_()
    plain = input_slopes(model.critic(inner).flatten(), inner)
    assert torch.allclose(input_slopes(model.ratings(at), at), plain, rtol=1e-3)


def test_fit_brings_samples_near() -> None:
    x = rows(1000)
    model = made(width=32, penalty_weight=1.0, critic_steps=2)
    model.fit(x, steps=400, lr=5e-3, generator=0, progress=False)
    after = wasserstein_distance(model.sample(500, generator=0), x[:500]).item()
    # All samples at the mean would be as far as the data spread.
    collapsed = (x[:500] - x.mean(0)).norm(dim=1).mean().item()
    assert after < 0.6 * collapsed
    last = model.history[-1]
    assert set(last) == {
        "epoch", "critic_loss", "generator_loss", "gap", "penalty", "real_rating", "fake_rating"
    }  # fmt: skip
    assert last["gap"] == pytest.approx(last["real_rating"] - last["fake_rating"], abs=1e-3)
    # A gap of a critic that is trained to the end says how far they are, in the rows' unit.
    unit = model.scale.item()
    samples = model.sample(500, generator=0)
    found = estimate_earth_movers(
        mlp([2, 32, 1], "leaky_relu", generator=3), x[:500] / unit, samples / unit,
        steps=300, lr=3e-3, generator=0,
    )  # fmt: skip
    assert found.distance is not None
    assert 0.5 * after < found.distance * unit < 1.05 * after


def test_generator_plays_after_critic_steps() -> None:
    x = rows(64)
    still = made(critic_steps=5)
    first = [p.clone() for p in still.generator.parameters()]
    still.fit(x, epochs=1, batch_size=16, generator=0, progress=False)
    assert all(torch.equal(p, q) for p, q in zip(still.generator.parameters(), first, strict=True))
    moved = made(critic_steps=4)
    moved.fit(x, epochs=1, batch_size=16, generator=0, progress=False)
    assert not torch.equal(next(moved.generator.parameters()), first[0])


def test_clip_holds_after_every_step() -> None:
    model = made("clip", clip=0.02, critic_steps=1)
    model.fit(rows(64), steps=6, batch_size=32, generator=0, progress=False)
    sizes = torch.cat([p.detach().flatten().abs() for p in model.critic.parameters()])
    assert sizes.max().item() <= 0.02 + 1e-9
    assert "penalty" not in model.history[-1]


def test_spectral_critics_have_slopes_below_one() -> None:
    model = made("spectral", critic_steps=1)
    model.fit(rows(128), steps=60, batch_size=64, lr=1e-2, generator=0, progress=False)
    x = rows(200, seed=1).requires_grad_()
    # One step of the power method per batch follows the weights up to a few hundredths.
    assert input_slopes(model.ratings(x), x).max().item() < 1.05
    loose = made(width=16)
    with torch.no_grad():
        for p in loose.critic.parameters():
            p.mul_(20)
    assert input_slopes(loose.ratings(x), x).max().item() > 1.05


@pytest.mark.parametrize("constraint", ["clip", "gradient-penalty", "spectral"])
def test_files(constraint: Any, tmp_path: Path) -> None:
    x = rows(64)
    model = made(constraint, one_sided=False, critic_steps=2)
    model.fit(x, steps=4, batch_size=32, generator=0, progress=False)
    model.save(tmp_path / "model.safetensors")
    networks = mlp([2, 16, 2]), mlp([2, 16, 1], "leaky_relu")
    copy = WassersteinGAN.load(tmp_path / "model.safetensors", *networks)
    assert copy.config() == model.config()
    assert torch.equal(copy.sample(5, generator=1), model.sample(5, generator=1))
    assert copy.critic_gap(x, generator=1) == model.critic_gap(x, generator=1)


def test_images_and_packs_and_labels() -> None:
    x = torch.rand(32, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    generator = dcgan_generator(4, 1, 8, 4, condition_dim=2, generator=0)
    critic = dcgan_discriminator(2, 8, 4, condition_dim=4, batch_norm=False, generator=1)
    model = WassersteinGAN(generator, critic, pack=2, condition=2, one_sided=False)
    assert model.latent_dim == 4 and not model.standardize
    labels = torch.arange(32) % 2
    model.fit(x, condition=labels, steps=3, batch_size=16, generator=0, progress=False)
    samples = model.sample(6, 1, generator=0)
    assert samples.shape == (6, 1, 8, 8) and samples.abs().max() <= 1
    assert model.ratings(x, labels).shape == (16,)
    assert model.history[-1]["penalty"] > 0


@pytest.mark.slow
def test_cures_the_collapse_of_fourier_features() -> None:
    class Fourier(nn.Module):
        """Waves of every number, in front of a network."""

        def __init__(self, network: nn.Module) -> None:
            super().__init__()
            self.network = network

        def forward(self, x: Tensor) -> Tensor:
            waves = [f(2**j * x) for j in range(4) for f in (torch.sin, torch.cos)]
            return self.network(torch.cat([x, *waves], 1))

    critic = Fourier(mlp([18, 64, 64, 64, 1], "leaky_relu", generator=100))
    model = WassersteinGAN(
        mlp([2, 64, 64, 64, 2], generator=0), critic, penalty_weight=0.1, critic_steps=1
    )
    model.fit(ring(100_000, generator=0), steps=2300, generator=0, progress=False)
    found = mode_coverage(model.sample(2500, generator=1), ring_centres(), 0.01)
    assert found.modes == 8
    assert found.high_quality > 0.6 and found.reverse_kl < 0.02


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"constraint": "none"}, "constraint must be one of clip"),
        ({"clip": -1.0}, "clip must be positive"),
        ({"critic_steps": 0}, "critic_steps must be at least 1"),
        ({"penalty_weight": 0.0}, "penalty_weight must be positive"),
        ({"pack": 0}, "pack must be at least 1"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        made(**options)


def test_bad_networks_are_refused() -> None:
    x = rows(16)
    wide = WassersteinGAN(mlp([2, 3]), mlp([3, 1]))
    with pytest.raises(ValueError, match=r"generator returned \(3,\), but data rows are \(2,\)"):
        wide.fit(x, progress=False)
    many = WassersteinGAN(mlp([2, 2]), mlp([2, 2]))
    with pytest.raises(ValueError, match=r"critic must return one number per row.*\(2, 2\)"):
        many.fit(x, progress=False)
    with pytest.raises(TypeError, match="critic must be a torch module, found NoneType"):
        WassersteinGAN(mlp([2, 2]), None)  # pyright: ignore[reportArgumentType]
    assert many.history == [] and many.event_shape is None
