"""Numbers as users pass them - tensors, arrays, lists - turned into checked tensors.

.. math:: p_i \\ge 0, \\qquad \\Bigl|\\sum_i p_i - 1\\Bigr| \\le \\tau
"""

from __future__ import annotations

import math
import operator
from typing import Any, TypeAlias, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

__all__ = [
    "Values",
    "as_tensor",
    "as_tensors",
    "as_weights",
    "as_whole",
    "check_choice",
    "check_dense",
    "check_distribution",
    "check_finite",
    "log_base",
    "tolerance",
    "unmasked",
]

Values: TypeAlias = Tensor | ArrayLike


def as_tensor(name: str, values: Values) -> Tensor:
    """A tensor as it is; an array or lists of numbers as a tensor of their own type and memory.

    Arguments:
        name: the argument's name, for messages.
        values: what was passed. Lists of floats are float64, and so is what is longer.

    Raises:
        TypeError: if it does not hold real numbers or booleans.
        ValueError: if it is ragged or masked.

    Example:
        >>> as_tensor("codes", [[0, 2]])
        tensor([[0, 2]])
    """
    if isinstance(values, Tensor):
        return values
    try:
        array = np.array(values, order="C")
    except ValueError as error:
        raise ValueError(f"{name} must be a rectangular array of numbers: {error}") from None
    except RuntimeError:
        raise TypeError(
            f"{name} must hold numbers, found a {type(values).__name__} of tensors with "
            "gradients; pass torch.stack of them"
        ) from None
    if np.ma.is_masked(values):
        raise ValueError(f"{name} must have no masked entries; pass {name}.filled(value)")
    if array.dtype.kind not in "buif":
        raise TypeError(
            f"{name} must hold real numbers, found {type(values).__name__} "
            f"of dtype {array.dtype}; pass a tensor, an array or nested lists of numbers"
        )
    # Torch has neither long doubles nor bytes in the other order.
    known = np.float64 if array.dtype.itemsize > 8 else array.dtype.newbyteorder("=")
    return torch.from_numpy(array.astype(known, copy=False))


def unmasked(values: Any, dtype: type) -> Any:
    """A masked array as one that says itself what is missing; anything else as it is.

    Arguments:
        values: what was passed.
        dtype: ``object``, in which None is missing, or ``float``, in which NaN is.

    Example:
        >>> unmasked(np.ma.masked_equal([3, -1], -1), float).tolist()
        [3.0, nan]
    """
    if not np.ma.is_masked(values):
        return values
    plain = values.data.astype(dtype)
    plain[np.ma.getmaskarray(values)] = None if dtype is object else np.nan
    return plain


def as_tensors(**values: Values) -> list[Tensor]:
    """Turn named arguments into floating-point tensors of one dtype on one device.

    .. math:: \\text{float32 stays}, \\qquad \\text{integers and lists} \\to \\text{float64}

    Arguments:
        values: tensors, arrays or lists. What is not a tensor follows the first tensor's device.

    Returns:
        The tensors, in the order of the arguments.

    Raises:
        TypeError: if an argument does not hold real numbers.
        ValueError: if an argument holds a NaN or is ragged.

    Example:
        >>> as_tensors(p=[1, 3])
        [tensor([1., 3.], dtype=torch.float64)]
    """
    found = [value for value in values.values() if isinstance(value, Tensor)]
    device = found[0].device if found else torch.device("cpu")
    tensors = [_as_tensor(name, value, device) for name, value in values.items()]
    dtype = tensors[0].dtype
    for tensor in tensors[1:]:
        dtype = torch.promote_types(dtype, tensor.dtype)
    return [tensor.to(dtype) for tensor in tensors]


def check_choice(name: str, found: object, literal: Any) -> None:
    """Refuse what is not among the choices of a ``Literal``, or of a union of such and None.

    Raises:
        ValueError: naming the argument and the choices.

    Example:
        >>> from typing import Literal
        >>> check_choice("kind", "bits", Literal["counts", "rates"])
        Traceback (most recent call last):
        ValueError: kind must be one of counts, rates, found 'bits'
    """
    known = [choice for part in get_args(literal) for choice in (get_args(part) or (part,))]
    known = [None if choice is type(None) else choice for choice in known]
    if found not in known:
        raise ValueError(f"{name} must be one of {', '.join(map(str, known))}, found {found!r}")


def check_dense(x: Any) -> None:
    """Refuse sparse matrices of scipy and sparse tensors.

    Raises:
        TypeError: if ``x`` is one.

    Example:
        >>> check_dense(torch.eye(2))
    """
    if type(x).__module__.startswith("scipy.sparse"):
        raise TypeError("X must be dense, found a sparse matrix; pass X.toarray()")
    if isinstance(x, Tensor) and x.layout is not torch.strided:
        raise TypeError("X must be dense, found a sparse tensor; pass X.to_dense()")


