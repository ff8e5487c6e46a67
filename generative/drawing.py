"""Parts of pictures of generative networks: images, points, words in the colour of what they name.

.. math:: P_{rc} = x_{r w + c}
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MethodType
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from torch import Tensor, nn

from generative.trial import evaluating, like_of
from inference.inputs import Values, as_tensors, check_finite
from inference.palette import INK, MUTED, SERIES
from inference.pictures import bare, paper_map

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "Limits",
    "Shape",
    "Words",
    "as_images",
    "as_limits",
    "as_points",
    "as_words",
    "at_rest",
    "class_colors",
    "draw_canvas",
    "label_ends",
    "like_given",
    "name_rows",
    "spread",
    "write_key",
]

#: Height and width of an image, or channels, height and width: one channel or three.
Shape: TypeAlias = tuple[int, int] | tuple[int, int, int]

#: Values drawn as empty and as full.
Limits: TypeAlias = tuple[float, float]

#: Names or classes, one for every thing.
Words: TypeAlias = Sequence[object] | np.ndarray | Tensor

#: Size of the letters beside curves; lines are so many times their height apart.
POINTS, LEADING = 9, 1.25


def as_images(values: Values, shape: Shape, name: str = "x") -> np.ndarray:
    """Rows as images, float64: (n, height, width), or (n, height, width, 3) of three channels.

    Arguments:
        values: numbers, (n, pixels) or with axes of their own, the channels before the others.
        shape: of an image.
        name: of the values, for errors.

    Raises:
        TypeError: if they are no numbers.
        ValueError: none, ones that are not finite, another number of pixels, no such shape.

    Example:
        >>> import torch
        >>> as_images(torch.arange(12.0).view(1, 12), (3, 2, 2))[0, 0, 1].tolist()
        [1.0, 5.0, 9.0]
    """
    if len(shape) not in (2, 3) or min(shape) < 1 or (len(shape) == 3 and shape[0] not in (1, 3)):
        raise ValueError(
            "shape must be (height, width) or (channels, height, width) with 1 or 3 channels, "
            f"found {tuple(shape)}"
        )
    (found,) = as_tensors(**{name: values})
    pixels = math.prod(shape)
    if found.ndim < 2 or not len(found) or math.prod(found.shape[1:]) != pixels:
        raise ValueError(
            f"{name} must be (n, {pixels}) for images of {tuple(shape)}, n at least 1, found "
            f"{tuple(found.shape)}"
        )
    check_finite(**{name: found})
    images = found.detach().double().cpu().reshape(len(found), -1, *shape[-2:])
    return (images[:, 0] if images.shape[1] == 1 else images.movedim(1, -1)).numpy()


def as_limits(limits: Limits | None, *images: np.ndarray) -> Limits:
    """Limits given, or the least and the largest value of all images.

    Raises:
        ValueError: if they do not rise.

    Example:
        >>> as_limits(None, np.array([0.0, 2.0]), np.array([3.0]))
        (0.0, 3.0)
    """
    if limits is not None:
        low, high = limits
        if not -math.inf < low < high < math.inf:
            raise ValueError(f"limits must be two finite numbers that rise, found {limits}")
        return float(low), float(high)
    low = min(float(some.min()) for some in images)
    high = max(float(some.max()) for some in images)
    return low, high if high > low else low + 1.0


def as_points(name: str, values: Values, columns: int = 2) -> np.ndarray:
    """Finite points, (n, columns), float64.

    Raises:
        TypeError: if they are no numbers.
        ValueError: another shape, or ones that are not finite.

    Example:
        >>> as_points("data", [[0, 1]]).shape
        (1, 2)
    """
    (found,) = as_tensors(**{name: values})
    if found.ndim == 1 and columns == 1:
        found = found[:, None]
    if found.ndim != 2 or found.shape[1] != columns:
        raise ValueError(f"{name} must be (n, {columns}), found {tuple(found.shape)}")
    check_finite(**{name: found})
    return found.detach().double().cpu().numpy()


# Images ------------------------------------------------------------------------------------------


def draw_canvas(ax: Axes, canvas: np.ndarray, limits: Limits, gid: str) -> None:
    """Draw pixels, (height, width) or (height, width, 3); NaN is left white.

    Arguments:
        ax: where to draw.
        canvas: the pixels.
        limits: values drawn as empty and as full.
        gid: of the picture.
    """
    if canvas.ndim == 3:
        shades = np.clip((canvas - limits[0]) / (limits[1] - limits[0]), 0, 1)
        ax.imshow(np.where(np.isnan(shades), 1.0, shades), gid=gid)
    else:
        ax.imshow(canvas, cmap=paper_map(), vmin=limits[0], vmax=limits[1], gid=gid)
    bare(ax)


def name_rows(ax: Axes, places: Sequence[float], names: Sequence[str], axis: str = "y") -> None:
    """Names beside rows of images, or above columns of them."""
    if axis == "y":
        ax.set_yticks(list(places), list(names))
    else:
        ax.set_xticks(list(places), list(names))
        ax.xaxis.tick_top()
    ax.tick_params(axis="both", length=0, labelcolor=MUTED, labelsize=9)


# Words -------------------------------------------------------------------------------------------


def as_words(name: str, words: Any, count: int, thing: str) -> list[str]:
    """Names as text, one for every thing; none for None.

    Raises:
        ValueError: if there are others than things.

    Example:
        >>> import torch
        >>> as_words("labels", torch.tensor([3, 1]), 2, "image")
        ['3', '1']
    """
    if words is None:
        return []
    found = words.tolist() if isinstance(words, Tensor | np.ndarray) else list(words)
    if len(found) != count:
        raise ValueError(f"{name} must be {count}, one for every {thing}, found {len(found)}")
    return [str(word) for word in found]


def class_colors(count: int) -> list[tuple[float, float, float]]:
    """Colours of classes by number: those of the palette, then darker ones.

    Example:
        >>> len(set(class_colors(16)))
        16
    """
    from matplotlib.colors import to_rgb

    ink = np.array(to_rgb(INK))
    colors = []
    for place in range(count):
        turn, base = divmod(place, len(SERIES))
        share = 0.55**turn
        red, green, blue = share * np.array(to_rgb(SERIES[base])) + (1 - share) * ink
        colors.append((float(red), float(green), float(blue)))
    return colors


def label_ends(ax: Axes, ends: Sequence[tuple[float, str, Any]], lines: int = 1) -> None:
    """Write names beside the right ends of curves, moved apart where they would overlap.

    Arguments:
        ax: where the curves are; its limits are frozen.
        ends: height of the end, in the units of the axis, name and colour of every curve.
        lines: of every name.
    """
    low, high = ax.get_ylim()
    ax.set_ylim(low, high)
    tall = ax.get_window_extent().height
    space = lines * LEADING * POINTS * ax.figure.dpi / 72 / tall
    to_axes = ax.transData + ax.transAxes.inverted()
    wanted = np.array([to_axes.transform((ax.get_xlim()[0], y))[1] for y, _, _ in ends])
    order = np.argsort(wanted, kind="stable")
    places = spread(np.clip(wanted[order], 0, 1), space)
    for spot, at in zip(places, order, strict=True):
        _, text, color = ends[at]
        look: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points"}
        ax.annotate(
            text, (1, spot), (5, 0), color=color, fontsize=POINTS, va="center", ha="left", **look
        )


def spread(places: np.ndarray, space: float) -> np.ndarray:
    """Places that rise, moved as little as needed to be so far apart.

    Example:
        >>> spread(np.array([0.0, 0.0, 1.0]), 0.5).tolist()
        [-0.25, 0.25, 1.0]
    """
    blocks: list[list[float]] = []  # sum of what was wanted of the first, number
    for place in places:
        blocks.append([float(place), 1])
        while len(blocks) > 1:
            (first, m), (second, n) = blocks[-2:]
            if first / m + m * space <= second / n:
                break
            blocks[-2:] = [[first + second - n * m * space, m + n]]
    return np.concatenate([total / n + space * np.arange(n) for total, n in blocks] or [[]])


def write_key(ax: Axes, words: Mapping[str, Any]) -> None:
    """Write names in the colours of what they name, above the axes at the left."""
    from matplotlib.offsetbox import AnchoredOffsetbox, HPacker, TextArea

    parts: list[Any] = [
        TextArea(word, textprops={"color": color, "fontsize": POINTS})
        for word, color in words.items()
    ]
    row = HPacker(children=parts, pad=0, sep=POINTS)
    box = AnchoredOffsetbox(
        "lower left",
        child=row,
        pad=0.35,
        borderpad=0,
        frameon=False,
        bbox_to_anchor=(0, 1),
        bbox_transform=ax.transAxes,
    )
    box.set_gid("key")
    ax.add_artist(box)


# Functions ---------------------------------------------------------------------------------------


def like_given(function: Any) -> Tensor:
    """A tensor () of the type and on the device of what a network, or a method of one, is given.

    Example:
        >>> like_given(nn.Linear(1, 1).double()).dtype
        torch.float64
    """
    network = _network(function)
    return like_of(*([] if network is None else [network]))


@contextmanager
def at_rest(function: Any) -> Iterator[None]:
    """Keep a network, or that of a method, in evaluation mode: looking at it changes nothing."""
    network = _network(function)
    with evaluating(*([] if network is None else [network])):
        yield


def _network(function: Any) -> nn.Module | None:
    """The network that a function is, or is a method of."""
    owner = function.__self__ if isinstance(function, MethodType) else function
    return owner if isinstance(owner, nn.Module) else None
