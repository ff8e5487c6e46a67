"""Rows of numbers as pictures side by side, and the axes they are drawn on.

.. math:: P_{rc} = x_{r w + c}
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from inference.inputs import Values, as_tensors, as_whole
from inference.palette import AXIS, INK, MUTED, TRACK

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "as_columns",
    "as_pictures",
    "bare",
    "in_rows",
    "new_axes",
    "paper_map",
    "plain",
    "quiet",
    "tiled",
]


def as_pictures(values: Values, shape: tuple[int, int], name: str = "patterns") -> np.ndarray:
    """Rows as pictures, (n, height, width), float64.

    Arguments:
        values: numbers, (n, height * width), or one row of them.
        shape: height and width of a picture.
        name: of the values, for errors.

    Raises:
        TypeError: if they are no numbers.
        ValueError: if they have another length.

    Example:
        >>> as_pictures([[1, 2, 3, 4]], (2, 2))[0].tolist()
        [[1.0, 2.0], [3.0, 4.0]]
    """
    (found,) = as_tensors(**{name: values})
    found = torch.atleast_2d(found.detach())
    if found.ndim != 2 or found.shape[1] != shape[0] * shape[1]:
        raise ValueError(
            f"{name} must be (n, {shape[0] * shape[1]}) for pictures of {shape[0]} by "
            f"{shape[1]}, found {tuple(found.shape)}"
        )
    return found.double().cpu().numpy().reshape(-1, *shape)


def in_rows(pictures: np.ndarray, columns: int | None = None) -> np.ndarray:
    """Pictures (n, height, width) in rows, (rows, columns, height, width), NaN where none is left.

    Example:
        >>> in_rows(np.zeros((5, 2, 2)), columns=3).shape
        (2, 3, 2, 2)
    """
    count, *shape = pictures.shape
    wide = max(count, 1) if columns is None else columns
    grid = np.full((-(-count // wide) * wide, *shape), np.nan)
    grid[:count] = pictures
    return grid.reshape(-1, wide, *shape)


def tiled(grid: np.ndarray, fill: float = np.nan) -> np.ndarray:
    """Pictures (rows, columns, height, width, ...) side by side, one pixel apart.

    Example:
        >>> tiled(np.ones((1, 2, 3, 3))).shape
        (3, 7)
    """
    rest = [(0, 0)] * (grid.ndim - 4)
    padded = np.pad(grid, [(0, 0), (0, 0), (0, 1), (0, 1), *rest], constant_values=fill)
    rows, columns, height, width = padded.shape[:4]
    tall = padded.swapaxes(1, 2).reshape(rows * height, columns * width, *padded.shape[4:])
    return tall[:-1, :-1]


def new_axes(ax: Axes | None, size: tuple[float, float] | None = None) -> Axes:
    """The axes given, or those of a new figure, of some size in inches."""
    if ax is not None:
        return ax
    from matplotlib import pyplot as plt

    return plt.subplots(figsize=size, layout="constrained")[1]


def plain(ax: Axes) -> Axes:
    """Axes without a frame, on a pale grid."""
    ax.grid(color=TRACK, lw=0.8)
    ax.set_axisbelow(True)
    return quiet(ax)


def quiet(ax: Axes) -> Axes:
    """Axes whose lines and numbers stand back: no frame, two thin axes."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(AXIS)
    ax.tick_params(color=AXIS, labelcolor=MUTED)
    ax.xaxis.label.set(color=INK)
    ax.yaxis.label.set(color=INK)
    return ax


def paper_map() -> Any:
    """White where nothing is, dark where numbers are large."""
    from matplotlib import colormaps

    return colormaps["Blues"].with_extremes(bad="white")


def bare(ax: Axes) -> Axes:
    """Axes of images: no frame, no ticks."""
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    return ax


def as_columns(columns: int | None, count: int, shape: tuple[int, ...]) -> int:
    """Images in a row: as asked for, or so many that they fill about a square.

    Example:
        >>> as_columns(None, 16, (8, 8))
        4
    """
    if columns is not None:
        return as_whole("columns", columns, least=1)
    return max(1, min(count, round((count * shape[-2] / shape[-1]) ** 0.5)))
