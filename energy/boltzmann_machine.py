"""The Boltzmann machine: binary units joined in pairs, some of them hidden.

.. math:: E(x) = -\\Bigl(\\sum_{i < j} w_{ij} x_i x_j + \\sum_i b_i x_i\\Bigr), \\qquad
          p(x) \\propto e^{-E(x) / T}, \\qquad x_i \\in \\{0, 1\\}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from energy.boltzmann.conditional import completed, most_probable_given
from energy.boltzmann.exact import MOST_FREE, clamped_log_sums, clamped_moments
from energy.boltzmann.learning import LearningMethod, Settings, first_weights, learn
from energy.boltzmann.pairwise_units import PairwiseUnits
from energy.boltzmann.units import checked_units
from inference.inputs import Values, as_whole
from inference.random import GeneratorLike, as_generator
from inference.sampling.annealed_importance import LogPartition

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["BoltzmannMachine"]


class BoltzmannMachine(PairwiseUnits):
    """Units 0 and 1, any two of which may be joined; the visible ones come first.

    .. math:: E(x) = -\\Bigl(\\sum_{i < j} w_{ij} x_i x_j + \\sum_i b_i x_i\\Bigr), \\qquad
              p(x) = \\frac{e^{-E(x) / T}}{Z}

    Arguments:
        n_visible: number of visible units.
        n_hidden: number of hidden units.
        temperature: T, may be set later.
        mask: which pairs may have weights, symmetric, bool, (n, n); None is all pairs.

    Attributes:
        weights: w, symmetric, (n, n); the diagonal is ignored. Zero at first.
        bias: b, (n,). Zero at first.
        mask: which pairs may have weights, bool, or None.

    Parameters are float64 and do not require gradients until ``requires_grad_()``; energies, free
    energies and exact log-probabilities are differentiable by them.

    Raises:
        TypeError, ValueError: sizes that are no whole numbers, a temperature that is not positive
            and finite, a mask that is not symmetric, a machine that does not fit the memory.

    Reference:
        Ackley, Hinton & Sejnowski 1985, "A learning algorithm for Boltzmann machines", eq. 1, 5.

    Example:
        >>> machine = BoltzmannMachine(2)
        >>> _ = machine.weights.data.copy_(torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
        >>> machine.energy([[1, 1]]).tolist()
        [-1.0]
        >>> round(machine.log_partition().exp().item(), 6)  # 3 + e
        5.718282
    """

    def __init__(
        self,
        n_visible: int,
        n_hidden: int = 0,
        temperature: float = 1.0,
        mask: Values | None = None,
    ) -> None:
        n_visible = as_whole("n_visible", n_visible, least=1)
        n_hidden = as_whole("n_hidden", n_hidden, least=0)
        super().__init__(n_visible + n_hidden, temperature, mask)
        self._n_visible = n_visible

    def config(self) -> dict[str, Any]:
        """What, with the state, determines the machine."""
        sizes = {"n_visible": self.n_visible, "n_hidden": self.n_hidden}
        return {**sizes, "temperature": self.temperature, "masked": self.mask is not None}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """A machine of that size, to be filled with a state."""
        n = config["n_visible"] + config["n_hidden"]
        mask = torch.ones(n, n, dtype=torch.bool) if config["masked"] else None
        return cls(config["n_visible"], config["n_hidden"], config["temperature"], mask)

    @property
    def n_visible(self) -> int:
        """Number of visible units."""
        return self._n_visible

    @property
    def n_hidden(self) -> int:
        """Number of hidden units."""
        return self.n_units - self._n_visible

    # Energies ------------------------------------------------------------------------------------

    def free_energy(self, v: Values) -> Tensor:
        """Energy of visible units with the hidden ones summed out exactly.

        .. math:: F(v) = -T \\log \\sum_h e^{-E(v, h) / T}

        Arguments:
            v: visible units 0 and 1; -1 is missing and is summed out too.

        Shapes:
            v: (..., n_visible). result: (...).

        Raises:
            ValueError: other values, or more than 22 units to be summed.
        """
        return -self.temperature * self._log_sums("v", v)

    def log_prob(
        self, x: Values, *, log_partition: LogPartition | Tensor | float | None = None
    ) -> Tensor:
        """Log-probability of visible units, (...), nats; -1 is missing and summed out.

        Arguments:
            x: visible units, (..., n_visible).
            log_partition: log Z, if it is known or has been estimated; None sums exactly.

        Raises:
            ValueError: other values, or a machine too large to be summed.
        """
        return self._log_sums("x", x) - self._log_z(log_partition)

    def exact_log_partition(self) -> Tensor:
        """Log Z, (), nats: over all states of at most 22 units, of more as the graph allows.

        Raises:
            ValueError: if the machine is too large to be summed.
        """
        if self.n_units <= MOST_FREE:
            return clamped_log_sums(*self._cold(), self._nothing())[0]
        return super().exact_log_partition()

    # Conditional laws ----------------------------------------------------------------------------

    def marginals(self, x: Values | None = None) -> Tensor:
        """Probability of a one for every unit given those that are known, exactly.

        Arguments:
            x: 0, 1 and -1 for a unit that is not known; None knows nothing.

        Shapes:
            x: (..., n_units). result: the same, (n_units,) for None.

        Raises:
            ValueError: other values, or more than 22 unknown units.
        """
        given = self._nothing()[0] if x is None else x
        units = self._units(given, missing=True)
        weights, bias = (part.detach() for part in self._cold())
        return clamped_moments(weights, bias, units.reshape(-1, self.n_units)).means.reshape(
            units.shape
        )

    def conditional_sample(
        self, x: Values, n: int, *, sweeps: int = 1000, generator: GeneratorLike = None
    ) -> Tensor:
        """Draws of all units given some, one from each of n chains whose known units are held.

        Arguments:
            x: 0, 1 and -1 for a unit that is free.
            n: number of draws.
            sweeps: length of the chains; the temperature falls to T in the first half.
            generator: None, a seed or a generator.

        Shapes:
            x: (n_units,). result: (n, n_units).

        Raises:
            TypeError, ValueError: other values or shapes, numbers below one.
        """
        n, sweeps = as_whole("n", n, least=1), as_whole("sweeps", sweeps, least=1)
        source = as_generator(generator, self.device)
        return completed(self._dense_law(), self._one("x", x).repeat(n, 1), sweeps, source)

    def complete(
        self, v: Values, *, sweeps: int = 1000, generator: GeneratorLike = None
    ) -> Tensor:
        """Draw what is missing in visible rows given what is there; a chain per row.

        Arguments:
            v: visible units; -1 is missing.
            sweeps: length of the chains; the temperature falls to T in the first half.
            generator: None, a seed or a generator.

        Shapes:
            v: (R, n_visible). result: the same, without -1.

        Raises:
            TypeError, ValueError: other values or shapes, no sweeps.
        """
        rows, sweeps = self._padded(self._rows("v", v)), as_whole("sweeps", sweeps, least=1)
        source = as_generator(generator, self.device)
        return completed(self._dense_law(), rows, sweeps, source)[:, : self.n_visible]

    def most_probable(
        self,
        x: Values | None = None,
        *,
        sweeps: int = 1000,
        chains: int = 32,
        generator: GeneratorLike = None,
        progress: bool | None = None,
    ) -> Tensor:
        """A state of least energy given the units that are known.

        Up to 22 free units all states are compared; more are searched by simulated annealing.

        Arguments:
            x: 0, 1 and -1 for a unit that is free; None knows nothing.
            sweeps: of the annealing.
            chains: independent searches.
            generator: None, a seed or a generator.
            progress: a bar; None shows it on a terminal.

        Shapes:
            x: (n_units,). result: the same.

        Example:
            >>> machine = BoltzmannMachine(2)
            >>> _ = machine.weights.data.copy_(torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
            >>> machine.most_probable([-1, 1]).tolist()
            [1.0, 1.0]
        """
        row = self._nothing()[0] if x is None else self._one("x", x)
        weights, bias = self._cold()
        return most_probable_given(
            weights.detach(),
            bias.detach(),
            row,
            sweeps=sweeps,
            chains=chains,
            generator=generator,
            progress=progress,
        )

    # Learning ------------------------------------------------------------------------------------

    def fit(
        self,
        data: Values,
        method: LearningMethod = "exact",
        *,
        epochs: int | None = None,
        batch_size: int = 50,
        chains: int = 100,
        k: int = 1,
        lr: float = 0.1,
        l2: float = 0.0,
        generator: GeneratorLike = None,
        progress: bool | None = None,
    ) -> Self:
        """Learn from visible rows by steps up the likelihood, from where the parameters are.

        .. math:: \\Delta w_{ij} = \\frac{\\eta}{T} \\bigl(\\langle x_i x_j \\rangle_{\\text{data}}
                  - \\langle x_i x_j \\rangle_{\\text{model}}\\bigr)

        Hidden units that are joined to nothing yet get small random weights first: without any
        they would all stay alike.

        Arguments:
            data: rows of visible units; -1 is missing and summed out.
            method: "exact" sums over all states of both phases, up to 22 units; "persistent" has
                chains in place of the machine's phase, and takes the mean field for the data's
                if more than 12 units of a row are not known.
            epochs: passes over the rows; None for as many as make 2,000 steps of "exact", which
                take all rows, or 10,000 of "persistent".
            batch_size: rows per step of "persistent".
            chains: of "persistent".
            k: sweeps of the chains per step.
            lr: rate of the first step; it falls to zero linearly.
            l2: weight decay, on the weights.
            generator: None, a seed or a generator.
            progress: a bar; None shows it on a terminal.

        Shapes:
            data: (R, n_visible).

        Returns:
            The machine; ``history`` has the ``log_likelihood`` of a row before each exact epoch,
            or how far means of chains and rows are apart, ``mean_gap``.

        Raises:
            TypeError, ValueError: data that the units cannot take, no rows, settings that make no
                sense, more unknown units than the method can sum.

        Reference:
            Ackley, Hinton & Sejnowski 1985, eq. 7; Tieleman 2008, "Training restricted Boltzmann
            machines using approximations to the likelihood gradient" ("persistent").

        Example:
            >>> rows = [[1, 1, 0], [0, 0, 1], [1, 0, 0], [0, 1, 1]]
            >>> machine = BoltzmannMachine(3).fit(rows, lr=1.0, progress=False)
            >>> round(machine.score(torch.tensor(rows)), 1)  # -log 4
            -1.4
        """
        settings = Settings(method, epochs, batch_size, chains, k, lr, l2)
        rows = self._padded(self._rows("data", data))
        source = as_generator(generator, self.device)
        weights, bias = (part.detach().double().clone() for part in self._numbers())
        allowed = self._pairs().to(torch.float64)
        weights = first_weights(weights, self.n_visible, allowed, source)
        self.history = learn(
            weights, bias, rows, settings, self.temperature, allowed, source, progress=progress
        )
        with torch.no_grad():
            self.weights.copy_(weights)
            self.bias.copy_(bias)
        return self

    # Numbers and units ---------------------------------------------------------------------------

    def _rows(self, name: str, v: Values) -> Tensor:
        """Rows of visible units, -1 where they are missing."""
        rows = checked_units(name, v, self.n_visible, missing=True).to(self.device)
        if rows.ndim != 2 or not len(rows):
            raise ValueError(
                f"{name} must be (R, {self.n_visible}) rows, found {tuple(rows.shape)}"
            )
        return rows

    def _one(self, name: str, x: Values) -> Tensor:
        """One row of all units, -1 where they are free, (n_units,)."""
        units = checked_units(name, x, self.n_units, missing=True).to(self.device)
        if units.ndim != 1:
            raise ValueError(f"{name} must be ({self.n_units},), found {tuple(units.shape)}")
        return units

    def _padded(self, visible: Tensor) -> Tensor:
        """All units of which only visible ones are known."""
        return nn.functional.pad(visible, (0, self.n_hidden), value=-1)

    def _nothing(self) -> Tensor:
        """A row that knows no unit, (1, n_units)."""
        return torch.full((1, self.n_units), -1.0, device=self.device)

    def _log_sums(self, name: str, v: Values) -> Tensor:
        """Log weights of visible units, the others summed out, (...)."""
        visible = checked_units(name, v, self.n_visible, missing=True).to(self.device)
        rows = self._padded(visible.reshape(-1, self.n_visible))
        return clamped_log_sums(*self._cold(), rows).reshape(visible.shape[:-1])
