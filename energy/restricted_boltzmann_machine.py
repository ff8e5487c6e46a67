"""The restricted Boltzmann machine: two layers, every unit joined to all of the other layer.

.. math:: E(v, h) = -(v \\cdot a + h \\cdot b + v^\\top W h) + s(v) + s(h), \\qquad
          p(v) \\propto \\sum_h e^{-E(v, h)}
"""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from energy.hopfield_network import HopfieldNetwork
from energy.rbm.chains import chains_of
from energy.rbm.completion import completed, without_gaps
from energy.rbm.hopfield import MachineNumbers, hopfield_numbers, machine_numbers
from energy.rbm.learning import MachineLearner
from energy.rbm.parted_chains import PartedChains, team_of
from energy.rbm.pseudo_likelihood import pseudo_log_likelihood
from energy.rbm.settings import LearningMethod, Settings
from energy.rbm.starting_point import fit_independent
from energy.rbm.two_layers import TwoLayers
from inference.inputs import Values, as_whole
from inference.learning.checkpoint import Checkpoint, fingerprint
from inference.learning.trainer import train
from inference.random import GeneratorLike, as_generator

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["RestrictedBoltzmannMachine"]


class RestrictedBoltzmannMachine(TwoLayers):
    """Two layers of units without connections inside a layer.

    .. math:: E(v, h) = -(v \\cdot a + h \\cdot b + v^\\top W h) + s(v) + s(h)

    Units 0 and 1 have no energy of their own; real ones have :math:`\\tfrac{\\lambda}{2} x^2`,
    so that in a field f they are normal with mean :math:`f / \\lambda` and variance
    :math:`1 / \\lambda`. Hidden real units have :math:`\\lambda = 1`; rectified ones are the same
    cut off below zero. A categorical variable is one of K states, x one unit per state.

    Arguments:
        n_visible: number of visible variables.
        n_hidden: number of hidden units.
        visible: their kind: "bernoulli" (0 and 1), "gaussian" (real, with precisions that are
            parameters) or "categorical" (0 to n_states - 1).
        hidden: that of the hidden ones: "bernoulli", "gaussian" or "rectified"; not both layers
            may be real.
        n_states: of categorical variables.
        generator: of the first weights, N(0, 0.01^2).

    Attributes:
        weights: W, (n_visible, n_hidden); of categorical variables (n_visible * n_states,
            n_hidden), the states of a variable in a row; so visible_bias and base_bias.
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
        >>> bool((machine.log_partition() - 5 * math.log(2)).abs() < 0.1)
        True
    """

    def pseudo_log_likelihood(self, x: Values) -> Tensor:
        """Sum of the log-probabilities of single visible variables given the others, nats.

        .. math:: \\sum_i \\log p(v_i \\mid v_{-i}) =
                  -\\sum_i \\log \\sum_k e^{F(v) - F(v^{(i \\to k)})}

        Every variable is set to each of its states once, none by chance.

        Arguments:
            x: visible units 0 and 1, or states.

        Shapes:
            x: (..., n_visible). result: (...).

        Raises:
            ValueError: real visible units, or values other than 0 and 1.

        Reference:
            Besag 1975, "Statistical analysis of non-lattice data".
        """
        layers = self.layers()
        rows = self._visible("x", x)
        if layers.visible.alphabet is not None and not bool(((rows == 0) | (rows == 1)).all()):
            raise ValueError("x must hold 0 and 1 only")
        found = pseudo_log_likelihood(rows.reshape(-1, rows.shape[-1]), layers)
        return found.reshape(rows.shape[:-1])

    def transform(self, x: Values) -> Tensor:
        """Features of rows: the means of the hidden units, (n, n_hidden)."""
        return self.hidden_probabilities(x)

    def reconstruct(self, v: Values) -> Tensor:
        """Visible means given the hidden means of v: how the machine sees it.

        Shapes:
            v: (..., n_visible). result: as that of ``visible_mean``.
        """
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
        momentum: float = 0.0,
        l2: float = 0.0,
        l1: float = 0.0,
        centered: bool = False,
        sparsity: float | None = None,
        sparsity_cost: float = 0.1,
        draw_data: bool = False,
        chain_dtype: torch.dtype | None = None,
        parts: int | None = None,
        warm: bool = False,
        validation: Values | None = None,
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
            epochs: passes over the rows; None for as many as make 10,000 steps.
            batch_size: rows per step.
            chains: of "pcd" and "pt".
            temperatures: of "pt".
            lr: rate of the first step.
            momentum: share of the last step that the next one repeats.
            l2: decay of the weights in proportion to them; 1e-3 lets hundreds of hidden units
                learn for long.
            l1: decay of the weights at a constant rate.
            centered: take means off units before their products are made.
            sparsity: the share of rows in which a hidden unit should be on; None leaves it free.
            sparsity_cost: how much that counts.
            draw_data: the rows are means, of which units 0 and 1 are drawn anew in every step.
            chain_dtype: ``torch.bfloat16`` makes the products of "pcd" chains in that type, which
                is faster and rounds their law a little; the rest stays as it is.
            parts: how many each batch, and the chains, are cut in, each with draws of its own,
                which the processes of ``inference.parallel.join`` share; all learn the same
                machine. None does not cut them.
            warm: keep the visible biases and precisions that are there.
            validation: rows that are not learned from: ``history`` then has how much higher their
                free energy is, ``free_energy_gap``; it grows when what is special to the rows
                is learned.
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
                checkpoint of another machine, other data or other settings; more parts than rows
                of a batch or chains, or fewer than processes.

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
        settings = Settings(
            method,
            k,
            epochs,
            batch_size,
            chains,
            temperatures,
            lr,
            momentum,
            l2,
            l1,
            centered,
            sparsity,
            sparsity_cost,
            draw_data,
            chain_dtype,
            parts,
        )
        rows = self._rows("data", data)
        if draw_data and self.config()["visible"] != "bernoulli":
            raise ValueError("draw_data is of visible units 0 and 1; these are of another kind")
        others = None if validation is None else self._rows("validation", validation)
        source = as_generator(generator, self.device)
        file = None
        if checkpoint is not None:
            about = {"machine": self.config(), "settings": settings.as_json(), "warm": warm}
            file = Checkpoint(checkpoint, {**about, "rows": fingerprint(rows)})
        layers = self.layers(detached=True)
        team = None if parts is None else team_of(settings, rows, list(self.parameters()), source)
        if not warm:
            fit_independent(layers, rows)
        if team is None:
            chains_there = chains_of(settings, layers, source)
        else:
            chains_there = PartedChains.of(settings, layers, source, team)
        learner = MachineLearner(layers, settings, chains_there, rows, others)
        learned, self.history = train(
            learner, rows, settings.schedule, source, checkpoint=file, progress=progress, team=team
        )
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                parameter.copy_(learned[name])
            units = self.layers(detached=True).visible
            self.base_bias.copy_(units.independent_bias(rows))
        return self

    def fit_transform(
        self,
        data: Values,
        y: object = None,
        *,
        method: LearningMethod = "pcd",
        epochs: int | None = None,
        lr: float = 0.1,
        l2: float = 0.0,
        generator: GeneratorLike = None,
        progress: bool | None = None,
    ) -> Tensor:
        """Learn from rows and give their features, as a step of a scikit-learn pipeline.

        A pipeline hands options down by the name of the step, as in ``rbm__epochs=100``. Copies
        that scikit-learn makes of a pipeline hold copies of the machine as it is.

        Arguments:
            data: rows of visible units; this and the rest as of ``fit``.
            y: is not looked at.
            method: how the chains go.
            epochs: passes over the rows.
            lr: rate of the first step.
            l2: weight decay.
            generator: None, a seed or a generator.
            progress: a bar; None shows it on a terminal.

        Shapes:
            data: (n, n_visible). result: (n, n_hidden).
        """
        self.fit(data, method, epochs=epochs, lr=lr, l2=l2, generator=generator, progress=progress)
        return self.transform(data)

    def _rows(self, name: str, x: Values) -> Tensor:
        """Rows of visible units."""
        rows = self._visible(name, x)
        if rows.ndim != 2 or not len(rows):
            raise ValueError(
                f"{name} must be (n, {self.n_visible}) rows, found {tuple(rows.shape)}"
            )
        return rows

    # Other forms ---------------------------------------------------------------------------------

    @classmethod
    def from_hopfield(cls, network: HopfieldNetwork, beta: float = 1.0) -> Self:
        """A machine whose visible units have the law of a network's spins, v = (1 + s) / 2.

        .. math:: \\sum_h e^{-E(v, h)} \\propto e^{-\\beta E(s)}

        Its hidden units are real, one for every direction in which the couplings pull: of Hebb's
        couplings of P patterns, P.

        Arguments:
            network: with symmetric weights; their diagonal does not count.
            beta: inverse temperature.

        Raises:
            ValueError: a network without couplings, or a temperature that is not positive.

        Reference:
            Barra, Bernacchia, Santucci & Contucci 2012, "On the equivalence of Hopfield networks
            and Boltzmann machines", section 3.

        Example:
            >>> network = HopfieldNetwork(4).store([1, 1, -1, -1])
            >>> machine = RestrictedBoltzmannMachine.from_hopfield(network)
            >>> machine.n_hidden
            1
        """
        if not 0 < beta < math.inf:
            raise ValueError(f"beta must be positive and finite, found {beta}")
        weights, bias = network.boltzmann_parameters()
        weights = weights / 4
        field = (bias + 2 * weights.sum(1)) / 2
        numbers = machine_numbers(beta * weights.detach(), beta * field.detach())
        if not numbers.weights.shape[1]:
            raise ValueError("network must have couplings, found none; store patterns first")
        n, k = numbers.weights.shape
        machine = cls(n, k, hidden="gaussian").to(numbers.weights)
        with torch.no_grad():
            machine.weights.copy_(numbers.weights)
            machine.visible_bias.copy_(numbers.visible_bias)
            machine.hidden_bias.copy_(numbers.hidden_bias)
        return machine

    def to_hopfield(self) -> HopfieldNetwork:
        """The network whose spins, at beta = 1, have the law of the visible units.

        Raises:
            ValueError: hidden units that are not gaussian, or visible ones that are not 0 and 1.
        """
        kinds = self.config()
        if (kinds["visible"], kinds["hidden"]) != ("bernoulli", "gaussian"):
            raise ValueError(
                "a Hopfield network is a machine of bernoulli visible and gaussian hidden units, "
                f"found {kinds['visible']} and {kinds['hidden']}"
            )
        parts = (self.weights, self.visible_bias, self.hidden_bias)
        couplings, field = hopfield_numbers(MachineNumbers(*[part.detach() for part in parts]))
        network = HopfieldNetwork(self.n_visible).to(couplings)
        with torch.no_grad():
            network.weights.copy_(couplings)
            network.bias.copy_(field)
        return network

    # Completion ----------------------------------------------------------------------------------

    def complete(self, v: Values, *, sweeps: int = 200, generator: GeneratorLike = None) -> Tensor:
        """Draw what is missing in rows given what is there.

        .. math:: v_M \\sim p(v_M \\mid v_O) \\quad\\text{in the long run}

        A chain per row, whose known units are held while the others are drawn.

        Arguments:
            v: visible variables; NaN, among whole numbers -1, is missing.
            sweeps: length of the chains.
            generator: None, a seed or a generator.

        Shapes:
            v: (n, n_visible). result: the same, nothing missing.

        Raises:
            TypeError: rows that are no numbers.
            ValueError: values that the units cannot take, or another number of them.

        Example:
            >>> machine = RestrictedBoltzmannMachine(3, 2, generator=0)
            >>> machine.complete([[1.0, float("nan"), 0.0]], generator=0)[0, [0, 2]].tolist()
            [1.0, 0.0]
        """
        known, missing = without_gaps(v)
        held = self._rows("v", known)
        missing = missing.repeat_interleave(self.n_states or 1, 1)
        source = as_generator(generator, self.device)
        sweeps = as_whole("sweeps", sweeps, least=1)
        law = self.tempered_law()
        found = completed(law, held, missing.to(self.device), sweeps, source)
        return law.layers.visible.decode(found)
