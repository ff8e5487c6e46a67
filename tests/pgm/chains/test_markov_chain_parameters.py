"""Markov chains of given, large or absent parameters, in memory and in files."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
import torch

from pgm.chains.smoothing import (
    Interpolated,
    KneserNey,
    WittenBell,
)
from pgm.markov_chain import MarkovChain

# Parameters --------------------------------------------------------------------------------------


def test_a_chain_of_given_probabilities():
    matrix = np.array([[0.1, 0.2, 0.7], [0.0, 1.0, 0.0], [0.25, 0.25, 0.5]])
    chain = MarkovChain.from_transitions(matrix, [0.5, 0.0, 0.5], states=["x", "y", "z"])
    torch.testing.assert_close(chain.transitions, torch.from_numpy(matrix), rtol=1e-15, atol=0)
    assert chain.initial.tolist() == [0.5, 0.0, 0.5]
    assert chain.log_prob([["x", "z", "y"], ["y"], ["x", "y", "x"]]).exp().tolist() == (
        pytest.approx([0.5 * 0.7 * 0.25, 0.0, 0.0], rel=1e-15)
    )
    assert MarkovChain.from_transitions(matrix).initial.tolist() == [1 / 3] * 3
    assert MarkovChain.from_transitions(matrix).states == range(3)
    single = MarkovChain.from_transitions(torch.eye(2, dtype=torch.float32))
    assert single.transitions.dtype == torch.float64


def test_numbers_written_into_the_buffers_are_read():
    chain = MarkovChain(1, Interpolated((0.5, 0.5))).fit("aabb")
    before = chain.transitions
    with torch.no_grad():
        chain.weights.copy_(torch.tensor([1.0, 1.0]))
    assert chain.transitions.tolist() == [[0.5, 0.5], [0.0, 1.0]]
    assert not chain.transitions.equal(before)
    chain.counts.get_buffer("counts_1").copy_(torch.tensor([3.0, 1.0, 7.0]))
    assert chain.transitions.tolist() == [[0.75, 0.25], [0.0, 1.0]]
    twin = copy.deepcopy(chain)
    twin.counts.get_buffer("counts_1").fill_(1.0)
    assert twin.transitions[0].tolist() == [0.5, 0.5]
    assert chain.transitions[0].tolist() == [0.75, 0.25]


def test_fitting_again_forgets_what_was_learned():
    chain = MarkovChain(1).fit("abab")
    assert chain.fit("xyx").states == ("x", "y")
    assert chain.transitions.tolist() == [[0.0, 1.0], [1.0, 0.0]]
    given_ = MarkovChain(1, states="abc").fit("ab")
    assert given_.fit("ba").states == ("a", "b", "c")
    before = given_.transitions
    with pytest.raises(ValueError, match="'d'"):
        given_.fit("ad")
    assert given_.transitions.equal(before)


def test_large_vocabularies_take_no_dense_memory():
    words = torch.randint(25_000, (3_000,), generator=torch.Generator().manual_seed(0))
    for smoothing in (None, KneserNey(0.75, uniform_base=True), Interpolated()):
        chain = MarkovChain(2, smoothing, states=25_000).fit(words)
        assert sum([b.numel() for b in chain.counts.buffers()]) < 30_000
        assert chain.log_prob(words).isfinite().all()
        assert chain.next_probabilities(words[:2]).sum().item() == pytest.approx(1, abs=1e-12)
        assert chain.sample(10, 5, generator=0).shape == (10, 5)
        with pytest.raises(ValueError, match=r"25000 symbols.*1\.6e\+13 entries.*TiB"):
            _ = chain.table
    with pytest.raises(ValueError, match="table"):
        MarkovChain(40, states=30).stationary_distribution()


def test_high_orders_and_short_sequences():
    chain = MarkovChain(10, WittenBell()).fit(["aab"[:2], "b"])
    assert chain.states == ("aa", "b")
    chain = MarkovChain(10).fit([list("ab"), list("b"), []])
    assert chain.log_prob([list("ab"), []]).exp().tolist() == pytest.approx([0.5, 1.0])
    assert chain.log_prob([list("ab")], initial=False).tolist() == [0.0]
    assert chain.sample(5, 3, generator=0).shape == (5, 3)


# Files and devices -------------------------------------------------------------------------------


def test_chains_that_were_not_fitted_may_be_saved(tmp_path):
    path = tmp_path / "chain.safetensors"
    MarkovChain(3).save(path)
    assert MarkovChain.load(path).fit("aba").states == ("a", "b")
    MarkovChain(3, states="xy").save(path)
    assert MarkovChain.load(path).states == ("x", "y")
    chain = MarkovChain.from_transitions([[0.5, 0.5], [0.0, 1.0]], [1.0, 0.0], states=["4", "2"])
    chain.save(path)
    again = MarkovChain.load(path)
    assert again.transitions.equal(chain.transitions) and again.initial.equal(chain.initial)
    with pytest.raises(ValueError, match="'7'"):
        again.fit(["4", "7"])


def test_a_damaged_configuration_is_refused(tmp_path):
    from safetensors.torch import load_file, save_file

    path = tmp_path / "chain.safetensors"
    chain = MarkovChain(1).fit("aab")
    for change in (
        {"smoothing": {"kind": "Guess"}},
        {"smoothing": {"kind": "AddK", "k": -1.0}},
        {"sizes": [[1, 2], [1, 0]]},
        {"order": 2},
        {"states": "abcd"},
    ):
        chain.save(path)
        tensors = load_file(path)
        config = json.dumps({**chain.config(), **change})
        metadata = {"format": "free-energy", "version": "1", "class": "MarkovChain"}
        save_file(tensors, path, {**metadata, "config": config})
        if "states" in change:
            assert len(MarkovChain.load(path).states) == 4
            continue
        with pytest.raises(ValueError, match=r"chain\.safetensors"):
            MarkovChain.load(path)
