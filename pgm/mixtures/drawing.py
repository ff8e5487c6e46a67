"""Parts of pictures of normal mixtures: ellipses, rows, curves, regions, shares.

.. math:: \\{x : (x - \\mu_k)^\\top \\Sigma_k^{-1} (x - \\mu_k) = n_{\\text{std}}^2\\}
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from inference.palette import INK, SERIES, TRACK
from pgm.gaussian_mixture import GaussianMixture
from pgm.mixtures.density import as_matrices

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "component_colors",
    "draw_ellipses",
    "draw_parts",
    "draw_regions",
    "draw_rows",
    "stacked",
]

PALE, DEEP = "#f1f5fa", "#a9c3df"

#: Points of a side of a grid, most bins of a histogram, spots of a picture of responsibilities.
GRID, MOST_BINS, LEVELS, WIDEST = 240, 60, 400, 2000


def component_colors(n_components: int) -> np.ndarray:
    """Colours of components by number, those that all pictures here use, (K, 3) RGB in 0..1.

    Example:
        >>> component_colors(3).shape
        (3, 3)
    """
    from matplotlib.colors import hsv_to_rgb, to_rgb

    if n_components <= len(SERIES):
        return np.array([to_rgb(color) for color in SERIES[:n_components]])
    hues = np.arange(n_components) / n_components
    # Neighbours on the wheel differ in lightness too.
    lightness = np.resize([0.66, 0.8, 0.52], n_components)
    return hsv_to_rgb(np.stack([hues, np.full(n_components, 0.58), lightness], 1))


def draw_ellipses(ax: Axes, law: GaussianMixture, collapsed: list[int], n_std: float) -> None:
    """Ellipses and centres of a mixture of two columns."""
    from matplotlib.patches import Ellipse

    colors = component_colors(len(law.weights))
    matrices = as_matrices(law.covariances_, 2, law.covariance_type).expand(len(colors), 2, 2)
    sizes, axes = np.linalg.eigh(matrices.numpy())
    share = (law.weights_ / law.weights_.max()).numpy()
    for k, mean in enumerate(law.means_.numpy()):
        wide, high = 2 * n_std * np.sqrt(np.maximum(sizes[k, ::-1], 0))
        ellipse = Ellipse(tuple(mean), wide, high, angle=np.degrees(np.arctan2(*axes[k, ::-1, 1])))
        ellipse.set(
            facecolor=(*colors[k], 0.1 * share[k]),
            edgecolor=(*colors[k], 0.45 + 0.55 * share[k]),
            linewidth=0.9 + 1.7 * share[k],
            linestyle=(0, (3, 2)) if k in collapsed else "-",
            zorder=3,
            gid=f"component:{k}",
        )
        ax.add_patch(ellipse)
        look: dict[str, Any] = {"color": colors[k], "mec": "white", "mew": 1.2, "zorder": 4}
        ax.plot(*mean, "X", ms=5 + 4 * share[k], gid=f"centre:{k}", **look)


def draw_rows(ax: Axes, points: np.ndarray, paint: Any) -> None:
    """Points; ticks at the border for rows of which one entry is known."""
    known = ~np.isnan(points)
    whole = known.all(1)
    size = float(np.clip(2500 / max(len(points), 1), 4, 26))
    ax.scatter(*points[whole].T, s=size, c=paint[whole], alpha=0.75, lw=0, zorder=2, gid="rows")
    for axis, marker in ((0, "|"), (1, "_")):
        half = known[:, axis] & ~known[:, 1 - axis]
        if half.any():
            to_border = (ax.get_xaxis_transform, ax.get_yaxis_transform)[axis]()
            border = np.full(half.sum(), 0.015)
            where = (points[half, axis], border) if axis == 0 else (border, points[half, axis])
            ticks = ax.scatter(*where, s=36, c=paint[half], marker=marker, transform=to_border)
            ticks.set(linewidth=0.8, alpha=0.8, gid=f"half:{axis}")


def draw_parts(
    ax: Axes, law: GaussianMixture, collapsed: list[int], points: np.ndarray | None, paint: Any
) -> None:
    """Density in one column and what it is made of."""
    grid = _line(law, points)
    parts = (law.component_log_prob(grid[:, None]).detach().exp() * law.weights_).numpy()
    colors = component_colors(parts.shape[1])
    upright = np.delete(parts, collapsed, 1).sum(1)
    top = upright.max() if upright.size and upright.any() else parts.sum(1).max()
    if points is not None and not np.isnan(points).all():
        seen, known = points[:, 0], ~np.isnan(points[:, 0])
        bins = int(np.clip(2 * np.sqrt(known.sum()), 8, MOST_BINS))
        heights, *_ = ax.hist(seen[known], bins, density=True, color=TRACK, zorder=0)
        top = max(top, float(np.max(heights)))
        border: dict[str, Any] = {"transform": ax.get_xaxis_transform(), "zorder": 4}
        ticks = ax.scatter(seen, np.full(len(seen), 0.02), s=60, c=paint, marker="|", **border)
        ticks.set(linewidth=0.8, gid="rug")
    for k, color in enumerate(colors):
        style = "--" if k in collapsed else "-"
        ax.fill_between(grid, parts[:, k], color=color, alpha=0.16, lw=0, zorder=1)
        ax.plot(grid, parts[:, k], style, color=color, lw=1.6, zorder=2, gid=f"component:{k}")
    ax.plot(grid, parts.sum(1), color=INK, lw=1.3, zorder=3, gid="density")
    ax.set(ylim=(0, 1.12 * top), xlim=(grid[0], grid[-1]))


def _line(law: GaussianMixture, points: np.ndarray | None) -> np.ndarray:
    """Places at which a curve over one column shows every component."""
    means = law.means_[:, 0].numpy()
    matrices = as_matrices(law.covariances_, 1, law.covariance_type)
    widths = matrices[:, 0, 0].sqrt().expand(len(means)).numpy()
    ends = [(means - 4 * widths).min(), (means + 4 * widths).max()]
    if points is not None and not np.isnan(points).all():
        ends += [np.nanmin(points), np.nanmax(points)]
    # Far enough from a narrow component that its flank is not drawn as a slope to the next point.
    close = means[:, None] + widths[:, None] * np.linspace(-7, 7, 113)
    close = close[(close > min(ends)) & (close < max(ends))]
    return np.unique([*np.linspace(min(ends), max(ends), GRID), *close])


def draw_regions(ax: Axes, law: GaussianMixture, ends: Any, levels: np.ndarray) -> None:
    """Where the log-density is above the levels, in one column under its curve."""
    (_draw_regions_1d if law.n_features == 1 else _draw_regions_2d)(ax, law, ends, levels)


def _draw_regions_2d(ax: Axes, law: GaussianMixture, ends: Any, levels: np.ndarray) -> None:
    across, up = [np.linspace(low, high, GRID) for low, high in ends]
    grid = np.stack(np.meshgrid(across, up), -1)
    logs = law.score_samples(grid.reshape(-1, 2)).numpy().reshape(GRID, GRID)
    highest = max(logs.max(), levels[-1]) + 1.0
    colors = _shades(len(levels))
    filled = ax.contourf(across, up, logs, [*levels, highest], colors=colors, zorder=0)
    filled.set_gid("regions")
    lines: dict[str, Any] = {"linewidths": 0.6, "linestyles": "solid", "zorder": 0.5}
    ax.contour(across, up, logs, levels, colors="white", **lines)


def _draw_regions_1d(ax: Axes, law: GaussianMixture, ends: Any, levels: np.ndarray) -> None:
    grid = _line(law, np.array(ends).T)
    logs = law.score_samples(grid[:, None]).numpy()
    for level, color in zip(levels, _shades(len(levels)), strict=True):
        style: dict[str, Any] = {"where": logs >= level, "color": color, "lw": 0, "zorder": 0}
        ax.fill_between(grid, np.exp(logs), **style, gid="regions")
    ax.plot(grid, np.exp(logs), color=INK, lw=1.3, zorder=3, gid="density")


def _shades(n: int) -> np.ndarray:
    """From pale to less pale."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("density", [PALE, DEEP])(np.linspace(0, 1, n))


def stacked(found: np.ndarray) -> np.ndarray:
    """Which component fills every spot of a picture of rows (n, K), the largest share lowest."""
    kept = found[np.linspace(0, len(found) - 1, min(len(found), WIDEST)).round().astype(int)]
    ranked = np.argsort(-kept, axis=1, kind="stable")
    tops = np.cumsum(np.take_along_axis(kept, ranked, 1), 1)
    middles = (np.arange(LEVELS) + 0.5) / LEVELS
    rank = np.stack([(tops[:, :-1] <= middle).sum(1) for middle in middles])
    return np.take_along_axis(ranked, rank.T, 1).T
