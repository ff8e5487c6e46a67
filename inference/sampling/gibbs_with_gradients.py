"""Metropolis for discrete variables that changes those whose slopes promise the most.

.. math:: q(x' \\mid x) \\propto e^{d(x, x') / 2}, \\qquad
          d(x, x') = (x' - x) \\cdot \\nabla \\ell(x) \\approx \\ell(x') - \\ell(x)
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from inference.inputs import as_whole
from inference.random import categorical
from inference.sampling.continuous import LogDensity, check_start, evaluate
from inference.sampling.metropolis import CPU, Outcome, metropolis

__all__ = ["Binary", "Encoding", "GibbsWithGradients", "GradientGibbsState", "OneHot"]


class Encoding(ABC):
    """How joint states become the real numbers that a log density is a function of."""

    @abstractmethod
    def codes(self, position: Tensor) -> Tensor:
        """State codes (chain, n) int64 of positions."""

    @abstractmethod
    def position(self, codes: Tensor) -> Tensor:
        """Positions of state codes (chain, n)."""

    @abstractmethod
    def encode(self, codes: Tensor) -> Tensor:
        """What a log density is given, float64, for state codes (chain, n)."""

    @abstractmethod
    def gains(self, codes: Tensor, gradient: Tensor) -> Tensor:
        """First-order gains of all single changes, (chain, n, M); -inf is no change."""

    @abstractmethod
    def changed(self, codes: Tensor, choice: Tensor) -> tuple[Tensor, Tensor]:
        """Codes after change ``choice`` (chain,) of n * M, and the change that leads back."""


@dataclass(frozen=True)
class Binary(Encoding):
    """Two states, as two numbers.

    Arguments:
        low: number of state 0.
        high: number of state 1; -1 and +1 are spins.

    Shapes:
        position: (chain, n), holding ``low`` and ``high``.

    Raises:
        ValueError: if both are one number.

    Example:
        >>> Binary(-1.0, 1.0).encode(torch.tensor([[0, 1]])).tolist()
        [[-1.0, 1.0]]
    """

    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < abs(self.high - self.low) < math.inf:
            raise ValueError(f"low and high must be two numbers, found {self.low} and {self.high}")

    def codes(self, position: Tensor) -> Tensor:
        """State codes (chain, n) int64 of positions (chain, n).

        Raises:
            ValueError: if a number is neither ``low`` nor ``high``.
        """
        high = position == self.high
        wrong = ~(high | (position == self.low))
        if bool(wrong.any()):
            raise ValueError(
                f"position must hold {self.low:g} and {self.high:g}, "
                f"found {position[wrong][0].item():g}"
            )
        return high.long()

    def position(self, codes: Tensor) -> Tensor:
        """The two numbers, (chain, n) float64."""
        return self.encode(codes)

    def encode(self, codes: Tensor) -> Tensor:
        """The two numbers, (chain, n) float64."""
        # Looked up: a sum of low and a difference would not be high to the last bit.
        return torch.tensor([self.low, self.high], dtype=torch.float64, device=codes.device)[codes]

    def gains(self, codes: Tensor, gradient: Tensor) -> Tensor:
        """First-order gains of all flips, (chain, n, 1)."""
        return ((self.high - self.low) * (1 - 2 * codes) * gradient)[..., None]

    def changed(self, codes: Tensor, choice: Tensor) -> tuple[Tensor, Tensor]:
        """Codes after a flip, which is its own way back."""
        variable = choice[:, None]
        return codes.scatter(1, variable, 1 - codes.gather(1, variable)), choice


@dataclass(frozen=True)
class OneHot(Encoding):
    """K states, as K numbers of which one is one.

    Arguments:
        states: K, of every variable.

    Shapes:
        position: (chain, n) int64 codes; a log density is given (chain, n, K).

    Raises:
        ValueError: if there are fewer than two states.

    Example:
        >>> OneHot(3).encode(torch.tensor([[2]])).tolist()
        [[[0.0, 0.0, 1.0]]]
    """

    states: int

    def __post_init__(self) -> None:
        as_whole("states", self.states, least=2)

    def codes(self, position: Tensor) -> Tensor:
        """The same codes, checked.

        Raises:
            TypeError: if they are no integers.
            ValueError: if one is outside 0..K-1.
        """
        if position.is_floating_point() or position.dtype == torch.bool:
            raise TypeError(f"position must hold integer codes, found {position.dtype}")
        wrong = (position < 0) | (position >= self.states)
        if bool(wrong.any()):
            raise ValueError(
                f"position must hold codes 0..{self.states - 1}, found {position[wrong][0].item()}"
            )
        return position.long()

    def position(self, codes: Tensor) -> Tensor:
        """The codes, (chain, n) int64."""
        return codes

    def encode(self, codes: Tensor) -> Tensor:
        """One-hot rows, (chain, n, K) float64."""
        return torch.nn.functional.one_hot(codes, self.states).double()

    def gains(self, codes: Tensor, gradient: Tensor) -> Tensor:
        """First-order gains of all changes, (chain, n, K); -inf to the same state."""
        now = codes[..., None]
        return (gradient - gradient.gather(-1, now)).scatter(-1, now, -math.inf)

    def changed(self, codes: Tensor, choice: Tensor) -> tuple[Tensor, Tensor]:
        """Codes after a change of one variable, and the change back to its state before."""
        variable, state = choice[:, None] // self.states, choice[:, None] % self.states
        back = variable * self.states + codes.gather(1, variable)
        return codes.scatter(1, variable, state), back[:, 0]


class GradientGibbsState(NamedTuple):
    """Chains with state codes (chain, n); ``invalid`` counts log densities NaN or +inf, int64.

    ``log_proposals`` (chain, n * M) are log-probabilities of all single changes.
    """

    codes: Tensor
    log_density: Tensor
    log_proposals: Tensor
    acceptance: Tensor
    invalid: Tensor


class _Point(NamedTuple):
    """Joint states, and what their log density and its slope say of them."""

    codes: Tensor
    log_density: Tensor
    log_proposals: Tensor
    invalid: Tensor


@dataclass(frozen=True, eq=False)
class GibbsWithGradients:
    """A kernel for any differentiable log density of discrete variables.

    .. math:: q(x' \\mid x) = \\operatorname{softmax}_{x' \\in H(x)} \\frac{d(x, x')}{2}, \\qquad
              a = \\min\\Bigl(1, e^{\\ell(x') - \\ell(x)}
              \\frac{q(x \\mid x')}{q(x' \\mid x)}\\Bigr)

    One step changes one variable of every chain at most; H(x) are the states that differ from x
    in one. The log density is evaluated at real numbers, and only its slope at joint states
    says where to go; the rule of Metropolis makes the law exact whatever the slope is.

    Arguments:
        log_density: of what ``encoding`` gives, (chain, n) or (chain, n, K), float64.
        encoding: ``Binary()`` for zeros and ones, ``Binary(-1, 1)`` for spins, ``OneHot(K)``.
        device: where the chains are.

    Reference:
        Grathwohl et al. 2021, "Oops I took a gradient: scalable sampling for discrete
        distributions", algorithm 1; Zanella 2020, "Informed proposals for local MCMC in discrete
        spaces", section 2.

    Example:
        >>> ising = lambda s: (s[:, 1:] * s[:, :-1]).sum(1)
        >>> kernel = GibbsWithGradients(ising, Binary(-1.0, 1.0))
        >>> state = kernel.init(torch.ones(8, 20))
        >>> state = kernel.step(state, torch.Generator().manual_seed(0))
        >>> bool(((kernel.position(state) - 1).abs().sum(1) <= 2).all())
        True
    """

    log_density: LogDensity
    encoding: Encoding
    device: torch.device = CPU

    def __post_init__(self) -> None:
        object.__setattr__(self, "device", torch.device(self.device))

    def init(self, position: Tensor) -> GradientGibbsState:
        """State of chains at ``position``, (chain, n).

        Raises:
            TypeError: if a code is no integer.
            ValueError: if it is not (chain, n), holds other numbers than the encoding's, or a
                chain has no finite log density there.
        """
        if not isinstance(position, Tensor) or position.ndim != 2 or not position.numel():
            found = tuple(position.shape) if isinstance(position, Tensor) else type(position)
            raise ValueError(f"position must be a tensor (chain, n), not empty, found {found}")
        point = self._evaluate(self.encoding.codes(position.to(self.device)))
        check_start(~point.log_density.isfinite() | point.invalid, point.invalid)
        zeros = torch.zeros_like(point.log_density)
        return GradientGibbsState(*point[:3], zeros, zeros.long())

    def step(self, state: GradientGibbsState, generator: torch.Generator) -> GradientGibbsState:
        """State after a proposal to change one variable of every chain."""
        choice = categorical(state.log_proposals, generator=generator)
        point, outcome = self._changed(state, choice, generator)
        invalid = state.invalid + outcome.invalid
        return GradientGibbsState(*point[:3], outcome.acceptance, invalid)

    def position(self, state: GradientGibbsState) -> Tensor:
        """Where the chains are, (chain, n): the two numbers, or codes."""
        return self.encoding.position(state.codes)

    def _changed(
        self, state: GradientGibbsState, choice: Tensor, generator: torch.Generator
    ) -> tuple[_Point, Outcome]:
        """Accept or reject chosen changes."""
        valid = torch.zeros_like(state.invalid, dtype=torch.bool)
        point = _Point(*state[:3], valid)
        codes, back = self.encoding.changed(state.codes, choice)
        proposal = self._evaluate(codes)
        forth = point.log_proposals.gather(1, choice[:, None])[:, 0]
        home = proposal.log_proposals.gather(1, back[:, None])[:, 0]
        log_ratio = proposal.log_density - point.log_density + home - forth
        return metropolis(point, proposal, log_ratio, generator, ~valid)

    def _evaluate(self, codes: Tensor) -> _Point:
        """Joint states with the log-probabilities of all changes."""
        found = evaluate(self.log_density, self.encoding.encode(codes), gradient=True)
        # Any slope leaves the law exact; where it is no number, none is taken.
        slope = found.gradient.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
        half = self.encoding.gains(codes, 0.5 * slope).flatten(1)
        strange = found.log_density.isnan() | found.log_density.isposinf()
        return _Point(codes, found.log_density, half.log_softmax(1), strange)
