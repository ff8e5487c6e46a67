"""Pictures of Markov random fields: boxes joined by lines.

.. math:: \\{u, v\\} \\in E \\iff u, v \\text{ share a factor}
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from inference.palette import AXIS
from pgm.graph_drawing.drawing import canvas, draw_node
from pgm.graph_drawing.layered_layout import Drawing
from pgm.graph_drawing.panels import node_size

if TYPE_CHECKING:
    import networkx
    from matplotlib.axes import Axes

__all__ = ["plot_field"]

#: Inches of the drawing's side per box, and beyond how many boxes a cheaper layout is used.
ROOM, MANY = 0.62, 150


def plot_field(graph: networkx.Graph, ax: Axes | None = None) -> Axes:
    """Draw an undirected graph, neighbours close to each other.

    Arguments:
        graph: names and edges.
        ax: where to draw; a new figure of fitting size by default.

    Returns:
        The axes. Artists carry the ids ``node:name`` and ``edge:name--name``.

    Reference:
        Kamada & Kawai 1989, "An algorithm for drawing general undirected graphs".

    Example:
        >>> import networkx
        >>> from matplotlib.figure import Figure
        >>> ax = plot_field(networkx.path_graph(["a", "b", "c"]), Figure().add_subplot())
        >>> len(ax.patches), len(ax.lines)
        (3, 2)
    """
    names = [str(name) for name in graph.nodes]
    sizes = {name: node_size(name, None) for name in names}
    drawing = _drawing(graph, names, sizes)
    title = f"{len(names)} variables, {graph.number_of_edges()} edges"
    ax, scale = canvas(ax, drawing, lambda width: title)
    for u, v in graph.edges:
        ends = [drawing.centres[str(u)], drawing.centres[str(v)]]
        (line,) = ax.plot(*zip(*ends, strict=True), color=AXIS, lw=1.05 * scale, zorder=1)
        line.set_gid(f"edge:{u}--{v}")
    for name in names:
        draw_node(ax, name, drawing.centres[name], sizes[name], None, scale)
    return ax


def _drawing(
    graph: networkx.Graph, names: Sequence[str], sizes: dict[str, tuple[float, float]]
) -> Drawing:
    """Positions in inches."""
    import networkx

    if not names:
        return Drawing({}, {}, 1.0, 1.0)
    few = len(names) <= MANY
    layout = networkx.kamada_kawai_layout if few else networkx.spectral_layout
    found = layout(graph)
    points = {str(name): tuple(map(float, point)) for name, point in found.items()}
    wide, high = (max([size[i] for size in sizes.values()]) for i in (0, 1))
    side = max(1.0, ROOM * len(names) ** 0.5) * (wide + 0.5)
    centres = {}
    spans = []
    for axis in (0, 1):
        values = [point[axis] for point in points.values()]
        spans.append((min(values), max(max(values) - min(values), 1e-9)))
    for name, point in points.items():
        x, y = ((point[i] - spans[i][0]) / spans[i][1] for i in (0, 1))
        centres[name] = (wide / 2 + x * side, high / 2 + y * side * 0.8)
    return Drawing(centres, {}, side + wide, side * 0.8 + high)
