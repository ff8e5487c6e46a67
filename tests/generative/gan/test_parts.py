"""What is told from networks."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from generative.condition import Condition
from generative.gan.conditioning_augmentation import ConditioningAugmentation
from generative.gan.conditions import divergence_of, features_of, known_features
from generative.gan.minibatch_features import MinibatchDiscrimination
from generative.gan.parts import ends_bounded, latent_dim_of, reads_rows_apart, try_networks
from generative.networks import dcgan_discriminator, dcgan_generator, mlp


@pytest.mark.parametrize(
    ("network", "features", "latent"),
    [
        (mlp([7, 4, 2]), 0, 7),
        (mlp([7, 4, 2]), 3, 4),
        (dcgan_generator(5, 1, 8, 4), 0, 5),
        (nn.Sequential(nn.Unflatten(1, (6, 1)), nn.ConvTranspose1d(6, 1, 4)), 0, 6),
    ],
)
def test_latent_dim(network: nn.Module, features: int, latent: int) -> None:
    assert latent_dim_of(network, features) == latent


@pytest.mark.parametrize(
    ("network", "features"),
    [(nn.Conv2d(3, 1, 1), 0), (nn.Linear(3, 1), 3), (nn.Linear(3, 1), None)],
)
def test_latent_dim_that_is_not_told(network: nn.Module, features: int | None) -> None:
    with pytest.raises(ValueError, match="pass latent_dim"):
        latent_dim_of(network, features)


@pytest.mark.parametrize(
    ("network", "apart"),
    [
        (mlp([2, 4, 1], "leaky_relu", dropout=0.1), True),
        (mlp([2, 4, 1], batch_norm=True), False),
        (dcgan_discriminator(1, 8, 4), True),
        (dcgan_discriminator(1, 16, 4), False),
        (dcgan_discriminator(1, 16, 4, batch_norm=False, spectral=True), True),
        (nn.Sequential(MinibatchDiscrimination(2, 2, 2), nn.Linear(4, 1)), False),
        (spectral_norm(nn.Linear(2, 1)), True),
        (nn.Sequential(nn.Linear(2, 4), nn.LayerNorm(4), nn.Linear(4, 1)), True),
        (nn.MultiheadAttention(2, 1), False),
    ],
)
def test_rows_apart(network: nn.Module, apart: bool) -> None:
    assert reads_rows_apart(network) is apart


def test_modules_of_which_nothing_is_known_are_not_trusted() -> None:
    class Mean(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x - x.mean(0)

    assert not reads_rows_apart(nn.Sequential(Mean(), nn.Linear(2, 1)))


def test_bounds() -> None:
    assert ends_bounded(dcgan_generator(5, 1, 8, 4))
    assert ends_bounded(mlp([2, 2], output="sigmoid", shape=(1, 2)))
    assert not ends_bounded(mlp([2, 2, 2]))


def test_networks_are_tried_in_evaluation_mode_and_left_as_they_were() -> None:
    generator = mlp([2, 4, 3], batch_norm=True).train()
    before = {name: x.clone() for name, x in generator.state_dict().items()}
    try_networks(generator, mlp([3, 1]), "critic", torch.zeros(2, 2), None, (3,), 1)
    assert generator.training
    assert all(torch.equal(x, before[name]) for name, x in generator.state_dict().items())
    with pytest.raises(ValueError, match=r"generator returned \(3,\), but data rows are \(1, 3\)"):
        try_networks(generator, mlp([3, 1]), "critic", torch.zeros(2, 2), None, (1, 3), 1)
    with pytest.raises(ValueError, match=r"critic must take \(batch, 6\), found"):
        try_networks(generator, mlp([3, 1]), "critic", torch.zeros(2, 2), None, (3,), 2)


def test_features() -> None:
    like, source = torch.zeros(1), torch.Generator().manual_seed(0)
    labels, augmented = Condition(2), Condition(ConditioningAugmentation(2, 3))
    assert known_features(labels) == 2 and known_features(augmented) == 3
    assert known_features(Condition(nn.Linear(2, 5))) is None
    assert features_of(Condition(None), None, like, source) is None
    assert divergence_of(labels, torch.tensor([1]), like) is None
    told = torch.eye(2)
    first, second = (features_of(augmented, told, like, source) for _ in range(2))
    assert first is not None and second is not None
    assert first.shape == (2, 3) and not torch.equal(first, second)
    assert isinstance(augmented.network, ConditioningAugmentation)
    mean = augmented.network.divergence(told).mean()
    assert torch.equal(torch.as_tensor(divergence_of(augmented, told, like)), mean)
