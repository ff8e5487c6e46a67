"""Pictures of critics: how high they rate every place, and where their slopes lead samples.

.. math:: x \\mapsto f(x), \\qquad x \\mapsto \\nabla_x f(x)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from generative.drawing import (
    Limits,
    as_points,
    at_rest,
    class_colors,
    label_ends,
    like_given,
    write_key,
)
from generative.trial import one_per_row
from inference.inputs import Values, as_whole
from inference.palette import AMBER, AXIS, BLUE, INK, MUTED, PAPER
from inference.pictures import new_axes, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_critic", "plot_critics_on_a_line"]

#: From the lowest place of a surface to the highest.
SURFACE = (PAPER, "#d3e0ee", "#a9c3df", "#7ba0c9", BLUE)

#: Heights told apart, points of a curve, bars of a histogram, part of a plot that they fill.
HEIGHTS, CURVE, BARS, FILLED = 14, 400, 60, 0.3


def plot_critic(
    critic: Callable[[Tensor], Tensor],
    limits: tuple[Limits, Limits],
    ax: Axes | None = None,
    *,
    data: Values | None = None,
    samples: Values | None = None,
    level: float | None = None,
    steps: int = 120,
    arrows: int = 0,
) -> Axes:
    """Draw how high a critic or a discriminator rates every place of the plane.

    .. math:: x \\mapsto f(x), \\qquad x \\mapsto \\nabla_x f(x)

    Arguments:
        critic: from points (n, 2) to ratings (n,) or (n, 1).
        limits: of the first number, and of the second.
        ax: where to draw; a new figure by default.
        data: what it should rate high.
        samples: of the generator.
        level: a rating at which a line is drawn; 0 where logits are undecided.
        steps: places in a row.
        arrows: in a row; they point up the critic, which is where it sends samples, and are as
            long as it is steep.

    Shapes:
        data: (n, 2). samples: (m, 2).

    Returns:
        The axes. Points carry the ids ``data`` and ``samples``, arrows ``arrows``, the line at
        the level ``level``.

    Raises:
        TypeError: points that are no numbers, steps or arrows that are no whole numbers.
        ValueError: limits that do not rise, fewer than two steps, points of another shape or not
            finite, ratings of another shape or not finite.

    Example:
        >>> from matplotlib.figure import Figure
        >>> critic = torch.nn.Linear(2, 1)
        >>> ax = plot_critic(critic, ((-1, 1), (-1, 1)), Figure().add_subplot(), arrows=5)
        >>> len(ax.collections[-1].U)
        25
    """
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.ticker import MaxNLocator

    across, up = [_line(ends, as_whole("steps", steps, least=2)) for ends in limits]
    arrows = as_whole("arrows", arrows, least=0)
    groups = _groups(2, data=data, samples=samples)
    heights = _rated(critic, _grid(across, up))[0].reshape(len(up), len(across))
    ax = new_axes(ax, (5.8, 4.8))
    colors = LinearSegmentedColormap.from_list("surface", SURFACE)
    levels = MaxNLocator(HEIGHTS).tick_values(heights.min(), heights.max())
    surface = ax.contourf(across, up, heights, levels, cmap=colors)
    ax.contour(across, up, heights, levels, colors="white", linewidths=0.5, linestyles="solid")
    if level is not None and heights.min() < level < heights.max():
        line = ax.contour(
            across, up, heights, [level], colors=INK, linewidths=1.6, linestyles="solid"
        )
        line.set_gid("level")
    bar = ax.figure.colorbar(surface, ax=ax, aspect=26, pad=0.02)
    bar.ax.tick_params(length=0, labelsize=8, labelcolor=MUTED)
    bar.outline.set_visible(False)
    key = {}
    for name, points in groups.items():
        color = INK if name == "data" else AMBER
        size = float(np.clip(3000 / max(len(points), 1), 3, 24))
        ax.scatter(*points.T, s=size, color=color, alpha=0.7, lw=0, zorder=3, gid=name)
        key[name] = color
    if arrows:
        places = _grid(*[_inner(ends, arrows) for ends in limits])
        slopes = _rated(critic, places)[1]
        ax.quiver(*places.T, *slopes.T, color=INK, alpha=0.6, width=0.003, gid="arrows", zorder=2)
    write_key(ax, key)
    plain(ax).grid(visible=False)
    ax.set(xlim=limits[0], ylim=limits[1], aspect="equal")
    return ax


def plot_critics_on_a_line(
    critics: Mapping[str, Callable[[Tensor], Tensor]],
    limits: Limits,
    ax: Axes | None = None,
    *,
    data: Values | None = None,
    samples: Values | None = None,
) -> Axes:
    """Draw ratings of places on a line, and how steep each critic is where the samples are.

    .. math:: x \\mapsto f(x), \\qquad
              \\tfrac1m \\sum_i \\lvert f'(\\tilde x_i) \\rvert

    A discriminator that is sure is flat at the samples and teaches the generator nothing; a
    critic of bounded slope is steep wherever there is a way to go.

    Arguments:
        critics: by name, from points (n, 1) to ratings (n,) or (n, 1).
        limits: of the line.
        ax: where to draw; a new figure by default.
        data: what they should rate high; their histogram is at the foot.
        samples: of the generator; their histogram too.

    Shapes:
        data: (n,) or (n, 1). samples: (m,) or (m, 1).

    Returns:
        The axes. Lines carry the names of the critics as ids, histograms ``data`` and
        ``samples``.

    Raises:
        TypeError: points that are no numbers.
        ValueError: no critic, limits that do not rise, points of another shape or not finite,
            ratings of another shape or not finite.

    Reference:
        Arjovsky, Chintala & Bottou 2017, "Wasserstein generative adversarial networks", figure 2.

    Example:
        >>> from matplotlib.figure import Figure
        >>> critics = {"critic": lambda x: -2 * x}
        >>> ax = plot_critics_on_a_line(critics, (-1, 1), Figure().add_subplot(), samples=[0.5])
        >>> ax.texts[0].get_text()
        'critic\\nslope 2 at samples'
    """
    from matplotlib.colors import to_rgb

    if not critics:
        raise ValueError("critics must have at least one, found none")
    places = _line(limits, CURVE)[:, None]
    groups = _groups(1, data=data, samples=samples)
    curves = {name: _rated(critic, places)[0] for name, critic in critics.items()}
    slopes: dict[str, np.ndarray] = {}
    if len(groups.get("samples", ())):
        slopes = {name: _rated(critic, groups["samples"])[1] for name, critic in critics.items()}
    ax = new_axes(ax, (6.8, 3.8))
    kinds = {"data": AXIS, "samples": AMBER}
    for name, points in groups.items():
        _bars(ax, points[:, 0], limits, kinds[name], name)
    colors = [color for color in class_colors(len(critics) + 1) if color != to_rgb(AMBER)]
    ends = []
    for (name, heights), color in zip(curves.items(), colors, strict=False):
        ax.plot(places[:, 0], heights, color=color, lw=1.8, zorder=3, gid=name)
        told = name
        if name in slopes:
            steep = np.abs(slopes[name]).mean()
            told = f"{name}\nslope {steep:.2g} at samples"
        ends.append((float(heights[-1]), told, color))
    ax.set(xlim=limits, xlabel="x", ylabel="rating")
    label_ends(ax, ends, lines=2 if slopes else 1)
    write_key(ax, {name: kinds[name] for name in groups})
    return plain(ax)


# Helpers -----------------------------------------------------------------------------------------


def _line(ends: Limits, steps: int) -> np.ndarray:
    """Places from one end to the other."""
    low, high = ends
    if not -math.inf < low < high < math.inf:
        raise ValueError(f"limits must be finite numbers that rise, found {ends}")
    return np.linspace(low, high, steps)


def _inner(ends: Limits, count: int) -> np.ndarray:
    """Middles of so many equal parts."""
    return ends[0] + (ends[1] - ends[0]) * (np.arange(count) + 0.5) / count


def _grid(across: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Places of a grid, row by row, (n, 2)."""
    return np.stack(np.meshgrid(across, up), -1).reshape(-1, 2)


