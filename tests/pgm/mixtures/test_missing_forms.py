"""Layouts and forms of rows with missing entries, against direct computations and each other."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pgm.mixtures.components import log_joint_scores
from pgm.mixtures.missing import MissingRows
from pgm.mixtures.missing_layout import Patterns, present_in, values_in
from pgm.mixtures.missing_patterns import PatternForm
from pgm.mixtures.missing_rows import RowForm
from pgm.mixtures.missing_sweep import PrefixTree, sweep
from pgm.mixtures.moments import Moments, Scores
from tests.pgm.mixtures.components import random_components, random_rows

FULL_TYPES = pytest.mark.parametrize("covariance_type", ("full", "tied"))


def random_scores(rng, n_runs, k, d, covariance_type):
    components = random_components(rng, n_runs, k, d, covariance_type)
    return log_joint_scores(components, covariance_type)


def assert_close(found, expected, tolerance=1e-10):
    for name, one, other in zip(Moments._fields, found, expected, strict=True):
        scale = max(1.0, float(np.abs(np.asarray(other)).max()))
        assert np.abs(np.asarray(one) - np.asarray(other)).max() <= tolerance * scale, name


def by_pattern(x, weights, scores, covariance_type):
    patterns = Patterns.of(~np.isnan(x))
    form = PatternForm.of(x, weights, patterns, tied=covariance_type == "tied")
    return form.expect(scores).moments(scores, covariance_type)


def by_row(x, weights, scores, covariance_type):
    form = RowForm.of(x, weights, Patterns.of(~np.isnan(x)))
    return form.expect(scores).moments(scores, covariance_type)


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_patterns_name_every_row_once(data):
    d = data.draw(st.integers(1, 70))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    present = rng.random((data.draw(st.integers(1, 40)), d)) < rng.random(d) ** 3
    found = Patterns.of(present)
    assert sorted(found.rows.tolist()) == list(range(len(present)))
    assert (np.repeat(found.present, found.counts, axis=0) == present[found.rows]).all()
    as_tuples = [tuple(row) for row in found.present.tolist()]
    assert as_tuples == sorted(set(as_tuples))
    which = rng.random(len(found.counts)) < 0.5
    some = found.select(which)
    assert (some.present == found.present[which]).all()
    assert (np.repeat(some.present, some.counts, axis=0) == present[some.rows]).all()
    assert len(some.rows) == found.counts[which].sum()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_and_what_is_present(dtype):
    x = np.array([[1.0, np.nan], [np.nan, 4.0], [5.0, 6.0]], dtype=dtype)
    rows = np.array([[2, 0], [1, 1]])
    values, present = values_in(x, rows), present_in(x, rows)
    assert values.tolist() == [[[5, 1], [0, 0]], [[6, 0], [4, 4]]]
    assert present.tolist() == [[[1, 1], [0, 0]], [[1, 0], [1, 1]]]
    assert values.dtype == present.dtype == dtype


def test_sweep_inverts():
    rng = np.random.default_rng(0)
    roots = rng.normal(size=(3, 4, 6))
    matrices = roots @ roots.swapaxes(1, 2)
    swept = np.moveaxis(matrices, 0, 2).copy()
    logs = sum(sweep(swept, pivot) for pivot in range(4))
    assert np.abs(np.moveaxis(swept, 2, 0) + np.linalg.inv(matrices)).max() < 1e-11
    assert np.abs(logs - np.linalg.slogdet(matrices)[1]).max() < 1e-12


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_tree_sweeps_every_set(share):
    rng = np.random.default_rng(1)
    d = 5
    table = np.array(list(itertools.product([False, True], repeat=d)))
    table = table[rng.permutation(len(table))[: int(share * len(table))]]
    roots = rng.normal(size=(2, d, d + 2))
    matrices = roots @ roots.swapaxes(1, 2)
    tree, order = PrefixTree.of(table)
    states, logs = tree.sweep(np.moveaxis(matrices, 0, 2))
    assert states.shape == (d, d, 2, len(table))
    for place, which in enumerate(order):
        o, u = table[which], ~table[which]
        for i, c in enumerate(matrices):
            own, found = c[np.ix_(o, o)], states[:, :, i, place]
            slope = c[np.ix_(u, o)] @ np.linalg.inv(own)
            assert np.allclose(found[np.ix_(o, o)], -np.linalg.inv(own), rtol=0, atol=1e-9)
            assert np.allclose(found[np.ix_(u, o)], slope, rtol=0, atol=1e-10)
            assert np.allclose(found[np.ix_(o, u)], slope.T, rtol=0, atol=1e-10)
            rest = c[np.ix_(u, u)] - slope @ c[np.ix_(o, u)]
            assert np.allclose(found[np.ix_(u, u)], rest, rtol=0, atol=1e-10)
            assert logs[i, place] == pytest.approx(np.linalg.slogdet(own)[1], abs=1e-10)


@settings(max_examples=30, deadline=None)
@given(
    counts=st.lists(st.integers(1, 700) | st.sampled_from([4096, 8192, 8200]), max_size=6),
    tied=st.booleans(),
)
def test_every_row_has_its_weight_in_one_piece(counts, tied):
    table = np.array(list(itertools.product([False, True], repeat=3)))[: len(counts)]
    present = np.repeat(table.reshape(len(counts), 3), counts, axis=0)
    rng = np.random.default_rng(len(present))
    x = np.where(present, np.arange(1.0, len(present) + 1)[:, None], np.nan)
    x = x[rng.permutation(len(x))]
    weights = rng.uniform(1, 2, len(x))
    form = PatternForm.of(x, weights, Patterns.of(~np.isnan(x)), tied=tied)
    totals = np.zeros(len(counts))
    padded = 0
    for group in form.groups:
        for tiles in group.tiles:
            np.add.at(totals, tiles.patterns, tiles.weights.sum(1))
            own = group.present[tiles.patterns].T[:, :, None]
            assert ((tiles.x != 0) == (own != 0)).all()
            padded += int((tiles.weights == 0).sum())
    expected = [weights[(~np.isnan(x) == row).all(1)].sum() for row in table[: len(counts)]]
    assert np.allclose(np.sort(totals), np.sort(expected), rtol=1e-12, atol=0)
    assert padded <= 0.5 * sum(counts) + 7 * len(counts)


@FULL_TYPES
def test_forms_agree_on_many_patterns(covariance_type):
    rng = np.random.default_rng(2)
    x = random_rows(rng, 2500, 12, 0.15)
    assert len(Patterns.of(~np.isnan(x)).counts) > 200
    weights = rng.uniform(0.5, 2, len(x))
    scores = random_scores(rng, 2, 3, 12, covariance_type)
    expected = by_row(x, weights, scores, covariance_type)
    assert_close(by_pattern(x, weights, scores, covariance_type), expected)


@FULL_TYPES
def test_more_components_than_are_worked_on_together(covariance_type):
    rng = np.random.default_rng(3)
    x = random_rows(rng, 400, 3, 0.3)
    scores = random_scores(rng, 3, 20, 3, covariance_type)
    expected = by_row(x, None, scores, covariance_type)
    found = by_pattern(x, None, scores, covariance_type)
    assert_close(found, expected)
    for run in range(3):
        alone = Scores(*[part[run : run + 1] for part in scores])
        assert_close(
            [part[run : run + 1] for part in found],
            by_pattern(x, None, alone, covariance_type),
        )


@FULL_TYPES
def test_chosen_forms(covariance_type):
    """Few patterns with many rows have functions of their own; nearly unique ones have none."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=(6000, 6))
    x[:2500, 1] = np.nan
    x[5500:] = random_rows(rng, 500, 6, 0.5)
    scores = random_scores(rng, 1, 2, 6, covariance_type)
    rows = MissingRows.of(x, None, covariance_type)
    patterns, remaining = rows._forms
    assert patterns.groups
    assert_close(rows.expect(scores), by_row(x, None, scores, covariance_type))
    unique = MissingRows.of(random_rows(rng, 300, 20, 0.3), None, covariance_type)
    patterns, remaining = unique._forms
    assert not patterns.groups and remaining.groups


