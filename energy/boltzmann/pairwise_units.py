"""Binary units joined in pairs: their energy, and the paths of laws to it.

.. math:: E(x) = -\\Bigl(\\sum_{i < j} w_{ij} x_i x_j + \\sum_i b_i x_i\\Bigr), \\qquad
          p(x) \\propto e^{-E(x) / T}, \\qquad x_i \\in \\{0, 1\\}
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from energy.boltzmann.dense_law import DenseLaw
from energy.boltzmann.factors import pairs_as_factors, pairs_of
from energy.boltzmann.units import checked_couplings, checked_mask, checked_units
from energy.energy_model import EnergyModel
from inference.exact.graph import FactorGraph
from inference.inputs import Values, as_tensor
from inference.memory import require_memory
from inference.random import GeneratorLike, as_generator
from inference.sampling.binary.law import PairLaw
from inference.sampling.binary.layout import PairLayout
from inference.sampling.kernel import Rule

__all__ = ["PairwiseUnits"]

#: Share of the pairs up to which a graph counts as sparse: sweeps then go from colour to colour.
SPARSE = 0.25

#: Matrices of that size that a model and its laws hold.
COPIES = 4


class PairwiseUnits(EnergyModel):
    """Abstract base: units 0 and 1, any two of which may be joined.

    Arguments:
        n_units: number of units.
        temperature: T.
        mask: which pairs may have weights, symmetric, bool, (n, n); None is all pairs.

    Raises:
        TypeError, ValueError: a temperature that is not positive and finite, a mask that is not
            symmetric, a model that does not fit the memory.
    """

    weights: nn.Parameter
    bias: nn.Parameter
    mask: Tensor | None

    def __init__(self, n_units: int, temperature: float, mask: Values | None) -> None:
        super().__init__()
        what = f"the matrix between {n_units:,} units"
        require_memory(8 * COPIES * n_units**2, what, "a sparse graph that large is an IsingModel")
        self.temperature = temperature
        nothing = torch.zeros(n_units, n_units, dtype=torch.float64)
        self.weights = nn.Parameter(nothing, requires_grad=False)
        self.bias = nn.Parameter(nothing[0].clone(), requires_grad=False)
        self.register_buffer("mask", None if mask is None else checked_mask(mask, n_units))
        self._layout: tuple[np.ndarray, PairLayout] | None = None

    @property
    def n_units(self) -> int:
        """Number of all units."""
        return len(self.bias)

    @property
    def temperature(self) -> float:
        """T, positive and finite."""
        return self._temperature

    @temperature.setter
    def temperature(self, temperature: float) -> None:
        if not 0 < temperature < math.inf:
            raise ValueError(f"temperature must be positive and finite, found {temperature}")
        self._temperature = float(temperature)

    # Energies ------------------------------------------------------------------------------------

    def energy(self, x: Values) -> Tensor:
        """Energy of all units, whatever the temperature.

        Arguments:
            x: units, 0 and 1.

        Shapes:
            x: (..., n_units). result: (...).

        Raises:
            ValueError: other values, another number of units, weights that are not symmetric.
        """
        weights, bias = self._numbers()
        units = self._units(x).to(bias)
        return -(units * (0.5 * units @ weights + bias)).sum(-1)

    def log_weight(self, x: Values) -> Tensor:
        """Log of the unnormalised probability of all units, (...), nats: -E(x) / T."""
        return -self.energy(x) / self.temperature

    def conditional_probabilities(self, x: Values) -> Tensor:
        """Probability of a one for every unit given all the others.

        .. math:: p(x_i = 1 \\mid x_{-i}) = \\sigma\\Bigl(\\frac1T
                  \\bigl(\\sum_{j \\ne i} w_{ij} x_j + b_i\\bigr)\\Bigr)

        Shapes:
            x: (..., n_units). result: the same.

        Reference:
            Ackley, Hinton & Sejnowski 1985, eq. 2.
        """
        weights, bias = self._cold()
        return (self._units(x).to(bias) @ weights + bias).sigmoid()

    # Laws ----------------------------------------------------------------------------------------

    def gibbs_sweep(
        self,
        x: Values,
        beta: float = 1.0,
        generator: GeneratorLike = None,
        clamped: Values | None = None,
    ) -> Tensor:
        """States after one sweep over all units.

        Arguments:
            x: states of the chains.
            beta: inverse temperature, in units of the model's own.
            generator: None, a seed or a generator.
            clamped: units that stay as they are, bool.

        Shapes:
            x: (chain, n_units). clamped: (n_units,) or (chain, n_units). result: as x.

        Raises:
            ValueError: other values or shapes.
        """
        units = self._units(x)
        if clamped is None:
            return super().gibbs_sweep(units, beta, generator)
        held = as_tensor("clamped", clamped).detach().to(self.device)
        if held.dtype is not torch.bool or held.shape not in {units.shape, units.shape[-1:]}:
            raise ValueError(
                f"clamped must be bool, ({self.n_units},) or {tuple(units.shape)}, found "
                f"{held.dtype} of shape {tuple(held.shape)}"
            )
        law = self._dense_law()
        source = as_generator(generator, self.device)
        return law.run(law.init(units), [beta], source, held).units

    def tempered_law(
        self,
        *,
        base: Tensor | None = None,
        rule: Rule = "heat-bath",
        dtype: torch.dtype = torch.float32,
    ) -> DenseLaw | PairLaw:
        """The path from independent units to the model's own law, hidden units included.

        Sparse masks are swept from colour to colour, others from block to block.

        Arguments:
            base: log-odds of the independent units, (n_units,); zero by default.
            rule: how units move.
            dtype: type of the sweeps.
        """
        start = None if base is None else base.detach().to(self.device, dtype)
        weights, bias = (part.detach().to(dtype) for part in self._cold())
        if self.mask is None or bool(self.mask.double().mean() > SPARSE):
            return DenseLaw(weights, bias, start, rule)
        pairs = pairs_of(self._pairs())
        edges = weights[pairs[:, 0], pairs[:, 1]]
        return PairLaw(self._colored(pairs), edges, bias, base=start, rule=rule)

    def _colored(self, pairs: np.ndarray) -> PairLayout:
        """Colours and index arrays, found once per graph and device."""
        last = self._layout
        if last is None or last[1].device != self.device or not np.array_equal(last[0], pairs):
            last = self._layout = (pairs, PairLayout(self.n_units, pairs, self.device))
        return last[1]

    def search_law(self) -> DenseLaw | PairLaw:
        """The path along which low energies are searched for: Metropolis' rule."""
        return self.tempered_law(rule="metropolis")

    def to_factor_graph(self) -> FactorGraph:
        """The same law over variables "0", "1", ..., visible units first."""
        (weights, bias), pairs = self._cold(), pairs_of(self._pairs())
        return pairs_as_factors(weights[pairs[:, 0], pairs[:, 1]], bias, pairs)

    def _dense_law(self) -> DenseLaw:
        """The law that can hold units, in the type of all sweeps."""
        weights, bias = (part.detach().to(torch.float32) for part in self._cold())
        return DenseLaw(weights, bias)

    def _decoded(self, codes: Tensor) -> Tensor:
        return codes.to(torch.float32)

    # Numbers and units ---------------------------------------------------------------------------

    def _numbers(self) -> tuple[Tensor, Tensor]:
        """Weights without a diagonal, checked, and bias."""
        return checked_couplings(self.weights, self.bias, self.mask), self.bias

    def _cold(self) -> tuple[Tensor, Tensor]:
        """Weights and bias over the temperature."""
        weights, bias = self._numbers()
        return weights / self.temperature, bias / self.temperature

    def _pairs(self) -> Tensor:
        """Which pairs may have weights, without a diagonal, bool."""
        everything = torch.ones_like(self.weights, dtype=torch.bool)
        return (everything if self.mask is None else self.mask.clone()).fill_diagonal_(False)

    def _units(self, x: Values, missing: bool = False) -> Tensor:
        """All units, checked."""
        return checked_units("x", x, self.n_units, missing).to(self.device)
