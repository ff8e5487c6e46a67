"""Whether an encoder, a decoder and rows of data fit together.

.. math:: f : (\\text{batch}, *\\text{event}) \\to (\\text{batch}, *\\text{code}), \\qquad
          g : (\\text{batch}, *\\text{code}) \\to (\\text{batch}, *\\text{event})
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from generative.trial import evaluating, tried

__all__ = ["fitted_code_shape"]


def fitted_code_shape(
    encoder: nn.Module, decoder: nn.Module, shape: Sequence[int], like: Tensor
) -> tuple[int, ...]:
    """Shape of the code of a row, of networks that have been tried on rows of zeros.

    Arguments:
        encoder: f.
        decoder: g.
        shape: of a row.
        like: a parameter of the encoder, for the type and device of rows.

    Raises:
        ValueError: a network does not take what it is given, or returns something else.

    Example:
        >>> fitted_code_shape(nn.Linear(5, 2), nn.Linear(2, 5), (5,), torch.zeros(()))
        (2,)
    """
    rows = torch.zeros((2, *shape), dtype=like.dtype, device=like.device)
    with torch.no_grad(), evaluating(encoder, decoder):
        codes = tried("encoder", encoder, rows)
        if codes.ndim < 2 or len(codes) != 2 or not codes.numel():
            raise ValueError(
                f"encoder must return (2, *code) for rows {tuple(rows.shape)}, found "
                f"{tuple(codes.shape)}"
            )
        found = tried("decoder", decoder, codes)
    if found.shape != rows.shape:
        raise ValueError(
            f"decoder must return rows {tuple(rows.shape)} for codes {tuple(codes.shape)}, found "
            f"{tuple(found.shape)}"
        )
    return tuple(codes.shape[1:])
