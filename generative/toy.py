"""Laws in the plane on which a generative model is seen to work or to fail.

.. math:: p(x) = \\frac1K \\sum_{k=1}^{K} N(x; c_k, \\sigma^2 I)

Every law gives ``n`` independent points, (n, 2), float32. The ring, the grid and the checkerboard
have exact log-densities, so that samples and densities can be held against the truth.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from inference.inputs import Values, as_tensors, as_whole, check_finite
from inference.random import GeneratorLike, as_generator

__all__ = [
    "checkerboard",
    "checkerboard_log_prob",
    "grid",
    "grid_centres",
    "grid_log_prob",
    "moons",
    "ring",
    "ring_centres",
    "ring_log_prob",
    "swiss_roll",
]


def ring(
    n: int,
    *,
    modes: int = 8,
    radius: float = 1.0,
    std: float = 0.01,
    generator: GeneratorLike = None,
) -> Tensor:
    """Equal normal laws on a circle.

    .. math:: c_k = r (\\cos 2 \\pi k / K, \\sin 2 \\pi k / K)

    The defaults are those of the published comparisons of GANs.

    Arguments:
        n: number of points.
        modes: number of laws, K.
        radius: of the circle.
        std: standard deviation of each along each axis.
        generator: None, a seed or a generator; the points are on its device.

    Shapes:
        result: (n, 2).

    Raises:
        TypeError: if ``n`` or ``modes`` is no whole number.
        ValueError: if a number is out of range.

    Reference:
        Srivastava et al. 2017, "VEEGAN: reducing mode collapse in GANs using implicit variational
        learning", section 5.1; Lin et al. 2018, "PacGAN", section 4.1.

    Example:
        >>> x = ring(1000, generator=0)
        >>> x.shape, x.dtype
        (torch.Size([1000, 2]), torch.float32)
        >>> round(x.norm(dim=1).mean().item(), 2)
        1.0
    """
    return _mixture(n, ring_centres(modes, radius), std, generator)


def ring_centres(modes: int = 8, radius: float = 1.0) -> Tensor:
    """Centres of the ring.

    .. math:: c_k = r (\\cos 2 \\pi k / K, \\sin 2 \\pi k / K), \\qquad k = 0, \\dots, K - 1

    Arguments:
        modes: number of centres, K.
        radius: of the circle.

    Shapes:
        result: (modes, 2), float32.

    Raises:
        TypeError: if ``modes`` is no whole number.
        ValueError: if there is no mode, or ``radius`` is not positive and finite.

    Example:
        >>> ring_centres(2, radius=3.0).round(decimals=4).abs().tolist()
        [[3.0, 0.0], [3.0, 0.0]]
    """
    modes = as_whole("modes", modes, least=1)
    _check_positive("radius", radius)
    angles = torch.arange(modes, dtype=torch.float64) * (2 * math.pi / modes)
    return (radius * torch.stack([angles.cos(), angles.sin()], -1)).float()


def ring_log_prob(x: Values, *, modes: int = 8, radius: float = 1.0, std: float = 0.01) -> Tensor:
    """Log-density of the ring, nats.

    .. math:: \\log p(x) = \\log \\frac1K \\sum_k N(x; c_k, \\sigma^2 I)

    Arguments:
        x: points.
        modes: number of laws.
        radius: of the circle.
        std: standard deviation of each.

    Shapes:
        x: (..., 2). result: (...).

    Raises:
        TypeError: if ``x`` holds no real numbers.
        ValueError: if ``x`` has another shape or is not finite, or a number is out of range.

    Example:
        >>> peak = ring_log_prob([[1.0, 0.0]])
        >>> abs(peak.item() + math.log(8 * 2 * math.pi * 0.01**2)) < 1e-6
        True
    """
    return _mixture_log_prob(x, ring_centres(modes, radius), std)


def grid(
    n: int,
    *,
    side: int = 5,
    spacing: float = 2.0,
    std: float = 0.05,
    generator: GeneratorLike = None,
) -> Tensor:
    """Equal normal laws on a square grid around the origin.

    .. math:: c_{ij} = h \\bigl(i - \\tfrac{m - 1}{2}, j - \\tfrac{m - 1}{2}\\bigr)

    The defaults are those of the published comparisons of GANs: 25 modes at {-4, -2, 0, 2, 4}^2.

    Arguments:
        n: number of points.
        side: laws along an axis, m.
        spacing: between neighbours, h.
        std: standard deviation of each along each axis.
        generator: None, a seed or a generator; the points are on its device.

    Shapes:
        result: (n, 2).

    Raises:
        TypeError: if ``n`` or ``side`` is no whole number.
        ValueError: if a number is out of range.

    Reference:
        Srivastava et al. 2017, "VEEGAN", section 5.1; Lin et al. 2018, "PacGAN", section 4.1.

    Example:
        >>> x = grid(1000, generator=0)
        >>> (x / 2).round().int().unique().tolist()
        [-2, -1, 0, 1, 2]
    """
    return _mixture(n, grid_centres(side, spacing), std, generator)


def grid_centres(side: int = 5, spacing: float = 2.0) -> Tensor:
    """Centres of the grid, row by row.

    .. math:: c_{ij} = h \\bigl(i - \\tfrac{m - 1}{2}, j - \\tfrac{m - 1}{2}\\bigr)

    Arguments:
        side: centres along an axis, m.
        spacing: between neighbours, h.

    Shapes:
        result: (side * side, 2), float32.

    Raises:
        TypeError: if ``side`` is no whole number.
        ValueError: if there is no mode, or ``spacing`` is not positive and finite.

    Example:
        >>> grid_centres(2).tolist()
        [[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]]
    """
    side = as_whole("side", side, least=1)
    _check_positive("spacing", spacing)
    ticks = (torch.arange(side) - (side - 1) / 2) * spacing
    return torch.cartesian_prod(ticks, ticks)


def grid_log_prob(x: Values, *, side: int = 5, spacing: float = 2.0, std: float = 0.05) -> Tensor:
    """Log-density of the grid, nats.

    .. math:: \\log p(x) = \\log \\frac{1}{m^2} \\sum_{ij} N(x; c_{ij}, \\sigma^2 I)

    Arguments:
        x: points.
        side: laws along an axis.
        spacing: between neighbours.
        std: standard deviation of each.

    Shapes:
        x: (..., 2). result: (...).

    Raises:
        TypeError: if ``x`` holds no real numbers.
        ValueError: if ``x`` has another shape or is not finite, or a number is out of range.

    Example:
        >>> peak = grid_log_prob([0.0, 0.0])
        >>> abs(peak.item() + math.log(25 * 2 * math.pi * 0.05**2)) < 1e-6
        True
    """
    return _mixture_log_prob(x, grid_centres(side, spacing), std)


def moons(n: int, *, std: float = 0.05, generator: GeneratorLike = None) -> Tensor:
    """Two half circles that reach into each other, blurred.

    .. math:: (\\cos t, \\sin t) \\text{ or } (1 - \\cos t, \\tfrac12 - \\sin t), \\qquad
              t \\sim U(0, \\pi)

    Arguments:
        n: number of points.
        std: standard deviation of the blur along each axis; zero gives the curves.
        generator: None, a seed or a generator; the points are on its device.

    Shapes:
        result: (n, 2).

    Raises:
        TypeError: if ``n`` is no whole number.
        ValueError: if ``n`` or ``std`` is negative.

    Reference:
        Pedregosa et al. 2011, "Scikit-learn: machine learning in Python" (``make_moons``, whose
        angles are evenly spaced).

    Example:
        >>> moons(3, generator=0).shape
        torch.Size([3, 2])
    """
    source = _source(n, std, generator)
    angles = math.pi * torch.rand(n, generator=source, device=source.device)
    lower = torch.rand(n, generator=source, device=source.device) < 0.5
    x = torch.where(lower, 1 - angles.cos(), angles.cos())
    y = torch.where(lower, 0.5 - angles.sin(), angles.sin())
    return _blurred(torch.stack([x, y], -1), std, source)


def swiss_roll(n: int, *, std: float = 1 / 30, generator: GeneratorLike = None) -> Tensor:
    """A spiral of one and a half turns, blurred.

    .. math:: \\frac{t}{7.5} (\\cos t, \\sin t), \\qquad t \\sim U(3 \\pi / 2, 9 \\pi / 2)

    Arguments:
        n: number of points.
        std: standard deviation of the blur along each axis; zero gives the curve.
        generator: None, a seed or a generator; the points are on its device.

    Shapes:
        result: (n, 2).

    Raises:
        TypeError: if ``n`` is no whole number.
        ValueError: if ``n`` or ``std`` is negative.

    Reference:
        Gulrajani et al. 2017, "Improved training of Wasserstein GANs", figure 1 (two axes of
        scikit-learn's roll divided by 7.5, with a blur of 1/30).

    Example:
        >>> swiss_roll(3, generator=0).shape
        torch.Size([3, 2])
    """
    source = _source(n, std, generator)
    angles = 1.5 * math.pi * (1 + 2 * torch.rand(n, generator=source, device=source.device))
    curve = torch.stack([angles.cos(), angles.sin()], -1) * (angles / 7.5).unsqueeze(-1)
    return _blurred(curve, std, source)


def checkerboard(n: int, *, side: int = 4, generator: GeneratorLike = None) -> Tensor:
    """Uniform on every other square of a board, with edges that no smooth density has.

    .. math:: p(x) = \\frac{1}{2 m^2} \\text{ where } \\lfloor x_1 / 2 \\rfloor
              + \\lfloor x_2 / 2 \\rfloor \\text{ is even},\\ x \\in [-m, m)^2

    Arguments:
        n: number of points.
        side: squares along an axis, m, an even number; each is two wide.
        generator: None, a seed or a generator; the points are on its device.

    Shapes:
        result: (n, 2).

    Raises:
        TypeError: if ``n`` or ``side`` is no whole number.
        ValueError: if ``n`` is negative or ``side`` is not even and positive.

    Reference:
        Grathwohl et al. 2019, "FFJORD: free-form continuous dynamics for scalable reversible
        generative models", section 4.1.

    Example:
        >>> x = checkerboard(1000, generator=0)
        >>> x.abs().max().item() <= 4, (checkerboard_log_prob(x) > -torch.inf).all().item()
        (True, True)
    """
    side, source = _board(side), _source(n, 0.0, generator)
    place = {"generator": source, "device": source.device}
    column = torch.randint(side, (n,), **place)
    row = 2 * torch.randint(side // 2, (n,), **place) + column % 2
    corner = 2.0 * torch.stack([column, row], -1) - side
    x = corner + 2 * torch.rand(n, 2, **place)
    # Rounding may carry a point onto the far edge, which belongs to the next square.
    return torch.minimum(x, torch.nextafter(corner + 2, corner))


def checkerboard_log_prob(x: Values, *, side: int = 4) -> Tensor:
    """Log-density of the checkerboard, nats: one number on its squares, minus infinity elsewhere.

    .. math:: \\log p(x) = -\\log 2 m^2

    Arguments:
        x: points.
        side: squares along an axis, m.

    Shapes:
        x: (..., 2). result: (...).

    Raises:
        TypeError: if ``x`` holds no real numbers.
        ValueError: if ``x`` has another shape or is not finite; if ``side`` is not even and
            positive.

    Example:
        >>> checkerboard_log_prob([[1.0, 1.0], [1.0, 3.0]]).exp().round(decimals=5).tolist()
        [0.03125, 0.0]
    """
    side, x = _board(side), _points(x)
    squares = (x / 2).floor()
    inside = ((x >= -side) & (x < side)).all(-1) & (squares.sum(-1) % 2 == 0)
    level = torch.full_like(squares[..., 0], -math.log(2 * side**2))
    return level.masked_fill(~inside, -math.inf)


def _mixture(n: int, centres: Tensor, std: float, generator: GeneratorLike) -> Tensor:
    """Draws from equal spherical normal laws."""
    source = _source(n, std, generator)
    which = torch.randint(len(centres), (n,), generator=source, device=source.device)
    return _blurred(centres.to(source.device)[which], std, source)


def _mixture_log_prob(x: Values, centres: Tensor, std: float) -> Tensor:
    """Log-density of equal spherical normal laws."""
    _check_positive("std", std)
    x = _points(x)
    offsets = (x.unsqueeze(-2) - centres.to(x)) / std
    constant = math.log(len(centres) * 2 * math.pi * std**2)
    return (-0.5 * offsets.square().sum(-1)).logsumexp(-1) - constant


def _source(n: int, std: float, generator: GeneratorLike) -> torch.Generator:
    """The generator of n points that are blurred."""
    as_whole("n", n, least=0)
    if not 0 <= std < math.inf:
        raise ValueError(f"std must be finite and not negative, found {std}")
    return as_generator(generator, getattr(generator, "device", "cpu"))


def _blurred(x: Tensor, std: float, source: torch.Generator) -> Tensor:
    """Points with normal noise."""
    return x + std * torch.empty_like(x).normal_(generator=source)


def _points(x: Values) -> Tensor:
    """Checked points of the plane."""
    (x,) = as_tensors(x=x)
    check_finite(x=x)
    if x.ndim < 1 or x.shape[-1] != 2:
        raise ValueError(f"x must be (..., 2), found shape {tuple(x.shape)}")
    return x


def _board(side: int) -> int:
    """Squares along an axis of a board with as many of both colours."""
    side = as_whole("side", side, least=2)
    if side % 2:
        raise ValueError(f"side must be even, found {side}; pass {side + 1}")
    return side


def _check_positive(name: str, value: float) -> None:
    """Refuse what is no positive number."""
    if not 0 < value < math.inf:
        raise ValueError(f"{name} must be positive and finite, found {value}")
