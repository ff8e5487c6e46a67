"""Emissions, masks and tags as users pass them, checked and packed without the padding.

.. math:: \\text{mask}_{bt} = [t < \\text{length}_b]
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from inference.exact.chain.layout import ChainLayout
from inference.inputs import Values, as_tensor
from pgm.linear_chain.forbidden import place

__all__ = ["Packed", "pack_emissions", "read_tags", "widened"]


@dataclass(frozen=True)
class Packed:
    """A batch of right-padded sequences without its padding.

    Attributes:
        emissions: (K, N), in packed order.
        layout: of the sequences.
        n_steps: T, tokens of a row with its padding.
    """

    emissions: Tensor
    layout: ChainLayout
    n_steps: int

    def pad(self, values: Tensor, fill: float = 0) -> Tensor:
        """Rows in packed order, (N, ...), as (B, T, ...)."""
        return self.layout.unpack_padded(values, self.n_steps, fill)


def widened(x: Tensor) -> Tensor:
    """Half precision as float32, all other types as they are."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def pack_emissions(
    emissions: Values, mask: Values | None, n_tags: int, device: torch.device
) -> Packed:
    """Check emissions (B, T, K) and mask (B, T), and pack the tokens.

    Half precision becomes float32. What stands in the padding is not looked at.

    Raises:
        TypeError: if the emissions are no floating-point numbers or the mask is not boolean.
        ValueError: if shapes do not fit, a row of the mask is not tokens first and padding last,
            or an emission of a token is NaN or +inf.
    """
    x = as_tensor("emissions", emissions)
    x = x if isinstance(emissions, Tensor) else x.to(device)
    if not x.is_floating_point():
        raise TypeError(f"emissions must be floating-point numbers, found {x.dtype}; convert them")
    if x.device != device:
        raise ValueError(
            f"emissions are on {x.device}, the model is on {device}; move one of them"
        )
    if x.ndim != 3 or x.shape[2] != n_tags:
        raise ValueError(
            f"emissions must be (batch, tokens, {n_tags} tags), found shape {tuple(x.shape)}"
        )
    layout = ChainLayout(_lengths(mask, x))
    packed = layout.pack_padded(widened(x))
    # The maximum is NaN where one of them is.
    if layout.n_tokens and not packed.detach().max() < torch.inf:
        _refuse(packed.detach(), layout)
    return Packed(packed.T, layout, x.shape[1])


def read_tags(tags: Values, packed: Packed, n_tags: int) -> Tensor:
    """Check tags (B, T) and pack those of tokens, (N,) int64; -1 is a missing tag.

    Raises:
        TypeError: if they are not whole numbers.
        ValueError: if the shape does not fit or a token's tag is out of range.
    """
    device, layout = packed.emissions.device, packed.layout
    found = as_tensor("tags", tags).to(device)
    if found.is_floating_point() or found.is_complex() or found.dtype == torch.bool:
        raise TypeError(f"tags must be whole numbers, found {found.dtype}; pass codes of tags")
    if found.shape != (layout.n_sequences, packed.n_steps):
        raise ValueError(
            f"tags must be (batch, tokens) = {(layout.n_sequences, packed.n_steps)} like the "
            f"emissions, found shape {tuple(found.shape)}"
        )
    states = layout.pack_padded(found).long()
    wrong = (states < -1) | (states >= n_tags)
    if wrong.any():
        row, step = place(layout, wrong.nonzero().ravel().cpu().numpy())
        raise ValueError(
            f"tags must be in 0..{n_tags - 1} (-1: missing), found {int(found[row, step])} in "
            f"sequence {row}, position {step}; is that padding which the mask does not cover?"
        )
    return states


def _lengths(mask: Values | None, emissions: Tensor) -> Any:
    """Tokens of every row."""
    n_rows, n_steps = emissions.shape[:2]
    if mask is None:
        return [n_steps] * n_rows
    found = as_tensor("mask", mask)
    if found.dtype != torch.bool:
        raise TypeError(
            f"mask must be boolean (True: a token), found {found.dtype}; use mask.bool()"
        )
    if found.shape != (n_rows, n_steps):
        raise ValueError(
            f"mask must be (batch, tokens) = {(n_rows, n_steps)} like the emissions, found shape "
            f"{tuple(found.shape)}"
        )
    cells = found.cpu().numpy()
    broken = (cells[:, 1:] & ~cells[:, :-1]).any(1)
    if broken.any():
        row = int(broken.argmax())
        raise ValueError(
            f"mask must be True for the first tokens of a row and False for the padding after "
            f"them, found row {row} with True after False; move the tokens of every row to its "
            "front"
        )
    return cells.sum(1)


def _refuse(packed: Tensor, layout: ChainLayout) -> None:
    """Name the first emission that is NaN or +inf."""
    wrong = ~(packed < torch.inf)
    row, step = place(layout, wrong.any(1).nonzero().ravel().cpu().numpy())
    column = int(layout.starts[step] + layout.rank[row])
    tag = int(wrong[column].int().argmax())
    raise ValueError(
        f"emissions must be finite or -inf, found {packed[column, tag].item():g} in sequence "
        f"{row}, position {step}, tag {tag}"
    )
