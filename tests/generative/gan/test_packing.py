"""Packing: against concatenation row by row."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from generative.gan.packing import packed


@given(
    groups=st.integers(0, 4),
    pack=st.integers(1, 4),
    event=st.lists(st.integers(1, 3), min_size=1, max_size=3),
)
def test_equals_concatenation(groups: int, pack: int, event: list[int]) -> None:
    x = torch.arange(groups * pack * torch.Size(event).numel()).reshape(groups * pack, *event)
    found = packed(x, pack)
    assert found.shape == (groups, pack * event[0], *event[1:])
    for group in range(groups):
        rows = [x[group * pack + member] for member in range(pack)]
        assert torch.equal(found[group], torch.cat(rows, 0))


def test_one_is_nothing_and_gradients_pass() -> None:
    x = torch.randn(6, 2, generator=torch.Generator().manual_seed(0), requires_grad=True)
    assert torch.equal(packed(x, 1), x)
    weights = torch.arange(6.0)
    (slope,) = torch.autograd.grad((packed(x, 3) * weights).sum(), x)
    assert torch.equal(slope, weights.reshape(3, 2).repeat(2, 1))


def test_packed_images_are_channels() -> None:
    images = torch.arange(4).reshape(4, 1, 1, 1).expand(4, 3, 2, 2)
    assert packed(images, 2)[1, :, 0, 0].tolist() == [2, 2, 2, 3, 3, 3]


def test_bad_input() -> None:
    with pytest.raises(ValueError, match=r"found 7 rows and pack=2; pass 6 or 8 rows"):
        packed(torch.zeros(7, 2), 2)
    with pytest.raises(ValueError, match=r"x must be \(n, c, \.\.\.\)"):
        packed(torch.zeros(4), 2)
    with pytest.raises(ValueError, match="pack must be at least 1"):
        packed(torch.zeros(4, 2), 0)
    with pytest.raises(TypeError, match="pack must be a whole number"):
        packed(torch.zeros(4, 2), 2.0)