def test_wide_rows_are_completed_one_by_one():
    rng = np.random.default_rng(5)
    x = rng.normal(size=(3000, 45))
    x[:1500, 7] = np.nan
    rows = MissingRows.of(x, None, "full")
    assert not rows._forms[0].groups
    scores = random_scores(rng, 1, 2, 45, "full")
    expected = by_pattern(x, None, scores, "full")
    assert_close(rows.expect(scores), expected, 1e-9)


@FULL_TYPES
def test_tensors_as_arrays(covariance_type):
    rng = np.random.default_rng(6)
    x = random_rows(rng, 600, 4, 0.3)
    weights = rng.uniform(0.5, 2, len(x))
    scores = random_scores(rng, 2, 3, 4, covariance_type)
    tensors = Scores(*[torch.from_numpy(part) for part in scores])
    moved, moved_weights = torch.from_numpy(x), torch.from_numpy(weights)
    patterns, tied = Patterns.of(~np.isnan(x)), covariance_type == "tied"
    form = PatternForm.of(moved, moved_weights, patterns, tied=tied)
    found = form.expect(tensors).moments(tensors, covariance_type)
    assert all(isinstance(part, torch.Tensor) for part in found)
    assert_close(found, by_pattern(x, weights, scores, covariance_type))


@FULL_TYPES
def test_excluded_component_of_patterns(covariance_type):
    rng = np.random.default_rng(7)
    x = random_rows(rng, 400, 3, 0.3)
    scores = random_scores(rng, 1, 3, 3, covariance_type)
    scores.offsets[0, 0] = -np.inf
    found = by_pattern(x, None, scores, covariance_type)
    assert found.counts[0, 0] == 0 and (found.means[0, 0] == 0).all()
    assert_close(found, by_row(x, None, scores, covariance_type))


def test_temporaries_do_not_grow_with_the_rows():
    import tracemalloc

    rng = np.random.default_rng(8)
    peaks = []
    for n in (30_000, 120_000):
        x = random_rows(rng, n, 6, 0.2)
        scores = random_scores(rng, 2, 4, 6, "full")
        rows = MissingRows.of(x, None, "full")
        rows.expect(scores)
        tracemalloc.start()
        rows.expect(scores)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]
    assert peaks[1] < 64 << 20
