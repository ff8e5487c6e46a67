"""Latent class model: discrete columns that are independent once a hidden class is known.

.. math:: p(x) = \\sum_{k=1}^{K} \\pi_k \\prod_j p_{kj x_j}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from inference.exact.evidence import Variables
from inference.inputs import as_whole
from inference.random import GeneratorLike
from pgm.bayesian_network import BayesianNetwork
from pgm.discrete_data import DiscreteData
from pgm.mixtures.families.categorical import Categorical
from pgm.mixtures.families.family import Init
from pgm.mixtures.families.family_mixture import FamilyMixture
from pgm.mixtures.families.learning import FamilySettings

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["LatentClassModel"]

#: Number of different rows up to which they can be numbered.
MOST_KEYS = 2**62


class LatentClassModel(FamilyMixture):
    """Naive Bayes whose class nobody has seen, fitted by expectation-maximisation.

    .. math:: p(x, k) = \\pi_k \\prod_{j \\text{ observed}} p_{kj x_j}

    Rows are a DataFrame or a mapping of columns with labels or codes, or a matrix (n, V) of codes
    in the order of ``states``. Missing cells (-1, None, NaN) are summed out exactly. Equal rows
    are learned from at once.

    Arguments:
        n_classes: K.
        states: for every column its number of states or their labels.

    Attributes:
        weights: parameter (K,), probabilities of the classes.
        probs: parameter (K, S), probabilities of the states of all columns, side by side; see
            `tables`.
        converged_: whether the best run of the last fit has stood still.
        n_iter_: steps of that run.

    Raises:
        TypeError, ValueError: for arguments of the wrong kind or out of range.

    Reference:
        Lazarsfeld & Henry 1968, "Latent structure analysis"; Goodman 1974, "Exploratory latent
        structure analysis using both identifiable and unidentifiable models", eq. 1 to 10.

    Example:
        >>> rows = {"cough": ["no", "yes", "yes", None], "fever": ["no", "yes", None, "no"]}
        >>> model = LatentClassModel(2, {"cough": ["no", "yes"], "fever": ["no", "yes"]})
        >>> model.fit(rows, generator=0).predict(rows).tolist() in ([0, 1, 1, 0], [1, 0, 0, 1])
        True
    """

    probs: Tensor

    def __init__(self, n_classes: int, states: Mapping[str, int | Sequence[str]]) -> None:
        k, variables = as_whole("n_classes", n_classes, least=1), Variables(states)
        super().__init__(k, Categorical(variables.cards))
        self.variables = variables

    @property
    def n_classes(self) -> int:
        """K."""
        return len(self.weights)

    @property
    def states(self) -> dict[str, int | tuple[str, ...]]:
        """Number of states or labels of every column."""
        return self.variables.states

    @property
    def tables(self) -> dict[str, Tensor]:
        """Probabilities of the states of every column given the class, (K, states)."""
        parts = self.probs.split(self.variables.cards, dim=1)
        return dict(zip(self.variables.names, parts, strict=True))

    def fit(
        self,
        data: Any,
        sample_weight: Any = None,
        *,
        prior: float = 0.0,
        weight_prior: float = 0.0,
        n_init: int = 1,
        init: Init | None = None,
        max_iter: int = 1000,
        tol: float = 1e-6,
        generator: GeneratorLike = None,
        progress: bool | None = None,
    ) -> Self:
        """Find the classes that make the rows, and the prior, most probable.

        Arguments:
            data: rows.
            sample_weight: of the rows, (n,).
            prior: pseudo-rows in every class, whose columns have the shares of all rows.
            weight_prior: pseudo-count of every class.
            n_init: starts, of which the best end is kept.
            init: "random_from_data" (the default), "kmeans", "random" or "current".
            max_iter: most steps of a run.
            tol: the change of the objective per row that ends a run, nats; 0 makes every step.
            generator: for starts.
            progress: True, False, or None: a bar if on a terminal.

        Fills ``history``: one dict per step of every run, with ``start``, ``iteration``,
        ``objective`` (before the step, nats) and ``change``.

        Warns:
            ConvergenceWarning: if ``max_iter`` steps did not suffice.

        Raises:
            TypeError, ValueError: for rows, weights or settings that nothing can be learned from;
                the model is then unchanged.
        """
        settings = FamilySettings(prior, weight_prior, n_init, init, max_iter, tol)
        rows = DiscreteData(data, self.variables, sample_weight)
        rows.require_rows("data")
        if len(rows) < self.n_classes:
            raise ValueError(
                f"n_classes must be at most the number of rows, found {self.n_classes} classes "
                f"and {len(rows)} rows"
            )
        codes, weights = _distinct(rows, self.n_classes)
        names = self.variables.names
        self._learn(
            _as_values(codes, self.device),
            torch.from_numpy(weights),
            settings,
            title=lambda j: f"column {names[j]!r}",
            generator=generator,
            progress=progress,
        )
        return self

    def _read(self, x: Any) -> Tensor:
        return _as_values(DiscreteData(x, self.variables, argument="x").codes(), self.device)

    def posterior(self, x: Any) -> Tensor:
        """Probabilities of the classes given the rows, (n, K): `predict_proba`."""
        return self.predict_proba(x)

    def to_bayesian_network(self, class_name: str = "class") -> BayesianNetwork:
        """The same law as a network: the class is the parent of every column.

        Raises:
            ValueError: if a column has the name ``class_name``.

        Example:
            >>> model = LatentClassModel(2, {"cough": ["no", "yes"], "fever": 2})
            >>> model.to_bayesian_network().states["class"]
            range(0, 2)
        """
        if class_name in self.variables.index:
            raise ValueError(f"class_name {class_name!r} is the name of a column; give another")
        states: dict[str, Any] = {class_name: self.n_classes, **self.states}
        tables = {class_name: self.weights, **self.tables}
        return BayesianNetwork(
            [(class_name, name) for name in self.variables.names],
            states,
            {name: table.detach().cpu() for name, table in tables.items()},
        )

    def extra_repr(self) -> str:
        """Size, for ``repr``."""
        return f"{self.n_classes} classes, {len(self.variables.names)} columns"

    def config(self) -> dict[str, Any]:
        """Number of classes, and the columns with their states."""
        states = [
            [name, known if isinstance(known, int) else list(known)]
            for name, known in self.states.items()
        ]
        return {"n_classes": self.n_classes, "states": states}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """A model of the shape that `config` tells."""
        return cls(config["n_classes"], dict(config["states"]))


def _as_values(codes: np.ndarray, device: torch.device) -> Tensor:
    """Codes as the family reads them: NaN where they are missing."""
    values = torch.from_numpy(codes).to(device, torch.float64)
    return torch.where(values < 0, torch.nan, values)


def _distinct(rows: DiscreteData, least: int) -> tuple[np.ndarray, np.ndarray]:
    """Different rows (m, V) and their summed weights (m,); all rows if these are too few."""
    codes = rows.codes()
    weights = np.ones(len(rows)) if rows.weights is None else rows.weights
    keys, size = np.zeros(len(rows), dtype=np.int64), 1
    for column, card in zip(codes.T, rows.cards, strict=True):
        size *= card + 1
        if size > MOST_KEYS:
            return codes, weights
        keys = keys * (card + 1) + column + 1
    _, first, of_row = np.unique(keys, return_index=True, return_inverse=True)
    if len(first) < least:
        return codes, weights
    return codes[first], np.bincount(of_row, weights, minlength=len(first))
