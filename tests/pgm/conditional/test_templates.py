"""Graph templates: edges by brute force, colours, plans that are made once, refusals."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pgm.conditional import templates
from pgm.conditional.templates import GraphTemplate, GridTemplate, template_of

OFFSETS = [((0, 1), (1, 0)), ((0, 1), (1, 0), (1, 1), (1, -1)), ((2, -1),), ((0, 3), (-2, 0))]


@given(st.integers(1, 5), st.integers(1, 5), st.sampled_from(OFFSETS))
def test_edges_are_those_found_by_brute_force(grid_edges, height, width, offsets):
    layout = GridTemplate(offsets=offsets).layout((height, width))
    found = torch.cat([layout.edges, layout.kinds[:, None]], 1).tolist()
    assert sorted(map(tuple, found)) == sorted(grid_edges(height, width, offsets))


@pytest.mark.parametrize(
    ("neighbours", "shape", "n_edges"),
    [(2, (5,), 4), (4, (3, 4), 17), (6, (2, 2, 2), 12), (8, (3, 4), 29), (4, (1, 1), 0)],
)
def test_named_neighbourhoods(neighbours, shape, n_edges):
    layout = GridTemplate(neighbours).layout(shape)
    assert len(layout.edges) == n_edges
    assert int(layout.degrees.max()) <= neighbours
    assert int(layout.degrees.sum()) == 2 * n_edges


@given(st.integers(1, 5), st.integers(1, 5), st.sampled_from(OFFSETS))
def test_neighbours_differ_in_colour(height, width, offsets):
    layout = GridTemplate(offsets=offsets).layout((height, width))
    color = torch.full((layout.n_nodes,), -1)
    for number, nodes in enumerate(layout.colors):
        color[nodes] = number
    assert (color >= 0).all()
    first, second = layout.edges.unbind(1)
    assert (color[first] != color[second]).all()


def test_a_shape_is_planned_once(monkeypatch):
    made = []
    make_plan = templates.make_plan

    def counted(*args, **kwargs):
        made.append(args)
        return make_plan(*args, **kwargs)

    monkeypatch.setattr(templates, "make_plan", counted)
    template = GridTemplate(4)
    plans = [template.layout((4, 4)).plan(2, 8) for _ in range(3)]
    assert len(made) == 1 and plans[0] is plans[2]
    template.layout((4, 5)).plan(2, 8)
    assert len(made) == 2


@pytest.mark.parametrize(
    "template", [GridTemplate(8), GridTemplate(offsets=[(0, 2)]), GraphTemplate(3, [(2, 0)], [1])]
)
def test_a_configuration_describes_the_template(template):
    copy = template_of(template.config())
    shape = (3,) if isinstance(template, GraphTemplate) else (3, 4)
    assert torch.equal(copy.layout(shape).edges, template.layout(shape).edges)
    assert torch.equal(copy.layout(shape).kinds, template.layout(shape).kinds)
    assert copy.n_kinds == template.n_kinds and repr(copy) == repr(template)


@pytest.mark.parametrize(
    ("error", "message", "make"),
    [
        (ValueError, "2, 4, 6 or 8, found 5", lambda: GridTemplate(5)),
        (ValueError, "one length", lambda: GridTemplate(offsets=[(0, 1), (1,)])),
        (ValueError, "one length", lambda: GridTemplate(offsets=[])),
        (ValueError, "not be zero", lambda: GridTemplate(offsets=[(0, 0)])),
        (ValueError, "or its opposite once", lambda: GridTemplate(offsets=[(0, 1), (0, -1)])),
        (TypeError, "whole number", lambda: GridTemplate(offsets=[(0.5, 1)])),
        (ValueError, "n_nodes must be at least 1", lambda: GraphTemplate(0, [])),
        (ValueError, r"nodes 0..1, found 0..2", lambda: GraphTemplate(2, [(0, 2)])),
        (ValueError, "a loop at 1", lambda: GraphTemplate(2, [(1, 1)])),
        (ValueError, "once, found one twice", lambda: GraphTemplate(2, [(0, 1), (1, 0)])),
        (ValueError, "must be pairs", lambda: GraphTemplate(2, [(0, 1, 0), (1, 0, 1)])),
        (TypeError, "whole numbers", lambda: GraphTemplate(2, [(0.0, 1.0)])),
        (ValueError, "one number from 0", lambda: GraphTemplate(2, [(0, 1)], [0, 1])),
        (ValueError, "one number from 0", lambda: GraphTemplate(2, [(0, 1)], [-1])),
        (ValueError, "grid with 2 axes", lambda: GridTemplate(4).layout((3,))),
        (ValueError, "grid with 2 axes", lambda: GridTemplate(4).layout((3, 0))),
        (ValueError, "must have 2 nodes", lambda: GraphTemplate(2, [(0, 1)]).layout((3,))),
    ],
)
def test_what_makes_no_graph_is_refused(error, message, make):
    with pytest.raises(error, match=message):
        make()
