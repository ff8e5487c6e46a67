"""Pictures of machines: what is drawn where, in which order, and each error."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from energy.machine_plot import (
    plot_fantasies,
    plot_filters,
    plot_free_energies,
    plot_free_energy_gap,
    plot_layer_samples,
    plot_weight_histogram,
)
from energy.restricted_boltzmann_machine import RestrictedBoltzmannMachine


def new() -> Axes:
    return Figure().add_subplot()


def pixels(ax: Axes) -> np.ndarray:
    return np.ma.filled(ax.images[0].get_array(), np.nan)


def lines(ax: Axes) -> dict[str, np.ndarray]:
    return {str(line.get_gid()): np.asarray(line.get_data()) for line in ax.lines}


def test_filters_are_sorted_by_their_norms() -> None:
    weights = torch.tensor([[1.0, 5.0, -3.0], [0.0, 0.0, 1.0]])
    ax = plot_filters(weights, (1, 2), new(), count=2, columns=2)
    np.testing.assert_array_equal(pixels(ax), [[5, 0, np.nan, -3, 1]])
    ax = plot_filters(weights, (1, 2), new(), count=2, columns=1, strongest=False)
    np.testing.assert_array_equal(pixels(ax), [[1, 0], [np.nan, np.nan], [5, 0]])


def test_colours_of_filters_are_centred_at_zero() -> None:
    machine = RestrictedBoltzmannMachine(6, 5, generator=0)
    image = plot_filters(machine, (2, 3), new()).images[0]
    low, high = image.get_clim()
    assert low == -high < 0
    assert image.cmap(image.norm(0.0))[:3] == pytest.approx((1, 1, 1), abs=0.02)
    red, _, blue, _ = image.cmap(image.norm(high))
    assert blue > red
    red, _, blue, _ = image.cmap(image.norm(low))
    assert red > blue


def test_filters_without_weights_are_white() -> None:
    image = plot_filters(torch.zeros(4, 3), (2, 2), new()).images[0]
    assert image.get_clim() == (-1, 1)


def test_a_row_of_fantasies_is_a_chain() -> None:
    states = torch.arange(12.0).reshape(3, 2, 2)
    ax = plot_fantasies(states, (1, 2), new(), steps=["0", "10", "100"])
    gap = np.nan
    expected = [[0, 1, gap, 4, 5, gap, 8, 9], [gap] * 8, [2, 3, gap, 6, 7, gap, 10, 11]]
    np.testing.assert_array_equal(pixels(ax), expected)
    np.testing.assert_allclose(ax.get_xticks(), [0.5, 3.5, 6.5])


def test_layers_lie_above_one_another_and_draws_in_columns() -> None:
    layers = [torch.rand(3, 4), torch.rand(3, 6), torch.zeros(3, 2)]
    ax = plot_layer_samples(layers, [(2, 2), (2, 3), (1, 2)], new())
    places = {}
    for image in ax.images:
        places.setdefault(image.get_gid(), []).append(image.get_extent())
    assert [len(found) for found in places.values()] == [3, 3, 3]
    for low, high in (("layer:0", "layer:1"), ("layer:1", "layer:2")):
        assert places[low][0][3] < places[high][0][2]
        assert [p[0] for p in places[low]] == [p[0] for p in places[high]] == [0, 1, 2]
    np.testing.assert_allclose(pixels(ax), layers[0][0].reshape(2, 2))
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names == ["visible", "hidden 1", "hidden 2"]


def test_free_energies_have_their_means_and_the_gap() -> None:
    ax = plot_free_energies(torch.tensor([-4.0, -2.0]), torch.tensor([-1.0]), new(), bins=4)
    found = lines(ax)
    assert found["mean:learned"][0][0] == -3 and found["mean:unseen"][0][0] == -1
    assert ax.get_title() == "gap 2.00 nats"
    heights = next(p.get_data() for p in ax.patches if p.get_gid() == "learned")
    assert (heights.values * np.diff(heights.edges)).sum() == pytest.approx(1.0)


def test_the_gap_follows_the_history_of_a_fit() -> None:
    rows = torch.randint(0, 2, (40, 6), generator=torch.Generator().manual_seed(0)).float()
    machine = RestrictedBoltzmannMachine(6, 3, generator=0)
    machine.fit(rows[:20], epochs=3, validation=rows[20:], generator=0, progress=False)
    found = lines(plot_free_energy_gap(machine.history, new()))
    gaps = [row["free_energy_gap"] for row in machine.history]
    np.testing.assert_allclose(found["gap"], [[1, 2, 3], gaps])


def test_histograms_of_weights_have_one_area() -> None:
    weights = {"first": torch.randn(20, 3), "second": 3 * torch.randn(50)}
    ax = plot_weight_histogram(weights, new(), bins=7)
    assert [patch.get_gid() for patch in ax.patches] == ["weights:first", "weights:second"]
    for patch in ax.patches:
        heights, edges, _ = patch.get_data()
        assert len(heights) == 7 and (heights * np.diff(edges)).sum() == pytest.approx(1.0)
    assert len(plot_weight_histogram(weights["first"], new()).patches) == 1


def test_a_new_figure_by_default() -> None:
    for ax in (
        plot_filters(torch.ones(2, 2), (1, 2)),
        plot_weight_histogram(torch.ones(3)),
        plot_free_energies([1.0], [2.0]),
    ):
        assert ax.figure.axes[0] is ax
        plt.close(ax.figure)


HALVES = [torch.rand(2, 4), torch.rand(3, 4)]


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: plot_filters(torch.ones(3), (1, 3)), r"weights must be \(visible, hidden\)"),
        (lambda: plot_filters(torch.ones(3, 2), (2, 2)), r"weights.* must be \(n, 4\)"),
        (lambda: plot_filters(torch.ones(4, 2), (2, 2), count=0), "count must"),
        (lambda: plot_filters(torch.ones(4, 2), (2, 2), columns=0), "columns must"),
        (lambda: plot_filters(torch.ones(4, 0), (2, 2)), "at least one"),
        (lambda: plot_fantasies(torch.ones(2, 4), (2, 2)), r"states must be \(step, chain"),
        (lambda: plot_fantasies(torch.ones(2, 1, 4), (2, 2), steps=[0]), "steps must name 2"),
        (lambda: plot_fantasies(torch.ones(2, 1, 3), (2, 2)), r"states must be \(n, 4\)"),
        (lambda: plot_layer_samples([], []), "layers, shapes and names"),
        (lambda: plot_layer_samples(HALVES, [(2, 2)]), "layers, shapes and names"),
        (lambda: plot_layer_samples(HALVES, [(2, 2), (1, 4)]), "as many draws"),
        (lambda: plot_layer_samples(HALVES[:1], [(2, 3)]), r"layers\[0\] must be \(n, 6\)"),
        (lambda: plot_free_energies([], [1.0]), "learned must be finite"),
        (lambda: plot_free_energies([1.0], [float("inf")]), "unseen must be finite"),
        (lambda: plot_free_energy_gap([{"epoch": 1}]), "fit with validation rows"),
        (lambda: plot_weight_histogram({}), "at least one"),
        (lambda: plot_weight_histogram([1.0], bins=0), "bins must"),
    ],
)
def test_what_cannot_be_drawn_is_refused(draw, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw()
    assert not plt.get_fignums()


def test_weights_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="weights must be finite"):
        plot_filters([[0.0], [float("inf")]], (1, 2))
