"""Bayesian networks: worked numbers, graph queries, interventions, data, files, refusals."""

from __future__ import annotations

import itertools
import math
import re

import networkx
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pgm import BayesianNetwork


def rain() -> BayesianNetwork:
    """Three variables of 2, 3 and 2 states with labels, one impossible row entry."""
    return BayesianNetwork(
        [("rain", "wind"), ("wind", "wet"), ("rain", "wet")],
        {"rain": ["no", "yes"], "wind": ["none", "some", "storm"], "wet": ["dry", "wet"]},
        {
            "rain": [0.75, 0.25],
            "wind": [[0.5, 0.5, 0.0], [0.2, 0.3, 0.5]],
            "wet": [
                [[0.9, 0.1], [0.3, 0.7]],
                [[0.95, 0.05], [0.2, 0.8]],
                [[1.0, 0.0], [0.1, 0.9]],
            ],
        },
    )


# Worked numbers of the course notes --------------------------------------------------------------


def test_T1_medical_test():
    """99 % sensitivity and specificity at a prevalence of 1 %."""
    second = [[0.99, 0.01], [0.01, 0.99]]
    net = BayesianNetwork(
        [("disease", "first"), ("disease", "second")],
        {"disease": ["no", "yes"], "first": ["-", "+"], "second": ["-", "+"]},
        {"disease": [0.99, 0.01], "first": second, "second": second},
    )
    assert net.marginals()["first"][1].item() == pytest.approx(0.0198, rel=1e-14)
    assert net.log_evidence({"first": "+"}).exp().item() == pytest.approx(0.0198, rel=1e-14)
    assert net.marginals({"first": "+"})["disease"][1].item() == pytest.approx(0.5, rel=1e-15)
    both = net.marginals({"first": "+", "second": "+"})["disease"][1]
    assert both.item() == pytest.approx(0.99, rel=1e-14)
    negative = net.marginals({"first": "-"})["disease"][1].item()
    assert negative == pytest.approx(1.0202e-4, abs=5e-9)
    assert negative == pytest.approx(0.01 * 0.01 / (0.01 * 0.01 + 0.99 * 0.99), rel=1e-13)


@pytest.fixture
def loop() -> BayesianNetwork:
    """T4: x1 -> x2, x3 -> x4, whose skeleton is a loop."""
    return BayesianNetwork(
        [("x1", "x2"), ("x1", "x3"), ("x2", "x4"), ("x3", "x4")],
        dict.fromkeys(["x1", "x2", "x3", "x4"], 2),
        {
            "x1": [0.4, 0.6],
            "x2": [[0.8, 0.2], [0.2, 0.8]],
            "x3": [[0.7, 0.3], [0.3, 0.7]],
            "x4": [[[0.9, 0.1], [0.5, 0.5]], [[0.4, 0.6], [0.1, 0.9]]],
        },
    )


def test_T4_four_binary_nodes(loop):
    assert loop.n_parameters == 9
    prior = loop.marginals()
    for name, p in (("x2", 0.56), ("x3", 0.54), ("x4", 0.56), ("x1", 0.6)):
        assert prior[name][1].item() == pytest.approx(p, rel=1e-14)
    posterior = loop.marginals({"x4": 1})
    for name, p in (("x1", 0.7757142857), ("x2", 0.7928571429), ("x3", 0.7392857143)):
        assert posterior[name][1].item() == pytest.approx(p, abs=5e-11)
    assert loop.marginals({"x4": 0})["x1"][1].item() == pytest.approx(0.3763636364, abs=5e-11)
    state, log_p = loop.most_probable()
    assert state == {"x1": 1, "x2": 1, "x3": 1, "x4": 1}
    assert log_p.exp().item() == pytest.approx(0.3024, rel=1e-14)
    joint = BayesianNetwork([], {"all": 16})
    assert joint.n_parameters == 15


