"""Pictures of latent spaces: what lies where, from here to there, which dimensions are used.

.. math:: g(\\Phi^{-1}(u_1), \\Phi^{-1}(u_2)), \\qquad
          \\mathrm{KL}\\bigl(q(z_j \\mid x) \\,\\|\\, p(z_j)\\bigr)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from generative.drawing import (
    Limits,
    Shape,
    Words,
    as_images,
    as_limits,
    as_points,
    as_words,
    at_rest,
    class_colors,
    draw_canvas,
    like_given,
    name_rows,
)
from generative.variational_autoencoder import VariationalAutoencoder
from inference.inputs import Values, as_tensors, as_whole, check_finite, tolerance
from inference.palette import AMBER, AXIS, BLUE, INK, MUTED
from inference.pictures import new_axes, plain, tiled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_codes", "plot_divergences", "plot_interpolations", "plot_manifold"]

#: Bars of which every one has its number below it.
NUMBERED = 24


def plot_manifold(
    decode: VariationalAutoencoder | Callable[[Tensor], Tensor],
    shape: Shape,
    ax: Axes | None = None,
    *,
    steps: int = 20,
    limits: Limits | None = None,
) -> Axes:
    """Draw what a decoder of two numbers makes of the plane, at the quantiles of its law.

    .. math:: z_{ij} = \\bigl(\\Phi^{-1}(u_j),\\, \\Phi^{-1}(u_i)\\bigr), \\qquad
              u_i = \\tfrac{i - 1/2}{s}

    Every image stands for the same share of what is drawn from a standard normal law.

    Arguments:
        decode: a variational autoencoder of two latent numbers without a condition, whose mean
            images are drawn, or a function from codes (n, 2) to images.
        shape: of an image: height and width, or channels (1 or 3), height and width.
        ax: where to draw; a new figure by default.
        steps: images in a row, and rows.
        limits: values drawn as empty and as full; by default the least and the largest of all.

    Returns:
        The axes, the first number from left to right and the second from below upwards. The
        picture carries the id ``manifold``.

    Raises:
        TypeError: steps that are no whole number.
        ValueError: steps below one, images of another shape or number, another number of latent
            numbers.

    Reference:
        Kingma & Welling 2014, "Auto-encoding variational Bayes", figure 4.

    Example:
        >>> from matplotlib.figure import Figure
        >>> ax = plot_manifold(lambda z: z, (1, 2), Figure().add_subplot(), steps=3)
        >>> ax.images[0].get_array().shape
        (5, 8)
    """
    steps = as_whole("steps", steps, least=1)
    levels = (torch.arange(steps, dtype=torch.float64) + 0.5) / steps
    quantiles = torch.special.ndtri(levels)
    # From the largest second number down, as the rows of a picture go.
    up, right = torch.meshgrid(quantiles.flip(0), quantiles, indexing="ij")
    codes = torch.stack([right, up], -1).reshape(-1, 2)
    with at_rest(decode), torch.no_grad():
        codes = codes.to(like_given(decode))
        if isinstance(decode, VariationalAutoencoder):
            if decode.latent_dim != 2:
                raise ValueError(f"decode must have latent_dim 2, found {decode.latent_dim}")
            found = decode.likelihood(codes).mean
        else:
            found = decode(codes)
    images = as_images(found, shape, "what decode returned")
    if len(images) != len(codes):
        raise ValueError(f"decode must return {len(codes)} images, found {len(images)}")
    ax = new_axes(ax, (6.2, 6.2 * shape[-2] / shape[-1]))
    grid = images.reshape(steps, steps, *images.shape[1:])
    draw_canvas(ax, tiled(grid), as_limits(limits, images), "manifold")
    told = [z for z in (-2, -1, 0, 1, 2) if abs(z) <= quantiles[-1]]
    names = [str(z).replace("-", "\u2212") for z in told]
    middles = torch.special.ndtr(torch.tensor(told).double()).numpy() * steps - 0.5
    across = middles * (shape[-1] + 1) + (shape[-1] - 1) / 2
    down = (steps - 1 - middles) * (shape[-2] + 1) + (shape[-2] - 1) / 2
    ax.set_xticks(across, names)
    ax.set_yticks(down, names)
    ax.tick_params(length=0, labelcolor=MUTED, labelsize=9)
    ax.set_xlabel("$z_1$", color=INK)
    ax.set_ylabel("$z_2$", color=INK, rotation=0, labelpad=10)
    return ax


def plot_codes(
    codes: Values,
    labels: Words | None = None,
    ax: Axes | None = None,
    *,
    dimensions: tuple[int, int] = (0, 1),
) -> Axes:
    """Draw where rows lie in two latent dimensions, every class with its name amid its points.

    Arguments:
        codes: means of the posteriors, or other codes.
        labels: classes of the rows.
        ax: where to draw; a new figure by default.
        dimensions: the latent dimensions across and up.

    Shapes:
        codes: (n, latent_dim). labels: (n,).

    Returns:
        The axes. Points of a class carry the id ``codes:name``, without labels ``codes``.

    Raises:
        TypeError: codes that are no numbers, dimensions that are no whole numbers.
        ValueError: codes of another shape or not finite, other numbers of labels, dimensions that
            there are not.

    Example:
        >>> from matplotlib.figure import Figure
        >>> ax = plot_codes([[0.0, 1.0], [2.0, 1.0]], ["a", "b"], Figure().add_subplot())
        >>> [text.get_text() for text in ax.texts]
        ['a', 'b']
    """
    from matplotlib import patheffects

    points = _planar(codes, dimensions)
    kinds, members = ([], points) if labels is None else _kinds(labels, len(points))
    ax = new_axes(ax, (5.6, 5.2))
    look: dict[str, Any] = {"s": float(np.clip(6000 / max(len(points), 1), 4, 26)), "lw": 0}
    if not kinds:
        ax.scatter(*points.T, c=BLUE, alpha=0.6, gid="codes", **look)
    else:
        halo = [patheffects.withStroke(linewidth=3, foreground="white", alpha=0.9)]
        for place, (kind, color) in enumerate(zip(kinds, class_colors(len(kinds)), strict=True)):
            own = points[members == place]
            ax.scatter(*own.T, color=[color], alpha=0.6, gid=f"codes:{kind}", **look)
            across, up = np.median(own, 0)
            text: dict[str, Any] = {"ha": "center", "va": "center", "path_effects": halo}
            ax.text(across, up, kind, color=color, size=14, weight="bold", zorder=5, **text)
    ax.set_aspect("equal", adjustable="datalim")
    plain(ax)
    ax.set_xlabel(f"$z_{{{dimensions[0] + 1}}}$")
    ax.set_ylabel(f"$z_{{{dimensions[1] + 1}}}$", rotation=0, labelpad=10)
    return ax


def plot_interpolations(
    frames: Values,
    shape: Shape,
    ax: Axes | None = None,
    *,
    rows: Words | None = None,
    limits: Limits | None = None,
) -> Axes:
    """Draw the way from one image to another, a strip for every pair.

    Arguments:
        frames: images along the ways, both ends among them.
        shape: of an image: height and width, or channels (1 or 3), height and width.
        ax: where to draw; a new figure by default.
        rows: names of the strips, from above.
        limits: values drawn as empty and as full; by default the least and the largest of all.

    Shapes:
        frames: (pair, step, pixels) or (pair, step, *shape).

    Returns:
        The axes. The picture carries the id ``interpolations``.

    Raises:
        TypeError: if they are no numbers.
        ValueError: frames of another shape, another number of names.

    Example:
        >>> from matplotlib.figure import Figure
        >>> ax = plot_interpolations([[[0, 0], [0, 1], [1, 1]]], (1, 2), Figure().add_subplot())
        >>> [label.get_text() for label in ax.get_xticklabels()]
        ['from', '½', 'to']
    """
    (found,) = as_tensors(frames=frames)
    if found.ndim < 3:
        raise ValueError(f"frames must be (pair, step, pixels), found {tuple(found.shape)}")
    pairs, steps = found.shape[:2]
    images = as_images(found.reshape(pairs * steps, *found.shape[2:]), shape, "frames")
    names = as_words("rows", rows, pairs, "strip")
    side = min(0.6, 9 / steps)
    ax = new_axes(ax, (side * steps + 0.5, side * pairs * shape[-2] / shape[-1] + 0.6))
    grid = images.reshape(pairs, steps, *images.shape[1:])
    draw_canvas(ax, tiled(grid), as_limits(limits, images), "interpolations")
    told = {0: "from", steps - 1: "to"} if steps > 1 else {0: "from"}
    if steps > 2 and steps % 2:
        told[steps // 2] = "½"
    wide, tall = shape[-1] + 1, shape[-2] + 1
    order = sorted(told)
    middles = [place * wide + (shape[-1] - 1) / 2 for place in order]
    name_rows(ax, middles, [told[place] for place in order], axis="x")
    if names:
        middles = [place * tall + (shape[-2] - 1) / 2 for place in range(pairs)]
        name_rows(ax, middles, names)
    return ax


def plot_divergences(
    divergences: Values,
    ax: Axes | None = None,
    *,
    active: Values | None = None,
    threshold: float = 0.01,
) -> Axes:
    """Draw how many nats every latent dimension tells, the most telling first.

    .. math:: \\overline{\\mathrm{KL}}_j =
              \\tfrac1n \\sum_i \\mathrm{KL}\\bigl(q(z_j \\mid x_i) \\,\\|\\, p(z_j)\\bigr)

    Dimensions that are not active have collapsed: their posterior is the prior, whatever x is.
    Their names, and the dots at the foot, are amber.

    Arguments:
        divergences: KL of every dimension from its prior, in nats, means over rows or row by row.
        ax: where to draw; a new figure by default.
        active: which dimensions are, as ``active_units`` of an autoencoder says; by default
            those that tell enough.
        threshold: nats that are enough.

    Shapes:
        divergences: (latent_dim,) or (n, latent_dim). active: (latent_dim,).

    Returns:
        The axes. Bars carry the id ``active:j``, dots ``collapsed``; j counts from 1 as in z_j.

    Raises:
        TypeError: if they are no numbers.
        ValueError: another shape, a divergence that is negative or not finite, a threshold that
            is not positive, another number of dimensions that are active or not.

    Reference:
        Bowman, Vilnis, Vinyals, Dai, Jozefowicz & Bengio 2016, "Generating sentences from a
        continuous space", section 3.1 (collapse); Burda, Grosse & Salakhutdinov 2015,
        "Importance weighted autoencoders", section 5.2 (what is active).

    Example:
        >>> from matplotlib.figure import Figure
        >>> ax = plot_divergences([0.001, 2.5, 1.5], Figure().add_subplot())
        >>> ax.get_title()
        '2 of 3 dimensions tell 4.00 nats'
    """
    told = _means(divergences)
    if not threshold > 0:
        raise ValueError(f"threshold must be positive, found {threshold}")
    order = np.argsort(-told, kind="stable")
    used = told >= threshold if active is None else _mask(active, len(told))
    alive = used[order]
    places = np.arange(len(told))
    ax = new_axes(ax, (min(9.0, 2.4 + 0.32 * len(told)), 3.2))
    for place in places[alive]:
        name = f"active:{order[place] + 1}"
        ax.bar(place, told[order[place]], width=0.78, color=BLUE, gid=name)
    if not alive.all():
        gone = places[~alive]
        ax.plot(gone, np.zeros(len(gone)), "o", ms=5, color=AMBER, clip_on=False, gid="collapsed")
    title = f"{used.sum()} of {len(told)} dimensions tell {told[used].sum():.2f} nats"
    ax.set_title(title, color=INK, fontsize=10.5)
    plain(ax)
    ax.xaxis.grid(visible=False)
    every = -(-len(told) // NUMBERED)
    ax.set_xticks(places[::every], [str(place + 1) for place in order[::every]])
    for text, kept in zip(ax.get_xticklabels(), alive[::every], strict=True):
        text.set_color(MUTED if kept else AMBER)
    ax.tick_params(axis="x", length=0)
    ax.spines["bottom"].set_color(AXIS)
    ax.set(xlabel="latent dimension", ylabel="KL, nats", xlim=(-0.6, len(told) - 0.4))
    ax.set_ylim(bottom=0)
    return ax


# Helpers -----------------------------------------------------------------------------------------


def _planar(codes: Values, dimensions: tuple[int, int]) -> np.ndarray:
    """Two columns of codes, (n, 2)."""
    (found,) = as_tensors(codes=codes)
    if found.ndim != 2 or not len(found):
        raise ValueError(
            f"codes must be (n, latent_dim), n at least 1, found {tuple(found.shape)}"
        )
    chosen = [as_whole("dimensions", place, least=0) for place in dimensions]
    if len(chosen) != 2 or max(chosen) >= found.shape[1]:
        raise ValueError(
            f"dimensions must be two below {found.shape[1]}, the codes' own, found {dimensions}"
        )
    return as_points("codes", found[:, chosen])


def _kinds(labels: Any, count: int) -> tuple[list[str], np.ndarray]:
    """Names of classes in their order, and the class of every row."""
    found = labels.cpu().numpy() if isinstance(labels, Tensor) else np.asarray(labels)
    if found.shape != (count,):
        raise ValueError(f"labels must be ({count},), one for every code, found {found.shape}")
    kinds, members = np.unique(found, return_inverse=True)
    return [str(kind) for kind in kinds], members


def _mask(active: Values, count: int) -> np.ndarray:
    """Which of so many dimensions are active."""
    (found,) = as_tensors(active=active)
    if found.shape != (count,):
        raise ValueError(f"active must be ({count},), as divergences, found {tuple(found.shape)}")
    return found.cpu().numpy() != 0


def _means(divergences: Values) -> np.ndarray:
    """Mean divergences, (latent_dim,), checked."""
    (found,) = as_tensors(divergences=divergences)
    if found.ndim not in (1, 2) or not found.numel():
        raise ValueError(
            f"divergences must be (latent_dim,) or (n, latent_dim), found {tuple(found.shape)}"
        )
    check_finite(divergences=found)
    told = torch.atleast_2d(found.detach().double()).mean(0).cpu().numpy()
    if told.min() < -tolerance(found.dtype):
        raise ValueError(f"divergences must not be negative, found {told.min():g}")
    return told
