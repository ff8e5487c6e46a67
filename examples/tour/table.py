"""The table at the end: how probable the models find what they have not seen."""

from __future__ import annotations

from matplotlib.axes import Axes

from examples.tour.guide import Guide
from examples.tour.machines import DIGITS
from inference.palette import AMBER, BLUE, GREEN, INK
from inference.pictures import plain

KINDS = {"exact": BLUE, "estimate": AMBER, "bound": GREEN}


def draw_scores(guide: Guide, ax: Axes) -> Axes:
    """Models of digits on one ruler; bars are two standard errors."""
    lines = [line for line in guide.scores if line.data == DIGITS]
    for place, line in enumerate(lines):
        look = {"fmt": "o", "ms": 5, "color": KINDS[line.kind], "capsize": 2}
        ax.errorbar(line.nats, place, xerr=2 * line.error, **look)
        left = place == 0
        ax.annotate(
            line.model.split(",")[0],
            (line.nats, place),
            (-2 if left else 4, -8),
            textcoords="offset points",
            fontsize=8,
            color=INK,
            ha="left" if left else "right",
            va="center",
        )
    plain(ax).set(
        ylim=(len(lines) - 0.3, -0.6), yticks=[], xlabel="nats per new digit; bars: two s.e."
    )
    ax.spines["left"].set_visible(False)
    return ax


def likelihoods(guide: Guide) -> None:
    """Table of all that was scored."""
    guide.heading("What was learned, in nats per row that was not learned from")
    print("  exact: log-likelihood; estimate: with log Z by annealing; bound: at least this much.")
    data = ""
    for line in guide.scores:
        if line.data != data:
            data = line.data
            print(f"\n  {data:<36}{'nats':>9}{'std. error':>13}   {'':<9}{'seconds':>9}")
        took = f"{line.seconds:9.1f}" if line.seconds else f"{'-':>9}"
        print(f"  {line.model:<36}{line.nats:9.3f}{line.error:13.3f}   {line.kind:<9}{took}")
    print("\n  Nats of different data cannot be compared; models of the same data can, and surer")
    print("  than by these errors, since all are asked for the same rows.")
    guide.panel(
        "likelihoods",
        "One ruler for all",
        "amber: an estimate; green: a bound",
        lambda ax: draw_scores(guide, ax),
        axes=True,
    )
