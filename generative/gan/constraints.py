"""How a critic is kept from becoming steep.

.. math:: |w_i| \\le k, \\qquad
          + \\lambda \\mathbb{E}(\\|\\nabla f\\| - 1)_+^2, \\qquad
          W / \\sigma_{\\max}(W)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.nn.utils.parametrizations import spectral_norm
from torch.nn.utils.parametrize import is_parametrized

from generative.gan.penalties import between, lipschitz_penalty
from inference.inputs import check_choice
from inference.learning.optimization import Optimization

__all__ = ["Constraint", "ConstraintName", "Critic"]

ConstraintName: TypeAlias = Literal["clip", "gradient-penalty", "spectral"]

#: From rows (n, *event) to ratings (n,).
Critic: TypeAlias = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Constraint:
    """How a critic is kept from becoming steep.

    Arguments:
        kind: "clip": no weight or bias is above ``clip`` in size; "gradient-penalty": slopes
            above one cost; "spectral": every layer's weights are divided by their largest singular
            value.
        clip: k.
        penalty_weight: lambda.
        one_sided: whether slopes below one are free.

    Raises:
        ValueError: an unknown kind, numbers that are not positive.

    Reference:
        Arjovsky, Chintala & Bottou 2017, "Wasserstein generative adversarial networks",
        algorithm 1; Gulrajani et al. 2017, "Improved training of Wasserstein GANs", algorithm 1;
        Miyato et al. 2018, "Spectral normalization for generative adversarial networks", eq. 8.

    Example:
        >>> critic = nn.Linear(2, 1)
        >>> Constraint("clip", clip=0.1).enforce(critic)
        >>> bool((critic.weight.abs() <= 0.1).all())
        True
    """

    kind: ConstraintName = "gradient-penalty"
    clip: float = 0.01
    penalty_weight: float = 10.0
    one_sided: bool = True

    def __post_init__(self) -> None:
        check_choice("constraint", self.kind, ConstraintName)
        for name in ("clip", "penalty_weight"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise ValueError(f"{name} must be positive and finite, found {value}")

    @property
    def penalises(self) -> bool:
        """Whether there is a penalty."""
        return self.kind == "gradient-penalty"

    def optimization(self, ema: float | None = None) -> Optimization:
        """How the gradients of critic and generator become steps unless the user says so."""
        if self.kind == "clip":  # clipped critics do not go well with Adam
            return Optimization("rmsprop", betas=(0.0, 0.99), ema=ema)
        return Optimization(betas=(0.0, 0.9), ema=ema)

    def impose(self, critic: nn.Module) -> None:
        """Make ready a critic: "spectral" puts its norm on linear and convolutional layers."""
        if self.kind != "spectral":
            return
        layers = [x for x in critic.modules() if isinstance(x, (nn.Linear, nn.Bilinear, _ConvNd))]
        if not layers:
            raise ValueError(
                'constraint="spectral" needs linear or convolutional layers, found none'
            )
        # Torch draws first singular vectors from its global generators, which are left alone.
        gpus = list({x.weight.device for x in layers if x.weight.is_cuda})
        with torch.random.fork_rng(gpus):
            torch.default_generator.manual_seed(0)
            for gpu in gpus:
                with torch.cuda.device(gpu):
                    torch.cuda.manual_seed(0)
            for layer in layers:
                if not is_parametrized(layer, "weight"):
                    spectral_norm(layer)

    @torch.no_grad()
    def enforce(self, critic: nn.Module) -> None:
        """What happens after a step of the critic: "clip" clips."""
        if self.kind == "clip":
            for x in critic.parameters():
                x.clamp_(-self.clip, self.clip)

    def penalty(
        self, critic: Critic, real: Tensor, fake: Tensor, generator: torch.Generator
    ) -> Tensor:
        """The penalty at points between rows, lambda included, ().

        Arguments:
            critic: from rows to ratings (n,).
            real: rows of data.
            fake: as many generated rows.
            generator: of the points.

        Shapes:
            real, fake: (n, *event). result: ().
        """
        points = between(real, fake, generator)
        found = lipschitz_penalty(critic(points), points, one_sided=self.one_sided)
        return self.penalty_weight * found
