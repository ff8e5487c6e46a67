"""Dense associative memories: sharper interactions hold far more patterns than units.

.. math:: E(x) = -\\sum_\\mu F\\Bigl(\\sum_i \\xi^\\mu_i x_i\\Bigr), \\qquad x_i \\in \\{-1, +1\\}
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from energy.hopfield.dynamics import at_once, sharp
from energy.hopfield.interactions import Exponential, PatternDynamics, Polynomial
from energy.hopfield.recall import Order, Recall, Update, follow
from energy.hopfield.spins import as_patterns, as_spins
from inference.inputs import Values, as_whole
from inference.memory import require_memory
from inference.model import Model
from inference.random import GeneratorLike

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["DenseAssociativeMemory"]

#: Numbers of type double that a sweep holds for every pattern and cue.
HELD = 8


class DenseAssociativeMemory(Model):
    """Units -1 and +1 that patterns pull at, the more the nearer they are.

    .. math:: E(x) = -\\sum_\\mu \\Bigl(\\sum_i \\xi^\\mu_i x_i\\Bigr)^n \\quad\\text{or}\\quad
              E(x) = -\\log \\sum_\\mu e^{\\sum_i \\xi^\\mu_i x_i}

    A unit turns if that lowers the energy. Degree 2 is the Hopfield network by Hebb's rule with a
    diagonal of zeros; degree n holds in the order of d^(n - 1) patterns, the exponential 2^(d / 2)
    at most. Differences below rounding count as none.

    Arguments:
        patterns: -1 and +1.
        degree: n, at least 2, or "exponential".

    Shapes:
        patterns: (P, d), or (d,).

    Attributes:
        patterns: (P, d) float64.
        degree: as given.

    Raises:
        TypeError: patterns that are no numbers, or a degree of another kind.
        ValueError: values other than -1 and +1, no pattern, a degree below 2, or one so high that
            energies would overflow.

    Reference:
        Krotov & Hopfield 2016, "Dense associative memory for pattern recognition", eq. 3 to 6;
        Demircigil et al. 2017, "On a model of associative memory with huge storage capacity".

    Example:
        >>> memory = DenseAssociativeMemory([[1, 1, 1, 1], [1, -1, 1, -1], [-1, -1, 1, 1]], 3)
        >>> memory.recall([1, 1, 1, -1], order="sequential").energy.tolist()
        [-8.0, -64.0]
    """

    patterns: Tensor

    def __init__(self, patterns: Values, degree: int | Literal["exponential"]) -> None:
        super().__init__()
        stored = as_patterns(patterns).double()
        if degree == "exponential":
            interaction = Exponential()
        elif isinstance(degree, str):
            raise ValueError(f'degree must be a whole number or "exponential", found {degree!r}')
        else:
            degree = as_whole("degree", degree, least=2)
            _check_range(degree, *stored.shape)
            interaction = Polynomial(degree)
        self.degree: int | Literal["exponential"] = degree
        self._interaction = interaction
        self.register_buffer("patterns", stored)

    def config(self) -> dict[str, Any]:
        """Sizes and the degree."""
        rows, units = self.patterns.shape
        return {"n_patterns": rows, "n_units": units, "degree": self.degree}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """A memory of that size, to be filled with a state."""
        return cls(torch.ones(config["n_patterns"], config["n_units"]), config["degree"])

    @property
    def n_units(self) -> int:
        """Number of units."""
        return self.patterns.shape[1]

    def energy(self, x: Values) -> Tensor:
        """Energy of states.

        .. math:: E(x) = -\\sum_\\mu m_\\mu^n, \\quad\\text{or}\\quad -\\log \\sum_\\mu e^{m_\\mu}

        Arguments:
            x: -1 and +1.

        Shapes:
            x: (..., d). result: (...).

        Raises:
            TypeError, ValueError: for values other than that, or another length.

        Reference:
            Krotov & Hopfield 2016, eq. 3.

        Example:
            >>> DenseAssociativeMemory([[1, 1]], 2).energy([[1, 1], [1, -1]]).tolist()
            [-4.0, -0.0]
        """
        spins = as_spins("x", x, self.n_units).to(self.patterns)
        overlaps = self.patterns @ spins.reshape(-1, self.n_units).T
        return self._interaction.energy(overlaps).reshape(spins.shape[:-1])

    def is_stable(self, x: Values) -> Tensor:
        """Whether states are fixed points: turning no single unit lowers the energy.

        Shapes:
            x: (..., d). result: (...), bool.

        Raises:
            TypeError, ValueError: as :meth:`energy`.

        Example:
            >>> DenseAssociativeMemory([[1, 1, 1]], 3).is_stable([[1, 1, 1], [1, 1, -1]]).tolist()
            [True, False]
        """
        spins = as_spins("x", x, self.n_units).to(self.patterns)
        states = spins.reshape(-1, self.n_units).T.contiguous()
        return (self._at_once(states) == states).all(0).reshape(spins.shape[:-1])

    def _at_once(self, states: Tensor) -> Tensor:
        """States (d, C) after an update of all units at once."""
        dynamics = self._dynamics(states.shape[1])
        counted = dynamics.counted(dynamics.start(states), states)
        return at_once(dynamics, counted, states, sharp(dynamics))

    def update(
        self,
        x: Values,
        update: Update = "asynchronous",
        *,
        order: Order = "random",
        generator: GeneratorLike = None,
    ) -> Tensor:
        """States after one update of every unit; as :meth:`recall` for one sweep.

        Shapes:
            x: (..., d). result: the same.

        Raises:
            TypeError, ValueError: as :meth:`recall`.

        Example:
            >>> DenseAssociativeMemory([[1, 1, 1]], 3).update([1, 1, -1]).tolist()
            [1.0, 1.0, 1.0]
        """
        return self.recall(x, update, 1, order=order, generator=generator).state

    def recall(
        self,
        cues: Values,
        update: Update = "asynchronous",
        max_sweeps: int = 100,
        *,
        order: Order = "random",
        generator: GeneratorLike = None,
    ) -> Recall:
        """Turn units that lower the energy, from every cue, until none does.

        Arguments:
            cues: -1 and +1.
            update: "asynchronous", one unit after the other, or "synchronous".
            max_sweeps: updates of every unit at most.
            order: of the units in a sweep: "random", the same for all cues, or "sequential".
            generator: None, a seed or a generator.

        Shapes:
            cues: (..., d). result: see ``Recall``.

        Raises:
            TypeError: cues that are no numbers, a ``max_sweeps`` that is none.
            ValueError: other values, another length, an unknown option, or more cues than the
                memory holds overlaps of.

        Reference:
            Krotov & Hopfield 2016, eq. 6.

        Example:
            >>> memory = DenseAssociativeMemory([[1, 1, 1, 1], [1, -1, 1, -1]], "exponential")
            >>> memory.recall([[1, 1, -1, 1], [1, -1, -1, -1]], order="sequential").state.tolist()
            [[1.0, 1.0, 1.0, 1.0], [1.0, -1.0, 1.0, -1.0]]
        """
        spins = as_spins("cues", cues, self.n_units).to(self.patterns)
        flat = spins.reshape(-1, self.n_units)
        dynamics = self._dynamics(len(flat))
        found = follow(dynamics, flat, update, max_sweeps, order, generator)
        return found.shaped(spins.shape)

    def _dynamics(self, cues: int) -> PatternDynamics:
        """The dynamics, if overlaps with so many cues fit the memory."""
        rows = len(self.patterns)
        what = f"recall from {rows:,} patterns by {cues:,} cues"
        require_memory(8 * HELD * rows * cues, what, "pass fewer cues at a time")
        return PatternDynamics(self.patterns, self._interaction)


def _check_range(degree: int, n_patterns: int, n_units: int) -> None:
    """Refuse powers beyond the largest double."""
    largest = math.log(torch.finfo(torch.float64).max)
    if degree * math.log(n_units + 2) + math.log(4 * n_patterns) >= largest:
        raise ValueError(
            f"degree must be lower: {n_units + 2} to the power {degree} overflows; "
            'take "exponential"'
        )
