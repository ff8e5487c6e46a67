"""Pictures of latent spaces: which code is drawn where, what has collapsed, and each error."""

from __future__ import annotations

from collections.abc import Callable
from statistics import NormalDist

import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from torch import Tensor, nn

from generative.latent_plot import (
    plot_codes,
    plot_divergences,
    plot_interpolations,
    plot_manifold,
)
from generative.variational_autoencoder import VariationalAutoencoder
from inference.palette import AMBER, MUTED


def new() -> Axes:
    return Figure(layout="constrained").add_subplot()


def pixels(ax: Axes) -> np.ndarray:
    return np.ma.filled(ax.images[0].get_array(), np.nan)


def test_the_plane_is_drawn_at_quantiles() -> None:
    levels = [NormalDist().inv_cdf((i + 0.5) / 5) for i in range(5)]
    canvas = pixels(plot_manifold(lambda z: z, (1, 2), new(), steps=5))
    # The first number from left to right, the second from below upwards.
    np.testing.assert_allclose(canvas[0, ::3], levels, atol=1e-6)
    np.testing.assert_allclose(canvas[::2, 1], levels[::-1], atol=1e-6)


def test_ticks_of_the_plane_stand_at_their_numbers() -> None:
    steps = 41
    ax = plot_manifold(lambda z: z[:, :1], (1, 1), new(), steps=steps)
    spots = dict(zip([t.get_text() for t in ax.get_xticklabels()], ax.get_xticks(), strict=True))
    assert list(spots) == ["\u22122", "\u22121", "0", "1", "2"]
    for name, spot in spots.items():
        share = NormalDist().cdf(float(name.replace("\u2212", "-")))
        assert (spot / 2 + 0.5) / steps == pytest.approx(share, abs=1e-12)
    assert ax.get_yticks()[0] > ax.get_yticks()[-1]  # rows count from above


def test_a_decoder_is_used_as_it_is_and_left_so() -> None:
    network = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Dropout(0.9), nn.Linear(3, 4))
    network.double()
    network[1].eval()
    before = {name: x.clone() for name, x in network.state_dict().items()}
    state = torch.random.get_rng_state()
    ax = plot_manifold(network, (2, 2), new(), steps=3)
    assert [module.training for module in network] == [True, False, True, True]
    for name, x in network.state_dict().items():
        assert torch.equal(x, before[name])
    assert torch.equal(torch.random.get_rng_state(), state)
    again = plot_manifold(network, (2, 2), new(), steps=3)
    np.testing.assert_array_equal(pixels(ax), pixels(again))


def test_an_autoencoder_draws_its_means() -> None:
    model = VariationalAutoencoder(nn.Linear(4, 4), nn.Linear(2, 4), 2)
    ax = plot_manifold(model, (2, 2), new(), steps=3)
    by_hand = plot_manifold(lambda z: torch.sigmoid(model.decoder(z)), (2, 2), new(), steps=3)
    np.testing.assert_allclose(pixels(ax), pixels(by_hand), rtol=1e-6)
    other = VariationalAutoencoder(nn.Linear(4, 6), nn.Linear(3, 4), 3)
    with pytest.raises(ValueError, match="latent_dim 2, found 3"):
        plot_manifold(other, (2, 2))


def test_classes_are_written_amid_their_codes() -> None:
    codes = torch.tensor([[0.0, 0, 9], [2.0, 0, 9], [1.0, 3, 9], [7.0, 7, 5]])
    ax = plot_codes(codes, torch.tensor([4, 4, 4, 1]), new())
    places = {text.get_text(): text.get_position() for text in ax.texts}
    assert places == {"1": (7, 7), "4": (1, 0)}
    found = {dots.get_gid(): np.asarray(dots.get_offsets()) for dots in ax.collections}
    np.testing.assert_array_equal(found["codes:4"], codes[:3, :2])
    turned = plot_codes(codes, None, new(), dimensions=(2, 0))
    np.testing.assert_array_equal(turned.collections[0].get_offsets(), codes[:, [2, 0]])
    assert (turned.get_xlabel(), turned.get_ylabel()) == ("$z_{3}$", "$z_{1}$")


def test_many_classes_have_colours_of_their_own() -> None:
    ax = plot_codes(torch.rand(20, 2), np.arange(20), new())
    assert len({to_hex(dots.get_facecolor()[0]) for dots in ax.collections}) == 20


def test_a_strip_is_a_row() -> None:
    frames = torch.arange(12.0).reshape(2, 3, 2)
    ax = plot_interpolations(frames, (1, 2), new(), rows=["a", "b"])
    gap = np.nan
    expected = [[0, 1, gap, 2, 3, gap, 4, 5], [gap] * 8, [6, 7, gap, 8, 9, gap, 10, 11]]
    np.testing.assert_array_equal(pixels(ax), expected)
    assert [text.get_text() for text in ax.get_xticklabels()] == ["from", "½", "to"]
    np.testing.assert_allclose(ax.get_xticks(), [0.5, 3.5, 6.5])
    assert [text.get_text() for text in ax.get_yticklabels()] == ["a", "b"]
    np.testing.assert_allclose(ax.get_yticks(), [0, 2])
    shaped = plot_interpolations(frames.view(2, 3, 1, 1, 2), (1, 1, 2), new())
    np.testing.assert_array_equal(pixels(shaped), expected)


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_strips_without_a_middle_name_their_ends(steps: int) -> None:
    ax = plot_interpolations(torch.rand(1, steps, 4), (2, 2), new())
    names = [text.get_text() for text in ax.get_xticklabels()]
    assert names == ["from", "to"][: min(steps, 2)]


