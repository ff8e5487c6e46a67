"""Networks against the same thing written out, their first weights, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from generative.networks import Activation, dcgan_discriminator, dcgan_generator, mlp

CURVES: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": lambda x: x.clamp(min=0),
    "leaky_relu": lambda x: torch.where(x > 0, x, 0.2 * x),
    "tanh": torch.tanh,
    "silu": lambda x: x * torch.sigmoid(x),
    "gelu": lambda x: 0.5 * x * (1 + torch.erf(x / 2**0.5)),
    "elu": lambda x: torch.where(x > 0, x, torch.expm1(x)),
    "softplus": lambda x: torch.log1p(x.exp()),
    "sigmoid": lambda x: 1 / (1 + torch.exp(-x)),
}


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def kinds(network: nn.Module) -> list[str]:
    """Names of the layers, in order."""
    return [type(layer).__name__ for layer in network.layers]  # pyright: ignore


def maps(network: nn.Module) -> list[Any]:
    """Linear layers and convolutions, in order."""
    known = nn.Linear, nn.Conv2d, nn.ConvTranspose2d
    return [layer for layer in network.modules() if isinstance(layer, known)]


# Perceptrons ----------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", get_args(Activation))
def test_perceptron_is_maps_and_activations(activation: Any) -> None:
    network, x = mlp([3, 5, 2], activation, activation, generator=0), normal(7, 3)
    first, second = maps(network)
    curve = CURVES[activation]
    hidden = curve(x @ first.weight.T + first.bias)
    assert torch.allclose(network(x), curve(hidden @ second.weight.T + second.bias), atol=1e-6)


def test_inputs_are_flattened_and_joined() -> None:
    network = mlp([12, 4, 6], shape=(1, 2, 3), generator=0)
    x, condition, number = normal(5, 2, 4), normal(5, 3, seed=1), normal(5, seed=2)
    found = network(x, condition, number)
    assert found.shape == (5, 1, 2, 3)
    row = torch.cat([x.reshape(5, 8), condition, number[:, None]], 1)
    assert torch.equal(found, network(row))
    assert network(torch.zeros(0, 12)).shape == (0, 1, 2, 3)


def test_dropout_and_batch_norm_are_of_hidden_layers_only() -> None:
    network = mlp([3, 4, 4, 2], dropout=0.25, batch_norm=True, output="tanh", generator=0)
    hidden = ["Linear", "BatchNorm1d", "ReLU", "Dropout"]
    assert kinds(network) == [*hidden, *hidden, "Linear", "Tanh"]
    assert network.layers[3].p == 0.25  # pyright: ignore


def test_first_weights_follow_the_usual_law() -> None:
    # The mean of n uniform numbers is off by 6 standard deviations once in 5 * 10^8 times.
    network = mlp([400, 300], generator=1)
    weights = network.layers[0].weight.detach()  # pyright: ignore
    bound = 400**-0.5
    assert weights.abs().max() <= bound
    scaled = (weights / bound).double().flatten()
    assert abs(scaled.mean()) < 6 * (1 / 3 / len(scaled)) ** 0.5
    assert abs(scaled.square().mean() - 1 / 3) < 6 * (4 / 45 / len(scaled)) ** 0.5


@pytest.mark.parametrize(
    "make",
    [
        lambda seed: mlp([4, 8, 2], batch_norm=True, generator=seed),
        lambda seed: dcgan_generator(4, 1, 8, 4, generator=seed),
        lambda seed: dcgan_discriminator(1, 8, 4, spectral=True, generator=seed),
    ],
)
def test_seeds_decide_and_the_global_state_stays(make: Callable[[Any], nn.Module]) -> None:
    before = torch.get_rng_state()
    first, same, other, fresh = [make(seed).state_dict() for seed in (0, 0, 1, None)]
    assert torch.equal(torch.get_rng_state(), before)
    assert all([torch.equal(x, same[name]) for name, x in first.items()])
    for another in (other, fresh):
        assert any([not torch.equal(x, another[name]) for name, x in first.items()])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sizes": [3]}, "sizes must have at least two entries"),
        ({"sizes": [3, 0]}, "sizes must be at least 1, found 0"),
        ({"activation": "swish"}, "activation must be one of \"relu\", .*found 'swish'"),
        ({"output": "softmax"}, "output must be one of"),
        ({"shape": (2, 2)}, r"shape must have sizes\[-1\] = 3 entries, found \(2, 2\)"),
        ({"dropout": 1.0}, "dropout must be from 0 to below 1, found 1.0"),
    ],
)
def test_perceptrons_that_make_no_sense(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        mlp(**{"sizes": [2, 3], **options})


def test_a_condition_that_is_missing_is_told() -> None:
    with pytest.raises(ValueError, match=r"takes 5 numbers per example, found 3 in \(2, 3\)"):
        mlp([5, 1])(torch.zeros(2, 3))
    with pytest.raises(TypeError, match="sizes must be a whole number"):
        mlp([2.5, 1])  # pyright: ignore


# DCGAN ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [8, 16, 64])
def test_images_double_from_four_on(size: int) -> None:
    network, critic = dcgan_generator(5, 3, size, 4), dcgan_discriminator(3, size, 4)
    sides, heights = [], []
    for one, shapes in ((network, sides), (critic, heights)):
        for layer in maps(one):
            layer.register_forward_hook(lambda *call, to=shapes: to.append(call[2].shape[1:3]))
    images = network(normal(2, 5))
    assert images.shape == (2, 3, size, size)
    assert critic(images).shape == (2,)
    times = size.bit_length() - 3
    shrinking = [(4 * 2**place, size // 2 ** (place + 1)) for place in range(times)]
    assert [tuple(x) for x in sides] == [*shrinking[::-1], (3, size)]
    assert [tuple(x) for x in heights] == [*shrinking, (1, 1)]


def test_normalisation_is_not_at_the_ends() -> None:
    up, down = ["ConvTranspose2d", "BatchNorm2d", "ReLU"], ["Conv2d", "BatchNorm2d", "LeakyReLU"]
    assert kinds(dcgan_generator(5, 1, 16)) == [*up, *up, "ConvTranspose2d", "Tanh"]
    assert kinds(dcgan_discriminator(1, 16)) == ["Conv2d", "LeakyReLU", *down, "Conv2d"]
    plain = dcgan_generator(5, 1, 8, batch_norm=False, output=None)
    assert kinds(plain) == ["ConvTranspose2d", "ReLU", "ConvTranspose2d"]
    assert "BatchNorm2d" not in kinds(dcgan_discriminator(1, 16, batch_norm=False))
    leaky = [x for x in dcgan_discriminator(1).modules() if isinstance(x, nn.LeakyReLU)]
    assert [layer.negative_slope for layer in leaky] == [0.2] * 4


def test_first_convolutions_are_small_and_normal() -> None:
    # Off by 6 standard deviations once in 5 * 10^8 times.
    network = dcgan_generator(50, 1, 8, 64, batch_norm=False, generator=0)
    weights = network.layers[0].weight.detach().double().flatten()  # pyright: ignore
    scaled = weights / 0.02
    assert abs(scaled.mean()) < 6 * len(scaled) ** -0.5
    assert abs(scaled.square().mean() - 1) < 6 * (2 / len(scaled)) ** 0.5
    assert not network.layers[0].bias.any()  # pyright: ignore


@pytest.mark.parametrize("batch_norm", [True, False])
def test_gradients_reach_every_parameter_through_a_condition(batch_norm: bool) -> None:
    options: dict[str, Any] = {"condition_dim": 3, "batch_norm": batch_norm, "generator": 0}
    network = dcgan_generator(4, 1, 8, 4, **options)
    critic = dcgan_discriminator(1, 8, 4, **options)
    condition = normal(6, 3).requires_grad_()
    critic(network(normal(6, 4), condition), condition).square().sum().backward()
    for x in (*network.parameters(), *critic.parameters(), condition):
        assert x.grad is not None
        assert x.grad.any()


def test_conditions_are_latent_numbers_and_constant_channels() -> None:
    network = dcgan_generator(4, 1, 8, 4, condition_dim=2, generator=0)
    z, condition = normal(3, 4), normal(3, 2, seed=1)
    assert torch.equal(network(z, condition), network(torch.cat([z, condition], 1)))
    critic = dcgan_discriminator(1, 8, 4, condition_dim=2, generator=0)
    x = normal(3, 1, 8, 8)
    channels = condition[:, :, None, None] * torch.ones(1, 1, 8, 8)
    assert torch.equal(critic(x, condition), critic(torch.cat([x, channels], 1)))
    assert not torch.allclose(critic(x, condition), critic(x, 2 * condition))


def test_spectral_weights_have_norm_one() -> None:
    critic = dcgan_discriminator(2, 16, 4, batch_norm=False, spectral=True, generator=0)
    plain = dcgan_discriminator(2, 16, 4, batch_norm=False, generator=0)
    with torch.no_grad():
        for _ in range(300):  # every pass is a step of power iteration
            critic(torch.zeros(1, 2, 16, 16))
    critic.eval()
    largest = [
        [torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() for layer in maps(one)]
        for one in (critic, plain)
    ]
    assert largest[0] == pytest.approx([1.0] * 3, abs=1e-3)
    assert max(largest[1]) < 0.5


@pytest.mark.parametrize("size", [4, 12, 28, 0])
def test_sizes_that_do_not_double(size: int) -> None:
    for make in (lambda: dcgan_generator(5, 1, size), lambda: dcgan_discriminator(1, size)):
        with pytest.raises(ValueError, match="size must be"):
            make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: dcgan_generator(0, 1), "latent_dim must be at least 1"),
        (lambda: dcgan_generator(5, 1, output="relu"), 'output must be "tanh", "sigmoid"'),  # pyright: ignore
        (lambda: dcgan_generator(5, 1, condition_dim=-1), "condition_dim must be at least 0"),
        (lambda: dcgan_discriminator(1, width=0), "width must be at least 1"),
        (lambda: dcgan_discriminator(0), "channels must be at least 1"),
    ],
)
def test_images_that_make_no_sense(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_images_of_another_shape_are_told() -> None:
    critic = dcgan_discriminator(1, 8, 4, condition_dim=2)
    for x in (torch.zeros(3, 64), torch.zeros(3, 1, 8, 4), torch.zeros(3, 2, 8, 8)):
        with pytest.raises(ValueError, match="takes images"):
            critic(x, torch.zeros(3, 2))
    with pytest.raises(ValueError, match="and 0 numbers"):
        critic(torch.zeros(3, 1, 8, 8))
    with pytest.raises(ValueError, match="takes 5 numbers per example, found 4"):
        dcgan_generator(5, 1, 8, 4)(torch.zeros(3, 4))


def test_output_sigmoid_is_from_zero_to_one() -> None:
    pair = [dcgan_generator(4, 1, 8, 4, output=o, generator=0) for o in ("sigmoid", None)]  # pyright: ignore
    found, raw = [network(normal(3, 4)) for network in pair]
    assert torch.allclose(found, functional.sigmoid(raw))
