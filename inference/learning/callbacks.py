"""What happens between the epochs of learning: figures of one's own, and an early end.

.. math:: t^* = \\arg\\max_t f(\\theta_t), \\qquad \\text{stop at } t^* + \\text{patience}
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from inference.inputs import as_whole
from inference.learning.checkpoint import under

__all__ = ["Callback", "EarlyStopping", "Evaluate", "as_callbacks"]


class Callback(ABC):
    """Is called after every epoch, with a model in evaluation mode and without gradients.

    What it remembers goes into checkpoints: learning that was interrupted goes on with it.
    """

    @abstractmethod
    def after_epoch(self, model: nn.Module, figures: dict[str, Any]) -> bool:
        """Look at a model and say whether to stop.

        Arguments:
            model: as learning would leave it behind now, with averaged weights if it averages.
            figures: of the epoch, as the history will hold them; more may be added.
        """

    def memory(self) -> dict[str, Tensor]:
        """Tensors without which it could not go on."""
        return {}

    def recall(self, memory: Mapping[str, Tensor]) -> None:  # noqa: B027
        """Take over what ``memory`` of such a callback returned."""

    def finish(self, model: nn.Module) -> None:  # noqa: B027
        """Have the last word on the model, when learning has ended."""


def as_callbacks(callbacks: Sequence[Callback]) -> list[Callback]:
    """Callbacks as they were passed.

    Raises:
        TypeError: for what is no sequence of them.

    Example:
        >>> as_callbacks([])
        []
    """
    if not isinstance(callbacks, Sequence):
        raise TypeError(f"callbacks must be a list of them, found {type(callbacks).__name__}")
    for x in callbacks:
        if not isinstance(x, Callback):
            raise TypeError(f"callbacks must hold Callback objects, found {type(x).__name__}")
    return list(callbacks)


class Evaluate(Callback):
    """Adds figures of the model to the history.

    Arguments:
        function: from the model to figures by name: numbers, or lists, arrays or tensors of
            them, which the history holds as numbers and lists.
        every: so many epochs.

    Raises:
        TypeError, ValueError: ``every`` is no whole number from 1.

    Example:
        >>> count = Evaluate(lambda model: {"numbers": sum(x.numel() for x in model.parameters())})
        >>> figures = {"epoch": 1}
        >>> count.after_epoch(nn.Linear(1, 1), figures), figures
        (False, {'epoch': 1, 'numbers': 2})
    """

    def __init__(self, function: Callable[[Any], Mapping[str, Any]], every: int = 1) -> None:
        self._function = function
        self._every = as_whole("every", every, least=1)

    def after_epoch(self, model: nn.Module, figures: dict[str, Any]) -> bool:
        """Add the figures; never stop."""
        if figures["epoch"] % self._every == 0:
            found = self._function(model)
            figures.update({name: _plain(value) for name, value in found.items()})
        return False


def _plain(value: Any) -> Any:
    """Numbers as a checkpoint holds them."""
    return value.tolist() if isinstance(value, (Tensor, np.ndarray, np.generic)) else value


class EarlyStopping(Callback):
    """Stops when a figure has not got better for a while, and keeps the best weights.

    With a first epoch it begins anew, so that one object may watch several lessons in turn.

    Arguments:
        figure: name of it in the history.
        patience: epochs without a better one.
        mode: "max" if more is better, "min" if less is.

    Raises:
        TypeError, ValueError: patience is no whole number from 1, an unknown mode; a figure that
            the history does not hold.

    Reference:
        Prechelt 1998, "Early stopping - but when?", section 2 (criterion UP).

    Example:
        >>> stopping, model = EarlyStopping("bound", patience=2), nn.Linear(1, 1)
        >>> [stopping.after_epoch(model, {"bound": value}) for value in (1.0, 3.0, 2.0, 2.5)]
        [False, False, False, True]
    """

    def __init__(
        self, figure: str, patience: int = 20, mode: Literal["max", "min"] = "max"
    ) -> None:
        if mode not in ("max", "min"):
            raise ValueError(f'mode must be "max" or "min", found {mode!r}')
        self._figure, self._sign = figure, 1.0 if mode == "max" else -1.0
        self._patience = as_whole("patience", patience, least=1)
        self._begin()

    def _begin(self) -> None:
        """Forget what was seen."""
        self._best, self._waited = -math.inf, 0
        self._kept: dict[str, Tensor] = {}

    def after_epoch(self, model: nn.Module, figures: dict[str, Any]) -> bool:
        """Keep the weights if the figure is the best so far; stop after enough that are not."""
        if self._figure not in figures:
            known = ", ".join(sorted(figures))
            raise ValueError(
                f"EarlyStopping watches {self._figure!r}, but the history holds {known}; "
                "pass validation rows, or name one of these"
            )
        if figures.get("epoch") == 1:
            self._begin()
        value = self._sign * float(figures[self._figure])
        if value > self._best:
            self._best, self._waited = value, 0
            self._kept = {name: x.clone() for name, x in model.state_dict().items()}
        else:
            self._waited += 1
        return self._waited >= self._patience

    def memory(self) -> dict[str, Tensor]:
        """The best value and weights, and how long ago they were."""
        numbers = {"best": torch.tensor(self._best, dtype=torch.float64)}
        numbers["waited"] = torch.tensor(self._waited)
        return {**numbers, **{f"kept.{name}": x for name, x in self._kept.items()}}

    def recall(self, memory: Mapping[str, Tensor]) -> None:
        """Take over what ``memory`` returned."""
        self._best, self._waited = float(memory["best"]), int(memory["waited"])
        self._kept = under("kept.", memory)

    def finish(self, model: nn.Module) -> None:
        """Put the best weights back."""
        if self._kept:
            model.load_state_dict(self._kept)
