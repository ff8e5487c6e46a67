"""The modern Hopfield network: real states, and one update is attention.

.. math:: \\xi \\leftarrow X^\\top \\operatorname{softmax}(\\beta X \\xi)
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from inference.inputs import Values, as_tensors, as_whole, check_finite
from inference.model import Model

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["ModernHopfield", "Retrieval"]


@dataclass(frozen=True)
class Retrieval:
    """Where real cues have led.

    Attributes:
        state: the last states, (..., d).
        converged: whether the last update moved none of its numbers by more than the tolerance,
            (...).
        updates: updates made, (...) int64.
        energy: of the cue and after every update; constant after the end, (updates + 1, ...).
    """

    state: Tensor
    converged: Tensor
    updates: Tensor
    energy: Tensor


class ModernHopfield(Model):
    """An associative memory of real patterns.

    .. math:: E(\\xi) = -\\frac1\\beta \\log \\sum_\\mu e^{\\beta x_\\mu \\cdot \\xi}
              + \\tfrac12 \\xi \\cdot \\xi + \\frac{\\log P}{\\beta} + \\tfrac12 M^2,
              \\qquad M = \\max_\\mu |x_\\mu|

    Arguments:
        patterns: real numbers.
        beta: inverse temperature: high, an update goes to the nearest pattern; low, to a mean of
            several.

    Shapes:
        patterns: (P, d), or (d,).

    Attributes:
        patterns: a parameter, which needs no gradient until ``requires_grad_()``.
        beta: as given, may be set later.

    Raises:
        TypeError: patterns that are no numbers.
        ValueError: no pattern, numbers that are not finite, or a beta that is not positive.

    Reference:
        Ramsauer et al. 2021, "Hopfield networks is all you need", eq. 1 to 3.

    Example:
        >>> memory = ModernHopfield([[3.0, 0.0], [0.0, 3.0]], beta=2.0)
        >>> memory.recall([1.0, 0.2]).state.round(decimals=3).tolist()
        [3.0, 0.0]
    """

    patterns: nn.Parameter

    def __init__(self, patterns: Values, beta: float) -> None:
        super().__init__()
        (stored,) = as_tensors(patterns=patterns)
        check_finite(patterns=stored)
        stored = torch.atleast_2d(stored.detach().clone())
        if stored.ndim > 2 or 0 in stored.shape:
            raise ValueError(
                "patterns must be (P, d) with at least one pattern and one number, found shape "
                f"{tuple(stored.shape)}"
            )
        self.beta = beta
        self.patterns = nn.Parameter(stored, requires_grad=False)

    def config(self) -> dict[str, Any]:
        """Sizes and beta."""
        rows, units = self.patterns.shape
        return {"n_patterns": rows, "n_units": units, "beta": self.beta}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """A memory of that size, to be filled with a state."""
        return cls(torch.zeros(config["n_patterns"], config["n_units"]), config["beta"])

    @property
    def beta(self) -> float:
        """Inverse temperature."""
        return self._beta

    @beta.setter
    def beta(self, beta: float) -> None:
        if not 0 < beta < math.inf:
            raise ValueError(f"beta must be positive and finite, found {beta}")
        self._beta = float(beta)

    def energy(self, x: Values) -> Tensor:
        """Energy of states, never negative; differentiable.

        Shapes:
            x: (..., d). result: (...).

        Raises:
            TypeError, ValueError: as :meth:`update`.

        Reference:
            Ramsauer et al. 2021, eq. 2.

        Example:
            >>> ModernHopfield([[1.0, 0.0]], beta=1.0).energy([[1.0, 0.0], [0.0, 0.0]]).tolist()
            [0.0, 0.5]
        """
        return self._energy(self._states(x))

    def update(self, x: Values) -> Tensor:
        """States after an update, which never raises the energy; differentiable.

        .. math:: \\xi' = X^\\top \\operatorname{softmax}(\\beta X \\xi)

        Arguments:
            x: states, the queries of attention whose keys and values are the patterns.

        Shapes:
            x: (..., d). result: the same.

        Raises:
            TypeError: if x holds no real numbers.
            ValueError: if it holds NaN or infinity, or has another length.

        Reference:
            Ramsauer et al. 2021, eq. 3; theorem 1 (the energy never rises).

        Example:
            >>> ModernHopfield([[1.0], [-1.0]], beta=1.0).update([[0.0], [50.0]]).tolist()
            [[0.0], [1.0]]
        """
        return self._update(self._states(x))

    def forward(self, x: Values) -> Tensor:
        """The same as :meth:`update`: the memory is a layer."""
        return self.update(x)

    def recall(self, cues: Values, max_updates: int = 100, tolerance: float = 1e-8) -> Retrieval:
        """Update states until they stay.

        Arguments:
            cues: states to begin with.
            max_updates: at most.
            tolerance: a state stays if no number moves by more than this share of the largest
                number in the patterns; rounding of the patterns' type at least.

        Shapes:
            cues: (..., d). result: see ``Retrieval``.

        Raises:
            TypeError, ValueError: as :meth:`update`; a tolerance that is negative, or a number of
                updates below zero.

        Reference:
            Ramsauer et al. 2021, theorem 2 (convergence).

        Example:
            >>> found = ModernHopfield([[1.0], [-1.0]], beta=4.0).recall([[0.1], [-0.1]])
            >>> found.state.round(decimals=2).tolist(), found.converged.tolist()
            ([[1.0], [-1.0]], [True, True])
        """
        if not 0 <= tolerance < math.inf:
            raise ValueError(f"tolerance must not be negative, found {tolerance}")
        max_updates = as_whole("max_updates", max_updates, least=0)
        given = self._states(cues)
        state = given.detach().reshape(-1, given.shape[-1]).clone()
        rounding = 8 * torch.finfo(state.dtype).eps
        limit = max(tolerance, rounding) * self.patterns.detach().abs().max()
        left = torch.arange(len(state), device=state.device)
        updates = torch.zeros_like(left)
        converged = torch.zeros_like(left, dtype=torch.bool)
        with torch.no_grad():
            trace = [self._energy(state)]
            for _ in range(max_updates):
                if not len(left):
                    break
                before, after = state[left], self._update(state[left])
                state[left] = after
                updates[left] += 1
                energy = trace[-1].clone()
                energy[left] = self._energy(after)
                trace.append(energy)
                stays = ((after - before).abs() <= limit).all(1)
                converged[left] = stays
                left = left[~stays]
        batch = given.shape[:-1]
        return Retrieval(
            state.reshape(given.shape),
            converged.reshape(batch),
            updates.reshape(batch),
            torch.stack(trace).reshape(len(trace), *batch),
        )

    def _states(self, x: Values) -> Tensor:
        """States, checked, in the type of the patterns."""
        (states,) = as_tensors(x=x)
        states = states.to(self.patterns)
        check_finite(x=states)
        units = self.patterns.shape[1]
        if states.ndim == 0 or states.shape[-1] != units:
            raise ValueError(
                f"x must have {units} numbers on the last axis, found shape {tuple(states.shape)}"
            )
        return states

    def _update(self, states: Tensor) -> Tensor:
        """Attention of states to the patterns."""
        behind, _ = self._overlaps(states)
        return (self.beta * behind).softmax(-1) @ self.patterns

    def _energy(self, states: Tensor) -> Tensor:
        """Energy of states."""
        behind, nearest = self._overlaps(states)
        pull = (self.beta * behind).logsumexp(-1)
        largest = self.patterns.square().sum(-1).max()
        rows = math.log(len(self.patterns))
        squares = (states.square().sum(-1) + largest) / 2
        return (rows - pull) / self.beta - nearest.squeeze(-1) + squares

    def _overlaps(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """Overlaps less the largest, which no beta takes beyond a number's range; and that one."""
        overlaps = states @ self.patterns.T
        nearest = overlaps.amax(-1, keepdim=True)
        return overlaps - nearest, nearest
