"""Pictures of chains: what the artists show."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from inference.diagnostics.effective_sample_size import autocorrelation
from inference.plot import autocorrelation_plot, rank_plot, trace_plot
from inference.sampling.samples import Samples

ALL = [trace_plot, rank_plot, autocorrelation_plot]


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape)


def drawn(plot: Callable[..., Axes], *args: object, **options: object) -> Axes:
    ax = plot(*args, ax=Figure().add_subplot(), **options)
    ax.figure.canvas.draw()
    return ax


def artists(ax: Axes, name: str) -> list:
    return [one for one in ax.get_children() if str(one.get_gid()).startswith(name)]


def test_traces_are_the_draws() -> None:
    x = normal(4, 100)
    ax = drawn(trace_plot, x)
    assert len(ax.lines) == 4 and not artists(ax, "range")
    for chain, line in enumerate(ax.lines):
        np.testing.assert_array_equal(line.get_ydata(), x[chain])
        np.testing.assert_array_equal(line.get_xdata(), np.arange(1, 101))
    assert ax.get_title().startswith("R-hat ") and "effective draws " in ax.get_title()
    assert [text.get_text() for text in ax.get_legend().get_texts()][3] == "chain 3"


def test_long_traces_are_ranges() -> None:
    x = normal(2, 2345)
    ax = drawn(trace_plot, x)
    band = artists(ax, "range:1")[0].get_paths()[0].vertices
    assert band[:, 1].max() == x[1, :2345].max() and band[:, 1].min() == x[1].min()
    line = ax.lines[1]
    np.testing.assert_allclose(line.get_ydata()[3], x[1, 15:20].mean())
    assert line.get_xdata()[3] == 18


def test_ranks_are_counted() -> None:
    x = normal(3, 200)
    x[2] += 5
    ax = drawn(rank_plot, x, bins=6)
    ranks = x.ravel().argsort().argsort().reshape(3, 200) // 100
    heights = np.array([[bar.get_height() for bar in artists(ax, f"chain:{c}")] for c in range(3)])
    counts = np.stack([np.bincount(row, minlength=6) for row in ranks])
    np.testing.assert_allclose(heights / heights.max(), counts / counts.max())
    # The third chain leaves the band, where it never was.
    low = artists(ax, "band:2")[0].get_paths()[0].vertices[:, 1].min()
    assert low > 0.05
    assert float(ax.get_title().removeprefix("R-hat ")) > 1.5


def test_bands_hold_chains_that_agree() -> None:
    x = normal(4, 1000)
    ax = drawn(rank_plot, x, bins=10)
    inside = 0
    for chain in range(4):
        heights = [bar.get_y() + bar.get_height() for bar in artists(ax, f"chain:{chain}")]
        band = artists(ax, f"band:{chain}")[0].get_paths()[0].vertices[:, 1]
        inside += sum([band.min() <= height <= band.max() for height in heights])
    assert inside >= 32


def test_autocorrelations_are_drawn() -> None:
    x = normal(3, 100).cumsum(1)
    ax = drawn(autocorrelation_plot, x, max_lag=30)
    expected = autocorrelation(x, 30).numpy()
    for chain in range(3):
        np.testing.assert_array_equal(
            artists(ax, f"chain:{chain}")[0].get_ydata(), expected[chain]
        )
    np.testing.assert_allclose(artists(ax, "mean")[0].get_ydata(), expected.mean(0))
    assert ax.get_title() == "autocorrelation time not known"
    told = drawn(autocorrelation_plot, normal(2, 500)).get_title()
    assert abs(float(told.removeprefix("autocorrelation time ")) - 1) < 0.3


@pytest.mark.parametrize("plot", ALL)
def test_samples_and_indices(plot) -> None:
    values = torch.from_numpy(normal(2, 50, 3, 2))
    samples = Samples(values, values[:, -1], torch.Generator().get_state())
    ax = drawn(plot, samples, (1, -1))
    other = drawn(plot, values[:, :, 1, 1])
    shown = [list(line.get_ydata()) for line in ax.lines]
    assert shown == [list(line.get_ydata()) for line in other.lines]
    assert "x[1, -1]" in ax.get_ylabel() + ax.get_xlabel()
    for index in ((), 1, (3, 0), (0, 0, 0)):
        with pytest.raises(ValueError, match="index must name one number of an event"):
            drawn(plot, samples, index)


@pytest.mark.parametrize("plot", ALL)
def test_all_kinds_of_chains_are_drawn(plot) -> None:
    for x in (
        normal(1, 10),
        normal(30, 20),
        np.ones((2, 20)),
        normal(3, 50) > 0,
        np.arange(2)[:, None] * np.ones((2, 9)),
    ):
        assert drawn(plot, x).get_title()


def test_new_figures_are_made() -> None:
    import matplotlib.pyplot as plt

    for plot in ALL:
        ax = plot(normal(2, 40))
        assert ax.figure.get_axes() == [ax]
        plt.close(ax.figure)


def test_draws_that_are_not_finite() -> None:
    x = normal(2, 30)
    x[0, 3] = np.nan
    assert drawn(trace_plot, x).get_title() == "R-hat not known, effective draws not known"
    for plot in (rank_plot, autocorrelation_plot):
        with pytest.raises(ValueError, match="x must be finite here"):
            drawn(plot, x)
    with pytest.raises(ValueError, match="bins must be at least 2"):
        drawn(rank_plot, normal(2, 30), bins=1)
