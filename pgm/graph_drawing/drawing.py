"""Nodes and arrows of pictures of graphs, in inches of a drawing."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from inference.palette import AMBER, AXIS, BLUE, INK, MUTED, PAPER, TRACK
from pgm.graph_drawing.layered_layout import Drawing, Point
from pgm.graph_drawing.panels import (
    BAR_HEIGHT,
    BAR_LENGTH,
    BAR_SPACE,
    HEADER,
    NAME_POINTS,
    PAD,
    ROW,
    ROW_POINTS,
    TITLE_POINTS,
    Bar,
    Panel,
    label_width,
    percent,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "GREY",
    "LARGEST_FIGURE",
    "canvas",
    "draw_arrow",
    "draw_node",
    "inches",
]

GREY = "#c3ccd6"
PALE_BLUE, BLUE_EDGE = PAPER, "#a3b6cc"
PALE_AMBER, AMBER_EDGE = "#fff4e0", "#d9922f"

# Inches.
MARGIN, TITLE_STRIP, NARROWEST = 0.16, 0.42, 4.2
LARGEST_FIGURE = 60.0  # beyond that the drawing is shrunk
LARGEST_SCALE = 1.6  # on given axes text grows no further than this


# Canvas --------------------------------------------------------------------------------------


def inches(ax: Axes) -> tuple[float, float]:
    """Width and height that the axes have now."""
    box = ax.get_window_extent()
    return box.width / ax.figure.dpi, box.height / ax.figure.dpi


def canvas(
    ax: Axes | None,
    drawing: Drawing,
    title: Callable[[float], str],
) -> tuple[Axes, float]:
    """Axes whose unit is an inch of the drawing, and how many true inches that is.

    Arguments:
        ax: where to draw; a new figure of fitting size by default.
        drawing: what comes there.
        title: from the width of the axes in inches to a title that fits.
    """
    width, height = drawing.width + 2 * MARGIN, drawing.height + 2 * MARGIN
    if ax is None:
        import matplotlib.pyplot as plt

        shrink = min(1.0, LARGEST_FIGURE / width, LARGEST_FIGURE / height)
        size = max(shrink * width, NARROWEST), shrink * height
        figure, ax = plt.subplots(figsize=(size[0], size[1] + TITLE_STRIP))
        figure.subplots_adjust(0.0, 0.0, 1.0, size[1] / (size[1] + TITLE_STRIP))
    ax.set_axis_off()
    style = {"fontsize": TITLE_POINTS, "color": INK, "parse_math": False}
    ax.set_title(title(0.0) or "Title", **style)
    if ax.figure.get_layout_engine() is not None:
        ax.figure.canvas.figure.draw_without_rendering()  # so that the axes have their size
    wide, high = inches(ax)
    ax.set_title(title(wide), **style)
    scale = min(wide / width, high / height, LARGEST_SCALE)
    for limits, middle, extent in (
        (ax.set_xlim, drawing.width / 2, wide),
        (ax.set_ylim, drawing.height / 2, high),
    ):
        limits(middle - extent / scale / 2, middle + extent / scale / 2)
    ax.set_aspect("equal", anchor="N")
    return ax, scale


# Nodes and arrows ----------------------------------------------------------------------------


def draw_arrow(
    ax: Axes,
    edge: tuple[str, str],
    route: list[Point],
    scale: float,
    color: str = AXIS,
    style: Any = "-",
    kind: str = "edge",
) -> None:
    """Straight down through a layer, in a bend from layer to layer, a head at the border.

    Dotted lines have no head.
    """
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    points, codes = [route[0]], [Path.MOVETO]
    for i, (start, end) in enumerate(pairwise(route)):
        if start == end:
            continue  # the head takes its direction from the last step
        if i % 2 == 0:
            points.append(end)
            codes.append(Path.LINETO)
            continue
        reach = 0.55 * (start[1] - end[1])
        points += [(start[0], start[1] - reach), (end[0], end[1] + reach), end]
        codes += [Path.CURVE4] * 3
    arrow = FancyArrowPatch(
        path=Path(points, codes),
        arrowstyle="-|>,head_length=5.5,head_width=2.4" if style == "-" else "-",
        mutation_scale=scale,
        linewidth=1.05 * scale,
        color=color,
        linestyle=style,
        joinstyle="miter",
        capstyle="butt",
        zorder=1,
        gid=f"{kind}:{edge[0]}->{edge[1]}",
    )
    ax.add_patch(arrow)


def draw_node(
    ax: Axes,
    name: str,
    centre: Point,
    size: tuple[float, float],
    panel: Panel | None,
    scale: float,
) -> None:
    """A rounded box with the name and, in a panel, the bars below it."""
    from matplotlib.patches import FancyBboxPatch

    observed = panel is not None and bool(panel.observed)
    left, bottom = centre[0] - size[0] / 2, centre[1] - size[1] / 2
    box = FancyBboxPatch(
        (left, bottom),
        *size,
        boxstyle="round,pad=0,rounding_size=0.07",
        facecolor=PALE_AMBER if observed else PALE_BLUE,
        edgecolor=AMBER_EDGE if observed else BLUE_EDGE,
        linewidth=(1.6 if observed else 1.0) * scale,
        zorder=2,
        gid=f"node:{name}",
    )
    ax.add_patch(box)
    top = bottom + size[1]
    middle = top - HEADER / 2 - 0.01 if panel else centre[1]
    _write(ax, name, (centre[0], middle), NAME_POINTS * scale, "bold" if panel else "normal")
    if panel is None:
        return
    if observed:
        _draw_mark(ax, name, panel.observed, (left + size[0] - PAD, middle), scale)
    columns = left + PAD + label_width(panel), left + size[0] - PAD
    for row, bar in enumerate(panel.bars):
        _draw_row(ax, name, bar, top - HEADER - ROW * (row + 0.5), columns, observed, scale)


def _draw_row(
    ax: Axes,
    name: str,
    bar: Bar,
    y: float,
    columns: tuple[float, float],
    observed: bool,
    scale: float,
) -> None:
    """Label, bar on its track, tick at the prior, percent."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Rectangle

    points, quiet = ROW_POINTS * scale, MUTED if bar.code is None else INK
    start = columns[0] + BAR_SPACE
    low = y - BAR_HEIGHT / 2
    _write(ax, bar.label, (columns[0], y), points, align="right", color=quiet)
    _write(ax, percent(bar.posterior), (columns[1], y), points, align="right", color=quiet)
    color = AMBER if observed else AXIS if bar.code is None else BLUE
    # Not snapped to pixels, so that thin bars do not vanish.
    for width, paint, gid in (
        (1.0, TRACK, f"track:{name}:{bar.gid}"),
        (bar.posterior, color, f"bar:{name}:{bar.gid}"),
    ):
        strip = Rectangle((start, low), width * BAR_LENGTH, BAR_HEIGHT, color=paint, lw=0)
        strip.set(gid=gid, snap=False, zorder=3)
        ax.add_patch(strip)
    if bar.moved:
        x = start + bar.prior * BAR_LENGTH
        tick = Line2D([x, x], [low - 0.015, low + BAR_HEIGHT + 0.015], color=INK, zorder=5)
        tick.set(linewidth=1.1 * scale, solid_capstyle="butt", gid=f"tick:{name}:{bar.gid}")
        ax.add_line(tick)


def _draw_mark(ax: Axes, name: str, kind: str, right: Point, scale: float) -> None:
    """A check mark for a state, a tilde for a likelihood; drawn, as not every font has them."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    x, y = right[0] - 0.12, right[1]
    if kind == "hard":
        path = Path([(x, y), (x + 0.04, y - 0.045), (x + 0.12, y + 0.06)])
    else:
        points = [(x, y - 0.02), (x + 0.05, y + 0.09), (x + 0.07, y - 0.09), (x + 0.12, y + 0.02)]
        path = Path(points, [Path.MOVETO] + [Path.CURVE4] * 3)
    mark = PathPatch(path, fill=False, edgecolor=AMBER_EDGE, lw=1.8 * scale, zorder=5)
    mark.set_gid(f"mark:{name}")
    ax.add_patch(mark)


def _write(
    ax: Axes,
    text: str,
    at: Point,
    points: float,
    weight: str = "normal",
    align: str = "center",
    color: str = INK,
) -> None:
    ax.text(
        *at,
        text,
        fontsize=max(points, 1.0),
        fontweight=weight,
        ha=align,
        va="center_baseline",
        color=color,
        zorder=6,
        parse_math=False,
    )
