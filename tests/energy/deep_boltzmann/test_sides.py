"""Two sides of a stack: layers and weights go there and come back."""

from __future__ import annotations

from itertools import pairwise

import torch
from hypothesis import given
from hypothesis import strategies as st

from energy.deep_boltzmann.sides import Sides


@given(st.lists(st.integers(1, 4), min_size=2, max_size=6))
def test_sides_are_the_stack(sizes):
    sides = Sides(tuple(sizes))
    generator = torch.Generator().manual_seed(sum(sizes))
    layers = [torch.randn(3, size, generator=generator).double() for size in sizes]
    weights = [torch.randn(pair, generator=generator).double() for pair in pairwise(sizes)]
    even, odd = sides.join(layers)
    assert even.shape[1] == sides.n_even and odd.shape[1] == sides.n_odd
    assert all(map(torch.equal, sides.split(even, odd), layers))
    joined = sides.joined_weights(weights)
    assert all(map(torch.equal, sides.split_weights(joined), weights))
    direct = sum(
        torch.einsum("si,ij,sj->s", low, w, high)
        for low, w, high in zip(layers[:-1], weights, layers[1:], strict=True)
    )
    torch.testing.assert_close(torch.einsum("si,ij,sj->s", even, joined, odd), direct)
    connected = sides.connected()
    there = joined != 0
    assert torch.equal(there if connected is None else connected, there)
    assert there.sum() == sum(w.numel() for w in weights)
