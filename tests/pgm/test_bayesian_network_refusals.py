"""Bayesian networks refuse bad tables, evidence and rows."""

from __future__ import annotations

import itertools
import math
import re

import numpy as np
import pandas as pd
import pytest

from pgm import BayesianNetwork

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
    "too many parents": (
        [(name, "a") for name in "bcdefghijklmnopqrstuvwxyz"],
        {"a": 2, **dict.fromkeys("bcdefghijklmnopqrstuvwxyz", 4)},
        None, ValueError, "tables, the largest that of 'a', would take",
    ),
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


def test_impossible_evidence_is_spelled_out(rain):
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


def test_impossible_rows_of_a_batch_leave_the_others_alone(rain):
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


def test_one_query_at_a_time(rain):
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
def test_bad_rows_of_data_are_named(rain, x, named):
    with pytest.raises(ValueError, match=named):
        rain().log_prob(x)


@pytest.mark.parametrize("n", [-1, 2.5, "3", None, True])
def test_bad_numbers_of_samples_are_named(rain, n):
    with pytest.raises((TypeError, ValueError), match="n must be"):
        rain().sample(n)
