"""Conditional random fields refuse what they cannot read, and come back from files."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from pgm.conditional.templates import GraphTemplate, GridTemplate
from pgm.conditional_random_field import ConditionalRandomField

GRID = GridTemplate(4)
X, Y = torch.zeros(2, 2, 3, 3), torch.zeros(2, 3, 3, dtype=torch.int64)


def plain() -> ConditionalRandomField:
    """A field whose input holds the scores."""
    return ConditionalRandomField(GRID, 2, nn.Identity())


@pytest.mark.parametrize(
    ("error", "message", "arguments"),
    [
        (TypeError, "template must be a GridTemplate", ((3, 3), 2, nn.Identity())),
        (TypeError, "unary must be a module", (GRID, 2, torch.tanh)),
        (ValueError, "n_states must be at least 1", (GRID, 0, nn.Identity())),
        (ValueError, "pairwise must be a module or one of", (GRID, 2, nn.Identity(), "ising")),
        (ValueError, "GridTemplate", (GraphTemplate(2, []), 2, nn.Identity(), "contrast")),
    ],
)
def test_arguments_are_checked(error, message, arguments):
    with pytest.raises(error, match=message):
        ConditionalRandomField(*arguments)


@pytest.mark.parametrize(
    ("error", "message", "x"),
    [
        (ValueError, "n_states=2 scores on axis 1", torch.zeros(2, 3, 3, 3)),
        (ValueError, "for one input or more", torch.zeros(0, 2, 3, 3)),
        (ValueError, "grid with 2 axes", torch.zeros(2, 2, 3)),
        (TypeError, "floating-point tensor", torch.zeros(2, 2, 3, 3, dtype=torch.int64)),
        (TypeError, "floating-point tensor", torch.zeros(2, 2)),
        (ValueError, "leading axis", torch.tensor(1.0)),
        (ValueError, "unary returned NaN", torch.full((1, 2, 2, 2), math.nan)),
        (ValueError, "unary returned NaN or .inf", torch.full((1, 2, 2, 2), math.inf)),
    ],
)
def test_inputs_are_checked(error, message, x):
    with pytest.raises(error, match=message):
        plain().log_partition(x)


@pytest.mark.parametrize(
    ("error", "message", "y"),
    [
        (TypeError, "whole numbers", Y.double()),
        (ValueError, "labels 0..1, or -1 where missing, found 2..2", Y + 2),
        (ValueError, "found -2..-2", Y - 2),
        (ValueError, r"shape \(2, 3, 3\), found \(2, 3\)", Y[0, :2]),
    ],
)
def test_labels_are_checked(error, message, y):
    with pytest.raises(error, match=message):
        plain().log_prob(X, y)


def test_missing_labels_have_no_energy():
    with pytest.raises(ValueError, match="must be complete"):
        plain().energy(X, Y - 1)


def test_methods_are_checked():
    field = plain()
    calls = [
        lambda method: field.log_prob(X, Y, method),
        lambda method: field.log_partition(X, method),
        lambda method: field.marginals(X, method),
        lambda method: field.most_probable(X, method),
        lambda method: field.fit(X, Y, method),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=r"method must be one of .*found 'gibbs'"):
            call("gibbs")
    with pytest.raises(ValueError, match="found 'pseudo-likelihood'"):
        field.marginals(X, "pseudo-likelihood")
    with pytest.raises(ValueError, match="n must be at least 0"):
        field.sample(X, -1)


def test_what_pairwise_modules_return_is_checked():
    for pairwise, message in (
        (
            nn.Conv2d(2, 4, 1),
            r"\(B, 8, 3, 3\) for M = 2 displacements, found shape \(2, 4, 3, 3\)",
        ),
        (nn.Conv2d(2, 8, 2), r"found shape \(2, 8, 2, 2\)"),
    ):
        field = ConditionalRandomField(GRID, 2, nn.Identity(), pairwise)
        with pytest.raises(ValueError, match=message):
            field.log_partition(X)
    graph = GraphTemplate(3, [(0, 1)])
    field = ConditionalRandomField(graph, 2, nn.Identity(), nn.Identity())
    with pytest.raises(ValueError, match=r"\(B, 1, 2, 2\), found shape \(2, 3, 2\)"):
        field.log_partition(torch.zeros(2, 3, 2))

    class Half(nn.Module):
        def forward(self, x):
            return torch.zeros(1, 8, 3, 3)

    field = ConditionalRandomField(GRID, 2, nn.Identity(), Half())
    with pytest.raises(ValueError, match="one graph per input, found 2 and 1"):
        field.log_partition(X)


def test_contrast_needs_an_image_as_large_as_the_labels():
    field = ConditionalRandomField(GRID, 2, nn.Conv2d(1, 2, 2), "contrast")
    with pytest.raises(ValueError, match=r"x of shape \(B, C, 2, 2\)"):
        field.log_partition(torch.zeros(1, 1, 3, 3))


@pytest.mark.parametrize(
    ("error", "message", "settings"),
    [
        (ValueError, "epochs must be at least 1", {"epochs": 0}),
        (TypeError, "batch_size must be a whole number", {"batch_size": 1.5}),
        (ValueError, "learning_rate must be positive", {"learning_rate": 0.0}),
        (ValueError, "l2 must be finite and not negative", {"l2": -1.0}),
        (ValueError, "optimizer must be 'adam'", {"optimizer": "sgd"}),
        (TypeError, "progress must be", {"progress": "yes"}),
    ],
)
def test_settings_of_learning_are_checked(error, message, settings):
    with pytest.raises(error, match=message):
        plain().fit(X, Y, **settings)


def test_data_of_learning_are_checked():
    with pytest.raises(ValueError, match="equally many examples, found 2 and 1"):
        plain().fit(X, Y[:1])
    with pytest.raises(ValueError, match="must hold a label"):
        plain().fit(X, Y - 1)
    with pytest.raises(ValueError, match="grid with 2 axes"):
        plain().fit(X, Y[:, 0])
    with pytest.raises(ValueError, match=r"y must have shape \(2, 3, 3\), found \(2, 2, 3\)"):
        plain().fit(X, Y[:, :2])
    fixed = plain()
    fixed.pairwise.coupling.requires_grad_(False)
    with pytest.raises(ValueError, match="no parameters"):
        fixed.fit(X, Y)


def test_arrays_of_every_layout_are_read():
    x, y = (
        np.random.default_rng(0).normal(size=(2, 2, 3, 3)),
        np.tile(np.eye(3, dtype=int), (2, 1, 1)),
    )
    expected = plain().log_prob(torch.from_numpy(x), torch.from_numpy(y))
    for change in (
        lambda a: np.broadcast_to(a, a.shape),  # read-only
        lambda a: a[..., ::-1].copy()[..., ::-1],  # a negative stride
        lambda a: a.astype(a.dtype.newbyteorder()),
        np.ndarray.tolist,
    ):
        assert plain().log_prob(change(x), change(y)).equal(expected)
    with pytest.raises(TypeError, match="x must hold real numbers, found ndarray of dtype object"):
        plain().log_prob(x.astype(object), y)
    with pytest.raises(
        TypeError, match="y must hold real numbers, found NoneType of dtype object"
    ):
        plain().log_prob(x, None)


def test_arrays_and_other_precisions_are_read():
    field = ConditionalRandomField(GRID, 2, nn.Conv2d(1, 2, 1))
    x = np.zeros((2, 1, 3, 3))
    found = field.log_prob(x, np.zeros((2, 3, 3), dtype=np.int32))
    assert found.dtype == torch.float64 and found.shape == (2,)
    assert field.most_probable(x)[0].dtype == torch.int64


@pytest.mark.parametrize("pairwise", ["potts", "table", "contrast"])
def test_a_file_holds_parameters_and_template(tmp_path, pairwise):
    path = tmp_path / "field.safetensors"
    field = ConditionalRandomField(GridTemplate(8), 2, nn.Conv2d(1, 2, 3, padding=1), pairwise)
    for number, parameter in enumerate(field.pairwise.parameters()):
        parameter.data.fill_(0.5 + number)
    field.save(path)
    copy = ConditionalRandomField.load(path, unary=nn.Conv2d(1, 2, 3, padding=1))
    x = torch.linspace(0, 1, 9).reshape(1, 1, 3, 3)
    assert torch.equal(copy.log_partition(x), field.log_partition(x))
    assert repr(copy) == repr(field)


def test_modules_of_a_user_are_handed_in(tmp_path):
    path = tmp_path / "field.safetensors"
    graph = GraphTemplate(3, [(0, 1), (1, 2)])

    def pairwise() -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(6, 8), nn.Unflatten(1, (2, 2, 2)))

    field = ConditionalRandomField(graph, 2, nn.Identity(), pairwise())
    field.save(path)
    copy = ConditionalRandomField.load(path, pairwise=pairwise())
    x = torch.linspace(0, 1, 6).reshape(1, 3, 2)
    assert torch.equal(copy.log_partition(x), field.log_partition(x))
    with pytest.raises(ValueError, match="pairwise was a module; pass one like it"):
        ConditionalRandomField.load(path)
    with pytest.raises(ValueError, match="tensors that the model does not have"):
        ConditionalRandomField.load(path, pairwise=nn.Flatten())
    plain().save(path)
    with pytest.raises(ValueError, match="pairwise was 'potts'; leave it out"):
        ConditionalRandomField.load(path, pairwise=pairwise())
    assert ConditionalRandomField.load(path).n_states == 2
