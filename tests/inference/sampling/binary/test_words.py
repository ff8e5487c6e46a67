"""Random words: uniform in every bit, independent of the number drawn, reproducible."""

from __future__ import annotations

import math

import pytest
import torch

from inference.sampling.binary.words import MANY, random_words


@pytest.mark.parametrize("count", [MANY // 4, 4 * MANY])
def test_every_bit_is_fair(count):
    """64 calls together; |z| < 6 for 32 bits and both ways to draw: false alarms 1.3e-7."""
    generator = torch.Generator().manual_seed(0)
    words = torch.stack([random_words((count,), generator) for _ in range(64)]).long()
    for bit in range(32):
        share = ((words >> bit) & 1).double().mean()
        assert abs(float(share) - 0.5) < 6 * 0.5 / math.sqrt(words.numel())


@pytest.mark.parametrize("shape", [(3,), (5, 7), (11, 1000), (0, 4)])
def test_shapes_and_seeds(shape):
    first = random_words(shape, torch.Generator().manual_seed(3))
    again = random_words(shape, torch.Generator().manual_seed(3))
    other = random_words(shape, torch.Generator().manual_seed(4))
    assert first.shape == shape
    assert first.dtype is torch.int32
    assert torch.equal(first, again)
    assert first.numel() == 0 or not torch.equal(first, other)


def test_calls_follow_one_another():
    generator = torch.Generator().manual_seed(0)
    words = torch.cat([random_words((MANY,), generator) for _ in range(4)])
    assert len(words.unique()) > 0.999 * len(words)


def test_thresholds_give_probabilities():
    """|z| < 6 at four probabilities: false alarms 8e-9."""
    words = random_words((400_000,), torch.Generator().manual_seed(0))
    for p in (0.001, 0.2, 0.5, 0.97):
        share = (words < (p - 0.5) * 2**32).double().mean()
        assert abs(float(share) - p) < 6 * math.sqrt(p * (1 - p) / len(words))
