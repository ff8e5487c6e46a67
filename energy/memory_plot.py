"""Pictures of associative memories: patterns, recall step by step, overlap against load.

.. math:: m = \\frac1d \\sum_i \\xi_i x_i
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from energy.hopfield.capacity import Overlaps, retrieval_overlap
from inference.inputs import Values, as_tensors
from inference.palette import AMBER, GREEN, INK, PAPER
from inference.pictures import as_pictures, in_rows, new_axes, paper_map, plain, tiled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_capacity", "plot_patterns", "plot_recall"]

DAMAGE, REPAIR = AMBER, GREEN
SIZES = ("#a3b6cc", "#6d93bf", "#35618f", "#1c3d5e")

#: Points at which the curve of theory is drawn.
CURVE = 400


def plot_patterns(
    patterns: Values, shape: tuple[int, int], ax: Axes | None = None, columns: int | None = None
) -> Axes:
    """Draw states as pictures, row after row.

    Arguments:
        patterns: numbers; the largest of all is darkest.
        shape: height and width of a picture.
        ax: where to draw; a new figure by default.
        columns: pictures in a row; by default all.

    Shapes:
        patterns: (n, height * width).

    Raises:
        TypeError: if they are no numbers.
        ValueError: if they have another length.

    Example:
        >>> from matplotlib.figure import Figure
        >>> ax = plot_patterns([[1, -1, -1, 1]], (2, 2), Figure().add_subplot())
        >>> len(ax.images)
        1
    """
    pictures = as_pictures(patterns, shape)
    return _show(tiled(in_rows(pictures, columns)), new_axes(ax))


def plot_recall(
    steps: Values,
    shape: tuple[int, int],
    ax: Axes | None = None,
    wanted: Values | None = None,
) -> Axes:
    """Draw what cues turn into: a row for every cue, a column for every step.

    Arguments:
        steps: states -1 and +1, the cues first.
        shape: height and width of a picture.
        ax: where to draw; a new figure by default.
        wanted: patterns; units that differ from them are drawn in amber.

    Shapes:
        steps: (step, cue, height * width). wanted: (cue, height * width).

    Raises:
        TypeError: if they are no numbers.
        ValueError: if they have another length or other numbers of cues.

    Example:
        >>> from matplotlib.figure import Figure
        >>> steps = [[[1, 1, 1, -1]], [[1, -1, 1, -1]]]
        >>> ax = plot_recall(steps, (2, 2), Figure().add_subplot(), wanted=[[1, -1, 1, -1]])
        >>> ax.images[0].get_array().shape
        (2, 5, 3)
    """
    from matplotlib.colors import to_rgb

    (found,) = as_tensors(steps=steps)
    if found.ndim != 3 or not found.numel():
        raise ValueError(
            f"steps must be (step, cue, units), at least one of each, found shape "
            f"{tuple(found.shape)}"
        )
    count, cues = found.shape[:2]
    grid = as_pictures(found.reshape(count * cues, -1), shape).reshape(count, cues, *shape)
    up = np.where(grid[..., None] > 0, to_rgb(INK), to_rgb(PAPER))
    if wanted is not None:
        right = as_pictures(wanted, shape)
        if len(right) != cues:
            raise ValueError(f"wanted must have {cues} patterns, one per cue, found {len(right)}")
        wrong = (grid > 0) != (right > 0)
        pale = np.where(grid[..., None] > 0, to_rgb(DAMAGE), to_rgb("#f3d3a4"))
        up = np.where(wrong[..., None], pale, up)
    return _show(tiled(up.swapaxes(0, 1), fill=1.0), new_axes(ax))


def plot_capacity(
    studies: Overlaps | Sequence[Overlaps], ax: Axes | None = None, theory: bool = True
) -> Axes:
    """Draw the overlap after recall against the load, with standard errors.

    Arguments:
        studies: one, or several of different sizes.
        ax: where to draw; a new figure by default.
        theory: whether the curve for Hebb's rule and many units is drawn too.

    Returns:
        The axes. Artists carry the ids ``theory`` and ``study:d``.

    Raises:
        ValueError: no study.

    Example:
        >>> from matplotlib.figure import Figure
        >>> from energy.hopfield.capacity import overlap_after_recall
        >>> study = overlap_after_recall(50, [0.1, 0.3], trials=2, generator=0)
        >>> ax = plot_capacity(study, Figure().add_subplot())
        >>> [line.get_gid() for line in ax.lines if line.get_gid()]
        ['theory', 'study:50']
    """
    found = [studies] if isinstance(studies, Overlaps) else list(studies)
    if not found:
        raise ValueError("studies must be one at least, found none")
    ax = new_axes(ax)
    last = max([study.loads.max().item() for study in found])
    if theory:
        loads = torch.linspace(0, last, CURVE, dtype=torch.float64)
        overlaps = retrieval_overlap(loads)
        overlaps[overlaps == 0] = torch.nan
        ax.plot(loads, overlaps, color=DAMAGE, lw=2.2, label="theory, d → ∞", gid="theory")
        edge = int(overlaps.isfinite().nonzero()[-1])
        if edge < CURVE - 1:
            ends = [overlaps[edge].item(), 0.0]
            ax.plot([loads[edge].item()] * 2, ends, color=DAMAGE, lw=1.2, ls=":")
    for study, color in zip(found, _shades(len(found)), strict=True):
        error = study.standard_error.nan_to_num()
        drawn = ax.errorbar(
            study.loads,
            study.mean,
            error,
            fmt="o-",
            ms=3.5,
            lw=1.1,
            capsize=2,
            color=color,
            label=f"d = {study.n_units}",
        )
        drawn.lines[0].set_gid(f"study:{study.n_units}")
    ax.set(xlabel="load P / d", ylabel="overlap with the pattern", ylim=(0, 1.03))
    ax.set_xlim(0, last * 1.02)
    ax.legend(frameon=False, labelcolor=INK)
    return plain(ax)


def _show(picture: np.ndarray, ax: Axes) -> Axes:
    """Draw one picture, dark where numbers are large."""
    ax.imshow(picture, cmap=paper_map())
    ax.axis("off")
    return ax


def _shades(count: int) -> list[Any]:
    """From pale to dark, one for every size."""
    places = np.linspace(0, len(SIZES) - 1, count) if count > 1 else [len(SIZES) - 2]
    return [SIZES[round(float(place))] for place in places]
