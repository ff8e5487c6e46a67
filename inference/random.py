"""Random draws from an explicit generator; the global random state is never read or written.

.. math:: P(x = k) = \\frac{e^{a_k / T}}{\\sum_j e^{a_j / T}}

Everything that draws takes ``generator``: None (fresh entropy), an integer seed or a
``torch.Generator``. The same seed on the same kind of device gives the same result.
"""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Sequence
from typing import SupportsIndex, TypeAlias

import numpy as np
import torch
from torch import Tensor

__all__ = [
    "GeneratorLike",
    "as_generator",
    "bernoulli",
    "categorical",
    "numpy_generator",
    "spawn",
    "spins",
]

GeneratorLike: TypeAlias = torch.Generator | SupportsIndex | None

_LARGEST_SEED = 2**64 - 1


def as_generator(generator: GeneratorLike, device: torch.device | str = "cpu") -> torch.Generator:
    """Turn what a user passes as ``generator`` into a generator on a device.

    .. math:: \\text{None} \\to \\text{entropy of the operating system},\\quad
              \\text{integer} \\to \\text{seed},\\quad \\text{generator} \\to \\text{itself}

    Arguments:
        generator: None, an integer seed or a generator, whose state then advances with every draw.
        device: where the draws are made.

    Returns:
        A generator on ``device``.

    Raises:
        TypeError: if ``generator`` is of another kind.
        ValueError: if a seed is outside [0, 2**64) or the generator lives on another device.

    Reference:
        Matsumoto & Nishimura 1998, "Mersenne Twister" (the CPU generator, which reads the low
        32 bits of a seed); Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3" (the
        GPU generator).

    Example:
        >>> torch.rand(2, generator=as_generator(0))
        tensor([0.4963, 0.7682])
    """
    if isinstance(generator, torch.Generator):
        return _check_device(generator, torch.device(device))
    fresh = torch.Generator(device)
    if generator is None:
        fresh.seed()
        return fresh
    return fresh.manual_seed(_as_seed(generator))


def bernoulli(probs: Tensor, *, generator: GeneratorLike) -> Tensor:
    """Independent zeros and ones.

    .. math:: P(x_i = 1) = p_i

    Exact at the ends: 0 never gives a one and 1 never gives a zero.

    Arguments:
        probs: probabilities of a one.
        generator: None, a seed or a generator.

    Shapes:
        probs: any. result: the same shape, dtype and device, without a gradient.

    Raises:
        TypeError: if ``probs`` is not of floating-point type.
        ValueError: if a probability is outside [0, 1] or NaN. Tested on the CPU only: on other
            devices the test would make the host wait for the result.

    Reference:
        Devroye 1986, "Non-uniform random variate generation", section III.2.

    Example:
        >>> bernoulli(torch.tensor([0.0, 1.0]), generator=1)
        tensor([0., 1.])
        >>> round(bernoulli(torch.full((100_000,), 0.3), generator=1).mean().item(), 2)
        0.3
    """
    _check_floating("probs", probs)
    if probs.device.type == "cpu" and not ((probs >= 0) & (probs <= 1)).all():
        raise ValueError(
            f"probs must be in [0, 1], found {_range(probs)}; pass logits through torch.sigmoid"
        )
    return _below(probs, generator)


def spins(logits: Tensor, *, generator: GeneratorLike) -> Tensor:
    """Independent spins -1 and +1.

    .. math:: P(s_i = +1) = \\frac{1}{1 + e^{-a_i}}

    For a spin in the field h at inverse temperature beta the logit is a = 2 beta h.

    Arguments:
        logits: log-odds of +1, nats; +-inf gives a certain spin.
        generator: None, a seed or a generator.

    Shapes:
        logits: any. result: the same shape, dtype and device, without a gradient.

    Raises:
        TypeError: if ``logits`` is not of floating-point type.
        ValueError: if a logit is NaN (tested on the CPU only, see ``bernoulli``).

    Reference:
        Glauber 1963, "Time-dependent statistics of the Ising model", J. Math. Phys. 4, 294.

    Example:
        >>> spins(torch.tensor([-torch.inf, torch.inf]), generator=1)
        tensor([-1.,  1.])
    """
    _check_floating("logits", logits)
    if logits.device.type == "cpu" and logits.isnan().any():
        raise ValueError("logits must be numbers or +-inf, found NaN; check what computed them")
    return 2 * _below(torch.sigmoid(logits), generator) - 1


