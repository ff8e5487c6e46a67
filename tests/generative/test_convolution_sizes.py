"""Sizes of convolved maps, against what torch's layers make of maps without numbers."""

from __future__ import annotations

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import nn

from generative.convolution_sizes import convolved_size, transposed_size

WINDOWS = {
    "n": st.integers(1, 40),
    "kernel": st.integers(1, 7),
    "stride": st.integers(1, 5),
    "padding": st.integers(0, 3),
}


@given(**WINDOWS)
def test_sizes_are_those_of_torch(n: int, kernel: int, stride: int, padding: int) -> None:
    x = torch.empty(1, 1, n, device="meta")
    if kernel <= n + 2 * padding:
        layer = nn.Conv1d(1, 1, kernel, stride, padding, device="meta")
        assert layer(x).shape[-1] == convolved_size(n, kernel, stride, padding)
    assume(stride * (n - 1) + kernel - 2 * padding >= 1)
    layer = nn.ConvTranspose1d(1, 1, kernel, stride, padding, device="meta")
    assert layer(x).shape[-1] == transposed_size(n, kernel, stride, padding)


@given(kernel=st.integers(1, 9), padding=st.integers(0, 4))
def test_T28_a_map_doubles_if_and_only_if_the_kernel_is_twice_the_padding_and_two(
    kernel: int, padding: int
) -> None:
    doubles = transposed_size(16, kernel, 2, padding) == 32
    assert doubles == (kernel == 2 * padding + 2)


def test_T28_sizes_that_are_known() -> None:
    sizes = [4]
    for _ in range(4):
        sizes.append(transposed_size(sizes[-1], 4, 2, 1))
    assert sizes == [4, 8, 16, 32, 64]
    assert transposed_size(4, 5, 2, 2) == 7
    # A formula that is found in print gives 30.
    assert convolved_size(64, 4, 2, 1) == 32


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ((0, 1), "n must be at least 1, found 0"),
        ((4, 1, 0), "stride must be at least 1, found 0"),
        ((4, 1, 1, -1), "padding must be at least 0, found -1"),
    ],
)
def test_numbers_that_make_no_sense(numbers: tuple[int, ...], message: str) -> None:
    for size in (convolved_size, transposed_size):
        with pytest.raises(ValueError, match=message):
            size(*numbers)


def test_windows_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="kernel must be at most n \\+ 2 padding = 6, found 7"):
        convolved_size(4, 7, padding=1)
    with pytest.raises(ValueError, match="padding must leave a map, found 2"):
        transposed_size(1, 2, padding=2)
