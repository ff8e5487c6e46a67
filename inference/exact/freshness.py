"""Noticing that somebody wrote new numbers into tensors, or put other tensors in their place."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["Snapshot"]


class Snapshot:
    """Remembers the numbers of some tensors, to tell later whether they are still the same.

    Floating-point numbers are copied and compared. PyTorch's count of writes to a tensor does not
    tell: fused optimisers, ``tensor.data`` and NumPy arrays over the same memory write past it.
    Whole numbers, which are not trained (text, places, edges), go by that count where there is
    one, so that large vocabularies cost nothing.

    Example:
        >>> import torch
        >>> x = torch.zeros(2)
        >>> before = Snapshot([x])
        >>> before.holds([x]), before.holds([x.data.add_(1)])
        (True, False)
    """

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        # Those that are counted are kept alive: were they freed, other numbers could come to lie
        # at the same address and look like the old ones.
        self._kept = [t.detach() if _is_counted(t) else t.detach().clone() for t in tensors]
        self._marks = [_mark(tensor) for tensor in tensors]

    def holds(self, tensors: Sequence[Tensor]) -> bool:
        """Whether these tensors hold the numbers of the snapshot."""
        return self._marks == [_mark(tensor) for tensor in tensors] and all(
            _is_counted(tensor) or torch.equal(kept, tensor)
            for kept, tensor in zip(self._kept, tensors, strict=True)
        )


def _mark(tensor: Tensor) -> tuple[object, ...]:
    place = None
    if _is_counted(tensor):
        place = tensor._version, tensor.data_ptr(), tensor.shape, tensor.stride()
    return place, tensor.dtype, tensor.device


def _is_counted(tensor: Tensor) -> bool:
    # Tensors made under torch.inference_mode() count no versions.
    return not (tensor.is_floating_point() or tensor.is_inference())
