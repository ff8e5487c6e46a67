"""A layer that ends in a label: units 0 and 1, and then one state out of K as K units.

.. math:: A(f, g) = \\sum_i \\log(1 + e^{f_i}) + \\log \\sum_k e^{g_k}
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from energy.rbm.units import BernoulliUnits, Units
from inference.inputs import Values
from inference.random import categorical

__all__ = ["LabelledUnits", "as_labels", "one_hot"]


def as_labels(labels: Values, n_classes: int, n_rows: int) -> Tensor:
    """Labels of rows, (n_rows,) int64; one label stands for all.

    Arguments:
        labels: whole numbers from 0 to n_classes - 1.
        n_classes: how many there are, 0 if the network has none.
        n_rows: how many labels there must be.

    Raises:
        TypeError: labels that are no whole numbers.
        ValueError: labels out of range, another number of them, a network without labels.

    Example:
        >>> as_labels(2, n_classes=3, n_rows=2).tolist()
        [2, 2]
    """
    if not n_classes:
        raise ValueError("the network has no labels; build it with n_classes")
    array = labels.detach().cpu().numpy() if isinstance(labels, Tensor) else np.asarray(labels)
    if array.dtype.kind not in "iu":
        raise TypeError(f"labels must be whole numbers, found {array.dtype}")
    codes = torch.from_numpy(array.astype(np.int64))
    if codes.ndim == 0:
        codes = codes.expand(n_rows)
    if codes.shape != (n_rows,):
        raise ValueError(f"labels must be one per row, ({n_rows},), found {tuple(codes.shape)}")
    wrong = codes[(codes < 0) | (codes >= n_classes)]
    if len(wrong):
        raise ValueError(f"labels must be 0 to {n_classes - 1}, found {int(wrong[0])}")
    return codes


def one_hot(labels: Tensor, n_classes: int, like: Tensor) -> Tensor:
    """Labels as units, (..., K), in the type of ``like``.

    Example:
        >>> one_hot(torch.tensor([1]), 3, torch.zeros(1)).tolist()
        [[0.0, 1.0, 0.0]]
    """
    return torch.nn.functional.one_hot(labels, n_classes).to(like)


@dataclass(frozen=True, eq=False)
class LabelledUnits(Units):
    """Units 0 and 1, the last K of which are a label: exactly one of them is on.

    .. math:: \\mathbb{E} x = \\bigl(\\sigma(f), \\operatorname{softmax}(g)\\bigr)

    Arguments:
        n_classes: K.
        held: units of the label of every row, (n, K), which draws then leave as they are.

    Reference:
        Hinton, Osindero & Teh 2006, "A fast learning algorithm for deep belief nets", section 5
        (the softmax group).

    Example:
        >>> LabelledUnits(2).mean(torch.zeros(3)).tolist()
        [0.5, 0.5, 0.5]
        >>> LabelledUnits(2).log_normalizer(torch.zeros(3)).exp().tolist()
        [2.0, 2.0]
    """

    n_classes: int
    held: Tensor | None = None

    @property
    def alphabet(self) -> None:
        """Not the same for every unit."""
        return None

    def log_normalizer(self, fields: Tensor) -> Tensor:
        """A of every unit 0 and 1, and one more for the label."""
        units, label = self._parts(fields)
        units = BernoulliUnits().log_normalizer(units)
        return torch.cat([units, label.logsumexp(-1, keepdim=True)], -1)

    def mean(self, fields: Tensor) -> Tensor:
        """Probabilities of ones."""
        units, label = self._parts(fields)
        return torch.cat([units.sigmoid(), label.softmax(-1)], -1)

    def sample(self, fields: Tensor, generator: torch.Generator) -> Tensor:
        """Zeros and ones, of the label's units one."""
        units, label = self._parts(fields)
        drawn = BernoulliUnits().sample(units, generator)
        held = self.held
        if held is None:
            codes = categorical(label, generator=generator)
            held = one_hot(codes, self.n_classes, fields)
        return torch.cat([drawn, held], -1)

    def self_energy(self, x: Tensor) -> Tensor:
        """None."""
        return torch.zeros_like(x[..., 0])

    def check(self, name: str, x: Tensor) -> None:
        """Refuse what is not between 0 and 1, and labels whose units do not sum to one."""
        BernoulliUnits().check(name, x)
        if not bool(((x[..., -self.n_classes :].sum(-1) - 1).abs() < 1e-4).all()):
            raise ValueError(f"{name} must end in one unit of a label that is on")

    def _parts(self, fields: Tensor) -> tuple[Tensor, Tensor]:
        """Those of units and label."""
        return fields[..., : -self.n_classes], fields[..., -self.n_classes :]
