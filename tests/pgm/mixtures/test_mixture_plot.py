"""Pictures of mixtures show what the mixture says: shapes, colours, levels, shares."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pgm.bayesian_gaussian_mixture import BayesianGaussianMixture
from pgm.gaussian_mixture import CovarianceType, GaussianMixture
from pgm.mixture import Mixture
from pgm.mixture_plot import (
    component_colors,
    plot_density,
    plot_em_steps,
    plot_mixture,
    plot_responsibilities,
    plot_selection,
)
from pgm.mixtures.components import COVARIANCE_TYPES
from pgm.mixtures.drawing import stacked
from pgm.mixtures.families.bernoulli import Bernoulli


@pytest.fixture(autouse=True)
def close_figures() -> Iterator[None]:
    yield
    plt.close("all")


def axes() -> Axes:
    return Figure(figsize=(5, 4)).add_subplot()


def mixture(kind: CovarianceType = "full", d: int = 3, k: int = 3, seed: int = 0) -> Any:
    """Some mixture."""
    source = torch.Generator().manual_seed(seed)
    noise = torch.randn(k, d, d + 2, generator=source, dtype=torch.float64)
    full = noise @ noise.mT / d
    covariances = {
        "full": full,
        "tied": full[0],
        "diag": full.diagonal(dim1=1, dim2=2),
        "spherical": full[:, 0, 0],
    }[kind]
    means = 4 * torch.randn(k, d, generator=source, dtype=torch.float64)
    weights = torch.arange(1, k + 1, dtype=torch.float64)
    return GaussianMixture.from_parameters(weights / weights.sum(), means, covariances, kind)


def matrices(model: GaussianMixture) -> np.ndarray:
    """Covariances as (K, d, d), written anew here."""
    k, d = model.means.shape
    found = model.covariances_.numpy()
    if model.covariance_type == "full":
        return found
    if model.covariance_type == "tied":
        return np.stack([found] * k)
    if model.covariance_type == "diag":
        return np.stack([np.diag(v) for v in found])
    return np.stack([v * np.eye(d) for v in found])


def by_id(ax: Axes, name: str) -> list[Any]:
    return [artist for artist in ax.get_children() if artist.get_gid() == name]


def area(heights: Any, grid: Any) -> float:
    """Under a curve of straight pieces."""
    return float((np.diff(grid) * (heights[1:] + heights[:-1]) / 2).sum())


def outline(patch: Any) -> np.ndarray:
    """Points of an ellipse, in data coordinates."""
    path = patch.get_path().transformed(patch.get_patch_transform())
    pieces = [curve(np.linspace(0, 1, 9)) for curve, _ in path.iter_bezier()]
    return np.concatenate([np.atleast_2d(piece) for piece in pieces])


# Components --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", COVARIANCE_TYPES)
@pytest.mark.parametrize("columns", [(0, 1), (2, 0)])
def test_ellipses_are_where_the_mahalanobis_distance_is_asked_for(
    kind: CovarianceType, columns: tuple[int, int]
) -> None:
    model = mixture(kind)
    ax = plot_mixture(model, ax=axes(), columns=columns, n_std=1.5)
    for k, covariance in enumerate(matrices(model)):
        (patch,) = by_id(ax, f"component:{k}")
        part = covariance[np.ix_(columns, columns)]
        away = outline(patch) - model.means_[k, list(columns)].numpy()
        distances = np.sqrt((away @ np.linalg.inv(part) * away).sum(1))
        np.testing.assert_allclose(distances, 1.5, rtol=1e-4)  # a circle of cubic curves
        (centre,) = by_id(ax, f"centre:{k}")
        assert np.ravel(centre.get_data()).tolist() == model.means_[k, list(columns)].tolist()


def test_a_turned_ellipse_would_be_noticed() -> None:
    model = mixture()
    ax = plot_mixture(model, ax=axes())
    (patch,) = by_id(ax, "component:0")
    patch.angle = -patch.angle
    away = outline(patch) - model.means_[0, :2].numpy()
    part = matrices(model)[0][:2, :2]
    distances = np.sqrt((away @ np.linalg.inv(part) * away).sum(1))
    assert np.abs(distances - 2).max() > 0.1


def test_rows_have_the_mixed_colours_of_all_their_columns() -> None:
    model = mixture()
    x = model.sample(50, generator=1)
    ax = plot_mixture(model, x, axes(), columns=(2, 1))
    (rows,) = by_id(ax, "rows")
    np.testing.assert_array_equal(rows.get_offsets(), x[:, [2, 1]])
    wanted = model.predict_proba(x).numpy() @ component_colors(3)
    np.testing.assert_allclose(rows.get_facecolors()[:, :3], wanted, atol=1e-12)
    others = model.marginal([2, 1]).predict_proba(x[:, [2, 1]]).numpy() @ component_colors(3)
    assert np.abs(others - wanted).max() > 0.05


def test_weights_are_read_off_the_lines() -> None:
    ax = plot_mixture(mixture(), ax=axes())
    widths = [by_id(ax, f"component:{k}")[0].get_linewidth() for k in range(3)]
    assert widths == sorted(widths)
    assert widths[0] < widths[2] - 1


def test_collapsed_components_are_dashed() -> None:
    model = mixture()
    model.collapsed = [1]
    styles = [
        by_id(plot_mixture(model, ax=axes()), f"component:{k}")[0].get_linestyle()
        for k in range(3)
    ]
    assert styles[0] == styles[2] == "-"
    assert styles[1] != "-"
    lines = [
        by_id(plot_mixture(model, ax=axes(), columns=[0]), f"component:{k}")[0].get_linestyle()
        for k in range(3)
    ]
    assert lines == ["-", "--", "-"]


def test_rows_that_lack_an_entry_are_ticks_at_the_border() -> None:
    model = mixture()
    nan = math.nan
    x = [[1.0, 2.0, nan], [3.0, nan, 0.0], [nan, 4.0, 0.0], [nan, nan, 1.0]]
    ax = plot_mixture(model, x, axes())
    assert by_id(ax, "rows")[0].get_offsets().tolist() == [[1.0, 2.0]]
    assert by_id(ax, "half:0")[0].get_offsets()[:, 0].tolist() == [3.0]
    assert by_id(ax, "half:1")[0].get_offsets()[:, 1].tolist() == [4.0]


def test_rows_without_holes_leave_no_ticks() -> None:
    ax = plot_mixture(mixture(), [[1.0, 2.0, 3.0]], axes())
    assert not by_id(ax, "half:0") + by_id(ax, "half:1")


@pytest.mark.parametrize("kind", COVARIANCE_TYPES)
def test_one_column_is_a_density_and_its_parts(kind: CovarianceType) -> None:
    model = mixture(kind)
    x = model.sample(40, generator=1)
    x[3, 1] = math.nan
    ax = plot_mixture(model, x, axes(), columns=[1])
    (line,) = by_id(ax, "density")
    grid, heights = line.get_data()
    law = model.marginal([1])
    np.testing.assert_allclose(heights, law.score_samples(grid[:, None]).exp(), rtol=1e-10)
    np.testing.assert_allclose(area(heights, grid), 1, atol=2e-3)
    parts = [area(by_id(ax, f"component:{k}")[0].get_ydata(), grid) for k in range(3)]
    np.testing.assert_allclose(parts, model.weights_, atol=2e-3)
    places = by_id(ax, "rug")[0].get_offsets()[:, 0]
    np.testing.assert_array_equal(np.ma.filled(places, math.nan), x[:, 1])
    bars: list[Any] = list(ax.patches)
    assert sum([bar.get_height() * bar.get_width() for bar in bars]) == pytest.approx(1)


def test_a_narrow_component_is_not_lost_between_points() -> None:
    model = GaussianMixture.from_parameters(
        [0.5, 0.5], [[0.0], [3.14159]], [1.0, 1e-10], "spherical"
    )
    (line,) = by_id(plot_mixture(model, ax=axes()), "density")
    grid, heights = line.get_data()
    assert area(heights, grid) == pytest.approx(1, abs=2e-3)


def test_a_collapsed_component_does_not_set_the_scale() -> None:
    model = GaussianMixture.from_parameters([0.9, 0.1], [[0.0], [1.0]], [1.0, 1e-10], "spherical")
    tall = plot_mixture(model, ax=axes()).get_ylim()[1]
    model.collapsed = [1]
    assert plot_mixture(model, ax=axes()).get_ylim()[1] < 0.5 < tall


def test_a_mixture_with_laws_for_its_parameters_is_drawn_at_their_expectation() -> None:
    x = mixture(d=2).sample(200, generator=0)
    model = BayesianGaussianMixture(3, random_state=0, max_iter=2000).fit(x)
    ax = plot_density(model, plot_mixture(model, x, axes()))
    for k in range(3):
        (centre,) = by_id(ax, f"centre:{k}")
        assert np.ravel(centre.get_data()).tolist() == model.means_[k].tolist()


def test_axes_have_the_names_of_a_table() -> None:
    table = pd.DataFrame([[1.0, 2.0, 3.0], [2.0, 1.0, 0.0]], columns=["a", "b", "c"])
    ax = plot_mixture(mixture(), table, axes(), columns=(2, 0))
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("c", "a")


def test_colours_differ() -> None:
    for k in (1, 2, 8, 9, 30):
        colors = component_colors(k)
        assert colors.shape == (k, 3)
        assert colors.min() >= 0
        assert colors.max() <= 1
        assert len(np.unique(colors.round(3), axis=0)) == k


# Density -----------------------------------------------------------------------------------


def levels_of(ax: Axes) -> np.ndarray:
    """Log-densities at the borders of the regions."""
    (found,) = by_id(ax, "regions")
    return np.asarray(found.levels)


def test_regions_of_a_normal_law_are_those_of_the_chi_squared_law() -> None:
    # p(x) >= t holds m of the probability where |x|^2 <= -2 log(1 - m). The draws are fixed; a
    # share that they put off by 0.01 would be three standard deviations of 20 000 of them.
    model = GaussianMixture.from_parameters([1.0], [[0.0, 0.0]], [1.0], "spherical")
    masses = [0.25, 0.5, 0.9]
    levels = levels_of(plot_density(model, axes(), masses=masses))[:3]
    found = 1 - np.exp(np.log(2 * math.pi) + levels)
    np.testing.assert_allclose(found, masses[::-1], atol=0.01)


@pytest.mark.parametrize("columns", [[0, 2], [1]])
def test_regions_hold_the_shares_asked_for(columns: list[int]) -> None:
    # The other draws are fixed too: 0.02 is beyond five standard deviations of both together.
    model, masses = mixture(), (0.3, 0.8, 0.95)
    draws = model.marginal(columns).sample(100_000, generator=7)
    ax = plot_density(model, axes(), columns=columns, masses=masses)
    if len(columns) == 2:
        logs = model.marginal(columns).score_samples(draws).numpy()
        held = [(logs >= level).mean() for level in levels_of(ax)[:3]]
    else:
        held = [share_inside(shade, draws[:, 0].numpy()) for shade in by_id(ax, "regions")]
    np.testing.assert_allclose(held, masses[::-1], atol=0.02)


def share_inside(shade: Any, x: np.ndarray) -> float:
    """How many of the numbers are in the intervals over which something is shaded."""
    inside = np.zeros(len(x), dtype=bool)
    for polygon in [part for path in shade.get_paths() for part in path.to_polygons()]:
        inside |= (x >= polygon[:, 0].min()) & (x <= polygon[:, 0].max())
    return inside.mean()


def test_limits_are_those_of_what_is_drawn_unless_given() -> None:
    model = mixture(d=2)
    ax = plot_mixture(model, model.sample(30, generator=0), axes())
    before = *ax.get_xlim(), *ax.get_ylim()
    plot_density(model, ax)
    assert (*ax.get_xlim(), *ax.get_ylim()) == pytest.approx(before)
    ax = plot_density(model, axes(), [(-1, 2), (-3, 4)])
    assert ax.get_xlim() == (-1, 2)
    assert ax.get_ylim() == (-3, 4)
    own = plot_density(model, axes())
    draws = model.sample(1000, generator=3).numpy()
    for column, (low, high) in enumerate([own.get_xlim(), own.get_ylim()]):
        assert ((draws[:, column] > low) & (draws[:, column] < high)).mean() > 0.98


def test_a_density_is_drawn_where_nothing_is_high() -> None:
    model = mixture(d=2)
    ax = plot_density(model, axes(), [(1e3, 1e3 + 1), (1e3, 1e3 + 1)])
    assert (np.diff(levels_of(ax)) > 0).all()


# Responsibilities --------------------------------------------------------------------------


def test_spots_are_filled_in_proportion() -> None:
    source = np.random.default_rng(0)
    shares = source.dirichlet([0.4] * 4, 37)
    picture = stacked(shares)
    found = np.stack([(picture == k).mean(0) for k in range(4)], 1)
    np.testing.assert_allclose(found, shares, atol=1 / len(picture))
    assert picture[0].tolist() == shares.argmax(1).tolist()


def test_rows_stand_with_their_component_the_surest_first() -> None:
    model = mixture()
    x = model.sample(61, generator=2)
    ax = plot_responsibilities(model, x, axes())
    (image,) = by_id(ax, "responsibilities")
    shares = model.predict_proba(x).numpy()
    owner = shares.argmax(1)
    bottom = np.asarray(image.get_array())[0]
    np.testing.assert_allclose(bottom, component_colors(3)[np.sort(owner)])
    heights = (np.asarray(image.get_array()) == bottom).all(2).mean(0)
    for k in range(3):
        assert (np.diff(heights[np.sort(owner) == k]) <= 0).all()
    texts = [label.get_text() for label in ax.get_xticklabels()]
    assert texts == [f"{k}\n{(owner == k).sum()}" for k in range(3)]
    entropy = -(shares * np.log(shares)).sum(1).mean()
    sure = (shares.max(1) > 0.95).sum()
    assert ax.get_title() == f"{sure} of 61 rows above 0.95, mean entropy {entropy:.2f} nats"


def test_other_laws_and_many_rows_have_responsibilities_too() -> None:
    x = (torch.rand(5000, 4, generator=torch.Generator().manual_seed(0)) < 0.5).int()
    model = Mixture(2, Bernoulli(4)).fit(x, generator=0)
    ax = plot_responsibilities(model, x, axes())
    assert np.asarray(by_id(ax, "responsibilities")[0].get_array()).shape[1] == 2000
    assert ax.get_xlim() == (0, 5000)


# Choices -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def selection() -> Any:
    x = mixture(d=2).sample(120, generator=0)
    return GaussianMixture.select(x, [3, 1, 2], ["full", "diag"], n_init=2, random_state=0)


@pytest.mark.parametrize("criterion", ["bic", "aic"])
def test_lines_are_the_criterion(selection: Any, criterion: Any) -> None:
    ax = plot_selection(replace(selection, criterion=criterion), axes())
    for kind in ("full", "diag"):
        (line,) = by_id(ax, f"type:{kind}")
        wanted = {
            c.n_components: getattr(c, criterion)
            for c in selection.candidates
            if c.covariance_type == kind
        }
        assert line.get_xdata().tolist() == [1, 2, 3]
        assert line.get_ydata().tolist() == [wanted[k] for k in (1, 2, 3)]
    (ring,) = by_id(ax, "best")
    (best,) = [c for c in selection.candidates if c.model is selection.best]
    assert ring.get_xdata()[0] == best.n_components
    assert ring.get_ydata()[0] == getattr(best, criterion)
    assert criterion.upper() in ax.get_title()


def test_collapsed_mixtures_are_crosses_at_the_border(selection: Any) -> None:
    spoiled = [
        replace(c, collapsed=(0,), bic=-1e9) if c.model is not selection.best else c
        for c in selection.candidates
    ]
    ax = plot_selection(replace(selection, candidates=spoiled), axes())
    crosses = [line for line in ax.lines if str(line.get_gid()).startswith("collapsed")]
    heights = np.concatenate([line.get_ydata() for line in crosses])
    assert heights.tolist() == [ax.get_ylim()[0]] * 5
    assert by_id(ax, "best")[0].get_ydata()[0] > ax.get_ylim()[0]
    legend = ax.get_legend()
    assert legend is not None
    assert "collapsed" in [text.get_text() for text in legend.get_texts()]


# Steps -------------------------------------------------------------------------------------


def test_steps_share_their_limits_and_say_what_they_reach() -> None:
    x = mixture(d=2).sample(60, generator=0)
    models = [mixture(d=2, seed=seed) for seed in range(4)]
    panels = plot_em_steps(models, x, [0, 1, 2, 9])
    assert len({(ax.get_xlim(), ax.get_ylim()) for ax in panels}) == 1
    names = ["start", "1 step", "2 steps", "9 steps"]
    for ax, model, name in zip(panels, models, names, strict=True):
        score = model.score_samples(x).mean()
        assert ax.get_title() == f"{name}: {score:.2f} nats per row"
        (low, high), (under, over) = ax.get_xlim(), ax.get_ylim()
        points = np.concatenate([outline(patch) for patch in ax.patches])
        assert (points >= [low, under]).all()
        assert (points <= [high, over]).all()
    assert len(panels[0].figure.axes) == 4


# Errors ------------------------------------------------------------------------------------


def test_what_cannot_be_drawn_is_refused() -> None:
    model = mixture()
    with pytest.raises(ValueError, match="columns must be one or two, found"):
        plot_mixture(model, columns=(0, 1, 2))
    with pytest.raises(ValueError, match=r"columns must be in 0\.\.2"):
        plot_mixture(model, columns=(0, 3))
    with pytest.raises(ValueError, match="n_std must be positive"):
        plot_mixture(model, n_std=0.0)
    with pytest.raises(ValueError, match="3 features, found 2"):
        plot_mixture(model, [[1.0, 2.0]])
    with pytest.raises(ValueError, match="no parameters yet"):
        plot_mixture(GaussianMixture(2))
    for masses in ((), (0.5, 0.4), (0.0, 0.5), (0.5, 1.0), (math.nan,)):
        with pytest.raises(ValueError, match="masses must ascend"):
            plot_density(model, masses=masses)
    for limits in ([(0, 1)], [(0, 1), (1, 1)], [(0, 1), (0, math.inf)]):
        with pytest.raises(ValueError, match="limits must be 2 pairs"):
            plot_density(model, axes(), limits)
    with pytest.raises(ValueError, match="at least one row"):
        plot_responsibilities(model, np.zeros((0, 3)))
    with pytest.raises(ValueError, match="equally many, found 1 and 6"):
        plot_em_steps([model], [[0.0, 0.0, 0.0]])
    with pytest.raises(ValueError, match="axes must be 1"):
        plot_em_steps([model], [[0.0, 0.0, 0.0]], [0], Figure().subplots(1, 2))
    assert not plt.get_fignums()


def test_a_new_figure_is_made_where_none_is_given(selection: Any) -> None:
    model, x = mixture(), mixture().sample(20, generator=0)
    made = [
        plot_mixture(model, x),
        plot_density(model),
        plot_responsibilities(model, x),
        plot_selection(selection),
        plot_em_steps([model], x, [0])[0],
    ]
    assert len(plt.get_fignums()) == len(made) == len({id(ax.figure) for ax in made})
    for ax in made:
        ax.figure.canvas.draw()
