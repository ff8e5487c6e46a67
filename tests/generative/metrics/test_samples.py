"""Distances in pieces: against scipy, and ties that stay ties."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from torch import Tensor

from generative.metrics import samples
from generative.metrics.samples import distance_blocks, read_samples


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("dimensions", [1, 2, 32, 33, 200])
@pytest.mark.parametrize("block", [1, 40, 2**22])
def test_blocks_are_distances(
    monkeypatch: pytest.MonkeyPatch, dimensions: int, block: int
) -> None:
    monkeypatch.setattr(samples, "BLOCK", block)
    x, y = normal(17, dimensions) + 100, normal(9, dimensions, seed=1) + 100
    found = list(distance_blocks(x, y))
    assert all(len(part) * len(y) <= max(block, len(y)) for part in found)
    assert torch.allclose(torch.cat(found), torch.from_numpy(cdist(x, y)), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("dimensions", [5, 64])
def test_copies_and_whole_numbers_are_exact(dimensions: int) -> None:
    x = 1e3 * normal(30, dimensions) + 1e5
    (same,) = distance_blocks(x, x)
    assert torch.equal(same.diagonal(), torch.zeros(30, dtype=torch.float64))
    assert (same + torch.eye(30) > 0).all()
    bits = (normal(40, dimensions) > 0).double() + 7
    (found,) = distance_blocks(bits, bits)
    flips = (bits[:, None] != bits[None]).sum(-1)
    # Torch's own root, taken where dimensions are many, is a last digit off on some processors:
    # the squares are what is exact, and equal ones have equal roots.
    true = torch.from_numpy(np.sqrt(flips.double().numpy()))
    if dimensions <= samples.FEW:
        assert torch.equal(found, true)
    assert torch.allclose(found, true, rtol=3e-16, atol=0)
    for square in flips.unique():
        assert found[flips == square].unique().numel() == 1


def test_reading() -> None:
    x, y = read_samples(1, x=[[1, 2]], y=torch.zeros(3, 2))
    assert x.dtype == y.dtype == torch.float64
    with pytest.raises(ValueError, match=r"x and y must be \(n, d\).*\(3,\) and \(1, 2\)"):
        read_samples(1, x=[1.0, 2.0, 3.0], y=[[1.0, 2.0]])
    with pytest.raises(ValueError, match="with one d"):
        read_samples(1, x=[[1.0]], y=[[1.0, 2.0]])
    with pytest.raises(ValueError, match="y must hold at least 2 rows, found 1"):
        read_samples(2, x=[[1.0], [2.0]], y=[[1.0]])
    with pytest.raises(ValueError, match="x must not hold NaN"):
        read_samples(1, x=[[float("nan")]])
    with pytest.raises(TypeError, match="real numbers"):
        read_samples(1, x=[["a"]])
