"""Which symbols occur near each other: counts within a window.

.. math:: n(x, y) = \\#\\{(s, t) : 0 < |s - t| \\le w,\\; x_s = x,\\; x_t = y\\}
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from inference.information import mutual_information, pointwise_mutual_information
from inference.inputs import as_whole
from inference.memory import require_memory
from pgm.chains.alphabet import Alphabet, encode_all

__all__ = ["Cooccurrence", "cooccurrence"]


class Cooccurrence(NamedTuple):
    """Counts of pairs within a window.

    Attributes:
        counts: symmetric, (K, K) int64; a pair of places counts once in each direction.
        states: the symbols, in the order of the rows and columns.
    """

    counts: Tensor
    states: tuple[str, ...] | range

    @property
    def joint(self) -> Tensor:
        """Share of every pair among all pairs, (K, K).

        Raises:
            ValueError: if there is no pair.
        """
        total = self.counts.sum()
        if not total:
            raise ValueError("there is no pair of symbols within the window")
        return self.counts / total.double()

    def pointwise_mutual_information(self, base: float = torch.e) -> Tensor:
        """How much more often every pair occurs than chance would have it, (K, K).

        See :func:`inference.information.pointwise_mutual_information`; -inf for pairs that never
        occur.
        """
        return pointwise_mutual_information(self.joint, base)

    def mutual_information(self, base: float = torch.e) -> Tensor:
        """What a symbol tells about a symbol near it, (): see the function of the same name."""
        return mutual_information(self.joint, base)


def cooccurrence(
    sequences: Iterable[Any],
    window: int,
    states: int | Sequence[str] | None = None,
) -> Cooccurrence:
    """Count how often symbols occur at most ``window`` places apart.

    .. math:: n(x, y) = \\#\\{(s, t) : 0 < |s - t| \\le w,\\; x_s = x,\\; x_t = y\\}

    Pairs lie within one sequence; for a window that crosses the ends of sentences, pass the text
    as one sequence.

    Arguments:
        sequences: one sequence of symbols or several, see :class:`pgm.chains.alphabet.Alphabet`.
        window: the largest distance w, at least 1.
        states: the symbols, or their number; None learns them.

    Returns:
        Counts and symbols.

    Raises:
        TypeError: if ``window`` is no whole number or ``sequences`` hold no symbols.
        ValueError: if ``window`` is below 1, ``sequences`` are empty or hold a symbol that is not
            among ``states``, or the matrix does not fit the memory.

    Reference:
        Church & Hanks 1990, "Word association norms, mutual information, and lexicography".

    Example:
        >>> counts, states = cooccurrence("the cat and the dog".split(), window=1)
        >>> states
        ('and', 'cat', 'dog', 'the')
        >>> counts[3]
        tensor([1, 1, 1, 0])
    """
    window = as_whole("window", window, least=1)
    alphabet, encoded = encode_all(sequences, None if states is None else Alphabet(states))
    codes, lengths = encoded
    n = len(alphabet)
    require_memory(3 * 8 * n * n, f"a table of {n:,} by {n:,} symbols", "use fewer states")
    positions, counts = encoded.positions, codes.new_zeros(n * n)
    for distance in range(1, min(window, max(lengths.tolist()) - 1) + 1):
        inside = positions[distance:] >= distance
        pairs = codes[:-distance][inside] * n + codes[distance:][inside]
        counts += torch.bincount(pairs, minlength=n * n)
    square = counts.view(n, n)
    return Cooccurrence(square + square.T, alphabet.labels)
