"""Layered drawings of directed acyclic graphs: where the boxes go and how the arrows run.

Layers, dummy nodes on long edges, few crossings, straight lines: the method of Sugiyama, Tagawa &
Toda 1981, "Methods for visual understanding of hierarchical system structures". An arrow crosses a
layer only through a slot that was kept free for it, so no arrow ever runs through a box.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pgm.graph_drawing.lattice import (
    SPACE,
    Lattice,
    Ports,
    Size,
    abscissae,
    fewest_crossings,
    straighten,
)

__all__ = ["Drawing", "Point", "Size", "layered_layout"]

Point = tuple[float, float]

# Inches at scale one.
GAP = 0.38  # between two layers; wide fans of arrows get up to GAP_MORE on top
GAP_MORE = 0.4
HEAD = 0.11  # straight end of every arrow, for its head
PORT = 0.20  # between two arrows on the same side of a box, where it is wide enough


@dataclass(frozen=True)
class Drawing:
    """Positions in inches; y grows upwards and everything lies in (0, width) x (0, height).

    Arguments:
        centres: the middle of every box.
        routes: per (parent, child) the corners of the arrow, from the parent's lower border to
            the child's upper one. Its steps are, in turn, straight down and a bend.
    """

    centres: dict[str, Point]
    routes: dict[tuple[str, str], list[Point]]
    width: float
    height: float


def layered_layout(
    parents: Mapping[str, Sequence[str]], sizes: Mapping[str, Size], aspect: float = 1.6
) -> Drawing:
    """Place the boxes of a directed acyclic graph in layers, parents above their children.

    Arguments:
        parents: for every node its parents.
        sizes: for every node the width and height of its box.
        aspect: the ratio of width to height to aim at; layers too wide for it are broken.

    Returns:
        The drawing. Parts that are not connected stand side by side.

    Reference:
        Sugiyama, Tagawa & Toda 1981.

    Example:
        >>> sizes = dict.fromkeys("abc", (1.0, 0.3))
        >>> drawing = layered_layout({"a": [], "b": [], "c": ["a", "b"]}, sizes)
        >>> (xa, ya), (xb, yb), (xc, yc) = (drawing.centres[name] for name in "abc")
        >>> ya == yb > yc, round(abs(xc - (xa + xb) / 2), 6)
        (True, 0.0)
    """
    parts = [_place(part, sizes, aspect) for part in _components(parents)]
    return _pack(parts, aspect)


def _components(parents: Mapping[str, Sequence[str]]) -> list[dict[str, Sequence[str]]]:
    """Split into connected parts, each in the order given."""
    root = {name: name for name in parents}

    def find(name: str) -> str:
        while root[name] != name:
            root[name] = name = root[root[name]]
        return name

    for name, above in parents.items():
        for parent in above:
            root[find(parent)] = find(name)
    parts: dict[str, dict[str, Sequence[str]]] = {}
    for name, above in parents.items():
        parts.setdefault(find(name), {})[name] = above
    return list(parts.values())


def _pack(parts: list[Drawing], aspect: float) -> Drawing:
    """Set drawings side by side in shelves, the largest first."""
    area = sum([(part.width + SPACE) * (part.height + SPACE) for part in parts])
    limit = max([(area * aspect) ** 0.5, *[part.width for part in parts]])
    shelves: list[list[Drawing]] = []
    used = 0.0
    for part in sorted(parts, key=lambda part: -part.width * part.height):
        if not shelves or used + part.width > limit + 1e-9:
            shelves.append([])
            used = 0.0
        shelves[-1].append(part)
        used += part.width + SPACE
    heights = [max([part.height for part in shelf]) for shelf in shelves]
    widths = [sum([part.width + SPACE for part in shelf]) - SPACE for shelf in shelves]
    width, height = max(widths, default=0.0), sum(heights) + SPACE * max(len(shelves) - 1, 0)
    centres: dict[str, Point] = {}
    routes: dict[tuple[str, str], list[Point]] = {}
    top = height
    for shelf, shelf_height, shelf_width in zip(shelves, heights, widths, strict=True):
        left = (width - shelf_width) / 2
        for part in shelf:
            drop = top - part.height
            for name, (x, y) in part.centres.items():
                centres[name] = (x + left, y + drop)
            for edge, points in part.routes.items():
                routes[edge] = [(x + left, y + drop) for x, y in points]
            left += part.width + SPACE
        top -= shelf_height + SPACE
    return Drawing(centres, routes, width, height)


# Layers --------------------------------------------------------------------------------------


def _layers(
    parents: Mapping[str, Sequence[str]], sizes: Mapping[str, Size], aspect: float
) -> dict[str, int]:
    """Layer of every node: longest path from the roots, then edges shortened and widths kept."""
    children: dict[str, list[str]] = {name: [] for name in parents}
    for name, above in parents.items():
        for parent in above:
            children[parent].append(name)
    layer: dict[str, int] = {}
    waiting = {name: len(above) for name, above in parents.items()}
    order = [name for name, count in waiting.items() if not count]
    for name in order:
        layer[name] = max([layer[parent] + 1 for parent in parents[name]], default=0)
        for child in children[name]:
            waiting[child] -= 1
            if not waiting[child]:
                order.append(child)
    _shorten(order, parents, children, layer)
    area = sum([(sizes[name][0] + SPACE) * (sizes[name][1] + 1.3 * GAP) for name in order])
    widest = max([sizes[name][0] + SPACE for name in order])
    _narrow(order, children, layer, sizes, max((area * aspect) ** 0.5, widest))
    _shorten(order, parents, children, layer, only_down=True)
    rank = {old: new for new, old in enumerate(sorted(set(layer.values())))}
    return {name: rank[layer[name]] for name in parents}


def _shorten(
    order: list[str],
    parents: Mapping[str, Sequence[str]],
    children: Mapping[str, Sequence[str]],
    layer: dict[str, int],
    only_down: bool = False,
) -> None:
    """Move nodes within their slack towards the side on which they have more neighbours."""
    for _ in range(len(order)):
        moved = False
        for name in reversed(order):
            above, below = parents[name], children[name]
            if len(below) > len(above):
                goal = min([layer[child] for child in below]) - 1
            elif len(below) < len(above) and not only_down:
                goal = max([layer[parent] for parent in above]) + 1
            else:
                continue
            moved |= goal != layer[name]
            layer[name] = goal
        if not moved:
            return


def _narrow(
    order: list[str],
    children: Mapping[str, Sequence[str]],
    layer: dict[str, int],
    sizes: Mapping[str, Size],
    limit: float,
) -> None:
    """Push nodes without close children down from layers that are wider than the limit."""
    level = min(layer.values())
    while level <= max(layer.values()):
        members = [name for name in order if layer[name] == level]
        width = sum([sizes[name][0] + SPACE for name in members])
        free = [n for n in members if all([layer[child] > level + 1 for child in children[n]])]
        free.sort(key=lambda name: len(children[name]))
        while width > limit and free:
            name = free.pop()
            layer[name] = level + 1
            width -= sizes[name][0] + SPACE
        level += 1


# One connected part ---------------------------------------------------------------------------


def _place(
    parents: Mapping[str, Sequence[str]], sizes: Mapping[str, Size], aspect: float
) -> Drawing:
    """Lay out one connected part."""
    layer = _layers(parents, sizes, aspect)
    lattice = Lattice(parents, layer, sizes)
    lattice.rows = fewest_crossings(lattice)
    x = abscissae(lattice)
    leaves, enters = [_ports(lattice, x, sizes, near) for near in (lattice.down, lattice.up)]
    straighten(lattice, x, leaves, enters)
    left = min([x[i] - lattice.half[i] for i in range(len(x))])
    right = max([x[i] + lattice.half[i] for i in range(len(x))])
    x = [value - left for value in x]
    names = lattice.names
    bands = [max([sizes[names[i]][1] for i in row if i < len(names)]) for row in lattice.rows]
    gaps = [_gap(lattice, row, x) for row in lattice.rows[:-1]]
    height = sum(bands) + sum(gaps)
    tops = [height]
    for band, gap in zip(bands, gaps, strict=False):
        tops.append(tops[-1] - band - gap)
    centres = {
        name: (x[i], tops[layer[name]] - bands[layer[name]] / 2) for i, name in enumerate(names)
    }
    routes = _routes(lattice, x, (leaves, enters), layer, sizes, centres, tops, bands)
    return Drawing(centres, routes, right - left, height)


def _gap(lattice: Lattice, row: list[int], x: list[float]) -> float:
    """Space below a row: more where arrows travel far sideways, to keep them steep."""
    farthest = max([abs(x[i] - x[j]) for i in row for j in lattice.down[i]], default=0.0)
    return GAP + min(GAP_MORE, 0.055 * farthest)


def _routes(
    lattice: Lattice,
    x: list[float],
    ports: tuple[Ports, Ports],
    layer: Mapping[str, int],
    sizes: Mapping[str, Size],
    centres: Mapping[str, Point],
    tops: list[float],
    bands: list[float],
) -> dict[tuple[str, str], list[Point]]:
    """Corners of every arrow: down to the end of a band, a bend in the gap, down again."""
    leaves, enters = ports
    routes = {}
    for (parent, child), chain in lattice.chains.items():
        first, last = x[chain[0]], x[chain[-1]]
        start = first + leaves[chain[0], chain[1]]
        end = last + enters[chain[-1], chain[-2]]
        level = layer[parent]
        points = [(start, centres[parent][1] - sizes[parent][1] / 2)]
        points.append((start, tops[level] - bands[level]))
        for node in chain[1:-1]:
            level += 1
            points += [(x[node], tops[level]), (x[node], tops[level] - bands[level])]
        points.append((end, tops[level + 1] + HEAD))
        points.append((end, centres[child][1] + sizes[child][1] / 2))
        routes[parent, child] = points
    return routes


def _ports(
    lattice: Lattice, x: list[float], sizes: Mapping[str, Size], neighbours: list[list[int]]
) -> Ports:
    """Where on a box's side its arrows start or end, in the order of their other ends."""
    ports = {}
    for i, name in enumerate(lattice.names):
        near = sorted(neighbours[i], key=lambda j: x[j])
        step = min(PORT, 0.7 * sizes[name][0] / max(len(near) - 1, 1))
        for place, j in enumerate(near):
            ports[i, j] = (place - (len(near) - 1) / 2) * step
    return ports
