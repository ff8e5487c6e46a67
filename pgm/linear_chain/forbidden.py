"""Tags that the constraints make impossible, found and named.

.. math:: p(y) = 0 \\iff \\exists t:\\ \\lnot\\, \\text{allowed}_{y_{t-1} y_t}
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from inference.exact.chain.layout import ChainLayout

__all__ = ["place", "refuse_forbidden"]


def place(layout: ChainLayout, columns: np.ndarray) -> tuple[int, int]:
    """Sequence and position of the first of some packed columns, sequence by sequence."""
    column = columns[layout.tokens[columns].argmin()]
    return int(layout.owners[column]), int(layout.steps[column])


def refuse_forbidden(
    layout: ChainLayout, states: Tensor, allowed: Tensor, start: Tensor, end: Tensor
) -> None:
    """Refuse tags (N,), packed, with a forbidden start, transition or end; -1 is never at fault.

    Raises:
        ValueError: naming the first such sequence, its position and the tags.
    """
    some = np.flatnonzero(layout.lengths)
    first, last = layout.first[some], layout.last[some]
    later = np.arange(layout.n_tokens - len(layout.previous), layout.n_tokens)
    before, after = states[_index(layout.previous, states)], states[_index(later, states)]
    _refuse(layout, first, ~start, states, "a sequence must not start with tag {0}")
    _refuse(layout, last, ~end, states, "a sequence must not end with tag {0}")
    wrong = ~allowed[before, after] & (before >= 0) & (after >= 0)
    if wrong.any():
        at = wrong.nonzero().ravel().cpu().numpy()
        row, step = place(layout, later[at])
        k = at[layout.tokens[later[at]].argmin()]
        tags = f"from tag {int(before[k])} to tag {int(after[k])}"
        raise ValueError(_message(f"the transition {tags} is not allowed", row, step))


def _refuse(
    layout: ChainLayout, columns: np.ndarray, forbidden: Tensor, states: Tensor, reason: str
) -> None:
    """Refuse forbidden tags at some columns."""
    found = states[_index(columns, states)]
    wrong = forbidden[found] & (found >= 0)
    if wrong.any():
        at = wrong.nonzero().ravel().cpu().numpy()
        row, step = place(layout, columns[at])
        k = at[layout.tokens[columns[at]].argmin()]
        raise ValueError(_message(reason.format(int(found[k])), row, step))


def _message(reason: str, row: int, step: int) -> str:
    return (
        f"tags: {reason}, found in sequence {row} at position {step}; correct the tags or what "
        "the model allows"
    )


def _index(index: np.ndarray, values: Tensor) -> Tensor:
    return torch.from_numpy(index).to(values.device)
