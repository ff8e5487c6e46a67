"""Linear-Gaussian networks refuse bad parameters, evidence and rows."""

from __future__ import annotations

import math

import pandas as pd
import pytest
import torch

from pgm.linear_gaussian_network import LinearGaussianNetwork

NAN = math.nan


AB = ([("a", "b")], ["a", "b"])


BAD = {
    "cycle": (([("a", "b"), ("b", "a")], ["a", "b"]), ValueError, "cycle"),
    "loop": (([("a", "a")], ["a"]), ValueError, "cycle"),
    "unknown": (([("a", "q")], ["a"]), ValueError, "'q'"),
    "edge twice": (([("a", "b"), ("a", "b")], ["a", "b"]), ValueError, "twice"),
    "edge no pair": (([3], ["a"]), TypeError, "edges"),
    "no variables": (([], []), ValueError, "at least one"),
    "a string": (([], "ab"), TypeError, "sequence"),
    "a number": (([], [1]), TypeError, "strings"),
    "name twice": (([], ["a", "a"]), ValueError, "'a' twice"),
    "weight unknown": ((*AB, {("b", "a"): 1.0}), ValueError, r"no edge \('b', 'a'\)"),
    "weight missing": ((*AB, {}), ValueError, "no value for the edge"),
    "weight shape": ((*AB, [1.0, 2.0]), ValueError, r"weights .*\(2, 2\)"),
    "weight off an edge": ((*AB, [[0.0, 1.0], [1.0, 0.0]]), ValueError, r"\('b', 'a'\)"),
    "weight NaN": ((*AB, {("a", "b"): NAN}), ValueError, "one number"),
    "weight NaN in a matrix": ((*AB, [[0.0, NAN], [0.0, 0.0]]), ValueError, r"\('a', 'b'\)"),
    "weight inf": ((*AB, {("a", "b"): math.inf}), ValueError, "finite"),
    "intercept missing": ((*AB, None, {"a": 1.0}), ValueError, "'b'"),
    "intercept unknown": ((*AB, None, {"q": 1.0}), ValueError, "'q'"),
    "intercept shape": ((*AB, None, [1.0]), ValueError, "intercepts"),
    "intercept words": ((*AB, None, ["x", "y"]), TypeError, "intercepts"),
    "variance negative": ((*AB, None, None, [1.0, -2.0]), ValueError, "-2 for 'b'"),
    "variance NaN": ((*AB, None, None, [1.0, NAN]), ValueError, "'b'"),
    "variance inf": ((*AB, None, None, [1.0, math.inf]), ValueError, "variances"),
    "complex": ((*AB, None, None, [1.0, 1j]), TypeError, "variances"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_networks_are_named(case):
    arguments, error, named = BAD[case]
    with pytest.raises(error, match=named):
        LinearGaussianNetwork(*arguments)


@pytest.mark.parametrize(
    ("evidence", "error", "named"),
    [
        ({"nobody": 1.0}, ValueError, "nobody"),
        ({"room": math.inf}, ValueError, r"evidence\['room'\] must be finite"),
        ({"room": "warm"}, TypeError, "room"),
        ({"room": [[1.0]]}, ValueError, "1-D"),
        ({"room": [1.0, 2.0], "good": [1.0, 2.0, 3.0]}, ValueError, "lengths"),
        ([("room", 1.0)], TypeError, "map"),
    ],
)
def test_bad_evidence_is_named(thermometers, evidence, error, named):
    net = thermometers()
    for method in (net.log_evidence, net.marginals, net.most_probable):
        with pytest.raises(error, match=named):
            method(evidence)


@pytest.mark.parametrize(
    ("x", "error", "named"),
    [
        (torch.zeros(4), ValueError, r"\(n, 4\)"),
        (torch.zeros(2, 3), ValueError, r"\(n, 4\)"),
        ([[0, 0, math.inf, 0]], ValueError, "finite"),
        ([["a", 0, 0, 0]], TypeError, "x must hold"),
        ([[0, 0], [0]], ValueError, "x must hold"),
        (torch.zeros(1, 4, dtype=torch.complex64), TypeError, "real"),
        (pd.DataFrame({"room": [1.0]}), ValueError, "'heater'"),
        (pd.Series([1.0]), TypeError, "table"),
    ],
)
def test_bad_rows_are_named(thermometers, x, error, named):
    for method in (thermometers().log_prob, thermometers().impute):
        with pytest.raises(error, match=named):
            method(x)


def test_other_refusals(thermometers):
    net = thermometers()
    batch = {"good": [1.0, 2.0]}
    for call, named in (
        (lambda: net.sample(2, batch), "batch"),
        (lambda: net.most_probable(batch), "batch"),
        (lambda: net.intervene(batch), "batch"),
        (lambda: net.intervene({"good": NAN}), "NaN"),
        (lambda: net.sample(-1), "-1"),
        (lambda: net.impute(torch.zeros(1, 4), "median"), "median"),
        (lambda: net.query(["room", "room"]), "twice"),
        (lambda: net.query(["nobody"]), "nobody"),
        (lambda: net.marginals(None, ["nobody"]), "nobody"),
        (lambda: net.is_d_separated("room", "nobody"), "nobody"),
        (lambda: net.is_d_separated("room", ["room"]), "disjoint"),
        (lambda: net.parents("nobody"), "nobody"),
        (lambda: net.children("nobody"), "nobody"),
        (lambda: net.markov_blanket("nobody"), "nobody"),
    ):
        with pytest.raises(ValueError, match=named):
            call()


def test_what_does_not_fit_in_memory_is_refused_first(thermometers, monkeypatch):
    monkeypatch.setattr("inference.memory.free_memory", lambda: 1000)
    net = thermometers()
    with pytest.raises(ValueError, match=r"8 covariances of 4 variables would take 1\.0 KiB"):
        net.query(net.variables, {"room": torch.zeros(8)})
    assert net.marginals({"room": torch.zeros(8)})["good"].mean.shape == (8,)
