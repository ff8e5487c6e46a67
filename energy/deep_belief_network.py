"""The deep belief network: directed layers below, a restricted Boltzmann machine on top.

.. math:: p(v, h_1, \\dots, h_L) = p_{\\text{RBM}}(h_{L-1}, h_L)
          \\prod_{l=1}^{L-1} p(h_{l-1} \\mid h_l), \\qquad h_0 = v
"""

from __future__ import annotations

import os
from copy import deepcopy
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from energy.deep_belief.associative_memory import AssociativeMemory
from energy.deep_belief.classifier import classifier
from energy.deep_belief.label_units import as_labels, one_hot
from energy.deep_belief.layered_network import LayeredNetwork
from energy.deep_belief.lesson import Lesson, UpDownMethod
from energy.deep_belief.stacking import Start, independent_biases, start_at_random, start_turned
from energy.rbm.settings import LearningMethod, Settings
from inference.inputs import Values, as_whole, check_choice
from inference.random import GeneratorLike, as_generator

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["DeepBeliefNetwork"]


class DeepBeliefNetwork(LayeredNetwork):
    """Layers of units 0 and 1, of which the top two are joined both ways and the others downwards.

    .. math:: p(v, h_1, \\dots, h_L) = p_{\\text{RBM}}(h_{L-1}, h_L)
              \\prod_{l=1}^{L-1} \\prod_i p(h_{l-1, i} \\mid h_l)

    Going up, layers are guessed one from the other: q(h_l | h_{l-1}), with weights of their own.

    Arguments:
        layer_sizes: numbers of units, (n_visible, n_1, ..., n_L).
        n_classes: of labels, which then are units beside the last layer but one; 0 for none.
        generator: of the first weights, N(0, 0.01^2).

    Attributes:
        layers: ``DirectedLayer`` modules, from below: ``weights`` (n_below, n_above), ``bias`` of
            the units below, ``recognition_weights`` and ``recognition_bias``.
        top: the ``RestrictedBoltzmannMachine`` of the top two layers; its last ``n_classes``
            visible units are the label's. By itself it does not know that one of these is on.

    Raises:
        TypeError, ValueError: fewer than two layers, sizes that are no positive whole numbers.

    Reference:
        Hinton, Osindero & Teh 2006, "A fast learning algorithm for deep belief nets".

    Example:
        >>> network = DeepBeliefNetwork([4, 3, 2], generator=0)
        >>> network.sample(5, sweeps=10, generator=0).shape
        torch.Size([5, 4])
        >>> v = torch.eye(4)
        >>> gap = network.log_prob(v) - network.log_prob_bound(v, generator=0)
        >>> bool((gap.abs() < 0.1).all())  # small weights: guesses are as good as any
        True
    """

    # Learning ------------------------------------------------------------------------------------

    @torch.no_grad()
    def fit(
        self,
        data: Values,
        labels: Values | None = None,
        *,
        method: LearningMethod = "pcd",
        start: Start = "transposed",
        k: int = 1,
        epochs: int | None = None,
        batch_size: int = 50,
        chains: int = 100,
        lr: float = 0.1,
        lr_above: float = 0.05,
        l2: float = 0.0,
        checkpoint: str | os.PathLike[str] | None = None,
        generator: GeneratorLike = None,
        progress: bool | None = None,
    ) -> Self:
        """Learn layer by layer: each two layers as a machine, of what lies below as it is guessed.

        Hidden units below are drawn anew in every step. Machines above the first start at the one
        below, turned around: then the bound starts where the likelihood of that one has ended,
        and what is gained above is gained in the bound.

        Arguments:
            data: rows of visible units.
            labels: of the rows, if the network has any.
            method: "pcd", "cd" or "pt", as of ``RestrictedBoltzmannMachine.fit``; so the rest.
            start: machines above the first start at the one below ("transposed"), or at small
                weights ("random").
            k: sweeps of the chains per step.
            epochs: passes over the rows per layer; None for as many as make 10,000 steps.
            batch_size: rows per step.
            chains: of "pcd" and "pt".
            lr: rate of the first step of the first layer.
            lr_above: of those above.
            l2: weight decay.
            checkpoint: a folder with a file per layer, from which learning goes on.
            generator: None, a seed or a generator.
            progress: bars; None shows them on a terminal.

        Shapes:
            data: (n, n_visible). labels: (n,), 0 to n_classes - 1.

        Returns:
            The network; ``history`` names the ``phase``.

        Raises:
            TypeError: numbers of the wrong kind.
            ValueError: data that the units cannot take, no rows, labels that are missing or not
                wanted, settings that make no sense, a checkpoint of something else.

        Reference:
            Hinton, Osindero & Teh 2006, section 4; Salakhutdinov & Murray 2008, section 5.

        Example:
            >>> rows = torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]).repeat(50, 1)
            >>> network = DeepBeliefNetwork([3, 2, 3], generator=0)
            >>> _ = network.fit(rows, epochs=600, lr=0.5, generator=0, progress=False)
            >>> network.score(rows, generator=0) > -1.0
            True
        """
        check_choice("start", start, Start)
        rates = [lr] + [lr_above] * len(self.layers)
        stages = [
            Settings(method, k, epochs, batch_size, chains, lr=rate, l2=l2) for rate in rates
        ]
        lesson = self._lesson(data, labels, generator, checkpoint, progress, start)
        means, below, history = lesson.rows, None, []
        # Copies learn: what stops on the way leaves the network as it was.
        directed = deepcopy(self._directed())
        for index, settings in enumerate(stages):
            machine, on_top = self._machine(index), index == len(self.layers)
            label = lesson.label if on_top else lesson.label[:, :0]
            biases = independent_biases(machine, means, label)
            machine.visible_bias.copy_(biases)
            if below is not None and start == "transposed":
                start_turned(machine, *below, lesson.generator)
            elif below is not None:
                start_at_random(machine, lesson.generator)
            rows = torch.cat([means, label], 1)
            settled = directed[:index]
            history += lesson.machine(machine, settled, settings, rows, labelled=on_top)
            if on_top:
                self._set_top(machine.weights, machine.visible_bias, machine.hidden_bias)
                self.top.base_bias.copy_(biases)
            else:
                layer = directed[index]
                layer.tie(machine.weights, machine.visible_bias, machine.hidden_bias)
                below, means = (machine, means), layer.up(means)
        for own, layer in zip(self._directed(), directed, strict=True):
            own.load_state_dict(layer.state_dict())
        self.history = history
        return self

    @torch.no_grad()
    def fine_tune(
        self,
        data: Values,
        labels: Values | None = None,
        *,
        method: UpDownMethod = "pcd",
        k: int = 1,
        epochs: int | None = None,
        batch_size: int = 50,
        chains: int = 100,
        lr: float = 0.01,
        checkpoint: str | os.PathLike[str] | None = None,
        generator: GeneratorLike = None,
        progress: bool | None = None,
    ) -> Self:
        """Learn all layers together from where they are, by the up-down algorithm (wake-sleep).

        Awake, guesses of the hidden layers teach the directed weights to make the layer below.
        Asleep, what chains on top dream teaches recognition to make the layer above. The weights
        of the two ways then differ.

        Arguments:
            data: rows of visible units.
            labels: of the rows, if the network has any.
            method: chains on top that go on ("pcd"), which first find to the law of the machine
                there, or start at the data ("cd").
            k: sweeps of the chains per step.
            epochs: passes over the rows; None for as many as make 10,000 steps.
            batch_size: rows per step.
            chains: of "pcd".
            lr: rate of the first step; it falls to zero.
            checkpoint: a folder with a file from which learning goes on.
            generator: None, a seed or a generator.
            progress: a bar; None shows it on a terminal.

        Returns:
            The network; ``history`` goes on.

        Raises:
            TypeError, ValueError: as ``fit``.

        Reference:
            Hinton, Osindero & Teh 2006, section 5 and appendix B.
        """
        check_choice("method", method, UpDownMethod)
        settings = Settings(method, k, epochs, batch_size, chains, lr=lr)
        lesson = self._lesson(data, labels, generator, checkpoint, progress)
        directed = self._directed()
        memory = AssociativeMemory.of(self.top, self._n_classes, detached=True)
        means = torch.cat([self._up(lesson.rows)[-1], lesson.label], 1)
        found, history = lesson.up_down(directed, memory, settings, means)
        self.history = [*self.history, *history]
        for index, layer in enumerate(directed):
            for name, parameter in layer.named_parameters():
                parameter.copy_(found[f"layers.{index}.{name}"])
        self._set_top(found["top.weights"], found["top.visible_bias"], found["top.hidden_bias"])
        return self

    # Labels --------------------------------------------------------------------------------------

    def predict_proba(self, x: Values) -> Tensor:
        """Probabilities of labels, (n, n_classes), by the free energies of the machine on top.

        .. math:: p(y \\mid v) \\approx p_{\\text{RBM}}\\bigl(y \\mid
                  \\mathbb{E}_q h_{L-1}\\bigr)

        Raises:
            ValueError: a network without labels, or rows that the units cannot take.
        """
        if not self._n_classes:
            raise ValueError("the network has no labels; build it with n_classes")
        return self.memory().label_probabilities(self._up(self._rows("x", x))[-1])

    def predict(self, x: Values) -> Tensor:
        """The likeliest labels, (n,) int64."""
        return self.predict_proba(x).argmax(-1)

    def to_classifier(self, n_classes: int) -> nn.Sequential:
        """The way up as a network with a layer of logits on top, to be trained with labels.

        Linear maps and sigmoids with copies of the recognition weights, then a linear map that is
        zero at first. All parameters want gradients. Labels of this network are left out.

        Arguments:
            n_classes: number of logits.

        Raises:
            TypeError, ValueError: no whole number, or fewer than one.

        Example:
            >>> network = DeepBeliefNetwork([4, 3, 2], generator=0)
            >>> network.to_classifier(10)(torch.ones(5, 4)).shape
            torch.Size([5, 10])
        """
        n_classes, n = as_whole("n_classes", n_classes, least=1), self.layer_sizes[-2]
        maps = [(x.recognition_weights, x.recognition_bias) for x in self._directed()]
        maps += [(self.top.weights[:n], self.top.hidden_bias)]
        return classifier(maps, n_classes)

    # Samples -------------------------------------------------------------------------------------

    @torch.no_grad()
    def sample(
        self,
        n: int,
        *,
        label: Values | None = None,
        sweeps: int = 1000,
        generator: GeneratorLike = None,
    ) -> Tensor:
        """Draws from the network: chains of the machine on top, and then once down.

        The chains are annealed first, as those of ``EnergyModel.sample``.

        Arguments:
            n: number of draws.
            label: what they are draws of, one for all or one each; None is of anything.
            sweeps: length of the chains.
            generator: None, a seed or a generator.

        Shapes:
            label: () or (n,). result: (n, n_visible).

        Raises:
            TypeError, ValueError: labels of a network without, or such as it does not have.
        """
        source = as_generator(generator, self.device)
        below = self._dreamt(n, label, sweeps, source)
        for layer in reversed(self._directed()):
            below = layer.draw_down(below, source)
        return below

    @torch.no_grad()
    def layer_samples(
        self,
        n: int,
        *,
        label: Values | None = None,
        sweeps: int = 1000,
        generator: GeneratorLike = None,
    ) -> list[Tensor]:
        """What the layers of drawn networks look like: means that each makes further down.

        Arguments:
            n: number of draws, arguments as those of ``sample``.
            label: what they are draws of.
            sweeps: length of the chains.
            generator: None, a seed or a generator.

        Returns:
            Visible means, (n, n_visible), by units of h_1, ..., h_L of the same draws.
        """
        source = as_generator(generator, self.device)
        memory, directed = self.memory(), self._directed()
        above = self._dreamt(n, label, sweeps, source)
        codes = None if label is None else as_labels(label, self._n_classes, n)
        hidden = memory.draw_hidden(above, codes, source)
        shown = [self._down(memory.below(hidden))]
        for index in reversed(range(len(directed))):
            shown.append(self._down(directed[index].down(above), index))
            above = directed[index].draw_down(above, source)
        return shown[::-1]

    def _dreamt(
        self, n: int, label: Values | None, sweeps: int, source: torch.Generator
    ) -> Tensor:
        """Draws of the last layer but one, labels left out."""
        n, sweeps = as_whole("n", n, least=1), as_whole("sweeps", sweeps, least=1)
        labels = None if label is None else as_labels(label, self._n_classes, n).to(self.device)
        memory = AssociativeMemory.of(self.top, self._n_classes, detached=True)
        return memory.draw(n, sweeps, labels, source)[:, : memory.n_below]

    def _lesson(
        self,
        data: Values,
        labels: Values | None,
        generator: GeneratorLike,
        checkpoint: str | os.PathLike[str] | None,
        progress: bool | None,
        start: Start | None = None,
    ) -> Lesson:
        """What is learned from, checked."""
        rows = self._rows("data", data)
        if not len(rows):
            raise ValueError("data must have a row at least, found none")
        if labels is None and self._n_classes:
            raise ValueError(f"labels must be given, the network has {self._n_classes} classes")
        label = rows[:, :0]
        if labels is not None:
            codes = as_labels(labels, self._n_classes, len(rows)).to(self.device)
            label = one_hot(codes, self._n_classes, rows)
        source = as_generator(generator, self.device)
        return Lesson(rows, label, source, checkpoint, progress, start)
