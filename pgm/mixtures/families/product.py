"""Columns of different kinds, independent given the component.

.. math:: p(x \\mid k) = \\prod_g f_g(x_{C_g}; \\theta_{gk})
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, TypeAlias

import torch
from torch import Tensor

from inference.exact.evidence import is_pandas
from pgm.mixtures.families.family import Family, Numbers, Titles

__all__ = ["Columns", "Product"]

Columns: TypeAlias = "int | str | tuple[int, ...] | tuple[str, ...]"


class Product(Family):
    """Families side by side, each for some of the columns.

    .. math:: \\log p(x \\mid k) = \\sum_g \\log f_g(x_{C_g}; \\theta_{gk})

    A parameter of part g has the name that its family gives it with ``_g`` appended:
    ``means_0``, ``probs_1``, ...

    Arguments:
        parts: families by their columns: numbers that together are 0..d-1, or names of the
            columns of a DataFrame. Where columns have names, rows that are no DataFrame (and
            samples) have them in the order in which they are listed.

    Raises:
        TypeError, ValueError: if columns are named twice or left out, or do not fit their family.

    Example:
        >>> from pgm.mixtures.families.gaussian import Gaussian
        >>> from pgm.mixtures.families.poisson import Poisson
        >>> family = Product({(0, 2): Gaussian(2), 1: Poisson(1)})
        >>> sorted(family.blank(3))
        ['covariances_0', 'means_0', 'rates_1']
    """

    name: ClassVar[str] = "product"

    def __init__(self, parts: Mapping[Any, Family]) -> None:
        if not isinstance(parts, Mapping) or not parts:
            raise TypeError(f"parts must map columns to families, found {parts!r}")
        self.parts = tuple([(_as_columns(key), family) for key, family in parts.items()])
        every = [column for columns, _ in self.parts for column in columns]
        for columns, family in self.parts:
            if not isinstance(family, Family):
                raise TypeError(f"parts[{columns!r}] must be a Family, found {family!r}")
            if len(columns) != family.width:
                raise ValueError(
                    f"parts[{columns!r}] names {len(columns)} columns for {family!r}, which has "
                    f"{family.width}"
                )
        if len(set(every)) != len(every):
            raise ValueError(f"parts name a column twice: {every}")
        kinds = {isinstance(column, str) for column in every}
        if len(kinds) > 1:
            raise TypeError(f"parts must name all columns or number all columns, found {every}")
        self._names = every if kinds == {True} else None
        if self._names is None and sorted(every) != list(range(len(every))):
            raise ValueError(f"parts must name the columns 0..{len(every) - 1}, found {every}")
        order = range(len(every)) if self._names else every
        places = iter(order)
        self._places = [[next(places) for _ in columns] for columns, _ in self.parts]

    def __repr__(self) -> str:
        inside = ", ".join([f"{columns!r}: {family!r}" for columns, family in self.parts])
        return f"Product({{{inside}}})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Product) and self.parts == other.parts

    def __hash__(self) -> int:
        return hash(self.parts)

    @property
    def takes_prior(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether all parts do."""
        return all([family.takes_prior for _, family in self.parts])

    @property
    def width(self) -> int:
        """Number of columns."""
        return sum([len(columns) for columns in self._places])

    def config(self) -> dict[str, Any]:
        """Columns and families, as lists."""
        return {"parts": [[list(columns), part.config()] for columns, part in self.parts]}

    def _each(self, call: Callable[[int, Family], Any]) -> list[Any]:
        """One result per part."""
        return [call(g, family) for g, (_, family) in enumerate(self.parts)]

    def _merged(self, call: Callable[[int, Family], Mapping[str, Tensor]]) -> dict[str, Tensor]:
        """Numbers of all parts."""
        found = self._each(call)
        return {f"{name}_{g}": x for g, part in enumerate(found) for name, x in part.items()}

    def _own(self, numbers: Numbers, g: int) -> dict[str, Tensor]:
        """Numbers of a part."""
        end = f"_{g}"
        return {name.removesuffix(end): x for name, x in numbers.items() if name.endswith(end)}

    def _part(self, values: Tensor, g: int) -> Tensor:
        """Columns of a part."""
        return values[:, self._places[g]]

    def blank(self, n_components: int) -> dict[str, Tensor]:
        """Numbers of all parts."""
        return self._merged(lambda g, family: family.blank(n_components))

    def check(self, numbers: Numbers) -> None:
        """Refuse numbers that are no law."""
        self._each(lambda g, family: family.check(self._own(numbers, g)))

    def n_parameters(self, n_components: int) -> int:
        """Those of all parts."""
        return sum(self._each(lambda g, family: family.n_parameters(n_components)))

    def columns(self, x: Any) -> tuple[Any, Titles]:
        """The named columns of a DataFrame."""
        if self._names is not None and is_pandas(x):
            missing = [name for name in self._names if name not in x.columns]
            if missing:
                raise ValueError(f"X has no column {missing[0]!r} ({len(missing)} missing)")
            x = x[self._names]
        if self._names is None:
            return super().columns(x)
        names = self._names
        return x, lambda j: f"column {names[j]!r}"

    def clean(self, values: Tensor, title: Titles) -> Tensor:
        """Every part in its range."""
        result = values.clone()
        for g, (_, family) in enumerate(self.parts):
            places = self._places[g]
            part = family.clean(self._part(values, g), lambda j, own=places: title(own[j]))
            result[:, places] = part
        return result

    def reference(self, values: Tensor, weights: Tensor) -> list[Any]:
        """Those of all parts."""
        return self._each(lambda g, family: family.reference(self._part(values, g), weights))

    def prepare(self, values: Tensor, reference: Any) -> list[Any]:
        """All parts."""
        known = [None] * len(self.parts) if reference is None else reference
        return self._each(lambda g, family: family.prepare(self._part(values, g), known[g]))

    def row_numbers(self, n_components: int) -> int:
        """Those of all parts."""
        return sum(self._each(lambda g, family: family.row_numbers(n_components)))

    def log_likelihood(self, numbers: Numbers, prepared: list[Any]) -> Tensor:
        """Sum over the parts."""
        logs = self._each(
            lambda g, family: family.log_likelihood(self._own(numbers, g), prepared[g])
        )
        return torch.stack(logs).sum(0)

    def statistics(self, numbers: Numbers, prepared: list[Any], weights: Tensor) -> list[Any]:
        """Those of all parts."""
        return self._each(
            lambda g, family: family.statistics(self._own(numbers, g), prepared[g], weights)
        )

    def maximize(
        self, numbers: Numbers, statistics: Sequence[list[Any]], reference: Any, prior: float
    ) -> dict[str, Tensor]:
        """Every part by itself."""
        return self._merged(
            lambda g, family: family.maximize(
                self._own(numbers, g), [block[g] for block in statistics], reference[g], prior
            )
        )

    def log_prior(self, numbers: Numbers, reference: Any, prior: float) -> Tensor:
        """Sum over the parts."""
        logs = self._each(
            lambda g, family: family.log_prior(self._own(numbers, g), reference[g], prior)
        )
        return torch.stack(logs).sum(0)

    def feasible(self, numbers: Numbers, reference: Any) -> dict[str, Tensor]:
        """Those of all parts."""
        return self._merged(lambda g, family: family.feasible(self._own(numbers, g), reference[g]))

    def broad(self, reference: Any, n_components: int) -> dict[str, Tensor]:
        """Those of all parts."""
        return self._merged(lambda g, family: family.broad(reference[g], n_components))

    def around(self, rows: Tensor, reference: Any) -> dict[str, Tensor]:
        """Those of all parts."""
        return self._merged(lambda g, family: family.around(self._part(rows, g), reference[g]))

    def points(self, values: Tensor, reference: Any) -> Tensor:
        """Points of all parts, side by side, each with a mean squared length of its width."""
        found = []
        for g, (_, family) in enumerate(self.parts):
            points = family.points(self._part(values, g), reference[g])
            points = points - points.mean(0)
            length = points.square().sum(1).mean().sqrt()
            found.append(points * (family.width**0.5 / length.masked_fill(length == 0, 1.0)))
        return torch.cat(found, dim=1)

    def sample(self, numbers: Numbers, labels: Tensor, generator: torch.Generator) -> Tensor:
        """Rows, float64."""
        device = next(iter(numbers.values())).device
        result = torch.empty((len(labels), self.width), dtype=torch.float64, device=device)
        for g, (_, family) in enumerate(self.parts):
            drawn = family.sample(self._own(numbers, g), labels, generator)
            result[:, self._places[g]] = drawn.to(result.dtype)
        return result


def _as_columns(key: Any) -> tuple[Any, ...]:
    """Columns of a part as a tuple."""
    columns = key if isinstance(key, tuple) else (key,)
    if not columns or not all([isinstance(c, (int, str)) and c is not True for c in columns]):
        raise TypeError(f"parts must be by numbers or names of columns, found {key!r}")
    return columns
