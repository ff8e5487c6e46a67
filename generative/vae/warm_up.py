"""A weight that rises from epoch to epoch, so that the code is found before it costs in full.

.. math:: s_t = \\min\\bigl(1, t / T\\bigr), \\qquad t = 1, 2, \\dots
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from inference.inputs import as_whole
from inference.learning.callbacks import Callback

__all__ = ["WarmUp"]


class WarmUp(Callback):
    """Counts epochs, and says which share of a term counts in the present one.

    Arguments:
        epochs: T, of the rise; 0 for none.

    Raises:
        TypeError, ValueError: what is no whole number from 0.

    Reference:
        Bowman et al. 2016, "Generating sentences from a continuous space", section 3.1; Sønderby
        et al. 2016, "Ladder variational autoencoders", section 2.3.

    Example:
        >>> warm_up, figures = WarmUp(2), {"epoch": 1}
        >>> warm_up.share, warm_up.after_epoch(nn.Identity(), figures), warm_up.share
        (0.5, False, 1.0)
    """

    def __init__(self, epochs: int) -> None:
        self._epochs = as_whole("beta_warm_up", epochs, least=0)
        self._done = 0

    @property
    def share(self) -> float:
        """Of the term, in the present epoch."""
        return min(1.0, (self._done + 1) / self._epochs) if self._epochs else 1.0

    def after_epoch(self, model: nn.Module, figures: dict[str, Any]) -> bool:
        """Count the epoch."""
        self._done = figures["epoch"]
        return False

    def memory(self) -> dict[str, Tensor]:
        """How many epochs are done."""
        return {"done": torch.tensor(self._done)}

    def recall(self, memory: Mapping[str, Tensor]) -> None:
        """Take over what ``memory`` returned."""
        self._done = int(memory["done"])
