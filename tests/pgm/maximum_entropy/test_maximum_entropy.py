"""The maximum-entropy classifier by its own laws: gradients, optimality, expectations, files."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from inference.convergence import ConvergenceWarning
from pgm.max_entropy.likelihood import Problem
from pgm.max_entropy.settings import Settings
from pgm.maximum_entropy import MaximumEntropyClassifier

NAN = float("nan")


@given(st.integers(0, 10**6), st.integers(2, 4), st.booleans(), st.sampled_from([0.0, 0.3]))
def test_the_gradient_is_that_of_the_value(rows, seed, n_classes, intercept, l1_ratio):
    x, y, weight = (torch.from_numpy(part) for part in rows(seed, n=12, n_classes=n_classes))
    settings = Settings(C=0.7, l1_ratio=l1_ratio, fit_intercept=intercept)
    problem = Problem.of(x, y, weight, n_classes, settings)
    draws = torch.Generator().manual_seed(seed)
    point = torch.empty_like(problem.start()).normal_(generator=draws).requires_grad_()
    value, gradient = problem.value_and_gradient(point)
    (expected,) = torch.autograd.grad(value, point)
    torch.testing.assert_close(gradient.detach(), expected, rtol=1e-9, atol=1e-12)


@given(st.integers(0, 10**6), st.integers(2, 4))
def test_model_and_empirical_feature_expectations_agree_at_the_optimum(rows, seed, n_classes):
    x, y, weight = rows(seed, n=60, d=2, n_classes=n_classes)
    # Rows of all classes at the same places: no plane separates any of them.
    x = np.concatenate([x, *[x[:5]] * n_classes])
    y = np.concatenate([y, np.arange(n_classes).repeat(5)])
    weight = np.concatenate([weight, np.ones(5 * n_classes)])
    model = MaximumEntropyClassifier(C=math.inf, tol=1e-11, max_iter=5000).fit(x, y, weight)
    found = model.feature_expectations(x, sample_weight=weight).numpy()
    expected = model.feature_expectations(x, y, sample_weight=weight).numpy()
    np.testing.assert_allclose(found / x.std(0), expected / x.std(0), rtol=1e-7, atol=1e-7)
    shares = np.bincount(y, weight) / weight.sum()
    mean = (model.predict_proba(x) * torch.from_numpy(weight)[:, None]).sum(0) / weight.sum()
    np.testing.assert_allclose(mean, shares, atol=1e-8)


def test_lasso_satisfies_the_conditions_of_optimality(rows):
    x, y, weight = rows(9, n=100, d=6)
    x = x / x.std(0)
    model = MaximumEntropyClassifier(C=0.05, l1_ratio=1.0, tol=1e-10).fit(x, y, weight)
    gap = model.feature_expectations(x, y, weight) - model.feature_expectations(
        x, sample_weight=weight
    )
    slope, used = 0.05 * weight.sum() * gap, model.weights != 0
    assert used.any() and not used.all()
    torch.testing.assert_close(slope[used], model.weights[used].sign(), rtol=0, atol=1e-6)
    assert (slope[~used].abs() <= 1 + 1e-6).all()


def test_weights_of_rows_equal_their_repetition(rows):
    x, y, _ = rows(1)
    times = np.arange(len(y)) % 3
    weighted = MaximumEntropyClassifier(tol=1e-11).fit(x, y, times)
    repeated = MaximumEntropyClassifier(tol=1e-11).fit(x.repeat(times, 0), y.repeat(times))
    torch.testing.assert_close(weighted.weights, repeated.weights, rtol=1e-6, atol=1e-7)


def test_separable_classes_without_penalty_end_with_finite_weights():
    x, y = [[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1]
    model = MaximumEntropyClassifier(C=math.inf).fit(x, y)
    assert model.weights.isfinite().all() and model.weights.item() > 5
    assert model.predict(x).tolist() == y


def test_no_class_is_an_outlier_however_far_a_row_lies(rows):
    x, y, _ = rows(6)
    model = MaximumEntropyClassifier().fit(x, y)
    far = model.predict_log_proba(np.full((1, 4), 1e300))
    assert not far.isnan().any()
    assert far.exp().sum().item() == pytest.approx(1.0)


def test_constant_columns_get_no_weight(rows):
    x, y, _ = rows(8)
    table = np.concatenate([x, np.full((len(x), 1), 1e6), np.zeros((len(x), 1))], 1)
    model = MaximumEntropyClassifier(tol=1e-10).fit(table, y)
    plain = MaximumEntropyClassifier(tol=1e-10).fit(x, y)
    torch.testing.assert_close(model.weights[:, :4], plain.weights, rtol=1e-5, atol=1e-6)
    assert model.weights[:, 4:].abs().max() < 1e-9


@pytest.mark.parametrize("unit", [1e-300, 1e-160, 1e150, 1e300])
def test_without_penalty_units_change_nothing(rows, unit):
    x, y, _ = rows(3)
    model = MaximumEntropyClassifier(C=math.inf, tol=1e-9).fit(x, y)
    scaled = MaximumEntropyClassifier(C=math.inf, tol=1e-9).fit(x * unit, y)
    torch.testing.assert_close(scaled.predict_proba(x * unit), model.predict_proba(x))


def test_log_prob_of_no_rows(rows):
    x, y, _ = rows(3)
    assert MaximumEntropyClassifier().fit(x, y).log_prob(x[:0], []).shape == (0,)


def test_log_prob_picks_the_labels(rows):
    x, y, _ = rows(0)
    model = MaximumEntropyClassifier().fit(x, y)
    found = model.log_prob(x, y)
    assert torch.equal(found, model.predict_log_proba(x)[torch.arange(len(y)), y])
    assert model.log_prob(x[:1], [7]).tolist() == [-math.inf]
    assert sum(step["loss"] for step in model.history[-1:]) > -found.mean().item()


@pytest.mark.parametrize("labels", [[0, 1, 2], ["a", "b", "c"], [False, True, True]])
@pytest.mark.parametrize("settings", [{}, {"class_weight": "balanced"}, {"C": math.inf}])
def test_a_file_holds_all(rows, tmp_path, labels, settings):
    x, y, _ = rows(3)
    names = np.array(labels)[y]
    model = MaximumEntropyClassifier(l1_ratio=0.5, **settings).fit(x, names)
    model.save(tmp_path / "model.safetensors")
    copy = MaximumEntropyClassifier.load(tmp_path / "model.safetensors")
    assert copy.classes == model.classes and copy.get_params() == model.get_params()
    assert torch.equal(copy.predict_proba(x), model.predict_proba(x))
    assert repr(copy) == repr(model)


def test_weights_of_classes_are_kept_in_files(rows, tmp_path):
    x, y, _ = rows(3)
    model = MaximumEntropyClassifier(class_weight={0: 2, 2: 0.5}).fit(x, y)
    model.save(tmp_path / "model.safetensors")
    copy = MaximumEntropyClassifier.load(tmp_path / "model.safetensors")
    assert copy.settings.class_weight == {0: 2.0, 2: 0.5}


def test_float32_models_answer_in_float32(rows):
    x, y, _ = rows(3)
    model = MaximumEntropyClassifier().float().fit(x, y)
    assert model.weights.dtype == model.predict_proba(x).dtype == torch.float32
    expected = MaximumEntropyClassifier().fit(x, y).predict_proba(x)
    np.testing.assert_allclose(model.predict_proba(x), expected, atol=1e-4)


def test_values_copied_in_are_spoken_of(rows):
    x, y, _ = rows(3)
    model = MaximumEntropyClassifier().fit(x, y)
    with torch.no_grad():
        model.weights.zero_()
        model.bias.copy_(torch.tensor([0.0, 0.0, math.log(2.0)]))
    assert model.predict_proba(x[:1])[0].tolist() == pytest.approx([0.25, 0.25, 0.5])


def test_too_few_iterations_are_said(rows):
    x, y, _ = rows(3)
    with pytest.warns(ConvergenceWarning, match="max_iter=2 iterations"):
        model = MaximumEntropyClassifier(max_iter=2).fit(x, y)
    assert model.n_iter_.tolist() == [2] and len(model.history) == 2


@pytest.mark.parametrize(
    ("error", "message", "settings"),
    [
        (ValueError, "C must be positive", {"C": 0}),
        (ValueError, "C must not hold NaN", {"C": NAN}),
        (TypeError, "C must hold real numbers", {"C": "1"}),
        (ValueError, "l1_ratio must be from 0 to 1", {"l1_ratio": 1.5}),
        (ValueError, "tol must be positive", {"tol": 0.0}),
        (TypeError, "max_iter must be a whole number", {"max_iter": 1.5}),
        (ValueError, "max_iter must be at least 1", {"max_iter": 0}),
        (ValueError, "class_weight must be 'balanced'", {"class_weight": "even"}),
        (ValueError, "not negative, found -1 for 0", {"class_weight": {0: -1}}),
    ],
)
def test_settings_are_checked(error, message, settings):
    with pytest.raises(error, match=message):
        MaximumEntropyClassifier(**settings)
    model = MaximumEntropyClassifier()
    with pytest.raises(error, match=message):
        model.set_params(**settings)
    assert model.get_params() == MaximumEntropyClassifier().get_params()


def test_unknown_settings_are_refused():
    with pytest.raises(ValueError, match=r"found \['penalty'\]"):
        MaximumEntropyClassifier().set_params(penalty="l2")


@pytest.mark.parametrize(
    ("error", "message", "x", "y", "weight"),
    [
        (ValueError, "equally many rows, found 2 and 3", [[0.0], [1]], [0, 1, 1], None),
        (ValueError, "at least two classes, found .0.", [[0.0], [1]], [0, 0], None),
        (ValueError, "rows and columns", np.zeros((0, 2)), [], None),
        (ValueError, "missing in row 1", [[0.0], [NAN]], [0, 1], None),
        (ValueError, "must be finite, found inf in row 1", [[0.0], [math.inf]], [0, 1], None),
        (TypeError, "must hold numbers, found 'a'", [["a"], ["b"]], [0, 1], None),
        (ValueError, "missing labels, found None", [[0.0], [1]], ["a", None], None),
        (ValueError, "0.5 in row 1", [[0.0], [1]], [0, 0.5], None),
        (ValueError, "not negative, found -1", [[0], [1]], [0, 1], [1, -1]),
        (ValueError, "found zero in all", [[0], [1]], [0, 1], [0, 0]),
    ],
)
def test_data_are_checked(error, message, x, y, weight):
    model = MaximumEntropyClassifier()
    with pytest.raises(error, match=message):
        model.fit(x, y, weight)
    with pytest.raises(ValueError, match="not fitted"):
        model.predict(x)


def test_sparse_data_are_checked():
    from scipy.sparse import csr_matrix

    model = MaximumEntropyClassifier()
    with pytest.raises(ValueError, match="finite and without gaps"):
        model.fit(csr_matrix([[NAN], [1.0]]), [0, 1])
    with pytest.raises(TypeError, match="real numbers"):
        model.fit(csr_matrix([[1j], [1.0]]), [0, 1])
    model.fit(csr_matrix([[0.0], [1.0]]), [0, 1])
    with pytest.raises(ValueError, match=r"X must have 1 columns, found shape \(1, 2\)"):
        model.predict(csr_matrix([[0.0, 1.0]]))


def test_predictions_are_checked(rows):
    x, y, _ = rows(0)
    model = MaximumEntropyClassifier(class_weight={"a": 1.0})
    with pytest.raises(ValueError, match="class_weight must name classes"):
        model.fit(x, y)
    with pytest.raises(ValueError, match="class_weight must name classes"):
        MaximumEntropyClassifier(class_weight={9: 1.0}).fit(x, y)
    model = MaximumEntropyClassifier().fit(x, y)
    with pytest.raises(ValueError, match="X must have 4 columns, found 3"):
        model.predict(x[:, :3])
    with pytest.raises(ValueError, match="equally many rows, found 80 and 2"):
        model.score(x, [0, 1])
    with pytest.raises(ValueError, match="not fitted"):
        MaximumEntropyClassifier().save("nowhere")