def dependence(net: BayesianNetwork, x, y, given) -> float:
    """Largest |p(x, y, z) p(z) - p(x, z) p(y, z)| over all states: zero iff independent."""
    x, y, given = list(x), list(y), list(given)
    joint = net.query([*x, *y, *given]).values
    ax, ay = tuple(range(len(x))), tuple(range(len(x), len(x) + len(y)))
    pz = joint.sum(ax + ay, keepdim=True)
    px, py = joint.sum(ay, keepdim=True), joint.sum(ax, keepdim=True)
    return float((joint * pz - px * py).abs().max())


def test_T4_independences_are_exact(loop):
    assert loop.is_d_separated("x4", "x1", ["x2", "x3"])
    assert dependence(loop, ["x4"], ["x1"], ["x2", "x3"]) < 1e-16
    assert loop.is_d_separated("x2", "x3", "x1")
    assert dependence(loop, ["x2"], ["x3"], ["x1"]) < 1e-16
    assert not loop.is_d_separated("x2", "x3", ["x1", "x4"])
    assert dependence(loop, ["x2"], ["x3"], ["x1", "x4"]) > 1e-3
    assert not loop.is_d_separated("x2", "x3")


# Structure ---------------------------------------------------------------------------------------


def test_what_a_network_knows_of_itself():
    net = rain()
    assert net.variables == ("rain", "wind", "wet")
    assert net.parents("wet") == ("wind", "rain"), "in the order of the edges"
    assert net.children("rain") == ("wind", "wet")
    assert net.states["wind"] == ("none", "some", "storm")
    assert net.table("wet").shape == (3, 2, 2) and net.table("wet").dtype == torch.float64
    assert net.n_parameters == 1 + 2 * 2 + 6
    assert set(net.graph.edges) == set(net.edges)
    assert list(net.graph.nodes) == list(net.variables)
    assert "3 variables" in repr(net)
    assert list(BayesianNetwork([], {"a": 3}).states["a"]) == [0, 1, 2]


def test_tables_default_to_uniform():
    net = BayesianNetwork([("a", "b")], {"a": 2, "b": 4})
    assert net.table("b").tolist() == [[0.25] * 4] * 2
    assert net.log_evidence({"b": 3}).item() == pytest.approx(math.log(0.25))


def test_a_network_may_be_built_from_its_own_parts():
    net = rain()
    numbered = BayesianNetwork([("a", "b")], {"a": 2, "b": 3})
    for original in (net, numbered):
        tables = {name: original.table(name) for name in original.variables}
        again = BayesianNetwork(original.edges, original.states, tables)
        assert again.values.equal(original.values)
        assert again.states == original.states


def test_rows_are_normalised_to_full_precision():
    net = BayesianNetwork([], {"a": 3}, {"a": [0.3333333, 0.3333333, 0.3333333]})
    assert net.table("a").sum().item() == pytest.approx(1.0, abs=1e-16)
    assert net.log_evidence().item() == pytest.approx(0.0, abs=1e-15)


def test_tables_of_any_kind_of_array():
    for make in (list, np.asarray, torch.tensor, lambda x: np.asarray(x, dtype=np.float32)):
        table = make([0.25, 0.75])
        assert BayesianNetwork([], {"a": 2}, {"a": table}).table("a").tolist() == [0.25, 0.75]
    given_ = np.array([0.25, 0.75])
    net = BayesianNetwork([], {"a": 2}, {"a": given_})
    given_[:] = 0.5
    assert net.table("a").tolist() == [0.25, 0.75], "the caller's array is not shared"


@st.composite
def dags(draw: st.DrawFn, most: int = 6) -> tuple[list[str], list[tuple[str, str]]]:
    names = [f"v{i}" for i in range(draw(st.integers(2, most)))]
    order = draw(st.permutations(names))
    pairs = list(itertools.combinations(order, 2))
    chosen = draw(st.lists(st.booleans(), min_size=len(pairs), max_size=len(pairs)))
    return names, [pair for pair, taken in zip(pairs, chosen, strict=True) if taken]


