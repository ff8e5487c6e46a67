"""K-means: scikit-learn's inertia from the same centres, rounds by brute force, starts, errors."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

from inference.learning import kmeans
from inference.learning.kmeans import k_means, random_rows, run_rounds, scattered_rows
from inference.learning.lloyd import Lloyd
from inference.learning.points import Points, draw_rows
from inference.random import as_generator

INF = math.inf


def clusters(n, d, k, seed=0):
    draws = np.random.default_rng(seed)
    return draws.normal(size=(k, d))[draws.integers(k, size=n)] * 3 + draws.normal(size=(n, d))


def masked_distances(x, centers):
    """Squared distances over the present entries, times d over their number, (n, K)."""
    gaps = x[:, None] - centers
    there = ~np.isnan(gaps)
    return np.where(there, gaps, 0.0).__pow__(2).sum(2) * x.shape[1] / there.sum(2)


def plain_round(x, centers, w):
    """One of Lloyd's rounds by brute force."""
    distances = masked_distances(x, centers)
    labels = distances.argmin(1)
    scale = w * x.shape[1] / (~np.isnan(x)).sum(1)
    found = centers.copy()
    for cluster in range(len(centers)):
        for feature in range(x.shape[1]):
            own = (labels == cluster) & ~np.isnan(x[:, feature]) & (w > 0)
            if own.any():
                found[cluster, feature] = np.average(x[own, feature], weights=scale[own])
    return found, labels, (w * distances.min(1)).sum()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("n", "d", "k"), [(30, 1, 3), (500, 2, 5), (3000, 7, 12), (5000, 40, 4)])
def test_the_same_inertia_as_scikit_learn_from_the_same_centers(n, d, k, weighted):
    x = clusters(n, d, k)
    w = np.random.default_rng(1).uniform(0.1, 3, n) if weighted else None
    first = x[np.random.default_rng(2).permutation(n)[:k]]
    theirs = KMeans(k, init=first, n_init=1, tol=0, max_iter=500).fit(x, sample_weight=w)
    ours = k_means(x, k, init=first, tolerance=0, max_iterations=500, weights=w)
    assert ours.inertia == pytest.approx(theirs.inertia_, rel=1e-10)
    np.testing.assert_allclose(ours.centers, theirs.cluster_centers_, atol=1e-9)
    assert (ours.labels == theirs.labels_).all()
    assert abs(ours.iterations - theirs.n_iter_) <= 1


def test_the_default_tolerance_ends_where_scikit_learn_s_does():
    x = clusters(2000, 3, 8)
    first = x[:8]
    theirs = KMeans(8, init=first, n_init=1).fit(x)
    ours = k_means(x, 8, init=first)
    assert ours.inertia == pytest.approx(theirs.inertia_, rel=1e-10)
    assert ours.iterations == theirs.n_iter_


@given(
    n=st.integers(5, 60),
    d=st.integers(1, 3),
    k=st.integers(1, 5),
    seed=st.integers(0, 2**32 - 1),
    kind=st.sampled_from(["real", "whole", "gaps"]),
    weighted=st.booleans(),
)
def test_rounds_are_those_of_brute_force(n, d, k, seed, kind, weighted):
    draws = np.random.default_rng(seed)
    # Whole numbers have ties and equal points.
    x = draws.normal(size=(n, d)) if kind != "whole" else draws.integers(0, 3, (n, d)) * 1.0
    if kind == "gaps":
        x[draws.random((n, d)) < 0.3] = np.nan
        x[:, 0] = np.where(np.isnan(x).all(1), 1.0, x[:, 0])
    w = draws.integers(0, 3, n) * 1.0 if weighted else np.ones(n)
    w[:k] = 1.0
    points = Points.of(x, w if weighted else None)
    first = np.nan_to_num(x[:k], nan=0.0) + draws.normal(size=(k, d)) * 1e-3
    under_way = Lloyd(points, (first - points.origin)[None])
    last = INF
    for _ in range(12):
        before = under_way.centers[0] + points.origin
        right, labels, inertia = plain_round(x, before, w)
        assert inertia <= last * (1 + 1e-12) + 1e-12
        full = len(set(labels[w > 0])) == k
        under_way.round()
        found = under_way.centers[0] + points.origin
        if not full:
            break  # an empty cluster: other tests
        np.testing.assert_allclose(found, right, atol=1e-9)
        last = inertia


