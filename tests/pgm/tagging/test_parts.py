"""The parts of the tagger: strings as tensors, sparse products, which weights there are."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pgm.tagging.corpus import Corpus, neighbours
from pgm.tagging.index import FeatureIndex
from pgm.tagging.settings import Settings
from pgm.tagging.sparse_rows import SparseRows
from pgm.tagging.strings import StringTable


@given(st.lists(st.text(alphabet=st.characters(), max_size=5), unique=True))
def test_any_strings_survive(strings):
    table = StringTable(strings)
    copy = StringTable.blank(*table.size)
    assert copy.strings == [""] * len(strings)
    copy.load_state_dict(table.state_dict())
    assert copy.strings == table.strings == strings
    assert copy.places == {string: place for place, string in enumerate(strings)}


def random_rows(seed: int, ones: bool = False):
    """A sparse matrix with empty rows and repeated entries, and the same as a dense one."""
    rng = np.random.default_rng(seed)
    n, m = rng.integers(1, 8, 2)
    sizes = rng.integers(0, 5, n)
    columns = rng.integers(0, m, sizes.sum())
    values = np.ones(sizes.sum()) if ones else rng.normal(size=sizes.sum())
    dense = np.zeros((n, m))
    np.add.at(dense, (np.repeat(np.arange(n), sizes), columns), values)
    return SparseRows.of(sizes, columns, values, int(m)), torch.from_numpy(dense)


@given(st.integers(0, 10**6), st.booleans())
def test_sparse_products_equal_dense_ones(seed, ones):
    rows, dense = random_rows(seed, ones)
    n, m = dense.shape
    assert (rows.values is None) == ones or not len(rows.columns)
    left, right = torch.eye(m, dtype=torch.float64), torch.eye(n, dtype=torch.float64)
    torch.testing.assert_close(rows.matmul(left), dense)
    torch.testing.assert_close(rows.transposed().matmul(right), dense.T)
    order = np.random.default_rng(seed).permutation(n)[: n // 2 + 1]
    torch.testing.assert_close(rows.select(order).matmul(left), dense[order])
    places = np.random.default_rng(seed).permutation(m)
    torch.testing.assert_close(rows.relabelled(places, m).matmul(left)[:, places], dense)
    single = rows.to(torch.device("cpu"), torch.float32).matmul(left.float())
    torch.testing.assert_close(single, dense.float())


def test_too_many_entries_are_refused():
    many = np.broadcast_to(np.zeros(1, np.int8), 2**31)  # takes one byte
    with pytest.raises(ValueError, match="2,147,483,648 attributes of tokens"):
        SparseRows.of(np.array([2**31]), many, None, 1)


@given(st.lists(st.lists(st.integers(0, 2), max_size=4), max_size=5))
def test_neighbours_equal_a_loop(sequences):
    expected = [3 * a + b for s in sequences for a, b in pairwise(s)]
    lengths = np.array([len(s) for s in sequences], np.int64)
    labels = np.array([label for s in sequences for label in s], np.int64)
    assert neighbours(lengths, labels, 3).tolist() == expected


def observed(min_freq=0.0, all_states=False, all_transitions=False):
    """Three attributes and two labels: pairs 0A twice, 1B once with 0.5, 2 never."""
    return FeatureIndex.observed(
        np.array([0, 0, 1]),
        np.array([0, 0, 1]),
        np.array([1.0, 1.0, 0.5]),
        np.array([1, 1, 2]),
        (3, 2),
        min_freq=min_freq,
        all_states=all_states,
        all_transitions=all_transitions,
    )


@pytest.mark.parametrize(
    ("settings", "states", "transitions"),
    [
        ({}, [0, 3], [1, 2]),
        ({"min_freq": 0.5}, [0, 3], [1, 2]),
        ({"min_freq": 1.0}, [0], [1, 2]),
        ({"min_freq": 2.0}, [0], [1]),
        ({"all_states": True}, [0, 1, 2, 3, 4, 5], [1, 2]),
        ({"all_transitions": True}, [0, 3], [0, 1, 2, 3]),
        ({"all_states": True, "min_freq": 1.0}, [0], [1, 2]),
    ],
)
def test_which_pairs_have_weights(settings, states, transitions):
    index = observed(**settings)
    assert index.states.tolist() == states and index.transitions.tolist() == transitions


def test_a_table_that_is_too_large_is_refused():
    nothing = np.zeros(0, np.int64)
    with pytest.raises(
        ValueError, match="10,000,000,000 attributes and 1,000 labels of X and y would"
    ):
        FeatureIndex.observed(
            nothing,
            nothing,
            nothing,
            nothing,
            (10**10, 1000),
            min_freq=0.0,
            all_states=False,
            all_transitions=False,
        )


@given(st.integers(0, 10**6))
def test_restricted_index(seed):
    rng = np.random.default_rng(seed)
    n, k = int(rng.integers(1, 7)), int(rng.integers(1, 4))
    states = torch.from_numpy(np.flatnonzero(rng.random(n * k) < 0.6))
    index = FeatureIndex(states, torch.from_numpy(np.flatnonzero(rng.random(k * k) < 0.6)), n, k)
    weights = torch.from_numpy(rng.normal(size=len(index)))
    every, transitions = index.tables(weights)
    torch.testing.assert_close(index.weights(every, transitions), weights)
    chosen = torch.from_numpy(rng.permutation(n)[: rng.integers(0, n + 1)])
    local, places = index.restricted(chosen)
    assert (local.states.diff() > 0).all() and len(places) == len(local)
    found, same = local.tables(weights[places])
    torch.testing.assert_close(found, every[chosen])
    torch.testing.assert_close(same, transitions)
    kept = torch.from_numpy(rng.random(len(index)) < 0.5)
    part, _ = index.selected(kept).tables(weights[kept])
    torch.testing.assert_close(part, index.tables(weights * kept)[0])


def test_compiled_corpus_keeps_tokens_and_labels_together():
    rows = SparseRows.of(np.ones(4, np.int64), np.arange(4), None, 4)
    labels = np.array([0, 1, 1, 0])
    corpus = Corpus.build(np.array([1, 0, 3]), rows, labels, 2, np.array([0.5, 9.0, 2.0]))
    packed = corpus.rows.columns.numpy()
    assert sorted(packed.tolist()) == [0, 1, 2, 3]
    assert (corpus.gold.numpy() - 2 * np.arange(4) == labels[packed]).all()
    assert corpus.pairs.tolist() == [0.0, 0.0, 2.0, 2.0]
    found = corpus.token_weights(torch.zeros(0, dtype=torch.float64))
    assert found is not None
    assert found.squeeze(1).tolist() == np.array([0.5, 2.0, 2.0, 2.0])[packed].tolist()


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"c1": -1.0}, ValueError, "c1 must be finite and not negative, found -1.0"),
        ({"c2": float("nan")}, ValueError, "c2 must be finite"),
        ({"c2": "1"}, TypeError, "c2 must be a number, found '1'"),
        ({"delta": True}, TypeError, "delta must be a number"),
        ({"learning_rate": 0.0}, ValueError, "learning_rate must be positive"),
        ({"max_iterations": -1}, ValueError, "max_iterations must be at least 0"),
        ({"max_iterations": 2.5}, TypeError, "max_iterations must be a whole number"),
        ({"period": 0}, ValueError, "period must be at least 1"),
        ({"method": "newton"}, ValueError, "method must be one of lbfgs, sgd"),
        ({"precision": "half"}, ValueError, "precision must be one of"),
    ],
)
def test_settings_out_of_range(settings, error, message):
    with pytest.raises(error, match=message):
        Settings(**settings)


def test_settings_are_plain_numbers():
    settings = Settings(c1=np.float32(0.5), c2=2, max_iterations=np.int64(3), period=np.int8(4))
    assert json.loads(json.dumps(settings.config())) == settings.config()
    assert (settings.c1, settings.c2, settings.limit, settings.period) == (0.5, 2.0, 3, 4)
