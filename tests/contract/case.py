"""One entry of the contract: how to make a model, what to ask it, and what it need not do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from inference.model import Model


def flip(model: Model) -> None:
    """Turn every parameter around in place.

    Along all axes, so that symmetric matrices stay symmetric and, where all rows of tables are as
    long, distributions stay distributions.
    """
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.flip(tuple(range(parameter.ndim))))


@dataclass(frozen=True)
class Case:
    """A model and what the contract needs to know of it.

    Rows are what the methods that speak of rows take: one argument, or several of equal length.
    """

    cls: type[Model]
    make: Callable[[], Model]  # with numbers of its own, the same at each call
    rows: tuple[Any, ...]
    values: tuple[str, ...] = ()  # methods of rows with one number each
    maps: tuple[str, ...] = ()  # methods of rows with anything else of each
    learn: Callable[[Model, Any], Model] | None = None  # fit it, with a generator
    fit_rows: Callable[[Model, Any], Any] | None = None  # fit it to other rows
    apart: tuple[str, ...] = ()  # beginnings of names of parameters that are none of the law's
    draw: Callable[[Model, int, Any], Any] | None = None
    event: tuple[int, ...] = ()  # shape of one draw
    loss: Callable[[Model], Tensor] | None = None  # what gradients are of; else the first value
    score: Callable[[Model], tuple[Any, Any]] | None = None  # and what it should be; else the mean
    judged: tuple[Any, ...] = ()  # what score takes; else the rows
    change: Callable[[Model], None] = flip
    columns: tuple[str, ...] = ()  # names of columns, where rows may be a DataFrame
    missing: Literal["summed", "refused", ""] = ""
    without: Mapping[str, str] = field(default_factory=dict)  # absent methods, and why
    excused: Mapping[str, str] = field(default_factory=dict)  # tests that must fail, and why
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # of methods, by name
    parts: Callable[[Model], dict[str, Any]] = lambda model: {}  # what its file does not hold
    unfitted: Callable[[], Model] | None = None  # before a fit, if it knows nothing then
    variant: str = ""

    @property
    def name(self) -> str:
        """Name in the list of tests."""
        return f"{self.cls.__name__}{'-' if self.variant else ''}{self.variant}"

    @property
    def length(self) -> int:
        """Number of rows."""
        return len(self.rows[0])

    # What tests need of an entry ---------------------------------------------------------------

    @property
    def matrix(self) -> bool:
        """Whether a row is a vector in a tensor."""
        return isinstance(self.rows[0], Tensor) and self.rows[0].ndim == 2

    @property
    def real_matrix(self) -> bool:
        """Whether its entries are real numbers."""
        return self.matrix and self.rows[0].is_floating_point()

    @property
    def coded_matrix(self) -> bool:
        """Whether its entries are codes or spins."""
        if not self.matrix:
            return False
        entries = self.rows[0]
        return bool(torch.isin(entries, torch.tensor([-1, 0, 1]).to(entries)).all())

    @property
    def scored(self) -> bool:
        """Whether there is a mean of one of the values."""
        return bool(self.values) and hasattr(self.cls, "score") and self.variant != "units"

    @property
    def scored_by_log_prob(self) -> bool:
        """Whether score is the mean of log_prob."""
        return "score" not in self.without and "log_prob" in self.values

    @property
    def learns_rows(self) -> bool:
        """Whether it is fitted to a matrix of the kind of its rows."""
        return self.matrix and self.learn is not None and self.fit_rows is not None

    @property
    def derivable(self) -> bool:
        """Whether there are parameters and something of which to take their gradient."""
        asked = self.loss is not None or bool(self.values)
        return asked and next(self.make().parameters(), None) is not None

    @property
    def networks(self) -> bool:
        """Whether it learns networks of a user."""
        return self.learn is not None and any(
            isinstance(part, torch.nn.Linear) for part in self.make().modules()
        )

    def ask(self, model: Model, method: str, rows: tuple[Any, ...] | None = None) -> Any:
        """What a method says of the rows, without a gradient."""
        options = self.options.get(method, {})
        found = getattr(model, method)(*(self.rows if rows is None else rows), **options)
        return detached(found)

    def answers(self, model: Model) -> dict[str, Any]:
        """What every method says of the rows, and some draws."""
        found = {method: self.ask(model, method) for method in (*self.values, *self.maps)}
        if self.draw is not None:
            found["sample"] = detached(self.draw(model, 4, 5))
        return found


def detached(found: Any) -> Any:
    """The same without gradients, nested as it is."""
    if isinstance(found, Tensor):
        return found.detach()
    if isinstance(found, np.ndarray | str | float | int) or found is None:
        return found
    if isinstance(found, Mapping):
        return {key: detached(value) for key, value in found.items()}
    return [detached(value) for value in found]


def same(found: Any, expected: Any, *, exact: bool = False) -> bool:
    """Whether two answers agree, to rounding or to the last bit."""
    if isinstance(expected, Tensor):
        if found.shape != expected.shape or found.dtype != expected.dtype:
            return False
        if exact or not expected.is_floating_point():
            return torch.equal(found.nan_to_num(), expected.nan_to_num()) and torch.equal(
                found.isnan(), expected.isnan()
            )
        scale = 1e-10 if expected.dtype == torch.float64 else 2e-5
        return torch.allclose(found, expected, rtol=scale, atol=scale, equal_nan=True)
    if isinstance(expected, np.ndarray):
        return bool(np.array_equal(found, expected))
    if isinstance(expected, Mapping):
        return found.keys() == expected.keys() and all(
            same(found[key], value, exact=exact) for key, value in expected.items()
        )
    if isinstance(expected, list):
        return len(found) == len(expected) and all(
            same(a, b, exact=exact) for a, b in zip(found, expected, strict=True)
        )
    if isinstance(expected, float) and not exact:
        return bool(np.isclose(found, expected, rtol=1e-6, atol=1e-9))
    return found == expected


def needs(*fields: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Run a test only for entries that have these fields."""

    def mark(test: Callable[..., None]) -> Callable[..., None]:
        test.needs = fields  # type: ignore[attr-defined]
        return test

    return mark
