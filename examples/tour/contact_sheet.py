"""All models on one sheet: every panel is drawn from the model that its chapter has learned."""

from __future__ import annotations

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from examples.tour.guide import Guide, Panel
from inference.palette import INK, MUTED, PAPER, TRACK

#: Height of each row of cards, and the widths of its cards, in shares of the row.
ROWS: list[tuple[float, dict[str, float]]] = [
    (3.75, {"asia": 1.32, "clusters": 1.2, "geyser": 1.6}),
    (2.5, {"spins": 2.2, "discs": 1.15, "recall": 0.88, "log_z": 1.22, "likelihoods": 1.3}),
    (
        2.5,
        {
            "filters": 1.03,
            "beliefs": 1.35,
            "manifold": 1.13,
            "moons": 1.17,
            "GAN": 0.95,
            "Wasserstein GAN": 0.95,
        },
    ),
]
#: Inches: the sheet, its margin, the gap of cards, their padding, and the room for words.
SIZE, MARGIN, GAP, PADDING, WORDS, HEAD = (15.0, 10.0), 0.2, 0.14, 0.14, 0.56, 0.57
#: Inches for numbers and names of axes, at the left and at the bottom.
LABELS = (0.42, 0.38)
STYLE = {"font.size": 9, "axes.labelsize": 9, "legend.fontsize": 8, "text.color": INK}

Box = tuple[float, float, float, float]


def place(box: Box) -> Box:
    """Left, bottom, width and height in shares of the sheet, from inches and from its top."""
    left, top, width, height = box
    return left / SIZE[0], 1 - (top + height) / SIZE[1], width / SIZE[0], height / SIZE[1]


def card(figure: Figure, panel: Panel, box: Box) -> Axes:
    """Draw a panel on a card."""
    left, top, width, height = box
    x, y, across, down = place(box)
    style = {"boxstyle": "round,pad=0,rounding_size=0.006", "mutation_aspect": 1.5}
    paper = {"fc": "white", "ec": TRACK, "lw": 1, "transform": figure.transFigure, "zorder": -1}
    figure.add_artist(FancyBboxPatch((x, y), across, down, **style, **paper))
    at = (left + PADDING) / SIZE[0]
    heights = [1 - (top + inches) / SIZE[1] for inches in (0.24, 0.43)]
    figure.text(at, heights[0], panel.title, size=10.5, weight="bold", va="center")
    figure.text(at, heights[1], panel.caption, size=8.5, color=MUTED, va="center")
    aside, below = LABELS if panel.axes else (0.0, 0.0)
    inside = (
        left + PADDING + aside,
        top + WORDS,
        width - 2 * PADDING - aside,
        height - WORDS - PADDING - below,
    )
    ax = figure.add_axes(place(inside))
    panel.draw(ax)
    ax.set_position(place(inside))  # a picture may have made room for a colour bar
    for side in ("left", "center", "right"):
        ax.set_title("", loc=side)
    ax.tick_params(labelsize=8)
    if not panel.axes:
        ax.set(xticks=[], yticks=[], xlabel="", ylabel="")
        ax.spines[:].set_visible(False)
    return ax


def contact_sheet(guide: Guide) -> None:
    guide.heading("All on one sheet")
    with plt.rc_context(STYLE):
        figure = plt.figure(figsize=SIZE, facecolor=PAPER)
        middle = 1 - (MARGIN + HEAD / 2 - 0.05) / SIZE[1]
        figure.text(0.016, middle, "Free Energy", size=22, weight="bold", va="center_baseline")
        words = "graphical, energy-based and generative models on one inference engine"
        figure.text(0.186, middle, words, size=13, color=MUTED, va="center_baseline")
        top = MARGIN + HEAD
        for height, widths in ROWS:
            room = SIZE[0] - 2 * MARGIN - (len(widths) - 1) * GAP
            left = MARGIN
            for name, share in widths.items():
                width = room * share / sum(widths.values())
                card(figure, guide.panels[name], (left, top, width, height))
                left += width + GAP
            top += height + GAP
        path = guide.out / "contact_sheet.png"
        figure.savefig(path, dpi=120)
        plt.close(figure)
    print(f"  -> {path}")
