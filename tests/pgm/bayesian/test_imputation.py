"""Filled rows and posterior predictive distributions: row by row, in every kind of data."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import chi2

from inference.exact import incomplete_rows
from inference.exact.enumerate import enumerate_states
from pgm import BayesianNetwork
from pgm.classic import asia
from pgm.discrete_data import DiscreteData

NAN = math.nan
STATES = {"rain": ["no", "yes"], "wind": ["none", "some", "storm"], "wet": ["dry", "wet"]}


def rain(states: dict | None = None) -> BayesianNetwork:
    """Three variables; a storm without rain is impossible."""
    return BayesianNetwork(
        [("rain", "wind"), ("wind", "wet"), ("rain", "wet")],
        states or STATES,
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


ROWS = np.array([[-1, 2, -1], [0, -1, 1], [-1, -1, 1], [1, 1, 0], [-1, -1, -1], [0, -1, -1]])
BEST = [[1, 2, 1], [0, 0, 1], [1, 2, 1], [1, 1, 0], [0, 1, 0], [0, 1, 0]]
IMPOSSIBLE = [0, 2, 1]


def labels(codes: np.ndarray) -> pd.DataFrame:
    """Rows as a frame of labels with None for a gap."""
    columns = {}
    for name, column in zip(STATES, np.asarray(codes).T, strict=True):
        columns[name] = [None if code < 0 else STATES[name][code] for code in column]
    return pd.DataFrame(columns)


def gappy_asia(n: int, rate: float) -> np.ndarray:
    rows = asia().sample(n, generator=0).numpy()
    return np.where(np.random.default_rng(0).random(rows.shape) < rate, -1, rows)


def law(net: BayesianNetwork, row: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Joint states that agree with a row, and their probabilities given it."""
    states = enumerate_states(net.vocabulary.cards).numpy()
    agrees = ((np.array(row) < 0) | (states == row)).all(1)
    p = net.log_prob(states[agrees]).exp().numpy()
    return states[agrees], p / p.sum()


# The most probable completion --------------------------------------------------------------------


def test_the_best_completion_is_joint():
    """Cell by cell a wet day would come out as no rain; jointly it rained in a storm."""
    assert rain().impute(ROWS).tolist() == BEST
    alone = rain().posterior_predictive(ROWS)
    assert alone["rain"][2].argmax() == 1 and alone["wind"][1].argmax() == 0


@pytest.mark.parametrize("rate", [0.2, 0.6, 1.0])
def test_most_probable_row_by_row(rate):
    net, rows = asia(), gappy_asia(40, rate)
    filled = net.impute(rows)
    assert filled.dtype == torch.int64 and filled.shape == rows.shape
    assert (filled.numpy()[rows >= 0] == rows[rows >= 0]).all()
    for row, full in zip(rows, filled, strict=True):
        evidence = {n: int(c) for n, c in zip(net.variables, row, strict=True) if c >= 0}
        _, best = net.most_probable(evidence)
        assert net.log_prob(full[None]).item() == pytest.approx(best.item(), rel=1e-12)


def test_rows_may_come_in_chunks(monkeypatch):
    net, rows = asia(), gappy_asia(200, 0.4)
    whole, tables = net.impute(rows), net.posterior_predictive(rows)
    monkeypatch.setattr(incomplete_rows, "ROW_CHUNK", 100)
    assert net.impute(rows).equal(whole)
    for name, table in net.posterior_predictive(rows).items():
        torch.testing.assert_close(table, tables[name], rtol=1e-13, atol=1e-15)


# Draws -------------------------------------------------------------------------------------------


def fits(draws: np.ndarray, states: np.ndarray, p: np.ndarray) -> bool:
    """Pearson's test; a right sampler fails once in a million."""
    counts = np.array([(draws == state).all(1).sum() for state in states])
    assert counts.sum() == len(draws), "a draw changed what was seen"
    if counts[p == 0].any():
        return False
    kept = p > 0
    means = len(draws) * p[kept]
    statistic = ((counts[kept] - means) ** 2 / means).sum()
    return bool(statistic < chi2.isf(1e-6, kept.sum() - 1))


@pytest.mark.parametrize("row", [[-1, -1, -1], [-1, -1, 1], [0, -1, -1], [-1, 1, -1]], ids=str)
def test_draws_have_the_posterior_law(row):
    net = rain()
    draws = net.impute(np.tile(row, (5000, 1)), "sample", generator=1).numpy()
    assert fits(draws, *law(net, row))


