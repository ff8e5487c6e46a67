"""Pictures of memories: what is drawn where, and each error."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from energy.hopfield.capacity import overlap_after_recall, retrieval_overlap
from energy.memory_plot import DAMAGE, INK, plot_capacity, plot_patterns, plot_recall


def test_patterns_lie_row_after_row() -> None:
    patterns = torch.arange(18.0).reshape(3, 6)
    ax = plot_patterns(patterns, (2, 3), Figure().add_subplot(), columns=2)
    picture = np.asarray(ax.images[0].get_array().filled(np.nan))
    assert picture.shape == (5, 7)
    assert np.array_equal(picture[:2, :3], patterns[0].reshape(2, 3))
    assert np.array_equal(picture[:2, 4:], patterns[1].reshape(2, 3))
    assert np.array_equal(picture[3:, :3], patterns[2].reshape(2, 3))
    assert np.isnan(picture[3:, 4:]).all() and np.isnan(picture[2]).all()


def test_wrong_units_are_amber() -> None:
    steps = torch.tensor([[[1.0, 1.0]], [[1.0, -1.0]]])
    ax = plot_recall(steps, (1, 2), Figure().add_subplot(), wanted=[[1, -1]])
    picture = np.asarray(ax.images[0].get_array())
    assert picture.shape == (1, 5, 3)
    assert np.allclose(picture[0, 0], to_rgb(INK)) and np.allclose(picture[0, 1], to_rgb(DAMAGE))
    assert np.allclose(picture[0, 3], to_rgb(INK))
    assert not np.allclose(picture[0, 4], to_rgb(DAMAGE))


def test_capacity_has_points_errors_and_theory() -> None:
    studies = [overlap_after_recall(n, [0.05, 0.3], trials=2, generator=0) for n in (40, 80)]
    ax = plot_capacity(studies, Figure().add_subplot())
    lines = {line.get_gid(): line for line in ax.lines if line.get_gid()}
    assert set(lines) == {"theory", "study:40", "study:80"}
    assert np.allclose(lines["study:80"].get_ydata(), studies[1].mean)
    x, y = [np.asarray(data) for data in lines["theory"].get_data()]
    assert np.allclose(y[1], retrieval_overlap(float(x[1]))) and np.isnan(y[-1])
    without = plot_capacity(studies[0], Figure().add_subplot(), theory=False)
    assert [line.get_gid() for line in without.lines if line.get_gid()] == ["study:40"]


def test_a_new_figure_by_default() -> None:
    ax = plot_patterns([[1, -1]], (1, 2))
    assert len(ax.images) == 1
    plt.close(ax.figure)


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: plot_patterns([[1, 1, 1]], (2, 2)), r"patterns must be \(n, 4\)"),
        (lambda: plot_recall([[1, 1]], (1, 2)), r"steps must be \(step, cue, units\)"),
        (
            lambda: plot_recall([[[1, 1]]], (1, 2), wanted=[[1, 1], [1, -1]]),
            "wanted must have 1 patterns",
        ),
    ],
)
def test_shapes_are_checked(draw, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw()


def test_nothing_to_draw_is_refused():
    with pytest.raises(ValueError, match="studies must be one at least"):
        plot_capacity([])
    with pytest.raises(ValueError, match="steps must be"):
        plot_recall(torch.zeros(0, 1, 4), (2, 2))
