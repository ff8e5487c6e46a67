"""Pictures of Bayesian networks: the graph, posteriors inside its nodes, posteriors as bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from inference.palette import AMBER, AXIS, BLUE, INK, MUTED, TRACK
from pgm.graph_drawing.drawing import (
    GREY,
    LARGEST_FIGURE,
    canvas,
    draw_arrow,
    draw_node,
    inches,
)
from pgm.graph_drawing.layered_layout import layered_layout
from pgm.graph_drawing.panels import (
    TITLE_POINTS,
    Panel,
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
    ax, scale = canvas(ax, drawing, lambda width: title_for(network, evidence, width))
    for edge, route in drawing.routes.items():
        draw_arrow(ax, edge, route, scale)
    for name, centre in drawing.centres.items():
        draw_node(ax, name, centre, sizes[name], panels.get(name), scale)
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
    wide, high = inches(ax)
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
        paint = AXIS if bar.code is None else color
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
    ax.spines["left"].set_color(AXIS)


def _add_legend(ax: Axes, observed: bool, points: float) -> None:
    """In the line kept free above the first variable."""
    from matplotlib.patches import Patch

    handles = [Patch(color=BLUE, label="posterior"), Patch(color=GREY, label="prior")]
    if observed:
        handles.insert(1, Patch(color=AMBER, label="observed"))
    legend = ax.legend(handles=handles, loc="upper left", ncols=3, fontsize=points)
    legend.set(frame_on=False, zorder=6)
