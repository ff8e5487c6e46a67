"""Pictures of training: curves, averages, shares of modes, slopes, and each error."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from generative.drawing import label_ends, spread
from generative.training_plot import plot_history, plot_modes_over_time, plot_objectives

HISTORY: list[dict[str, Any]] = [
    {"epoch": 1, "elbo": -20.0, "validation_elbo": -21.0, "kl": 2.0},
    {"epoch": 2, "elbo": -18.0, "kl": 3.0, "note": [1, 2]},
    {"epoch": 4, "elbo": -16.0, "validation_elbo": -19.0, "kl": float("nan")},
]


def new() -> Axes:
    return Figure(layout="constrained").add_subplot()


def lines(ax: Axes) -> dict[str, np.ndarray]:
    return {str(line.get_gid()): np.asarray(line.get_data()) for line in ax.lines}


def strips(ax: Axes) -> dict[str, np.ndarray]:
    return {name: data for panel in ax.child_axes for name, data in lines(panel).items()}


def test_a_figure_is_drawn_beside_that_of_validation_rows() -> None:
    ax = plot_history(HISTORY, ["elbo", "kl"], new())
    found = lines(ax)
    np.testing.assert_array_equal(found["elbo"], [[1, 2, 4], [-20, -18, -16]])
    np.testing.assert_array_equal(found["validation_elbo"], [[1, 4], [-21, -19]])
    np.testing.assert_array_equal(found["kl"], [[1, 2], [2, 3]])
    style = {line.get_gid(): (line.get_color(), line.is_dashed()) for line in ax.lines}
    assert style["elbo"][0] == style["validation_elbo"][0] != style["kl"][0]
    assert [style[name][1] for name in ("elbo", "validation_elbo")] == [False, True]
    told = {text.get_text() for text in ax.texts}
    assert told == {"elbo \u221216.0", "validation elbo \u221219.0", "kl 3.00"}
    assert ax.get_ylabel() == "nats"


@pytest.mark.parametrize("window", [3, 5, 99])
def test_a_moving_average_is_one(window: int) -> None:
    values = np.random.default_rng(0).normal(size=12)
    history = [{"epoch": i, "loss": value} for i, value in enumerate(values)]
    found = lines(plot_history(history, "loss", new(), smooth=window))
    half = window // 2
    slow = [values[max(0, i - half) : i + half + 1].mean() for i in range(12)]
    np.testing.assert_allclose(found["loss"][1], slow)
    np.testing.assert_array_equal(found["raw:loss"][1], values)


def test_one_epoch_is_enough() -> None:
    ax = plot_history(HISTORY[:1], "elbo", new())
    assert ax.get_xlim() == (1, 2)


def test_names_at_the_ends_do_not_overlap() -> None:
    history = [{"epoch": i, **{f"f{k}": k * 1e-3 for k in range(6)}} for i in range(3)]
    history[0]["f0"] = 1.0
    figure = Figure(figsize=(5, 4), layout="constrained")
    ax = plot_history(history, [f"f{k}" for k in range(6)], figure.add_subplot())
    figure.canvas.draw()
    by_height = sorted(ax.texts, key=lambda text: text.get_window_extent().y0)
    for low, high in pairwise(by_height):
        assert low.get_window_extent().y1 <= high.get_window_extent().y0 + 1
    assert [text.get_text()[:2] for text in by_height] == [f"f{k}" for k in range(6)]


def test_spreading_moves_as_little_as_it_can() -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        wanted = np.sort(rng.random(5))
        found = spread(wanted, 0.2)
        assert np.diff(found).min() >= 0.2 - 1e-12
        cost = np.square(found - wanted).sum()
        # No place nearby that keeps the distances is closer to what was wanted.
        for shift in rng.normal(0, 0.05, (400, 5)):
            other = found + shift
            if np.diff(other).min() >= 0.2:
                assert np.square(other - wanted).sum() >= cost - 1e-12
    np.testing.assert_array_equal(spread(np.array([0.0, 0.5, 1.0]), 0.2), [0, 0.5, 1])
    assert len(spread(np.array([]), 0.2)) == 0


def test_labels_freeze_the_limits() -> None:
    ax = new()
    ax.plot([0, 1], [0, 1])
    limits = ax.get_ylim()
    label_ends(ax, [(1.0, "one", "red")])
    ax.plot([0, 1], [0, 9])
    assert ax.get_ylim() == limits


def test_shares_of_modes_are_drawn_epoch_by_epoch() -> None:
    history = [
        {"epoch": 1, "counts": [8, 0, 0, 0]},
        {"epoch": 2},
        {"epoch": 3, "counts": [2, 2, 0, 0]},
        {"epoch": 5, "counts": [5, 5, 5, 5]},
    ]
    ax = plot_modes_over_time(history, new())
    (mesh,) = [part for part in ax.collections if part.get_gid() == "shares"]
    expected = np.array([[1, 0, 0, 0], [0.5, 0.5, 0, 0], [0.25] * 4]).T
    np.testing.assert_array_equal(np.asarray(mesh.get_array()).reshape(4, 3), expected)
    found = strips(ax)
    np.testing.assert_array_equal(found["modes"], [[1, 3, 5], [1, 2, 4]])
    np.testing.assert_allclose(found["reverse_kl"][1], [np.log(4), np.log(2), 0], atol=1e-15)
    told = [text.get_text() for panel in ax.child_axes for text in panel.texts]
    assert told == ["reverse KL 0.000 nats", "4 of 4 modes"]
    assert ax.get_xlim() == (0, 6)


def test_an_even_share_has_the_middle_colour() -> None:
    ax = plot_modes_over_time([{"epoch": 1, "counts": [1] * 8}], new())
    (mesh,) = ax.collections
    assert [float(mesh.norm(share)) for share in (0, 1 / 8, 1)] == [0, 0.5, 1]


def test_epochs_without_a_sample_near_a_mode_are_left_open() -> None:
    history = [{"epoch": 1, "found": [1, 2]}, {"epoch": 2, "found": [0, 0]}]
    ax = plot_modes_over_time(history, new(), counts="found")
    (mesh,) = ax.collections
    assert np.ma.getmaskarray(np.ma.masked_invalid(mesh.get_array())).reshape(2, 2)[:, 1].all()
    assert np.isinf(strips(ax)["reverse_kl"][1, 1])
    told = [text.get_text() for panel in ax.child_axes for text in panel.texts]
    assert told == ["reverse KL inf nats", "0 of 2 modes"]


def test_slopes_of_a_generator_where_the_discriminator_is_sure() -> None:
    found = lines(plot_objectives(ax=new(), limits=(-6, 6)))
    logits = found["minimax"][0]
    assert (logits[0], logits[200]) == pytest.approx((-6, 0))
    at = {name: data[1][[0, 200]].tolist() for name, data in found.items()}
    assert at["minimax"] == pytest.approx([0.0024726, 0.5], abs=5e-8)
    assert at["as-printed"] == pytest.approx([0.0024665, 0.25], abs=5e-8)
    assert at["non-saturating"] == pytest.approx([0.9975274, 0.5], abs=5e-8)


def test_slopes_of_losses_of_bare_outputs() -> None:
    ax = plot_objectives(["least-squares", "hinge", "minimax"], new(), limits=(-3, 3))
    found = lines(ax)
    outputs, squares = found["least-squares"]
    np.testing.assert_allclose(squares, np.abs(outputs - 1), rtol=1e-12, atol=1e-15)
    np.testing.assert_array_equal(found["hinge"][1], np.ones(len(outputs)))
    assert ax.get_ylim() == (0, 1.5)


def test_figures_are_new_by_default_and_can_be_drawn() -> None:
    before = plt.get_fignums()
    counts = [{"epoch": 1, "counts": [1]}, {"epoch": 2, "counts": [3]}]
    for ax in (
        plot_history(HISTORY, "elbo", smooth=3),
        plot_modes_over_time(counts),
        plot_objectives(),
    ):
        ax.figure.canvas.draw()
        plt.close(ax.figure)
    assert plt.get_fignums() == before


@pytest.mark.parametrize(
    ("kind", "told", "call"),
    [
        (ValueError, "names must have", lambda: plot_history(HISTORY, [])),
        (ValueError, "found 'loss'", lambda: plot_history(HISTORY, "loss")),
        (ValueError, "note must be one number", lambda: plot_history(HISTORY, "note")),
        (ValueError, "kl must be finite", lambda: plot_history(HISTORY[2:], "kl")),
        (ValueError, "smooth must be odd", lambda: plot_history(HISTORY, "kl", smooth=2)),
        (TypeError, "smooth", lambda: plot_history(HISTORY, "kl", smooth=1.5)),
        (ValueError, "callbacks=", lambda: plot_modes_over_time(HISTORY)),
        (
            ValueError,
            "one number for every mode",
            lambda: plot_modes_over_time(
                [{"epoch": 1, "counts": [1, 2]}, {"epoch": 2, "counts": [1]}]
            ),
        ),
        (
            ValueError,
            "not be negative",
            lambda: plot_modes_over_time([{"epoch": 1, "counts": [1, -2]}]),
        ),
        (ValueError, "loss must be one of.*found 'unknown'", lambda: plot_objectives(["unknown"])),
        (ValueError, "there must be a rule", lambda: plot_objectives([])),
        (ValueError, "limits that rise", lambda: plot_objectives(limits=(1, 0))),
    ],
)
def test_wrong_arguments_are_named(
    kind: type[Exception], told: str, call: Callable[[], object]
) -> None:
    before = plt.get_fignums()
    with pytest.raises(kind, match=told):
        call()
    assert plt.get_fignums() == before
