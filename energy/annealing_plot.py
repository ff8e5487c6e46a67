"""Pictures of estimates of log Z that close in on it from below and from above.

.. math:: \\mathbb{E}\\,\\bar\\ell_{\\text{forward}} \\le \\log Z \\le
          \\mathbb{E}\\,\\bar\\ell_{\\text{reverse}}
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from inference.palette import AMBER, BLUE, INK, MUTED
from inference.pictures import new_axes, plain
from inference.sampling.log_partition_estimate import LogPartition

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_annealed_paths"]


def plot_annealed_paths(
    lengths: Sequence[int],
    forward: Sequence[LogPartition],
    reverse: Sequence[LogPartition] | None = None,
    ax: Axes | None = None,
    *,
    exact: float | None = None,
) -> Axes:
    """Draw estimates of log Z, and the bounds they imply, against the number of temperatures.

    .. math:: K \\mapsto \\log \\hat Z_K, \\quad \\bar\\ell_K

    Full lines are the estimates, their bands 95 % intervals; where weights are too uneven for an
    interval there is none, and the point is hollow. Dashed lines are means of the log weights,
    which rise to log Z from below in forward runs, and fall to it from above in reverse ones.

    Arguments:
        lengths: temperatures of the runs, rising.
        forward: from the base to the law.
        reverse: from the law to the base, of the same lengths.
        ax: where to draw; a new figure by default.
        exact: log Z, nats, if it is known.

    Returns:
        The axes. Lines carry the ids ``forward``, ``bound:forward`` and so on, and ``exact``;
        bands ``interval:forward`` and ``interval:reverse``.

    Raises:
        ValueError: others than there are lengths, none, lengths that do not rise, or runs the
            other way.

    Reference:
        Burda, Grosse & Salakhutdinov 2015, "Accurate and conservative estimates of MRF
        log-likelihood using reverse annealing", section 3.

    Example:
        >>> import torch
        >>> from matplotlib.figure import Figure
        >>> runs = [LogPartition(torch.tensor([0.0, spread])) for spread in (0.5, 0.1)]
        >>> ax = plot_annealed_paths([10, 100], runs, ax=Figure().add_subplot(), exact=0.1)
        >>> [line.get_gid() for line in ax.lines]
        ['exact', 'forward', 'bound:forward', 'uneven:forward']
    """
    runs = {"forward": list(forward)}
    if reverse is not None:
        runs["reverse"] = list(reverse)
    _check(list(lengths), runs)
    ax = new_axes(ax, (6.4, 3.8))
    if exact is not None:
        ax.axhline(exact, color=INK, lw=1, label=f"exact, {exact:.3f}", gid="exact")
    for color, (name, some) in zip((BLUE, AMBER), runs.items(), strict=False):
        _draw(ax, list(lengths), some, name, color)
    ax.set(xscale="log", xlabel="temperatures", ylabel="log Z, nats")
    ax.legend(frameon=False, fontsize=9, labelcolor=MUTED)
    return plain(ax)


def _draw(ax: Axes, lengths: list[int], runs: list[LogPartition], name: str, color: str) -> None:
    """Estimates, intervals and bounds of one direction."""
    values = np.array([run.value for run in runs])
    bounds = np.array([run.mean_log_weight for run in runs])
    low, high = np.array([run.interval for run in runs]).T
    ax.fill_between(lengths, low, high, color=color, alpha=0.25, lw=0).set_gid(f"interval:{name}")
    ax.plot(lengths, values, "o-", ms=4, lw=1.5, color=color, label=name, gid=name)
    ax.plot(
        lengths,
        bounds,
        "--",
        lw=1.2,
        color=color,
        label=f"mean log weight, {name}",
        gid=f"bound:{name}",
    )
    uneven = np.where([run.reliable for run in runs], np.nan, values)
    ax.plot(lengths, uneven, "o", ms=4, mfc="white", color=color, gid=f"uneven:{name}")


def _check(lengths: list[int], runs: dict[str, list[LogPartition]]) -> None:
    """Refuse runs that do not belong to the lengths."""
    if not lengths or any([b <= a for a, b in zip([0, *lengths], lengths, strict=False)]):
        raise ValueError(f"lengths must rise from 1 on, at least one, found {lengths}")
    for name, some in runs.items():
        if len(some) != len(lengths):
            raise ValueError(f"{name} must have {len(lengths)} runs, found {len(some)}")
        if any([run.reverse != (name == "reverse") for run in some]):
            raise ValueError(f"{name} must have {name} runs only, found one the other way")
