"""Colour-sorted rows: every edge twice, every bias once, neighbours never in one colour."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from inference.sampling.binary.layout import PairLayout


@given(st.integers(1, 9), st.integers(0, 1000), st.floats(0, 1))
def test_fields_are_sums_over_neighbours(n, seed, share):
    rng = np.random.default_rng(seed)
    pairs = [(i, j) for i in range(n) for j in range(i + 1, n) if rng.random() < share]
    edges = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    weights = torch.from_numpy(rng.normal(size=len(edges)))
    biases = torch.from_numpy(rng.normal(size=n))
    x = torch.from_numpy(rng.integers(0, 2, size=n).astype(np.float64))
    matrix = torch.zeros(n, n, dtype=torch.float64)
    matrix[edges[:, 0], edges[:, 1]] = weights
    expected = biases + (matrix + matrix.T) @ x

    layout = PairLayout(n, edges)
    rows = torch.cat([x[layout.order], torch.ones(1)])
    numbers = torch.cat([weights, biases[layout.order]])[layout.weight_of]
    products = numbers * rows[layout.terms.long()]
    found, unit = [], 0
    for starts, part in zip(layout.starts, products.split(layout.term_sizes), strict=True):
        ends = [*starts.tolist()[1:], len(part)]
        found += [part[a:b].sum() for a, b in zip(starts.tolist(), ends, strict=True)]
        unit += len(starts)
    torch.testing.assert_close(torch.stack(found)[layout.rows], expected)
    assert sum(layout.sizes) == unit == n
    assert sorted(layout.half_edges.tolist()) == list(range(len(edges)))


@given(st.integers(2, 12), st.integers(0, 1000))
def test_colours_separate_neighbours(n, seed):
    rng = np.random.default_rng(seed)
    pairs = [(i, j) for i in range(n) for j in range(i + 1, n) if rng.random() < 0.5]
    edges = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    layout = PairLayout(n, edges)
    color = np.repeat(np.arange(len(layout.sizes)), layout.sizes)[layout.rows.numpy()]
    assert (color[edges[:, 0]] != color[edges[:, 1]]).all()
