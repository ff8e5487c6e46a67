"""Pictures of Bayesian networks: the graph, posteriors inside its nodes, posteriors as bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from pgm.layered_layout import Drawing, Point, layered_layout
from pgm.panels import (
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
    make_panels,
    node_size,
    observed_kinds,
    percent,
    text_width,
    title_for,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pgm.bayesian_network import BayesianNetwork

__all__ = ["plot_network", "plot_posteriors"]

INK, MUTED, ARROW, TRACK, GREY = "#1f2933", "#66727f", "#8794a3", "#e3e8ee", "#c3ccd6"
BLUE, PALE_BLUE, BLUE_EDGE = "#4a7ab0", "#f4f7fb", "#a3b6cc"
AMBER, PALE_AMBER, AMBER_EDGE = "#e0962e", "#fff4e0", "#d9922f"

# Inches.
MARGIN, TITLE_STRIP, NARROWEST = 0.16, 0.42, 4.2
LARGEST_FIGURE = 60.0  # beyond that the drawing is shrunk
LARGEST_SCALE = 1.6  # on given axes text grows no further than this


def plot_network(
    network: BayesianNetwork, ax: Axes | None = None, evidence: Mapping[str, Any] | None = None
) -> Axes:
    """Draw the graph in layers, parents above children; with evidence, posteriors in the nodes.

    With evidence (``{}``: the priors) every node is a panel with a bar per state. Observed
    variables are amber and carry a check mark (a tilde for soft evidence); a tick on a bar is
    the prior. Of more than six states the likeliest are shown and the others summed up.

    Arguments:
        network: the network.
        ax: where to draw; a new figure of fitting size by default. Text is scaled to the size
            that the axes have now.
        evidence: observed states or likelihoods, one query; None draws the names alone.

    Returns:
        The axes. Artists carry ids: ``node:name``, ``edge:parent->child``, ``mark:name``, and
        ``bar:name:code`` and ``tick:name:code`` (``rest`` for states summed up).

    Raises:
        ValueError: for a batch of evidence, or evidence of probability zero.

    Reference:
        Sugiyama, Tagawa & Toda 1981 (the layout).

    Example:
        >>> from matplotlib.figure import Figure
        >>> from pgm.classic import asia
        >>> ax = plot_network(asia(), Figure().add_subplot(), {"xray": "yes"})
        >>> len([patch for patch in ax.patches if patch.get_gid() == "mark:xray"])
        1
    """
    panels = {} if evidence is None else make_panels(network, evidence, network.variables)
    sizes = {name: node_size(name, panels.get(name)) for name in network.variables}
    parents = {name: network.parents(name) for name in network.variables}
    drawing = layered_layout(parents, sizes)
    ax, scale = _canvas(ax, drawing, network, evidence)
    for edge, route in drawing.routes.items():
        _draw_arrow(ax, edge, route, scale)
    for name, centre in drawing.centres.items():
        _draw_node(ax, name, centre, sizes[name], panels.get(name), scale)
    return ax


def plot_posteriors(
    network: BayesianNetwork,
    evidence: Mapping[str, Any] | None = None,
    variables: Sequence[str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw posteriors as bars next to the priors, state by state.

    .. math:: p(x_v \\mid e) \\text{ against } p(x_v)

    Arguments:
        network: the network.
        evidence: observed states or likelihoods, one query; without any only priors are drawn.
        variables: what to show; all variables by default.
        ax: where to draw; a new figure of fitting height by default.

    Returns:
        The axes. Bars carry the ids ``prior:name:code`` and ``posterior:name:code``.

    Raises:
        ValueError: for unknown variables, a batch of evidence, or evidence of probability zero.

    Example:
        >>> from matplotlib.figure import Figure
        >>> from pgm.classic import asia
        >>> ax = plot_posteriors(asia(), {"smoke": "no"}, ["lung"], Figure().add_subplot())
        >>> {p.get_gid(): round(float(p.get_width()), 3) for p in ax.patches}["posterior:lung:0"]
        0.01
    """
    chosen = network.variables if variables is None else list(variables)
    panels = make_panels(network, evidence or {}, chosen)
    spans = [len(panel.bars) + 1.2 for panel in panels.values()]
    if ax is None:
        import matplotlib.pyplot as plt

        height = min(0.28 * sum(spans) + 1.1, LARGEST_FIGURE)
        figure, ax = plt.subplots(figsize=(6.4, height))
        figure.set_layout_engine("constrained", w_pad=0.12, h_pad=0.12)
    compared = bool(observed_kinds(network, evidence))
    wide, high = _inches(ax)
    # Text keeps to the height of a row on axes that are given and low.
    points = min(8.5, 36.0 * high / (sum(spans) + 1.1))
    ticks: list[tuple[float, str]] = []
    top = 1.1 if compared else 0.0  # the legend's line
    for (name, panel), span in zip(panels.items(), spans, strict=True):
        ticks += _draw_group(ax, name, panel, top, compared, points)
        top += span
    ax.set_ylim(top + 0.2, 0.0)
    room = text_width(">99.9 % \u2192 >99.9 %" if compared else ">99.9 %", points)
    ax.set_xlim(0.0, 1.03 / (1.0 - min(room / wide, 0.6)))
    _finish_bars(ax, ticks, points)
    if compared:
        _add_legend(ax, any([panel.observed for panel in panels.values()]), points)
    title = title_for(network, evidence or {}, wide)
    ax.set_title(title, fontsize=TITLE_POINTS, color=INK, parse_math=False)
    return ax


