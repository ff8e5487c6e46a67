"""Place, scale and rounding of every column, whatever the numbers' units.

.. math:: s_j = \\min\\bigl(\\mathrm{sd}_j,\\ \\mathrm{IQR}_j / 1.349\\bigr)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from inference.arrays import namespace

__all__ = ["Spread", "column_range", "measure"]

# Rows that quartiles and steps of rounding are found from; more would tell nothing new.
_MOST_ROWS = 5_000
_CHUNK = 1 << 16
#: Interquartile range of the standard normal law.
_NORMAL_IQR = 1.3489795003921634
#: A column with a smaller share of distinct values has been rounded.
_DISTINCT = 0.7


@dataclass(frozen=True)
class Spread:
    """What `measure` returns; float64, in the units of the data.

    Attributes:
        mean: of the present entries of every column, (d,).
        center: a place among the entries of every column, (d,): the mean, or the median where
            outliers have carried the mean more than a scale away, as differences between the
            others would lose their digits there.
        scales: robust standard deviations (d,), positive; of a constant column that of its
            neighbours (their median).
        rounding: steps to which the columns are rounded, (d,), 0 where there is no such step.
        constant: which columns are constant, (d,).
        reach: greatest distance of an entry from the center, in scales.
        correlations: second moments about the mean in units of the scales, (d, d); None where
            entries are missing.
    """

    mean: Any
    center: Any
    scales: Any
    rounding: Any
    constant: Any
    reach: float
    correlations: Any


def measure(x: Any, weights: Any = None, *, missing: bool = False) -> Spread:
    """Measure rows, numpy arrays or tensors, of which some entries may be NaN.

    The scale is that of the middle half of the values where outliers would enlarge the standard
    deviation; where more than half of them are equal it is the standard deviation.

    Arguments:
        x: floating type.
        weights: of the rows, positive; None: ones.
        missing: whether there are NaN entries.

    Shapes:
        x: (n, d). weights: (n,).

    Raises:
        ValueError: if all columns are constant.

    Reference:
        Sheppard 1898 for what rounding adds to a variance: the square of the step over 12.
    """
    low, high = column_range(x, missing=missing)
    constant = low == high
    if constant.all():
        raise ValueError(
            "X must vary in at least one column, but all rows are equal; a density needs a spread"
        )
    rows, some = _representative(x, weights)
    columns = [_Column.of(values, some) for values in rows]
    middle, quartiles, rounding = np.array(columns).T
    # In units of its range, no column's squares leave the range of numbers.
    ranges = np.where(constant, 1.0, high - low)
    means, squares = _moments(x, weights, middle, ranges, missing=missing)
    deviations = ranges * np.sqrt(np.diagonal(squares))
    scales = np.where(quartiles > 0, np.minimum(deviations, quartiles), deviations)
    scales = np.where(constant, np.median(scales[~constant]), scales)
    # With an outlier beyond all measure they are infinite, and nothing is made of them.
    with np.errstate(over="ignore", invalid="ignore"):
        units = ranges / scales
        correlations = None if missing else squares * units * units[:, None]
    mean = middle + means * ranges
    center = np.where(np.abs(mean - middle) > scales, middle, mean)
    reach = float((np.maximum(high - center, center - low) / scales).max())
    steps = np.where(constant, 0.0, rounding)

    def here(part: np.ndarray) -> Any:
        return torch.as_tensor(part, device=x.device) if isinstance(x, Tensor) else part

    correlations = None if correlations is None else here(correlations)
    return Spread(
        here(mean), here(center), here(scales), here(steps), here(constant), reach, correlations
    )


class _Column(NamedTuple):
    """Median, robust standard deviation and step of rounding of one column."""

    median: float
    scale: float
    step: float

    @classmethod
    def of(cls, values: np.ndarray, weights: np.ndarray | None) -> _Column:
        """From values (n,) float64, NaN for missing, with weights (n,) or None."""
        there = ~np.isnan(values)
        if not there.all():
            values, weights = values[there], None if weights is None else weights[there]
        if not len(values):
            return cls(0.0, 0.0, 0.0)
        if weights is None:
            values = np.sort(values)
            places = (np.array([0.25, 0.5, 0.75]) * (len(values) - 1)).astype(int)
        else:
            order = np.argsort(values)
            values, mass = values[order], np.cumsum(weights[order])
            places = np.searchsorted(mass, np.array([0.25, 0.5, 0.75]) * mass[-1])
        low, median, high = values[places].tolist()
        return cls(median, (high - low) / _NORMAL_IQR, _step(values))


def _step(values: np.ndarray) -> float:
    """Step to which sorted values have been rounded, 0 for none."""
    gaps = np.diff(values)
    gaps = gaps[gaps > 0]
    if not len(gaps) or len(gaps) + 1 >= _DISTINCT * len(values):
        return 0.0
    # Differences of rounded numbers differ in their last digits; one tie is no rounding.
    return float(np.quantile(gaps, 0.05, method="lower"))


def _representative(x: Any, weights: Any) -> tuple[np.ndarray, np.ndarray | None]:
    """Rows at equal distances, column by column (d, m) float64, and their weights."""
    step = -(-len(x) // _MOST_ROWS)
    rows: Any = _on_host(x[::step])
    some: Any = None if weights is None else _on_host(weights[::step])
    return np.ascontiguousarray(rows.T, dtype=np.float64), some


def _on_host(x: Any) -> Any:
    """A numpy array."""
    return x.cpu().numpy() if isinstance(x, Tensor) else x


def column_range(x: Any, *, missing: bool) -> tuple[np.ndarray, np.ndarray]:
    """Least and greatest present entry of every column, (d,) float64; of none, NaN or infinite.

    Arguments:
        x: rows (n, d), at least one.
        missing: whether there may be NaN entries.

    Example:
        >>> low, high = column_range(np.array([[1.0, 5.0], [3.0, 2.0]]), missing=False)
        >>> low.tolist(), high.tolist()
        ([1.0, 2.0], [3.0, 5.0])
    """
    if isinstance(x, Tensor):
        ends = x.nan_to_num(nan=torch.inf).amin(0), x.nan_to_num(nan=-torch.inf).amax(0)
        low, high = [end.cpu().numpy() for end in ends]
    elif missing:
        low, high = np.fmin.reduce(x, 0), np.fmax.reduce(x, 0)
    else:
        wide = _widened(x)
        low = wide.min(0).reshape(-1, x.shape[1]).min(0)
        high = wide.max(0).reshape(-1, x.shape[1]).max(0)
        rest = x[len(wide) * (wide.shape[1] // x.shape[1]) :]
        if len(rest):
            low, high = np.minimum(low, rest.min(0)), np.maximum(high, rest.max(0))
    return low.astype(np.float64), high.astype(np.float64)


def _widened(x: np.ndarray) -> np.ndarray:
    """Several rows as one, without those left over: long rows are reduced faster."""
    d = x.shape[1]
    together = max(min(1024 // d, len(x)), 1) if x.flags.c_contiguous else 1
    return x[: len(x) - len(x) % together].reshape(-1, together * d)


def _moments(
    x: Any, weights: Any, origin: np.ndarray, units: np.ndarray, *, missing: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Means of (x - origin) / units, and second moments about them, (d, d).

    The origin is the median, which is within a standard deviation of the mean, so that one pass
    loses no digits. Where entries are missing only the diagonal means something.
    """
    xp, d = namespace(x), x.shape[1]
    place: Any = origin
    inverse: Any = 1 / units
    if xp is torch:
        place, inverse = [torch.as_tensor(part, device=x.device) for part in (place, inverse)]
    counts: Any = 0.0
    sums: Any = 0.0
    products: Any = 0.0
    height = max(_CHUNK // d, 1)
    for left in range(0, len(x), height):
        block = (x[left : left + height] - place) * inverse
        w = None if weights is None else weights[left : left + height, None]
        if missing:
            there = ~xp.isnan(block)
            block = xp.nan_to_num(block, nan=0.0)
            counts = counts + (there if w is None else there * w).sum(0)
        else:
            counts = counts + (len(block) if w is None else w.sum())
        weighed = block if w is None else block * w
        sums = sums + weighed.sum(0)
        products = products + weighed.T @ block
    means = sums / counts
    if missing:
        counts = counts[:, None]
    squares = products / counts - means[:, None] * means
    found = [_on_host(part) for part in (means, squares)]
    return found[0], np.maximum(found[1], 0) if missing else found[1]
