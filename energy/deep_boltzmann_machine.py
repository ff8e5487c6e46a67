"""The deep Boltzmann machine: layers in a stack, each joined to the next, none directed.

.. math:: E(h_0, \\dots, h_L) = -\\sum_l h_l^\\top W_l h_{l+1} - \\sum_l b_l \\cdot h_l, \\qquad
          h_0 = v, \\quad p(v) \\propto \\sum_{h_1, \\dots, h_L} e^{-E}
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from energy.deep_boltzmann.layer_stack import LayerStack
from energy.deep_boltzmann.learning import JointLearner, Settings
from energy.rbm.completion import completed, without_gaps
from energy.rbm.units import BernoulliUnits
from energy.restricted_boltzmann_machine import RestrictedBoltzmannMachine
from inference.inputs import Values, as_whole
from inference.learning.checkpoint import Checkpoint, fingerprint
from inference.learning.schedule import Schedule
from inference.learning.trainer import train
from inference.random import GeneratorLike, as_generator
from inference.sampling.annealed_importance import LogPartition

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["DeepBoltzmannMachine"]

#: Steps of all layers together, where the first one has been learned before.
STEPS = 6_000

#: Share of the steps, the last ones, whose parameters are averaged.
AVERAGED = 0.5


class DeepBoltzmannMachine(LayerStack):
    """Layers of units 0 and 1; a unit is joined to all of the layers below and above its own.

    .. math:: E = -\\sum_l h_l^\\top W_l h_{l+1} - \\sum_l b_l \\cdot h_l, \\qquad h_0 = v

    Even layers meet odd ones only: given one of these two sides all units of the other are
    independent, so it is drawn at once, and summed out in closed form.

    Arguments:
        layer_sizes: numbers of units, bottom up, visible ones first; two layers or more. With two
            it is a restricted Boltzmann machine.
        generator: of the first weights, N(0, 0.01^2).

    Attributes:
        weights: W_l, a list of (n_l, n_{l+1}).
        biases: b_l, a list of (n_l,); zero at first.
        base_bias: biases of the independent visible units that annealing starts from,
            (n_visible,); zero until ``fit`` takes those of the data's means.

    Parameters are float32 and do not require gradients until ``requires_grad_()``; energies, free
    energies and bounds are differentiable by them.

    Raises:
        TypeError, ValueError: sizes that are no positive whole numbers, fewer than two.

    Reference:
        Salakhutdinov & Hinton 2009, "Deep Boltzmann machines", section 3.

    Example:
        >>> machine = DeepBoltzmannMachine([4, 3, 2], generator=0)
        >>> machine.transform([[1, 0, 1, 1]], layer=2).shape
        torch.Size([1, 2])
        >>> bool((machine.log_partition() - torch.tensor(2.0**9).log()).abs() < 0.1)
        True
    """

    def log_prob_bound(
        self,
        x: Values,
        *,
        log_partition: float | Tensor | LogPartition | None = None,
        importance: bool = False,
        n_samples: int = 100,
        iterations: int = 100,
        generator: GeneratorLike = None,
    ) -> Tensor:
        """Lower bounds of the log-probability of visible units.

        .. math:: \\log p(v) \\ge \\mathbb{E}_q[-E(v, h)] + H(q) - \\log Z, \\qquad
                  q(h) = \\prod_{l, j} q(h_{l, j})

        With ``importance`` it is importance-weighted: the odd hidden layers are drawn from q, the
        even ones summed out. It is tighter, and below log p(v) on average only. Gradients are
        those at q held fixed.

        Arguments:
            x: visible units.
            log_partition: log Z, or an estimate of it, nats; None sums it exactly.
            importance: the importance-weighted bound; else that in closed form.
            n_samples: of "importance", per row.
            iterations: rounds of the mean field at most; it stops where nothing moves.
            generator: of the samples; None, a seed or a generator.

        Shapes:
            x: (n, n_visible). result: (n,), float64, nats.

        Raises:
            TypeError, ValueError: values that the units cannot take, numbers below one, a machine
                that is too large for an exact log Z.

        Reference:
            Salakhutdinov & Hinton 2009, sections 2.2 and 3.2.

        Example:
            >>> machine = DeepBoltzmannMachine([4, 3, 2], generator=0)
            >>> gap = machine.log_prob([[1, 0, 1, 1]]) - machine.log_prob_bound([[1, 0, 1, 1]])
            >>> 0 <= gap.item() < 0.01
            True
        """
        iterations = as_whole("iterations", iterations, least=1)
        n_samples = as_whole("n_samples", n_samples, least=1)
        rows = self._rows("x", x).double()
        law = self._hidden_law(rows)
        with torch.no_grad():
            means = law.settled(iterations)
        if importance:
            source = as_generator(generator, self.device)
            hidden = law.importance_bounds(means, n_samples, source)
        else:
            hidden = law.bounds(means.even)
        return rows @ self.biases[0].double() + hidden - self._log_z(log_partition)

    # Layers --------------------------------------------------------------------------------------

    def hidden_means(self, v: Values, *, iterations: int = 100) -> list[Tensor]:
        """Mean-field means of all hidden layers given visible units, bottom up, (n, n_l) each.

        Arguments:
            v: visible units, (n, n_visible).
            iterations: rounds of the mean field at most.
        """
        rows = self._rows("v", v)
        law = self._hidden_law(rows)
        means = law.settled(as_whole("iterations", iterations, least=1))
        return self._sides.split(torch.cat([rows, means.even], 1), means.odd)[1:]

    def transform(self, x: Values, *, layer: int = 1) -> Tensor:
        """Features of rows: mean-field means of a hidden layer, (n, n_l).

        Arguments:
            x: visible units, (n, n_visible).
            layer: which one, from 1 up.

        Raises:
            ValueError: if there is no such hidden layer.
        """
        layer, top = as_whole("layer", layer, least=1), len(self.layer_sizes) - 1
        if layer > top:
            raise ValueError(f"layer must be at most {top}, found {layer}")
        return self.hidden_means(x)[layer - 1]

    def reconstruct(self, v: Values) -> Tensor:
        """Visible means given the mean-field means of v: how the machine sees it, as ``v``."""
        return torch.addmm(self.biases[0], self.transform(v), self.weights[0].T).sigmoid()

    def complete(self, v: Values, *, sweeps: int = 200, generator: GeneratorLike = None) -> Tensor:
        """Draw what is missing in rows given what is there.

        .. math:: v_M \\sim p(v_M \\mid v_O) \\quad\\text{in the long run}

        A chain per row, whose known units are held while all others are drawn.

        Arguments:
            v: visible units; NaN is missing.
            sweeps: length of the chains.
            generator: None, a seed or a generator.

        Shapes:
            v: (n, n_visible). result: the same, without NaN.

        Raises:
            TypeError, ValueError: values that the units cannot take, or another number of them.
        """
        known, missing = without_gaps(v)
        rows = self._rows("v", known)
        above = self._sides.n_even - self.n_visible
        held = torch.nn.functional.pad(rows, (0, above))
        free = torch.nn.functional.pad(missing.to(self.device), (0, above), value=True)
        source = as_generator(generator, self.device)
        sweeps = as_whole("sweeps", sweeps, least=1)
        return completed(self.tempered_law(), held, free, sweeps, source)[:, : self.n_visible]

    # Learning ------------------------------------------------------------------------------------

    def fit(
        self,
        data: Values,
        *,
        pretrain: bool = True,
        pretrain_epochs: int | None = None,
        epochs: int | None = None,
        mean_field_steps: int = 5,
        k: int = 1,
        batch_size: int = 50,
        chains: int = 100,
        lr: float = 0.1,
        l2: float = 0.0,
        checkpoint: str | os.PathLike[str] | None = None,
        generator: GeneratorLike = None,
        progress: bool | None = None,
    ) -> Self:
        """Learn from rows: the first layer by itself, and then all together.

        The two lowest layers are first learned as a restricted Boltzmann machine; the others go
        on from where they are. Then all parameters take steps together: a mean field stands for
        the hidden units of the rows, chains for the machine. The rate falls to zero, and the
        parameters are the mean over the last half of the joint steps.

        Arguments:
            data: rows of visible units.
            pretrain: learn the first layer by itself before; without, the visible biases start at
                what the rows' means say.
            pretrain_epochs: passes over the rows for it; None as in
                ``RestrictedBoltzmannMachine.fit``.
            epochs: passes over the rows with all layers; None for as many as make 6,000 steps.
            mean_field_steps: rounds of the mean field in each of them.
            k: sweeps of the chains per step.
            batch_size: rows per step.
            chains: number of chains, which go on from step to step.
            lr: rate of the first step, for the first layer and for all of them.
            l2: weight decay, on the weights.
            checkpoint: a file that is written after every joint epoch, and one beside it, whose
                name goes on with ".first", for the first layer. If they are there, learning goes
                on from them, bit for bit as if it had never stopped.
            generator: None, a seed or a generator.
            progress: a bar; None shows it on a terminal.

        Shapes:
            data: (n, n_visible).

        Returns:
            The machine; ``history`` has, for every joint epoch, how far the chains are from the
            rows in their means.

        Raises:
            TypeError: numbers of the wrong kind.
            ValueError: data that the units cannot take, no rows, settings that make no sense, a
                checkpoint of another machine, other data or other settings.

        Reference:
            Salakhutdinov & Hinton 2009, sections 2.1, 2.2 and 3.1; here the first layer alone is
            learned before, undoubled, as the layers above start near zero.

        Example:
            >>> rows = torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]).repeat(50, 1)
            >>> machine = DeepBoltzmannMachine([3, 2, 2], generator=0)
            >>> options = {"pretrain_epochs": 300, "epochs": 300, "lr": 0.5}
            >>> _ = machine.fit(rows, **options, generator=0, progress=False)
            >>> bool(machine.score(rows) > -0.9)
            True
        """
        settings = Settings(mean_field_steps, k, chains, l2)
        schedule = Schedule(epochs, batch_size, lr, steps=STEPS, averaged=AVERAGED)
        Schedule(pretrain_epochs)
        rows = self._rows("data", data).detach()
        if not len(rows):
            raise ValueError(f"data must be (n, {self.n_visible}) rows, found none")
        source = as_generator(generator, self.device)
        file = None
        if checkpoint is not None:
            how = {**asdict(settings), **asdict(schedule), "pretrain": pretrain}
            how["pretrain_epochs"] = pretrain_epochs
            about = {"machine": self.config(), "settings": how, "rows": fingerprint(rows)}
            file = Checkpoint(checkpoint, about)
        means = BernoulliUnits().independent_bias(rows)
        below = self._lowest(means)
        if pretrain and (file is None or file.read() is None):
            below.fit(
                rows,
                k=k,
                epochs=pretrain_epochs,
                batch_size=batch_size,
                chains=chains,
                lr=lr,
                l2=l2,
                checkpoint=None if checkpoint is None else f"{os.fspath(checkpoint)}.first",
                generator=source,
                progress=progress,
            )
        learner = self._learner(below, rows, settings, source)
        found, self.history = train(
            learner, rows, schedule, source, checkpoint=file, progress=progress
        )
        self._take(found, means)
        return self

    @torch.no_grad()
    def _lowest(self, visible_bias: Tensor) -> RestrictedBoltzmannMachine:
        """The two lowest layers as a machine of their own, with these visible biases."""
        found = RestrictedBoltzmannMachine(self.n_visible, self.layer_sizes[1]).to(visible_bias)
        found.weights.copy_(self.weights[0])
        found.visible_bias.copy_(visible_bias)
        found.hidden_bias.copy_(self.biases[1])
        return found

    def _learner(
        self,
        below: RestrictedBoltzmannMachine,
        rows: Tensor,
        settings: Settings,
        generator: torch.Generator,
    ) -> JointLearner:
        """What learns all layers, of which the two lowest are as a machine of their own has them.

        The chains start at independent units of the odd side.
        """
        first = below.layers(detached=True)
        own = [w.detach() for w in self.weights], [b.detach() for b in self.biases]
        weights = self._sides.joined_weights([first.weights, *own[0][1:]])
        even, odd = self._sides.join([first.visible_bias, first.hidden_bias, *own[1][2:]])
        return JointLearner(
            {"weights": weights, "even_bias": even, "odd_bias": odd},
            self._sides.connected(self.device),
            rows.mean(0),
            BernoulliUnits().sample(odd.expand(settings.chains, -1), generator),
            settings,
        )

    @torch.no_grad()
    def _take(self, found: Mapping[str, Tensor], means: Tensor) -> None:
        """Set the parameters to what was learned, and the base to the rows' means."""
        weights = self._sides.split_weights(found["weights"])
        biases = self._sides.split(found["even_bias"], found["odd_bias"])
        for own, part in zip([*self.weights, *self.biases], [*weights, *biases], strict=True):
            own.copy_(part)
        self.base_bias.copy_(means)