def categorical(
    logits: Tensor,
    n: SupportsIndex | Sequence[int] | None = None,
    *,
    temperature: float | Tensor = 1.0,
    generator: GeneratorLike,
) -> Tensor:
    """State codes with probabilities proportional to exp(logits / temperature).

    .. math:: P(x = k) = \\frac{e^{a_k / T}}{\\sum_j e^{a_j / T}}

    Low temperatures choose the largest logits (T = 0: uniformly among the maxima), high ones
    choose evenly (T = inf: uniformly). A state with logit -inf is never drawn.

    The distribution function is inverted, in double precision: one random number per draw, where
    the Gumbel-max trick needs one per state, and random numbers are what costs most on a CPU.

    Arguments:
        logits: unnormalised log-probabilities, nats; the last axis runs over the states.
        n: number of draws per row, or a sample shape; None is one draw without a leading axis.
        temperature: one number, or a tensor with one per row.
        generator: None, a seed or a generator.

    Shapes:
        logits: (..., K). temperature: (); its shape and (...) broadcast to (*batch,).
        result: (*batch,), (n, *batch) or (*n, *batch), int64.

    Raises:
        TypeError: if ``logits`` is not of floating-point type.
        ValueError: if there is no state or the temperature is negative or NaN; if a row has no
            finite maximum (all -inf, a +inf or a NaN). Tensors are tested on the CPU only: on
            other devices, where the test would make the host wait, such a row gives -1.

    Reference:
        Devroye 1986, section III.2 (inversion); Sutton & Barto 2018, eq. 2.11 (Boltzmann
        selection).

    Example:
        >>> logits = torch.tensor([1.0, 2.0, 3.0, -torch.inf])
        >>> draws = categorical(logits, 100_000, temperature=0.5, generator=0)
        >>> [round(n / 100_000, 2) for n in draws.bincount(minlength=4).tolist()]
        [0.02, 0.12, 0.87, 0.0]
    """
    _check_floating("logits", logits)
    sample_shape = _as_shape(n)
    if min(sample_shape, default=0) < 0:
        raise ValueError(f"n must not be negative, found {n}; pass a number of draws")
    cumulative, possible = _cumulate(logits, temperature)
    batch = cumulative.shape[:-1]
    uniform = torch.rand(
        (*batch, math.prod(sample_shape)),
        dtype=torch.float64,
        device=logits.device,
        generator=as_generator(generator, logits.device),
    )
    # Rounding keeps uniform * total below the total, as the total is at least one.
    codes = torch.searchsorted(cumulative, uniform * cumulative[..., -1:], right=True)
    codes = torch.where(possible, codes, -1)
    return codes.movedim(-1, 0).reshape((*sample_shape, *batch))


def spawn(generator: GeneratorLike, n: int) -> list[torch.Generator]:
    """Independent generators, for workers or chains that must not depend on each other's pace.

    .. math:: s_1, \\dots, s_n \\sim U\\{0, \\dots, 2^{63} - 2\\}

    Arguments:
        generator: the parent: None, a seed or a generator, which advances.
        n: how many children.

    Returns:
        ``n`` generators on the parent's device, all with different seeds.

    Raises:
        ValueError: if ``n`` is negative.

    Reference:
        L'Ecuyer et al. 2017, "Random numbers for parallel computers", section 4 (random seeds).

    Example:
        >>> first, second = spawn(0, 2)
        >>> torch.rand(3, generator=first).equal(torch.rand(3, generator=second))
        False
    """
    if n < 0:
        raise ValueError(f"n must not be negative, found {n}; pass a number of generators")
    parent = _as_parent(generator)
    # Seeds that agree in their low 32 bits are the same seed to a CPU generator.
    seeds: dict[int, int] = {}
    while len(seeds) < n:
        for seed in _draw_seeds(parent, n - len(seeds)):
            seeds.setdefault(seed % 2**32, seed)
    return [torch.Generator(parent.device).manual_seed(seed) for seed in seeds.values()]


def numpy_generator(generator: GeneratorLike) -> np.random.Generator:
    """A numpy generator that follows from a torch generator.

    .. math:: s \\sim U\\{0, \\dots, 2^{63} - 2\\}, \\qquad \\mathrm{PCG64}(s)

    Arguments:
        generator: None, a seed or a generator, which advances by one draw.

    Returns:
        ``numpy.random.Generator`` over PCG64.

    Raises:
        TypeError, ValueError: as ``as_generator``.

    Reference:
        O'Neill 2014, "PCG: a family of simple fast space-efficient statistically good algorithms
        for random number generation".

    Example:
        >>> bool(numpy_generator(0).random() == numpy_generator(0).random())
        True
    """
    (seed,) = _draw_seeds(_as_parent(generator), 1)
    return np.random.Generator(np.random.PCG64(seed))


