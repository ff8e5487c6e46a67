"""Pictures of machines that learn: what their units see, what they dream, whether they overfit.

.. math:: w_{\\cdot j}, \\qquad v^{(0)} \\to v^{(1)} \\to \\dots, \\qquad
          \\overline{F}_{\\text{unseen}} - \\overline{F}_{\\text{learned}}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from energy.restricted_boltzmann_machine import RestrictedBoltzmannMachine
from inference.inputs import Values, as_tensors, as_whole, check_finite
from inference.palette import AMBER, AXIS, BLUE, INK, MUTED, SERIES
from inference.pictures import (
    as_columns,
    as_pictures,
    bare,
    in_rows,
    new_axes,
    paper_map,
    plain,
    tiled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "plot_fantasies",
    "plot_filters",
    "plot_free_energies",
    "plot_free_energy_gap",
    "plot_layer_samples",
    "plot_weight_histogram",
]

#: From the most negative weight to the most positive one.
DIVERGING = ("#8a4b08", AMBER, "#ffffff", BLUE, "#173a63")

#: Share of the weights of a picture that its colours tell apart; the few beyond are as dark.
WITHIN = 0.995

#: Part of its cell that a picture of a layer fills.
FILLED = 0.85


def plot_filters(
    machine: RestrictedBoltzmannMachine | Values,
    shape: tuple[int, int],
    ax: Axes | None = None,
    *,
    count: int | None = None,
    columns: int | None = None,
    strongest: bool = True,
) -> Axes:
    """Draw the weights of hidden units as pictures: blue excites, amber inhibits, white is zero.

    .. math:: w_{\\cdot j} \\in \\mathbb{R}^{h \\times w}

    Arguments:
        machine: a machine, or its weights.
        shape: height and width of a picture.
        ax: where to draw; a new figure by default.
        count: units to show; by default all.
        columns: pictures in a row; by default about as many as there are rows.
        strongest: those with the largest norms, from large to small; else the first ones, in
            their order.

    Shapes:
        machine, as weights: (height * width, n_hidden).

    Returns:
        The axes. The picture carries the id ``filters``; NaN between the units.

    Raises:
        TypeError: weights that are no numbers, a count that is none.
        ValueError: weights of another shape, or not finite, a count below one.

    Example:
        >>> from matplotlib.figure import Figure
        >>> ax = plot_filters([[0.0, 1.0], [0.0, -2.0]], (1, 2), Figure().add_subplot(), columns=2)
        >>> ax.images[0].get_array().filled(9.0).tolist()
        [[1.0, -2.0, 9.0, 0.0, 0.0]]
    """
    from matplotlib.colors import LinearSegmentedColormap

    own = machine.weights if isinstance(machine, RestrictedBoltzmannMachine) else machine
    (weights,) = as_tensors(weights=own)
    check_finite(weights=weights)
    if weights.ndim != 2 or not weights.numel():
        raise ValueError(
            f"weights must be (visible, hidden), at least one of each, found "
            f"{tuple(weights.shape)}"
        )
    filters = as_pictures(weights.T, shape, "weights, transposed,")
    count = len(filters) if count is None else as_whole("count", count, least=1)
    if strongest:
        norms = np.linalg.norm(filters.reshape(len(filters), -1), axis=1)
        filters = filters[np.argsort(-norms, kind="stable")]
    filters = filters[:count]
    columns = as_columns(columns, len(filters), shape)
    limit = float(np.quantile(np.abs(filters), WITHIN)) or float(np.abs(filters).max()) or 1.0
    colors = LinearSegmentedColormap.from_list("weights", DIVERGING).with_extremes(bad="white")
    ax = new_axes(ax)
    look: dict[str, Any] = {"cmap": colors, "vmin": -limit, "vmax": limit, "gid": "filters"}
    image = ax.imshow(tiled(in_rows(filters, columns)), **look)
    bar = ax.figure.colorbar(
        image, ax=ax, shrink=0.5, aspect=18, pad=0.02, ticks=[-limit, 0, limit]
    )
    bar.ax.set_yticklabels([f"{-limit:.2g}", "0", f"{limit:.2g}"], color=MUTED, fontsize=8)
    bar.ax.tick_params(length=0)
    bar.outline.set_visible(False)
    return bare(ax)


def plot_fantasies(
    states: Values,
    shape: tuple[int, int],
    ax: Axes | None = None,
    steps: Sequence[int | str] | None = None,
) -> Axes:
    """Draw where chains go: a row for every chain, a column for every step that was kept.

    Arguments:
        states: visible units, or their means.
        shape: height and width of a picture.
        ax: where to draw; a new figure by default.
        steps: names of the columns; by default their numbers from 0 on.

    Shapes:
        states: (step, chain, height * width).

    Returns:
        The axes. The picture carries the id ``fantasies``.

    Raises:
        TypeError: if they are no numbers.
        ValueError: states of another shape, another number of names.

    Example:
        >>> from matplotlib.figure import Figure
        >>> import torch
        >>> states = torch.tensor([[[0.0, 1.0]], [[1.0, 1.0]]])
        >>> ax = plot_fantasies(states, (1, 2), Figure().add_subplot(), steps=[0, 100])
        >>> [label.get_text() for label in ax.get_xticklabels()]
        ['0', '100']
    """
    (found,) = as_tensors(states=states)
    if found.ndim != 3 or not found.numel():
        raise ValueError(f"states must be (step, chain, units), found {tuple(found.shape)}")
    count, chains = found.shape[:2]
    names = [str(step) for step in (range(count) if steps is None else steps)]
    if len(names) != count:
        raise ValueError(f"steps must name {count} columns, found {len(names)}")
    pictures = as_pictures(found.reshape(count * chains, -1), shape, "states")
    grid = pictures.reshape(count, chains, *shape).swapaxes(0, 1)
    ax = new_axes(ax)
    ax.imshow(tiled(grid), cmap=paper_map(), gid="fantasies")
    bare(ax)
    width = shape[1] + 1
    ax.set_xticks(np.arange(count) * width + shape[1] / 2 - 0.5, names)
    ax.xaxis.tick_top()
    ax.tick_params(length=0, labelcolor=MUTED, labelsize=9)
    return ax


def plot_layer_samples(
    layers: Sequence[Values],
    shapes: Sequence[tuple[int, int]],
    ax: Axes | None = None,
    names: Sequence[str] | None = None,
) -> Axes:
    """Draw the layers of a deep machine above one another: a column for every draw.

    Arguments:
        layers: units of every layer, or their means, the visible one first; it is drawn at the
            bottom.
        shapes: height and width of the pictures of every layer.
        ax: where to draw; a new figure by default.
        names: of the layers; "visible", "hidden 1", ... by default.

    Shapes:
        layers: (n, height * width) each, of the layer's own picture.

    Returns:
        The axes. Pictures of the l-th layer carry the id ``layer:l``.

    Raises:
        TypeError: if they are no numbers.
        ValueError: no layers, others than there are shapes or names, layers of other sizes or
            numbers of draws.

    Example:
        >>> from matplotlib.figure import Figure
        >>> import torch
        >>> layers = [torch.rand(3, 4), torch.rand(3, 2)]
        >>> ax = plot_layer_samples(layers, [(2, 2), (1, 2)], Figure().add_subplot())
        >>> [image.get_gid() for image in ax.images]
        ['layer:0', 'layer:0', 'layer:0', 'layer:1', 'layer:1', 'layer:1']
    """
    names = _layer_names(len(layers)) if names is None else names
    if not layers or len(shapes) != len(layers) or len(names) != len(layers):
        raise ValueError(
            f"layers, shapes and names must be as many, at least one, found {len(layers)}, "
            f"{len(shapes)} and {len(names)}"
        )
    pictures = [
        as_pictures(layer, shape, f"layers[{place}]")
        for place, (layer, shape) in enumerate(zip(layers, shapes, strict=True))
    ]
    draws = {len(some) for some in pictures}
    if len(draws) > 1 or draws == {0}:
        raise ValueError(f"layers must have as many draws, found {[len(p) for p in pictures]}")
    ax = new_axes(ax)
    floor, middles = 0.0, []
    for place, (some, (height, width)) in enumerate(zip(pictures, shapes, strict=True)):
        look: dict[str, Any] = {"vmin": some.min(), "vmax": max(some.max(), some.min() + 1e-12)}
        tall = FILLED * height / width
        for column, picture in enumerate(some):
            extent = (column, column + FILLED, floor, floor + tall)
            ax.imshow(picture, cmap=paper_map(), extent=extent, gid=f"layer:{place}", **look)
        middles.append(floor + tall / 2)
        floor += tall + 2 * (1 - FILLED)
    bare(ax)
    ax.set(xlim=(0, len(pictures[0]) - 1 + FILLED), ylim=(0, floor - 2 * (1 - FILLED)))
    ax.set_yticks(middles, list(names))
    ax.tick_params(length=0, labelcolor=MUTED, labelsize=9)
    return ax


def plot_free_energies(
    learned: Values, unseen: Values, ax: Axes | None = None, *, bins: int = 30
) -> Axes:
    """Draw how the free energies of rows that were learned from and of others are spread.

    .. math:: \\overline{F}_{\\text{unseen}} - \\overline{F}_{\\text{learned}}

    Log Z is the same for both, so the gap between the means, in the title, is what the machine
    gives an unseen row less than one it knows. One that grows says that it overfits.

    Arguments:
        learned: free energies of rows that were learned from.
        unseen: of others.
        ax: where to draw; a new figure by default.
        bins: bars of each.

    Shapes:
        learned: (n,), nats. unseen: (m,), nats.

    Returns:
        The axes. Lines at the means carry the ids ``mean:learned`` and ``mean:unseen``, patches
        ``learned`` and ``unseen``.

    Raises:
        TypeError: if they are no numbers.
        ValueError: none of a kind, or one that is not finite.

    Reference:
        Hinton 2012, "A practical guide to training restricted Boltzmann machines", section 6.

    Example:
        >>> from matplotlib.figure import Figure
        >>> ax = plot_free_energies([-9.0, -11.0], [-8.0, -10.0], Figure().add_subplot())
        >>> ax.get_title()
        'gap 1.00 nats'
    """
    bins = as_whole("bins", bins, least=1)
    parts = {name: _finite(name, x) for name, x in (("learned", learned), ("unseen", unseen))}
    edges = np.histogram_bin_edges(np.concatenate(list(parts.values())), bins)
    ax = new_axes(ax, (6.4, 3.2))
    for color, (name, values) in zip((BLUE, AMBER), parts.items(), strict=True):
        heights = np.histogram(values, edges, density=True)[0]
        ax.stairs(heights, edges, fill=True, color=color, alpha=0.28, gid=name)
        ax.stairs(heights, edges, color=color, lw=1.2, label=f"{name}, {len(values):,} rows")
        ax.axvline(values.mean(), color=color, lw=1.6, ls="--", gid=f"mean:{name}")
    gap = parts["unseen"].mean() - parts["learned"].mean()
    ax.set_title(f"gap {gap:.2f} nats", color=INK, fontsize=10.5)
    ax.set(xlabel="free energy, nats", ylabel="density")
    ax.legend(frameon=False, fontsize=9, labelcolor=MUTED)
    return plain(ax)


def plot_free_energy_gap(history: Sequence[Mapping[str, Any]], ax: Axes | None = None) -> Axes:
    """Draw the gap between the free energies of unseen and learned rows, epoch by epoch.

    .. math:: t \\mapsto \\overline{F}_{\\text{unseen}} - \\overline{F}_{\\text{learned}}

    Arguments:
        history: of a machine that was fitted with validation rows: dicts with ``epoch`` and
            ``free_energy_gap``; those without the gap are left out.
        ax: where to draw; a new figure by default.

    Returns:
        The axes. The line carries the id ``gap``, the one at zero ``zero``.

    Raises:
        ValueError: if no epoch has a gap.

    Reference:
        Hinton 2012, section 6.

    Example:
        >>> from matplotlib.figure import Figure
        >>> history = [{"epoch": 1, "free_energy_gap": 0.1}, {"epoch": 2, "free_energy_gap": 0.3}]
        >>> plot_free_energy_gap(history, Figure().add_subplot()).get_xlabel()
        'epoch'
    """
    told = [row for row in history if "free_energy_gap" in row]
    if not told:
        raise ValueError('history must have a "free_energy_gap": fit with validation rows')
    epochs = np.array([row["epoch"] for row in told], dtype=float)
    gaps = np.array([row["free_energy_gap"] for row in told], dtype=float)
    ax = new_axes(ax, (6.4, 3.2))
    ax.axhline(0, color=AXIS, lw=0.8, gid="zero")
    ax.plot(epochs, gaps, color=AMBER, lw=1.6, gid="gap")
    ax.fill_between(epochs, 0, gaps, color=AMBER, alpha=0.14, lw=0)
    ax.set(xlabel="epoch", ylabel="free energy, unseen - learned, nats")
    ax.set_xlim(epochs[0], max(epochs[-1], epochs[0] + 1))
    return plain(ax)


def plot_weight_histogram(
    weights: Values | Mapping[str, Values], ax: Axes | None = None, *, bins: int = 60
) -> Axes:
    """Draw how large weights are, of one layer or several.

    Arguments:
        weights: numbers of any shape, or several such by name.
        ax: where to draw; a new figure by default.
        bins: steps of a curve; all have the same.

    Returns:
        The axes. Curves carry the ids ``weights:name``; the legend has standard deviations.

    Raises:
        TypeError: if they are no numbers.
        ValueError: no weights, or one that is not finite.

    Example:
        >>> from matplotlib.figure import Figure
        >>> import torch
        >>> ax = plot_weight_histogram({"first": torch.randn(8, 4)}, Figure().add_subplot())
        >>> [patch.get_gid() for patch in ax.patches]
        ['weights:first']
    """
    named = weights if isinstance(weights, Mapping) else {"weights": weights}
    parts = {name: _finite(name, x) for name, x in named.items()}
    if not parts:
        raise ValueError("weights must have at least one entry, found none")
    edges = np.histogram_bin_edges(
        np.concatenate(list(parts.values())), as_whole("bins", bins, least=1)
    )
    ax = new_axes(ax, (6.4, 3.2))
    ax.axvline(0, color=AXIS, lw=0.8, gid="zero")
    for place, (name, values) in enumerate(parts.items()):
        heights = np.histogram(values, edges, density=True)[0]
        color, told = SERIES[place % len(SERIES)], f"{name}, s.d. {values.std():.2g}"
        ax.stairs(heights, edges, color=color, lw=1.6, label=told, gid=f"weights:{name}")
    ax.set(xlabel="weight", ylabel="density", xlim=(edges[0], edges[-1]))
    ax.legend(frameon=False, fontsize=9, labelcolor=MUTED)
    return plain(ax)


# Helpers -----------------------------------------------------------------------------------------


def _finite(name: str, values: Values) -> np.ndarray:
    """Finite numbers in a row, at least one."""
    (found,) = as_tensors(**{name: values})
    if not found.numel() or not bool(found.isfinite().all()):
        raise ValueError(
            f"{name} must be finite numbers, at least one, found {tuple(found.shape)}"
        )
    return found.detach().double().cpu().numpy().reshape(-1)


def _layer_names(count: int) -> list[str]:
    """The visible layer and the hidden ones above it."""
    return ["visible", *[f"hidden {place}" for place in range(1, count)]][:count]
