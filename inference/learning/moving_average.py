"""An exponential mean of weights over the steps of learning.

.. math:: \\bar\\theta_t = d_t \\bar\\theta_{t-1} + (1 - d_t) \\theta_t, \\qquad
          d_t = \\min\\Bigl(d, \\frac{t}{t + 9}\\Bigr)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

__all__ = ["MovingWeights"]


class MovingWeights:
    """The exponential mean of some parameters, which follows them step by step.

    Arguments:
        parameters: they stay as they are.
        decay: share of its past that the mean keeps; less in the first steps.

    Reference:
        Polyak & Juditsky 1992, "Acceleration of stochastic approximation by averaging"; Yazici et
        al. 2019, "The unusual effectiveness of averaging in GAN training", eq. 4.

    Example:
        >>> place = nn.Parameter(torch.zeros(1))
        >>> mean = MovingWeights([place], 0.5)
        >>> for value in (1.0, 3.0):
        ...     _ = place.data.fill_(value)
        ...     mean.follow()
        >>> with mean.swapped():
        ...     print(round(place.item(), 2))
        2.62
        >>> place.item()
        3.0
    """

    def __init__(self, parameters: Sequence[nn.Parameter], decay: float) -> None:
        self._live = [x.detach() for x in parameters]
        self._decay = decay
        self._steps = 0
        self.means = [x.clone() for x in self._live]

    def follow(self) -> None:
        """Take a step of the parameters into account."""
        self._steps += 1
        kept = min(self._decay, self._steps / (self._steps + 9))
        for mean, x in zip(self.means, self._live, strict=True):
            mean.lerp_(x, 1 - kept)

    @contextmanager
    def swapped(self) -> Iterator[None]:
        """The parameters are the means, for a while."""
        own = [x.clone() for x in self._live]
        self.settle()
        try:
            yield
        finally:
            _copy(own, self._live)

    def settle(self) -> None:
        """The parameters become the means."""
        _copy(self.means, self._live)

    def memory(self) -> dict[str, Tensor]:
        """The means, and of how many steps they are."""
        means = {str(place): x for place, x in enumerate(self.means)}
        return {**means, "steps": torch.tensor(self._steps)}

    def recall(self, memory: dict[str, Tensor]) -> None:
        """Take over what ``memory`` returned."""
        self._steps = int(memory["steps"])
        for place, mean in enumerate(self.means):
            mean.copy_(memory[str(place)])


def _copy(values: Sequence[Tensor], into: Sequence[Tensor]) -> None:
    for own, x in zip(into, values, strict=True):
        own.copy_(x)