@pytest.mark.parametrize("gaps", [False, True])
def test_several_starts_are_the_single_ones(gaps):
    x = clusters(2500, 3, 4)
    if gaps:
        x[np.random.default_rng(0).random(x.shape) < 0.2] = np.nan
    points = Points.of(x)
    firsts = np.random.default_rng(1).normal(size=(5, 4, 3)) * 3
    centers, labels, iterations = run_rounds(points, firsts, 200, 0.0)
    assert len(set(iterations.tolist())) > 1
    for run in range(5):
        alone = run_rounds(points, firsts[run : run + 1], 200, 0.0)
        np.testing.assert_allclose(alone[0][0], centers[run], atol=1e-10)
        assert (alone[1][0] == labels[run]).all() and alone[2][0] == iterations[run]


def test_the_best_of_several_given_starts_is_kept():
    x = clusters(300, 2, 3)
    firsts = np.random.default_rng(0).normal(size=(6, 3, 2)) * 5
    every = [k_means(x, 3, init=first, tolerance=0) for first in firsts]
    best = k_means(x, 3, init=firsts, n_init=6, tolerance=0)
    assert best.inertia == min(found.inertia for found in every)


def test_the_inertia_and_the_labels_are_those_of_the_centers():
    x = clusters(700, 4, 5)
    for most in (1, 2, 300):
        found = k_means(x, 5, generator=0, max_iterations=most, tolerance=0)
        distances = ((x[:, None] - found.centers) ** 2).sum(2)
        assert (found.labels == distances.argmin(1)).all()
        assert found.inertia == pytest.approx(distances.min(1).sum(), rel=1e-12)
        assert found.iterations <= most


def test_weights_are_repeated_points():
    x = clusters(80, 2, 3)
    w = np.random.default_rng(0).integers(0, 4, 80)
    one = k_means(x, 3, weights=w, init=x[:3], tolerance=0)
    other = k_means(np.repeat(x, w, 0), 3, init=x[:3], tolerance=0)
    np.testing.assert_allclose(one.centers, other.centers, atol=1e-12)
    assert one.inertia == pytest.approx(other.inertia)


def test_an_empty_cluster_gets_the_farthest_point():
    x = clusters(200, 2, 3)
    first = np.concatenate([x[:3], [[1e3, 1e3]]])
    under_way = Lloyd(points := Points.of(x), (first - points.origin)[None])
    under_way.round()
    farthest = x[((x[:, None] - first[:3]) ** 2).sum(2).min(1).argmax()]
    np.testing.assert_allclose(under_way.centers[0, 3] + points.origin, farthest)
    theirs = KMeans(4, init=first, n_init=1, tol=0).fit(x)
    ours = k_means(x, 4, init=first, tolerance=0)
    assert ours.inertia == pytest.approx(theirs.inertia_, rel=1e-10)
    assert len(set(ours.labels.tolist())) == 4


@pytest.mark.parametrize("init", ["k-means++", "random"])
def test_fewer_distinct_points_than_clusters(init):
    x = np.repeat([[0.0, 1.0], [3.0, 3.0]], 10, 0)
    found = k_means(x, 4, init=init, generator=0)
    assert found.inertia == pytest.approx(0.0, abs=1e-20) and np.isfinite(found.centers).all()
    assert len(set(found.labels[:10])) == len(set(found.labels[10:])) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        assert KMeans(4, n_init=1).fit(x).inertia_ == 0


def test_an_outlier_does_not_blur_the_others():
    x = clusters(300, 2, 2, seed=4)
    first = np.concatenate([x[:1], x[-1:], [[1e12, 0.0]]])
    right = k_means(x, 2, init=first[:2], tolerance=0)
    found = k_means(np.concatenate([x, [[1e12, 0.0]]]), 3, init=first, tolerance=0)
    assert (found.labels[:-1] == right.labels).all() and found.labels[-1] == 2


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("scale", [1.0, 1e12])
def test_no_far_point_is_drawn_twice(dtype, scale):
    # The rounding of its distance to itself exceeds all distances between the others.
    x = np.random.default_rng(0).normal(size=(100, 3)) / scale
    x[:2] = [1e12 / scale, 2e12 / scale / 3, 1 / 3]
    rows = Points.of(x.astype(dtype))
    seeds = scattered_rows(rows, 4, 50, as_generator(0))
    far = (seeds < 2).sum(1)
    assert (far == 1).all()
    theta = rows.coefficients(rows.centers_at(np.arange(100)))
    assert (np.diagonal(rows.distances(theta, 0)[:, :100]) == 0).all()


