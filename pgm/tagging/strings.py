"""A list of strings held as two tensors, so that it is part of a model's file.

.. math:: (s_1, \\dots, s_n) \\leftrightarrow (s_1 s_2 \\cdots s_n,\\; |s_1|, \\dots, |s_n|)
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

import numpy as np
import torch
from torch import Tensor, nn

from inference.exact.freshness import Snapshot

__all__ = ["StringTable"]

#: How text becomes bytes: any Python string survives, halves of surrogate pairs included.
_CODING = ("utf-8", "surrogatepass")


class StringTable(nn.Module):
    """Distinct strings in a fixed order.

    Arguments:
        strings: what it holds.

    Attributes:
        text: all strings one after the other in UTF-8, buffer (bytes,) uint8.
        lengths: of the strings, in characters, buffer (n,) int32.

    Example:
        >>> table = StringTable(["word=the", "été"])
        >>> len(table.text), table.lengths.tolist(), table.strings
        (13, [8, 3], ['word=the', 'été'])
        >>> table.places["été"]
        1
    """

    text: Tensor
    lengths: Tensor

    def __init__(self, strings: Sequence[str] = ()) -> None:
        super().__init__()
        content = np.frombuffer("".join(strings).encode(*_CODING), np.uint8).copy()
        lengths = np.fromiter(map(len, strings), np.int32, len(strings))
        self.register_buffer("text", torch.from_numpy(content))
        self.register_buffer("lengths", torch.from_numpy(lengths))
        self._read: list[str] = list(strings)
        self._places: dict[str, int] | None = None
        self._snapshot = Snapshot([self.text, self.lengths])

    @classmethod
    def blank(cls, n_bytes: int, n_strings: int) -> StringTable:
        """A table of a size, for a file to fill."""
        table = cls()
        table.text = torch.zeros(n_bytes, dtype=torch.uint8)
        table.lengths = torch.zeros(n_strings, dtype=torch.int32)
        return table

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def size(self) -> list[int]:
        """Numbers of bytes and of strings."""
        return [len(self.text), len(self.lengths)]

    @property
    def strings(self) -> list[str]:
        """The strings, read again where the buffers are new."""
        self._refresh()
        return self._read

    @property
    def places(self) -> dict[str, int]:
        """Place of every string."""
        self._refresh()
        if self._places is None:
            self._places = {string: place for place, string in enumerate(self._read)}
        return self._places

    def _refresh(self) -> None:
        """Read the buffers unless they are those that were read before."""
        buffers = [self.text, self.lengths]
        if self._snapshot.holds(buffers):
            return
        text = self.text.cpu().numpy().tobytes().decode(*_CODING)
        ends = accumulate(self.lengths.tolist(), initial=0)
        self._read = [text[start:end] for start, end in pairwise(ends)]
        self._places = None
        self._snapshot = Snapshot(buffers)