@settings(deadline=None, max_examples=200)
@given(dags(), st.integers(0, 2**32 - 1))
def test_d_separation_is_independence(dag, seed):
    """Of every distribution of the graph: networkx agrees, and so do random numbers."""
    names, edges = dag
    rng = np.random.default_rng(seed)
    above = {name: [p for p, child in edges if child == name] for name in names}
    tables = {name: rng.dirichlet([0.5, 0.5], [2] * len(above[name])) for name in names}
    net = BayesianNetwork(edges, dict.fromkeys(names, 2), tables)
    graph = net.graph
    for _ in range(4):
        roles = rng.choice(["x", "y", "z", "-"], len(names))
        roles[:2] = rng.permutation(["x", "y"])
        order = rng.permutation(names).tolist()
        x, y, z = ({n for n, r in zip(order, roles, strict=True) if r == k} for k in "xyz")
        separated = net.is_d_separated(x, y, z)
        assert separated == net.is_d_separated(y, x, z)
        assert separated == networkx.is_d_separator(graph, x, y, z)
        if separated:
            assert dependence(net, x, y, z) < 1e-15
        elif len(names) <= 4:
            # Random numbers are dependent where the graph allows it, on short paths visibly.
            assert dependence(net, x, y, z) > 1e-14


@settings(deadline=None, max_examples=100)
@given(dags())
def test_the_markov_blanket_shields_and_is_minimal(dag):
    names, edges = dag
    net = BayesianNetwork(edges, dict.fromkeys(names, 2))
    for name in names:
        blanket = net.markov_blanket(name)
        assert name not in blanket
        rest = set(names) - blanket - {name}
        assert not rest or net.is_d_separated(name, rest, blanket)
        for member in blanket:
            assert not net.is_d_separated(name, member, blanket - {member})


def test_d_separation_refuses_nonsense(loop):
    with pytest.raises(ValueError, match="x9"):
        loop.is_d_separated("x1", "x9", [])
    with pytest.raises(ValueError, match="disjoint"):
        loop.is_d_separated("x1", "x2", ["x1"])
    with pytest.raises(ValueError, match="disjoint"):
        loop.is_d_separated("x1", ["x1", "x2"])
    for method in (loop.markov_blanket, loop.parents, loop.children, loop.table):
        with pytest.raises(ValueError, match="x9"):
            method("x9")


# Interventions -----------------------------------------------------------------------------------


@pytest.fixture
def treatment() -> BayesianNetwork:
    """Severity decides on the treatment and worsens the outcome; the treatment helps."""
    return BayesianNetwork(
        [("severe", "treated"), ("severe", "well"), ("treated", "well")],
        {"severe": ["no", "yes"], "treated": ["no", "yes"], "well": ["no", "yes"]},
        {
            "severe": [0.5, 0.5],
            "treated": [[0.9, 0.1], [0.1, 0.9]],
            "well": [[[0.2, 0.8], [0.1, 0.9]], [[0.8, 0.2], [0.6, 0.4]]],
        },
    )


def test_to_set_is_not_to_see(treatment):
    seen = treatment.marginals({"treated": "yes"})["well"][1].item()
    done = treatment.intervene({"treated": "yes"}).marginals()["well"][1].item()
    assert seen == pytest.approx(0.1 * 0.9 + 0.9 * 0.4)
    assert done == pytest.approx(0.5 * 0.9 + 0.5 * 0.4)
    left = treatment.intervene({"treated": "no"}).marginals()["well"][1].item()
    assert left == pytest.approx(0.5 * 0.8 + 0.5 * 0.2)
    # Seen, the treatment harms; set, it helps.
    assert seen < treatment.marginals({"treated": "no"})["well"][1] and done > left


def test_an_intervention_cuts_the_arrows_above_and_no_others(treatment):
    changed = treatment.intervene({"treated": 1})
    assert changed.parents("treated") == () and changed.parents("well") == ("severe", "treated")
    assert changed.marginals()["severe"].tolist() == [0.5, 0.5]
    assert changed.table("well").equal(treatment.table("well"))
    assert changed.states == treatment.states and changed.variables == treatment.variables
    assert treatment.parents("treated") == ("severe",), "the original stays"
    # What is set says nothing of its causes; what is then seen does.
    assert changed.marginals({"well": "yes"})["severe"][1].item() == pytest.approx(4 / 13)
    assert changed.log_evidence({"treated": "no"}).item() == -math.inf


