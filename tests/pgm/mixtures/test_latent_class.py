"""Latent class models: enumeration, networks, gaps, labels, and textbook EM on the cells."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pgm.latent_class_model import LatentClassModel

STATES = {"cough": ["no", "yes"], "fever": ["none", "some", "high"], "tests": 2}


def draw(seed, k=3, states=STATES, zeros=False):
    """A model with random tables."""
    rng = np.random.default_rng(seed)
    model = LatentClassModel(k, states)
    with torch.no_grad():
        model.weights.copy_(torch.from_numpy(rng.dirichlet(np.ones(k))))
        for table in model.tables.values():
            rows = rng.dirichlet(np.ones(table.shape[1]), k)
            if zeros:
                rows = np.eye(table.shape[1])[rows.argmax(1)] * 0.5 + 0.5 * np.eye(
                    1, table.shape[1]
                )
            table.copy_(torch.from_numpy(rows))
    return model


def every_row(model):
    return np.array(list(itertools.product(*map(range, model.variables.cards))))


def some_data(seed, n=300, gaps=0.15):
    rng = np.random.default_rng(seed)
    x = draw(seed, 2).sample(n, generator=seed).numpy()
    x[rng.random(x.shape) < gaps] = -1
    return x


@settings(max_examples=10)
@given(st.integers(0, 2**31), st.integers(1, 4), st.booleans())
def test_everything_agrees_with_sums_over_tables_and_the_network(seed, k, zeros):
    model = draw(seed, k, zeros=zeros)
    every = every_row(model)
    tables = [t.detach().numpy() for t in model.tables.values()]
    weights = model.weights.detach().numpy()
    joint = np.array(
        [
            [
                weights[c] * math.prod([t[c, s] for t, s in zip(tables, row, strict=True)])
                for c in range(k)
            ]
            for row in every
        ]
    )
    p = joint.sum(1)
    assert abs(p.sum() - 1) < 1e-12
    np.testing.assert_allclose(model.log_prob(every).exp().detach(), p, atol=1e-12)
    some = p > 0
    shares = joint[some] / p[some, None]
    np.testing.assert_allclose(model.posterior(every[some]), shares, atol=1e-12)
    network = model.to_bayesian_network("group")
    rng = np.random.default_rng(seed)
    gappy = np.where(rng.random(every.shape) < 0.4, -1, every)
    for rows in (every, gappy):
        codes = np.column_stack([np.full(len(rows), -1), rows])
        found = network.log_prob(codes)
        torch.testing.assert_close(found, model.log_prob(rows).detach(), atol=1e-12, rtol=1e-9)
    row = gappy[int(np.flatnonzero(some)[0])]
    if model.log_prob(row[None]) > -math.inf:
        seen = {n: int(s) for n, s in zip(STATES, row, strict=True) if s >= 0}
        marginal = network.marginals(seen)["group"]
        torch.testing.assert_close(marginal, model.posterior(row[None])[0], atol=1e-12, rtol=1e-9)


def test_labels_codes_and_columns_are_the_same():
    model = draw(0)
    table = pd.DataFrame(
        {"fever": ["high", None, "none"], "cough": ["yes", "no", None], "tests": [1, 0, -1]}
    )
    codes = [[1, 2, 1], [0, -1, 0], [-1, 0, -1]]
    expected = model.log_prob(codes)
    torch.testing.assert_close(model.log_prob(table), expected)
    torch.testing.assert_close(model.log_prob({n: list(table[n]) for n in table}), expected)
    assert model.states == {"cough": ("no", "yes"), "fever": ("none", "some", "high"), "tests": 2}
    assert model.log_prob([[-1, -1, -1]]).abs().item() < 1e-15


def textbook(model, x, w, prior, weight_prior):
    """One step of EM with loops; the objective before it."""
    weights = model.weights.detach().numpy()
    tables = [t.detach().numpy() for t in model.tables.values()]
    k, objective = len(weights), 0.0
    counts, cells = np.zeros(k), [np.zeros_like(t) for t in tables]
    margins = [np.full(t.shape[1], 1 / t.shape[1]) for t in tables]
    for row, weight in zip(x, w, strict=True):
        joint = weights.copy()
        for j, s in enumerate(row):
            if s >= 0:
                joint = joint * tables[j][:, s]
                margins[j][s] += weight
        objective += weight * math.log(joint.sum())
        share = weight * joint / joint.sum()
        if (row >= 0).any():
            counts += share
        for j, s in enumerate(row):
            if s >= 0:
                cells[j][:, s] += share
    for table, margin in zip(cells, margins, strict=True):
        table += prior * margin / margin.sum()
        table /= table.sum(1, keepdims=True)
    with torch.no_grad():
        total = counts + weight_prior
        model.weights.copy_(torch.from_numpy(total / total.sum()))
        for table, found in zip(model.tables.values(), cells, strict=True):
            table.copy_(torch.from_numpy(found))
    return objective


@pytest.mark.parametrize(("prior", "weight_prior"), [(0.0, 0.0), (2.0, 0.5)])
def test_steps_are_those_of_the_textbook(prior, weight_prior):
    x, w = some_data(3), np.random.default_rng(0).integers(0, 4, 300)
    ours, theirs = draw(5), draw(5)
    ours.fit(x, w, init="current", max_iter=5, tol=0, prior=prior, weight_prior=weight_prior)
    objectives = [textbook(theirs, x, w, prior, weight_prior) for _ in range(5)]
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-10)
    if not prior:
        np.testing.assert_allclose([s["objective"] for s in ours.history], objectives, rtol=1e-11)


def test_equal_rows_are_learned_from_at_once(monkeypatch):
    import pgm.latent_class_model as module

    x = some_data(1)
    at_once = draw(2).fit(x, init="current", max_iter=10, tol=0)
    monkeypatch.setattr(module, "MOST_KEYS", 0)
    one_by_one = draw(2).fit(x, init="current", max_iter=10, tol=0)
    for a, b in zip(at_once.parameters(), one_by_one.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-10)


def test_classes_that_are_there_are_found():
    truth = LatentClassModel(2, {f"x{j}": 2 for j in range(8)})
    with torch.no_grad():
        truth.weights.copy_(torch.tensor([0.3, 0.7]))
        for table in truth.tables.values():
            table.copy_(torch.tensor([[0.9, 0.1], [0.15, 0.85]]))
    x, labels = truth.sample_labelled(3000, generator=0)
    model = LatentClassModel(2, truth.states).fit(x, generator=0, n_init=3)
    agree = (model.predict(x) == labels).double().mean().item()
    assert max(agree, 1 - agree) > 0.97
    best = truth.log_prob(x).sum()
    assert model.converged_ and model.log_prob(x).sum() > best
    assert model.n_parameters == 1 + 2 * 8
    assert model.bic(x) < LatentClassModel(1, truth.states).fit(x).bic(x)


def test_files_keep_everything(tmp_path):
    model = draw(3)
    model.save(tmp_path / "classes.safetensors")
    copy = LatentClassModel.load(tmp_path / "classes.safetensors")
    x = copy.sample(50, generator=0)
    assert x.dtype == torch.int64 and torch.equal(x, model.sample(50, generator=0))
    assert torch.equal(copy.log_prob(x), model.log_prob(x))
    assert copy.states == model.states and repr(copy) == repr(model)


def test_gradients_reach_the_tables():
    model, x = draw(4, zeros=True), some_data(5, 30)
    logs = model.log_prob(x)
    for grad in torch.autograd.grad(logs[logs > -math.inf].sum(), list(model.parameters())):
        assert grad.isfinite().all() and grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda m: m.fit([[0, 0, 0]] * 2), "n_classes must be at most the number of rows"),
        (lambda m: m.fit([[0, 0, -1]] * 9), "X has no entry in column 'tests'"),
        (lambda m: m.fit([[0, 5, 1]]), "fever.*outside|fever"),
        (lambda m: m.fit(pd.DataFrame({"cough": ["no"]})), "no column for 'fever'"),
        (lambda m: m.log_prob({"cough": ["maybe"], "fever": ["none"], "tests": [0]}), "'maybe'"),
        (lambda m: m.fit([[0, 0, 0]] * 9, [0.0] * 9), "sample_weight is zero in every row"),
        (lambda m: m.fit([[0, 0, 0]] * 9, prior=-1.0), "prior must be finite"),
        (lambda m: m.fit(np.zeros((0, 3), dtype=int)), "data has no rows"),
        (lambda m: m.to_bayesian_network("fever"), "class_name 'fever' is the name of a column"),
        (lambda m: LatentClassModel(0, STATES), "n_classes must be at least 1"),
        (lambda m: LatentClassModel(2, {}), "cards must name at least one column"),
    ],
)
def test_refuses(use, message):
    with pytest.raises(ValueError, match=message):
        use(draw(0))
