"""Counts of families, glued or one by one, against a loop over the rows."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.exact.structure import Structure
from pgm.discrete_data import DiscreteData
from pgm.parameters import family_counts
from pgm.parameters.family_counts import GluedFamilies


@st.composite
def families(draw: st.DrawFn) -> tuple[Structure, np.ndarray, np.ndarray | None]:
    """One family per variable with parents in any order, rows, and weights or none."""
    cards = draw(st.lists(st.sampled_from([1, 2, 3, 7]), min_size=1, max_size=7))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = draw(st.sampled_from([0, 1, 3, 40]))
    scopes = []
    for v in range(len(cards)):
        others = rng.permutation([u for u in range(len(cards)) if u != v])
        scopes.append((*others[: rng.integers(0, 4)].tolist(), v))
    structure = Structure(tuple(cards), tuple(scopes), tuple(range(len(cards))))
    codes = np.stack([rng.integers(card, size=n) for card in cards], axis=1)
    weights = rng.gamma(1.0, size=n) * (rng.random(n) < 0.7) if draw(st.booleans()) else None
    return structure, codes, weights


def read(structure: Structure, codes: np.ndarray, weights: np.ndarray | None) -> DiscreteData:
    states = {f"v{v}": card for v, card in enumerate(structure.cards)}
    return DiscreteData(codes, states, weights)


def cell(structure: Structure, family: int, row: np.ndarray) -> int:
    """Place of a row's cell: parents in the scope's order, the child fastest."""
    place = 0
    for v in structure.scopes[family]:
        place = place * structure.cards[v] + int(row[v])
    return structure.offsets[family] + place


@settings(max_examples=100)
@given(families(), st.sampled_from([0, 30, 8192]))
def test_counts_of_every_cell(example, most_cells):
    structure, codes, weights = example
    expected = np.zeros(structure.offsets[-1])
    for i, row in enumerate(codes):
        for family in range(len(structure.scopes)):
            expected[cell(structure, family, row)] += 1.0 if weights is None else weights[i]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(family_counts, "MOST_CELLS", most_cells)
        found = GluedFamilies(structure).counts(read(structure, codes, weights))
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-13)
    if weights is None:
        assert found.tolist() == expected.tolist(), "whole numbers are exact"


@settings(max_examples=100)
@given(families(), st.sampled_from([0, 30, 8192]))
def test_log_probabilities_of_rows(example, most_cells):
    structure, codes, _ = example
    rng = np.random.default_rng(0)
    logs = np.where(rng.random(structure.offsets[-1]) < 0.1, -math.inf, 0.0)
    logs = logs + np.log(rng.random(len(logs)))
    expected = [
        sum(logs[cell(structure, family, row)] for family in range(len(structure.scopes)))
        for row in codes
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(family_counts, "MOST_CELLS", most_cells)
        found = GluedFamilies(structure).log_prob(read(structure, codes, None), logs)
    np.testing.assert_allclose(found, expected, rtol=1e-13)


def test_an_exchanged_axis_is_seen():
    """Counts of the transposed table, which has as many cells, are other counts."""
    codes = np.array([[0, 1], [0, 1], [1, 0]])
    right = Structure((2, 2), ((0,), (0, 1)), (0, 1))
    wrong = Structure((2, 2), ((0,), (1, 0)), (0, 1))
    counts = [GluedFamilies(s).counts(read(s, codes, None))[2:].tolist() for s in (right, wrong)]
    assert counts[0] == [0.0, 2.0, 1.0, 0.0] != counts[1]


def test_families_are_glued_while_their_table_stays_small():
    """Twenty binary variables in a chain: two columns of keys do, apart there are twenty."""
    n = 20
    chain = Structure((2,) * n, ((0,), *[(v - 1, v) for v in range(1, n)]), tuple(range(n)))
    codes = np.random.default_rng(0).integers(2, size=(50, n))
    rows, asked = read(chain, codes, None), []
    keys = rows.keys

    def counted(scope: tuple[int, ...]) -> np.ndarray:
        asked.append(scope)
        return keys(scope)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "keys", counted)
        GluedFamilies(chain).counts(rows)
    assert len(asked) <= 3
    assert all(2 ** len(scope) <= family_counts.MOST_CELLS for scope in asked)


def test_a_family_may_exceed_what_is_glued():
    """A table of 80,000 cells, and a parent with one state beside 65,536 of the child."""
    cards = (1, 65536, 4, 20_000)
    structure = Structure(cards, ((0,), (0, 1), (2,), (2, 3)), (0, 1, 2, 3))
    codes = np.array([[0, 65535, 3, 19_999], [0, 0, 0, 0], [0, 65535, 1, 7]])
    counts = GluedFamilies(structure).counts(read(structure, codes, None))
    for row in codes:
        for family in range(4):
            same = codes[:, structure.scopes[family]] == row[list(structure.scopes[family])]
            assert counts[cell(structure, family, row)] == same.all(1).sum()
    assert counts.sum() == 12.0
