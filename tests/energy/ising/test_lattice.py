"""Neighbours on lattices: degrees, ends, rings of one and two."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from energy.ising.lattice import checked_shape, lattice_edges


@given(st.lists(st.integers(1, 5), min_size=1, max_size=3), st.booleans())
def test_neighbours_differ_by_one_step_along_their_axis(shape, periodic):
    edges, axes = lattice_edges(shape, periodic)
    first, second = [np.stack(np.unravel_index(end, shape)) for end in edges.T]
    step = second - first
    for axis, side in enumerate(shape):
        mine = axes == axis
        moved = step[axis, mine] % side if periodic else step[axis, mine]
        assert (moved == 1).all()
        assert (np.delete(step, axis, 0)[:, mine] == 0).all()
        lines = np.prod(shape) // side
        expected = 0 if side == 1 else lines * (side if periodic else side - 1)
        assert mine.sum() == expected


def test_shapes():
    assert checked_shape(5) == (5,)
    assert checked_shape([2, 3]) == (2, 3)
    for wrong in ((), (0, 3)):
        with pytest.raises(ValueError, match="shape"):
            checked_shape(wrong)
    with pytest.raises(TypeError, match="shape"):
        checked_shape((2.5,))


@pytest.mark.parametrize("shape", [(10**6, 10**6), (10**200, 2)])
def test_lattices_beyond_the_memory_are_refused(shape):
    with pytest.raises(ValueError, match=r"shape, with the edges of .* sites, would take"):
        checked_shape(shape)
