"""The families by name: how a file tells which one it holds.

.. math:: \\text{family} \\leftrightarrow (\\text{name}, \\text{arguments})
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pgm.mixtures.families.bernoulli import Bernoulli
from pgm.mixtures.families.categorical import Categorical
from pgm.mixtures.families.family import Family
from pgm.mixtures.families.gaussian import Gaussian
from pgm.mixtures.families.poisson import Poisson
from pgm.mixtures.families.product import Product
from pgm.mixtures.families.student_t import StudentT

__all__ = ["describe_family", "rebuild_family"]

_KNOWN: dict[str, type[Family]] = {
    kind.name: kind for kind in (Bernoulli, Categorical, Gaussian, Poisson, StudentT)
}


def describe_family(family: Family) -> dict[str, Any]:
    """Name and arguments, JSON values.

    Example:
        >>> describe_family(Bernoulli(3))
        {'name': 'bernoulli', 'arguments': {'n_features': 3}}
    """
    if isinstance(family, Product):
        parts = [
            {"columns": list(columns), "family": describe_family(part)}
            for columns, part in family.parts
        ]
        return {"name": family.name, "arguments": {"parts": parts}}
    return {"name": family.name, "arguments": family.config()}


def rebuild_family(description: Mapping[str, Any], own: Family | None) -> Family:
    """The family that was described.

    Arguments:
        description: what `describe_family` returned.
        own: the user's, which must be the one described; None for a family of the library.

    Raises:
        ValueError: if the family is not known, or another one than ``own``.

    Example:
        >>> rebuild_family(describe_family(Bernoulli(3)), None)
        Bernoulli(n_features=3)
    """
    if own is not None:
        if describe_family(own) != description:
            raise ValueError(
                f"family must be the one of the file, {description}, found {describe_family(own)}"
            )
        return own
    name, arguments = description["name"], description["arguments"]
    if name == Product.name:
        return Product(
            {
                tuple(part["columns"]): rebuild_family(part["family"], None)
                for part in arguments["parts"]
            }
        )
    if name not in _KNOWN:
        raise ValueError(
            f"the family {name!r} is not one of {', '.join(sorted(_KNOWN))}; pass yours as family"
        )
    return _KNOWN[name](**arguments)
