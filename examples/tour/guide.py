"""What goes from chapter to chapter: folders, how long to work, and what is kept for the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple, TypeVar

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from torch import Tensor

Number = TypeVar("Number")


class Score(NamedTuple):
    """A line of the last table, nats per row that was not learned from."""

    model: str
    data: str
    nats: float
    error: float
    kind: str
    seconds: float


class Panel(NamedTuple):
    """A picture of the contact sheet, drawn at the end."""

    title: str
    caption: str
    draw: Callable[[Axes], Any]
    axes: bool


@dataclass
class Guide:
    """Leads through the chapters.

    Arguments:
        out: folder of the figures.
        shared: folder of published networks, which need not be there.
        quick: take fewer steps.
    """

    out: Path
    shared: Path
    quick: bool = False
    scores: list[Score] = field(default_factory=list)
    panels: dict[str, Panel] = field(default_factory=dict)
    chapters: int = 0
    started: float = field(default_factory=perf_counter)

    def heading(self, words: str) -> None:
        self.chapters += 1
        line = f"{self.chapters}. {words}"
        print(f"\n{line}\n{'-' * len(line)}")
        self.started = perf_counter()

    def pick(self, whole: Number, quick: Number) -> Number:
        """How long to work."""
        return quick if self.quick else whole

    def save(self, ax: Axes, name: str) -> None:
        """Write the figure that the axes are part of."""
        path = self.out / f"{name}.png"
        ax.figure.canvas.figure.savefig(path, dpi=130)
        plt.close("all")
        print(f"  -> {path}")

    def seconds(self) -> float:
        """Since this was asked for last, or since the heading."""
        before, self.started = self.started, perf_counter()
        return self.started - before

    def score(
        self,
        model: str,
        data: str,
        values: Tensor,
        seconds: float = 0.0,
        *,
        kind: str = "exact",
        log_z_error: float = 0.0,
    ) -> float:
        """Keep a line of the table: mean and standard error of independent values; the mean.

        The error of an estimated log Z is the same in every value, and is added in squares.
        """
        values = values.detach().double()
        mean, error = float(values.mean()), float(values.std()) / len(values) ** 0.5
        total = (error**2 + log_z_error**2) ** 0.5
        self.scores.append(Score(model, data, mean, total, kind, seconds))
        return mean

    def panel(
        self,
        name: str,
        title: str,
        caption: str,
        draw: Callable[[Axes], Any],
        *,
        axes: bool = False,
    ) -> None:
        """Keep a picture for the contact sheet, with axes that have numbers or without."""
        self.panels[name] = Panel(title, caption, draw, axes)