def _as_seed(generator: SupportsIndex) -> int:
    """Check an integer seed."""
    try:
        seed = operator.index(generator)
    except TypeError:
        seed = None
    if seed is None or isinstance(generator, bool):
        raise TypeError(
            "generator must be None, an integer seed or a torch.Generator, "
            f"found {type(generator).__name__}"
        )
    if not 0 <= seed <= _LARGEST_SEED:
        raise ValueError(f"generator must be a seed in [0, 2**64), found {seed}")
    return seed


def _check_device(generator: torch.Generator, device: torch.device) -> torch.Generator:
    """Return a generator that can draw on a device."""
    found = generator.device
    same_index = device.index is None or found.index is None or device.index == found.index
    if found.type != device.type or not same_index:
        raise ValueError(
            f"generator must be on {device}, found one on {found}; pass a seed or "
            f"torch.Generator({str(device)!r})"
        )
    return generator


def _as_parent(generator: GeneratorLike) -> torch.Generator:
    """Accept a generator on whatever device it is."""
    return as_generator(generator, getattr(generator, "device", "cpu"))


def _draw_seeds(generator: torch.Generator, n: int) -> list[int]:
    """Draw n seeds of 63 bits."""
    device = generator.device
    return torch.randint(2**63 - 1, (n,), generator=generator, device=device).tolist()


def _below(probs: Tensor, generator: GeneratorLike) -> Tensor:
    """Draw ones where a uniform number falls below the probability."""
    # A half-precision uniform number has too few bits to resolve small probabilities.
    uniform = torch.rand(
        probs.shape,
        dtype=torch.promote_types(probs.dtype, torch.float32),
        device=probs.device,
        generator=as_generator(generator, probs.device),
    )
    return (uniform < probs).to(probs.dtype)


def _cumulate(logits: Tensor, temperature: float | Tensor) -> tuple[Tensor, Tensor]:
    """Unnormalised distribution functions (*batch, K), and which rows (*batch, 1) have one."""
    if logits.ndim == 0 or logits.shape[-1] == 0:
        raise ValueError(f"logits must be (..., K) with K > 0, found {tuple(logits.shape)}")
    logits = logits.detach()
    peak = logits.amax(-1, keepdim=True)
    possible = peak.isfinite()
    if logits.device.type == "cpu" and not possible.all():
        row = tuple((~possible).squeeze(-1).nonzero()[0].tolist())
        raise ValueError(
            f"logits must have a finite maximum in every row, found {peak[row].item()} in row "
            f"{row}; at least one state must be possible"
        )
    scaled = (logits - peak).double() / _positive(temperature)
    weights = scaled.exp().masked_fill(logits == -math.inf, 0.0)
    cumulative = weights.cumsum(-1)
    if cumulative.device.type != "cpu":
        # A parallel scan rounds differently from entry to entry: it may fall, or rise at a zero.
        cumulative = cumulative.masked_fill(weights == 0, 0.0).cummax(-1).values
    return cumulative.contiguous(), possible


def _positive(temperature: float | Tensor) -> float | Tensor:
    """The temperature as a divisor of (*batch, K); zero becomes the smallest normal number."""
    tiny = sys.float_info.min
    if not isinstance(temperature, Tensor):
        if not temperature >= 0:
            raise ValueError(f"temperature must not be negative, found {temperature}")
        return max(float(temperature), tiny)
    if temperature.device.type == "cpu" and not (temperature >= 0).all():
        raise ValueError(f"temperature must not be negative, found {_range(temperature)}")
    return temperature.detach().double().clamp_min(tiny).unsqueeze(-1)


def _as_shape(n: SupportsIndex | Sequence[int] | None) -> tuple[int, ...]:
    """A number of draws or a sample shape as leading axes."""
    if n is None:
        return ()
    return tuple(n) if isinstance(n, Sequence) else (operator.index(n),)


def _check_floating(name: str, value: Tensor) -> None:
    """Refuse anything but a tensor of real numbers."""
    if not isinstance(value, Tensor) or not value.is_floating_point():
        found = value.dtype if isinstance(value, Tensor) else type(value).__name__
        raise TypeError(f"{name} must be a floating-point tensor, found {found}")


def _range(values: Tensor) -> str:
    """The span of some numbers, for a message."""
    return "NaN" if values.isnan().any() else f"[{values.min().item()}, {values.max().item()}]"
