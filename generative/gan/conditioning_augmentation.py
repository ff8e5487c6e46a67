"""Conditioning augmentation: a condition becomes a cloud of conditions.

.. math:: \\hat c \\sim N\\bigl(\\mu(c), \\operatorname{diag} \\sigma^2(c)\\bigr), \\qquad
          D_{KL} \\bigl(N(\\mu, \\operatorname{diag} \\sigma^2) \\,\\|\\, N(0, I)\\bigr)
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from inference.gaussian import standard_normal_kl
from inference.inputs import as_whole
from inference.random import GeneratorLike, as_generator

__all__ = ["ConditioningAugmentation"]


class ConditioningAugmentation(nn.Module):
    """A random code of a condition, normal around a learned mean.

    .. math:: \\hat c = \\mu(c) + \\sigma(c) \\odot \\epsilon, \\qquad \\epsilon \\sim N(0, I)

    Few conditions leave most of their space empty; a generator that sees a cloud around each is
    smooth in the condition and does not tie one picture to one condition. The divergence, added
    to the generator's loss, keeps the clouds from shrinking to points.

    Arguments:
        n_in: numbers in a condition.
        n_out: numbers in its code.

    Attributes:
        layer: one linear map to means and log-variances, (n_in) to (2 * n_out).

    Shapes:
        c: (batch, n_in). result: (batch, n_out).

    Raises:
        TypeError: if a size is no whole number.
        ValueError: if a size is less than one; if a condition has another shape.

    Reference:
        Zhang et al. 2017, "StackGAN: text to photo-realistic image synthesis with stacked
        generative adversarial networks", section 3.2 and eq. 2.

    Example:
        >>> augment = ConditioningAugmentation(3, 2)
        >>> _ = [nn.init.zeros_(p) for p in augment.parameters()]
        >>> c = torch.eye(3)
        >>> augment(c, generator=0).shape
        torch.Size([3, 2])
        >>> augment.divergence(c).tolist()  # the code is standard normal
        [0.0, 0.0, 0.0]
    """

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.n_in = as_whole("n_in", n_in, least=1)
        self.n_out = as_whole("n_out", n_out, least=1)
        self.layer = nn.Linear(self.n_in, 2 * self.n_out)

    def forward(
        self, c: Tensor, generator: GeneratorLike = None, *, noise: Tensor | None = None
    ) -> Tensor:
        """One code of every condition, differentiable in the means and deviations.

        Arguments:
            c: conditions.
            generator: None, a seed or a generator.
            noise: standard normal numbers to be used instead of fresh ones, such as a part of
                the z of a generator network, which makes the network a function of z and c.

        Raises:
            ValueError: if ``c`` or ``noise`` has another shape.
        """
        mean, log_variance = self._law(c)
        if noise is None:
            source = as_generator(generator, mean.device)
            noise = torch.empty_like(mean).normal_(generator=source)
        elif noise.shape != mean.shape:
            raise ValueError(
                f"noise must be of shape {tuple(mean.shape)}, found {tuple(noise.shape)}"
            )
        return mean + (0.5 * log_variance).exp() * noise

    def divergence(self, c: Tensor) -> Tensor:
        """Kullback-Leibler divergence of the code of each condition from N(0, I), in nats.

        .. math:: \\tfrac12 \\sum_j \\bigl(\\mu_j^2 + \\sigma_j^2 - 1 - \\log \\sigma_j^2\\bigr)

        Arguments:
            c: conditions.

        Shapes:
            c: (batch, n_in). result: (batch,).

        Raises:
            ValueError: if ``c`` has another shape.
        """
        return standard_normal_kl(*self._law(c)).sum(-1)

    def _law(self, c: Tensor) -> tuple[Tensor, Tensor]:
        """Means and log-variances, (batch, n_out) each."""
        if c.ndim != 2 or c.shape[1] != self.n_in:
            raise ValueError(f"c must be (batch, {self.n_in}), found shape {tuple(c.shape)}")
        mean, log_variance = self.layer(c).chunk(2, -1)
        return mean, log_variance
