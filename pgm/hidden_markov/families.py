"""The families of emissions by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

from inference.inputs import as_whole, check_choice
from pgm.chains.alphabet import Alphabet
from pgm.hidden_markov.categorical import CategoricalEmissions
from pgm.hidden_markov.diagonal_gaussian import DiagonalGaussianEmissions
from pgm.hidden_markov.emissions import Emissions
from pgm.hidden_markov.full_gaussian import FullGaussianEmissions
from pgm.hidden_markov.gaussian import CovarianceType
from pgm.hidden_markov.poisson import PoissonEmissions

__all__ = ["EmissionName", "as_family"]

EmissionName: TypeAlias = Literal["categorical", "gaussian", "poisson"]


def as_family(
    emission: EmissionName,
    n_symbols: int | Sequence[str] | None,
    n_features: int | None,
    covariance_type: CovarianceType,
) -> Emissions:
    """The family that the arguments of a model describe.

    Raises:
        TypeError: if an argument is of the wrong kind.
        ValueError: if a name is not known, a size is too small, or an argument belongs to another
            family.

    Example:
        >>> as_family("gaussian", None, 3, "full").width
        3
    """
    check_choice("emission", emission, EmissionName)
    _refuse(emission == "categorical" or n_symbols is None, "n_symbols", "categorical", n_symbols)
    _refuse(
        emission != "categorical" or n_features is None,
        "n_features",
        "gaussian' or 'poisson",
        n_features,
    )
    if emission == "categorical":
        return CategoricalEmissions(None if n_symbols is None else Alphabet(n_symbols))
    width = 0 if n_features is None else as_whole("n_features", n_features, least=1)
    if emission == "poisson":
        return PoissonEmissions(width)
    check_choice("covariance_type", covariance_type, CovarianceType)
    if covariance_type in ("full", "tied"):
        return FullGaussianEmissions(width, covariance_type)
    return DiagonalGaussianEmissions(width, covariance_type)


def _refuse(fits: bool, name: str, owner: str, value: Any) -> None:
    """Refuse an argument of another family."""
    if not fits:
        raise ValueError(f"{name} is for emission {owner!r} only, found {value!r}")
