"""What a fitted tagger says about sequences, against all labellings one by one."""

from __future__ import annotations

import math
from itertools import product

import pytest
import torch

from pgm.crf_tagger import CRFTagger

UNKNOWN = [{"w": "new"}, {"size": 2.0, "other": 1}, ["w=w1", "w=w1"], {}]


@pytest.fixture(scope="module", params=["single", "double"])
def tagger(request, corpus):
    return CRFTagger(c2=0.1, precision=request.param).fit(*corpus(0))


def unseen(corpus):
    """Sequences the model has not seen, with attributes it does not know."""
    X, _ = corpus(1, n=8, longest=5)
    return [*X, UNKNOWN, [{}], []]


def test_log_prob_is_the_law(tagger, corpus, enumeration):
    oracle = enumeration(tagger)
    for x in unseen(corpus):
        law = oracle.law(x)
        paths = list(law)
        found = tagger.log_prob([x] * len(paths), paths)
        assert found.dtype is torch.float64
        torch.testing.assert_close(found.exp(), torch.tensor([law[p] for p in paths]).double())
        assert float(found.exp().sum()) == pytest.approx(1.0, abs=1e-12)


def test_marginals_are_those_of_the_law(tagger, corpus, enumeration):
    oracle, X = enumeration(tagger), unseen(corpus)
    found = tagger.predict_marginals(X)
    for x, rows in zip(X, found, strict=True):
        assert len(rows) == len(x)
        for row, expected in zip(rows, oracle.marginals(x), strict=True):
            assert list(row) == list(tagger.labels)
            assert row == pytest.approx(expected, abs=1e-12)


def test_prediction_is_the_most_probable_labelling(tagger, corpus, enumeration):
    oracle, X = enumeration(tagger), unseen(corpus)
    for x, path in zip(X, tagger.predict(X), strict=True):
        law = oracle.law(x)
        assert law[tuple(path)] == pytest.approx(max(law.values()), rel=1e-6)


def test_a_batch_equals_a_loop(tagger, corpus):
    X = unseen(corpus)
    y = [["A", "B", "C", "A", "B", "C"][: len(x)] for x in X]
    assert tagger.predict(X) == [tagger.predict([x])[0] for x in X]
    found = torch.cat([tagger.log_prob([x], [labels]) for x, labels in zip(X, y, strict=True)])
    torch.testing.assert_close(tagger.log_prob(X, y), found)


def test_score_is_the_share_of_right_labels(tagger, corpus):
    X, y = corpus(3)
    found = tagger.predict(X)
    pairs = [pair for a, b in zip(found, y, strict=True) for pair in zip(a, b, strict=True)]
    assert tagger.score(X, y) == pytest.approx(sum(a == b for a, b in pairs) / len(pairs))
    strange = [["?" for _ in labels] for labels in y]
    assert tagger.score(X, strange) == 0.0


def test_unknown_labels_are_impossible(tagger):
    X = [[{"w": "w0"}, {"w": "w1"}], [{"w": "w0"}], []]
    found = tagger.log_prob(X, [["A", "?"], ["A"], []])
    assert found[0] == -math.inf and found[1] < 0 and found[2] == 0


def test_no_sequences(tagger):
    assert tagger.predict([]) == [] and tagger.predict_marginals([]) == []
    assert tagger.log_prob([], []).shape == (0,)
    with pytest.raises(ValueError, match="at least one token to score"):
        tagger.score([[]], [[]])


def test_one_label():
    tagger = CRFTagger().fit([[["a"], ["b"]]], [["x", "x"]])
    assert tagger.predict([[["a"], ["c"]], []]) == [["x", "x"], []]
    assert tagger.log_prob([[["a"]]], [["x"]]).tolist() == [0.0]
    assert tagger.predict_marginals([[["b"]]]) == [[{"x": 1.0}]]


def test_tables_hold_all_weights(tagger):
    features = tagger.top_features(None)
    assert len(features) == len(tagger.state_weights)
    sizes = [abs(weight) for *_, weight in features]
    assert sizes == sorted(sizes, reverse=True)
    assert tagger.top_features(3) == features[:3]
    table = tagger.transition_table()
    assert len(table) == len(tagger.transition_weights)
    assert [row[2] for row in table] == sorted([row[2] for row in table], reverse=True)
    assert {row[:2] for row in table} <= set(product("ABC", "ABC"))


def test_new_weights_are_heeded(corpus, enumeration):
    tagger = CRFTagger(precision="double").fit(*corpus(0))
    with torch.no_grad():
        tagger.state_weights.mul_(-2.0)
        tagger.transition_weights.add_(0.3)
    oracle, x = enumeration(tagger), corpus(1)[0][-1]
    law = oracle.law(x)
    paths = list(law)
    expected = torch.tensor(list(law.values())).double()
    torch.testing.assert_close(tagger.log_prob([x] * len(paths), paths).exp(), expected)