def test_cells_drawn_alone_are_rejected():
    net, row = rain(), [-1, -1, 1]
    rng = np.random.default_rng(0)
    tables = net.posterior_predictive([row])
    columns = [rng.choice(table.shape[1], 5000, p=table[0].numpy()) for table in tables.values()]
    assert not fits(np.stack(columns, 1), *law(net, row))


def test_the_seed_decides_and_global_state_is_untouched():
    net, rows = rain(), np.full((50, 3), -1)
    before = torch.get_rng_state()
    first = net.impute(rows, "sample", generator=5)
    assert net.impute(rows, "sample", generator=torch.Generator().manual_seed(5)).equal(first)
    assert not net.impute(rows, "sample", generator=6).equal(first)
    assert not net.impute(rows, "sample").equal(net.impute(rows, "sample"))
    assert torch.get_rng_state().equal(before)
    with pytest.raises(TypeError, match="generator"):
        net.impute(rows, "sample", generator="seed")


# Kinds of data -----------------------------------------------------------------------------------

KINDS = {
    "array": lambda: ROWS,
    "int8": lambda: torch.from_numpy(ROWS).to(torch.int8),
    "NaN": lambda: np.where(ROWS < 0, NAN, ROWS),
    "float tensor": lambda: torch.from_numpy(np.where(ROWS < 0, NAN, ROWS)),
    "lists": lambda: ROWS.tolist(),
    "mapping": lambda: dict(zip(STATES, ROWS.T, strict=True)),
    "read before": lambda: DiscreteData(labels(ROWS), STATES),
}


@pytest.mark.parametrize("kind", KINDS)
def test_codes_come_back_as_codes(kind, device):
    filled = rain().to(device).impute(KINDS[kind]())
    assert isinstance(filled, torch.Tensor) and filled.dtype == torch.int64
    assert filled.device.type == device.type and filled.tolist() == BEST


@pytest.mark.parametrize("dtype", ["str", "object", "category"])
def test_frames_of_labels_come_back_as_they_were(dtype):
    kinds = {name: pd.CategoricalDtype(states) for name, states in STATES.items()}
    frame = labels(ROWS).astype(kinds if dtype == "category" else dtype)
    frame.index = pd.Index([5, 5, 2, 9, 0, 1], name="day")
    frame.insert(1, "note", list("abcdef"))
    before = frame.copy()
    filled = rain().impute(frame)
    pd.testing.assert_frame_equal(frame, before)
    assert list(filled.columns) == ["rain", "note", "wind", "wet"]
    assert filled.index.equals(frame.index) and filled.index.name == "day"
    assert filled["note"].tolist() == list("abcdef")
    expected = labels(np.array(BEST))
    for name in STATES:
        assert filled[name].tolist() == expected[name].tolist()
        assert filled[name].dtype == frame[name].dtype


def test_columns_may_come_in_any_order():
    filled = rain().impute(labels(ROWS)[["wet", "rain", "wind"]])
    pd.testing.assert_frame_equal(filled, labels(np.array(BEST))[["wet", "rain", "wind"]])


@pytest.mark.parametrize("dtype", ["int64", "float64", "Int64"])
def test_frames_of_numbered_states(dtype):
    net = rain({"rain": 2, "wind": 3, "wet": 2})
    gap = -1 if dtype == "int64" else NAN if dtype == "float64" else pd.NA
    frame = pd.DataFrame(np.where(ROWS < 0, gap, ROWS), columns=list(STATES)).astype(dtype)
    filled = net.impute(frame)
    assert filled.to_numpy().astype(int).tolist() == BEST


def test_categories_that_lack_the_missing_state():
    """A gap whose best state no other row shows: it is filled nevertheless."""
    frame = pd.DataFrame({"rain": ["no", None], "wind": ["none", "storm"], "wet": ["dry", "wet"]})
    filled = rain().impute(frame.astype("category"))
    assert filled["rain"].tolist() == ["no", "yes"]
    assert filled["rain"].dtype.name == "category"


