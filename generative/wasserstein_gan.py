"""Wasserstein GAN: samples that a critic of bounded slope finds as near to the data as can be.

.. math:: \\min_G \\max_{\\|f\\|_L \\le 1}\\; \\mathbb{E}_{x \\sim p}[f(x)]
          - \\mathbb{E}_{z \\sim N(0, I)}[f(G(z))]
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from generative.gan.adversarial import AdversarialModel, Round
from generative.gan.constraints import Constraint, ConstraintName
from inference.inputs import Values, as_whole
from inference.learning.optimization import Optimization
from inference.random import GeneratorLike, as_generator

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["WassersteinGAN"]


class WassersteinGAN(AdversarialModel):
    r"""A generator that goes down the earth mover's distance, as a critic estimates it.

    .. math:: W(p, q) = \max_{\|f\|_L \le 1} \mathbb{E}_p[f] - \mathbb{E}_q[f]

    The distance falls as samples come nearer even where p and q do not overlap, so there is a
    slope to follow where a discriminator is sure. Networks work in units of the data
    (``standardize``); ratings and the gap are in those of the rows.

    Arguments:
        generator: a module from z (batch, latent_dim) to rows (batch, \*event).
        critic: a module from rows to ratings f, (batch,) or (batch, 1). No batch normalisation
            with "gradient-penalty".
        constraint: "clip" keeps every weight within [-clip, clip]: the gap has an arbitrary unit
            then; "gradient-penalty" charges slopes above one between data and samples; "spectral"
            divides the weights of every linear and convolutional layer by their largest singular
            value (in the critic that is handed in).
        latent_dim: latent numbers; None where the generator's first layer tells.
        pack: rows that the critic judges together, joined along the first axis of an event.
        clip: k.
        penalty_weight: lambda of the penalty; 10 as published, 0.1 for laws of the plane.
        one_sided: whether slopes below one are free; False is the penalty as published.
        critic_steps: of the critic for one of the generator.
        condition: None; K, for labels 0 to K - 1, which become one-hot rows; a module from
            conditions to features (batch, features), which learns with the generator. With one,
            both networks take features as their second argument.
        divergence_weight: of the mean divergence of a ``ConditioningAugmentation``, which is added
            to the generator's loss.
        standardize: whether the networks work in units of the data; None unless the generator ends
            in a layer that bounds its range, such as tanh, which must be that of the data then.

    Attributes:
        constraint: the options of it.
        location: mean row of the first data that are learned; 0 until then, or if not
            ``standardize``.
        scale: the unit, told in the same way; else 1.
        event_shape: of a row, None until the first data.

    Raises:
        TypeError: a network that is none.
        ValueError: an unknown constraint, a number that makes no sense, a latent_dim that cannot
            be told.

    Reference:
        Arjovsky, Chintala & Bottou 2017, "Wasserstein generative adversarial networks", algorithm
        1; Gulrajani et al. 2017, "Improved training of Wasserstein GANs", algorithm 1; Petzka,
        Fischer & Lukovnikov 2018, "On the regularization of Wasserstein GANs", eq. 8.

    Example:
        >>> from generative.networks import mlp
        >>> networks = mlp([1, 8, 1], generator=0), mlp([1, 8, 1], "leaky_relu", generator=1)
        >>> model = WassersteinGAN(*networks, critic_steps=1)
        >>> x = 5 + 2 * torch.randn(500, 1, generator=torch.Generator().manual_seed(0))
        >>> before = model.sample(1000, generator=0)
        >>> _ = model.fit(x, steps=300, generator=0, progress=False)
        >>> samples = model.sample(1000, generator=0)
        >>> bool((samples.mean() - 5).abs() < 1 < (before.mean() - 5).abs())
        True
    """

    role: ClassVar[str] = "critic"
    headline: ClassVar[str] = "gap"
    critic: nn.Module

    def __init__(
        self,
        generator: nn.Module,
        critic: nn.Module,
        constraint: ConstraintName = "gradient-penalty",
        *,
        latent_dim: int | None = None,
        pack: int = 1,
        clip: float = 0.01,
        penalty_weight: float = 10.0,
        one_sided: bool = True,
        critic_steps: int = 5,
        condition: int | nn.Module | None = None,
        divergence_weight: float = 1.0,
        standardize: bool | None = None,
    ) -> None:
        own = Constraint(constraint, float(clip), float(penalty_weight), bool(one_sided))
        steps = as_whole("critic_steps", critic_steps, least=1)
        shared = latent_dim, pack, condition, divergence_weight, standardize
        super().__init__(generator, critic, *shared)
        own.impose(critic)
        self.constraint, self.critic_steps = own, steps

    def config(self) -> dict[str, Any]:
        """What, with the state and the networks, determines the model."""
        options = asdict(self.constraint)
        options["constraint"] = options.pop("kind")
        return {**super().config(), **options, "critic_steps": self.critic_steps}

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        generator: nn.Module | None = None,
        critic: nn.Module | None = None,
        *,
        condition: nn.Module | None = None,
    ) -> Self:
        """Read a model from a file that `save` wrote; it is on the CPU.

        A file holds the parameters of the networks and not what they compute: the networks are
        made anew and handed in.

        Arguments:
            path: of the file.
            generator: a module like the one that was saved; it takes over the parameters.
            critic: the same of the critic, as it was handed in then.
            condition: the same of the condition, if it was a module.

        Raises:
            TypeError: a network is missing.
            FileNotFoundError: there is no such file.
            ValueError: the file is damaged, or no file of such networks.
        """
        return cls._read(path, {"generator": generator, "critic": critic}, condition)

    def ratings(
        self, x: Values, condition: Any = None, *, generator: GeneratorLike = None
    ) -> Tensor:
        """Ratings f(x) in the unit of the rows, (n / pack,), with a graph.

        Arguments:
            x: rows, (n, *event); every ``pack`` of them are judged together.
            condition: of the rows, if the model has one.
            generator: of the draws of a ``ConditioningAugmentation``.

        Raises:
            ValueError: NaN or infinity, another shape, a number of rows that ``pack`` does not
                divide, a condition missing or too much.
        """
        return self.scale * self._judged(x, condition, as_generator(generator, self.device))

    def critic_gap(
        self,
        x: Values,
        n: int | None = None,
        *,
        condition: Any = None,
        generator: GeneratorLike = None,
    ) -> float:
        """How much better the critic, as it is, rates data than samples, in the unit of the rows.

        .. math:: \\frac1n \\sum_i f(x_i) - \\frac1m \\sum_j f(G(z_j))

        Under a penalty an estimate of the earth mover's distance that is as good as the critic is
        trained; ``generative.gan.critic_gap.estimate_earth_movers`` trains one to the end.

        Arguments:
            x: rows of data, (m, *event).
            n: samples to be rated; None for as many as there are rows.
            condition: of the rows, if the model has one; samples are made with the same.
            generator: None, a seed or a generator.

        Raises:
            ValueError: as ``ratings``; a number of samples with a condition.
        """
        real, fake = self._judged_both(x, n, condition, generator)
        return float(self.scale.double() * (real.double().mean() - fake.double().mean()))

    def _judge_loss(
        self, game: Round, source: torch.Generator
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Minus the gap, with the penalty."""
        real, fake = self._rated_both(game)
        gap = real.mean() - fake.mean()
        figures = {"gap": self.scale * gap, "real_rating": self.scale * real.mean()}
        figures["fake_rating"] = self.scale * fake.mean()
        if not self.constraint.penalises:
            return -gap, figures
        penalty = self.constraint.penalty(
            lambda rows: self._rated(rows, game.told), game.real, game.fake, source
        )
        return penalty - gap, {**figures, "penalty": penalty}

    def _generator_loss(self, game: Round) -> Tensor:
        """Minus the mean rating of samples."""
        return -self._rated(game.fake, game.told).mean()

    def _turns(self) -> int:
        """Steps of the critic for one of the generator."""
        return self.critic_steps

    def _optimization(self) -> Optimization:
        """What suits the constraint."""
        return self.constraint.optimization(ema=super()._optimization().ema)

    def _constrain(self) -> None:
        """Clip the critic, if it is clipped."""
        self.constraint.enforce(self.critic)
