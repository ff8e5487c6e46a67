"""Taggers saved, loaded and refused."""

from __future__ import annotations

import math

import pytest
import torch

from inference.model import Model
from pgm.crf_tagger import CRFTagger

SETTINGS = [
    {},
    {"c1": 0.3, "precision": "double"},
    {"method": "sgd", "batch_size": 3, "learning_rate": 0.1, "max_iterations": 3},
]


@pytest.mark.parametrize("settings", SETTINGS)
def test_file_round_trip(corpus, settings, tmp_path):
    X, y = corpus(0, labels="aé\n")
    X[0] = [*X[0], {"line\nbreak": "\x00", "lone \ud800": 2.0, "": ""}]
    y[0] = [*y[0], "é"]
    tagger = CRFTagger(c2=0.1, **settings).fit(X, y, generator=0)
    path = tmp_path / "tagger.safetensors"
    tagger.save(path)
    copy = CRFTagger.load(path)
    assert copy.config() == tagger.config() and copy.labels == tagger.labels
    assert copy.attributes.strings == tagger.attributes.strings
    assert torch.equal(copy.log_prob(X, y), tagger.log_prob(X, y))
    assert copy.top_features(None) == tagger.top_features(None)
    assert copy.predict(X) == tagger.predict(X)
    copy.fit(X, y, generator=0)
    assert torch.equal(copy.state_weights, tagger.state_weights)


def test_metadata_stays_small(corpus, tmp_path):
    X, y = corpus(0)
    X[0] = [*X[0], [f"attribute {k}" for k in range(10_000)]]
    y[0] = [*y[0], "A"]
    path = tmp_path / "tagger.safetensors"
    CRFTagger(max_iterations=2).fit(X, y).save(path)
    header = int.from_bytes(path.read_bytes()[:8], "little")
    assert header < 3_000
    assert len(CRFTagger.load(path).attributes) > 10_000


def test_a_damaged_configuration_is_refused(corpus, tmp_path, monkeypatch):
    tagger = CRFTagger(max_iterations=2).fit(*corpus(0))
    wrong = {**tagger.config(), "features": [3, 1]}
    monkeypatch.setattr(CRFTagger, "config", lambda self: wrong)
    tagger.save(tmp_path / "tagger.safetensors")
    with pytest.raises(ValueError, match="state_weights must be"):
        CRFTagger.load(tmp_path / "tagger.safetensors")


def test_models_that_were_not_fitted(tmp_path):
    tagger = CRFTagger(c2=0.3)
    calls = [
        lambda: tagger.predict([[["a"]]]),
        lambda: tagger.predict_marginals([[["a"]]]),
        lambda: tagger.log_prob([[["a"]]], [["A"]]),
        lambda: tagger.score([[["a"]]], [["A"]]),
        lambda: tagger.top_features(),
        lambda: tagger.transition_table(),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="not fitted"):
            call()
    assert "not fitted" in repr(tagger)
    tagger.save(tmp_path / "tagger.safetensors")
    assert CRFTagger.load(tmp_path / "tagger.safetensors").config() == tagger.config()


def test_it_is_a_model(corpus):
    tagger = CRFTagger().fit(*corpus(0))
    assert isinstance(tagger, Model)
    assert "3 labels" in repr(tagger)
    assert tagger.double().state_weights.dtype is torch.float64
    assert tagger.score(*corpus(0)) > 0.5


BAD = [
    (([], []), {}, ValueError, "at least one token to learn from, found 0 sequences"),
    (([[], []], [[], []]), {}, ValueError, "at least one token to learn from, found 2"),
    (([[["a"]]], []), {}, ValueError, "equally many sequences, found 1 and 0"),
    (([[["a"]]], [["A", "B"]]), {}, ValueError, r"y\[0\] must have one label per token"),
    (([[["a"]]], [[1]]), {}, TypeError, r"y\[0\]\[0\] must be a string, found 1"),
    (([["a"]], [["A"]]), {}, TypeError, r"X\[0\]\[0\] must be a dict of features"),
    (([[{"a": math.nan}]], [["A"]]), {}, ValueError, r"X\[0\]\[0\]: feature 'a' must be finite"),
    (([[["a"]]], [["A"]], [1, 2]), {}, ValueError, "sample_weight must have shape"),
    (([[["a"]]], [["A"]], [-1]), {}, ValueError, "sample_weight must be finite and not negative"),
    (([[["a"]]], [["A"]], [0]), {}, ValueError, "must hold a positive weight"),
    (([[["a"]]], [["A"]]), {"X_valid": []}, ValueError, "must be given together"),
    (([[["a"]]], [["A"]]), {"progress": 1}, TypeError, "progress must be"),
    (([[["a"]]], [["A"]]), {"generator": "x"}, TypeError, "generator must be"),
]


@pytest.mark.parametrize(("arguments", "options", "error", "message"), BAD)
def test_refusals_change_nothing(corpus, arguments, options, error, message):
    tagger = CRFTagger(max_iterations=3).fit(*corpus(0))
    before, history = tagger.state_dict(), tagger.history
    with pytest.raises(error, match=message):
        tagger.fit(*arguments, **options)
    assert tagger.history is history and tagger.labels == ("A", "B", "C")
    assert all([torch.equal(value, before[key]) for key, value in tagger.state_dict().items()])


def test_what_does_not_fit_in_memory_is_refused(corpus, monkeypatch):
    monkeypatch.setattr("inference.memory.free_memory", lambda: 3_000)
    with pytest.raises(ValueError, match=r"training \d+ weights on \d+ tokens .* KiB, but"):
        CRFTagger().fit(*corpus(0))
