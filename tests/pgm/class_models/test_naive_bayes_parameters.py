"""Naive Bayes: parameters, gradients, devices and types."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch

from pgm.naive_bayes import NaiveBayes

KINDS = ["gaussian", "bernoulli", "multinomial", "categorical", "complement"]


def trials(kind: str) -> dict:
    return {"n_trials": 5} if kind == "multinomial" else {}


def test_parameters_have_their_documented_shapes(model_of):
    shapes = {
        "gaussian": {"means": (3, 5), "variances": (3, 5)},
        "bernoulli": {"feature_log_prob": (3, 5, 2)},
        "multinomial": {"feature_log_prob": (3, 5)},
        "categorical": {"feature_log_prob": (3, 20)},
        "complement": {"weights": (3, 5)},
    }
    for kind, expected in shapes.items():
        model = model_of(kind)
        found = {name: tuple(value.shape) for name, value in model.named_parameters()}
        assert found == {"class_log_prior": (3,), **expected}
        assert not any(value.requires_grad for value in model.parameters())
        assert all(value.dtype == torch.float64 for value in model.state_dict().values())
    assert repr(model_of("bernoulli")) == "NaiveBayes('bernoulli', 3 classes, 5 features)"
    assert repr(NaiveBayes()) == "NaiveBayes('gaussian', not fitted)"
    with pytest.raises(AttributeError, match="feature_log_prob_"):
        _ = model_of("gaussian").feature_log_prob_
    with pytest.raises(AttributeError, match="means"):
        _ = model_of("bernoulli").theta_


def test_methods_speak_of_the_numbers_in_the_parameters(model_of, close):
    model = model_of("gaussian")
    with torch.no_grad():
        model.class_log_prior.copy_(torch.tensor([0.5, 0.5, 0.0]).log())
        model.means.zero_()
        model.means[1] += 1
        model.variances.fill_(1.0)
    posterior = model.predict_proba([[1.0] * 5, [0.5] * 5])
    close(posterior[0], torch.tensor([0.0, 2.5, -math.inf]).softmax(0).numpy(), 1e-7)
    close(posterior[1], [0.5, 0.5, 0.0], 1e-15)


@pytest.mark.parametrize("kind", ["gaussian", "bernoulli", "multinomial", "categorical"])
def test_gradients_reach_every_parameter(rows, model_of, kind):
    model = model_of(kind).requires_grad_()
    x = rows(kind, 0)[0]
    inputs = tuple(model.parameters())

    def total(*_):
        return model.log_prob(x[:4]).sum()

    assert torch.autograd.gradcheck(total, inputs)
    model.log_prob(x).sum().backward()
    assert all(value.grad is not None and value.grad.isfinite().all() for value in inputs)


def test_gradients_of_hard_zeros_are_finite():
    for kind in ("bernoulli", "multinomial", "categorical"):
        model = NaiveBayes(kind, alpha=0).fit([[0, 1], [1, 1], [1, 0]], [0, 0, 1])
        model.requires_grad_().log_prob([[0, 1], [1, 0]]).sum().backward()
        assert all(value.grad.isfinite().all() for value in model.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_other_devices_and_types(rows, close, kind, device, dtype):
    x, y, weight = rows(kind, 16)
    expected = NaiveBayes(kind).fit(x, y, weight)
    moved = NaiveBayes(kind).fit(x, y, weight).to(device, dtype)
    there = NaiveBayes(kind).to(device, dtype).fit(torch.from_numpy(x), y, weight)
    tolerance = 1e-10 if dtype == torch.float64 else 1e-3
    for model in (moved, there):
        for value in (model.predict_proba(x), model.predict_log_proba(torch.from_numpy(x))):
            assert value.device.type == device.type and value.dtype == dtype
        if kind != "complement":
            assert model.log_prob(x).dtype == dtype
        found = model.predict_proba(torch.from_numpy(x).to(device))
        close(found, expected.predict_proba(x).numpy(), tolerance)
        assert model.predict(x).device.type == device.type
        assert model.score(x, y) == expected.score(x, y)
        model.partial_fit(x, y, sample_weight=weight)
        assert {value.device.type for value in model.state_dict().values()} == {device.type}
        if kind != "complement":
            draws = model.sample(3, generator=0, **trials(kind))[0]
            assert draws.device.type == device.type


def test_arrays_of_every_kind(rows, close):
    x, y, weight = rows("multinomial", 17)
    expected = NaiveBayes("multinomial").fit(x, y, weight).predict_proba(x)
    readonly = x.astype(float)
    readonly.setflags(write=False)
    kinds = [x.astype(t) for t in (np.int8, np.uint8, np.uint64, np.float32, ">f8", np.longdouble)]
    kinds += [readonly, x[:, ::-1][:, ::-1], np.asfortranarray(x), x.tolist(), torch.tensor(x)]
    kinds += [x.astype(object), torch.tensor(x).float().requires_grad_()]
    for other in kinds:
        model = NaiveBayes("multinomial").fit(other, y, weight)
        close(model.predict_proba(other), expected.numpy(), 1e-14)
    bits = rows("bernoulli", 17)[0]
    expected = NaiveBayes("bernoulli").fit(bits, y).predict_proba(bits)
    for other in (bits.astype(bool), torch.tensor(bits).bool(), pd.DataFrame(bits.astype(bool))):
        assert torch.equal(NaiveBayes("bernoulli").fit(other, y).predict_proba(other), expected)
