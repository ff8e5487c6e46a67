"""Pictures of critics: heights, slopes and where they are drawn, and each error."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, nn

from generative.critic_plot import plot_critic, plot_critics_on_a_line
from generative.generative_adversarial_network import GenerativeAdversarialNetwork

PLANE = ((-1.0, 2.0), (0.0, 4.0))


def new() -> Axes:
    return Figure(layout="constrained").add_subplot()


def part(ax: Axes, gid: str) -> object:
    (found,) = [
        some for some in (*ax.collections, *ax.patches, *ax.lines) if some.get_gid() == gid
    ]
    return found


def bowl(x: Tensor) -> Tensor:
    return -(x[:, 0] ** 2) - 3 * x[:, 1]


def test_arrows_are_the_gradient() -> None:
    ax = plot_critic(bowl, PLANE, new(), arrows=6)
    arrows = part(ax, "arrows")
    x, y = arrows.XY.T
    assert len(x) == 36
    np.testing.assert_allclose(arrows.U, -2 * x, atol=1e-6)
    np.testing.assert_allclose(arrows.V, np.full(36, -3.0), atol=1e-6)
    assert x.min() == pytest.approx(-0.75) and x.max() == pytest.approx(1.75)
    assert y.min() == pytest.approx(1 / 3) and y.max() == pytest.approx(11 / 3)


def test_the_level_is_where_ratings_have_it() -> None:
    ax = plot_critic(lambda x: x[:, 0] + 2 * x[:, 1], PLANE, new(), level=3.0)
    line = part(ax, "level")
    places = np.concatenate([path.vertices for path in line.get_paths()])
    np.testing.assert_allclose(places @ [1, 2], 3, atol=1e-5)
    beyond = plot_critic(bowl, PLANE, new(), level=99.0)
    assert all(some.get_gid() != "level" for some in beyond.collections)


def test_colours_cover_all_heights_and_rise_with_them() -> None:
    surface = plot_critic(lambda x: x.sum(1), PLANE, new()).collections[0]
    assert surface.levels[0] <= -1 and surface.levels[-1] >= 6
    low, high = surface.cmap(0.0), surface.cmap(1.0)
    assert sum(low[:3]) > sum(high[:3])


def test_points_are_drawn_over_the_surface() -> None:
    data, samples = torch.rand(5, 2), torch.rand(7, 2)
    ax = plot_critic(bowl, PLANE, new(), data=data, samples=samples)
    np.testing.assert_allclose(part(ax, "data").get_offsets(), data)
    np.testing.assert_allclose(part(ax, "samples").get_offsets(), samples)
    alone = plot_critic(bowl, PLANE, new(), samples=samples)
    both = [part(some, "samples").get_facecolor() for some in (ax, alone)]
    np.testing.assert_array_equal(*both)


def test_a_flat_critic_is_drawn() -> None:
    ax = plot_critic(lambda x: torch.zeros(len(x)), PLANE, new(), arrows=3)
    assert not np.asarray(part(ax, "arrows").U).any()
    ax.figure.canvas.draw()


def test_a_network_is_used_as_it_is_and_left_so() -> None:
    network = nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 1))
    network.double()
    before = {name: x.clone() for name, x in network.state_dict().items()}
    state = torch.random.get_rng_state()
    with torch.no_grad():  # as callers may well have it
        ax = plot_critic(network, PLANE, new(), arrows=4)
    assert np.asarray(part(ax, "arrows").U).any()
    assert all(module.training for module in network.modules())
    assert all(parameter.grad is None for parameter in network.parameters())
    assert all(torch.equal(x, before[name]) for name, x in network.state_dict().items())
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_method_is_used_like_its_network() -> None:
    model = GenerativeAdversarialNetwork(nn.Linear(2, 2), nn.Linear(2, 1), latent_dim=2).double()
    ax = plot_critic(model.logits, PLANE, new(), arrows=3)
    arrows, (slope,) = part(ax, "arrows"), model.discriminator.weight.detach()
    np.testing.assert_allclose(arrows.U, np.full(9, slope[0]), rtol=1e-12)
    np.testing.assert_allclose(arrows.V, np.full(9, slope[1]), rtol=1e-12)


def test_slopes_on_a_line_are_those_at_the_samples() -> None:
    samples = torch.tensor([1.0, 2.0, 6.0], dtype=torch.float64)
    critics = {
        "critic": lambda x: -x,
        "discriminator": lambda x: torch.sigmoid(-20 * x[:, 0]),
        "square": lambda x: x[:, 0] ** 2,
    }
    ax = plot_critics_on_a_line(critics, (-4, 8), new(), data=[-1.0, -2.0], samples=samples)
    told = dict(text.get_text().split("\n") for text in ax.texts)
    assert told["critic"] == "slope 1 at samples"
    assert told["square"] == "slope 6 at samples"
    steep = 20 * np.exp(-20 * samples.numpy()) / (1 + np.exp(-20 * samples.numpy())) ** 2
    found = float(told["discriminator"].split()[1])
    assert found == pytest.approx(steep.mean(), rel=0.05)
    assert found < 1e-7
    places, heights = part(ax, "square").get_data()
    np.testing.assert_allclose(heights, np.square(places), rtol=1e-5, atol=1e-5)


def test_histograms_count_points_and_critics_have_other_colours() -> None:
    ax = plot_critics_on_a_line(
        {str(k): bowl_on_a_line for k in range(4)},
        (0, 6),
        new(),
        data=[0.05, 0.05, 3.05],
        samples=[[5.95]],
    )
    heights = part(ax, "data").get_data().values
    assert heights[0] == heights.max() == 2 * heights[30] and np.count_nonzero(heights) == 2
    assert np.flatnonzero(part(ax, "samples").get_data().values).tolist() == [59]
    colors = {line.get_color() for line in ax.lines}
    assert len(colors) == 4
    assert part(ax, "samples").get_facecolor()[:3] not in colors


def bowl_on_a_line(x: Tensor) -> Tensor:
    return -x.square()


def test_without_samples_there_are_names_alone() -> None:
    ax = plot_critics_on_a_line({"critic": bowl_on_a_line}, (-1, 1), new())
    assert [text.get_text() for text in ax.texts] == ["critic"]
    outside = plot_critics_on_a_line({"critic": bowl_on_a_line}, (-1, 1), new(), data=[9.0])
    assert not part(outside, "data").get_data().values.any()


def test_figures_are_new_by_default_and_can_be_drawn() -> None:
    before = plt.get_fignums()
    points = torch.rand(9, 2)
    for ax in (
        plot_critic(bowl, PLANE, data=points, samples=points, level=0, arrows=5),
        plot_critics_on_a_line({"critic": bowl_on_a_line}, (-1, 1), data=[0.0], samples=[1.0]),
    ):
        ax.figure.canvas.draw()
        plt.close(ax.figure)
    assert plt.get_fignums() == before


def infinite(x: Tensor) -> Tensor:
    return x.sum(1) / 0


@pytest.mark.parametrize(
    ("kind", "told", "call"),
    [
        (ValueError, "limits must be finite", lambda: plot_critic(bowl, ((1, 1), (0, 1)))),
        (ValueError, "limits must be finite", lambda: plot_critic(bowl, ((0, 1), (0, np.inf)))),
        (ValueError, "steps", lambda: plot_critic(bowl, PLANE, steps=1)),
        (TypeError, "arrows", lambda: plot_critic(bowl, PLANE, arrows=0.5)),
        (ValueError, "critic must return", lambda: plot_critic(lambda x: x, PLANE)),
        (ValueError, "finite ratings", lambda: plot_critic(infinite, PLANE)),
        (ValueError, r"data must be \(n, 2\)", lambda: plot_critic(bowl, PLANE, data=[1, 2])),
        (
            ValueError,
            "samples must be finite",
            lambda: plot_critic(bowl, PLANE, samples=[[1, np.inf]]),
        ),
        (TypeError, "data must hold", lambda: plot_critic(bowl, PLANE, data=[["a", "b"]])),
        (ValueError, "critics must have", lambda: plot_critics_on_a_line({}, (0, 1))),
        (
            ValueError,
            r"samples must be \(n, 1\)",
            lambda: plot_critics_on_a_line({"a": bowl_on_a_line}, (0, 1), samples=[[1, 2]]),
        ),
        (
            ValueError,
            "limits must be finite",
            lambda: plot_critics_on_a_line({"a": bowl_on_a_line}, (1, 0)),
        ),
    ],
)
def test_wrong_arguments_are_named(
    kind: type[Exception], told: str, call: Callable[[], object]
) -> None:
    before = plt.get_fignums()
    with pytest.raises(kind, match=told):
        call()
    assert plt.get_fignums() == before
