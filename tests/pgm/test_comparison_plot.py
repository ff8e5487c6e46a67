"""A learned graph drawn against the true one: every edge has the right kind."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure

from pgm import BayesianNetwork
from pgm.comparison_plot import plot_comparison

STATES = dict.fromkeys("abcd", 2)
TRUE = BayesianNetwork([("a", "b"), ("b", "c"), ("a", "c")], STATES)
LEARNED = BayesianNetwork([("a", "b"), ("c", "b"), ("d", "c")], STATES)


def ids(ax) -> set[str]:
    return {patch.get_gid() for patch in ax.patches if "->" in patch.get_gid()}


def test_edges_are_sorted_into_kinds() -> None:
    left, right = plot_comparison(TRUE, LEARNED, Figure().subplots(1, 2))
    assert ids(left) == {"true:a->b", "true:b->c", "true:a->c"}
    assert ids(right) == {"right:a->b", "reversed:c->b", "extra:d->c", "missing:a->c"}
    assert right.get_title() == "Learned: 1 right, 1 reversed, 1 extra, 1 missing"


def test_nodes_stand_in_the_same_places() -> None:
    axes = plot_comparison(TRUE, LEARNED, Figure(figsize=(10, 4)).subplots(1, 2))
    left, right = (
        np.array(
            [
                p.get_extents().bounds
                for name in "abcd"
                for p in ax.patches
                if p.get_gid() == f"node:{name}"
            ]
        )
        for ax in axes
    )
    shift = right - left
    assert shift.shape == (4, 4)
    assert shift[0, 0] > 100
    np.testing.assert_allclose(shift, np.tile([shift[0, 0], 0.0, 0.0, 0.0], (4, 1)), atol=1e-6)


def test_a_reversed_arrow_points_at_its_child() -> None:
    _, right = plot_comparison(TRUE, LEARNED, Figure(figsize=(10, 4)).subplots(1, 2))
    boxes = {p.get_gid(): p.get_extents() for p in right.patches}
    arrow = boxes["reversed:c->b"]
    assert arrow.y1 == pytest.approx(boxes["node:b"].y0, abs=3)
    assert arrow.y0 == pytest.approx(boxes["node:c"].y1, abs=3)
    # The head makes the end of an arrow wider than its line: here the upper end.
    (patch,) = [p for p in right.patches if p.get_gid() == "reversed:c->b"]
    tips = patch.get_path().vertices
    assert tips[:, 1].max() > tips[:, 1].min()
    wide = [xy for xy in tips if xy[1] > tips[:, 1].mean()]
    assert len(wide) > len(tips) / 2


def test_other_variables_are_refused() -> None:
    other = BayesianNetwork([], {"a": 2, "z": 2})
    with pytest.raises(ValueError, match="same variables"):
        plot_comparison(TRUE, other)


def test_a_new_figure_has_two_panels_of_one_scale() -> None:
    left, right = plot_comparison(TRUE, LEARNED)
    assert left.figure is right.figure
    assert left.get_xlim() == pytest.approx(right.get_xlim())
    assert left.get_ylim() == pytest.approx(right.get_ylim())
    plt.close(left.figure.number)