def test_kinds_and_types_are_those_of_the_points(device):
    x = clusters(400, 3, 4)
    for kind in (np.float32, np.float64):
        found = k_means(x.astype(kind), 4, generator=0)
        assert found.centers.dtype == kind and found.labels.dtype == np.int64
    tensor = torch.as_tensor(x, device=device)
    found = k_means(tensor, 4, generator=0, n_init=3)
    assert isinstance(found.centers, torch.Tensor) and isinstance(found.labels, torch.Tensor)
    assert found.centers.device == found.labels.device == tensor.device
    again = k_means(tensor, 4, generator=torch.Generator(device).manual_seed(0), n_init=3)
    assert again.centers.equal(found.centers)
    near = k_means(x.astype(np.float32), 4, init=x[:4], tolerance=0).inertia
    assert near == pytest.approx(k_means(x, 4, init=x[:4], tolerance=0).inertia, rel=1e-4)


@pytest.mark.parametrize("gaps", [False, True])
def test_tensors_of_other_devices_go_the_same_way(gaps):
    # What is on the CPU becomes an array in k_means; here it does not.
    x = clusters(900, 3, 4)
    if gaps:
        x[np.random.default_rng(0).random(x.shape) < 0.2] = np.nan
        x[:5] = np.nan
    w = np.random.default_rng(1).uniform(0, 2, 900)
    first = np.random.default_rng(1).normal(size=(3, 4, 3)) * 3
    first[2, 3] = 1e3
    one = Points.of(x, w)
    other = Points.of(torch.from_numpy(x), torch.from_numpy(w))
    np.testing.assert_allclose(one.origin, other.origin)
    found = run_rounds(one, first, 100, 0.0)
    alike = run_rounds(other, torch.from_numpy(first), 100, 0.0)
    np.testing.assert_allclose(found[0], alike[0], atol=1e-9)
    assert (found[1] == alike[1].numpy()).all() and (found[2] == alike[2]).all()
    for draw in (scattered_rows, random_rows):
        rows = [draw(points, 4, 3, as_generator(0)) for points in (one, other)]
        assert rows[0].tolist() == rows[1].tolist() and rows[0].shape == (3, 4)


def test_starts_come_from_their_generator_alone():
    x = clusters(100, 2, 3)
    state = torch.get_rng_state()
    found = [k_means(x, 3, generator=seed, max_iterations=1).inertia for seed in (0, 0, 1)]
    assert found[0] == found[1] != found[2]
    assert torch.get_rng_state().equal(state)


def test_rows_are_drawn_by_their_odds():
    odds = np.array([[0.0, 1.0, 3.0, 0.0, 6.0, 0.0], [2.0, 2.0, 0.0, 0.0, 0.0, 1.0]])
    drawn = draw_rows(odds, 50_000, as_generator(0))
    for run in range(2):
        counts = np.bincount(drawn[run], minlength=6)
        assert not counts[odds[run] == 0].any()
        some = odds[run] > 0
        expected = 50_000 * odds[run][some] / odds[run].sum()
        # Fails once in a million runs with exact draws.
        assert stats.chisquare(counts[some], expected).pvalue > 1e-6
        even = np.full(int(some.sum()), 50_000 / some.sum())
        assert stats.chisquare(counts[some], even).pvalue < 1e-6, "and even draws are rejected"


def test_random_rows_are_different_and_have_weights():
    points = Points.of(np.arange(6.0)[:, None], np.array([0.0, 1, 1, 1, 1, 4]))
    drawn = random_rows(points, 2, 20_000, as_generator(0))
    assert (drawn[:, 0] != drawn[:, 1]).all() and not (drawn == 0).any()
    counts = np.bincount(drawn[:, 0], minlength=6)[1:]
    # Fails once in a million runs with exact draws.
    assert stats.chisquare(counts, 20_000 * np.array([1, 1, 1, 1, 4]) / 8).pvalue > 1e-6