def as_weights(sample_weight: Values | None, n_rows: int) -> Tensor:
    """Weights of rows, in float64 and memory of their own; ones for None.

    .. math:: 0 \\le w_i < \\infty

    Arguments:
        sample_weight: what a user passed under this name.
        n_rows: how many there must be.

    Shapes:
        result: (n_rows,), on the device of a tensor given.

    Raises:
        TypeError: if they are no numbers.
        ValueError: if there is not one finite and non-negative weight per row.

    Example:
        >>> as_weights([2, 0], 2)
        tensor([2., 0.], dtype=torch.float64)
    """
    if sample_weight is None:
        return torch.ones(n_rows, dtype=torch.float64)
    weights = as_tensor("sample_weight", sample_weight)
    if weights.is_complex():
        raise TypeError(f"sample_weight must hold real numbers, found {weights.dtype}")
    weights = weights.detach().to(torch.float64, copy=True)
    if weights.shape != (n_rows,):
        raise ValueError(
            f"sample_weight must have shape ({n_rows},), one weight per row, "
            f"found {tuple(weights.shape)}"
        )
    wrong = ~(weights.isfinite() & (weights >= 0))
    if wrong.any():
        row = int(wrong.nonzero()[0])
        raise ValueError(
            f"sample_weight must be finite and not negative, found {weights[row].item():g} "
            f"in row {row}"
        )
    return weights


def as_whole(name: str, value: Any, least: int) -> int:
    """Check an argument that is a whole number.

    Arguments:
        name: the argument's name, for the message.
        value: what was passed.
        least: the smallest value allowed.

    Raises:
        TypeError: if it is no whole number.
        ValueError: if it is too small.

    Example:
        >>> as_whole("order", 2, least=0)
        2
    """
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None:
        raise TypeError(f"{name} must be a whole number, found {value!r}")
    if number < least:
        raise ValueError(f"{name} must be at least {least}, found {number}")
    return number


def tolerance(dtype: torch.dtype) -> float:
    """How far rounding may carry a sum from its exact value.

    .. math:: \\tau = 10^{-6}\\ (\\text{float64}),\\quad 10^{-4}\\ (\\text{float32}),\\quad
              10^{-2}\\ (\\text{half})

    Arguments:
        dtype: a floating-point type.

    Example:
        >>> tolerance(torch.float64)
        1e-06
    """
    return {torch.float64: 1e-6, torch.float32: 1e-4}.get(dtype, 1e-2)


def log_base(base: float) -> float:
    """Length of one unit of information in nats.

    .. math:: \\log b

    Arguments:
        base: of the logarithm; e for nats, 2 for bits, 10 for hartleys.

    Raises:
        ValueError: if ``base`` is not positive and finite, or is one.

    Reference:
        Cover & Thomas 2006, lemma 2.1.2.

    Example:
        >>> log_base(math.e)
        1.0
    """
    if not 0 < base < math.inf or base == 1:
        raise ValueError(f"base must be positive and not 1, found {base}; use e, 2 or 10")
    return math.log(base)


def check_finite(**tensors: Tensor) -> None:
    """Refuse infinite entries.

    .. math:: |x_i| < \\infty

    Arguments:
        tensors: named tensors.

    Raises:
        ValueError: at the first tensor with an infinite entry.

    Example:
        >>> check_finite(cost=torch.zeros(2))
    """
    for name, x in tensors.items():
        if not x.isfinite().all():
            raise ValueError(f"{name} must be finite, found {_first(x, ~x.isfinite())}")


def check_distribution(name: str, p: Tensor, axes: int = 1) -> None:
    """Refuse what is not a table of probabilities.

    .. math:: p_i \\ge 0, \\qquad \\Bigl|\\sum_i p_i - 1\\Bigr| \\le \\tau

    Arguments:
        name: the argument's name, for the message.
        p: probabilities.
        axes: how many of the last axes form one distribution.

    Shapes:
        p: (..., K) or, for two axes, (..., K, L).

    Raises:
        ValueError: if there are too few axes, a negative entry, or a sum that is not one within
            ``tolerance(p.dtype)``.

    Example:
        >>> check_distribution("p", torch.tensor([0.5, 0.5]))
    """
    where = "last axis" if axes == 1 else f"last {axes} axes"
    if p.ndim < axes or 0 in p.shape[p.ndim - axes :]:
        raise ValueError(
            f"{name} must be a table with entries on its {where}, found shape {tuple(p.shape)}"
        )
    if (p < 0).any():
        raise ValueError(
            f"{name} must hold probabilities, found {_first(p, p < 0)}; "
            "for logits, pass torch.softmax of them"
        )
    last = tuple(range(-axes, 0))
    total = p.sum(last)
    off = ~((total - 1).abs() <= tolerance(p.dtype))
    if off.any():
        raise ValueError(
            f"{name} must sum to one over its {where} within {tolerance(p.dtype):g}, "
            f"found sum {_first(total, off)}; divide it by its sum"
        )


def _as_tensor(name: str, value: Values, device: torch.device) -> Tensor:
    """Turn one argument into a floating-point tensor without NaN."""
    x = as_tensor(name, value)
    x = x if isinstance(value, Tensor) else x.to(device)
    if x.is_complex():
        raise TypeError(f"{name} must hold real numbers, found dtype {x.dtype}; pass x.real")
    x = x if x.is_floating_point() else x.double()
    if x.isnan().any():
        raise ValueError(f"{name} must not hold NaN, found {_first(x, x.isnan())}; remove the row")
    return x


def _first(x: Tensor, wrong: Tensor) -> str:
    """The first wrong entry and where it is, for a message."""
    index = tuple(wrong.nonzero()[0].tolist())
    return f"{x[index].item():g} at index {index}" if index else f"{x.item():g}"