def _groups(columns: int, **points: Values | None) -> dict[str, np.ndarray]:
    """Points that were given, by name."""
    return {
        name: as_points(name, some, columns) for name, some in points.items() if some is not None
    }


def _rated(
    critic: Callable[[Tensor], Tensor], places: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Ratings (n,) of places (n, columns), and their slopes (n, columns)."""
    x = torch.from_numpy(places).to(like_given(critic)).requires_grad_()
    with at_rest(critic), torch.enable_grad():
        found = one_per_row("critic", critic(x), len(x))
        slopes = torch.zeros_like(x)
        if found.requires_grad:
            (slopes,) = torch.autograd.grad(found.sum(), x, materialize_grads=True)
    ratings = found.detach().double().cpu()
    if not bool(ratings.isfinite().all()):
        raise ValueError("critic must return finite ratings, found one that is not")
    return ratings.numpy(), slopes.double().cpu().numpy()


def _bars(ax: Axes, points: np.ndarray, limits: Limits, color: str, gid: str) -> None:
    """A histogram at the foot, as high as part of the plot."""
    heights, edges = np.histogram(points, BARS, limits)
    scaled = FILLED * heights / max(heights.max(), 1)
    transform = ax.get_xaxis_transform()
    ax.stairs(scaled, edges, fill=True, color=color, alpha=0.4, transform=transform, gid=gid)
