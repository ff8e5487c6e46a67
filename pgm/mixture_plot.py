"""Pictures of normal mixtures: components, densities, responsibilities, choices, steps of EM.

.. math:: \\{x : (x - \\mu_k)^\\top \\Sigma_k^{-1} (x - \\mu_k) = n_{\\text{std}}^2\\}, \\qquad
          c(x) = \\sum_k r_k(x)\\, c_k
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from inference.exact.evidence import is_pandas
from inference.information import entropy
from inference.palette import AMBER, BLUE, GREEN, INK, MUTED, SERIES, TRACK
from inference.pictures import new_axes, quiet
from pgm.gaussian_mixture import GaussianMixture
from pgm.mixture_model import MixtureModel
from pgm.mixtures.drawing import (
    component_colors,
    draw_ellipses,
    draw_parts,
    draw_regions,
    draw_rows,
    stacked,
)
from pgm.mixtures.normal_mixture import NormalMixture
from pgm.mixtures.parts import marginalize, read_columns
from pgm.mixtures.read_rows import read_rows
from pgm.mixtures.selection import MixtureSelection

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "component_colors",
    "plot_density",
    "plot_em_steps",
    "plot_mixture",
    "plot_responsibilities",
    "plot_selection",
]

LINES = {"full": BLUE, "tied": AMBER, "diag": GREEN, "spherical": SERIES[4]}
MARKERS = {"full": "o", "tied": "s", "diag": "D", "spherical": "^"}

#: Draws that tell how high the density is where, and the responsibility that counts as sure.
DRAWS, SURE = 20_000, 0.95

TITLE: dict[str, Any] = {"color": INK, "fontsize": 10.5}


# Components --------------------------------------------------------------------------------


def plot_mixture(
    model: NormalMixture,
    x: Any = None,
    ax: Axes | None = None,
    columns: Sequence[int] | None = None,
    n_std: float = 2.0,
) -> Axes:
    """Draw the components as ellipses, and rows in the mixed colours of their responsibilities.

    .. math:: (x - \\mu_k)^\\top \\Sigma_k^{-1} (x - \\mu_k) = n_{\\text{std}}^2

    Lines are the thicker the more weight a component has, and dashed where it has collapsed. A
    row that lacks one of the two entries is a tick at the border. In one column: the density, its
    weighted parts, a histogram of the rows and a tick for each.

    Arguments:
        model: the mixture. One with laws for its parameters is drawn at their expectation.
        x: rows (n, d), with all columns: responsibilities come from all; NaN is missing.
        ax: where to draw; a new figure by default.
        columns: one or two; by default the first two, or the only one.
        n_std: Mahalanobis distance of an ellipse from its centre.

    Returns:
        The axes. Artists carry the ids ``component:k``, ``centre:k``, ``rows``, ``rug``,
        ``density``.

    Raises:
        TypeError, ValueError: for columns or rows that are not the model's, or a mixture
            without parameters.

    Example:
        >>> from matplotlib.figure import Figure
        >>> mixture = GaussianMixture.from_parameters([0.5, 0.5], [[0, 0], [3, 1]], [1, 1],
        ...                                           "spherical")
        >>> ax = plot_mixture(mixture, [[0.0, 0.5], [2.9, 1.0]], Figure().add_subplot())
        >>> [patch.get_gid() for patch in ax.patches]
        ['component:0', 'component:1']
    """
    shown = _columns(model, columns)
    law, points, paint = _law(model, shown), None, None
    if not 0 < n_std < np.inf:
        raise ValueError(f"n_std must be positive and finite, found {n_std}")
    if x is not None:
        points, paint = _points(model, x, shown), _row_colors(model, x)
    ax = new_axes(ax, (5.8, 4.6))
    if len(shown) == 1:
        draw_parts(ax, law, _collapsed(model), points, paint)
        ax.set(xlabel=_names(x, shown)[0], ylabel="density")
    else:
        if points is not None:
            draw_rows(ax, points, paint)
        draw_ellipses(ax, law, _collapsed(model), n_std)
        ax.autoscale_view()
        ax.set(**dict(zip(("xlabel", "ylabel"), _names(x, shown), strict=True)))
    return _finish(ax)


# Density -----------------------------------------------------------------------------------


def plot_density(
    model: NormalMixture,
    ax: Axes | None = None,
    limits: Sequence[tuple[float, float]] | None = None,
    columns: Sequence[int] | None = None,
    masses: Sequence[float] = (0.2, 0.4, 0.6, 0.8, 0.95, 0.99),
) -> Axes:
    """Draw the smallest regions that hold given shares of the probability.

    .. math:: R_m = \\{x : \\log p(x) \\ge t_m\\}, \\qquad P(x \\in R_m) = m

    Pale, so that rows can be drawn on top. In one column the regions are under the curve.

    Arguments:
        model: the mixture. One with laws for its parameters is drawn at their expectation.
        ax: where to draw; a new figure by default.
        limits: (low, high) for every column; by default those of the axes where something has
            been drawn, else where the mixture is.
        columns: one or two; by default the first two, or the only one.
        masses: shares of the probability, ascending, between 0 and 1. The levels come from draws:
            a share is right to 0.01.

    Returns:
        The axes. Artists carry the ids ``regions`` and ``density``.

    Raises:
        TypeError, ValueError: for columns that are not the model's, or shares and limits that
            are none.

    Reference:
        Hyndman 1996, "Computing and graphing highest density regions", section 3.

    Example:
        >>> from matplotlib.figure import Figure
        >>> mixture = GaussianMixture.from_parameters([1.0], [[0, 0]], [1], "spherical")
        >>> ax = plot_density(mixture, Figure().add_subplot())
        >>> ax.collections[0].get_gid()
        'regions'
    """
    shown = _columns(model, columns)
    law, shares = _law(model, shown), [float(m) for m in masses]
    if not shares or not all(np.diff([0.0, *shares, 1.0]) > 0):
        raise ValueError(f"masses must ascend strictly between 0 and 1, found {shares}")
    draws = law.sample(DRAWS, generator=0)
    levels = np.quantile(law.score_samples(draws).numpy(), [1 - m for m in shares[::-1]])
    ax = new_axes(ax, (5.8, 4.6))
    ends = _limits(ax, draws.numpy(), limits)
    draw_regions(ax, law, ends, levels)
    if len(shown) == 1:
        ax.set(xlabel=_names(None, shown)[0], ylabel="density", ylim=(0, None))
    else:
        ax.set(**dict(zip(("xlabel", "ylabel"), _names(None, shown), strict=True)), ylim=ends[1])
    ax.set_xlim(ends[0])
    return _finish(ax)


def _limits(
    ax: Axes, draws: np.ndarray, limits: Sequence[tuple[float, float]] | None
) -> list[tuple[float, float]]:
    """(low, high) of every column."""
    d = draws.shape[1]
    if limits is not None:
        found = [(float(low), float(high)) for low, high in limits]
        if len(found) != d or not all([-np.inf < low < high < np.inf for low, high in found]):
            raise ValueError(f"limits must be {d} pairs (low, high), low < high, found {found}")
        return found
    if ax.has_data():
        return [ax.get_xlim(), ax.get_ylim()][:d]
    low, high = np.quantile(draws, [0.002, 0.998], axis=0)
    room = 0.12 * (high - low)
    return list(zip(low - room, high + room, strict=True))


# Responsibilities and choices ----------------------------------------------------------------


def plot_responsibilities(model: MixtureModel, x: Any, ax: Axes | None = None) -> Axes:
    """Draw how sure the assignments are: every row a column, filled by its responsibilities.

    .. math:: r_k(x_i) = \\pi_k\\, p_k(x_i) / p(x_i)

    Rows are grouped by their most probable component, the surest first; its colour is at the
    bottom, what else is probable above it. Where one colour goes to the top the row is sure. The
    title has the mean entropy, and how many rows have more than 0.95.

    Arguments:
        model: the mixture, of normal or other laws.
        x: rows.
        ax: where to draw; a new figure by default.

    Returns:
        The axes. The picture carries the id ``responsibilities``.

    Raises:
        TypeError, ValueError: for rows that are not the model's, or none.

    Example:
        >>> from matplotlib.figure import Figure
        >>> mixture = GaussianMixture.from_parameters([0.5, 0.5], [[0], [3]], [1, 1], "spherical")
        >>> ax = plot_responsibilities(mixture, [[0.1], [1.4], [2.9]], Figure().add_subplot())
        >>> ax.get_title()
        '2 of 3 rows above 0.95, mean entropy 0.28 nats'
    """
    shares = model.predict_proba(x).cpu()
    found = shares.numpy()
    if len(found) == 0:
        raise ValueError("x must have at least one row")
    (n, k), first, sure = found.shape, found.argmax(1), found.max(1)
    order = np.lexsort((-sure, first))
    ax = new_axes(ax, (7.4, 3.2))
    image = component_colors(k)[stacked(found[order])]
    style: dict[str, Any] = {"aspect": "auto", "interpolation": "nearest", "origin": "lower"}
    ax.imshow(image, extent=(0, n, 0, 1), **style).set_gid("responsibilities")
    sizes = np.bincount(first, minlength=k)
    ends = np.cumsum(sizes)
    for end in ends[(sizes > 0) & (ends < n)]:
        ax.axvline(end, color="white", lw=1.5)
    told = np.flatnonzero(sizes > 0.04 * n)
    ax.set_xticks((ends - sizes / 2)[told], [f"{j}\n{sizes[j]}" for j in told])
    ax.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "25", "50", "75", "100 %"])
    ax.set(xlabel="component, and its rows", ylabel="responsibility", xlim=(0, n), ylim=(0, 1))
    count = f"{(sure > SURE).sum()} of {n} rows above {SURE}"
    ax.set_title(f"{count}, mean entropy {entropy(shares).mean():.2f} nats", **TITLE)
    return _finish(ax)


def plot_selection(selection: MixtureSelection[Any], ax: Axes | None = None) -> Axes:
    """Draw the criterion against the number of components, a line per covariance type.

    The chosen mixture is ringed. Crosses are mixtures with collapsed components, whose criterion
    means nothing; those outside the range of the others stand at the border.

    Arguments:
        selection: what `GaussianMixture.select` has found.
        ax: where to draw; a new figure by default.

    Returns:
        The axes. Artists carry the ids ``type:full`` etc., ``collapsed:full`` etc., ``best``.

    Example:
        >>> from matplotlib.figure import Figure
        >>> x = np.concatenate([np.linspace(-1, 1, 40), np.linspace(9, 11, 40)])[:, None]
        >>> found = GaussianMixture.select(x, [1, 2], ["full"], random_state=0)
        >>> ax = plot_selection(found, Figure().add_subplot())
        >>> [int(k) for k in ax.lines[0].get_xdata()]
        [1, 2]
    """
    ax, which = new_axes(ax, (6.4, 4.4)), selection.criterion
    values = [one.value(which) for one in selection.candidates if not one.collapsed]
    room = 0.07 * (max(values) - min(values)) or 1.0
    ends = min(values) - room, max(values) + room
    for kind in dict.fromkeys([one.covariance_type for one in selection.candidates]):
        mine = [one for one in selection.candidates if one.covariance_type == kind]
        mine.sort(key=lambda one: one.n_components)
        kept = [(one.n_components, one.value(which)) for one in mine if not one.collapsed]
        raw = [(c.n_components, c.bic if which == "bic" else c.aic) for c in mine if c.collapsed]
        lost = [(k, float(np.clip(value, *ends))) for k, value in raw]
        look: dict[str, Any] = {"color": LINES[kind], "gid": f"type:{kind}", "label": kind}
        ax.plot(*_two(kept), MARKERS[kind] + "-", **look, ms=5.5)
        if lost:  # at the border
            look = {"color": LINES[kind], "gid": f"collapsed:{kind}", "clip_on": False}
            ax.plot(*_two(lost), "x", **look, ms=7, mew=1.6)
    (best,) = [one for one in selection.candidates if one.model is selection.best]
    ring: dict[str, Any] = {"mfc": "none", "mec": INK, "mew": 1.6, "ms": 15, "gid": "best"}
    ax.plot(best.n_components, best.value(which), "o", **ring)
    if any([one.collapsed for one in selection.candidates]):
        ax.plot([], [], "x", color=MUTED, mew=1.6, ms=7, label="collapsed")
    ax.set(xlabel="components", ylabel=f"{which.upper()} (lower is better)", ylim=ends)
    ax.set_xticks(sorted({one.n_components for one in selection.candidates}))
    chosen = f"{best.n_components} component{'s' * (best.n_components > 1)}"
    ax.set_title(f"{which.upper()} chooses {chosen}, {best.covariance_type}", **TITLE)
    ax.grid(axis="y", color=TRACK, lw=0.8)
    ax.legend(frameon=False, fontsize=9)
    return _finish(ax)


def _two(points: list[tuple[int, float]]) -> tuple[list[int], list[float]]:
    """Abscissas and ordinates."""
    return [x for x, _ in points], [y for _, y in points]


# Steps -------------------------------------------------------------------------------------


def plot_em_steps(
    models: Sequence[NormalMixture],
    x: Any,
    iterations: Sequence[int] = (0, 1, 4, 8, 12, 16),
    axes: Any = None,
    n_std: float = 2.0,
) -> np.ndarray:
    """Draw a fit as it goes on: one panel per mixture, all with the same limits.

    Arguments:
        models: the mixture after each number of steps: the first parameters, then fits with
            ``max_iter`` steps, ``tol=0``, from them.
        x: rows (n, d); the first two columns are drawn.
        iterations: these numbers, for the titles.
        axes: as many axes; a new figure by default.
        n_std: as in `plot_mixture`.

    Returns:
        The axes, a flat array.

    Raises:
        ValueError: if models, iterations and axes are not equally many.

    Reference:
        Bishop 2006, "Pattern recognition and machine learning", figure 9.8.

    Example:
        >>> from matplotlib.figure import Figure
        >>> start = GaussianMixture.from_parameters([1.0], [[1.0, 1.0]], [[[1, 0], [0, 1]]])
        >>> axes = plot_em_steps([start], [[0.0, 0.0]], [0], Figure().add_subplot())
        >>> axes[0].get_title()
        'start: -2.84 nats per row'
    """
    if len(models) == 0 or len(models) != len(iterations):
        raise ValueError(
            f"models and iterations must be equally many, found {len(models)} and "
            f"{len(iterations)}"
        )
    if axes is None:
        import matplotlib.pyplot as plt

        wide = min(len(models), 3)
        high = -(-len(models) // wide)
        size = {"figsize": (3.7 * wide, 3.3 * high), "layout": "constrained"}
        _, axes = plt.subplots(high, wide, sharex=True, sharey=True, squeeze=False, **size)
        for ax in axes.flat[len(models) :]:
            ax.remove()
        axes = axes.flat[: len(models)]
    panels = np.array(axes, dtype=object).reshape(-1)
    if len(panels) != len(models):
        raise ValueError(f"axes must be {len(models)}, one per model, found {len(panels)}")
    for ax, model, step in zip(panels, models, iterations, strict=True):
        plot_mixture(model, x, ax, n_std=n_std)
        told = "start" if step == 0 else f"{step} step" + "s" * (step > 1)
        ax.set_title(f"{told}: {model.score_samples(x).mean():.2f} nats per row", **TITLE)
    ends = np.array([[ax.get_xlim(), ax.get_ylim()] for ax in panels])
    low, high = ends[..., 0].min(0), ends[..., 1].max(0)
    for ax in panels:
        ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
        ax.label_outer()
    return panels


# Helpers -----------------------------------------------------------------------------------


def _columns(model: NormalMixture, columns: Sequence[int] | None) -> list[int]:
    """One or two columns of the model."""
    if model.n_features == 0:
        raise ValueError("this mixture has no parameters yet; call fit first")
    chosen = range(min(2, model.n_features)) if columns is None else columns
    found = read_columns("columns", chosen, model.n_features)
    if len(found) > 2:
        raise ValueError(f"columns must be one or two, found {found}")
    return found


def _law(model: NormalMixture, columns: list[int]) -> GaussianMixture:
    """The mixture of these columns alone, on the CPU."""
    kind = model.covariance_type
    covariances = marginalize(model.covariances_, columns, kind)
    numbers = model.weights_.cpu(), model.means_[:, columns].cpu(), covariances.cpu()
    return GaussianMixture.from_parameters(*numbers, kind)


def _collapsed(model: NormalMixture) -> list[int]:
    """Numbers of collapsed components; under laws for the parameters none collapses."""
    return model.collapsed if isinstance(model, GaussianMixture) else []


def _points(model: NormalMixture, x: Any, columns: list[int]) -> np.ndarray:
    """What the rows have in these columns."""
    rows = read_rows(x, model.n_features)
    return np.asarray(rows, dtype=np.float64)[:, columns]


def _row_colors(model: NormalMixture, x: Any) -> np.ndarray:
    """Colours of the components, mixed by the responsibilities, (n, 3)."""
    shares = model.predict_proba(x).cpu().numpy()
    return np.clip(shares @ component_colors(shares.shape[1]), 0, 1)


def _names(x: Any, columns: list[int]) -> list[str]:
    """What to write at the axes."""
    if is_pandas(x):
        return [str(x.columns[column]) for column in columns]
    return [f"column {column}" for column in columns]


def _finish(ax: Axes) -> Axes:
    """Frame and ticks as everywhere here."""
    ax.tick_params(labelsize=9)
    return quiet(ax)
