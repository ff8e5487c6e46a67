"""Pictures of samples: which number is drawn where, which points are near, and each error."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from generative.metrics import mode_coverage
from generative.sample_plot import plot_images, plot_points, plot_reconstructions
from inference.palette import AMBER

GAP = np.nan


def new() -> Axes:
    return Figure(layout="constrained").add_subplot()


def pixels(ax: Axes) -> np.ndarray:
    return np.ma.filled(ax.images[0].get_array(), np.nan)


def points(ax: Axes) -> dict[str, np.ndarray]:
    return {str(dots.get_gid()): np.asarray(dots.get_offsets()) for dots in ax.collections}


def words(names: list[str], ax: Axes) -> bool:
    return [label.get_text() for label in ax.get_yticklabels()] == names


def test_images_lie_in_rows() -> None:
    x = torch.arange(12.0).reshape(3, 4)
    ax = plot_images(x, (2, 2), new(), columns=2)
    expected = [
        [0, 1, GAP, 4, 5],
        [2, 3, GAP, 6, 7],
        [GAP] * 5,
        [8, 9, GAP, GAP, GAP],
        [10, 11, GAP, GAP, GAP],
    ]
    np.testing.assert_array_equal(pixels(ax), expected)
    assert ax.images[0].get_clim() == (0, 11)
    ax = plot_images(x.view(3, 1, 2, 2), (1, 2, 2), new(), columns=2, limits=(-1, 20))
    np.testing.assert_array_equal(pixels(ax), expected)
    assert ax.images[0].get_clim() == (-1, 20)


def test_three_channels_are_colours() -> None:
    x = torch.zeros(2, 3, 1, 2)
    x[0, 0, 0, 1] = 2.0  # red, at the right
    x[1, 2, 0, 0] = 1.0  # half of the way to blue, at the left
    canvas = pixels(plot_images(x, (3, 1, 2), new(), columns=2))
    assert canvas.shape == (1, 5, 3)
    np.testing.assert_array_equal(
        canvas[0], [[0, 0, 0], [1, 0, 0], [1, 1, 1], [0, 0, 0.5], [0, 0, 0]]
    )
    flat = pixels(plot_images(x.flatten(1), (3, 1, 2), new(), columns=2))
    np.testing.assert_array_equal(flat, canvas)


def test_colours_beyond_the_limits_are_cut() -> None:
    canvas = pixels(plot_images([[-3.0, 0.5, 9.0]], (3, 1, 1), new(), limits=(0, 1)))
    np.testing.assert_array_equal(canvas, [[[0, 0.5, 1]]])


def test_an_image_of_one_value_is_drawn() -> None:
    assert plot_images(torch.full((2, 4), 3.0), (2, 2), new()).images[0].get_clim() == (3, 4)


def test_labels_stand_above_their_images() -> None:
    ax = plot_images(torch.rand(5, 16), (4, 4), new(), columns=3, labels=torch.arange(5))
    assert [text.get_text() for text in ax.texts] == list("01234")
    canvas = pixels(ax)
    for text in ax.texts:
        across, down = text.xy
        column = round(across - 0.25)
        # White where the word is, and the image right below.
        assert np.isnan(canvas[int(down), column]) and np.isfinite(canvas[int(down) + 2, column])


def test_rows_have_names() -> None:
    ax = plot_images(torch.rand(6, 9), (3, 3), new(), columns=2, rows=["a", "b", "c"])
    assert words(["a", "b", "c"], ax)
    np.testing.assert_allclose(ax.get_yticks(), [1, 5, 9])


def test_reconstructions_lie_below_what_they_are_of() -> None:
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    ax = plot_reconstructions(x, x / 10, (1, 2), new(), columns=2)
    canvas = pixels(ax)
    rows = np.flatnonzero(np.isfinite(canvas[:, 0]))
    expected = [[1, 2, 3, 4], [0.1, 0.2, 0.3, 0.4], [5, 6, GAP, GAP], [0.5, 0.6, GAP, GAP]]
    np.testing.assert_allclose(canvas[rows][:, [0, 1, 3, 4]], expected)
    np.testing.assert_allclose(ax.get_yticks(), rows)
    assert words(["data", "reconstructed"] * 2, ax)
    assert rows[2] - rows[1] > rows[1] - rows[0]
    assert ax.images[0].get_clim() == (1, 6)


def test_several_kinds_of_reconstructions_have_their_names() -> None:
    x = torch.rand(4, 3, 2, 2)
    ax = plot_reconstructions(x, {"seen": x, "cleaned": x}, (3, 2, 2), new())
    assert words(["data", "seen", "cleaned"], ax)
    canvas = pixels(ax)
    np.testing.assert_array_equal(canvas[:2], canvas[3:5])
    np.testing.assert_array_equal(canvas[:2], canvas[6:8])


def test_points_are_told_by_their_distance_to_centres() -> None:
    centres = [[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]]
    samples = [[0.1, 0.0], [0.0, -0.2], [4.0, 0.3], [2.0, 2.0]]
    ax = plot_points(samples, [[9.0, 9.0]], centres, new(), radius=0.3)
    found = points(ax)
    np.testing.assert_allclose(found["samples"], samples[:3])
    np.testing.assert_allclose(found["astray"], samples[3:])
    np.testing.assert_allclose(found["centres"], centres[:2])
    np.testing.assert_allclose(found["missed"], centres[2:])
    np.testing.assert_allclose(found["data"], [[9, 9]])
    assert ax.get_title() == "2 of 3 modes, 75 % of the samples within 0.3"
    (astray,) = [dots for dots in ax.collections if dots.get_gid() == "astray"]
    np.testing.assert_allclose(astray.get_facecolor()[0, :3], to_rgb(AMBER))


def test_the_title_counts_as_the_metric_does() -> None:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(40, 2))
    samples = rng.normal(size=(30, 2))
    found = mode_coverage(samples, centres, 0.1, within=2)
    ax = plot_points(samples, None, centres, new(), radius=0.2)
    share = f"{100 * found.high_quality:.0f} %"
    assert ax.get_title() == f"{found.modes} of 40 modes, {share} of the samples within 0.2"
    assert 0 < found.modes < 40


def test_points_alone_are_all_samples() -> None:
    ax = plot_points(torch.rand(7, 2), ax=new())
    assert set(points(ax)) == {"samples"} and not ax.get_title()


def test_figures_are_new_by_default_and_can_be_drawn() -> None:
    x = torch.rand(5, 4)
    for ax in (
        plot_images(x, (2, 2), labels="abcde"),
        plot_reconstructions(x, x, (2, 2)),
        plot_points(torch.rand(5, 2), torch.rand(9, 2), [[0.5, 0.5]], radius=0.1),
    ):
        ax.figure.canvas.draw()
        assert ax.figure.axes == [ax]
        plt.close(ax.figure)


@pytest.mark.parametrize(
    ("kind", "told", "call"),
    [
        (
            ValueError,
            r"x must be \(n, 4\).*found \(2, 3\)",
            lambda: plot_images([[1] * 3] * 2, (2, 2)),
        ),
        (ValueError, "n at least 1", lambda: plot_images(torch.zeros(0, 4), (2, 2))),
        (ValueError, "1 or 3 channels", lambda: plot_images([[1, 2]], (2, 1, 1))),
        (ValueError, "shape must be", lambda: plot_images([[1, 2]], (2, 0))),
        (ValueError, "finite", lambda: plot_images([[1, np.inf]], (1, 2))),
        (ValueError, "NaN", lambda: plot_images([[1, np.nan]], (1, 2))),
        (TypeError, "x must hold", lambda: plot_images([["a", "b"]], (1, 2))),
        (ValueError, "limits must be two", lambda: plot_images([[1, 2]], (1, 2), limits=(1, 1))),
        (TypeError, "columns", lambda: plot_images([[1, 2]], (1, 2), columns=1.5)),
        (ValueError, "columns", lambda: plot_images([[1, 2]], (1, 2), columns=0)),
        (
            ValueError,
            "labels must be 1, one for every image",
            lambda: plot_images([[1]], (1, 1), labels=[]),
        ),
        (
            ValueError,
            "rows must be 1, one for every row",
            lambda: plot_images([[1]], (1, 1), rows="ab"),
        ),
        (
            ValueError,
            "reconstructed must have 2 images",
            lambda: plot_reconstructions([[1], [2]], [[1]], (1, 1)),
        ),
        (ValueError, r"samples must be \(n, 2\)", lambda: plot_points([[1, 2, 3]])),
        (ValueError, "data must be finite", lambda: plot_points([[1, 2]], [[1, np.inf]])),
        (
            ValueError,
            "radius must be positive",
            lambda: plot_points([[1, 2]], None, [[1, 2]], radius=0),
        ),
        (ValueError, "have centres", lambda: plot_points([[1, 2]], radius=0.1)),
    ],
)
def test_wrong_arguments_are_named(
    kind: type[Exception], told: str, call: Callable[[], object]
) -> None:
    before = plt.get_fignums()
    with pytest.raises(kind, match=told):
        call()
    assert plt.get_fignums() == before
