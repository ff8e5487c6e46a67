"""Generative adversarial network: samples that a discriminator cannot tell from data.

.. math:: \\min_G \\max_D\\; \\mathbb{E}_{x \\sim p}[\\log D(x)]
          + \\mathbb{E}_{z \\sim N(0, I)}\\bigl[\\log\\bigl(1 - D(G(z))\\bigr)\\bigr]
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn
from torch.func import functional_call

from generative.gan.adversarial import AdversarialModel, Round
from generative.gan.objectives import (
    Loss,
    check_loss,
    discriminator_loss,
    game_value,
    generator_loss,
)
from generative.gan.penalties import zero_centred_penalty
from generative.gan.unrolling import unrolled
from inference.inputs import Values, as_whole
from inference.random import GeneratorLike, as_generator

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["GenerativeAdversarialNetwork"]


class GenerativeAdversarialNetwork(AdversarialModel):
    r"""A generator that learns from a discriminator, and the reverse.

    .. math:: V(D, G) = \mathbb{E}_{x \sim p}[\log D(x)]
              + \mathbb{E}_{z}\bigl[\log\bigl(1 - D(G(z))\bigr)\bigr], \qquad
              D(x) = \frac{1}{1 + e^{-s(x)}}

    The law of the samples has no density: it is judged by samples. With the optimal D = p / (p +
    q) the value is 2 JS(p, q) - log 4. Networks work in units of the data (``standardize``).

    The defaults of ``fit`` hold on the plane: second moments without first ones, rates that fall
    to zero, averaged weights of the generator, and many cheap steps; ``r1=0.01`` guards the
    balance of the two.

    Arguments:
        generator: a module from z (batch, latent_dim) to rows (batch, \*event).
        discriminator: a module from rows to logits s, (batch,) or (batch, 1).
        loss: what the two descend. "minimax" is the game above, whose generator learns nothing
            while D is sure; "non-saturating", the default, ascends log D(G(z)) instead;
            "as-printed" ascends D(G(z)); "least-squares" and "hinge" are other games.
        pack: rows that the discriminator judges together, joined along the first axis of an event.
        latent_dim: latent numbers; None where the generator's first layer tells.
        r1: weight of half the mean squared slope of s at rows of data, in the networks' units.
        unrolled_steps: steps of gradient descent by which the discriminator answers before the
            generator's loss is taken.
        unrolled_lr: their length in units of the gradient.
        condition: None; K, for labels 0 to K - 1, which become one-hot rows; a module from
            conditions to features (batch, features), which learns with the generator. With one,
            both networks take features as their second argument.
        divergence_weight: of the mean divergence of a ``ConditioningAugmentation``, which is added
            to the generator's loss.
        standardize: whether the networks work in units of the data; None unless the generator ends
            in a layer that bounds its range, such as tanh, which must be that of the data then.

    Attributes:
        location, scale: mean row, and the unit, from the first data that are learned; 0 and 1
            until then, or if not ``standardize``.
        event_shape: of a row, None until the first data.

    Raises:
        TypeError: a network that is none.
        ValueError: an unknown loss, a number that makes no sense, a latent_dim that cannot be
            told.

    Reference:
        Goodfellow et al. 2014, "Generative adversarial nets", eq. 1 and algorithm 1; Mescheder,
        Geiger & Nowozin 2018, "Which training methods for GANs do actually converge?", eq. 9; Lin
        et al. 2018, "PacGAN"; Metz et al. 2017, "Unrolled generative adversarial networks".

    Example:
        >>> from generative.networks import mlp
        >>> networks = mlp([1, 8, 1], generator=0), mlp([1, 8, 1], "leaky_relu", generator=1)
        >>> model = GenerativeAdversarialNetwork(*networks, r1=0.01)
        >>> x = 5 + 2 * torch.randn(500, 1, generator=torch.Generator().manual_seed(0))
        >>> _ = model.fit(x, steps=300, generator=0, progress=False)
        >>> samples = model.sample(1000, generator=0)
        >>> 4 < samples.mean() < 6, 1 < samples.std() < 3
        (tensor(True), tensor(True))
    """

    role: ClassVar[str] = "discriminator"
    headline: ClassVar[str] = "value"
    discriminator: nn.Module

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        loss: Loss = "non-saturating",
        pack: int = 1,
        *,
        latent_dim: int | None = None,
        r1: float = 0.0,
        unrolled_steps: int = 0,
        unrolled_lr: float = 0.1,
        condition: int | nn.Module | None = None,
        divergence_weight: float = 1.0,
        standardize: bool | None = None,
    ) -> None:
        check_loss(loss)
        if not 0 <= r1 < math.inf:
            raise ValueError(f"r1 must be at least 0 and finite, found {r1}")
        if not 0 < unrolled_lr < math.inf:
            raise ValueError(f"unrolled_lr must be positive and finite, found {unrolled_lr}")
        steps = as_whole("unrolled_steps", unrolled_steps, least=0)
        shared = latent_dim, pack, condition, divergence_weight, standardize
        super().__init__(generator, discriminator, *shared)
        self.loss: Loss = loss
        self.r1 = float(r1)
        self.unrolled_steps, self.unrolled_lr = steps, float(unrolled_lr)

    def config(self) -> dict[str, Any]:
        """What, with the state and the networks, determines the model."""
        return {
            **super().config(),
            "loss": self.loss,
            "r1": self.r1,
            "unrolled_steps": self.unrolled_steps,
            "unrolled_lr": self.unrolled_lr,
        }

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        generator: nn.Module | None = None,
        discriminator: nn.Module | None = None,
        *,
        condition: nn.Module | None = None,
    ) -> Self:
        """Read a model from a file that `save` wrote; it is on the CPU.

        A file holds the parameters of the networks and not what they compute: the networks are
        made anew and handed in.

        Arguments:
            path: of the file.
            generator: a module like the one that was saved; it takes over the parameters.
            discriminator: the same of the discriminator.
            condition: the same of the condition, if it was a module.

        Raises:
            TypeError: a network is missing.
            FileNotFoundError: there is no such file.
            ValueError: the file is damaged, or no file of such networks.
        """
        networks = {"generator": generator, "discriminator": discriminator}
        return cls._read(path, networks, condition)

    def logits(
        self, x: Values, condition: Any = None, *, generator: GeneratorLike = None
    ) -> Tensor:
        """Log-odds s(x) that rows are data, (n / pack,), with a graph.

        Arguments:
            x: rows, (n, *event); every ``pack`` of them are judged together.
            condition: of the rows, if the model has one.
            generator: of the draws of a ``ConditioningAugmentation``.

        Raises:
            ValueError: NaN or infinity, another shape, a number of rows that ``pack`` does not
                divide, a condition missing or too much.
        """
        return self._judged(x, condition, as_generator(generator, self.device))

    def value(
        self,
        x: Values,
        n: int | None = None,
        *,
        condition: Any = None,
        generator: GeneratorLike = None,
    ) -> float:
        """Estimate of V(D, G), nats, of the networks as they are.

        .. math:: \\frac1n \\sum_i \\log D(x_i) + \\frac1m \\sum_j \\log(1 - D(G(z_j)))

        Where D cannot tell (D = 1/2) it is -log 4. V is a lower bound of 2 JS(p, q) - log 4.

        Arguments:
            x: rows of data, (m, *event).
            n: samples to be judged; None for as many as there are rows.
            condition: of the rows, if the model has one; samples are made with the same.
            generator: None, a seed or a generator.

        Raises:
            ValueError: as ``logits``; a number of samples with a condition.
        """
        return float(game_value(*self._judged_both(x, n, condition, generator)).double())

    def _judge_loss(
        self, game: Round, source: torch.Generator
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Loss of the discriminator, its slope at the data included."""
        if self.r1:
            # The slope is that of the data alone: one pass for both would go back through both.
            game = game._replace(real=game.real.detach().requires_grad_())
            real, fake = self._rated(game.real, game.told), self._rated(game.fake, game.told)
        else:
            real, fake = self._rated_both(game)
        loss = discriminator_loss(self.loss, real, fake)
        with torch.no_grad():
            figures = {"value": game_value(real, fake)}
            figures |= {"real_logit": real.mean(), "fake_logit": fake.mean()}
        if self.r1:
            loss = loss + 0.5 * self.r1 * zero_centred_penalty(real, game.real)
        return loss, figures

    def _generator_loss(self, game: Round) -> Tensor:
        """Loss of the generator, against the discriminator as it would answer."""
        if not self.unrolled_steps:
            return generator_loss(self.loss, self._rated(game.fake, game.told))
        rest = () if game.told is None else (game.told,)

        def rated(parameters: Mapping[str, Tensor], rows: Tensor) -> Tensor:
            return functional_call(self.judge, dict(parameters), (rows, *rest)).flatten()

        answered = unrolled(
            dict(self.judge.named_parameters()),
            lambda p: discriminator_loss(self.loss, rated(p, game.real), rated(p, game.fake)),
            self.unrolled_steps,
            self.unrolled_lr,
        )
        return generator_loss(self.loss, rated(answered, game.fake))
