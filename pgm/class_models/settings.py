"""What a naive Bayes model is told, and the form that it takes once it has seen data.

.. math:: (\\text{kind}, \\alpha, \\dots) + (K, D) \\;\\to\\; p(y), \\; p(x \\mid y)
"""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from inference.inputs import as_tensors, check_choice, check_distribution
from inference.logspace import safe_log
from inference.memory import require_memory
from pgm.bayesian_network import BayesianNetwork
from pgm.class_models.events import EventModel, Parameters
from pgm.class_models.families import (
    Bernoulli,
    Categorical,
    Complement,
    Gaussian,
    Multinomial,
    count_states,
)
from pgm.class_models.inputs import ClassLabels, Columns, read_labels

__all__ = ["Form", "Kind", "Settings"]

Kind = Literal["gaussian", "bernoulli", "multinomial", "categorical", "complement"]


@dataclass
class Settings:
    """Checked arguments of a naive Bayes model; sequences become tuples.

    Raises:
        TypeError, ValueError: if one is of the wrong kind, out of range or of another kind of
            model.

    Example:
        >>> Settings("bernoulli", alpha=[1, 2], binarize=None).alpha
        (1.0, 2.0)
    """

    kind: Kind
    alpha: float | Sequence[float] = 1.0
    fit_prior: bool = True
    class_prior: Sequence[float] | None = None
    binarize: float | None = 0.0
    var_smoothing: float = 1e-9
    norm: bool = False
    min_categories: int | Sequence[int] | None = None

    def __post_init__(self) -> None:
        check_choice("kind", self.kind, Kind)
        self.alpha = _check_amounts("alpha", self.alpha, several=self.kind != "categorical")
        self.var_smoothing = _check_amount("var_smoothing", self.var_smoothing)
        if self.binarize is not None:
            self.binarize = _check_number("binarize", self.binarize)
        if self.class_prior is not None:
            (prior,) = as_tensors(class_prior=self.class_prior)
            if prior.ndim != 1:
                raise ValueError(f"class_prior must be (K,), found shape {tuple(prior.shape)}")
            check_distribution("class_prior", prior)
            self.class_prior = tuple(prior.tolist())
        if self.min_categories is not None:
            self.min_categories = _check_states(self.min_categories)
        self._refuse_what_others_read()

    def _refuse_what_others_read(self) -> None:
        """Refuse settings that this kind would silently ignore."""
        readers = {
            "binarize": ("bernoulli", self.binarize != 0.0),
            "var_smoothing": ("gaussian", self.var_smoothing != 1e-9),
            "norm": ("complement", bool(self.norm)),
            "min_categories": ("categorical", self.min_categories is not None),
        }
        for name, (kind, changed) in readers.items():
            if changed and kind != self.kind:
                raise ValueError(
                    f"{name} is read by kind {kind!r} only, found kind {self.kind!r}; leave it out"
                )

    @property
    def has_codes(self) -> bool:
        """Whether -1 in a column of integers means missing."""
        return self.kind in ("bernoulli", "categorical")

    def form(self, classes: ClassLabels, columns: Columns, x: Tensor) -> Form:
        """The form of a model of these classes and columns, whose rows (n, D) are x."""
        if self.kind != "categorical":
            return Form(classes, columns, self.event_model(columns.count, ()))
        least = _per_feature("min_categories", self.min_categories or 1, columns.count)
        labels = columns.labels or [None] * columns.count
        for j, (minimum, known) in enumerate(zip(least, labels, strict=True)):
            if known is not None and minimum > len(known):
                raise ValueError(
                    f"min_categories must not exceed the {len(known)} labels of "
                    f"{columns.title(j)}, found {minimum}; pass a pandas categorical column whose "
                    "categories are all that may come"
                )
        known_states = [1 if known is None else len(known) for known in labels]
        cards = count_states(x, [max(pair) for pair in zip(least, known_states, strict=True)])
        _check_memory(cards, len(classes), columns)
        return Form(classes, columns, self.event_model(columns.count, cards))

    def form_of(self, config: Mapping[str, Any]) -> Form:
        """The form that its `config` described."""
        found = config["columns"]
        names, labels = found["names"], found["labels"]
        if labels is not None:
            labels = tuple([None if known is None else tuple(known) for known in labels])
        columns = Columns(found["count"], None if names is None else tuple(names), labels)
        classes = ClassLabels(read_labels(config["classes"], "classes"))
        return Form(classes, columns, self.event_model(columns.count, config["n_states"] or ()))

    def event_model(self, n_features: int, n_states: Sequence[int]) -> EventModel:
        """Law of the features given the class."""
        if self.kind == "gaussian":
            return Gaussian(self.var_smoothing)
        alpha = _per_feature("alpha", self.alpha, n_features)
        if self.kind == "bernoulli":
            return Bernoulli(alpha, self.binarize)
        if self.kind == "categorical":
            return Categorical(alpha[0], tuple(n_states))
        if self.kind == "multinomial":
            return Multinomial(alpha)
        return Complement(alpha, self.norm)

    def log_prior(self, count: Tensor) -> Tensor:
        """Log-probabilities (K,) of classes whose weights are ``count``, nats."""
        if self.class_prior is not None:
            if len(self.class_prior) != len(count):
                raise ValueError(
                    f"class_prior must have one entry per class, {len(count)}, "
                    f"found {len(self.class_prior)}"
                )
            return safe_log(count.new_tensor(self.class_prior))
        if not self.fit_prior:
            return torch.full_like(count, -math.log(len(count)))
        if not count.sum() > 0:
            raise ValueError(
                "sample_weight must be positive in a row, found zero in all; leave it out for ones"
            )
        return safe_log(count) - count.sum().log()

    def config(self) -> dict[str, Any]:
        """The arguments as JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class Form:
    """Classes, columns and law of the features of a fitted model.

    Arguments:
        classes: labels of the classes.
        columns: of the table that it was fitted to.
        events: law of the features given the class.
    """

    classes: ClassLabels
    columns: Columns
    events: EventModel

    @property
    def n_states(self) -> tuple[int, ...] | None:
        """Number of states of every feature; None where features are no states."""
        return self.events.n_states if isinstance(self.events, Categorical) else None

    def codes(self, labels: np.ndarray) -> Tensor:
        """Codes (n,) of class labels, all of which must be known."""
        codes = self.classes.codes(labels)
        if (codes < 0).any():
            raise ValueError(
                f"y must hold the classes {self.classes.values.tolist()}, found "
                f"{labels[codes < 0].tolist()[0]!r}; name all classes at the first call"
            )
        return torch.from_numpy(codes)

    def estimate(self, statistics: Tensor, log_prior: Tensor) -> dict[str, Tensor]:
        """Parameters of the features.

        Raises:
            ValueError: if one does not exist in a class that is possible.
        """
        parameters, known = self.events.estimate(statistics)
        used = (log_prior > -math.inf) | (not self.events.uses_prior)
        gaps = used[:, None] & ~known
        if gaps.any():
            k, j = gaps.nonzero()[0].tolist()
            raise ValueError(
                f"{self.columns.title(j)} has no estimate in class "
                f"{self.classes.values.tolist()[k]!r}: {self.events.undefined}"
            )
        return parameters

    def scores(self, log_prior: Tensor, parameters: Parameters, x: Tensor) -> Tensor:
        """Scores (n, K) of prepared rows: what the posterior is proportional to, nats."""
        scores = self.events.log_likelihood(parameters, x)
        if not self.events.uses_prior:
            return scores
        return (scores + log_prior).masked_fill(log_prior == -math.inf, -math.inf)

    def network(
        self, class_name: str, log_prior: Tensor, parameters: Parameters
    ) -> BayesianNetwork:
        """The class as the parent of every feature, with tables from parameters."""
        tables = self.events.tables(parameters)
        names, labels = self.columns.variables, self.columns.labels
        if class_name in names:
            raise ValueError(f"class_name must not be that of a feature, found {class_name!r}")
        classes = [str(label) for label in self.classes.values.tolist()]
        numbered = classes == [str(k) for k in range(len(classes))]
        states: dict[str, int | Sequence[str]] = {}
        states[class_name] = len(classes) if numbered else classes
        for j, (name, table) in enumerate(zip(names, tables, strict=True)):
            known = None if labels is None else labels[j]
            states[name] = table.shape[1] if known is None else known
        edges = [(class_name, name) for name in names]
        prior = {class_name: log_prior.detach().exp()}
        network = BayesianNetwork(edges, states, prior | dict(zip(names, tables, strict=True)))
        return network.to(log_prior.device)

    def config(self) -> dict[str, Any]:
        """JSON values that describe it."""
        return {
            "classes": self.classes.values.tolist(),
            "columns": asdict(self.columns),
            "n_states": self.n_states,
        }


def _check_number(name: str, value: Any) -> float:
    """One finite number."""
    (number,) = as_tensors(**{name: value})
    if number.ndim != 0 or not number.isfinite():
        raise ValueError(f"{name} must be one finite number, found {value!r}")
    return number.item()


def _check_amount(name: str, value: Any) -> float:
    """One finite number that is not negative."""
    number = _check_number(name, value)
    if number < 0:
        raise ValueError(f"{name} must not be negative, found {number:g}")
    return number


def _check_amounts(name: str, value: Any, *, several: bool) -> float | tuple[float, ...]:
    """One amount or, if ``several``, maybe one per feature."""
    (numbers,) = as_tensors(**{name: value})
    if numbers.ndim > (1 if several else 0):
        allowed = "one number or one per feature" if several else "one number"
        raise ValueError(f"{name} must be {allowed}, found shape {tuple(numbers.shape)}")
    if numbers.ndim == 0:
        return _check_amount(name, value)
    return tuple([_check_amount(name, number) for number in numbers])


def _check_states(value: Any) -> int | tuple[int, ...]:
    """Numbers of states of features."""
    try:
        if isinstance(value, Sequence) or np.ndim(value):
            found = tuple([operator.index(number) for number in value])
        else:
            found = operator.index(value)
    except TypeError:
        raise TypeError(f"min_categories must hold whole numbers, found {value!r}") from None
    if min(found if isinstance(found, tuple) else (found,), default=1) < 1:
        raise ValueError(f"min_categories must be at least 1, found {value!r}")
    return found


def _per_feature(name: str, value: Any, n_features: int) -> tuple[Any, ...]:
    """A setting for every feature."""
    if not isinstance(value, tuple):
        return (value,) * n_features
    if len(value) != n_features:
        raise ValueError(
            f"{name} must have one entry per feature, {n_features}, found {len(value)}"
        )
    return value


def _check_memory(cards: Sequence[int], n_classes: int, columns: Columns) -> None:
    """Refuse tables that would not fit, before they are made."""
    most = max(range(len(cards)), key=cards.__getitem__)
    what = f"tables for X, whose {columns.title(most)} has codes up to {cards[most] - 1},"
    require_memory(3 * 8 * n_classes * sum(cards), what, "number its states from 0")
