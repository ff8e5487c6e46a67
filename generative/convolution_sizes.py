"""Sizes of what convolutions make, and transposed ones.

.. math:: n' = \\lfloor (n + 2 p - k) / s \\rfloor + 1, \\qquad n' = s n + k - 2 p - s
"""

from __future__ import annotations

from inference.inputs import as_whole

__all__ = ["convolved_size", "transposed_size"]


def convolved_size(n: int, kernel: int, stride: int = 1, padding: int = 0) -> int:
    """Side of a map after a convolution.

    .. math:: n' = \\lfloor (n + 2 p - k) / s \\rfloor + 1

    Arguments:
        n: side before it.
        kernel: k.
        stride: s.
        padding: p, on each side.

    Raises:
        TypeError, ValueError: numbers that make no sense; a kernel larger than the padded map.

    Reference:
        Dumoulin & Visin 2016, "A guide to convolution arithmetic for deep learning",
        relationship 6.

    Example:
        >>> convolved_size(64, kernel=4, stride=2, padding=1)
        32
    """
    n, kernel, stride, padding = _checked_window(n, kernel, stride, padding)
    if kernel > n + 2 * padding:
        raise ValueError(
            f"kernel must be at most n + 2 padding = {n + 2 * padding}, found {kernel}"
        )
    return (n + 2 * padding - kernel) // stride + 1


def transposed_size(n: int, kernel: int, stride: int = 1, padding: int = 0) -> int:
    """Side of a map after a transposed convolution.

    .. math:: n' = s n + k - 2 p - s

    It is s n, so that stride 2 doubles, if and only if k = 2 p + s.

    Arguments:
        n: side before it.
        kernel: k.
        stride: s.
        padding: p, on each side.

    Raises:
        TypeError, ValueError: numbers that make no sense; padding that leaves nothing.

    Reference:
        Dumoulin & Visin 2016, relationship 13.

    Example:
        >>> transposed_size(4, kernel=4, stride=2, padding=1), transposed_size(4, 5, 2, 2)
        (8, 7)
    """
    n, kernel, stride, padding = _checked_window(n, kernel, stride, padding)
    found = stride * n + kernel - 2 * padding - stride
    if found < 1:
        raise ValueError(
            f"padding must leave a map, found {padding}, which gives a side of {found}"
        )
    return found


def _checked_window(n: int, kernel: int, stride: int, padding: int) -> tuple[int, int, int, int]:
    """Numbers of a convolution."""
    names = {"n": n, "kernel": kernel, "stride": stride}
    n, kernel, stride = [as_whole(name, value, least=1) for name, value in names.items()]
    return n, kernel, stride, as_whole("padding", padding, least=0)
