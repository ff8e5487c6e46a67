"""Naive Bayes saved and loaded."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from inference.model import Model
from pgm.naive_bayes import NaiveBayes

KINDS = ["gaussian", "bernoulli", "multinomial", "categorical", "complement"]


@pytest.mark.parametrize("kind", KINDS)
def test_file_round_trip(rows, kind, tmp_path):
    x, y, weight = rows(kind, 15)
    options = {
        "gaussian": {"var_smoothing": 1e-3, "fit_prior": False},
        "bernoulli": {"alpha": [1, 2, 3, 4, 5], "binarize": None},
        "multinomial": {"alpha": 0.5, "class_prior": [0.2, 0.3, 0.5]},
        "categorical": {"alpha": 0.5, "min_categories": [7, 4, 4, 4, 5]},
        "complement": {"norm": True},
    }
    labels = np.array(["a", "b", "c"])[y]
    model = NaiveBayes(kind, **options[kind]).fit(x, labels, weight)
    model.save(tmp_path / "model.safetensors")
    copy = NaiveBayes.load(tmp_path / "model.safetensors")
    assert copy.classes == ("a", "b", "c") and copy.config() == model.config()
    assert torch.equal(copy.predict_log_proba(x), model.predict_log_proba(x))
    assert copy.predict(x).tolist() == model.predict(x).tolist()
    for both in (model, copy):
        both.partial_fit(x[:9], labels[:9])
    assert torch.equal(copy.predict_log_proba(x), model.predict_log_proba(x))


@pytest.mark.parametrize("labels", [[3, 5, 3, 5, 3, 7], [True, False] * 3, [0.0, 1.0] * 3])
def test_files_keep_labels_and_columns(frame, labels, tmp_path):
    table, _ = frame()
    model = NaiveBayes("categorical").fit(table, labels)
    model.save(tmp_path / "model.safetensors")
    copy = NaiveBayes.load(tmp_path / "model.safetensors")
    assert copy.classes == model.classes
    assert [type(label) for label in copy.classes] == [type(label) for label in model.classes]
    assert torch.equal(copy.predict_proba(table), model.predict_proba(table))
    assert copy.predict(table).dtype == model.predict(table).dtype
    with pytest.raises(ValueError, match="unknown state 'pink'"):
        copy.predict(table.assign(colour="pink"))


def test_models_that_were_not_fitted(tmp_path):
    model = NaiveBayes("bernoulli")
    calls = [
        lambda: model.predict([[0]]),
        lambda: model.predict_proba([[0]]),
        lambda: model.log_prob([[0]]),
        lambda: model.score([[0]], [0]),
        lambda: model.sample(1),
        lambda: model.classes,
        lambda: model.to_bayesian_network(),
        lambda: model.save(tmp_path / "none.safetensors"),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="not fitted; call fit"):
            call()
    Model.save(model, tmp_path / "none.safetensors")
    with pytest.raises(ValueError, match="holds a NaiveBayes that was not fitted"):
        NaiveBayes.load(tmp_path / "none.safetensors")
