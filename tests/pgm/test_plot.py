"""Pictures of networks: what they say, and that nothing in them overlaps or is cut off."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path
from matplotlib.text import Text

from inference.random import as_generator, numpy_generator
from pgm.bayesian_network import BayesianNetwork
from pgm.classic import asia, sprinkler
from pgm.graph_drawing.layered_layout import layered_layout
from pgm.graph_drawing.panels import BAR_LENGTH, percent
from pgm.plot import AMBER, BLUE, plot_network, plot_posteriors

Rectangle = tuple[float, float, float, float]


@pytest.fixture(autouse=True)
def close_figures() -> Iterator[None]:
    yield
    plt.close("all")


def sachs() -> BayesianNetwork:
    """The protein network of Sachs et al. 2005: two parts, one of them dense."""
    text = """PKC>PKA PKC>Raf PKC>Mek PKC>Jnk PKC>P38 PKA>Raf PKA>Mek PKA>Erk PKA>Akt PKA>Jnk
        PKA>P38 Raf>Mek Mek>Erk Erk>Akt Plcg>PIP2 Plcg>PIP3 PIP3>PIP2"""
    edges = [(parent, child) for parent, _, child in (e.partition(">") for e in text.split())]
    names = dict.fromkeys(itertools.chain.from_iterable(edges))
    return BayesianNetwork(edges, dict.fromkeys(names, ("LOW", "AVG", "HIGH")))


def random_network(seed: int, n: int = 37) -> BayesianNetwork:
    """About as large and as dense as alarm, with names and state counts of many lengths."""
    chance = numpy_generator(as_generator(seed))
    names = [f"V{'ARIABLE'[: chance.integers(0, 8)]}_{i}" for i in range(n)]
    edges = []
    for i in range(1, n):
        for j in chance.permutation(i)[: chance.integers(0, 4)]:
            if i - j < 12 or chance.random() < 0.2:
                edges.append((names[j], names[i]))
    return BayesianNetwork(edges, {name: int(chance.integers(2, 9)) for name in names})


CASES = {"asia": asia, "sachs": sachs, "sprinkler": sprinkler}
CASES |= {f"random {seed}": lambda seed=seed: random_network(seed) for seed in range(4)}


def figure_of(ax: Axes) -> Any:
    return ax.figure.canvas.figure


def patches(ax: Axes, kind: str) -> dict[str, Any]:
    """Artists by the rest of their id."""
    found = [(str(patch.get_gid()), patch) for patch in ax.patches]
    return {gid.partition(":")[2]: patch for gid, patch in found if gid.startswith(f"{kind}:")}


def boxes(ax: Axes) -> dict[str, Rectangle]:
    """Left, bottom, right and top of every node."""
    found = {}
    for name, patch in patches(ax, "node").items():
        assert isinstance(patch, FancyBboxPatch)
        x, y = patch.get_x(), patch.get_y()
        found[name] = (x, y, x + patch.get_width(), y + patch.get_height())
    return found


def extent(text: Text, ax: Axes) -> Rectangle:
    """Where a text is drawn, in data coordinates."""
    corners = ax.transData.inverted().transform(text.get_window_extent())
    return (*corners[0], *corners[1])


def route_of(arrow: FancyArrowPatch) -> Path:
    """The path as given, in data coordinates: ``get_path`` has the head on it."""
    return vars(arrow)["_path_original"]


def overlap(a: Rectangle, b: Rectangle) -> bool:
    return min(a[2], b[2]) > max(a[0], b[0]) and min(a[3], b[3]) > max(a[1], b[1])


def inside(a: Rectangle, b: Rectangle, slack: float = 0.0) -> bool:
    left, bottom, right, top = b
    return (
        a[0] >= left - slack
        and a[1] >= bottom - slack
        and a[2] <= right + slack
        and a[3] <= top + slack
    )


def limits(ax: Axes) -> Rectangle:
    (left, right), (bottom, top) = sorted(ax.get_xlim()), sorted(ax.get_ylim())
    return left, bottom, right, top


@functools.cache
def drawn(name: str, panels: bool) -> tuple[BayesianNetwork, Axes]:
    """A network and its picture, drawn once for all that is asked of it."""
    network = CASES[name]()
    ax = plot_network(network, evidence={} if panels else None)
    figure_of(ax).draw_without_rendering()
    return network, ax


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("panels", [False, True])
class TestLayout:
    def test_boxes_neither_overlap_nor_leave_the_axes(self, name: str, panels: bool) -> None:
        _, ax = drawn(name, panels)
        found = boxes(ax)
        assert all([inside(box, limits(ax)) for box in found.values()])
        pairs = itertools.combinations(found.items(), 2)
        assert not [(a, b) for (a, box), (b, other) in pairs if overlap(box, other)]

    def test_every_name_is_written_once_inside_its_box(self, name: str, panels: bool) -> None:
        network, ax = drawn(name, panels)
        for variable, box in boxes(ax).items():
            texts = [text for text in ax.texts if text.get_text() == variable]
            assert len(texts) == 1
            assert inside(extent(texts[0], ax), box), variable
        assert set(boxes(ax)) == set(network.variables)

    def test_texts_stay_inside_boxes_and_apart(self, name: str, panels: bool) -> None:
        _, ax = drawn(name, panels)
        found = boxes(ax)
        texts: dict[str, list[tuple[str, Rectangle]]] = {variable: [] for variable in found}
        for text in ax.texts:
            at = extent(text, ax)
            homes = [v for v, box in found.items() if inside(at, box, 0.01)]
            assert len(homes) == 1, text.get_text()
            texts[homes[0]].append((text.get_text(), at))
        for group in texts.values():
            pairs = itertools.combinations(group, 2)
            assert not [(a, b) for (a, at), (b, other) in pairs if overlap(at, other)]

    def test_arrows_run_from_border_to_border(self, name: str, panels: bool) -> None:
        network, ax = drawn(name, panels)
        found, arrows = boxes(ax), patches(ax, "edge")
        assert set(arrows) == {f"{parent}->{child}" for parent, child in network.edges}
        for parent, child in network.edges:
            arrow = arrows[f"{parent}->{child}"]
            assert isinstance(arrow, FancyArrowPatch)
            route = np.asarray(route_of(arrow).vertices)
            for (x, y), (left, _, right, _), border in (
                (route[0], found[parent], found[parent][1]),
                (route[-1], found[child], found[child][3]),
            ):
                assert left < x < right
                assert y == pytest.approx(border, abs=1e-9)

    def test_no_arrow_runs_through_a_box(self, name: str, panels: bool) -> None:
        _, ax = drawn(name, panels)
        found = np.array(list(boxes(ax).values()))
        lower, upper = found[:, None, :2] + 1e-9, found[:, None, 2:] - 1e-9
        for edge, arrow in patches(ax, "edge").items():
            (line,) = map(
                np.asarray, route_of(arrow).interpolated(8).to_polygons(None, 0, 0, False)
            )
            assert not ((line > lower) & (line < upper)).all(-1).any(), edge


def test_parents_stand_above_children() -> None:
    network = random_network(7)
    found = boxes(plot_network(network))
    assert all([found[parent][1] > found[child][3] for parent, child in network.edges])


def test_tree_has_no_crossings_and_a_centred_root() -> None:
    parents = {str(i): [str((i - 1) // 2)] if i else [] for i in range(15)}
    drawing = layered_layout(parents, dict.fromkeys(parents, (0.5, 0.3)), aspect=9.0)
    x = {name: centre[0] for name, centre in drawing.centres.items()}
    assert x["0"] == pytest.approx(drawing.width / 2, abs=0.05)
    # Children in the same order as their parents: no two edges cross.
    for level in (range(3, 7), range(7, 15)):
        row = sorted(level, key=lambda i: x[str(i)])
        above = [x[parents[str(i)][0]] for i in row]
        assert above == sorted(above)


def test_wide_layers_are_broken() -> None:
    parents = {"class": [], **{f"x{i}": ["class"] for i in range(40)}}
    drawing = layered_layout(parents, dict.fromkeys(parents, (0.6, 0.3)))
    assert drawing.width < 3 * drawing.height


def test_box_wider_than_everything_else_is_placed() -> None:
    parents = {"a": [], "b": [], "c": ["a", "b"]}
    drawing = layered_layout(parents, {"a": (50.0, 0.3), "b": (0.5, 0.3), "c": (0.5, 0.3)})
    assert drawing.width >= 50.0


def test_layout_is_reproducible() -> None:
    network = random_network(3)
    assert boxes(plot_network(network)) == boxes(plot_network(network))


# Content -------------------------------------------------------------------------------------


@pytest.mark.parametrize("evidence", [{}, {"dysp": "yes"}, {"asia": 0, "xray": [0.2, 0.7]}])
def test_bars_are_the_posteriors(evidence: dict[str, Any]) -> None:
    network = asia()
    ax = plot_network(network, evidence=evidence)
    bars = patches(ax, "bar")
    assert len(bars) == 16
    for name, posterior in network.marginals(evidence).items():
        for code, p in enumerate(posterior.tolist()):
            width = bars[f"{name}:{code}"].get_width()
            assert width / BAR_LENGTH == pytest.approx(p, abs=1e-12)
            assert percent(p) in {text.get_text() for text in ax.texts}


def test_observed_nodes_are_marked() -> None:
    evidence = {"dysp": "yes", "xray": [0.2, 0.7], "asia": None, "tub": -1}
    ax = plot_network(asia(), evidence=evidence)
    assert set(patches(ax, "mark")) == {"dysp", "xray"}
    for gid, bar in patches(ax, "bar").items():
        observed = gid.split(":")[0] in {"dysp", "xray"}
        assert to_hex(bar.get_facecolor()) == (AMBER if observed else BLUE)
    assert ax.get_title() == "Posteriors given dysp = yes, soft xray"


def test_ticks_are_the_priors_of_what_moved() -> None:
    network, evidence = asia(), {"lung": "yes"}
    ax = plot_network(network, evidence=evidence)
    priors, tracks = network.marginals(), patches(ax, "track")
    ticks = {str(line.get_gid()).partition(":")[2]: line for line in ax.lines}
    # Seeing cancer says nothing of Asia and tuberculosis.
    moved = set(network.variables) - {"asia", "tub"}
    assert {gid.split(":")[0] for gid in ticks} == moved
    for gid, tick in ticks.items():
        name, code = gid.split(":")
        place = (np.asarray(tick.get_xdata())[0] - tracks[gid].get_x()) / BAR_LENGTH
        assert place == pytest.approx(priors[name][int(code)].item(), abs=1e-9)


def test_many_states_are_summed_up() -> None:
    law = [0.01, 0.3, 0.02, 0.2, 0.03, 0.15, 0.04, 0.15, 0.1]
    network = BayesianNetwork([], {"dial": 9}, {"dial": law})
    ax = plot_network(network, evidence={})
    widths = {gid: bar.get_width() / BAR_LENGTH for gid, bar in patches(ax, "bar").items()}
    shown = {"dial:1": 0.3, "dial:3": 0.2, "dial:5": 0.15, "dial:7": 0.15, "dial:8": 0.1}
    assert widths == pytest.approx(shown | {"dial:rest": 0.1}, abs=1e-12)
    assert "... 4 more" in {text.get_text() for text in ax.texts}


def test_observed_state_of_many_is_shown() -> None:
    ax = plot_network(BayesianNetwork([], {"dial": 20}), evidence={"dial": 17})
    assert patches(ax, "bar")["dial:17"].get_width() == pytest.approx(BAR_LENGTH)


def test_long_labels_are_shortened() -> None:
    network = BayesianNetwork([], {"x": ["a" * 60, "b"]})
    texts = [text.get_text() for text in plot_network(network, evidence={}).texts]
    assert "a" * 15 + "\u2026" in texts


@pytest.mark.parametrize(
    ("p", "shown"),
    [
        (0.0, "0 %"),
        (1e-12, "<0.1 %"),
        (0.0123, "1.2 %"),
        (0.9994, "99.9 %"),
        (0.99999, ">99.9 %"),
        (1.0, "100 %"),
        (1.0 + 2e-16, "100 %"),
    ],
)
def test_percent(p: float, shown: str) -> None:
    assert percent(p) == shown


# Axes ----------------------------------------------------------------------------------------


def test_given_axes_are_used() -> None:
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4))
    assert plot_network(asia(), ax=left) is left
    assert plot_network(asia(), left, {"lung": "yes"}) is left
    assert plot_posteriors(asia(), {"lung": "yes"}, ["tub"], ax=right) is right
    assert plt.get_fignums() == [figure.number]


@pytest.mark.parametrize("layout", [None, "constrained", "tight"])
def test_text_fits_on_small_given_axes(layout: Any) -> None:
    figure = Figure(figsize=(7, 6), layout=layout)
    axes = figure.subplots(2, 2)
    for ax, evidence in zip(axes.flat, [None, {}, {"dysp": "yes"}, {"tub": "no"}], strict=True):
        plot_network(asia(), ax, evidence)
    figure.draw_without_rendering()
    for ax in axes.flat:
        for text in ax.texts:
            found = extent(text, ax)
            assert any([inside(found, box, 0.05) for box in boxes(ax).values()]), text.get_text()


def test_subfigures_are_drawn_on() -> None:
    parts: Any = Figure(figsize=(9, 4)).subfigures(1, 2)
    ax = parts[0].subplots()
    assert plot_network(asia(), ax, {"lung": "yes"}) is ax
    figure_of(ax).draw_without_rendering()
    assert all([inside(box, limits(ax)) for box in boxes(ax).values()])


def test_new_figure_fits_the_network() -> None:
    small, large = (figure_of(plot_network(n)) for n in (asia(), random_network(1)))
    assert (large.get_size_inches() > small.get_size_inches()).all()
    wide = BayesianNetwork([], {f"{'long' * 8}{i}": 2 for i in range(900)})
    assert figure_of(plot_network(wide)).get_size_inches().max() <= 61


def test_title_is_cut_to_the_width() -> None:
    network = random_network(0)
    ax = plot_network(network, evidence=dict.fromkeys(network.variables, 0))
    figure_of(ax).draw_without_rendering()
    assert ax.get_title().endswith("(37 observed)")
    assert ax.title.get_window_extent().width < ax.get_window_extent().width


def test_names_are_not_read_as_formulae() -> None:
    network = BayesianNetwork([("$a", "b$")], {"$a": ["x_$1$", "y^"], "b$": 2})
    for ax in (plot_network(network, evidence={"$a": 0}), plot_posteriors(network, {"$a": 1})):
        figure_of(ax).draw_without_rendering()
        assert {"$a", "b$"} <= {text.get_text() for text in ax.texts}


def test_network_without_variables() -> None:
    assert isinstance(plot_network(BayesianNetwork([], {})), Axes)


def test_method_draws_the_same() -> None:
    ax = asia().plot(evidence={"xray": "no"})
    assert isinstance(ax, Axes)
    assert set(patches(ax, "mark")) == {"xray"}
    assert not ax.axison


@pytest.mark.parametrize("draw", [plot_network, plot_posteriors])
@pytest.mark.parametrize(
    ("evidence", "message"),
    [
        ({"dysp": ["yes", "no"]}, "one query, found a batch of 2"),
        ({"tub": "yes", "either": "no"}, "probability zero"),
        ({"cough": "yes"}, "unknown variable 'cough'"),
    ],
)
def test_bad_evidence_is_refused(draw: Any, evidence: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw(asia(), evidence=evidence)
    assert not plt.get_fignums()


# Posteriors as bars --------------------------------------------------------------------------


def test_posteriors_against_priors() -> None:
    network, evidence = asia(), {"dysp": "yes", "smoke": "no"}
    ax = plot_posteriors(network, evidence, ["lung", "bronc", "dysp"])
    for kind, given in (("prior", None), ("posterior", evidence)):
        bars, laws = patches(ax, kind), network.marginals(given)
        assert len(bars) == 6
        for gid, bar in bars.items():
            name, code = gid.split(":")
            assert bar.get_width() == pytest.approx(laws[name][int(code)].item(), abs=1e-12)
    colors = {gid: to_hex(bar.get_facecolor()) for gid, bar in patches(ax, "posterior").items()}
    assert colors["dysp:0"] == AMBER and colors["lung:0"] == BLUE
    assert {"lung", "bronc", "dysp"} <= {text.get_text() for text in ax.texts}
    assert [t.get_text() for t in ax.get_yticklabels()] == ["yes", "no"] * 3
    legend = ax.get_legend()
    assert legend is not None
    shown = [text.get_text() for text in legend.get_texts()]
    assert shown == ["posterior", "observed", "prior"]


def test_priors_alone_have_no_legend() -> None:
    ax = plot_posteriors(asia())
    assert len(patches(ax, "posterior")) == 16 and not patches(ax, "prior")
    assert ax.get_legend() is None
    assert ax.get_title() == "Prior marginals"


@pytest.mark.parametrize("size", [None, (5.0, 3.0), (12.0, 9.0)])
def test_bars_texts_stay_inside_and_apart(size: tuple[float, float] | None) -> None:
    given = None if size is None else plt.subplots(figsize=size)[1]
    ax = plot_posteriors(asia(), {"dysp": "yes", "xray": "yes"}, ax=given)
    figure_of(ax).draw_without_rendering()
    for a, b in itertools.combinations(ax.texts, 2):
        assert not overlap(extent(a, ax), extent(b, ax)), (a.get_text(), b.get_text())
    frame = limits(ax)
    for text in ax.texts:
        box = extent(text, ax)
        ordered = (box[0], min(box[1], box[3]), box[2], max(box[1], box[3]))
        assert inside(ordered, frame), text.get_text()


def test_unknown_variable_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown variable 'cough'"):
        plot_posteriors(asia(), None, ["cough"])
