"""Rows and conditions as users pass them, as the networks take them.

.. math:: x : (\\text{batch}, *\\text{event}), \\qquad c : (\\text{batch}, \\text{features})
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import Tensor

from generative.trial import evaluating, holds_whole_numbers, tried
from generative.vae.coder import Coder
from inference.inputs import Values, as_tensors

__all__ = ["Augment", "check_rows", "prepared", "prepared_codes", "read_rows"]

#: From a batch, with draws of a generator, to the batch that is learned from.
Augment: TypeAlias = Callable[[Tensor, torch.Generator], Tensor]


def read_rows(name: str, x: Values, like: Tensor, whole: bool) -> Tensor:
    """Rows (batch, *event), in the type and on the device of a tensor.

    Arguments:
        name: of the argument, for messages.
        x: what was passed.
        like: of the type of the networks.
        whole: whether whole numbers stay whole.

    Raises:
        TypeError: if they are no real numbers.
        ValueError: NaN, no rows, rows of single numbers without an axis.

    Example:
        >>> read_rows("x", [[1, 0]], torch.zeros(1), whole=False)
        tensor([[1., 0.]])
        >>> read_rows("x", [[1, 0]], torch.zeros(1), whole=True)
        tensor([[1, 0]])
    """
    (rows,) = as_tensors(**{name: x})
    if rows.ndim < 2 or not rows.numel():
        raise ValueError(
            f"{name} must be (batch, *event) and not empty, found {tuple(rows.shape)}; a single "
            "observation is x[None]"
        )
    if whole and holds_whole_numbers(x):
        return rows.to(like.device, torch.int64)
    return rows.to(like)


def check_rows(name: str, rows: Tensor, told: Tensor | None, coder: Coder) -> None:
    """Refuse rows that the likelihood does not know, or networks that do not fit them.

    The networks are tried on one row, in evaluation mode.

    Arguments:
        name: of the argument, for messages.
        rows: (n, *event).
        told: conditions that have been read, or None.
        coder: the networks.

    Raises:
        ValueError: then; it says which network was given what.
    """
    with torch.no_grad(), evaluating(coder.encoder, coder.decoder):
        features = coder.conditions(None if told is None else told[:1], coder.like)
        z = coder.like.new_zeros(1, coder.latent_dim)
        tried("encoder", coder.encoder, rows[:1], features)
        coder.encode(rows[:1], features)
        output = tried("decoder", coder.decoder, z, features)
        tried("prior", coder.log_prior, z)
        coder.law.check(name, rows, output)


def prepared(coder: Coder, name: str, x: Values, condition: Any) -> tuple[Tensor, Tensor | None]:
    """Rows and the features of their conditions, checked.

    Raises:
        TypeError, ValueError: rows or conditions that the model does not take.
    """
    rows = read_rows(name, x, coder.like, coder.law.whole)
    told = coder.conditions.read(condition, len(rows), coder.like)
    check_rows(name, rows, told, coder)
    return rows, coder.conditions(told, coder.like)


def prepared_codes(coder: Coder, z: Values, condition: Any) -> tuple[Tensor, Tensor | None]:
    """Latent numbers (batch, latent_dim) and the features of their conditions, checked.

    Raises:
        TypeError, ValueError: numbers of another shape, conditions that the model does not take.
    """
    (found,) = as_tensors(z=z)
    if found.ndim != 2 or found.shape[1] != coder.latent_dim:
        raise ValueError(f"z must be (batch, {coder.latent_dim}), found {tuple(found.shape)}")
    told = coder.conditions.read(condition, len(found), coder.like)
    return found.to(coder.like), coder.conditions(told, coder.like)
