"""What a law of rows must offer to be a component of a mixture.

.. math:: p(x \\mid k) = f(x; \\theta_k), \\qquad
          \\theta \\leftarrow \\arg\\max_\\theta \\sum_{k, i} r_{ik} \\log f(x_i; \\theta_k)
          + \\log p(\\theta)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from inference.exact.evidence import is_pandas
from inference.inputs import check_finite
from pgm.hidden_markov.diagonal_gaussian import DiagonalGaussianEmissions
from pgm.mixtures.read_rows import read_rows

__all__ = ["Family", "Init", "Numbers", "Titles"]

Init: TypeAlias = Literal["kmeans", "random", "random_from_data", "current"]
#: Parameters of K components by name; the first axis is the component.
Numbers: TypeAlias = Mapping[str, Tensor]
#: What messages call a column.
Titles: TypeAlias = Callable[[int], str]


class Family(ABC):
    """Law of a row, without its numbers, which are passed to its methods.

    .. math:: f(x; \\theta_k), \\qquad k = 1, \\dots, K

    Subclasses are frozen dataclasses of what gives a row its shape. The methods without a body
    here make a family; the others have a default that may be replaced. Rows are float64 (n, d)
    with NaN for what is missing. Learning calls, in this order, `reference` once, `prepare` for
    every block of rows, and then, again and again, `log_likelihood`, `statistics` and `maximize`.

    Attributes:
        name: what files call the family.
        own_init: how learning starts if the user does not say.
        takes_prior: whether `maximize` and `log_prior` heed ``prior``.

    Example:
        Waiting times, for which the library has no family:

        >>> from dataclasses import dataclass
        >>> @dataclass(frozen=True)
        ... class Exponential(Family):
        ...     name = "exponential"
        ...     width = 1
        ...
        ...     def config(self):
        ...         return {}
        ...
        ...     def blank(self, n_components):
        ...         return {"rates": torch.ones((n_components, 1), dtype=torch.float64)}
        ...
        ...     def n_parameters(self, n_components):
        ...         return n_components
        ...
        ...     def log_likelihood(self, numbers, prepared):
        ...         x, rates = prepared[:, 0], numbers["rates"]
        ...         return torch.where(x.isnan(), 0.0, rates.log() - rates * x.nan_to_num())
        ...
        ...     def statistics(self, numbers, prepared, weights):
        ...         there = ~prepared.isnan()
        ...         return weights @ there.double(), weights @ prepared.nan_to_num()
        ...
        ...     def maximize(self, numbers, statistics, reference, prior):
        ...         count, total = [sum(parts) for parts in zip(*statistics)]
        ...         rates = torch.where(count > 0, count / total, numbers["rates"])
        ...         return {"rates": rates}
        ...
        ...     def sample(self, numbers, labels, generator):
        ...         rates = numbers["rates"][labels]
        ...         return torch.empty_like(rates).exponential_(generator=generator) / rates
        >>> from pgm.mixture import Mixture
        >>> x = torch.tensor([[0.1], [0.2], [0.3], [9.0], [10.0], [11.0]])
        >>> model = Mixture(2, Exponential()).fit(x, max_iter=500, generator=0)
        >>> (1 / model.rates).flatten().sort().values.round().tolist()
        [0.0, 9.0]
    """

    name: ClassVar[str]
    own_init: ClassVar[Init] = "kmeans"
    takes_prior: ClassVar[bool] = False

    @property
    @abstractmethod
    def width(self) -> int:
        """Number of columns of a row."""

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """Arguments that build the family: JSON values."""

    @abstractmethod
    def blank(self, n_components: int) -> dict[str, Tensor]:
        """Numbers before any are learned, float64."""

    @abstractmethod
    def n_parameters(self, n_components: int) -> int:
        """Number of free numbers."""

    @abstractmethod
    def log_likelihood(self, numbers: Numbers, prepared: Any) -> Tensor:
        """Log-probabilities (or densities) of n rows in every component, (K, n), nats.

        What is missing is summed out; a row without entries has log-probability zero.
        """

    @abstractmethod
    def statistics(self, numbers: Numbers, prepared: Any, weights: Tensor) -> Any:
        """What `maximize` needs to know of n rows.

        Arguments:
            numbers: of the present.
            prepared: the rows.
            weights: of every row in every component, (K, n).
        """

    @abstractmethod
    def maximize(
        self, numbers: Numbers, statistics: Sequence[Any], reference: Any, prior: float
    ) -> dict[str, Tensor]:
        """The next numbers; a component without any weight keeps its present ones.

        Arguments:
            numbers: of the present.
            statistics: of every block of rows.
            reference: what `reference` found.
            prior: weight of the pseudo-rows.
        """

    @abstractmethod
    def sample(self, numbers: Numbers, labels: Tensor, generator: torch.Generator) -> Tensor:
        """One row for every component in ``labels`` (n,), (n, d)."""

    def check(self, numbers: Numbers) -> None:
        """Refuse numbers that are no law; by default, those that are not finite.

        Raises:
            ValueError: naming the parameter.
        """
        check_finite(**numbers)

    def columns(self, x: Any) -> tuple[Any, Titles]:
        """The columns of the rows of a user that are meant, and their names for messages."""
        names = list(x.columns) if is_pandas(x) and x.ndim == 2 else None
        return x, lambda j: f"column {j if names is None else repr(names[j])}"

    def read(self, x: Any, device: torch.device) -> Tensor:
        """Rows of a user as float64 (n, d), NaN for missing; differentiable where x is.

        Raises:
            TypeError, ValueError: if they are no rows of the family, naming the column.
        """
        x, title = self.columns(x)
        rows = read_rows(x, self.width, device)
        if isinstance(x, Tensor):
            return self.clean(x.to(device, torch.float64), title)
        # A copy, as arrays may be read-only or run backwards.
        values = torch.from_numpy(np.array(rows)) if isinstance(rows, np.ndarray) else rows
        return self.clean(values.to(torch.float64), title)

    def clean(self, values: Tensor, title: Titles) -> Tensor:
        """Numbers (n, d) in the range of the family, NaN for missing.

        Raises:
            ValueError: naming the column of a number out of range.
        """
        return values

    def reference(self, values: Tensor, weights: Tensor) -> Any:
        """What the other methods need to know of all rows (n, d) and their weights (n,)."""
        return None

    def prepare(self, values: Tensor, reference: Any) -> Any:
        """Rows in the form that is read again and again; outside learning, with None."""
        return values

    def row_numbers(self, n_components: int) -> int:
        """How many numbers learning keeps of every row."""
        return self.width

    def log_prior(self, numbers: Numbers, reference: Any, prior: float) -> Tensor:
        """Logarithm of the prior up to a constant, ()."""
        return torch.zeros((), dtype=torch.float64, device=next(iter(numbers.values())).device)

    def feasible(self, numbers: Numbers, reference: Any) -> dict[str, Tensor]:
        """Numbers moved to where `maximize` may leave them."""
        return dict(numbers)

    def broad(self, reference: Any, n_components: int) -> dict[str, Tensor]:
        """Numbers with which every component describes all rows."""
        return self.blank(n_components)

    def around(self, rows: Tensor, reference: Any) -> dict[str, Tensor]:
        """Numbers of components that describe what is near one row each, rows (K, d).

        Raises:
            ValueError: if the family cannot tell.
        """
        raise ValueError(
            f"init 'random_from_data' is not known to the family {self.name!r}; use 'kmeans' or "
            "'random'"
        )

    def points(self, values: Tensor, reference: Any) -> Tensor:
        """Rows (n, d) as points, between which k-means measures distances, (n, p)."""
        return DiagonalGaussianEmissions(self.width, "diag").reference(values).standardize(values)