def test_interventions_by_chance_and_on_several(treatment):
    mixed = treatment.intervene({"treated": [0.25, 0.75]})
    expected = 0.25 * 0.5 + 0.75 * 0.65
    assert mixed.marginals()["well"][1].item() == pytest.approx(expected)
    both = treatment.intervene({"treated": "yes", "severe": "yes"})
    assert both.marginals()["well"][1].item() == pytest.approx(0.4)
    none = treatment.intervene({})
    assert none.values.equal(treatment.values) and none.edges == treatment.edges


@pytest.mark.parametrize(
    ("states", "named"),
    [({"treated": [0, 1]}, "batch"), ({"nobody": 1}, "nobody"), ({"treated": "maybe"}, "maybe"),
     ({"treated": [0.5, 0.6]}, "treated"), ({"treated": [0.5, 0.2, 0.3]}, "treated")],
)  # fmt: skip
def test_bad_interventions_are_named(treatment, states, named):
    with pytest.raises(ValueError, match=named):
        treatment.intervene(states)


# Refusals ----------------------------------------------------------------------------------------

STATES = {"a": 2, "b": ["x", "y", "z"]}
ONE = {"a": 2}
TABLES = {"a": [0.5, 0.5], "b": [[0.2, 0.3, 0.5]] * 2}
AB = [("a", "b")]
BAD = {
    "cycle of two": ([("a", "b"), ("b", "a")], STATES, None, ValueError, "cycle: .*a.* -> "),
    "loop": ([("a", "a")], STATES, None, ValueError, "cycle"),
    "unknown parent": ([("q", "b")], STATES, None, ValueError, "'q'"),
    "unknown child": ([("a", "q")], STATES, None, ValueError, "'q'"),
    "edge twice": ([("a", "b"), ("a", "b")], STATES, None, ValueError, "twice"),
    "edge of three": ([("a", "b", "c")], STATES, None, TypeError, "edges"),
    "edge no pair": ([3], STATES, None, TypeError, "edges"),
    "edge a string": (["ab"], STATES, None, TypeError, "edges"),
    "states a list": ([], ["a", "b"], None, TypeError, "states"),
    "no states": ([], {"a": 0}, None, ValueError, "'a'"),
    "label twice": ([], {"a": ["x", "x"]}, None, ValueError, "'a'"),
    "label no string": ([], {"a": ["x", 3]}, None, TypeError, "'a'"),
    "table missing": ([], STATES, {"a": [0.5, 0.5]}, ValueError, "'b'"),
    "table too many": ([], STATES, {**TABLES, "q": [1.0]}, ValueError, "'q'"),
    "tables a list": ([], ONE, [[0.5, 0.5]], TypeError, "tables"),
    "wrong shape": ([], STATES, TABLES, ValueError, "'b'.*shape"),
    "transposed": (AB, STATES, {**TABLES, "b": np.full((3, 2), 0.5)}, ValueError, "'b'.*shape"),
    "too long": ([], ONE, {"a": [0.5, 0.25, 0.25]}, ValueError, "'a'.*shape"),
    "row sum": (
        AB, STATES, {**TABLES, "b": [[0.2, 0.3, 0.5], [0.2, 0.3, 0.6]]}, ValueError,
        "'b'.*a=1.*sum",
    ),
    "row sum off by 1e-5": ([], ONE, {"a": [0.5, 0.50001]}, ValueError, "'a'.*sum"),
    "negative": ([], ONE, {"a": [1.5, -0.5]}, ValueError, "'a'.*negative"),
    "NaN": ([], ONE, {"a": [math.nan, 0.5]}, ValueError, "'a'.*NaN"),
    "inf": ([], ONE, {"a": [math.inf, 0.5]}, ValueError, "'a'"),
    "words": ([], ONE, {"a": ["many", "few"]}, ValueError, "'a'"),
    "ragged": (AB, STATES, {**TABLES, "b": [[0.2, 0.8], [0.2, 0.3, 0.5]]}, ValueError, "'b'"),
    "zeros": ([], ONE, {"a": [0.0, 0.0]}, ValueError, "'a'.*sum"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_networks_are_named(case):
    edges, states, tables, error, named = BAD[case]
    with pytest.raises(error, match=named):
        BayesianNetwork(edges, states, tables)


def test_a_cycle_is_spelled_out():
    states = dict.fromkeys(["root", "a", "b", "c", "leaf"], 2)
    edges = [("root", "a"), ("a", "b"), ("b", "c"), ("c", "a"), ("c", "leaf")]
    with pytest.raises(ValueError, match="cycle") as refusal:
        BayesianNetwork(edges, states)
    path = re.findall(r"\w+(?= ->)|(?<=-> )\w+$", str(refusal.value))
    assert path[0] == path[-1] and set(path) == {"a", "b", "c"}
    for parent, child in itertools.pairwise(path):
        assert (parent, child) in edges


def test_a_bad_row_is_named_by_the_labels_of_its_parents():
    tables = {"a": [0.5, 0.5], "b": [[0.2, 0.3, 0.5]] * 2, "c": np.full((3, 2, 2), 0.5)}
    tables["c"][2, 1] = [0.5, 0.4]
    edges = [("a", "b"), ("b", "c"), ("a", "c")]
    with pytest.raises(ValueError, match=r"'c'.*b=z, a=1.*0\.9"):
        BayesianNetwork(edges, {**STATES, "c": 2}, tables)


def test_impossible_evidence_is_spelled_out():
    net = rain()
    given_ = {"rain": "no", "wind": "storm"}
    assert net.log_evidence(given_).item() == -math.inf
    for query in (
        net.marginals, net.most_probable, lambda e: net.query("wet", e), lambda e: net.sample(1, e)
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"'rain': 'no'.*'wind': 'storm'.*probability zero"):
            query(given_)
    with pytest.raises(ValueError, match="probability zero"):
        net.marginals({"rain": [1.0, 0.0], "wind": "storm"})
    with pytest.raises(ValueError, match="probability zero"):
        net.marginals({"rain": [0.0, 0.0]})


def test_impossible_rows_of_a_batch_leave_the_others_alone():
    net = rain()
    batch = {"rain": ["no", "yes", "no", None], "wind": ["storm", "storm", "some", "storm"]}
    total = net.log_evidence(batch)
    assert total[0].item() == -math.inf
    assert total[1:].exp().tolist() == pytest.approx([0.125, 0.375, 0.125])
    found = net.marginals(batch)
    for table in found.values():
        assert table[0].isnan().all() and table[1:].isfinite().all()
    assert found["wet"][1].tolist() == pytest.approx([0.1, 0.9])
    assert found["rain"][3].tolist() == pytest.approx([0.0, 1.0])
    every = net.marginals({"rain": ["no", "no"], "wind": ["storm", "storm"]})
    assert every["wet"].isnan().all()


def test_one_query_at_a_time():
    for query in (
        lambda net, e: net.query("wet", e),
        lambda net, e: net.most_probable(e),
        lambda net, e: net.sample(1, e),
    ):
        with pytest.raises(ValueError, match="batch"):
            query(rain(), {"rain": [0, 1]})


@pytest.mark.parametrize(
    ("x", "named"),
    [
        ([0, 1, 1], "shape"),
        ([[0, 1]], "shape"),
        ([[[0, 1, 1]]], "shape"),
        ([[0, 3, 1]], "wind"),
        ([[0, -2, 1]], "wind"),
        ([[0, 0.5, 1]], "wind"),
        ([[0, math.inf, 1]], "wind"),
        ([[0, 1e300, 1]], "wind"),
        (pd.DataFrame({"rain": ["no"], "wind": ["some"]}), "wet"),
        (pd.DataFrame([[0, 0, 0, 1]], columns=["rain", "wind", "wind", "wet"]), "wind"),
        (pd.DataFrame({"rain": ["no"], "wind": ["calm"], "wet": ["dry"]}), "calm"),
    ],
)
def test_bad_rows_of_data_are_named(x, named):
    with pytest.raises(ValueError, match=named):
        rain().log_prob(x)


@pytest.mark.parametrize("n", [-1, 2.5, "3", None, True])
def test_bad_numbers_of_samples_are_named(n):
    with pytest.raises((TypeError, ValueError), match="n must be"):
        rain().sample(n)


# Data --------------------------------------------------------------------------------------------


def test_rows_of_codes_and_of_labels_agree():
    net = rain()
    codes = np.array([[0, 1, 0], [1, 2, 1], [0, 2, 0]])
    expected = [0.75 * 0.5 * 0.95, 0.25 * 0.5 * 0.9, 0.0]
    assert net.log_prob(codes).exp().tolist() == pytest.approx(expected)
    frame = pd.DataFrame(
        {
            "wet": ["dry", "wet", "dry"],
            "extra": [1, 2, 3],
            "wind": ["some", "storm", "storm"],
            "rain": ["no", "yes", "no"],
        }
    )
    assert net.log_prob(frame).equal(net.log_prob(codes))
    assert net.log_prob(frame.astype("category")).equal(net.log_prob(codes))
    coded = pd.DataFrame(codes, columns=list(net.variables))
    assert net.log_prob(coded).equal(net.log_prob(codes))
    assert net.log_prob(torch.from_numpy(codes).to(torch.int8)).equal(net.log_prob(codes))
    assert net.log_prob(codes.tolist()).equal(net.log_prob(codes))
    assert net.log_prob(np.zeros((0, 3), dtype=int)).shape == (0,)


def test_missing_entries_in_every_spelling():
    net = rain()
    expected = net.log_prob([[0, -1, 1], [-1, -1, -1], [1, 2, 1]])
    assert expected[0].exp().item() == pytest.approx(0.75 * (0.5 * 0.1 + 0.5 * 0.05))
    assert expected[1].item() == pytest.approx(0.0, abs=1e-15)
    nan = math.nan

    def labels(gap: object, **options: object) -> pd.DataFrame:
        rain, wind, wet = ["no", gap, "yes"], [gap, gap, "storm"], ["wet", gap, "wet"]
        return pd.DataFrame({"rain": rain, "wind": wind, "wet": wet}, **options)

    def codes(gap: object, **options: object) -> pd.DataFrame:
        columns = {"rain": [0, gap, 1], "wind": [gap, gap, 2], "wet": [1, gap, 1]}
        return pd.DataFrame(columns, **options)

    spellings = [
        np.array([[0, nan, 1], [nan, nan, nan], [1, 2, 1]]),
        torch.tensor([[0, nan, 1], [nan, nan, nan], [1, 2, 1]]),
        np.array([[0, None, 1], [None, None, None], [1, 2, 1]], dtype=object),
        codes(-1),
        codes(nan),
        codes(None, dtype="Int64"),
        codes(None, dtype=object),
        labels(None),
        labels(nan, dtype=object),
        labels(pd.NA, dtype="string"),
        labels(pd.NA, dtype="category"),
        labels(pd.NA, dtype=object),
    ]
    for spelling in spellings:
        torch.testing.assert_close(net.log_prob(spelling), expected)


def test_log_prob_sums_to_one():
    net = rain()
    rows = list(itertools.product(range(2), range(3), range(2)))
    assert net.log_prob(rows).exp().sum().item() == pytest.approx(1.0, rel=1e-14)


# Samples -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("given_", [{}, {"wet": "wet"}, {"wind": [0.2, 1.0, 0.7]}])
def test_the_seed_decides_and_global_state_is_untouched(given_):
    net = rain()
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first = net.sample(100, given_, generator=5)
    assert first.shape == (100, 3) and first.dtype == torch.int64
    assert rain().sample(100, given_, generator=5).equal(first)
    generator = torch.Generator().manual_seed(5)
    assert net.sample(100, given_, generator=generator).equal(first)
    assert not net.sample(100, given_, generator=generator).equal(first)
    assert not net.sample(100, given_, generator=6).equal(first)
    assert not net.sample(100, given_).equal(net.sample(100, given_))
    assert torch.get_rng_state().equal(before[0])
    assert (np.random.get_state()[1] == before[1]).all()  # noqa: NPY002
    for wrong in (1.5, "5", np.random.default_rng(0)):
        with pytest.raises(TypeError, match="generator"):
            net.sample(3, given_, generator=wrong)


def test_frequencies_of_samples():
    """Six standard deviations of 100,000 rows."""
    net = rain()
    for given_ in ({}, {"wet": "wet"}):
        rows = net.sample(100_000, given_, generator=1)
        for i, (_, p) in enumerate(net.marginals(given_).items()):
            found = torch.bincount(rows[:, i], minlength=len(p)) / 1e5
            bound = 6 * (p * (1 - p).clamp(min=0) / 1e5).sqrt() + 1e-12
            assert ((found - p).abs() <= bound).all()


# Files -------------------------------------------------------------------------------------------


def odd() -> BayesianNetwork:
    names = ["Asy/Patch", "<5 & more", 'say "hi"', "plain", "it's; {odd}", "Größe 雨"]
    labels = [
        ("a b", "c,d"),
        ("<", ">", "&"),
        ("no", "yes"),
        ("0", "1"),
        ("(x)", "|"),
        ("12+", "5-12"),
    ]
    rng = np.random.default_rng(0)
    parents = {0: [], 1: [0], 2: [1, 0], 3: [], 4: [3, 2], 5: [4]}
    states = dict(zip(names, labels, strict=True))
    tables, edges = {}, []
    for i, above in parents.items():
        shape = [len(labels[p]) for p in above]
        tables[names[i]] = rng.dirichlet(np.ones(len(labels[i])), shape or None)
        edges += [(names[p], names[i]) for p in above]
    return BayesianNetwork(edges, states, tables)  # fmt: skip


SUFFIXES = [".bif", ".xmlbif", ".net", ".safetensors", ".bif.gz", ".xmlbif.gz", ".net.gz"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_files_keep_everything(suffix, tmp_path):
    net = odd()
    path = tmp_path / f"network{suffix}"
    net.save(path)
    loaded = BayesianNetwork.load(str(path))
    assert loaded.variables == net.variables and loaded.states == net.states
    assert all(loaded.parents(name) == net.parents(name) for name in net.variables)
    assert loaded.values.equal(net.values), "bit for bit"
    for given_ in ({}, {"Asy/Patch": "c,d"}, {"plain": [0.3, 0.1]}):
        mine, theirs = odd().marginals(given_), BayesianNetwork.load(path).marginals(given_)
        assert all(mine[name].equal(theirs[name]) for name in net.variables)
        assert odd().log_evidence(given_).equal(BayesianNetwork.load(path).log_evidence(given_))


@pytest.mark.parametrize("suffix", [".uai", ".uai.gz"])
def test_uai_files_keep_the_numbers(suffix, tmp_path):
    net = odd()
    path = tmp_path / f"network{suffix}"
    net.save(path)
    loaded = BayesianNetwork.load(path)
    assert loaded.variables == tuple(map(str, range(6)))
    assert loaded.values.equal(net.values)
    fresh = odd().marginals({"plain": 1})
    for one, other in zip(loaded.marginals({"3": 1}).values(), fresh.values(), strict=True):
        assert one.equal(other)


def test_numbered_states_survive(tmp_path):
    net = BayesianNetwork([("a", "b")], {"a": 2, "b": 3})
    for suffix in (".safetensors", ".uai"):
        net.save(tmp_path / f"n{suffix}")
        loaded = BayesianNetwork.load(tmp_path / f"n{suffix}")
        assert [list(s) for s in loaded.states.values()] == [[0, 1], [0, 1, 2]]
        assert loaded.most_probable()[0][loaded.variables[0]] in (0, 1)
    net.save(tmp_path / "n.bif")
    assert BayesianNetwork.load(tmp_path / "n.bif").states["b"] == ("0", "1", "2")


def test_saving_sees_new_numbers_and_half_precision(tmp_path):
    net = BayesianNetwork([], {"a": 2}, {"a": [0.5, 0.5]})
    with torch.no_grad():
        net.table("a").copy_(torch.tensor([0.25, 0.75]))
    for suffix in SUFFIXES:
        net.save(tmp_path / f"a{suffix}")
        assert BayesianNetwork.load(tmp_path / f"a{suffix}").table("a").tolist() == [0.25, 0.75]
    single = BayesianNetwork([], {"a": 3}, {"a": [0.1, 0.2, 0.7]}).float()
    single.save(tmp_path / "single.safetensors")
    loaded = BayesianNetwork.load(tmp_path / "single.safetensors")
    assert loaded.values.dtype == torch.float32 and loaded.values.equal(single.values)


def test_bad_files_are_named(tmp_path):
    net = rain()
    with pytest.raises(ValueError, match=r"\.json"):
        net.save(tmp_path / "net.json")
    with pytest.raises(ValueError, match=r"\.json"):
        (tmp_path / "net.json").write_text("{}")
        BayesianNetwork.load(tmp_path / "net.json")
    with pytest.raises(FileNotFoundError):
        BayesianNetwork.load(tmp_path / "absent.bif")
    for suffix in (".bif", ".xmlbif", ".net", ".uai", ".safetensors"):
        path = tmp_path / f"net{suffix}"
        net.save(path)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(ValueError, match="net"):
            BayesianNetwork.load(path)
    (tmp_path / "markov.uai").write_text("MARKOV 1 2 1 1 0 2 0.5 2.0")
    with pytest.raises(ValueError, match="Markov"):
        BayesianNetwork.load(tmp_path / "markov.uai")
    text = "network a {}\nvariable a { type discrete [ 2 ] { x, y }; }\n"
    (tmp_path / "sum.bif").write_text(text + "probability ( a ) { table 0.5, 0.6; }\n")
    with pytest.raises(ValueError, match=r"sum\.bif.*'a'"):
        BayesianNetwork.load(tmp_path / "sum.bif")


def test_bad_numbers_in_a_model_file_are_refused(tmp_path):
    net = rain()
    with torch.no_grad():
        net.table("rain").copy_(torch.tensor([0.5, 0.75]))
    net.save(tmp_path / "net.safetensors")
    with pytest.raises(ValueError, match="rain"):
        BayesianNetwork.load(tmp_path / "net.safetensors").marginals()


# Other shapes ------------------------------------------------------------------------------------


def test_single_states_and_no_variables():
    net = BayesianNetwork([("one", "two")], {"one": 1, "two": 2})
    assert net.n_parameters == 1
    assert net.marginals({"two": 1})["one"].tolist() == [1.0]
    assert net.sample(2).shape == (2, 2)
    empty = BayesianNetwork([], {})
    assert empty.variables == () and empty.marginals() == {} and empty.n_parameters == 0
    assert empty.log_evidence().item() == 0.0
    assert empty.most_probable()[0] == {} and empty.most_probable()[1].item() == 0.0
    assert empty.sample(3).shape == (3, 0)
    assert empty.log_prob(np.zeros((2, 0))).tolist() == [0.0, 0.0]


def test_the_joint_of_nothing_is_one():
    found = rain().query([], {"wet": "wet"})
    assert found.scope == () and found.values.item() == pytest.approx(1.0)


def test_the_factor_graph_agrees():
    net = rain()
    graph = net.to_factor_graph()
    for given_ in ({}, {"wet": 1}, {"wind": [0.5, 0.1, 2.0]}):
        torch.testing.assert_close(graph.log_partition(given_), net.log_evidence(given_))
        for name, table in net.marginals(given_).items():
            torch.testing.assert_close(graph.marginals(given_)[name], table)


def test_importing_pgm_stays_light_and_results_stay_on_the_device(device):
    net = rain().to(device)
    for result in (
        net.log_evidence({"wet": 1}), net.marginals()["wet"], net.query("wet").values,
        net.sample(2), net.log_prob([[0, 0, 0], [0, -1, 0]]), net.most_probable()[1],
        net.marginals({"wet": [0, 1]})["rain"], net.intervene({"wet": 1}).values,
    ):  # fmt: skip
        assert result.device.type == device.type
