"""Units that end in a label: normaliser, means, draws, and what is no such unit."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from energy.deep_belief.label_units import LabelledUnits, as_labels
from inference.exact.enumerate import enumerate_states


def states_of(n_units: int, n_classes: int) -> torch.Tensor:
    codes = enumerate_states([2] * n_units + [n_classes])
    return torch.cat([codes[:, :-1].double(), torch.eye(n_classes).double()[codes[:, -1]]], 1)


@settings(max_examples=20)
@given(n_units=st.integers(0, 3), n_classes=st.integers(2, 4), seed=st.integers(0, 999))
def test_the_law_of_units_in_fields(n_units, n_classes, seed):
    """A is the log of the sum over all states, its slope is the mean."""
    units, states = LabelledUnits(n_classes), states_of(n_units, n_classes)
    generator = torch.Generator().manual_seed(seed)
    fields = 3 * torch.randn(n_units + n_classes, generator=generator, dtype=torch.float64)
    fields.requires_grad_()
    normalizer = units.log_normalizer(fields).sum()
    logs = states @ fields
    torch.testing.assert_close(normalizer, logs.logsumexp(0))
    (slope,) = torch.autograd.grad(normalizer, fields)
    torch.testing.assert_close(units.mean(fields), slope)
    torch.testing.assert_close(slope, logs.softmax(0) @ states)
    units.check("x", states)
    assert torch.equal(units.self_energy(states), torch.zeros(len(states)).double())


def test_draws_have_their_probabilities():
    """Pearson's test of 12 states; fails by chance once in 10^7."""
    units, states = LabelledUnits(3), states_of(2, 3)
    fields = torch.tensor([0.5, -1.0, 0.3, -0.7, 0.9]).double()
    generator = torch.Generator().manual_seed(0)
    draws = units.sample(fields.expand(6000, 5), generator)
    counts = (draws[:, None] == states).all(2).sum(0).double()
    assert int(counts.sum()) == 6000
    expected = 6000 * (states @ fields).softmax(0)
    assert float(((counts - expected) ** 2 / expected).sum()) < chi2.isf(1e-7, 11)
    even = torch.full_like(expected, 500)
    assert float(((counts - even) ** 2 / even).sum()) > chi2.isf(1e-7, 11)


def test_labels_that_are_held_stay():
    held = torch.eye(3).double()[[2, 0, 2, 1]]
    draws = LabelledUnits(3, held).sample(
        torch.zeros(4, 5).double(), torch.Generator().manual_seed(0)
    )
    assert torch.equal(draws[:, 2:], held)


def test_what_is_refused():
    for wrong in ([0.0, 1.0, 1.0], [0.0, 0.0, 0.0], [0.5, 0.5, 0.1]):
        with pytest.raises(ValueError, match="label"):
            LabelledUnits(2).check("x", torch.tensor([wrong]))
    with pytest.raises(ValueError, match="found 2"):
        LabelledUnits(2).check("x", torch.tensor([[2.0, 0.0, 1.0]]))
    assert as_labels([0, 2], 3, 2).tolist() == [0, 2]
    for labels, error in (
        ([0, 3], ValueError),
        ([0.0, 1.0], TypeError),
        ([True, False], TypeError),
    ):
        with pytest.raises(error, match="labels"):
            as_labels(labels, 3, 2)


@pytest.mark.parametrize("kind", ["u1", "u2", "u4", "u8", "i1", ">i4"])
def test_whole_numbers_of_every_type_are_labels(kind):
    assert as_labels(np.array([1, 0], dtype=kind), 2, 2).tolist() == [1, 0]


@pytest.mark.parametrize("labels", [["a", "b"], [0, None], [0.0, 1.0], [True, False]])
def test_what_is_no_whole_number_is_no_label(labels):
    with pytest.raises(TypeError, match="labels must be whole numbers"):
        as_labels(labels, 2, 2)
