"""Small pictures of time against size, both logarithmic, a panel per line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.report import Row
from inference.palette import AMBER, AXIS, BLUE, INK, MUTED, TRACK

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw"]

COLUMNS = 5
#: Inches of a panel.
SIZE = (2.7, 2.4)


def draw(rows: Sequence[Row], path: Path) -> None:
    """Draw every line of the section into one file.

    Arguments:
        rows: of the section on growth.
        path: of the picture.
    """
    from matplotlib.figure import Figure

    height = math.ceil(len(rows) / COLUMNS)
    figure = Figure(figsize=(SIZE[0] * COLUMNS, SIZE[1] * height), layout="constrained")
    panels = figure.subplots(height, COLUMNS, squeeze=False).ravel()
    for panel, row in zip(panels, rows, strict=False):
        _panel(panel, row)
    for panel in panels[len(rows) :]:
        panel.set_axis_off()
    _key(panels[-1])
    figure.savefig(path, dpi=150)


def _panel(panel: Axes, row: Row) -> None:
    """Medians with their quartiles, the fit, and the slope that is expected."""
    sizes, medians = np.array(row["sizes"]), 1e3 * np.array(row["medians"])
    quartiles = 1e3 * np.array(row["quartiles"]).T
    fitted = 1e3 * row["factor"] * sizes ** row["fitted"]
    # Through the last point, which costs that do not grow bend least.
    expected = medians[-1] * (sizes / sizes[-1]) ** row["expected"]
    panel.loglog(sizes, expected, color=AMBER, linewidth=1.2, linestyle=(0, (4, 2)))
    panel.loglog(sizes, fitted, color=BLUE, linewidth=1.6)
    bars = np.abs(quartiles - medians)
    panel.errorbar(sizes, medians, bars, fmt="o", color=BLUE, markersize=4.5, capsize=2)
    panel.set_title(row["what"], fontsize=9.5, color=INK, loc="left")
    panel.set_xlabel(row["axis"], fontsize=8.5, color=MUTED)
    panel.set_ylabel("ms", fontsize=8.5, color=MUTED)
    error = "" if row["error"] is None else f" ± {row['error']:.2f}"
    words = f"slope {row['fitted']:.2f}{error}\nexpected {row['expected']:g}"
    panel.text(
        0.04, 0.95, words, transform=panel.transAxes, fontsize=8.5, color=INK, va="top"
    )  # fmt: skip
    panel.margins(0.08, 0.12)
    _quiet(panel)


def _quiet(panel: Axes) -> None:
    """Axes that do not shout."""
    panel.grid(visible=True, which="major", color=TRACK, linewidth=0.8)
    panel.set_axisbelow(True)
    panel.tick_params(which="both", colors=MUTED, labelsize=8, length=2.5)
    panel.minorticks_off()
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        panel.spines[side].set_color(AXIS)


def _key(panel: Axes) -> None:
    """What the marks mean, in the last, empty, panel."""
    if panel.axison:
        return
    panel.plot([], [], "o-", color=BLUE, markersize=4.5, label="medians, quartiles, fit")
    panel.plot([], [], color=AMBER, linestyle=(0, (4, 2)), label="expected exponent")
    panel.legend(loc="center", frameon=False, fontsize=9, labelcolor=INK)
