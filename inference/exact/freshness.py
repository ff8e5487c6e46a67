"""Noticing that somebody wrote new numbers into tensors, or put other tensors in their place."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

__all__ = ["Snapshot"]


class Snapshot:
    """Remembers which numbers some tensors held, without copying them.

    The tensors' memory is kept alive: were it freed, new numbers could come to lie at the same
    address and look like the old ones.

    Example:
        >>> import torch
        >>> x = torch.zeros(2)
        >>> before = Snapshot([x])
        >>> before.holds([x]), before.holds([x.add_(1)])
        (True, False)
    """

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        self._kept = [tensor.detach() for tensor in tensors]
        self._marks = [_mark(tensor) for tensor in tensors]

    def holds(self, tensors: Sequence[Tensor]) -> bool:
        """Whether these tensors hold the numbers of the snapshot."""
        return self._marks == [_mark(tensor) for tensor in tensors]


def _mark(tensor: Tensor) -> tuple[object, ...]:
    # Tensors made under torch.inference_mode() count no versions: they are never known to be old.
    version = object() if tensor.is_inference() else tensor._version
    return version, tensor.data_ptr(), tensor.dtype
