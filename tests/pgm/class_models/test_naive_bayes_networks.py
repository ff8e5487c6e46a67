"""Naive Bayes as a Bayesian network."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest

from pgm.naive_bayes import NaiveBayes


@pytest.mark.parametrize("alpha", [1.0, 0.0])
def test_network_of_bits_agrees(rows, close, alpha):
    x, y, weight = rows("bernoulli", 14)
    model = NaiveBayes("bernoulli", alpha).fit(x, y, weight)
    network = model.to_bayesian_network()
    assert network.variables == ("class", "x0", "x1", "x2", "x3", "x4")
    assert network.edges == [("class", f"x{j}") for j in range(5)]
    every = np.array(list(itertools.product([-1, 0, 1], repeat=5)))
    evidence = {f"x{j}": every[:, j] for j in range(5)}
    close(network.log_evidence(evidence), model.log_prob(every).numpy(), 1e-12)
    possible = every[(model.log_prob(every) > -math.inf).numpy()]
    evidence = {f"x{j}": possible[:, j] for j in range(5)}
    posterior = network.marginals(evidence, ["class"])["class"]
    close(posterior, model.predict_proba(possible).numpy(), 1e-12)


def test_network_of_states_agrees(close, frame, coded):
    table, y = frame()
    model = NaiveBayes("categorical").fit(table, y)
    network = model.to_bayesian_network("animal")
    assert network.states["animal"] == ("bird", "cat", "snake")
    assert network.states["size"] == ("S", "M", "L")
    assert network.states["legs"] == range(5)
    evidence = {name: table[name].astype(object).to_numpy() for name in ("colour", "size")}
    evidence["legs"] = table["legs"].to_numpy()
    posterior = network.marginals(evidence, ["animal"])["animal"]
    close(posterior, model.predict_proba(table).numpy(), 1e-12)
    full = np.concatenate([np.zeros((6, 1), dtype=int), coded(table)], axis=1)
    close(network.log_prob(full), model.joint_log_prob(table)[:, 0].numpy(), 1e-12)


def test_network_names_classes():
    model = NaiveBayes("bernoulli").fit([[0], [1]], [3, 7])
    assert model.to_bayesian_network().states["class"] == ("3", "7")
    model = NaiveBayes("bernoulli").fit(pd.DataFrame({"class": [0, 1]}), [0, 1])
    with pytest.raises(ValueError, match="class_name must not be that of a feature"):
        model.to_bayesian_network()
    assert model.to_bayesian_network("y").states["y"] == range(2)


@pytest.mark.parametrize("kind", ["gaussian", "multinomial", "complement"])
def test_other_kinds_are_no_networks(model_of, kind):
    with pytest.raises(ValueError, match=f"found kind '{kind}'"):
        model_of(kind).to_bayesian_network()