def test_divergences_are_sorted_and_collapsed_ones_amber() -> None:
    rows = torch.tensor([[0.0, 1.0, 3.0, 0.004], [0.0, 2.0, 5.0, 0.006]])
    ax = plot_divergences(rows, new())
    bars = {bar.get_gid(): bar.get_height() for bar in ax.patches}
    assert bars == pytest.approx({"active:3": 4.0, "active:2": 1.5})
    names = [(text.get_text(), text.get_color()) for text in ax.get_xticklabels()]
    assert names == [("3", MUTED), ("2", MUTED), ("4", AMBER), ("1", AMBER)]
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), [2, 3])
    assert ax.get_title() == "2 of 4 dimensions tell 5.50 nats"
    lower = plot_divergences(rows, new(), threshold=0.005)
    assert len(lower.patches) == 3


def test_dimensions_that_are_active_can_be_given() -> None:
    active = torch.tensor([True, False, True])
    ax = plot_divergences([0.001, 2.0, 1.0], new(), active=active)
    assert [bar.get_gid() for bar in ax.patches] == ["active:3", "active:1"]
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), [0])
    assert ax.get_title() == "2 of 3 dimensions tell 1.00 nats"


def test_divergences_can_all_be_active_or_none() -> None:
    assert not plot_divergences([1.0, 2.0], new()).lines
    ax = plot_divergences(np.zeros(100), new())
    assert not ax.patches and len(ax.lines[0].get_xdata()) == 100
    assert len(ax.get_xticks()) <= 40


def test_a_rounding_error_below_zero_is_no_error() -> None:
    ax = plot_divergences(torch.tensor([1.0, -1e-8]), new())
    assert len(ax.patches) == 1


def test_figures_are_new_by_default_and_can_be_drawn() -> None:
    for ax in (
        plot_manifold(lambda z: z, (1, 2)),
        plot_manifold(lambda z: z, (1, 2), steps=1),
        plot_codes(torch.rand(5, 2), list("abcab")),
        plot_interpolations(torch.rand(2, 3, 3, 4, 4), (3, 4, 4), rows="ab"),
        plot_divergences([1.0, 0.0]),
    ):
        ax.figure.canvas.draw()
        assert ax.figure.axes == [ax]
        plt.close(ax.figure)


def decode_one(z: Tensor) -> Tensor:
    return z[:1]


@pytest.mark.parametrize(
    ("kind", "told", "call"),
    [
        (ValueError, "what decode returned must be", lambda: plot_manifold(lambda z: z, (1, 3))),
        (ValueError, "decode must return 400 images", lambda: plot_manifold(decode_one, (1, 2))),
        (ValueError, "steps", lambda: plot_manifold(lambda z: z, (1, 2), steps=0)),
        (TypeError, "steps", lambda: plot_manifold(lambda z: z, (1, 2), steps=2.5)),
        (ValueError, "codes must be", lambda: plot_codes([1, 2])),
        (ValueError, "codes must be finite", lambda: plot_codes([[1, np.inf]])),
        (ValueError, "labels must be", lambda: plot_codes([[1, 2]], [1, 2])),
        (ValueError, "two below 2", lambda: plot_codes([[1, 2]], dimensions=(0, 2))),
        (ValueError, "two below 2", lambda: plot_codes([[1, 2]], dimensions=(0,))),
        (TypeError, "dimensions", lambda: plot_codes([[1, 2]], dimensions=(0, 0.5))),
        (ValueError, "frames must be", lambda: plot_interpolations([[1, 2]], (1, 2))),
        (ValueError, "frames must be", lambda: plot_interpolations([[[1, 2]]], (1, 3))),
        (ValueError, "rows must be", lambda: plot_interpolations([[[1, 2]]], (1, 2), rows="ab")),
        (ValueError, "divergences must be", lambda: plot_divergences([])),
        (ValueError, "divergences must not", lambda: plot_divergences([1.0, -0.1])),
        (ValueError, "divergences must be finite", lambda: plot_divergences([np.inf])),
        (ValueError, "threshold must be", lambda: plot_divergences([1.0], threshold=0)),
        (
            ValueError,
            r"active must be \(1,\)",
            lambda: plot_divergences([1.0], active=[True, True]),
        ),
        (TypeError, "divergences must hold", lambda: plot_divergences(["a"])),
    ],
)
def test_wrong_arguments_are_named(
    kind: type[Exception], told: str, call: Callable[[], object]
) -> None:
    before = plt.get_fignums()
    with pytest.raises(kind, match=told):
        call()
    assert plt.get_fignums() == before
