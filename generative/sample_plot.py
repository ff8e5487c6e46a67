"""Pictures of what networks generate: images, images beside what they should be, points.

.. math:: x \\sim p_\\theta, \\qquad \\hat x = g(f(x)), \\qquad
          \\min_k \\lVert x - \\mu_k \\rVert \\le r
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from generative.drawing import (
    Limits,
    Shape,
    Words,
    as_images,
    as_limits,
    as_points,
    as_words,
    draw_canvas,
    name_rows,
    write_key,
)
from generative.metrics.samples import distance_blocks
from inference.inputs import Values, as_whole
from inference.palette import AMBER, AXIS, BLUE, INK, MUTED
from inference.pictures import as_columns, in_rows, new_axes, plain, tiled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_images", "plot_points", "plot_reconstructions"]

#: Room above an image for its label, and between pairs of rows: a part of its height.
LABEL_ROOM, PAIR_ROOM = 0.32, 0.25

#: Side of an image in inches, and the longer one of the largest figure and of the least.
SIDE, LARGEST, LEAST = 0.55, 9.0, 2.4

#: Red of what is missing.
MISSING = "#c04a3c"


def plot_images(
    x: Values,
    shape: Shape,
    ax: Axes | None = None,
    *,
    columns: int | None = None,
    labels: Words | None = None,
    rows: Words | None = None,
    limits: Limits | None = None,
) -> Axes:
    """Draw images in rows: grey ones dark where numbers are large, three channels in colour.

    Arguments:
        x: the images.
        shape: of one: height and width, or channels (1 or 3), height and width.
        ax: where to draw; a new figure by default.
        columns: images in a row; by default about as many as there are rows.
        labels: written above the images, one for each.
        rows: names of the rows, from above.
        limits: values drawn as empty and as full; by default the least and the largest of all.

    Shapes:
        x: (n, pixels) or (n, *shape).

    Returns:
        The axes. The picture carries the id ``images``.

    Raises:
        TypeError: images that are no numbers, columns that are none.
        ValueError: images of another shape, columns below one, other numbers of labels or rows,
            limits that do not rise.

    Example:
        >>> from matplotlib.figure import Figure
        >>> ax = plot_images([[0, 1, 2, 3]] * 4, (2, 2), Figure().add_subplot(), columns=4)
        >>> ax.images[0].get_array().shape
        (2, 11)
    """
    images = as_images(x, shape)
    limits = as_limits(limits, images)
    columns = as_columns(columns, len(images), shape)
    words = as_words("labels", labels, len(images), "image")
    names = as_words("rows", rows, -(-len(images) // columns), "row")
    room = 0
    if words:
        room = max(2, round(LABEL_ROOM * shape[-2]))
        rest = [(0, 0)] * (images.ndim - 2)
        images = np.pad(images, [(0, 0), (room, 0), *rest], constant_values=np.nan)
    grid = in_rows(images, columns)
    ax = new_axes(ax, _size(*grid.shape[:4]))
    draw_canvas(ax, tiled(grid), limits, "images")
    tall, wide = grid.shape[2] + 1, grid.shape[3] + 1
    for place, word in enumerate(words):
        row, column = divmod(place, columns)
        spot = (column * wide + wide / 2 - 1, row * tall + room - 0.9)
        ax.annotate(word, spot, ha="center", va="bottom", fontsize=8, color=MUTED)
    if names:
        middles = np.arange(len(names)) * tall + room + (shape[-2] - 1) / 2
        name_rows(ax, middles.tolist(), names)
    return ax


def plot_reconstructions(
    x: Values,
    reconstructed: Values | Mapping[str, Values],
    shape: Shape,
    ax: Axes | None = None,
    *,
    columns: int | None = None,
    limits: Limits | None = None,
) -> Axes:
    """Draw images above what a network made of them.

    Arguments:
        x: the images.
        reconstructed: what was made of them; or several such by name, from above, like what the
            network saw and what it made of that.
        shape: of one: height and width, or channels (1 or 3), height and width.
        ax: where to draw; a new figure by default.
        columns: images in a row; by default all, 12 at most.
        limits: values drawn as empty and as full; by default the least and the largest of ``x``.

    Shapes:
        x, reconstructed: (n, pixels) or (n, *shape).

    Returns:
        The axes. The picture carries the id ``reconstructions``.

    Raises:
        TypeError: images that are no numbers, columns that are none.
        ValueError: images of another shape or number, columns below one, limits that do not rise.

    Example:
        >>> from matplotlib.figure import Figure
        >>> x = [[0.0, 1.0], [1.0, 1.0]]
        >>> ax = plot_reconstructions(x, x, (1, 2), Figure().add_subplot())
        >>> [label.get_text() for label in ax.get_yticklabels()]
        ['data', 'reconstructed']
    """
    named = (
        reconstructed if isinstance(reconstructed, Mapping) else {"reconstructed": reconstructed}
    )
    kinds = {"data": as_images(x, shape)}
    kinds |= {name: as_images(rows, shape, name) for name, rows in named.items()}
    count = len(kinds["data"])
    for name, images in kinds.items():
        if len(images) != count:
            raise ValueError(f"{name} must have {count} images as x has, found {len(images)}")
    columns = min(count, 12) if columns is None else as_whole("columns", columns, least=1)
    columns = min(columns, count)
    # (kind, row, column, ...) to one kind under the other, with room after the last.
    grid = np.stack([in_rows(images, columns) for images in kinds.values()]).swapaxes(0, 1)
    blocks, lines = grid.shape[:2]
    ax = new_axes(ax, _size(blocks * lines, *grid.shape[2:5]))
    draw_canvas(ax, _apart(grid, shape), as_limits(limits, kinds["data"]), "reconstructions")
    tall, room = shape[-2] + 1, _room(shape)
    middles = [
        block * (lines * tall + room) + line * tall + (shape[-2] - 1) / 2
        for block in range(blocks)
        for line in range(lines)
    ]
    name_rows(ax, middles, list(kinds) * blocks)
    return ax


def plot_points(
    samples: Values,
    data: Values | None = None,
    centres: Values | None = None,
    ax: Axes | None = None,
    *,
    radius: float | None = None,
) -> Axes:
    """Draw points in the plane over those they should be like, and which modes they miss.

    .. math:: \\{n : \\min_k \\lVert x_n - \\mu_k \\rVert \\le r\\}, \\qquad
              \\{k : \\exists n\\; \\lVert x_n - \\mu_k \\rVert \\le r\\}

    With centres and a radius, samples further from every centre are amber, and centres that no
    sample is near are red crosses; the title counts both.

    Arguments:
        samples: what was generated.
        data: drawn below, pale.
        centres: of modes.
        ax: where to draw; a new figure by default.
        radius: within which of a centre a sample belongs to it; three standard deviations in
            most papers.

    Shapes:
        samples: (n, 2). data: (m, 2). centres: (K, 2).

    Returns:
        The axes. Points carry the ids ``data``, ``samples``, ``astray``, ``centres``, ``missed``.

    Raises:
        TypeError: points that are no numbers.
        ValueError: other shapes, a point that is not finite, a radius that is not positive, or
            one without centres.

    Reference:
        Lin, Khetan, Fanti & Oh 2018, "PacGAN: the power of two samples in generative adversarial
        networks", section 4.1 (what counts as a mode).

    Example:
        >>> from matplotlib.figure import Figure
        >>> x, centres = [[0.0, 0.1], [5.0, 5.0]], [[0, 0], [1, 0]]
        >>> ax = plot_points(x, None, centres, Figure().add_subplot(), radius=0.3)
        >>> ax.get_title()
        '1 of 2 modes, 50 % of the samples within 0.3'
    """
    drawn = as_points("samples", samples)
    rows = None if data is None else as_points("data", data)
    middles = np.zeros((0, 2)) if centres is None else as_points("centres", centres)
    if radius is not None and (not radius > 0 or not len(middles)):
        raise ValueError(f"radius must be positive and have centres, found {radius}")
    ax = new_axes(ax, (5.2, 5.2))
    key: dict[str, Any] = {}
    if rows is not None:
        ax.scatter(*rows.T, s=_dot(len(rows)), color=AXIS, alpha=0.45, lw=0, gid="data")
        key["data"] = AXIS
    near = np.ones(len(drawn), dtype=bool)
    met = np.ones(len(middles), dtype=bool)
    if radius is not None:
        near, met = _near(drawn, middles, radius)
        share = f"{100 * near.mean():.0f} %" if len(near) else "none"
        title = f"{met.sum()} of {len(met)} modes, {share} of the samples within {radius:g}"
        ax.set_title(title, color=INK, fontsize=10.5, pad=22)
    for name, points, color in (("samples", drawn[near], BLUE), ("astray", drawn[~near], AMBER)):
        if len(points):
            ax.scatter(*points.T, s=_dot(len(drawn)), color=color, alpha=0.75, lw=0, gid=name)
            key[name] = color
    for name, points, color, marker in (
        ("centres", middles[met], INK, "+"),
        ("missed", middles[~met], MISSING, "x"),
    ):
        if len(points):
            ax.scatter(*points.T, s=46, c=color, marker=marker, lw=1.3, zorder=4, gid=name)
            key[name] = color
    write_key(ax, key)
    ax.set_aspect("equal", adjustable="datalim")
    ax.locator_params(nbins=6)
    return plain(ax)


# Helpers -----------------------------------------------------------------------------------------


def _size(rows: int, columns: int, height: int, width: int) -> tuple[float, float]:
    """Inches of a figure of so many images."""
    across, down = columns * SIDE * width / height, rows * SIDE
    longer = max(across, down)
    share = min(LARGEST, max(LEAST, longer)) / longer
    return across * share + 0.3, down * share + 0.3


def _room(shape: Shape) -> int:
    """Pixels between one row of pairs and the next."""
    return max(1, round(PAIR_ROOM * shape[-2]))


def _apart(blocks: np.ndarray, shape: Shape) -> np.ndarray:
    """Rows of pairs (block, line, column, height, width, ...) below one another, with room."""
    canvases = [tiled(block) for block in blocks]
    gap = np.full((_room(shape) + 1, *canvases[0].shape[1:]), np.nan)
    parts = [part for canvas in canvases for part in (gap, canvas)]
    return np.concatenate(parts[1:])


def _near(points: np.ndarray, centres: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Which points have a centre so near, and which centres are the nearest of such a point."""
    blocks = distance_blocks(torch.from_numpy(points), torch.from_numpy(centres))
    gaps, nearest = (torch.cat(parts) for parts in zip(*[b.min(1) for b in blocks], strict=True))
    near = gaps <= radius
    met = torch.bincount(nearest[near], minlength=len(centres)) > 0
    return near.numpy(), met.numpy()


def _dot(count: int) -> float:
    """Size of a point, smaller the more there are."""
    return float(np.clip(6000 / max(count, 1), 4, 26))
