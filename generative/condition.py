"""What networks are told besides: labels, or features that a network makes of something.

.. math:: q(z \\mid x, c), \\qquad p(x \\mid z, c)
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn.functional import one_hot

from generative.trial import holds_whole_numbers
from inference.inputs import as_tensors, as_whole

__all__ = ["OWN", "Condition"]

#: In the configuration of a model, for an object that a file does not hold.
OWN = "an object"


class Condition(nn.Module):
    """Reads conditions and makes features of them, (n, features).

    Arguments:
        source: None, there are none; K: labels 0 to K - 1 become one-hot rows; a module: its
            output (n, features).

    Raises:
        TypeError, ValueError: what is none of these; fewer than two labels.

    Reference:
        Sohn, Lee & Yan 2015, "Learning structured output representation using deep conditional
        generative models", section 4.

    Example:
        >>> import torch
        >>> labels = Condition(3)
        >>> labels(labels.read([2, 0], 2, torch.zeros(1)), torch.zeros(1))
        tensor([[0., 0., 1.],
                [1., 0., 0.]])
    """

    def __init__(self, source: int | nn.Module | None) -> None:
        super().__init__()
        self.network = source if isinstance(source, nn.Module) else None
        self.n_labels = None
        if source is not None and self.network is None:
            self.n_labels = as_whole("condition", source, least=2)

    @property
    def told(self) -> int | str | None:
        """What a configuration says of it."""
        return OWN if self.network is not None else self.n_labels

    @property
    def given(self) -> bool:
        """Whether there are conditions."""
        return self.n_labels is not None or self.network is not None

    def read(self, condition: Any, n: int, like: Tensor) -> Tensor | None:
        """What a user passed as condition of n rows, checked.

        A label stands for n of them. Whole numbers stay whole for a network.

        Raises:
            TypeError, ValueError: a condition missing or too much, not one for each row, labels
                that are none.
        """
        if condition is None or not self.given:
            if condition is not None:
                raise ValueError("condition must be None: the model was made without one")
            if self.given:
                raise ValueError(
                    f"condition must be given, one for each of {n} rows: the model was made "
                    f"with {'labels' if self.network is None else 'a network for it'}"
                )
            return None
        (values,) = as_tensors(condition=condition)
        whole = holds_whole_numbers(condition)
        values = values.to(like.device)
        values = values.long() if whole else values.to(like.dtype)
        if self.n_labels is not None:
            values = self._labels(values, n)
        if not values.ndim or len(values) != n:
            raise ValueError(
                f"condition must have one entry for each of {n} rows, found {tuple(values.shape)}"
            )
        return values

    def forward(self, read: Tensor | None, like: Tensor) -> Tensor | None:
        """Features of conditions that have been read, in the type of a tensor.

        Raises:
            ValueError: if a network does not make a row of features of each.
        """
        if read is None:
            return None
        if self.network is None:
            return one_hot(read, self.n_labels or -1).to(like.dtype)
        found = self.network(read)
        if found.ndim != 2 or len(found) != len(read):
            raise ValueError(
                f"condition must return (batch, features), found {tuple(found.shape)} for "
                f"{tuple(read.shape)}"
            )
        return found

    def _labels(self, values: Tensor, n: int) -> Tensor:
        """Labels (n,), int64."""
        labels = values.long().expand(n) if values.ndim == 0 else values.long()
        known = self.n_labels or 0
        wrong = ~((values >= 0) & (values < known) & (values == values.long()))
        if labels.ndim != 1 or wrong.any():
            found = tuple(labels.shape) if labels.ndim != 1 else values[wrong][0].item()
            raise ValueError(f"condition must be labels 0 to {known - 1}, (batch,), found {found}")
        return labels
