"""Sigmoid belief networks refuse bad structures, options and data."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from pgm.sigmoid_belief_network import SigmoidBeliefNetwork
from tests.pgm.sigmoid.prototypes import patterns


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([("a", "b"), ("b", "a")],), ValueError, "directed cycle"),
        (([("a", "b")], ["a", "c"]), ValueError, r"unknown unit 'b' in \('a', 'b'\)"),
        (([("a", "b"), ("a", "b")],), ValueError, "a parent twice"),
        (([2, 0],), ValueError, "layer sizes must be at least 1, found 0 at position 1"),
        (([2, -1],), ValueError, "found -1"),
        (([2, 1], ["a"]), ValueError, "must name the 3 units of all layers, found 1"),
        (([],), ValueError, "names no unit"),
        (([2, ("a", "b")],), TypeError, "found 2"),
        (([2.0, 1.0],), TypeError, "found 2.0"),
        (("ab",), TypeError, "found 'a'"),
        (([(1, 2)],), TypeError, r"found \(1, 2\)"),
        (([("a", "b")], ["a", "b", "a"]), ValueError, "'a' twice"),
        (([("a", "b")], [1, 2]), TypeError, "units must be names, found 1"),
        (([10**7, 10**7],), ValueError, "weights between 20,000,000 units would take"),
    ],
)
def test_bad_structure(arguments, error, message):
    with pytest.raises(error, match=message):
        SigmoidBeliefNetwork(*arguments)


def test_bad_options_of_the_constructor():
    with pytest.raises(ValueError, match=r"visible must name .* unknown unit 'x'"):
        SigmoidBeliefNetwork([2, 1], visible=["x"])
    with pytest.raises(ValueError, match="visible must name distinct units"):
        SigmoidBeliefNetwork([2, 1], visible=[])
    with pytest.raises(TypeError, match="dtype must be a floating-point type"):
        SigmoidBeliefNetwork([2, 1], dtype=torch.int64)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda n: n.log_prob([[0, 2, 1]]), ValueError, "found 2 in row 0, unit '0.1'"),
        (lambda n: n.log_prob([[0.5, 0, 1]]), ValueError, "found 0.5 in row 0, unit '0.0'"),
        (lambda n: n.log_prob([[1], [-2]]), ValueError, "found -2 in row 1, unit '1.0'"),
        (lambda n: n.log_prob([[0, 1]]), ValueError, r"\(n, 3\) for all units or \(n, 1\)"),
        (lambda n: n.log_prob([0, 1, 1]), ValueError, r"found \(3,\)"),
        (lambda n: n.log_prob([["a", "b", "c"]]), TypeError, "x must hold 0, 1 or -1"),
        (lambda n: n.log_prob([[1, 0], [1]]), ValueError, "rectangular"),
        (lambda n: n.log_prob(torch.zeros(1, 3).cfloat()), TypeError, "complex64"),
        (lambda n: n.log_prob(pd.DataFrame({"z": [1]})), ValueError, "column 'z' is no unit"),
        (
            lambda n: n.log_prob(pd.DataFrame([[1, 0]], columns=["a", "a"])),
            ValueError,
            "unit once",
        ),
        (lambda n: n.log_prob(pd.DataFrame({"0.0": ["x"]})), TypeError, "x must hold 0, 1 or -1"),
        (lambda n: n.log_prob(pd.Series([1, 0])), TypeError, "x must be a table"),
        (lambda n: n.log_prob([[1]], method="gibbs"), ValueError, "method must be one of exact"),
        (lambda n: n.posterior([[1]], "bp"), ValueError, "found 'bp'"),
        (lambda n: n.posterior([[1]], "gibbs", sweeps=0), ValueError, "sweeps must be at least 1"),
        (lambda n: n.posterior([[1]], "gibbs", chains=0), ValueError, "chains must be at least 1"),
        (lambda n: n.sample(-1), ValueError, "n must be at least 0, found -1"),
        (lambda n: n.gibbs_sweep([[0, -1, 1]]), ValueError, "row 0 without unit '0.1'"),
        (lambda n: n.gibbs_sweep([[0, 1, 1]], observed=["q"]), ValueError, "unknown unit 'q'"),
        (
            lambda n: n.gibbs_sweep([[0, 1, 1]], observed=torch.tensor([1, 0, 1])),
            TypeError,
            "boolean mask",
        ),
        (
            lambda n: n.gibbs_sweep([[0, 1, 1]], observed=np.array([True])),
            ValueError,
            r"observed must have shape \(3,\) or \(1, 3\), found \(1,\)",
        ),
        (lambda n: n.gibbs_sweep([[0, 1, 1]], beta=-1.0), ValueError, "beta must be finite"),
        (
            lambda n: n.gibbs_sweep([[0, 1, 1]], beta=torch.ones(2)),
            ValueError,
            r"beta must be \(\) or \(1,\)",
        ),
        (lambda n: n.fit([[0, 1, 1], [-1, -1, -1]]), ValueError, "nothing observed in row 1"),
        (lambda n: n.fit(np.zeros((0, 3))), ValueError, "at least one row"),
        (lambda n: n.fit([[3, 1, 1]]), ValueError, "data must hold .* found 3"),
        (lambda n: n.fit([[1]], "mcmc"), ValueError, "found 'mcmc'"),
        (lambda n: n.fit([[1]], l2=-1.0), ValueError, "l2 must be finite and not negative"),
        (
            lambda n: n.fit([[1]], max_iterations=0),
            ValueError,
            "max_iterations must be at least 1",
        ),
        (lambda n: n.fit([[1]], "wake-sleep", epochs=0), ValueError, "epochs must be at least 1"),
        (lambda n: n.fit([[1]], "wake-sleep", lr=0.0), ValueError, "lr must be positive"),
        (
            lambda n: n.fit([[1]], "variational", n_samples=1),
            ValueError,
            "'leave-one-out' needs n_samples of at least 2",
        ),
        (
            lambda n: n.fit([[1]], "variational", baseline="mean"),
            ValueError,
            "found 'mean'",
        ),
        (
            lambda n: n.fit([[1]], "variational", recognition=SigmoidBeliefNetwork([1, 2])),
            ValueError,
            "recognition must have the units of the model",
        ),
        (
            lambda n: n.fit([[1]], "wake-sleep", recognition=torch.nn.Linear(1, 1)),
            TypeError,
            "found Linear",
        ),
    ],
)
def test_bad_arguments_change_nothing(call, error, message, explaining_away):
    before = explaining_away.weights.clone(), explaining_away.bias.clone()
    with pytest.raises(error, match=message):
        call(explaining_away)
    assert explaining_away.weights.equal(before[0]) and explaining_away.bias.equal(before[1])
    assert explaining_away.history == []


def test_too_many_hidden_units_are_counted(randomized):
    net = randomized(SigmoidBeliefNetwork([21, 2]), 25)
    rows = torch.tensor([[0, 1], [1, 1]])
    for call in (net.log_prob, net.posterior, net.fit):
        with pytest.raises(ValueError, match=r"row 0 has 21 hidden units .* the limit is 20"):
            call(rows)
    assert net.posterior(rows, "mean-field").shape == (2, 23)
    wide = torch.ones(2, 23)
    wide[1, :21] = -1
    with pytest.raises(ValueError, match="row 1 has 21 hidden units"):
        net.log_prob(wide)


def test_parameters_that_are_not_finite_are_named(explaining_away):
    explaining_away.bias.data[0] = -torch.inf
    for call in (
        lambda: explaining_away.log_prob([[1]]),
        lambda: explaining_away.posterior([[1]], "mean-field"),
        lambda: explaining_away.fit([[1]]),
    ):
        with pytest.raises(ValueError, match="bias must be finite, found -inf"):
            call()


def test_learning_that_runs_off_leaves_the_parameters():
    net = SigmoidBeliefNetwork([2, 6])
    with pytest.raises(ValueError, match="ran off to parameters beyond 1e\\+06"):
        net.fit(patterns(20, 3), "variational", lr=1e308, epochs=3, generator=0)
    assert net.weights.count_nonzero() == 0
