"""What classifiers of rows have in common: from scores of the classes to labels.

.. math:: \\hat y = \\arg\\max_k s_k(x)
"""

from __future__ import annotations

import os
from abc import abstractmethod
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from inference.inputs import as_weights
from inference.model import Model
from pgm.class_models.inputs import ClassLabels, read_labels

__all__ = ["Classifier"]


class _Form(Protocol):
    @property
    def classes(self) -> ClassLabels: ...


Form = TypeVar("Form", bound=_Form)


class Classifier(Model, Generic[Form]):
    """Abstract base of classifiers; ``_form`` is what they know besides numbers, once fitted."""

    def __init__(self) -> None:
        super().__init__()
        self._form: Form | None = None

    @abstractmethod
    def predict_log_proba(self, X: Any) -> Tensor:
        """Logarithms of the probabilities of the classes, (n, K), nats."""

    @abstractmethod
    def _class_scores(self, X: Any) -> Tensor:
        """Scores of the classes, (n, K), the largest of which is that of the most probable."""

    def predict(self, X: Any) -> Tensor | np.ndarray:
        """Most probable class of every row: a tensor, or an array where labels are strings.

        Shapes:
            X: (n, D). result: (n,).
        """
        return self._fitted().classes.decode(self._class_scores(X).argmax(1))

    def predict_proba(self, X: Any) -> Tensor:
        """Probabilities of the classes.

        Shapes:
            X: (n, D). result: (n, K), classes in sorted order.
        """
        return self.predict_log_proba(X).exp()

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Share of rows whose class is predicted correctly, by weight.

        Labels that the model has never seen count as errors.

        Shapes:
            X: (n, D). y, sample_weight: (n,).

        Raises:
            TypeError, ValueError: as `predict`; for labels and weights as `fit`.
        """
        found = self._class_scores(X).argmax(1)
        codes = self._codes(y, len(found))
        weight = as_weights(sample_weight, len(found)).to(found.device)
        if not weight.sum() > 0:
            raise ValueError("there must be a row of positive weight to score, found none")
        return float((weight * (found == codes)).sum() / weight.sum())

    @property
    def classes(self) -> tuple[Any, ...]:
        """Labels of the classes, sorted: the order of every axis of length K."""
        return tuple(self._fitted().classes.values.tolist())

    @property
    def classes_(self) -> np.ndarray:
        """`classes` as an array, scikit-learn's name."""
        return self._fitted().classes.values.copy()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted model, its labels included, to one .safetensors file.

        Raises:
            ValueError: not fitted.
        """
        self._fitted()
        super().save(path)

    def _fitted(self) -> Form:
        """What is known since `fit`."""
        if self._form is None:
            raise ValueError(f"this {type(self).__name__} is not fitted; call fit(X, y) first")
        return self._form

    def _codes(self, y: Any, n: int) -> Tensor:
        """Codes (n,) of labels; -1 for unknown ones."""
        labels = read_labels(y)
        if len(labels) != n:
            raise ValueError(f"X and y must have equally many rows, found {n} and {len(labels)}")
        return torch.from_numpy(self._fitted().classes.codes(labels)).to(self.device)
