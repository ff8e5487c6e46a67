"""Laws of real variables: log densities and their slopes.

.. math:: p(x) \\propto e^{\\ell(x)}

A log density is any function of positions (chain, *event) that returns (chain,) nats, each from
its own chain alone; a constant may be missing. It is -inf where a position is impossible. Where
it is NaN or +inf, or its slope is no number, a position counts as impossible too, and the chain's
``invalid`` counts it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeAlias, TypeVar

import torch
from torch import Tensor

from inference.inputs import check_finite

__all__ = [
    "Evaluated",
    "LogDensity",
    "Outcome",
    "P",
    "Point",
    "across",
    "check_position",
    "check_start",
    "counted",
    "evaluate",
    "failed",
    "normal_like",
    "sum_event",
]

#: Unnormalised log densities (chain,), nats, of positions (chain, *event).
LogDensity: TypeAlias = Callable[[Tensor], Tensor]


class Evaluated(Protocol):
    """A named tuple of tensors with what a move reads of a position, chains first."""

    @property
    def position(self) -> Tensor:
        """Where the chains are, (chain, *event)."""
        ...

    @property
    def log_density(self) -> Tensor:
        """Log densities, (chain,) float64, nats."""
        ...

    @property
    def gradient(self) -> Tensor:
        """Their slopes, (chain, *event); (chain, 0) where a kernel uses none."""
        ...

    @property
    def invalid(self) -> Tensor:
        """Whether the user's function failed there, (chain,)."""
        ...


P = TypeVar("P", bound=Evaluated)


class Point(NamedTuple):
    """A position and what its log density says there, see :class:`Evaluated`."""

    position: Tensor
    log_density: Tensor
    gradient: Tensor

    @property
    def invalid(self) -> Tensor:
        """Whether the user's function failed there, (chain,)."""
        return failed(self.log_density, self.gradient)


class Outcome(NamedTuple):
    """What became of a proposal: probability of acceptance, and warnings, (chain,) each."""

    acceptance: Tensor
    divergent: Tensor
    invalid: Tensor


def evaluate(log_density: LogDensity, position: Tensor, gradient: bool) -> Point:
    """Log densities of all chains and, where asked for, their slopes.

    Arguments:
        log_density: the function.
        position: (chain, *event), without a gradient.
        gradient: whether slopes are wanted.

    Raises:
        TypeError: if the function does not return a tensor.
        ValueError: if its result has another shape than (chain,), or no gradient reaches it.

    Example:
        >>> point = evaluate(lambda x: -0.5 * x.square().sum(1), torch.ones(1, 2), gradient=True)
        >>> point.log_density.tolist(), point.gradient.tolist()
        ([-1.0], [[-1.0, -1.0]])
    """
    if gradient:
        # Also where a caller has switched derivatives off for good, by inference mode.
        with torch.inference_mode(False), torch.enable_grad():
            known = position.clone() if position.is_inference() else position
            leaf = known.detach().requires_grad_()
            values = _checked(log_density(leaf), position)
            slope = _slope(values, leaf)
    else:
        with torch.no_grad():
            values = _checked(log_density(position), position)
        slope = position.new_zeros((len(position), 0))
    return Point(position, values.detach().double(), slope)


def normal_like(position: Tensor, generator: torch.Generator) -> Tensor:
    """Independent standard normal numbers of a tensor's shape and kind."""
    return torch.randn(
        position.shape, dtype=position.dtype, device=position.device, generator=generator
    )


def sum_event(x: Tensor) -> Tensor:
    """Sums over all axes but the chains', (chain,)."""
    return x.reshape(len(x), -1).sum(1)


def _checked(values: Tensor, position: Tensor) -> Tensor:
    """A log density's result, if it is one."""
    if not isinstance(values, Tensor):
        raise TypeError(f"log_density must return a tensor, found {type(values).__name__}")
    if values.shape != (len(position),):
        raise ValueError(
            f"log_density must return shape ({len(position)},), one number per chain of a "
            f"position {tuple(position.shape)}, found {tuple(values.shape)}; sum over the event"
        )
    return values


def _slope(values: Tensor, leaf: Tensor) -> Tensor:
    """Gradient of every chain's log density."""
    slope = None
    if values.requires_grad:
        (slope,) = torch.autograd.grad(values.sum(), leaf, allow_unused=True)
    if slope is None:
        raise ValueError(
            "log_density must be differentiable: torch finds no gradient from its result to the "
            "position; compute it from the position by torch, or use a kernel without gradients"
        )
    return slope


def across(x: Tensor, like: Tensor) -> Tensor:
    """One number per chain with an axis for each of an event's; a single number as it is."""
    return x.reshape(-1, *[1] * (like.ndim - 1)) if x.ndim else x


def failed(log_density: Tensor, slope: Tensor) -> Tensor:
    """Where a function gave a NaN, +inf, or a density without a slope, (chain,)."""
    strange = log_density.isnan() | log_density.isposinf()
    broken = ~slope.isfinite().reshape(len(slope), -1).all(1)
    return strange | (broken & log_density.isfinite())


def counted(divergent: Tensor, invalid: Tensor, outcome: Outcome) -> tuple[Tensor, Tensor, Tensor]:
    """Acceptance, and counts of divergent and invalid proposals so far."""
    return outcome.acceptance, divergent + outcome.divergent, invalid + outcome.invalid


def check_position(position: Tensor, device: torch.device) -> None:
    """Refuse what are no positions of chains on a device."""
    if not isinstance(position, Tensor) or not position.is_floating_point():
        found = position.dtype if isinstance(position, Tensor) else type(position).__name__
        raise TypeError(f"position must be a floating-point tensor, found {found}")
    if position.ndim == 0 or position.numel() == 0:
        raise ValueError(
            f"position must be (chain, *event) and not empty, found {tuple(position.shape)}"
        )
    if position.device.type != device.type:
        raise ValueError(
            f"position must be on {device}, found {position.device}; "
            "pass the kernel device=position.device"
        )
    check_finite(position=position)


def check_start(wrong: Tensor, invalid: Tensor) -> None:
    """Refuse chains where something is wrong with the log density, naming the first."""
    if not bool(wrong.any()):
        return
    chain = int(wrong.nonzero()[0])
    if bool(invalid[chain]):
        found = f"NaN, +inf or a slope that is not finite at chain {chain}; check what computes it"
    else:
        found = f"-inf at chain {chain}; start it where the density is positive"
    raise ValueError(f"log_density must be finite where chains start, found {found}")
