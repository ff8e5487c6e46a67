"""First responsibilities: nearest centres by brute force, their law, blocks, missing entries."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from inference.learning.kmeans import k_means
from pgm.mixtures import seeding
from pgm.mixtures.seeding import first_responsibilities

WAYS = ("kmeans", "k-means++", "random", "random_from_data")
PLACES = np.array([[0.0, 0.0], [9.0, 9.0], [-9.0, 9.0], [9.0, -9.0]])


def clusters(n, seed=0):
    draws = np.random.default_rng(seed)
    labels = draws.integers(4, size=n)
    return PLACES[labels] + draws.normal(size=(n, 2)), labels


def same_parts(one, other):
    """Whether two labellings are the same up to the names of the labels."""
    pairs = set(zip(one.tolist(), other.tolist(), strict=True))
    return len(pairs) == len(set(one.tolist())) == len(set(other.tolist()))


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_blocks_are_distributions_and_fit_together(how, dtype):
    x = clusters(9000)[0].astype(dtype)
    found = first_responsibilities(x, 5, how, 3, generator=0)
    whole = found.block(slice(0, 9000))
    assert whole.shape == (3, 5, 9000) and whole.dtype in (np.float32, np.float64)
    np.testing.assert_allclose(whole.sum(1), 1.0, atol=1e-6)
    assert (whole >= 0).all()
    for rows in (slice(0, 1), slice(100, 4097), slice(4000, 8500), slice(8990, 9100), slice(9, 9)):
        assert np.array_equal(found.block(rows), whole[..., rows])
    assert np.array_equal(found.block(slice(0, 9000)), whole), "always the same"
    again = first_responsibilities(x, 5, how, 3, generator=0).block(slice(None))
    assert np.array_equal(again, whole)
    other = first_responsibilities(x, 5, how, 3, generator=1).block(slice(None))
    assert not np.array_equal(other, whole)
    assert not np.array_equal(whole[0], whole[1]) or how == "kmeans"


def test_clusters_that_are_far_apart_are_found():
    x, labels = clusters(500)
    for how in ("kmeans", "k-means++"):
        found = first_responsibilities(x, 4, how, 3, generator=0).block(slice(None))
        assert all(same_parts(run.argmax(0), labels) for run in found)


def test_the_first_start_is_k_means_and_the_others_are_scattered_rows():
    x = np.random.default_rng(0).normal(size=(400, 2))
    found = first_responsibilities(x, 6, "kmeans", 4, generator=0).block(slice(None))
    inertias = []
    for run in found:
        centers = run @ x / run.sum(1)[:, None]
        labels = run.argmax(0)
        inertias.append(((x - centers[labels]) ** 2).sum())
        # Where Lloyd's rounds have ended, every row is nearest to its own mean.
        still = ((x[:, None] - centers) ** 2).sum(2).argmin(1) == labels
        assert still.all() if len(inertias) == 1 else not still.all()
    assert inertias[0] == min(inertias)
    ended = k_means(x, 6, init=found[0] @ x / found[0].sum(1)[:, None], tolerance=0)
    assert inertias[0] == pytest.approx(ended.inertia, rel=1e-3)


@pytest.mark.parametrize("how", ["k-means++", "random_from_data"])
def test_rows_are_assigned_to_the_nearest_seed(how, monkeypatch):
    x = np.random.default_rng(0).normal(size=(200, 3))
    drawn = []
    name = "scattered_rows" if how == "k-means++" else "random_rows"
    draw = getattr(seeding, name)
    monkeypatch.setattr(seeding, name, lambda *args: drawn.append(draw(*args)) or drawn[-1])
    found = first_responsibilities(x, 4, how, 5, generator=0).block(slice(None))
    for run, seeds in zip(found, drawn[0], strict=True):
        assert len(set(seeds.tolist())) == 4
        right = ((x[:, None] - x[seeds]) ** 2).sum(2).argmin(1)
        assert (run.argmax(0) == right).all()


def test_distances_are_over_the_present_entries():
    x, labels = clusters(300)
    third = np.random.default_rng(1).normal(size=(300, 1))
    x = np.concatenate([x, third], 1)
    gone = np.random.default_rng(2).random(300) < 0.5
    x[gone, 2] = np.nan
    found = first_responsibilities(x, 4, "kmeans", generator=0).block(slice(None))[0]
    assert same_parts(found.argmax(0), labels)


def test_rows_without_entries_are_spread():
    x, _ = clusters(400)
    x[:80] = np.nan
    for how in ("kmeans", "k-means++", "random_from_data"):
        found = first_responsibilities(x, 4, how, 2, generator=0).block(slice(0, 80))
        assert (found.sum(2) == 20).all()


def test_rows_without_weight_do_not_matter():
    x, labels = clusters(300)
    far = np.random.default_rng(1).normal(size=(100, 2)) * 50
    both, weights = np.concatenate([x, far]), np.repeat([1.0, 0.0], [300, 100])
    for how in ("kmeans", "k-means++"):
        found = first_responsibilities(both, 4, how, 2, weights=weights, generator=0)
        assert same_parts(found.block(slice(0, 300))[1].argmax(0), labels)
        assert found.block(slice(300, 400)).sum() == 200, "but they are assigned"


def test_many_rows_are_assigned_to_centers_of_some():
    x, labels = clusters(50_000)
    for weights in (None, np.random.default_rng(0).uniform(0, 2, 50_000)):
        found = first_responsibilities(x, 4, "kmeans", 2, weights=weights, generator=0)
        assert found.labels.shape == (2, 50_000)
        assert (found.labels[0] == found.block(slice(None))[0].argmax(0)).all()
        wrong = 0
        for place in range(4):
            own = found.labels[0][labels == place]
            wrong += (own != np.bincount(own).argmax()).sum()
        assert wrong < 5


def test_random_responsibilities_are_uniform_on_average():
    found = first_responsibilities(np.zeros((20_000, 1)), 4, "random", 2, generator=0)
    shares = found.block(slice(None))
    # Means of 20 000 shares with a standard deviation below 0.15: within six deviations.
    assert np.abs(shares.mean(2) - 0.25).max() < 6 * 0.15 / math.sqrt(20_000)
    assert shares.std(2).min() > 0.1


@pytest.mark.parametrize("how", WAYS)
def test_tensors_go_the_same_way(how, device):
    x, _ = clusters(5000)
    x[::7, 0] = np.nan
    weights = np.random.default_rng(0).uniform(0.5, 2, 5000)
    tensors = [torch.as_tensor(a, device=device) for a in (x, weights)]
    found = first_responsibilities(tensors[0], 4, how, 3, weights=tensors[1], generator=0)
    block = found.block(slice(1000, 4500))
    assert isinstance(block, torch.Tensor) and block.device == tensors[0].device
    if device.type == "cpu":
        one = first_responsibilities(x, 4, how, 3, weights=weights, generator=0)
        np.testing.assert_allclose(one.block(slice(1000, 4500)), block, atol=1e-12)


def test_global_random_state_is_left_alone():
    x, _ = clusters(100)
    state, generator = torch.get_rng_state(), torch.Generator().manual_seed(3)
    for how in WAYS:
        first_responsibilities(x, 2, how, 2, generator=generator).block(slice(None))
    assert torch.get_rng_state().equal(state)
    assert not generator.get_state().equal(torch.Generator().manual_seed(3).get_state())


def test_an_outlier_does_not_blur_the_others():
    x, labels = clusters(500)
    x = np.concatenate([x, [[1e12, 0.0]]])
    found = first_responsibilities(x, 5, "kmeans", 2, generator=0).block(slice(None))
    for run in found:
        assert run.sum(1).min() == 1
        assert same_parts(run.argmax(0)[:-1], labels)


def test_bad_input_is_named(monkeypatch):
    x, _ = clusters(10)
    with pytest.raises(ValueError, match="init must be"):
        first_responsibilities(x, 2, "means")
    with pytest.raises(ValueError, match=r"n_components must be at most .* 11 .* 10 such rows"):
        first_responsibilities(x, 11, "kmeans")
    with pytest.raises(ValueError, match="2 such rows"):
        first_responsibilities(x, 3, "random", weights=np.eye(10)[0] + np.eye(10)[1])
    with pytest.raises(ValueError, match="n_init"):
        first_responsibilities(x, 2, "kmeans", 0)
    monkeypatch.setattr("inference.memory.free_memory", lambda: 100)
    with pytest.raises(ValueError, match="fewer starts"):
        first_responsibilities(x, 2, "kmeans", 3)