# Canvas --------------------------------------------------------------------------------------


def _inches(ax: Axes) -> tuple[float, float]:
    """Width and height that the axes have now."""
    box = ax.get_window_extent()
    return box.width / ax.figure.dpi, box.height / ax.figure.dpi


def _canvas(
    ax: Axes | None,
    drawing: Drawing,
    network: BayesianNetwork,
    evidence: Mapping[str, Any] | None,
) -> tuple[Axes, float]:
    """Axes whose unit is an inch of the drawing, and how many true inches that is."""
    width, height = drawing.width + 2 * MARGIN, drawing.height + 2 * MARGIN
    if ax is None:
        import matplotlib.pyplot as plt

        shrink = min(1.0, LARGEST_FIGURE / width, LARGEST_FIGURE / height)
        size = max(shrink * width, NARROWEST), shrink * height
        figure, ax = plt.subplots(figsize=(size[0], size[1] + TITLE_STRIP))
        figure.subplots_adjust(0.0, 0.0, 1.0, size[1] / (size[1] + TITLE_STRIP))
    ax.set_axis_off()
    style = {"fontsize": TITLE_POINTS, "color": INK, "parse_math": False}
    ax.set_title("Posteriors", **style)
    if ax.figure.get_layout_engine() is not None:
        ax.figure.canvas.figure.draw_without_rendering()  # so that the axes have their size
    wide, high = _inches(ax)
    ax.set_title(title_for(network, evidence, wide), **style)
    scale = min(wide / width, high / height, LARGEST_SCALE)
    for limits, middle, extent in (
        (ax.set_xlim, drawing.width / 2, wide),
        (ax.set_ylim, drawing.height / 2, high),
    ):
        limits(middle - extent / scale / 2, middle + extent / scale / 2)
    ax.set_aspect("equal", anchor="N")
    return ax, scale


# Nodes and arrows ----------------------------------------------------------------------------


def _draw_arrow(ax: Axes, edge: tuple[str, str], route: list[Point], scale: float) -> None:
    """Straight down through a layer, in a bend from layer to layer, a head at the border."""
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    points, codes = [route[0]], [Path.MOVETO]
    for i, (start, end) in enumerate(pairwise(route)):
        if i % 2 == 0:
            points.append(end)
            codes.append(Path.LINETO)
            continue
        reach = 0.55 * (start[1] - end[1])
        points += [(start[0], start[1] - reach), (end[0], end[1] + reach), end]
        codes += [Path.CURVE4] * 3
    arrow = FancyArrowPatch(
        path=Path(points, codes),
        arrowstyle="-|>,head_length=5.5,head_width=2.4",
        mutation_scale=scale,
        linewidth=1.05 * scale,
        color=ARROW,
        joinstyle="miter",
        capstyle="butt",
        zorder=1,
        gid=f"edge:{edge[0]}->{edge[1]}",
    )
    ax.add_patch(arrow)


def _draw_node(
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
    color = AMBER if observed else ARROW if bar.code is None else BLUE
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


# Bars ----------------------------------------------------------------------------------------


def _draw_group(
    ax: Axes, name: str, panel: Panel, top: float, compared: bool, points: float
) -> list[tuple[float, str]]:
    """Name of a variable and, under it, one or two bars per state; returns the states' ticks."""
    heading = ax.text(0.008, top + 0.7, name, fontsize=1.1 * points, va="center", color=INK)
    heading.set(fontweight="bold", parse_math=False)
    color = AMBER if panel.observed else BLUE
    ticks = []
    for row, bar in enumerate(panel.bars):
        y = top + 1.5 + row
        ticks.append((y, bar.label))
        shift, height = (-0.14, 0.38) if compared else (0.0, 0.6)
        paint = ARROW if bar.code is None else color
        ax.barh(y + shift, bar.posterior, height, color=paint, gid=f"posterior:{name}:{bar.gid}")
        shown = percent(bar.posterior)
        if compared:
            ax.barh(y + 0.2, bar.prior, 0.3, color=GREY, gid=f"prior:{name}:{bar.gid}")
            shown = f"{percent(bar.prior)} \u2192 {shown}"
        end = max(bar.posterior, bar.prior)
        ax.text(end + 0.012, y, shown, fontsize=0.95 * points, va="center", color=MUTED)
    return ticks


def _finish_bars(ax: Axes, ticks: list[tuple[float, str]], points: float) -> None:
    """Ticks, grid and frame."""
    states = ax.set_yticks([y for y, _ in ticks], [label for _, label in ticks], fontsize=points)
    ax.set_xticks([0.0, 0.25, 0.5, 0.75, 1.0], ["0", "25", "50", "75", "100 %"], fontsize=8.5)
    ax.tick_params(length=0, labelcolor=MUTED)
    for tick in states:
        tick.label1.set(color=INK, parse_math=False)
    ax.grid(axis="x", color=TRACK, lw=0.8)
    ax.set_axisbelow(True)
    for side in ("top", "right", "bottom"):
        ax.spines[side].set_visible(False)
    ax.spines["left"].set_color(ARROW)


def _add_legend(ax: Axes, observed: bool, points: float) -> None:
    """In the line kept free above the first variable."""
    from matplotlib.patches import Patch

    handles = [Patch(color=BLUE, label="posterior"), Patch(color=GREY, label="prior")]
    if observed:
        handles.insert(1, Patch(color=AMBER, label="observed"))
    legend = ax.legend(handles=handles, loc="upper left", ncols=3, fontsize=points)
    legend.set(frame_on=False, zorder=6)
