"""Networks to start from: perceptrons, and the strided convolutions of DCGAN.

.. math:: h_l = a(W_l h_{l-1} + b_l), \\qquad n' = s n + k - 2 p - s

The second equation is the size of a map after a transposed convolution with kernel k, stride s and
padding p: with k = 4, s = 2, p = 1 it doubles, as it does if and only if k = 2 p + s. Any module
can take the place of these networks; where there is a condition, it is the second argument.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.utils import skip_init
from torch.nn.utils.parametrizations import spectral_norm

from inference.inputs import as_whole
from inference.random import GeneratorLike, as_generator

__all__ = [
    "Activation",
    "ConvolutionalDiscriminator",
    "ConvolutionalGenerator",
    "Perceptron",
    "dcgan_discriminator",
    "dcgan_generator",
    "mlp",
]

Activation: TypeAlias = Literal[
    "relu", "leaky_relu", "tanh", "silu", "gelu", "elu", "softplus", "sigmoid"
]

#: Slope of leaky units below zero.
LEAK = 0.2

#: Standard deviation of the first weights of DCGAN.
DCGAN_SCALE = 0.02

#: Side of the smallest map of DCGAN.
DCGAN_BASE = 4

_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": lambda: nn.LeakyReLU(LEAK),
    "tanh": nn.Tanh,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "elu": nn.ELU,
    "softplus": nn.Softplus,
    "sigmoid": nn.Sigmoid,
}


class Perceptron(nn.Module):
    """Layers on one row of numbers, in which everything about an example is joined.

    Arguments:
        layers: from (batch, width) to (batch, outputs).
        width: numbers that they take.
        shape: of the result of one example; None leaves a row.

    Shapes:
        inputs: each (batch, ...), their numbers per example adding up to ``width``.
        result: (batch, outputs) or (batch, *shape).

    Example:
        >>> Perceptron(nn.Linear(5, 4), 5, (2, 2))(torch.ones(3, 2), torch.ones(3, 3)).shape
        torch.Size([3, 2, 2])
    """

    def __init__(self, layers: nn.Module, width: int, shape: Sequence[int] | None = None) -> None:
        super().__init__()
        self.layers = layers
        self.width = width
        self.shape = None if shape is None else tuple(shape)

    def forward(self, *inputs: Tensor) -> Tensor:
        """What the layers make of the inputs, joined.

        Raises:
            ValueError: inputs with more or fewer numbers than the first layer takes.
        """
        row = _joined(inputs)
        if row.shape[1] != self.width:
            found = " and ".join([str(tuple(x.shape)) for x in inputs])
            raise ValueError(
                f"the network takes {self.width} numbers per example, found {row.shape[1]} "
                f"in {found}; a condition is the second argument and counts too"
            )
        found = self.layers(row)
        return found if self.shape is None else found.unflatten(1, self.shape)


def mlp(
    sizes: Sequence[int],
    activation: Activation = "relu",
    output: Activation | None = None,
    *,
    shape: Sequence[int] | None = None,
    dropout: float = 0.0,
    batch_norm: bool = False,
    generator: GeneratorLike = None,
) -> Perceptron:
    """A multilayer perceptron.

    .. math:: h_l = a(W_l h_{l-1} + b_l), \\qquad W, b \\sim U\\bigl(\\pm n_{l-1}^{-1/2}\\bigr)

    Arguments:
        sizes: numbers per example that go in, widths of hidden layers, numbers that come out.
        activation: of the hidden layers.
        output: of the last layer; None leaves it linear.
        shape: of the result of an example, with as many entries as come out; None for a row.
        dropout: share of hidden units that training leaves out.
        batch_norm: normalise hidden layers over the batch, before the activation.
        generator: of the first weights: None, a seed or a generator.

    Shapes:
        inputs: one or several, each (batch, ...); they are flattened and joined.
        result: (batch, sizes[-1]) or (batch, *shape).

    Raises:
        TypeError, ValueError: sizes that are none or fewer than two; an unknown activation; a
            shape of another number of entries; a share outside [0, 1).

    Reference:
        Goodfellow, Bengio & Courville 2016, "Deep learning", eqs. 6.40-6.41; LeCun et al. 1998,
        "Efficient backprop", eq. 16 (the first weights, up to a factor).

    Example:
        >>> decoder = mlp([2, 16, 64], output="sigmoid", shape=(1, 8, 8), generator=0)
        >>> decoder(torch.zeros(5, 2)).shape
        torch.Size([5, 1, 8, 8])
    """
    widths = [as_whole("sizes", size, least=1) for size in sizes]
    if len(widths) < 2:
        raise ValueError(f"sizes must have at least two entries, in and out, found {widths}")
    if shape is not None:
        shape = tuple([as_whole("shape", size, least=1) for size in shape])
        if not shape or math.prod(shape) != widths[-1]:
            raise ValueError(f"shape must have sizes[-1] = {widths[-1]} entries, found {shape}")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout must be from 0 to below 1, found {dropout}")
    activate = _activation("activation", activation)
    last = [] if output is None else [_activation("output", output)()]
    source = as_generator(generator)
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise(widths[:-1]):
        layers += [_linear(fan_in, fan_out, source)]
        layers += [nn.BatchNorm1d(fan_out)] if batch_norm else []
        layers += [activate()]
        layers += [nn.Dropout(dropout)] if dropout else []
    layers += [_linear(widths[-2], widths[-1], source), *last]
    return Perceptron(nn.Sequential(*layers), widths[0], shape)


class ConvolutionalGenerator(nn.Module):
    """Transposed convolutions that make an image of a row of numbers; see ``dcgan_generator``.

    Arguments:
        layers: from (batch, width, 1, 1) to images.
        width: numbers that they take.

    Example:
        >>> ConvolutionalGenerator(nn.ConvTranspose2d(3, 1, 4), 3)(torch.ones(5, 3)).shape
        torch.Size([5, 1, 4, 4])
    """

    def __init__(self, layers: nn.Module, width: int) -> None:
        super().__init__()
        self.rows = Perceptron(nn.Unflatten(1, (width, 1, 1)), width)
        self.layers = layers

    def forward(self, *inputs: Tensor) -> Tensor:
        """Images (batch, channels, size, size) of latent numbers and a condition, if there is one.

        Raises:
            ValueError: more or fewer numbers than the first layer takes.
        """
        return self.layers(self.rows(*inputs))


class ConvolutionalDiscriminator(nn.Module):
    """Strided convolutions that make one number of an image; see ``dcgan_discriminator``.

    Arguments:
        layers: from (batch, channels, *sides) to one number per example.
        channels: that they take, those of the condition included.
        sides: of the images.

    Example:
        >>> ConvolutionalDiscriminator(nn.Conv2d(3, 1, 4), 3, (4, 4))(torch.ones(5, 3, 4, 4)).shape
        torch.Size([5])
    """

    def __init__(self, layers: nn.Module, channels: int, sides: tuple[int, int]) -> None:
        super().__init__()
        self.layers = layers
        self.channels = channels
        self.sides = sides

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """One number per image, (batch,); every number of a condition is a channel of its own.

        Raises:
            ValueError: images of another shape, or a condition of another number of entries.
        """
        features = 0 if condition is None else condition[0].numel()
        if x.ndim != 4 or x.shape[2:] != self.sides or x.shape[1] + features != self.channels:
            raise ValueError(
                f"the network takes images (batch, channels, {self.sides[0]}, {self.sides[1]}) "
                f"with {self.channels} channels and numbers of a condition together, found "
                f"{tuple(x.shape)} and {features} numbers"
            )
        if condition is not None:
            maps = condition.flatten(1)[:, :, None, None].expand(-1, -1, *self.sides)
            x = torch.cat([x, maps.to(x.dtype)], 1)
        return self.layers(x).flatten()


def dcgan_generator(
    latent_dim: int,
    channels: int,
    size: int = 64,
    width: int = 64,
    *,
    output: Literal["tanh", "sigmoid"] | None = "tanh",
    condition_dim: int = 0,
    batch_norm: bool = True,
    generator: GeneratorLike = None,
) -> ConvolutionalGenerator:
    """The generator of DCGAN: transposed convolutions that double an image from 4 x 4 on.

    .. math:: 4 \\to 8 \\to \\dots \\to \\text{size}, \\qquad n' = s n + k - 2 p - s,\\;
              k = 4,\\, s = 2,\\, p = 1

    Batch normalisation and ReLU after all layers but the last; weights from N(0, 0.02^2).

    Arguments:
        latent_dim: numbers that it makes an image of.
        channels: of the image.
        size: side of the image, 4 times a power of two, from 8.
        width: channels before the last layer; twice as many before each layer before it.
        output: of the last layer: "tanh" for pixels from -1 to 1, "sigmoid" from 0 to 1.
        condition_dim: numbers of a condition, which are joined to the latent ones.
        batch_norm: whether there is batch normalisation.
        generator: of the first weights: None, a seed or a generator.

    Shapes:
        inputs: (batch, latent_dim), and (batch, condition_dim) if that is not 0.
        result: (batch, channels, size, size).

    Raises:
        TypeError, ValueError: numbers that make no sense; an unknown output.

    Reference:
        Radford, Metz & Chintala 2016, "Unsupervised representation learning with deep
        convolutional generative adversarial networks", figure 1 and section 4.

    Example:
        >>> dcgan_generator(10, 1, size=8, width=4, generator=0)(torch.zeros(5, 10)).shape
        torch.Size([5, 1, 8, 8])
    """
    inputs = as_whole("latent_dim", latent_dim, least=1)
    inputs += as_whole("condition_dim", condition_dim, least=0)
    channels = as_whole("channels", channels, least=1)
    widths = _dcgan_widths(size, width)[::-1]
    if output not in ("tanh", "sigmoid", None):
        raise ValueError(f'output must be "tanh", "sigmoid" or None, found {output!r}')
    source = as_generator(generator)
    layers: list[nn.Module] = []
    steps = [(1, 0)] + [(2, 1)] * len(widths)
    ways = zip([inputs, *widths], [*widths, channels], steps, strict=True)
    for place, (before, after, (stride, padding)) in enumerate(ways):
        normal = batch_norm and place < len(widths)
        shape = (before, after, 4, stride, padding)
        layers += [_small(skip_init(nn.ConvTranspose2d, *shape, bias=not normal), source)]
        layers += [nn.BatchNorm2d(after)] if normal else []
        layers += [nn.ReLU()] if place < len(widths) else []
    layers += [] if output is None else [_ACTIVATIONS[output]()]
    return ConvolutionalGenerator(nn.Sequential(*layers), inputs)


def dcgan_discriminator(
    channels: int,
    size: int = 64,
    width: int = 64,
    *,
    condition_dim: int = 0,
    batch_norm: bool = True,
    spectral: bool = False,
    generator: GeneratorLike = None,
) -> ConvolutionalDiscriminator:
    """The discriminator of DCGAN: strided convolutions that halve an image down to 4 x 4.

    .. math:: n' = \\lfloor (n + 2 p - k) / s \\rfloor + 1, \\qquad k = 4,\\, s = 2,\\, p = 1

    Leaky ReLU (slope 0.2) after all layers but the last, batch normalisation in between, not after
    the first; weights from N(0, 0.02^2). The result is a logit, or what a critic says.

    Arguments:
        channels: of the images.
        size: their side, 4 times a power of two, from 8.
        width: channels after the first layer; twice as many after each layer that follows.
        condition_dim: numbers of a condition; each becomes a constant channel beside the image.
        batch_norm: whether there is batch normalisation; gradient penalties want none.
        spectral: divide the weights of every layer by their largest singular value.
        generator: of the first weights: None, a seed or a generator.

    Shapes:
        inputs: (batch, channels, size, size), and (batch, condition_dim) if that is not 0.
        result: (batch,).

    Raises:
        TypeError, ValueError: numbers that make no sense.

    Reference:
        Radford, Metz & Chintala 2016, section 3; Miyato et al. 2018, "Spectral normalization for
        generative adversarial networks", eq. 8 (of a kernel as an outputs x rest matrix).

    Example:
        >>> dcgan_discriminator(1, size=8, width=4, generator=0)(torch.zeros(5, 1, 8, 8)).shape
        torch.Size([5])
    """
    inputs = as_whole("channels", channels, least=1)
    inputs += as_whole("condition_dim", condition_dim, least=0)
    widths = _dcgan_widths(size, width)
    source = as_generator(generator)
    layers: list[nn.Module] = []
    steps = [(2, 1)] * len(widths) + [(1, 0)]
    ways = zip([inputs, *widths], [*widths, 1], steps, strict=True)
    for place, (before, after, (stride, padding)) in enumerate(ways):
        normal = batch_norm and 0 < place < len(widths)
        shape = (before, after, 4, stride, padding)
        layer = _small(skip_init(nn.Conv2d, *shape, bias=not normal), source)
        layers += [_spectral(layer, source) if spectral else layer]
        layers += [nn.BatchNorm2d(after)] if normal else []
        layers += [nn.LeakyReLU(LEAK)] if place < len(widths) else []
    return ConvolutionalDiscriminator(nn.Sequential(*layers), inputs, (size, size))


def _dcgan_widths(size: int, width: int) -> list[int]:
    """Channels at half the size of the image, a quarter and so on, down to the smallest map."""
    size, width = as_whole("size", size, least=1), as_whole("width", width, least=1)
    times = (size // DCGAN_BASE).bit_length() - 1
    if times < 1 or size != DCGAN_BASE * 2**times:
        raise ValueError(f"size must be 4 times a power of two from 8 on, found {size}")
    return [width * 2**place for place in range(times)]


def _joined(inputs: Sequence[Tensor]) -> Tensor:
    """All numbers of an example in one row, (batch, width)."""
    rows = [x.flatten(1) if x.ndim > 1 else x[:, None] for x in inputs]
    return rows[0] if len(rows) == 1 else torch.cat(rows, 1)


def _activation(name: str, activation: str) -> Callable[[], nn.Module]:
    """Maker of an activation."""
    if activation not in _ACTIVATIONS:
        names = ", ".join([f'"{known}"' for known in _ACTIVATIONS])
        raise ValueError(f"{name} must be one of {names}, found {activation!r}")
    return _ACTIVATIONS[activation]


@torch.no_grad()
def _linear(fan_in: int, fan_out: int, source: torch.Generator) -> nn.Module:
    """A linear layer under torch's usual law, drawn from a generator of one's own."""
    layer = skip_init(nn.Linear, fan_in, fan_out)
    bound = fan_in**-0.5
    for x in layer.parameters():
        x.uniform_(-bound, bound, generator=source)
    return layer


@torch.no_grad()
def _small(layer: nn.Module, source: torch.Generator) -> nn.Module:
    """Small normal weights, and no bias yet."""
    for x in layer.parameters():
        _ = x.normal_(0, DCGAN_SCALE, generator=source) if x.ndim > 1 else x.zero_()
    return layer


def _spectral(layer: nn.Module, source: torch.Generator) -> nn.Module:
    """A layer whose weights have a largest singular value of one."""
    # Torch draws the first singular vectors from its global generator, which is left alone.
    seed = int(torch.randint(2**63 - 1, (), generator=source))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return spectral_norm(layer)
