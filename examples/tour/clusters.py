"""Clusters of eruptions: EM from a bad start, and how many clusters there are."""

from __future__ import annotations

from itertools import pairwise

import matplotlib.pyplot as plt
import torch
from torch import Tensor

from examples.em_steps import LAST, after
from examples.em_steps import eruptions as standard_eruptions
from examples.faithful_hmm import geyser
from examples.tour.guide import Guide
from pgm import GaussianMixture
from pgm.mixture_plot import plot_em_steps, plot_mixture, plot_selection

GEYSER, SERIES, LENGTH = "geyser, per eruption", 20, 400
AXES = {"xlabel": "minutes of eruption", "ylabel": "minutes to the next"}


def eruptions() -> tuple[Tensor, Tensor]:
    """A series of eruptions, a tenth of its numbers missing, and later ones, (n, T, 2)."""
    series = geyser().sample(SERIES + 1, LENGTH, generator=0).observations
    missing = torch.rand(LENGTH, 2, generator=torch.Generator().manual_seed(0)) < 0.1
    return series[0].masked_fill(missing, torch.nan), series[1:]


def steps_of_em(guide: Guide) -> None:
    guide.heading("Expectation-maximisation, from a bad start")
    x, shown = standard_eruptions(), (0, 1, 4, 8, 12, 16)
    climb = [step["objective"] / len(x) for step in after(LAST, x).history]
    print(f"  {'step':<20}" + "".join([f"{steps:>8}" for steps in shown]))
    print(f"  {'nats per eruption':<20}" + "".join([f"{climb[steps]:>8.3f}" for steps in shown]))
    down = sum([late < early - 1e-12 for early, late in pairwise(climb)])
    print(f"  The limit is {climb[-1]:.3f}; of {len(climb) - 1} steps {down} went down.")
    figure, axes = plt.subplots(2, 3, figsize=(11, 7), layout="constrained")
    plot_em_steps([after(steps, x) for steps in shown], x, shown, axes)
    for ax in axes.flat:
        ax.set(xlabel="eruption", ylabel="wait for the next", aspect="equal")
        ax.label_outer()
    figure.suptitle("EM: two circles let go of each other's eruptions (standardised)", size=12)
    guide.save(axes[0, 0], "em_steps")


def how_many(guide: Guide) -> None:
    guide.heading("Clusters, and how many")
    series, later = eruptions()
    x = series[~series.isnan().all(1)]
    guide.seconds()
    found = GaussianMixture.select(x, range(1, 6), ["full", "tied", "diag"], random_state=0)
    seconds = guide.seconds()
    print(f"  {len(x)} eruptions of a geyser, of which {x.isnan().sum()} numbers are missing.")
    for row in found.table()[:3]:
        print(f"  {row['n_components']} {row['covariance_type']:<10} BIC {row['bic']:,.1f}")
    print("  BIC is the price of telling the data by a model, its numbers included: less is more.")
    next_one = found.best.conditional({0: 2.0})
    expected = (next_one.weights @ next_one.means).item()
    print(f"  After an eruption of two minutes the next is due in {expected:.0f} minutes.")
    _, axes = plt.subplots(1, 2, figsize=(11, 4.4), layout="constrained")
    plot_selection(found, axes[0])
    ax = plot_mixture(found.best, x, axes[1])
    ax.set(**AXES, title="The best of them, two standard deviations")
    guide.save(ax, "clusters")
    # The eruptions of a series depend on one another; series do not.
    values = found.best.score_samples(later.reshape(-1, 2)).reshape(SERIES, LENGTH).mean(1)
    guide.score("mixture of two normal laws", GEYSER, values, seconds)
    guide.panel(
        "clusters",
        "Gaussian mixture, chosen by BIC",
        "eruptions of a geyser; ticks: half of a pair is missing",
        lambda ax: plot_mixture(found.best, x, ax).set(**AXES),
        axes=True,
    )
