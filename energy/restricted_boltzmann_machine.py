"""The restricted Boltzmann machine: two layers, every unit joined to all of the other layer.

.. math:: E(v, h) = -(v \\cdot a + h \\cdot b + v^\\top W h) + s(v) + s(h), \\qquad
          p(v) \\propto \\sum_h e^{-E(v, h)}
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from energy.energy_model import EnergyModel
from energy.rbm.checkpoint import Checkpoint
from energy.rbm.completion import completed
from energy.rbm.exact import exact_log_partition
from energy.rbm.factors import layers_as_factors
from energy.rbm.law import LayerLaw
from energy.rbm.layers import Layers
from energy.rbm.learning import LearningMethod, Numbers, Settings, learn, mean_bias
from energy.rbm.pseudo_likelihood import pseudo_log_likelihood
from energy.rbm.units import BernoulliUnits, GaussianUnits, UnitKind, Units, checked_kinds
from inference.exact.graph import FactorGraph
from inference.inputs import Values, as_tensors, as_whole
from inference.random import GeneratorLike, as_generator

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["RestrictedBoltzmannMachine"]


class RestrictedBoltzmannMachine(EnergyModel):
    """Two layers of units without connections inside a layer.

    .. math:: E(v, h) = -(v \\cdot a + h \\cdot b + v^\\top W h) + s(v) + s(h)

    Units 0 and 1 have no energy of their own; real ones have :math:`\\tfrac{\\lambda}{2} x^2`,
    so that in a field f they are normal with mean :math:`f / \\lambda` and variance
    :math:`1 / \\lambda`. Hidden real units have :math:`\\lambda = 1`.

    Arguments:
        n_visible: number of visible units.
        n_hidden: number of hidden units.
        visible: their kind: "bernoulli" (0 and 1) or "gaussian" (real, with precisions that are
            parameters).
        hidden: the kind of the hidden ones; not both layers may be real.
        generator: of the first weights, N(0, 0.01^2).

    Attributes:
        weights: W, (n_visible, n_hidden).
        visible_bias: a, (n_visible,); zero at first.
        hidden_bias: b, (n_hidden,); zero at first.
        log_precision: log lambda of real visible units, (n_visible,); zero at first.
        base_bias: biases of the independent units that annealing starts from, (n_visible,); zero
            until ``fit`` takes those of the data's means, which are nearer to what is learned.

    Parameters are float32 and do not require gradients until ``requires_grad_()``; free energies
    are differentiable by them.

    Raises:
        TypeError, ValueError: sizes that are no positive whole numbers, an unknown kind, real
            units on both sides.

    Reference:
        Smolensky 1986, "Information processing in dynamical systems"; Hinton 2012, "A practical
        guide to training restricted Boltzmann machines", section 8 (first weights).

    Example:
        >>> machine = RestrictedBoltzmannMachine(3, 2, generator=0)
        >>> machine.hidden_probabilities([[1, 0, 1]]).shape
        torch.Size([1, 2])
        >>> bool((machine.log_partition() - 5 * np.log(2)).abs() < 0.1)
        True
    """

    weights: nn.Parameter
    visible_bias: nn.Parameter
    hidden_bias: nn.Parameter
    log_precision: nn.Parameter | None
    base_bias: Tensor

    def __init__(
        self,
        n_visible: int,
        n_hidden: int,
        visible: UnitKind = "bernoulli",
        hidden: UnitKind = "bernoulli",
        *,
        generator: GeneratorLike = None,
    ) -> None:
        super().__init__()
        sizes = as_whole("n_visible", n_visible, least=1), as_whole("n_hidden", n_hidden, least=1)
        self._kinds = checked_kinds(visible, hidden)
        first = 0.01 * torch.randn(sizes, generator=as_generator(generator))
        self.weights = nn.Parameter(first, requires_grad=False)
        self.visible_bias = nn.Parameter(torch.zeros(sizes[0]), requires_grad=False)
        self.hidden_bias = nn.Parameter(torch.zeros(sizes[1]), requires_grad=False)
        self.register_buffer("base_bias", torch.zeros(sizes[0]))
        self.log_precision = None
        if visible == "gaussian":
            self.log_precision = nn.Parameter(torch.zeros(sizes[0]), requires_grad=False)

    def config(self) -> dict[str, Any]:
        """Sizes and kinds of the layers."""
        sizes = {"n_visible": self.n_visible, "n_hidden": self.n_hidden}
        return {**sizes, "visible": self._kinds[0], "hidden": self._kinds[1]}

    @property
    def n_visible(self) -> int:
        """Number of visible units."""
        return len(self.visible_bias)

    @property
    def n_hidden(self) -> int:
        """Number of hidden units."""
        return len(self.hidden_bias)

    def layers(self, *, detached: bool = False) -> Layers:
        """The layers as their numbers are now.

        Arguments:
            detached: without gradients.
        """
        weights, a, b, precision = self._numbers() if detached else self._parameters_now()
        visible = BernoulliUnits() if self.log_precision is None else GaussianUnits(precision)
        hidden: Units = BernoulliUnits()
        if self._kinds[1] == "gaussian":
            hidden = GaussianUnits(torch.zeros_like(b))
        return Layers(weights, a, b, visible, hidden)

    # Energies ------------------------------------------------------------------------------------

    def energy(self, x: Values, h: Values | None = None) -> Tensor:
        """Energy of both layers; of the visible one alone, its free energy.

        Arguments:
            x: visible units v.
            h: hidden units.

        Shapes:
            x: (..., n_visible). h: (..., n_hidden). result: (...).

        Raises:
            ValueError: values that the units cannot take, or another number of them.
        """
        if h is None:
            return self.free_energy(x)
        return self.layers().energy(self._visible("x", x), self._hidden("h", h))

    def free_energy(self, v: Values) -> Tensor:
        """Energy of visible units with the hidden ones summed out.

        .. math:: F(v) = -a \\cdot v + s(v) - \\sum_j A\\bigl(b_j + \\textstyle\\sum_i v_i w_{ij}
                  \\bigr)

        Arguments:
            v: visible units.

        Shapes:
            v: (..., n_visible). result: (...), nats.

        Reference:
            Hinton 2012, eq. 24.
        """
        return self.layers().free_energy(self._visible("v", v))

    def log_weight(self, x: Values) -> Tensor:
        """Log of the unnormalised probability of visible units, (...), nats."""
        return -self.free_energy(x)

    def exact_log_partition(self) -> Tensor:
        """Log Z by summing over the layer that has fewer states, (), float64, nats.

        Raises:
            ValueError: if both layers have more than 2^25.
        """
        return exact_log_partition(self.layers())

    def log_prob(self, x: Values) -> Tensor:
        """Log-probability of visible units, (...), nats, float64; sums the smaller layer exactly.

        Raises:
            ValueError: if both layers are too large for that.
        """
        return self.log_weight(x).double() - self.exact_log_partition()

    def pseudo_log_likelihood(self, x: Values) -> Tensor:
        """Sum of the log-probabilities of single visible units given the others, (n,), nats.

        .. math:: \\sum_i \\log p(v_i \\mid v_{-i}) =
                  \\sum_i \\log \\sigma\\bigl(F(v^{(i)}) - F(v)\\bigr)

        v^(i) is v with unit i flipped; all are flipped, none by chance.

        Arguments:
            x: visible units 0 and 1.

        Shapes:
            x: (n, n_visible).

        Raises:
            ValueError: real visible units, or values other than 0 and 1.

        Reference:
            Besag 1975, "Statistical analysis of non-lattice data".
        """
        if self.log_precision is not None:
            raise ValueError("pseudo-likelihoods are of units 0 and 1; the visible ones are real")
        rows = self._visible("x", x).reshape(-1, self.n_visible)
        if not bool(((rows == 0) | (rows == 1)).all()):
            raise ValueError("x must hold 0 and 1 only")
        return pseudo_log_likelihood(rows, self.layers())

    # Layers --------------------------------------------------------------------------------------

    def hidden_probabilities(self, v: Values) -> Tensor:
        """Means of hidden units given visible ones: probabilities of ones.

        Shapes:
            v: (..., n_visible). result: (..., n_hidden).
        """
        return self.layers().hidden_mean(self._visible("v", v))

    def visible_mean(self, h: Values) -> Tensor:
        """Means of visible units given hidden ones.

        Shapes:
            h: (..., n_hidden). result: (..., n_visible).
        """
        return self.layers().visible_mean(self._hidden("h", h))

    def transform(self, x: Values) -> Tensor:
        """Features of rows: the means of the hidden units, (n, n_hidden)."""
        return self.hidden_probabilities(x)

    def reconstruct(self, v: Values) -> Tensor:
        """Visible means given the hidden means of v: how the machine sees it, (..., n_visible)."""
        return self.visible_mean(self.hidden_probabilities(v))

    # Learning ------------------------------------------------------------------------------------

    def fit(
        self,
        data: Values,
        method: LearningMethod = "pcd",
        *,
        k: int = 1,
        epochs: int | None = None,
        batch_size: int = 50,
        chains: int = 100,
        temperatures: int = 8,
        lr: float = 0.1,
        l2: float = 0.0,
        checkpoint: str | os.PathLike[str] | None = None,
        generator: GeneratorLike = None,
        progress: bool | None = None,
    ) -> Self:
        """Learn from rows by stochastic steps up the likelihood.

        Biases of the visible units start at what the rows' means say; the weights go on from
        where they are. The rate falls to zero, and the parameters are the mean over the last half
        of all steps.

        Arguments:
            data: rows of visible units.
            method: "pcd", chains that go on from step to step; "cd", chains that start at the
                data; "pt", chains that go on, each with replicas at several temperatures, which
                cross between modes.
            k: sweeps of the chains per step.
            epochs: passes over the rows; None for as many as make 12,000 steps.
            batch_size: rows per step.
            chains: of "pcd" and "pt".
            temperatures: of "pt".
            lr: rate of the first step.
            l2: weight decay, on the weights.
            checkpoint: a file that is written after every epoch. If it is there, learning goes
                on from it, bit for bit as if it had never stopped: parameters, chains, averages
                and generator are those of the file.
            generator: None, a seed or a generator.
            progress: a bar; None shows it on a terminal.

        Shapes:
            data: (n, n_visible).

        Returns:
            The machine; ``history`` has how far the chains are from the rows in their means.

        Raises:
            TypeError: numbers of the wrong kind.
            ValueError: data that the units cannot take, no rows, settings that make no sense, a
                checkpoint of another machine, other data or other settings.

        Reference:
            Hinton 2002, "Training products of experts by minimizing contrastive divergence";
            Tieleman 2008, "Training restricted Boltzmann machines using approximations to the
            likelihood gradient"; Desjardins et al. 2010, "Tempered Markov chain Monte Carlo for
            training of restricted Boltzmann machines".

        Example:
            >>> rows = torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]).repeat(50, 1)
            >>> machine = RestrictedBoltzmannMachine(3, 2, generator=0)
            >>> _ = machine.fit(rows, epochs=600, lr=0.5, generator=0, progress=False)
            >>> bool(machine.score(rows) > -0.9)
            True
        """
        settings = Settings(method, k, epochs, batch_size, chains, temperatures, lr, l2)
        rows = self._visible("data", data)
        if rows.ndim != 2 or not len(rows):
            raise ValueError(f"data must be (n, {self.n_visible}) rows, found {tuple(rows.shape)}")
        source = as_generator(generator, self.device)
        file = None
        if checkpoint is not None:
            file = Checkpoint(checkpoint, rows, settings, self.config())
        learned, self.history = learn(
            self._numbers(),
            rows,
            settings,
            self._kinds,
            source,
            state=None if file is None else file.read(self.device),
            keep=None if file is None else file.write,
            progress=progress,
        )
        with torch.no_grad():
            self.weights.copy_(learned.weights)
            self.visible_bias.copy_(learned.visible_bias)
            self.hidden_bias.copy_(learned.hidden_bias)
            if self.log_precision is not None:
                self.log_precision.copy_(learned.log_precision)
            means = mean_bias(rows, self.layers(detached=True).visible)
            self.base_bias.copy_(means)
        return self

    def _numbers(self) -> Numbers:
        """Copies of the parameters."""
        return Numbers(*[part.detach().clone() for part in self._parameters_now()])

    def _parameters_now(self) -> Numbers:
        """The parameters themselves."""
        precision = self.visible_bias[:0] if self.log_precision is None else self.log_precision
        return Numbers(self.weights, self.visible_bias, self.hidden_bias, precision)

    # Laws and samples ----------------------------------------------------------------------------

    def complete(self, v: Values, *, sweeps: int = 200, generator: GeneratorLike = None) -> Tensor:
        """Draw what is missing in rows given what is there.

        .. math:: v_M \\sim p(v_M \\mid v_O) \\quad\\text{in the long run}

        A chain per row, whose known units are held while the others are drawn.

        Arguments:
            v: visible units; NaN is missing.
            sweeps: length of the chains.
            generator: None, a seed or a generator.

        Shapes:
            v: (n, n_visible). result: the same, without NaN.

        Raises:
            TypeError: rows that are no numbers.
            ValueError: values that the units cannot take, or another number of them.

        Example:
            >>> machine = RestrictedBoltzmannMachine(3, 2, generator=0)
            >>> machine.complete([[1.0, float("nan"), 0.0]], generator=0)[0, [0, 2]].tolist()
            [1.0, 0.0]
        """
        given = v.detach() if isinstance(v, Tensor) else torch.from_numpy(np.array(v))
        missing = given.isnan() if given.is_floating_point() else torch.zeros_like(given).bool()
        held = self._visible("v", given.masked_fill(missing, 0))
        if held.ndim != 2:
            raise ValueError(f"v must be (n, {self.n_visible}) rows, found {tuple(held.shape)}")
        source = as_generator(generator, self.device)
        sweeps = as_whole("sweeps", sweeps, least=1)
        return completed(self.tempered_law(), held, missing.to(self.device), sweeps, source)

    def tempered_law(self, *, base: Tensor | None = None) -> LayerLaw:
        """The path from independent visible units to the model's own law.

        Arguments:
            base: biases of the independent units, (n_visible,); ``base_bias`` by default.
        """
        start = self.base_bias if base is None else base
        return LayerLaw(self.layers(detached=True), start.detach().to(self.weights.data))

    def to_factor_graph(self) -> FactorGraph:
        """The same law over variables "v0", "v1", ... and "h0", "h1", ..., for small machines.

        Raises:
            ValueError: real units.
        """
        return layers_as_factors(self.layers())

    def _decoded(self, codes: Tensor) -> Tensor:
        return codes[:, : self.n_visible].to(self.weights)

    def _visible(self, name: str, x: Values) -> Tensor:
        """Visible units, checked."""
        return self._layer(name, x, self.n_visible, self.layers().visible)

    def _hidden(self, name: str, x: Values) -> Tensor:
        """Hidden units, checked."""
        return self._layer(name, x, self.n_hidden, self.layers().hidden)

    def _layer(self, name: str, x: Values, size: int, units: Units) -> Tensor:
        """Units of a layer in the type of the weights."""
        (values,) = as_tensors(**{name: x})
        if values.ndim == 0 or values.shape[-1] != size:
            raise ValueError(
                f"{name} must have {size} units on its last axis, found {tuple(values.shape)}"
            )
        units.check(name, values)
        return values.to(self.weights)
