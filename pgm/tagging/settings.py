"""What a CRF tagger is told about its features and its training.

.. math:: f(w) = -\\sum_b \\log p(y_b \\mid x_b) + c_2 \\|w\\|_2^2 + c_1 \\|w\\|_1
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from numbers import Real
from typing import Any, Literal

import torch

from inference.inputs import as_whole, check_choice

__all__ = ["Method", "Precision", "Settings"]

Method = Literal["lbfgs", "sgd"]
Precision = Literal["single", "double"]


@dataclass(frozen=True)
class Settings:
    """Checked arguments of a tagger.

    Raises:
        TypeError, ValueError: if one is of the wrong kind or out of range.

    Example:
        >>> Settings(c1=0.1).limit, Settings(method="sgd").limit
        (1000, 30)
    """

    c1: float = 0.0
    c2: float = 1.0
    max_iterations: int | None = None
    method: Method = "lbfgs"
    min_freq: float = 0.0
    all_possible_states: bool = False
    all_possible_transitions: bool = False
    epsilon: float = 1e-5
    delta: float = 1e-5
    period: int = 10
    memory: int = 20
    batch_size: int = 32
    learning_rate: float = 0.2
    precision: Precision = "single"

    def __post_init__(self) -> None:
        for name in ("c1", "c2", "min_freq", "epsilon", "delta", "learning_rate"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, Real):
                raise TypeError(f"{name} must be a number, found {value!r}")
            if not 0 <= float(value) < math.inf:
                raise ValueError(f"{name} must be finite and not negative, found {value}")
            object.__setattr__(self, name, float(value))
        if self.learning_rate == 0:
            raise ValueError("learning_rate must be positive, found 0")
        for name in ("period", "memory", "batch_size"):
            object.__setattr__(self, name, as_whole(name, getattr(self, name), least=1))
        if self.max_iterations is not None:
            limit = as_whole("max_iterations", self.max_iterations, least=0)
            object.__setattr__(self, "max_iterations", limit)
        check_choice("method", self.method, Method)
        check_choice("precision", self.precision, Precision)

    @property
    def limit(self) -> int:
        """Most iterations, or passes over the data."""
        if self.max_iterations is not None:
            return self.max_iterations
        return 1000 if self.method == "lbfgs" else 30

    @property
    def dtype(self) -> torch.dtype:
        """Type of the weights."""
        return torch.float32 if self.precision == "single" else torch.float64

    def config(self) -> dict[str, Any]:
        """The arguments again."""
        return asdict(self)