@pytest.mark.parametrize("dtype", ["int64", "Int64", "category"])
def test_codes_of_labelled_states_stay_codes(dtype):
    """Observed cells come back unchanged, whether or not their column has a gap."""
    frame = pd.DataFrame(ROWS, columns=list(STATES))
    if dtype != "int64":
        frame = frame.astype("Int64").mask(ROWS < 0).astype(dtype)
    filled = rain().impute(frame)
    for v, name in enumerate(STATES):
        seen = ROWS[:, v] >= 0
        assert filled[name][seen].tolist() == ROWS[seen, v].tolist()


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32"])
def test_narrow_columns_are_filled_and_stay_narrow(dtype):
    filled = rain().impute(pd.DataFrame(ROWS, columns=list(STATES)).astype(dtype))
    assert filled.to_numpy().tolist() == BEST
    assert [column.dtype.name for _, column in filled.items()] == [dtype] * 3


def test_a_state_that_a_narrow_column_cannot_hold_widens_it():
    net = BayesianNetwork([], {"a": 300}, {"a": [1 / 600] * 299 + [301 / 600]})
    assert net.impute(pd.DataFrame({"a": [-1, 5]}, dtype="int8"))["a"].tolist() == [299, 5]


@pytest.mark.parametrize("dtype", ["boolean", "object", "category"])
@pytest.mark.parametrize("seen", [True, False])
def test_gaps_of_booleans_are_filled_with_booleans(dtype, seen):
    net = BayesianNetwork([], {"sun": ["no", "yes"]}, {"sun": [0.4, 0.6]})
    column = pd.Series([None, False] if seen else [None, None], dtype=object)
    if dtype != "object":
        column = column.astype(dtype)
    filled = net.impute(pd.DataFrame({"sun": column}))["sun"]
    if seen or dtype == "boolean":
        assert filled[0] is True or filled[0] is np.True_
    else:
        assert filled.tolist() == ["yes", "yes"]


def test_a_third_state_does_not_become_a_boolean():
    net = BayesianNetwork([], {"a": 3}, {"a": [0.2, 0.1, 0.7]})
    frame = pd.DataFrame({"a": pd.array([True, None], dtype="boolean")})
    assert net.impute(frame)["a"].tolist() == [True, 2]


def test_nothing_to_fill():
    assert rain().impute(np.zeros((0, 3), int)).shape == (0, 3)
    assert rain().impute([[1, 1, 0]]).tolist() == [[1, 1, 0]]
    full = labels(np.array(BEST))
    pd.testing.assert_frame_equal(rain().impute(full), full)
    empty = rain().impute(labels(ROWS).iloc[:0])
    assert empty.shape == (0, 3) and list(empty.columns) == list(STATES)


def test_rows_of_no_variables_stay_rows():
    assert BayesianNetwork([], {}).impute(np.zeros((2, 0))).shape == (2, 0)
    assert BayesianNetwork([], {}).posterior_predictive(np.zeros((2, 0))) == {}


def test_single_states_are_filled():
    net = BayesianNetwork([("one", "b")], {"one": 1, "b": 2}, {"one": [1.0], "b": [[0.3, 0.7]]})
    assert net.impute([[-1, -1], [0, -1], [-1, 0]]).tolist() == [[0, 1], [0, 1], [0, 0]]
    assert net.posterior_predictive([[-1, 0]])["one"].tolist() == [[1.0]]


# Posterior predictive ----------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [0.0, 0.3, 1.0])
def test_predictions_are_the_marginals_of_every_row(rate):
    net, rows = asia(), gappy_asia(40, rate)
    tables = net.posterior_predictive(rows)
    assert list(tables) == list(net.variables)
    for i, row in enumerate(rows):
        evidence = {n: int(c) for n, c in zip(net.variables, row, strict=True) if c >= 0}
        for name, marginal in net.marginals(evidence).items():
            torch.testing.assert_close(tables[name][i], marginal, rtol=1e-12, atol=1e-14)
    for v, name in enumerate(net.variables):
        seen = rows[:, v] >= 0
        one_hot = np.eye(2)[rows[seen, v]]
        assert (tables[name].numpy()[seen] == one_hot).all()


def test_predictions_of_some_variables():
    net = rain()
    full = net.posterior_predictive(labels(ROWS))
    some = net.posterior_predictive(labels(ROWS), ["wet", "rain"])
    assert list(some) == ["wet", "rain"]
    assert all(some[name].equal(full[name]) for name in some)
    assert list(net.posterior_predictive(ROWS, [])) == []
    assert net.posterior_predictive(np.zeros((0, 3), int))["wind"].shape == (0, 3)
    with pytest.raises(ValueError, match="'fog'"):
        net.posterior_predictive(ROWS, ["fog"])


