"""Tables from complete rows: counted by hand, in every kind of data, under every prior."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pgm import BayesianNetwork
from pgm.classic import asia
from pgm.discrete_data import DiscreteData
from pgm.parameters.priors import BDeu

STATES = {"rain": ["no", "yes"], "wind": ["none", "some", "storm"], "wet": ["dry", "wet"]}
EDGES = [("rain", "wind"), ("wind", "wet"), ("rain", "wet")]
CODES = np.array(
    [[0, 0, 0], [0, 0, 0], [0, 1, 1], [0, 1, 0], [1, 2, 1], [1, 2, 1], [1, 0, 1], [0, 0, 1]]
)
WIND = [[3 / 5, 2 / 5, 0.0], [1 / 3, 0.0, 2 / 3]]


def rain() -> BayesianNetwork:
    return BayesianNetwork(EDGES, STATES)


def counted(net: BayesianNetwork, codes: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Weighted counts of every table's cells, row by row."""
    place = {name: i for i, name in enumerate(net.variables)}
    counts = {name: np.zeros(tuple(net.table(name).shape)) for name in net.variables}
    for row, weight in zip(codes, weights, strict=True):
        for name in net.variables:
            scope = [*net.parents(name), name]
            counts[name][tuple(row[[place[v] for v in scope]])] += weight
    return counts


def normalised(counts: np.ndarray) -> np.ndarray:
    sums = counts.sum(-1, keepdims=True)
    return np.where(sums > 0, counts / np.where(sums > 0, sums, 1), 1 / counts.shape[-1])


def likelihood_of(net: BayesianNetwork, codes: np.ndarray, weights: np.ndarray) -> float:
    """Weighted log-likelihood; rows of weight zero may be impossible."""
    kept = weights > 0
    return float(weights[kept] @ net.log_prob(codes[kept]).numpy())


