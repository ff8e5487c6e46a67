"""Pictures of chains: where they were, whether they agree, how long they remember.

.. math:: t \\mapsto x_{ct}, \\qquad r \\mapsto \\#\\{t : r(x_{ct}) \\in r\\}, \\qquad
          t \\mapsto \\rho_{ct}
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from inference.diagnostics.block import as_draws
from inference.diagnostics.effective_sample_size import (
    autocorrelation,
    autocorrelation_time,
    ess,
)
from inference.diagnostics.ranks import mean_ranks
from inference.diagnostics.rhat import rhat
from inference.diagnostics.summary import LEAST_TIMES, summarize
from inference.inputs import Values, as_whole
from inference.palette import AXIS, INK, MUTED, SERIES, TRACK
from inference.pictures import new_axes, quiet
from inference.sampling.samples import Samples

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["autocorrelation_plot", "rank_plot", "trace_plot"]

TITLE: dict[str, Any] = {"color": INK, "fontsize": 10.5}

#: Points of a line: longer chains are drawn as bands. Chains that a legend names.
POINTS, NAMED = 500, 8


def trace_plot(
    x: Samples | Values, index: int | tuple[int, ...] = (), ax: Axes | None = None
) -> Axes:
    """Draw what every chain did, draw by draw.

    .. math:: t \\mapsto x_{ct}

    Of more draws than there are dots, the range of every few is a band and their mean a line. The
    title has R-hat and the effective number of draws, if they are known.

    Arguments:
        x: samples, or draws (chain, draw, *event).
        index: which number of an event.
        ax: where to draw; a new figure by default.

    Returns:
        The axes. Lines carry the ids ``chain:c``, bands ``range:c``.

    Raises:
        TypeError: if ``x`` does not hold real numbers.
        ValueError: if there are fewer than 4 draws, or the index is not that of one number.

    Example:
        >>> from matplotlib.figure import Figure
        >>> ax = trace_plot(np.random.default_rng(0).normal(size=(4, 500)),
        ...                 ax=Figure().add_subplot())
        >>> len(ax.lines), ax.get_xlabel()
        (4, 'draw')
    """
    draws, name = _one(x, index)
    rows = draws.double().cpu().numpy()
    chains, length = rows.shape
    ax = new_axes(ax, (7.4, 3.2))
    every = -(-length // POINTS)
    whole = length // every * every
    cells = rows[:, :whole].reshape(chains, -1, every)
    places = np.arange(1, whole + 1).reshape(-1, every).mean(1)
    look: dict[str, Any] = {"lw": 0.9 if length > 200 else 1.2, "alpha": 0.8}
    for chain, color in zip(range(chains), _colors(chains), strict=True):
        if every > 1:
            ends = cells[chain].min(-1), cells[chain].max(-1)
            band: dict[str, Any] = {"color": color, "alpha": 0.28, "lw": 0}
            ax.fill_between(places, *ends, **band).set_gid(f"range:{chain}")
        ax.plot(places, cells[chain].mean(-1), color=color, gid=f"chain:{chain}", **look)
    ax.set(xlabel="draw", ylabel=name, xlim=(1, length))
    table = summarize(draws, quantiles=())
    told = _told("R-hat", float(table["rhat"]), ".2f")
    ax.set_title(f"{told}, {_told('effective draws', float(table['ess_bulk']), '.0f')}", **TITLE)
    return _finish(ax, chains)


def rank_plot(
    x: Samples | Values,
    index: int | tuple[int, ...] = (),
    ax: Axes | None = None,
    *,
    bins: int = 20,
) -> Axes:
    """Draw how the ranks of each chain's draws, among all draws, are spread.

    .. math:: h_{cb} = \\#\\{t : r(x_{ct}) \\in b\\}

    Every chain has a row of bars. Chains that agree have bars that end at the line, where those
    of all chains together do; grey is where nearly all of them should end: twice the standard
    deviation of such a count, for chains that remember as long as these.

    Arguments:
        x: samples, or draws (chain, draw, *event).
        index: which number of an event.
        ax: where to draw; a new figure by default.
        bins: bars of a chain.

    Returns:
        The axes. Bars carry the ids ``chain:c``, lines ``expected:c``, bands ``band:c``.

    Raises:
        TypeError: if ``x`` does not hold real numbers.
        ValueError: if there are fewer than 4 draws, one that is not finite, or the index is not
            that of one number.

    Reference:
        Vehtari et al. 2021, "Rank-normalization, folding, and localization: an improved R-hat for
        assessing convergence of MCMC", section 5.

    Example:
        >>> from matplotlib.figure import Figure
        >>> ax = rank_plot(np.random.default_rng(0).normal(size=(4, 500)), bins=10,
        ...                ax=Figure().add_subplot())
        >>> sum([patch.get_gid() == "chain:3" for patch in ax.patches])
        10
    """
    draws, name = _one(x, index, finite=True)
    bins = as_whole("bins", bins, least=2)
    chains, length = draws.shape
    ranks = mean_ranks(draws.double().reshape(1, -1)).reshape(chains, length).cpu().numpy()
    cells = np.minimum((ranks - 0.5) / (chains * length) * bins, bins - 1).astype(int)
    counts = np.stack([np.bincount(row, minlength=bins) for row in cells])
    expected = counts.mean(0)
    spread = 2 * length * _spread(cells, bins)
    unit = 1.3 * max(counts.max(), (expected + spread).max())
    ax = new_axes(ax, (6.4, 0.9 + 0.75 * min(chains, 12)))
    edges = np.linspace(0, chains * length, bins + 1)
    step: dict[str, Any] = {"step": "post", "color": TRACK, "lw": 0, "zorder": 0}
    for chain, color in zip(range(chains), _colors(chains), strict=True):
        base = chains - 1 - chain
        heights = counts[chain] / unit
        bars = ax.bar(edges[:-1], heights, np.diff(edges), base, align="edge", color=color)
        for bar in bars:
            bar.set(gid=f"chain:{chain}", alpha=0.75, edgecolor="white", linewidth=0.8)
        low, high = [
            base + np.append(value, value[-1]) / unit
            for value in (np.maximum(expected - spread, 0), expected + spread)
        ]
        ax.fill_between(edges, low, high, **step).set_gid(f"band:{chain}")
        ax.stairs(base + expected / unit, edges, baseline=None, color=INK, lw=1).set_gid(
            f"expected:{chain}"
        )
    ax.set(xlabel=f"rank of {name}", xlim=(0, chains * length), ylim=(0, chains))
    ax.set_yticks(np.arange(chains)[::-1], [f"chain {chain}" for chain in range(chains)])
    ax.set_title(_told("R-hat", float(rhat(draws)), ".2f"), **TITLE)
    return _finish(ax)


def autocorrelation_plot(
    x: Samples | Values,
    index: int | tuple[int, ...] = (),
    ax: Axes | None = None,
    *,
    max_lag: int | None = None,
) -> Axes:
    """Draw how long the chains remember.

    .. math:: \\rho_{ct} = \\gamma_{ct} / \\gamma_{c0}

    A thin line per chain, a thick one for their mean; grey is where those of independent draws
    lie, twice their standard deviation. The title has the autocorrelation time, if it is known.

    Arguments:
        x: samples, or draws (chain, draw, *event).
        index: which number of an event.
        ax: where to draw; a new figure by default.
        max_lag: the longest lag; None shows five autocorrelation times, at least 20 lags.

    Returns:
        The axes. Lines carry the ids ``chain:c`` and ``mean``, the band ``independent``.

    Raises:
        TypeError: if ``x`` does not hold real numbers.
        ValueError: if there are fewer than 4 draws, one that is not finite, or the index is not
            that of one number.

    Reference:
        Sokal 1997, "Monte Carlo methods in statistical mechanics", section 2.

    Example:
        >>> from matplotlib.figure import Figure
        >>> ax = autocorrelation_plot(np.random.default_rng(0).normal(size=(4, 500)),
        ...                           ax=Figure().add_subplot())
        >>> ax.get_xlabel(), ax.lines[-1].get_gid()
        ('lag', 'mean')
    """
    from matplotlib.ticker import MaxNLocator

    draws, name = _one(x, index, finite=True)
    chains, length = draws.shape
    time = float(autocorrelation_time(draws))
    if max_lag is None:
        max_lag = min(max(20, int(5 * np.nan_to_num(time))), length - 1)
    rho = autocorrelation(draws, max_lag).cpu().numpy()
    ax = new_axes(ax, (6.4, 3.2))
    lags, width = np.arange(rho.shape[1]), 2 / np.sqrt(length)
    ax.axhspan(-width, width, color=TRACK, lw=0, zorder=0, gid="independent")
    ax.axhline(0, color=AXIS, lw=0.8, zorder=1, gid="zero")
    for chain, color in zip(range(chains), _colors(chains), strict=True):
        ax.plot(lags, rho[chain], color=color, lw=1, alpha=0.7, gid=f"chain:{chain}")
    ax.plot(lags, rho.mean(0), color=INK, lw=2, gid="mean")
    ax.set(xlabel="lag", ylabel=f"autocorrelation of {name}", xlim=(0, max(rho.shape[1] - 1, 1)))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_ylim(min(-0.1, 1.1 * np.nanmin(rho, initial=0)), 1.02)
    known = time if time * LEAST_TIMES <= length else np.nan
    ax.set_title(_told("autocorrelation time", known, ".1f"), **TITLE)
    return _finish(ax, chains)


# Helpers -----------------------------------------------------------------------------------


def _one(
    x: Samples | Values, index: int | tuple[int, ...], *, finite: bool = False
) -> tuple[Tensor, str]:
    """One number of every draw, (chain, draw), and its name."""
    draws = as_draws(x.values if isinstance(x, Samples) else x)
    place = index if isinstance(index, tuple) else (index,)
    event = tuple(draws.shape[2:])
    inside = [-size <= i < size for i, size in zip(place, event, strict=False)]
    if len(place) != len(event) or not all(inside):
        raise ValueError(f"index must name one number of an event of shape {event}, found {index}")
    chosen = draws[(slice(None), slice(None), *place)]
    if finite and not bool(chosen.isfinite().all()):
        raise ValueError("x must be finite here, found NaN or infinity; look at trace_plot")
    return chosen, f"x[{', '.join(map(str, place))}]" if place else "x"


def _spread(cells: np.ndarray, bins: int) -> np.ndarray:
    """Standard deviations of one chain's shares of its draws in cells, (bins,)."""
    chains, length = cells.shape
    inside = (cells[..., None] == np.arange(bins)).swapaxes(0, 1).reshape(1, length, -1)
    effective = ess(inside).reshape(chains, bins).numpy()
    known = ~np.isnan(effective)
    typical = np.where(known, effective, 0).sum(0) / np.maximum(known.sum(0), 1)
    share = inside.mean((0, 1)).reshape(chains, bins).mean(0)
    return np.sqrt(share * (1 - share) / np.maximum(typical, 1))


def _told(name: str, value: float, form: str) -> str:
    """A figure of a title, or that the draws do not tell it."""
    return f"{name} {value:{form}}" if value == value else f"{name} not known"


def _colors(chains: int) -> list[Any]:
    """Colours of chains."""
    if chains <= len(SERIES):
        return list(SERIES[:chains])
    from matplotlib.colors import hsv_to_rgb

    return [hsv_to_rgb((c / chains, 0.58, (0.66, 0.8, 0.52)[c % 3])) for c in range(chains)]


def _finish(ax: Axes, chains: int = 0) -> Axes:
    """Frame, ticks, and a legend of the chains."""
    quiet(ax).tick_params(labelsize=9)
    if 1 < chains <= NAMED:
        lines = [line for line in ax.lines if str(line.get_gid()).startswith("chain")]
        names = [f"chain {chain}" for chain in range(chains)]
        where: dict[str, Any] = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5)}
        ax.legend(lines, names, frameon=False, fontsize=9, labelcolor=MUTED, **where)
    return ax
