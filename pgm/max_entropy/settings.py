"""What a maximum-entropy classifier is told: penalty, tolerance, weights of classes.

.. math:: \\omega_i' = \\omega_i \\, c_{y_i}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor

from inference.inputs import as_tensors, as_whole
from pgm.class_models.inputs import ClassLabels, read_labels

__all__ = ["SETTINGS", "Settings"]


@dataclass(frozen=True)
class Settings:
    """Checked arguments of a maximum-entropy classifier, kept as they were given.

    Raises:
        TypeError, ValueError: if one is of the wrong kind or out of range.

    Example:
        >>> Settings(class_weight={"spam": 2}).arguments(Settings().config())["C"]
        1.0
    """

    C: float = 1.0
    l1_ratio: float = 0.0
    tol: float = 1e-6
    fit_intercept: bool = True
    class_weight: Mapping[Any, float] | str | None = None
    max_iter: int = 1000

    def __post_init__(self) -> None:
        if not _number("C", self.C) > 0:
            raise ValueError(f"C must be positive (math.inf for no penalty), found {self.C}")
        if not 0 <= _number("l1_ratio", self.l1_ratio) <= 1:
            raise ValueError(f"l1_ratio must be from 0 to 1, found {self.l1_ratio}")
        if not 0 < _number("tol", self.tol) < float("inf"):
            raise ValueError(f"tol must be positive and finite, found {self.tol}")
        as_whole("max_iter", self.max_iter, least=1)
        if isinstance(self.class_weight, Mapping):
            for label, weight in self.class_weight.items():
                if not 0 <= _number("class_weight", weight) < float("inf"):
                    raise ValueError(
                        f"class_weight must be finite and not negative, found {weight} for "
                        f"{label!r}"
                    )
        elif self.class_weight not in (None, "balanced"):
            raise ValueError(
                f"class_weight must be 'balanced', a dict or None, found {self.class_weight!r}"
            )

    def row_weights(self, classes: ClassLabels, y: Tensor, weight: Tensor) -> Tensor:
        """By what the weights (n,) of rows with class codes y are multiplied, (n,).

        .. math:: c_k = W / (K W_k) \\quad \\text{(balanced)}

        Raises:
            ValueError: if no class of the data is named.
        """
        if self.class_weight is None:
            return torch.ones_like(weight)
        if isinstance(self.class_weight, Mapping):
            factors = torch.ones(len(classes), dtype=weight.dtype)
            codes = self._named_codes(classes, self.class_weight)
            given = torch.tensor(list(self.class_weight.values()), dtype=weight.dtype)
            known = torch.from_numpy(codes >= 0)
            factors[torch.from_numpy(codes)[known]] = given[known]
            return factors.to(y.device)[y]
        counts = y.bincount(weight, minlength=len(classes))
        factors = torch.where(counts > 0, counts.sum() / (len(classes) * counts), 0.0)
        return factors[y]

    @staticmethod
    def _named_codes(classes: ClassLabels, named: Mapping[Any, float]) -> np.ndarray:
        """Codes of the labels that are named; -1 for those that do not occur."""
        labels, known = read_labels(list(named), "class_weight"), classes.values
        same_kind = (labels.dtype.kind == "U") == (known.dtype.kind == "U")
        codes = classes.codes(labels) if same_kind else np.full(len(labels), -1)
        if (codes < 0).all():
            raise ValueError(
                f"class_weight must name classes, {known.tolist()}, found {labels.tolist()}"
            )
        return codes

    def config(self) -> dict[str, Any]:
        """The arguments as JSON values."""
        found = asdict(self)
        if isinstance(self.class_weight, Mapping):
            labels = read_labels(list(self.class_weight), "class_weight")
            weights = [float(weight) for weight in self.class_weight.values()]
            found["class_weight"] = [labels.tolist(), weights]
        return found

    @staticmethod
    def arguments(config: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments that `config` described."""
        found = dict(config)
        if isinstance(found["class_weight"], list):
            found["class_weight"] = dict(zip(*found["class_weight"], strict=True))
        return found


#: Names of the settings, in order.
SETTINGS = tuple(field.name for field in fields(Settings))


def _number(name: str, value: Any) -> float:
    """One number."""
    (number,) = as_tensors(**{name: value})
    if number.ndim != 0:
        raise ValueError(f"{name} must be one number, found {value!r}")
    return number.item()
