"""The kinds of units that layers can be named by, and which may stand side by side.

.. math:: Z = \\int e^{-E(v, h)} < \\infty
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from torch import Tensor

from energy.rbm.categorical_units import CategoricalUnits
from energy.rbm.rectified_units import RectifiedUnits
from energy.rbm.units import BernoulliUnits, GaussianUnits, Units
from inference.inputs import as_whole, check_choice

__all__ = ["HiddenKind", "VisibleKind", "check_kinds", "hidden_units", "visible_units"]

VisibleKind: TypeAlias = Literal["bernoulli", "gaussian", "categorical"]
HiddenKind: TypeAlias = Literal["bernoulli", "gaussian", "rectified"]


def check_kinds(visible: VisibleKind, hidden: HiddenKind, n_states: int | None) -> None:
    """Refuse kinds of layers that cannot stand side by side.

    Raises:
        TypeError, ValueError: an unknown kind, real units on both sides, a number of states that
            is missing or not wanted.

    Example:
        >>> check_kinds("gaussian", "bernoulli", None)
    """
    for name, kind, known in (("visible", visible, VisibleKind), ("hidden", hidden, HiddenKind)):
        check_choice(name, kind, known)
    if visible == "gaussian" and hidden != "bernoulli":
        raise ValueError(
            "visible and hidden units must not both be real: that law has no Z where weights are "
            'large; use hidden="bernoulli"'
        )
    if visible == "categorical":
        if n_states is None:
            raise ValueError("n_states must be given for categorical visible units")
        as_whole("n_states", n_states, least=2)
    elif n_states is not None:
        raise ValueError(f"n_states is of categorical visible units, these are {visible}")


def visible_units(kind: VisibleKind, n_states: int | None, log_precision: Tensor | None) -> Units:
    """Visible units of a kind, with their numbers."""
    if n_states is not None:
        return CategoricalUnits(n_states)
    return BernoulliUnits() if log_precision is None else GaussianUnits(log_precision)


def hidden_units(kind: HiddenKind, bias: Tensor) -> Units:
    """Hidden units of a kind; the precision of real ones is one."""
    if kind == "gaussian":
        return GaussianUnits(bias.new_zeros(bias.shape))
    return RectifiedUnits() if kind == "rectified" else BernoulliUnits()
