"""What is read as numbers, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from inference.inputs import as_tensor, as_weights


def test_lists_of_tensors_with_gradients_are_refused_by_name():
    parameter = torch.ones(2, requires_grad=True)
    with pytest.raises(TypeError, match=r"x must hold numbers, .* list of tensors with gradients"):
        as_tensor("x", [parameter, parameter])
    assert as_tensor("x", [parameter.detach()] * 2).tolist() == [[1.0, 1.0], [1.0, 1.0]]


def test_masked_entries_are_not_read_as_numbers():
    array = np.ma.masked_array([1.0, 2.0], mask=[False, True])
    with pytest.raises(ValueError, match="x must have no masked entries"):
        as_tensor("x", array)
    assert as_tensor("x", np.ma.masked_array([1.0, 2.0])).tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    "weights",
    [
        ["1", "2"],
        [1 + 1j, 2],
        np.array([1 + 1j, 2]),
        torch.tensor([1 + 1j, 2]),
        np.array(["2020-01-01", "2020-01-02"], dtype="datetime64[D]"),
        [None, 1.0],
    ],
)
def test_weights_that_are_no_real_numbers_are_refused(weights):
    with pytest.raises(TypeError, match="sample_weight must hold real numbers"):
        as_weights(weights, 2)


@pytest.mark.parametrize(
    "weights", [[True, False], np.array([1, 0], ">i2"), torch.tensor([1.0, 0.0])]
)
def test_weights_are_double_and_a_copy(weights):
    found = as_weights(weights, 2)
    assert found.dtype == torch.float64 and found.tolist() == [1.0, 0.0]
    found += 1
    assert list(weights) == [1, 0]