def test_impossible_rows_predict_nothing():
    rows = np.array([[-1, 1, -1], [0, 2, -1], IMPOSSIBLE, [1, 2, -1]])
    for table in rain().posterior_predictive(rows).values():
        assert table.isnan().all(1).tolist() == [False, True, True, False]


def test_posterior_means_predict_the_next_row():
    """The parameters integrated out: (N + a) / (N_j + sum a), by Monte Carlo over them.

    Six standard errors of 4000 draws from the posterior.
    """
    net = BayesianNetwork([("x", "y")], {"x": 2, "y": 3})
    data = [[0, 0], [0, 1], [1, 2], [0, 0], [1, 0]]
    net.fit(data, prior=0.7)
    found = net.posterior_predictive([[0, -1]])["y"][0]
    posterior = net.parameter_posterior(data, 0.7)
    alpha = posterior["y"].concentration[0].numpy()
    draws = np.random.default_rng(0).dirichlet(alpha, 4000)
    bound = 6 * draws.std(0) / math.sqrt(4000)
    assert (np.abs(draws.mean(0) - found.numpy()) < bound).all()


# Likelihoods of rows with gaps -------------------------------------------------------------------


@pytest.mark.parametrize("rate", [0.05, 0.4, 1.0])
@pytest.mark.parametrize("gradient", [False, True])
def test_log_prob_sums_over_the_gaps(rate, gradient):
    net, rows = asia(), gappy_asia(60, rate)
    rows[3, :7] = [0, 0, 0, 0, 0, 1, 0]
    states = enumerate_states(net.vocabulary.cards).numpy()
    joint = net.log_prob(states).exp().numpy()
    with np.errstate(divide="ignore"):
        expected = np.log(((rows[:, None] < 0) | (rows[:, None] == states)).all(-1) @ joint)
    assert expected[3] == -math.inf
    net.values.requires_grad_(gradient)
    frame = pd.DataFrame(rows, columns=list(net.variables))
    for x in (rows, frame, DiscreteData(rows, net.vocabulary)):
        found = net.log_prob(x)
        assert found.requires_grad is gradient
        np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-12, atol=1e-13)


# New numbers -------------------------------------------------------------------------------------


def test_new_numbers_are_seen(dtype):
    net = rain().to(dtype)
    net.impute(ROWS)
    with torch.no_grad():
        net.table("rain").copy_(torch.tensor([0.0, 1.0]))
    assert net.impute([[-1, -1, -1]])[0, 0] == 1
    assert net.posterior_predictive([[-1, -1, -1]])["rain"].tolist() == [[0.0, 1.0]]


# Refusals ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["most-probable", "sample"])
@pytest.mark.parametrize("kind", ["codes", "labels"])
def test_an_impossible_row_is_named(method, kind):
    rows = np.concatenate([ROWS, [IMPOSSIBLE], ROWS])
    data = rows if kind == "codes" else labels(rows)
    with pytest.raises(ValueError, match=r"row 6\b.*probability zero"):
        rain().impute(data, method)
    # Impossible with gaps, too: a storm without rain.
    with pytest.raises(ValueError, match=r"row 1\b"):
        rain().impute([[-1, -1, -1], [0, 2, -1]], method)


@pytest.mark.parametrize("method", ["mode", "", None, "most_probable"])
def test_unknown_methods_are_named(method):
    with pytest.raises(ValueError, match="method must be"):
        rain().impute(ROWS, method)


@pytest.mark.parametrize(
    ("x", "named"),
    [
        ([[0, 3, -1]], "x.*'wind'"),
        ([[0, 1]], "x.*shape"),
        (pd.DataFrame({"rain": ["no"], "wind": ["gale"], "wet": [None]}), "x.*'wind'.*'gale'"),
        (pd.DataFrame({"rain": ["no"], "wind": [None]}), "x.*'wet'"),
    ],
)
def test_bad_rows_are_named(x, named):
    for call in (rain().impute, rain().posterior_predictive):
        with pytest.raises(ValueError, match=named):
            call(x)


def test_what_does_not_fit_is_refused():
    names = [f"v{i}" for i in range(30)]
    edges = [(a, b) for i, b in enumerate(names) for a in names[max(0, i - 6) : i]]
    net = BayesianNetwork(edges, dict.fromkeys(names, 2), memory_limit=1000)
    for call in (net.impute, net.posterior_predictive, net.fit):
        with pytest.raises(ValueError, match="memory_limit"):
            call(np.full((2, 30), -1))
