"""The same optimum as CRFsuite: objective, weights, predictions."""

from __future__ import annotations

import pytest

from pgm.crf_tagger import CRFTagger

crfsuite = pytest.importorskip("pycrfsuite")

TIGHT = {"epsilon": 1e-9, "delta": 1e-12}


class Trainer(crfsuite.BaseTrainer):
    """Notes the losses that CRFsuite reports."""

    losses: list[float]

    def message(self, text: str) -> None:
        if "Loss:" in text:
            self.losses.append(float(text.split("Loss:")[1].split()[0]))


def peer(X, y, path, **settings):
    """Final loss of CRFsuite, and its tagger."""
    trainer = Trainer("lbfgs", {"max_iterations": 3000, "num_memories": 20, **settings})
    trainer.losses = []
    for tokens, labels in zip(X, y, strict=True):
        trainer.append(crfsuite.ItemSequence(tokens), labels)
    trainer.train(str(path))
    tagger = crfsuite.Tagger()
    tagger.open(str(path))
    return trainer.losses[-1], tagger


CASES = [
    {},
    {"c2": 0.1},
    {"c2": 0.02, "min_freq": 2.0},
    {"c2": 0.1, "all_possible_states": True},
    {"c2": 0.1, "all_possible_transitions": True},
    {"c2": 0.5, "all_possible_states": True, "all_possible_transitions": True},
    {"c1": 0.3, "c2": 0.1},
    {"c1": 1.0, "c2": 0.01},
    {"c1": 2.0, "c2": 0.5, "all_possible_transitions": True},
]
NAMES = {
    "min_freq": "feature.minfreq",
    "all_possible_states": "feature.possible_states",
    "all_possible_transitions": "feature.possible_transitions",
}


def words(corpus, seed):
    """A corpus without negative numbers, whose frequencies CRFsuite counts in another way."""
    X, y = corpus(seed, n=60, longest=9)
    for sequence in X:
        for token in sequence:
            token["size"] = abs(token.get("size", 0.0))
    return X, y


@pytest.mark.parametrize("settings", CASES)
def test_same_optimum(corpus, settings, tmp_path):
    X, y = words(corpus, 7)
    options = {NAMES.get(name, name): value for name, value in {"c1": 0, **settings}.items()}
    loss, found = peer(X, y, tmp_path / "peer.crfsuite", **TIGHT, **options)
    tagger = CRFTagger(**settings, precision="double", max_iterations=3000, **TIGHT).fit(X, y)
    assert tagger.history[-1]["loss"] == pytest.approx(loss, rel=1e-6)
    assert tagger.history[-1]["loss"] <= loss * (1 + 1e-8) + 1e-6  # it prints six decimals
    info = found.info()
    # It joins names and values by a colon.
    rows = tagger.top_features(None)
    mine = {(name.replace("=", ":"), label): weight for name, label, weight in rows}
    for pair, weight in mine.items():
        assert weight == pytest.approx(info.state_features.get(pair, 0.0), abs=1e-3)
    for pair, weight in info.state_features.items():
        assert weight == pytest.approx(mine.get(pair, 0.0), abs=1e-3)
    steps = {row[:2]: row[2] for row in tagger.transition_table()}
    for pair in steps.keys() | info.transitions.keys():
        assert steps.get(pair, 0.0) == pytest.approx(info.transitions.get(pair, 0.0), abs=1e-3)


def test_same_probabilities(corpus, tmp_path):
    X, y = words(corpus, 9)
    _, found = peer(X, y, tmp_path / "peer.crfsuite", **TIGHT, c2=0.1, c1=0)
    tagger = CRFTagger(c2=0.1, precision="double", **TIGHT).fit(X, y)
    unseen, _ = words(corpus, 10)
    marginals, predicted = tagger.predict_marginals(unseen), tagger.predict(unseen)
    for number, tokens in enumerate(unseen):
        if not tokens:
            continue  # CRFsuite refuses them
        found.set(crfsuite.ItemSequence(tokens))
        assert found.tag() == predicted[number]
        for t, row in enumerate(marginals[number]):
            for label, probability in row.items():
                assert probability == pytest.approx(found.marginal(label, t), abs=1e-4)


def window(sentence: list[list[str]], t: int) -> list[str]:
    """Words, parts of speech and their pairs around a token."""
    found = ["bias"]
    for offset in (-1, 0, 1):
        if 0 <= t + offset < len(sentence):
            word, tag, _ = sentence[t + offset]
            found += [f"w[{offset}]={word}", f"pos[{offset}]={tag}"]
    if t:
        found.append(f"pos[-1]|pos[0]={sentence[t - 1][1]}|{sentence[t][1]}")
    return found


@pytest.mark.parametrize("c1", [0.0, 0.5])
def test_same_optimum_on_conll(shared, c1, tmp_path):
    text = (shared / "data" / "conll2000" / "train.txt").read_text(encoding="utf-8")
    blocks = text.split("\n\n")[:150]
    sentences = [[line.split() for line in block.splitlines()] for block in blocks]
    X = [[window(s, t) for t in range(len(s))] for s in sentences]
    y = [[label for *_, label in s] for s in sentences]
    settings = {"c1": c1, "c2": 1.0}
    loss, found = peer(X, y, tmp_path / "peer.crfsuite", epsilon=1e-7, delta=1e-9, **settings)
    tagger = CRFTagger(**settings, epsilon=1e-7, delta=1e-9, precision="double").fit(X, y)
    assert tagger.history[-1]["loss"] == pytest.approx(loss, rel=1e-5)
    assert tagger.history[-1]["loss"] <= loss * (1 + 1e-6)
    assert tagger.predict(X) == [found.tag(tokens) for tokens in X]
    quick = CRFTagger(**settings).fit(X, y)
    assert quick.history[-1]["loss"] == pytest.approx(loss, rel=1e-4)
