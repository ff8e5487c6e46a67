"""A named table of logarithms: the one language that all discrete models speak.

.. math:: \\phi(x_S) = e^{\\ell(x_S)}, \\qquad \\ell \\in [-\\infty, \\infty)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, SupportsIndex

import numpy as np
import torch
from torch import Tensor

from inference.logspace import logsumexp, safe_log

__all__ = ["Factor"]


class Factor:
    """A non-negative function of a few discrete variables, stored as float logarithms.

    Arguments:
        scope: names of the table's axes, in order, without repetition.
        log_values: logarithms, ``(*cards)``, or ``(B, *cards)`` for a batch of tables; -inf is a
            hard zero. Kept as given when it is a float tensor (so that gradients reach it),
            otherwise copied to float64.

    Raises:
        TypeError: if ``scope`` is not a sequence of names.
        ValueError: if axes and names do not match, or a value is NaN or +inf.

    Reference:
        Koller & Friedman 2009, definition 4.1.

    Example:
        >>> f = Factor.from_potential(["a", "b"], [[1.0, 3.0], [2.0, 2.0]])
        >>> f.marginalize("b").values.tolist()
        [4.0, 4.0]
    """

    def __init__(self, scope: Sequence[str], log_values: Any) -> None:
        named = isinstance(scope, Sequence) and not isinstance(scope, str)
        if not named or not all(isinstance(name, str) for name in scope):
            raise TypeError(f"scope must be a sequence of variable names, found {scope!r}")
        self.scope = tuple(scope)
        if len(set(self.scope)) != len(self.scope):
            raise ValueError(f"scope names a variable twice: {self.scope}")
        if isinstance(log_values, Tensor) and log_values.is_floating_point():
            values = log_values
        else:
            values = _copied(log_values)
        if values.ndim - len(self.scope) not in (0, 1):
            raise ValueError(
                f"log_values of a factor over {self.scope} needs {len(self.scope)} axes (or one "
                f"more for a batch), found shape {tuple(values.shape)}"
            )
        if 0 in values.shape:
            raise ValueError(f"log_values has an empty axis: shape {tuple(values.shape)}")
        bad = values.detach().isnan() | values.detach().isposinf()
        if bool(bad.any()):
            raise ValueError(
                f"log_values of the factor over {self.scope} holds NaN or +inf; logarithms must "
                "be finite or -inf"
            )
        self.log_values = values

    @classmethod
    def from_potential(cls, scope: Sequence[str], values: Any) -> Factor:
        """Build a factor from non-negative values; zeros become hard zeros.

        Raises:
            ValueError: if a value is negative or NaN.
        """
        if not (isinstance(values, Tensor) and values.is_floating_point()):
            values = _copied(values)
        if not bool((values.detach() >= 0).all()):
            raise ValueError(f"values of the factor over {tuple(scope)} must be numbers >= 0")
        return cls(scope, safe_log(values))

    @property
    def values(self) -> Tensor:
        """The potentials themselves, ``exp(log_values)``."""
        return self.log_values.exp()

    @property
    def batched(self) -> bool:
        """Whether a leading batch axis precedes the scope's axes."""
        return self.log_values.ndim > len(self.scope)

    @property
    def cardinalities(self) -> dict[str, int]:
        """Number of states of each variable of the scope."""
        shape = self.log_values.shape[self.log_values.ndim - len(self.scope) :]
        return dict(zip(self.scope, shape, strict=True))

    def __repr__(self) -> str:
        axes = ", ".join([f"{name}: {card}" for name, card in self.cardinalities.items()])
        batch = f"batch {self.log_values.shape[0]}; " if self.batched else ""
        return f"Factor({batch}{axes})"

    def _axis(self, name: str) -> int:
        """Axis of a variable, counted from the end."""
        if name not in self.scope:
            raise ValueError(f"{name!r} is not in the scope {self.scope}")
        return self.scope.index(name) - len(self.scope)

    def permute(self, scope: Sequence[str]) -> Factor:
        """Return the same factor with its axes in the order of ``scope``."""
        if sorted(scope) != sorted(self.scope):
            raise ValueError(f"scope {tuple(scope)} is no reordering of {self.scope}")
        lead = list(range(self.log_values.ndim - len(self.scope)))
        order = [self.log_values.ndim + self._axis(name) for name in scope]
        return Factor(scope, self.log_values.permute([*lead, *order]))

    def __mul__(self, other: Factor) -> Factor:
        """Multiply factors over the union of their scopes."""
        if not isinstance(other, Factor):
            return NotImplemented
        cards = self.cardinalities
        for name, card in other.cardinalities.items():
            if cards.get(name, card) != card:
                raise ValueError(f"{name!r} has {cards[name]} and {card} states in two factors")
        batches = [len(factor.log_values) for factor in (self, other) if factor.batched]
        if len({*batches, 1}) > 2:
            raise ValueError(f"the factors are batches of different sizes: {batches}")
        scope = self.scope + tuple([name for name in other.scope if name not in self.scope])
        return Factor(scope, self._spread(scope) + other._spread(scope))

    def _spread(self, scope: Sequence[str]) -> Tensor:
        """Log values with axes of length one for the names this factor lacks."""
        own = self.permute([name for name in scope if name in self.scope])
        cards = own.cardinalities
        lead = tuple(own.log_values.shape[: own.log_values.ndim - len(own.scope)])
        return own.log_values.reshape(lead + tuple([cards.get(name, 1) for name in scope]))

    def _without(self, names: str | Iterable[str]) -> tuple[tuple[int, ...], list[str]]:
        """Axes of some variables, and the names of the others."""
        names = [names] if isinstance(names, str) else list(names)
        axes = tuple([self._axis(name) for name in names])
        if len(set(axes)) != len(axes):
            raise ValueError(f"names has a variable twice: {names}")
        return axes, [name for name in self.scope if name not in names]

    def marginalize(self, names: str | Iterable[str]) -> Factor:
        """Sum variables out."""
        axes, kept = self._without(names)
        return Factor(kept, logsumexp(self.log_values, axes) if axes else self.log_values)

    def maximize(self, names: str | Iterable[str]) -> Factor:
        """Maximise over variables."""
        axes, kept = self._without(names)
        return Factor(kept, self.log_values.amax(axes) if axes else self.log_values)

    def condition(self, states: Mapping[str, int]) -> Factor:
        """Fix variables to state codes; their axes disappear."""
        values = self.log_values
        cards = self.cardinalities
        for name, state in states.items():
            self._axis(name)
            if isinstance(state, bool) or not isinstance(state, SupportsIndex):
                raise TypeError(f"the state of {name!r} must be a whole number, found {state!r}")
            if not 0 <= int(state) < cards[name]:
                raise ValueError(f"state {state} of {name!r} is outside 0..{cards[name] - 1}")
        index = [states.get(name, slice(None)) for name in self.scope]
        kept = [name for name in self.scope if name not in states]
        return Factor(kept, values[(..., *index)])

    def normalize(self) -> Factor:
        """Scale to total one (a factor that is zero everywhere cannot be)."""
        total = logsumexp(self.log_values, tuple(range(-len(self.scope), 0)), keepdim=True)
        if bool(total.detach().isneginf().any()):
            raise ValueError(f"the factor over {self.scope} is zero everywhere")
        return Factor(self.scope, self.log_values - total)


def _copied(values: Any) -> Tensor:
    """A float64 copy of numbers in any container and memory layout."""
    if isinstance(values, Tensor):
        return values.detach().double()
    return torch.from_numpy(np.array(values, dtype=np.float64, order="C"))
