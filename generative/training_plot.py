"""Pictures of training: figures epoch by epoch, modes found and lost, slopes that vanish.

.. math:: t \\mapsto f_t, \\qquad q_{tk} = \\frac{n_{tk}}{\\sum_l n_{tl}}, \\qquad
          \\Bigl|\\frac{\\partial L_G}{\\partial s}\\Bigr|
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from generative.drawing import class_colors, label_ends
from generative.gan.objectives import Loss, generator_loss
from generative.metrics.mode_coverage import reverse_kl
from inference.inputs import as_tensors, as_whole
from inference.palette import AMBER, AXIS, BLUE, MUTED, PAPER
from inference.pictures import bare, new_axes, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_history", "plot_modes_over_time", "plot_objectives"]

#: What the trainer calls the same figure of rows that were not learned from.
VALIDATION = "validation_"

#: Points of a curve; slopes beyond this are cut off, as those of squares are.
CURVE, STEEPEST = 401, 1.5

#: Part of a plot that shares of modes fill, and each of the curves above them.
FLOOR, STRIP = 0.66, 0.14

#: From no share over an even one to all.
SHARES = ("#ffffff", "#a9c3df", BLUE, "#2a4d7a", "#10263f")


def plot_history(
    history: Sequence[Mapping[str, Any]],
    names: str | Sequence[str],
    ax: Axes | None = None,
    *,
    smooth: int = 1,
    unit: str = "nats",
) -> Axes:
    """Draw figures of training epoch by epoch, each with its name at its end.

    .. math:: t \\mapsto \\frac{1}{|W_t|} \\sum_{s \\in W_t} f_s

    Where the history has the same figure of validation rows, it is dashed, in the same colour.

    Arguments:
        history: of any model: dicts with ``epoch`` and figures; epochs without one are left out.
        names: figures to draw.
        ax: where to draw; a new figure by default.
        smooth: epochs of a moving average, an odd number; the raw curve is pale below.
        unit: of the figures, written at the axis.

    Returns:
        The axes. Lines carry the names as ids, raw ones ``raw:name``.

    Raises:
        TypeError: a window that is no whole number.
        ValueError: no name, a figure that no epoch has, a window that is even or below one.

    Example:
        >>> from matplotlib.figure import Figure
        >>> history = [{"epoch": 1, "elbo": -20.0}, {"epoch": 2, "elbo": -18.0}]
        >>> ax = plot_history(history, "elbo", Figure().add_subplot())
        >>> [text.get_text() for text in ax.texts]
        ['elbo −18.0']
    """
    names = [names] if isinstance(names, str) else list(names)
    if not names:
        raise ValueError("names must have at least one figure, found none")
    smooth = as_whole("smooth", smooth, least=1)
    if smooth % 2 == 0:
        raise ValueError(f"smooth must be odd, so that a window has a middle, found {smooth}")
    curves = [(name, *_curve(history, name)) for name in names]
    ax = new_axes(ax, (6.4, 3.6))
    ends = []
    for (name, epochs, values), color in zip(curves, class_colors(len(names)), strict=True):
        ends.append(_draw_curve(ax, name, epochs, values, smooth, color, "-"))
        beside = VALIDATION + name
        if any([beside in row for row in history]):
            unseen = _curve(history, beside)
            ends.append(_draw_curve(ax, beside, *unseen, smooth, color, (0, (4, 2))))
    first = min(epochs[0] for _, epochs, _ in curves)
    last = max(epochs[-1] for _, epochs, _ in curves)
    ax.set(xlabel="epoch", ylabel=unit, xlim=(first, max(last, first + 1)))
    label_ends(ax, ends)
    return plain(ax)


def plot_modes_over_time(
    history: Sequence[Mapping[str, Any]], ax: Axes | None = None, *, counts: str = "counts"
) -> Axes:
    """Draw which modes a network finds and loses: the share of each, epoch by epoch.

    .. math:: q_{tk} = \\frac{n_{tk}}{\\sum_l n_{tl}}, \\qquad
              \\mathrm{KL}(q_t \\,\\|\\, u) = \\sum_k q_{tk} \\log (K q_{tk})

    A white cell is a mode that is lost; an even share is blue, all of the samples are darkest.
    At the top the number of modes found, and the reverse divergence from even shares, which also
    sees modes that are all there but unevenly.

    Arguments:
        history: dicts with ``epoch`` and the number of samples near every mode, as learning
            leaves them behind with a callback
            ``Evaluate(lambda model: {"counts": mode_coverage(...).counts.tolist()})``; epochs
            without it are left out.
        ax: where to draw; a new figure by default. The curves are at its top.
        counts: name of the figure.

    Returns:
        The axes of the shares. The mesh carries the id ``shares``; the lines ``reverse_kl`` and
        ``modes`` are in its ``child_axes``.

    Raises:
        ValueError: no epoch has counts, others than there are modes, or negative ones.

    Reference:
        Lin, Khetan, Fanti & Oh 2018, "PacGAN: the power of two samples in generative adversarial
        networks", section 4.1.

    Example:
        >>> from matplotlib.figure import Figure
        >>> history = [{"epoch": 1, "counts": [9, 0]}, {"epoch": 2, "counts": [5, 5]}]
        >>> ax = plot_modes_over_time(history, Figure().add_subplot())
        >>> [text.get_text() for panel in ax.child_axes for text in panel.texts]
        ['reverse KL 0.000 nats', '2 of 2 modes']
    """
    from matplotlib.colors import LinearSegmentedColormap, TwoSlopeNorm

    epochs, found = _counts(history, counts)
    n_modes = found.shape[1]
    reverse = reverse_kl(found).numpy()
    shares = (found / found.sum(1, keepdim=True)).numpy()
    ax = new_axes(ax, (6.4, 4.4))
    colors = LinearSegmentedColormap.from_list("shares", SHARES).with_extremes(bad=PAPER)
    norm = TwoSlopeNorm(1 / n_modes, 0, 1) if n_modes > 1 else None
    edges = _edges(epochs)
    look: dict[str, Any] = {"cmap": colors, "norm": norm, "gid": "shares", "rasterized": True}
    mesh = ax.pcolormesh(edges, np.arange(n_modes + 1) + 0.5, shares.T, **look)
    spot = ax.inset_axes((1.02, 0.12 * FLOOR, 0.022, 0.76 * FLOOR))
    bar = ax.figure.colorbar(mesh, cax=spot, ticks=[0, 1 / n_modes, 1])
    bar.ax.set_yticklabels(["lost", "even share", "all"], color=MUTED, fontsize=8)
    bar.ax.tick_params(length=0)
    bar.outline.set_visible(False)
    ax.set(xlabel="epoch", xlim=(edges[0], edges[-1]), ylim=(0.5, 0.5 + n_modes / FLOOR))
    ax.set_ylabel("mode", y=FLOOR / 2)
    ax.set_yticks(np.arange(1, n_modes + 1, max(1, n_modes // 8)))
    plain(ax).grid(visible=False)
    ax.spines[:].set_visible(False)
    told = f"reverse KL {reverse[-1]:.3f} nats"
    _strip(ax, 1 - 2.2 * STRIP, epochs, reverse, math.log(n_modes), AMBER, "reverse_kl", told)
    modes = (found > 0).sum(1).numpy()
    told = f"{modes[-1]} of {n_modes} modes"
    _strip(ax, 1 - STRIP, epochs, modes.astype(float), n_modes, BLUE, "modes", told)
    return ax


def plot_objectives(
    rules: Sequence[Loss] = ("minimax", "as-printed", "non-saturating"),
    ax: Axes | None = None,
    *,
    limits: tuple[float, float] = (-8.0, 8.0),
) -> Axes:
    """Draw how steep losses of a generator are where the discriminator gives its samples a logit.

    .. math:: \\Bigl|\\frac{\\partial L_G}{\\partial s}\\Bigr|, \\qquad D = \\sigma(s)

    Early in training the discriminator is sure, s is far below zero, and a loss that is flat
    there teaches the generator nothing. Slopes beyond 1.5 are cut off.

    Arguments:
        rules: of the generator, as ``GenerativeAdversarialNetwork`` names its losses.
        ax: where to draw; a new figure by default.
        limits: least and largest logit.

    Returns:
        The axes. Lines carry the rules as ids.

    Raises:
        ValueError: no rule, one that is not known, limits that do not rise.

    Reference:
        Goodfellow, Pouget-Abadie, Mirza, Xu, Warde-Farley, Ozair, Courville & Bengio 2014,
        "Generative adversarial nets", section 3.

    Example:
        >>> from matplotlib.figure import Figure
        >>> ax = plot_objectives(["minimax"], Figure().add_subplot())
        >>> bool((ax.lines[0].get_ydata()[:1] < 0.001).all())
        True
    """
    low, high = limits
    if not rules or not -math.inf < low < high < math.inf:
        raise ValueError(
            f"there must be a rule, and limits that rise, found {list(rules)} and {limits}"
        )
    logits = np.linspace(low, high, CURVE)
    curves = {rule: _slopes(rule, logits) for rule in rules}
    ax = new_axes(ax, (6.4, 3.8))
    ends = []
    for (rule, slopes), color in zip(curves.items(), class_colors(len(curves)), strict=True):
        ax.plot(logits, slopes, color=color, lw=1.8, gid=rule)
        ends.append((float(slopes[-1]), rule, color))
    told = [place for place in (-6, -3, 0, 3, 6) if low <= place <= high]
    names = [f"{place}\n{1 / (1 + math.exp(-place)):.3g}".replace("-", "\u2212") for place in told]
    ax.set_xticks(told, names)
    ax.set(xlabel="logit s of a sample, and D(s)", ylabel="slope |dL/ds|", xlim=limits)
    ax.set_ylim(0, min(ax.get_ylim()[1], STEEPEST))
    look: dict[str, Any] = {"transform": ax.transAxes, "color": MUTED, "fontsize": 9}
    ax.text(0, 1.02, "\u2190 told apart from data", **look)
    ax.text(1, 1.02, "taken for data \u2192", ha="right", **look)
    label_ends(ax, ends)
    return plain(ax)


# Helpers -----------------------------------------------------------------------------------------


def _curve(history: Sequence[Mapping[str, Any]], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Epochs that have a figure that is finite, and the figure."""
    told = [(row["epoch"], row[name]) for row in history if name in row]
    if not told:
        known = sorted({key for row in history for key in row} - {"epoch"})
        raise ValueError(f"names must be figures of the history, {known}, found {name!r}")
    try:
        epochs, values = np.array(told, dtype=float).T
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be one number for every epoch, found lists") from None
    finite = np.isfinite(values)
    if not finite.any():
        raise ValueError(f"{name} must be finite in some epoch, found {values[:3]}")
    return epochs[finite], values[finite]


