"""How time grows with size: exponents fitted beside those that the algorithms have.

.. math:: \\log t = a + b \\log n, \\qquad
          s_b^2 = \\frac{\\sum_i r_i^2}{(m - 2) \\sum_i (\\log n_i - \\overline{\\log n})^2}
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from benchmarks.growth_lines import LINES, Line
from benchmarks.growth_plot import draw
from benchmarks.report import Column, Row, Section
from benchmarks.settings import Settings
from benchmarks.timing import Contender

__all__ = ["Slope", "section", "slope"]

#: Of many small problems each is timed less often.
REPEATS, BUDGET = 7, 0.5
FEWEST_SIZES = 3

NOTES = (
    "Milliseconds of one call at the smallest and the largest size, all sizes in turns, and the",
    "slope of log time over log size: least squares through the medians, with its standard error.",
    "Below the exponent: what a call costs whatever its size still counts, or larger products run",
    "at higher rates. Above: caches overflow.",
    "exact inference     all posteriors of spins on strips 20 long, against the entries of all",
    "                    tables, which double with every row; on strips 4 wide, against nodes",
    "belief propagation  20 iterations on square grids",
    "Ising sweeps        10 on a torus: of side 64, and of 32 chains",
    "annealed sampling   64 chains, 64 x 64 units, importance weights",
    "Boltzmann machine   4 steps of persistent contrastive divergence: 512 x 512 units; batch 128",
    "hidden Markov       posterior of one sequence: 8 states; 2,000 steps",
    "mixture             10 steps, full covariances: d = 8, K = 8; 10,000 rows, d = 8; 5,000",
    "                    rows, K = 4",
)
COLUMNS = (
    Column("what", "", -30),
    Column("axis", "against", -22),
    Column("smallest", "from", 9),
    Column("largest", "to", 11),
    Column("shortest", "ms from", 9),
    Column("longest", "ms to", 9),
    Column("expected", "exponent", 8),
    Column("fitted", "fitted", 7),
    Column("error", "s.e.", 7),
)


class Slope(NamedTuple):
    """A power law through times of several sizes.

    Attributes:
        exponent: b.
        error: its standard error; None of two sizes.
        factor: exp(a), seconds at size one.
    """

    exponent: float
    error: float | None
    factor: float


def slope(sizes: Sequence[float], seconds: Sequence[float]) -> Slope:
    """Least squares in logarithms."""
    x, y = np.log(sizes), np.log(seconds)
    centred = x - x.mean()
    spread = float((centred**2).sum())
    exponent = float(centred @ y) / spread
    start = float(y.mean() - exponent * x.mean())
    error = None
    if len(x) > 2:
        off = float(((y - start - exponent * x) ** 2).sum())
        error = float(np.sqrt(off / (len(x) - 2) / spread))
    return Slope(exponent, error, float(np.exp(start)))


def section(settings: Settings) -> Section:
    """The table and the picture of this section."""
    return Section("Growth", NOTES, COLUMNS, _rows(settings), draw)


def _rows(settings: Settings) -> Iterator[Row]:
    own = replace(
        settings,
        repeats=min(settings.repeats, REPEATS),
        budget=min(settings.budget, BUDGET),
    )
    for line in LINES:
        yield _row(own, line)


def _row(settings: Settings, line: Line) -> Row:
    """All sizes in turns."""
    steps = line.steps if settings.most_rows is None else line.steps[:FEWEST_SIZES]
    made = [line.make(settings, step) for step in steps]
    for found in made:
        found.call()  # plans and compilations are remembered
    sizes = [found.size for found in made]
    times = settings.time(
        *[Contender.repeating(str(n), found.call) for n, found in enumerate(made)]
    )
    medians = [timing.median for timing in times.values()]
    fitted = slope(sizes, medians)
    return {
        "what": line.what,
        "axis": line.axis,
        "smallest": int(sizes[0]),
        "largest": int(sizes[-1]),
        "shortest": 1e3 * medians[0],
        "longest": 1e3 * medians[-1],
        "expected": line.expected,
        "fitted": fitted.exponent,
        "error": fitted.error,
        "factor": fitted.factor,
        "verdict": "",
        "sizes": sizes,
        "medians": medians,
        "quartiles": [timing.quartiles for timing in times.values()],
    }