def test_every_seed_is_the_best_of_its_candidates(monkeypatch):
    x = clusters(60, 2, 3)
    asked = []

    def recorded(odds, n_draws, generator):
        drawn = draw_rows(odds, n_draws, generator)
        asked.append((odds, drawn))
        return drawn

    monkeypatch.setattr(kmeans, "draw_rows", recorded)
    seeds = scattered_rows(Points.of(x), 5, 3, as_generator(0))
    squares = ((x[:, None] - x) ** 2).sum(2)
    assert seeds[:, 0].tolist() == asked[0][1][0].tolist()
    for place, (odds, drawn) in enumerate(asked[1:], start=1):
        assert drawn.shape == (3, 2 + int(math.log(5)))
        for run in range(3):
            gaps = squares[seeds[run, :place]].min(0)
            np.testing.assert_allclose(odds[run], gaps, atol=1e-12)
            left = [np.minimum(gaps, squares[row]).sum() for row in drawn[run]]
            assert seeds[run, place] == drawn[run][int(np.argmin(left))]


def test_em_with_no_spread_is_a_round_of_lloyd():
    x = clusters(200, 3, 4)
    first = x[:4]
    for sigma in (1e-2, 1e-4, 1e-8):
        scores = -((x[:, None] - first) ** 2).sum(2) / (2 * sigma**2)
        shares = np.exp(scores - scores.max(1, keepdims=True))
        shares /= shares.sum(1, keepdims=True)
        means = shares.T @ x / shares.sum(0)[:, None]
        moved = k_means(x, 4, init=first, max_iterations=1, tolerance=0).centers
        assert np.abs(means - moved).max() < (1e-12 if sigma < 1e-3 else 1.0)
    wide = np.exp(-((x[:, None] - first) ** 2).sum(2) / 2)
    wide /= wide.sum(1, keepdims=True)
    assert np.abs(wide.T @ x / wide.sum(0)[:, None] - moved).max() > 0.01


@pytest.mark.parametrize(
    ("x", "k", "options", "error", "named"),
    [
        (np.zeros(3), 1, {}, ValueError, "x must have shape"),
        (np.zeros((0, 2)), 1, {}, ValueError, "x must have shape"),
        (np.array([[1.0], [np.nan]]), 1, {}, ValueError, "x"),
        (np.array([[1.0], [INF]]), 1, {}, ValueError, "x must be finite"),
        (["a"], 1, {}, TypeError, "x"),
        (np.zeros((3, 1)), 0, {}, ValueError, "n_clusters"),
        (np.zeros((3, 1)), 1.5, {}, TypeError, "n_clusters"),
        (np.zeros((3, 1)), 4, {}, ValueError, "n_clusters must be at most"),
        (np.zeros((3, 1)), 2, {"weights": [1, 0, 0]}, ValueError, "1 such points"),
        (np.zeros((3, 1)), 2, {"weights": [1, 0]}, ValueError, "^weights must have"),
        (np.zeros((3, 1)), 2, {"weights": [1, 1, -1]}, ValueError, "^weights must not"),
        (np.zeros((3, 1)), 2, {"weights": [1, 1, INF]}, ValueError, "^weights must be"),
        (np.zeros((3, 1)), 2, {"n_init": 0}, ValueError, "n_init"),
        (np.zeros((3, 1)), 2, {"max_iterations": 0}, ValueError, "max_iterations"),
        (np.zeros((3, 1)), 2, {"tolerance": -1.0}, ValueError, "tolerance"),
        (np.zeros((3, 1)), 2, {"init": "first"}, ValueError, "init must be 'k-means"),
        (np.zeros((3, 1)), 2, {"init": np.zeros((3, 1))}, ValueError, "init must have shape"),
        (np.zeros((3, 1)), 2, {"init": [[0.0], [INF]]}, ValueError, "init must be finite"),
        (np.zeros((3, 1)), 2, {"n_init": 10**15}, ValueError, "free; use fewer starts"),
        (np.zeros((3, 1)), 2, {"generator": "x"}, TypeError, "generator"),
    ],
)
def test_bad_input_is_named(x, k, options, error, named):
    with pytest.raises(error, match=named):
        k_means(x, k, **options)