def _draw_curve(
    ax: Axes,
    name: str,
    epochs: np.ndarray,
    values: np.ndarray,
    smooth: int,
    color: Any,
    dashes: Any,
) -> tuple[float, str, Any]:
    """Draw one figure; the height, the words and the colour of its end."""
    drawn = values
    if smooth > 1:
        ax.plot(epochs, values, color=color, lw=0.8, alpha=0.3, gid=f"raw:{name}")
        drawn = _averaged(values, smooth)
    ax.plot(epochs, drawn, ls=dashes, color=color, lw=1.6, gid=name)
    told = f"{drawn[-1]:#.3g}".replace("-", "\u2212")
    return float(drawn[-1]), f"{name.replace('_', ' ')} {told}", color


def _averaged(values: np.ndarray, window: int) -> np.ndarray:
    """Moving average, of what is left of the window at the ends."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    places = np.arange(len(values))
    low = np.maximum(places - window // 2, 0)
    high = np.minimum(places + window // 2 + 1, len(values))
    return (sums[high] - sums[low]) / (high - low)


def _counts(history: Sequence[Mapping[str, Any]], name: str) -> tuple[np.ndarray, Tensor]:
    """Epochs, and samples of every mode in each, (epoch, mode)."""
    told = [row for row in history if name in row]
    if not told:
        raise ValueError(
            f"history must have {name!r}: fit with "
            f"callbacks=[Evaluate(lambda model: {{{name!r}: ...}})]"
        )
    rows = [as_tensors(**{name: row[name]})[0].cpu() for row in told]
    shapes = sorted({tuple(row.shape) for row in rows})
    if len(shapes) > 1 or rows[0].ndim != 1:
        raise ValueError(f"{name} must be one number for every mode, found shapes {shapes}")
    epochs = np.array([row["epoch"] for row in told], dtype=float)
    return epochs, torch.stack(rows).double()


def _edges(epochs: np.ndarray) -> np.ndarray:
    """Borders between epochs."""
    if len(epochs) == 1:
        return epochs[0] + np.array([-0.5, 0.5])
    middles = (epochs[1:] + epochs[:-1]) / 2
    return np.concatenate([[2 * epochs[0] - middles[0]], middles, [2 * epochs[-1] - middles[-1]]])


def _strip(
    ax: Axes,
    floor: float,
    epochs: np.ndarray,
    values: np.ndarray,
    top: float,
    color: str,
    gid: str,
    told: str,
) -> None:
    """A curve in flat axes above others, its name and last value at its right."""
    strip = ax.inset_axes((0, floor, 1, STRIP))
    strip.set(xlim=ax.get_xlim(), ylim=(0, 1.1 * max(top, 1e-9)))
    strip.fill_between(epochs, 0, values, color=color, alpha=0.16, lw=0, step="mid")
    strip.plot(epochs, values, color=color, lw=1.4, drawstyle="steps-mid", gid=gid)
    bare(strip)
    strip.spines["bottom"].set(visible=True, color=AXIS)
    look: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points"}
    strip.annotate(told, (1, 0.5), (6, 0), color=color, fontsize=9, va="center", **look)


def _slopes(rule: Loss, logits: np.ndarray) -> np.ndarray:
    """Sizes of the derivatives of a generator's loss at outputs for its samples."""
    outputs = torch.from_numpy(logits).requires_grad_()
    with torch.enable_grad():
        total = generator_loss(rule, outputs) * len(outputs)
    (slopes,) = torch.autograd.grad(total, outputs)
    return slopes.abs().numpy()
