"""Pseudo-counts in every form, and the step from counts to tables."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.exact.structure import Structure
from pgm.parameters.estimates import TableRows, added_counts
from pgm.parameters.priors import BDeu, pseudo_counts

# a (2 states), b (3) given a, c (1 state) given b.
NAMES = ("a", "b", "c")
PAIR = Structure((2, 3, 1), ((0,), (0, 1), (1, 2)), (0, 1, 2))
EMPTY = Structure((), (), ())


def parts(flat: np.ndarray) -> list[list[float]]:
    """One list per table."""
    return [flat[start:stop].tolist() for start, stop in pairwise(PAIR.offsets)]


# Priors ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prior", [0, 0.0, 2, 0.5, np.float32(0.5), np.int64(3)])
def test_a_number_is_for_every_cell(prior):
    assert pseudo_counts(prior, PAIR, NAMES).tolist() == [float(prior)] * 11


def test_bdeu_spreads_its_weight_over_every_table():
    """alpha / (parent configurations x states): the tables weigh the same."""
    found = parts(pseudo_counts(BDeu(6.0), PAIR, NAMES))
    assert found == [[3.0] * 2, [1.0] * 6, [2.0] * 3]
    assert [sum(table) for table in found] == [6.0] * 3
    assert BDeu().equivalent_sample_size == 10.0


def test_a_prior_by_name():
    table = np.arange(6.0).reshape(2, 3)
    for make in (np.array, torch.tensor, lambda t: t.tolist()):
        assert parts(pseudo_counts({"b": make(table)}, PAIR, NAMES)) == [
            [0.0] * 2, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0], [0.0] * 3
        ]  # fmt: skip
    broadcast = {"b": [1.0, 2.0, 3.0], "a": 7, "c": torch.tensor(0.5)}
    assert parts(pseudo_counts(broadcast, PAIR, NAMES)) == [
        [7.0, 7.0], [1.0, 2.0, 3.0, 1.0, 2.0, 3.0], [0.5] * 3
    ]  # fmt: skip
    per_parent = parts(pseudo_counts({"b": [[1.0], [2.0]]}, PAIR, NAMES))
    assert per_parent[1] == [1.0, 1.0, 1.0, 2.0, 2.0, 2.0]
    assert not pseudo_counts({}, PAIR, NAMES).any()


def test_priors_of_no_variables():
    for prior in (1.0, BDeu(), {}):
        assert pseudo_counts(prior, EMPTY, ()).shape == (0,)


@pytest.mark.parametrize(
    ("prior", "error", "named"),
    [
        (-1.0, ValueError, "prior"),
        (math.nan, ValueError, "prior"),
        (math.inf, ValueError, "prior"),
        (True, TypeError, "prior.*bool"),
        (np.True_, TypeError, "prior.*bool"),
        ("bdeu", TypeError, "prior.*BDeu.*str"),
        (None, TypeError, "prior.*NoneType"),
        (BDeu, TypeError, "prior"),
        ([1.0, 1.0], TypeError, "prior.*list"),
        (np.ones(2), TypeError, "prior.*ndarray"),
        ({"d": 1.0}, ValueError, "prior.*'d'"),
        ({0: 1.0}, ValueError, "prior.*0"),
        ({"b": np.ones((3, 2))}, ValueError, r"prior\['b'\].*\(2, 3\).*\(3, 2\)"),
        ({"b": np.ones((1, 2, 3))}, ValueError, r"prior\['b'\].*\(2, 3\)"),
        ({"a": [1.0, -0.5]}, ValueError, r"prior\['a'\]"),
        ({"a": [1.0, math.nan]}, ValueError, r"prior\['a'\]"),
        ({"a": [1.0, math.inf]}, ValueError, r"prior\['a'\]"),
        ({"a": "many"}, ValueError, r"prior\['a'\]"),
        ({"b": [[1.0, 1.0, 1.0], [1.0]]}, ValueError, r"prior\['b'\]"),
    ],
)
def test_bad_priors_are_named(prior, error, named):
    with pytest.raises(error, match=named):
        pseudo_counts(prior, PAIR, NAMES)


@pytest.mark.parametrize("size", [0.0, -1.0, math.inf, math.nan])
def test_bad_sample_sizes_are_named(size):
    with pytest.raises(ValueError, match="equivalent_sample_size"):
        BDeu(size)


# Estimates ---------------------------------------------------------------------------------------


@settings(max_examples=100)
@given(st.lists(st.sampled_from([0.0, 0.5, 1.0, 3.0, 1e-300, 1e300]), min_size=11, max_size=11))
def test_rows_are_divided_by_their_sums(counts):
    values, unseen = TableRows(PAIR).estimate(np.array(counts))
    empty = 0
    for shape, table, found in zip(
        PAIR.shapes, parts(np.array(counts)), parts(values), strict=True
    ):
        rows = zip(
            np.reshape(table, (-1, shape[-1])), np.reshape(found, (-1, shape[-1])), strict=True
        )
        for row, got in rows:
            empty += not row.any()
            expected = row / row.sum() if row.any() else np.full(len(row), 1 / len(row))
            np.testing.assert_allclose(got, expected, rtol=1e-15)
    assert unseen == empty


def test_sums_and_their_spread():
    rows = TableRows(PAIR)
    counts = np.arange(11.0)
    assert rows.lengths.tolist() == [2, 3, 3, 1, 1, 1]
    assert rows.sums(counts).tolist() == [1.0, 9.0, 18.0, 8.0, 9.0, 10.0]
    assert rows.spread(np.arange(6.0)).tolist() == [0, 0, 1, 1, 1, 2, 2, 2, 3, 4, 5]


def test_estimates_do_not_change_the_counts():
    counts = np.array([0.0, 0.0, 1, 2, 3, 0, 0, 0, 1, 1, 1])
    before = counts.copy()
    TableRows(PAIR).estimate(counts)
    assert (counts == before).all()


def test_no_tables():
    values, unseen = TableRows(EMPTY).estimate(np.zeros(0))
    assert values.shape == (0,) and unseen == 0
    assert TableRows(EMPTY).random(np.random.default_rng(0)).shape == (0,)


def test_random_rows_are_uniform_over_the_simplex():
    """Kolmogorov-Smirnov: a share of three has the law 1 - (1 - x)^2; false alarms 1e-6."""
    wide = Structure((2000, 3), ((0,), (0, 1)), (0, 1))
    values = TableRows(wide).random(np.random.default_rng(0))
    table = values[2000:].reshape(2000, 3)
    assert values[:2000].sum() == pytest.approx(1.0)
    np.testing.assert_allclose(table.sum(1), 1.0, rtol=1e-14)
    bound = math.sqrt(math.log(2 * 3 / 1e-6) / 2 / 2000)
    steps = np.arange(2001) / 2000

    def distance(law: np.ndarray) -> float:
        return max(np.abs(law - steps[1:]).max(), np.abs(law - steps[:-1]).max())

    for share in table.T:
        ordered = np.sort(share)
        assert distance(1 - (1 - ordered) ** 2) < bound
    normalised = np.random.default_rng(0).random((2000, 3))
    normalised = np.sort((normalised / normalised.sum(1, keepdims=True))[:, 0])
    assert distance(1 - (1 - normalised) ** 2) > bound, "uniform numbers divided by their sum"


def test_what_an_estimate_adds():
    pseudo = np.array([1.0, 2.5, 1.0])
    assert added_counts(pseudo, "mean").tolist() == [1.0, 2.5, 1.0]
    assert added_counts(pseudo, "map").tolist() == [0.0, 1.5, 0.0]
    assert added_counts(np.zeros(0), "map").shape == (0,)
    assert pseudo.tolist() == [1.0, 2.5, 1.0]


@pytest.mark.parametrize("pseudo", [[0.0, 1.0], [0.999, 3.0]])
def test_there_is_no_mode_below_one(pseudo):
    with pytest.raises(ValueError, match=r"estimate='map'.*at least 1"):
        added_counts(np.array(pseudo), "map")
    assert added_counts(np.array(pseudo), "mean").tolist() == pseudo


@pytest.mark.parametrize("estimate", ["mode", "MAP", "", None, 1])
def test_unknown_estimates_are_named(estimate):
    with pytest.raises(ValueError, match="estimate must be"):
        added_counts(np.ones(2), estimate)