@st.composite
def samples(draw: st.DrawFn) -> tuple[BayesianNetwork, np.ndarray, np.ndarray]:
    """A network of up to five variables, rows (few or many) and weights."""
    cards = draw(st.lists(st.sampled_from([1, 2, 3, 4]), min_size=1, max_size=5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = draw(st.sampled_from([1, 2, 5, 60]))
    names = [f"v{i}" for i in range(len(cards))]
    pairs = list(itertools.combinations(rng.permutation(names).tolist(), 2))
    edges = [pair for pair in pairs if rng.random() < 0.5]
    net = BayesianNetwork(edges, dict(zip(names, cards, strict=True)))
    codes = np.stack([rng.integers(card, size=n) for card in cards], axis=1)
    if rng.random() < 0.3:
        codes[:, 0] = codes[0, 0]
    weights = rng.gamma(1.0, size=n) * (rng.random(n) < 0.7)
    weights[0] += 0.1
    return net, codes, weights


# Maximum likelihood ------------------------------------------------------------------------------


@settings(max_examples=60)
@given(samples(), st.booleans())
def test_tables_are_relative_frequencies(sample, weighted):
    net, codes, weights = sample
    if not weighted:
        weights = np.ones(len(codes))
    assert net.fit(codes, sample_weight=weights if weighted else None) is net
    unseen = 0
    for name, counts in counted(net, codes, weights).items():
        np.testing.assert_allclose(net.table(name).numpy(), normalised(counts), rtol=1e-12)
        unseen += int((counts.sum(-1) == 0).sum())
    assert len(net.history) == 1 and net.history[-1]["unseen_rows"] == unseen
    likelihood = likelihood_of(net, codes, weights)
    assert net.history[-1]["log_likelihood"] == pytest.approx(likelihood, rel=1e-12, abs=1e-12)


@settings(max_examples=40)
@given(samples(), st.integers(0, 2**32 - 1))
def test_no_other_tables_are_as_likely(sample, seed):
    net, codes, weights = sample
    net.fit(codes, sample_weight=weights)
    best = likelihood_of(net, codes, weights)
    rng = np.random.default_rng(seed)
    for step in (1e-3, 0.1, 1.0):
        tables = {}
        for name in net.variables:
            table = net.table(name).numpy()
            other = rng.dirichlet(np.ones(table.shape[-1]), table.shape[:-1])
            tables[name] = (1 - step) * table + step * other
        states = dict(zip(net.variables, net.vocabulary.cards, strict=True))
        moved = BayesianNetwork(net.edges, states, tables)
        assert likelihood_of(moved, codes, weights) <= best + 1e-9 * (1 + abs(best))


@settings(max_examples=30)
@given(samples())
def test_log_prob_is_the_product_of_the_tables(sample):
    net, codes, weights = sample
    net.fit(codes, 0.5, weights)
    place = {name: i for i, name in enumerate(net.variables)}
    expected = [
        math.prod(
            net.table(name)[tuple(row[[place[v] for v in (*net.parents(name), name)]])].item()
            for name in net.variables
        )
        for row in codes
    ]
    np.testing.assert_allclose(net.log_prob(codes).exp().numpy(), expected, rtol=1e-12)
    rows = DiscreteData(codes, net.vocabulary)
    assert net.log_prob(rows).equal(net.log_prob(codes))


# Kinds of data -----------------------------------------------------------------------------------


def labelled() -> pd.DataFrame:
    columns = zip(STATES, CODES.T, strict=True)
    return pd.DataFrame({name: [STATES[name][code] for code in c] for name, c in columns})


KINDS = {
    "int64 tensor": lambda: torch.from_numpy(CODES),
    "int8 tensor": lambda: torch.from_numpy(CODES).to(torch.int8),
    "float tensor": lambda: torch.from_numpy(CODES).float(),
    "array": lambda: CODES,
    "lists": CODES.tolist,
    "labels": labelled,
    "labels in other columns": lambda: labelled()[["wet", "rain", "wind"]].assign(extra="x"),
    "categories": lambda: labelled().astype("category"),
    "codes in a frame": lambda: pd.DataFrame(CODES, columns=list(STATES)),
    "booleans": lambda: labelled().assign(rain=CODES[:, 0] == 1, wet=CODES[:, 2] == 1),
    "mapping": lambda: {"wet": CODES[:, 2], "wind": labelled()["wind"], "rain": CODES[:, 0]},
    "read before": lambda: DiscreteData(labelled(), STATES),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_data_gives_the_same_tables(kind):
    net = rain().fit(KINDS[kind]())
    assert net.table("rain").tolist() == [5 / 8, 3 / 8]
    np.testing.assert_allclose(net.table("wind").numpy(), WIND, rtol=1e-15)
    assert net.table("wet")[:, 0].tolist() == [[2 / 3, 1 / 3], [0.5, 0.5], [0.5, 0.5]]
    assert net.values.equal(rain().fit(CODES).values)


def test_weights_count_as_repeated_rows():
    weights = [2, 0, 1, 3, 1, 0, 2, 1]
    repeated = rain().fit(np.repeat(CODES, weights, axis=0), prior=0.5)
    for data in (CODES, DiscreteData(CODES, STATES), labelled()):
        weighted = rain().fit(data, 0.5, weights)
        torch.testing.assert_close(weighted.values, repeated.values, rtol=1e-14, atol=0)
    carried = rain().fit(DiscreteData(CODES, STATES, weights), 0.5)
    assert carried.values.equal(rain().fit(CODES, 0.5, weights).values)
    scaled = rain().fit(CODES, sample_weight=[1e-3 * w for w in weights])
    plain = rain().fit(CODES, sample_weight=weights)
    torch.testing.assert_close(scaled.values, plain.values, rtol=1e-13, atol=0)


def test_the_order_of_rows_does_not_matter():
    rng = np.random.default_rng(0)
    order = rng.permutation(8)
    assert rain().fit(CODES[order]).values.equal(rain().fit(CODES).values)
    weights = rng.gamma(1.0, size=8)
    one, other = rain().fit(CODES, 1.0, weights), rain().fit(CODES[order], 1.0, weights[order])
    torch.testing.assert_close(one.values, other.values, rtol=1e-14, atol=0)


def test_em_and_gradient_agree_with_counting():
    counts = rain().fit(CODES, prior=1.0)
    em = rain().fit(CODES, prior=1.0, method="em")
    assert len(em.history) == 3, "complete rows are counted in one step; the last ones stand still"
    torch.testing.assert_close(em.values, counts.values, rtol=1e-13, atol=0)
    gradient = rain().fit(CODES, prior=1.0, method="gradient", tolerance=1e-14)
    torch.testing.assert_close(gradient.values, counts.values, rtol=1e-5, atol=1e-6)
    assert counts.values.equal(rain().fit(CODES, prior=1.0, method="counts").values)


# Priors ------------------------------------------------------------------------------------------

PRIORS = {
    "a number": (2.0, {name: 2.0 for name in STATES}),
    "BDeu": (BDeu(12.0), {"rain": 6.0, "wind": 2.0, "wet": 1.0}),
    "by name": (
        {"wind": [[1.0, 2.0, 3.0]], "wet": np.full((3, 2, 2), 0.5)},
        {"rain": 0.0, "wind": np.array([1.0, 2.0, 3.0]), "wet": 0.5},
    ),
}


@pytest.mark.parametrize("kind", PRIORS)
def test_posterior_means(kind):
    prior, added = PRIORS[kind]
    net = rain().fit(CODES, prior=prior)
    for name, counts in counted(net, CODES, np.ones(8)).items():
        np.testing.assert_allclose(
            net.table(name).numpy(), normalised(counts + added[name]), rtol=1e-14
        )


def test_modes():
    """(N + a - 1) / sum, which torch's Dirichlet knows too."""
    prior = {"rain": [1.0, 3.0], "wind": 1.5, "wet": 2.0}
    net = rain().fit(CODES, prior=prior, estimate="map")
    posterior = rain().parameter_posterior(CODES, prior)
    for name, counts in counted(net, CODES, np.ones(8)).items():
        expected = normalised(counts + np.array(prior[name]) - 1)
        np.testing.assert_allclose(net.table(name).numpy(), expected, rtol=1e-14)
        torch.testing.assert_close(net.table(name), posterior[name].mode)
    mean = rain().fit(CODES, prior=prior, estimate="mean")
    assert not mean.table("wet").allclose(net.table("wet"))
    likelihood = rain().fit(CODES, prior=1.0, estimate="map")
    assert likelihood.values.equal(rain().fit(CODES).values), "a flat prior's mode"


def test_the_posterior_and_its_mean():
    posterior = rain().parameter_posterior(CODES, 0.5)
    assert set(posterior) == set(STATES)
    net = rain().fit(CODES, prior=0.5, estimate="mean")
    for name, law in posterior.items():
        assert law.concentration.shape == net.table(name).shape
        torch.testing.assert_close(law.mean, net.table(name))
    assert posterior["rain"].concentration.tolist() == [5.5, 3.5]
    weighted = rain().parameter_posterior(CODES, sample_weight=np.full(8, 0.5))
    assert weighted["rain"].concentration.tolist() == [3.5, 2.5], "one is added by default"


def test_the_posterior_of_no_rows_is_the_prior():
    posterior = rain().parameter_posterior(np.zeros((0, 3), int), BDeu(12.0))
    assert posterior["wet"].concentration.eq(1.0).all()


def test_a_posterior_needs_complete_rows_and_positive_counts():
    gap = CODES.copy()
    gap[3, 1] = -1
    with pytest.raises(ValueError, match=r"'wind' has 1 missing"):
        rain().parameter_posterior(gap)
    with pytest.raises(ValueError, match="prior"):
        rain().parameter_posterior(CODES, prior=0.0)
    with pytest.raises(ValueError, match="sample_weight"):
        rain().parameter_posterior(CODES, sample_weight=[1.0])


# Little data -------------------------------------------------------------------------------------


def test_fewer_rows_than_parameters():
    net = asia().fit(asia().sample(3, generator=0))
    assert net.n_parameters == 18
    for name in net.variables:
        torch.testing.assert_close(net.table(name).sum(-1), torch.ones(()).expand(
            net.table(name).shape[:-1]
        ).double())  # fmt: skip
    assert net.history[-1]["unseen_rows"] > 0


def test_parents_never_seen_give_uniform_rows():
    net = rain().fit(CODES[:1])
    assert net.history[-1]["unseen_rows"] == 1 + 5
    assert net.table("rain").tolist() == [1.0, 0.0]
    assert net.table("wind")[0].tolist() == [1.0, 0.0, 0.0]
    assert net.table("wind")[1].tolist() == [1 / 3] * 3
    assert net.table("wet")[0, 0].tolist() == [1.0, 0.0]
    assert net.table("wet")[2, 1].tolist() == [0.5, 0.5]
    assert rain().fit(CODES[:1], prior=0.1).history[-1]["unseen_rows"] == 0


def test_constant_columns_and_single_states():
    net = BayesianNetwork([("one", "b"), ("b", "c")], {"one": 1, "b": 2, "c": 2})
    net.fit([[0, 1, 0], [0, 1, 1], [0, 1, 1]])
    assert net.table("one").tolist() == [1.0] and net.table("b").tolist() == [[0.0, 1.0]]
    np.testing.assert_allclose(net.table("c").numpy(), [[0.5, 0.5], [1 / 3, 2 / 3]])
    assert net.log_prob([[0, 0, 0]]).item() == -math.inf
    wide = BayesianNetwork([("one", "b")], {"one": 1, "b": 65536})
    assert wide.fit([[0, 65535], [0, 0]]).table("b")[0, [0, 65535]].tolist() == [0.5, 0.5]


def test_a_network_without_variables():
    net = BayesianNetwork([], {}).fit(np.zeros((2, 0)))
    assert net.history == [{"log_likelihood": 0.0, "objective": 0.0, "unseen_rows": 0}]
    assert BayesianNetwork([], {}).parameter_posterior(np.zeros((2, 0))) == {}


def test_numbers_are_written_in_place_and_seen_everywhere(device, dtype):
    net = rain().to(device=device, dtype=dtype)
    view, before = net.table("rain"), net.values
    net.fit(CODES)
    assert net.values is before and net.values.dtype == dtype
    assert net.values.device.type == device.type and not net.values.requires_grad
    assert view.tolist() == [5 / 8, 3 / 8], "a view taken before shows the new numbers"
    assert net.marginals()["rain"].tolist() == pytest.approx([5 / 8, 3 / 8], rel=1e-6)
    for law in net.parameter_posterior(CODES).values():
        assert law.concentration.device.type == device.type


# Refusals ----------------------------------------------------------------------------------------

BAD = {
    "no rows": (np.zeros((0, 3), int), {}, ValueError, "no rows"),
    "no weight": (CODES, {"sample_weight": np.zeros(8)}, ValueError, "sample_weight"),
    "few weights": (CODES, {"sample_weight": [1.0]}, ValueError, "sample_weight"),
    "negative weight": (CODES, {"sample_weight": [-1.0, *[1.0] * 7]}, ValueError, "sample_weight"),
    "NaN weight": (CODES, {"sample_weight": [math.nan] * 8}, ValueError, "sample_weight"),
    "unknown label": (labelled().replace("storm", "gale"), {}, ValueError, "'wind'.*'gale'"),
    "code out of range": (CODES + 1, {}, ValueError, "data.*2"),
    "wrong width": (CODES[:, :2], {}, ValueError, "shape"),
    "missing column": (labelled()[["rain", "wet"]], {}, ValueError, "'wind'"),
    "column twice": (labelled()[["rain", "wet", "wind", "wet"]], {}, ValueError, "'wet'"),
    "negative prior": (CODES, {"prior": -0.1}, ValueError, "prior"),
    "bool prior": (CODES, {"prior": True}, TypeError, "prior"),
    "named prior": (CODES, {"prior": "bdeu"}, TypeError, "prior"),
    "unknown prior": (CODES, {"prior": {"fog": 1.0}}, ValueError, "prior.*'fog'"),
    "misshapen prior": (CODES, {"prior": {"wet": np.ones((2, 3, 2))}}, ValueError, "prior.*'wet'"),
    "no mode": (CODES, {"prior": 0.5, "estimate": "map"}, ValueError, "map"),
    "unknown estimate": (CODES, {"estimate": "median"}, ValueError, "estimate"),
    "unknown method": (CODES, {"method": "gibbs"}, ValueError, "method"),
    "n_init 0": (CODES, {"n_init": 0}, ValueError, "n_init"),
    "n_init half": (CODES, {"n_init": 1.5}, TypeError, "n_init"),
    "n_init bool": (CODES, {"n_init": True}, TypeError, "n_init"),
    "unknown init": (CODES, {"init": "somewhere"}, ValueError, "init"),
    "max_iterations 0": (CODES, {"max_iterations": 0}, ValueError, "max_iterations"),
    "tolerance -1": (CODES, {"tolerance": -1.0}, ValueError, "tolerance"),
    "progress": (CODES, {"progress": "yes"}, TypeError, "progress"),
    "generator": (CODES, {"generator": "seed"}, TypeError, "generator"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_refused_leaves_the_tables_alone(case):
    data, options, error, named = BAD[case]
    net = rain().fit(CODES)
    before, history = net.values.clone(), net.history
    with pytest.raises(error, match=named):
        net.fit(data, **options)
    assert net.values.equal(before) and net.history is history


def test_whole_numbers_of_numpy_are_whole_numbers():
    one = rain().fit(CODES, method="em", n_init=np.int64(2), generator=0)
    other = rain().fit(CODES, method="em", n_init=2, generator=0)
    assert one.values.equal(other.values)
