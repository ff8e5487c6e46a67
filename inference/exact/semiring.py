"""The array operations of the semirings that one contraction plan is run in.

Elimination replaces the variables of a product by a total over them; what "product" and "total"
mean decides whether the root holds Z, log Z or the largest weight (Aji & McEliece 2000).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

__all__ = ["MAX_LOG", "SUM_LINEAR", "SUM_LOG", "Semiring"]

Axis = int | tuple[int, ...] | None


def _log_sum(
    array: np.ndarray,
    axis: Axis = 0,
    dtype: None = None,
    out: np.ndarray | None = None,
    keepdims: bool = False,
) -> np.ndarray:
    """Logarithm of the sum of exponentials, with the signature of a ufunc's reduce."""
    peak = np.maximum.reduce(array, axis=axis, keepdims=True)
    shift = np.where(np.isneginf(peak), 0.0, peak)
    with np.errstate(divide="ignore"):
        total = np.log(np.add.reduce(np.exp(array - shift), axis=axis, keepdims=True))
    total += shift
    if out is None:
        return total if keepdims else np.squeeze(total, axis)
    out[...] = total.reshape(out.shape)
    return out


@dataclass(frozen=True)
class Semiring:
    """A commutative semiring on float64 arrays.

    Arguments:
        name: for caches and messages.
        product: ufunc that combines factors.
        quotient: ufunc that takes a factor out again.
        total: reduction (array, axis, dtype, out, keepdims) that eliminates variables.
        one: neutral element of the product.
        floor: below every possible message entry but zero; quotients by it keep zero zero.
        linear: whether entries are probabilities rather than logarithms.
        sums: whether totals are sums, so that a conditional distribution totals one.
    """

    name: str
    product: np.ufunc
    quotient: np.ufunc
    total: Callable[..., np.ndarray]
    one: float
    floor: float
    linear: bool
    sums: bool


#: Probabilities: multiply and add. The fast one; tables have entries at most one.
SUM_LINEAR = Semiring(
    "sum", np.multiply, np.divide, np.add.reduce, 1.0, 1e-300, linear=True, sums=True
)
#: Log-probabilities: add and log-sum-exp. For numbers of any range.
SUM_LOG = Semiring("log-sum", np.add, np.subtract, _log_sum, 0.0, -1e300, linear=False, sums=True)
#: Log-probabilities: add and take the largest.
MAX_LOG = Semiring(
    "max", np.add, np.subtract, np.maximum.reduce, 0.0, -1e300, linear=False, sums=False
)
