"""Clique tables, layouts of circuits, chunks, and what is kept between two calls."""

from __future__ import annotations

import itertools
import tracemalloc
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.exact import incomplete_rows
from inference.exact.circuit import Circuit
from inference.exact.circuit_layout import CircuitLayout, circuit_layout, number_rows
from inference.exact.incomplete_rows import IncompleteRows, RowCliques
from inference.exact.structure import Structure

# Two components, a loop, two variables with a single state, scopes out of order.
CARDS = (2, 1, 3, 2, 2, 4, 1)
SCOPES = ((0,), (0, 1), (3, 0, 2), (0, 3), (2, 1, 3, 4), (6, 5), (6,))
LOOP = Structure(CARDS, SCOPES, (0, 1, 2, 3, 4, 5, 6))


def tables(seed: int, structure: Structure = LOOP) -> np.ndarray:
    rng = np.random.default_rng(seed)
    parts = [rng.dirichlet(np.ones(s[-1]), s[:-1]).reshape(-1) for s in structure.shapes]
    return np.concatenate(parts)


def codes_of(seed: int, n: int, gaps: float = 0.4, structure: Structure = LOOP) -> np.ndarray:
    rng = np.random.default_rng(seed)
    codes = np.stack([rng.integers(card, size=n) for card in structure.cards], axis=1)
    return np.where(rng.random(codes.shape) < gaps, -1, codes)


def layout_of(
    codes: np.ndarray,
    distinct: bool,
    weights: np.ndarray | None = None,
    structure: Structure = LOOP,
) -> CircuitLayout:
    cliques = RowCliques(structure)
    offsets, columns = cliques.tables.offsets, list(codes.T)
    return circuit_layout(cliques.tree, offsets, structure.cards, columns, weights, distinct)


# Numbers of rows ---------------------------------------------------------------------------------

KEYS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 2**40), st.integers(0, 2**40)))


@settings(max_examples=100)
@given(KEYS)
def test_rows_have_one_number_if_their_keys_agree(rows):
    """The bounds' product exceeds 64 bits, so that the keys are compressed on the way."""
    array = np.array(rows, dtype=np.int64).reshape(-1, 3)
    array[1::3] = array[: len(array[1::3])]
    bounds = (7, 2**40 + 1, 2**40 + 1)
    numbers, count = number_rows(list(zip(array.T, bounds, strict=True)), len(array))
    distinct = {tuple(row): number for row, number in zip(array.tolist(), numbers, strict=True)}
    assert len(distinct) == count
    assert all(distinct[tuple(r)] == n for r, n in zip(array.tolist(), numbers, strict=True))
    assert sorted(distinct.values()) == list(range(count))


def test_every_key_counts_beyond_64_bits():
    wide = 2**40
    columns = np.array([[0, 5, 5], [1, 5, 5], [0, 5 + 2**30, 5], [0, 5, 5 + 2**30], [1, 5, 5]]).T
    numbers, count = number_rows(list(zip(columns, (7, wide, wide), strict=True)), 5)
    assert count == 4 and numbers[1] == numbers[4] and len(set(numbers.tolist())) == 4


def test_rows_without_keys_are_all_alike():
    numbers, count = number_rows([], 3)
    assert numbers.tolist() == [0, 0, 0] and count == 1
    assert number_rows([(np.zeros(0, int), 4)], 0)[1] == 0


@pytest.mark.parametrize("bound", [40, 10**6])
def test_numbers_by_table_and_by_sorting_agree(bound):
    column = np.array([5, 0, 39, 5, 0, 17])
    numbers, count = number_rows([(column, bound)], 6)
    assert numbers.tolist() == [1, 0, 3, 1, 0, 2] and count == 4


# Clique tables -----------------------------------------------------------------------------------


def test_cliques_hold_the_product_of_the_tables():
    cliques, values = RowCliques(LOOP), tables(0)
    full = cliques.tables.collect(values).linear
    joint = {}
    for state in itertools.product(*map(range, CARDS)):
        product = 1.0
        for c, clique in enumerate(cliques.tree.cliques):
            place = np.ravel_multi_index([state[v] for v in clique], cliques.tree.shapes[c])
            product *= full[cliques.tables.offsets[c] + place]
        for factor in cliques.tables.constants:
            product *= values[LOOP.offsets[factor]]
        joint[state] = product
    for state, found in joint.items():
        expected = 1.0
        for factor, scope in enumerate(SCOPES):
            place = np.ravel_multi_index([state[v] for v in scope], LOOP.shapes[factor])
            expected *= values[LOOP.offsets[factor] + place]
        assert found == pytest.approx(expected, rel=1e-14)
    assert sum(joint.values()) == pytest.approx(1.0, rel=1e-14)


def test_every_clique_sums_to_the_counts_of_its_families():
    cliques = RowCliques(LOOP)
    rng, tree = np.random.default_rng(1), cliques.tree
    mass = rng.random(CARDS)
    counts = np.concatenate(
        [np.einsum(mass, range(len(CARDS)), list(clique)).reshape(-1) for clique in tree.cliques]
    )
    found = cliques.tables.scatter(counts, mass.sum())
    for factor, scope in enumerate(SCOPES):
        expected = np.einsum(mass, range(len(CARDS)), list(scope)).reshape(-1)
        part = found[LOOP.offsets[factor] : LOOP.offsets[factor + 1]]
        np.testing.assert_allclose(part, expected, rtol=1e-13)


# Layouts -----------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0, 1, 7, 30]), st.sampled_from([0, 0.4, 1]))
def test_shared_and_separate_situations_agree(seed, n, gaps):
    codes, values = codes_of(seed, n, gaps), tables(seed)
    weights = np.random.default_rng(seed).gamma(1.0, size=n)
    cliques = RowCliques(LOOP)
    full = cliques.tables.collect(values)
    results = []
    for distinct in (True, False):
        layout = layout_of(codes, distinct, weights)
        circuit = Circuit(layout, cliques.tables.offsets[-1])
        counts, value = circuit.expected_counts(full)
        results.append((circuit.log_likelihoods(full), counts, value))
        assert layout.weights[layout.row_situations[0]].shape == (n,)
        assert layout.n_entries == sum(block.n_entries for block in layout.blocks)
    (logs, counts, value), (other_logs, other_counts, other_value) = results
    np.testing.assert_allclose(logs, other_logs, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(counts, other_counts, rtol=1e-12, atol=1e-13)
    assert value == pytest.approx(other_value, rel=1e-12, abs=1e-12)


def test_a_situation_is_computed_once():
    codes = codes_of(3, 20)
    once = layout_of(codes, distinct=True)
    again = layout_of(np.concatenate([codes] * 50), distinct=True)
    apart = layout_of(np.concatenate([codes] * 50), distinct=False)
    assert again.n_entries == once.n_entries < layout_of(codes, distinct=False).n_entries
    assert apart.n_entries == 50 * layout_of(codes, distinct=False).n_entries
    assert again.nbytes <= once.nbytes < apart.nbytes
    assert again.weights.tolist() == (50 * once.weights).tolist()


def test_observed_separators_carry_no_message():
    """In a chain with the middle seen, the two halves share their situations independently."""
    chain = Structure((3, 2, 3), ((0,), (0, 1), (1, 2)), (0, 1, 2))
    codes = np.array([[a, 0, c] for a in range(3) for c in range(3)])
    seen = layout_of(codes, True, structure=chain)
    assert not seen.open_messages.any()
    assert seen.n_entries == 6, "three situations on either side instead of nine"
    hidden = layout_of(np.where([False, True, False], -1, codes), True, structure=chain)
    assert hidden.open_messages.any()


def test_separate_situations_are_one_per_row():
    codes = codes_of(4, 25)
    layout = layout_of(codes, distinct=False)
    tree = RowCliques(LOOP).tree
    for c, situations in enumerate(layout.row_situations):
        assert len(set(situations.tolist())) == 25
        rows = np.concatenate([block.rows for block in layout.blocks if block.clique == c])
        assert sorted(rows.tolist()) == list(range(25))
    for block in layout.blocks:
        absent = {v for v in tree.cliques[block.clique] if codes[block.rows[0], v] < 0}
        assert set(block.missing) == absent
        shape = [CARDS[v] for v in block.missing]
        for axis, v in enumerate(block.missing):
            assert block.states(v, CARDS).tolist() == np.indices(shape)[axis].reshape(-1).tolist()


# Chunks, reuse, memory ---------------------------------------------------------------------------


@pytest.mark.parametrize("most", [1, 40, 300])
def test_chunks_change_nothing(monkeypatch, most):
    codes, values = codes_of(5, 40), tables(5)
    weights = np.random.default_rng(5).gamma(1.0, size=40)

    def answers() -> list[np.ndarray]:
        rows = IncompleteRows(RowCliques(LOOP), list(codes.T), weights)
        counts, value = rows.expected_counts(values)
        marginals = rows.marginals(values, range(len(CARDS)))
        return [counts, np.array(value), rows.log_likelihoods(values), *marginals]

    whole = answers()
    best = IncompleteRows(RowCliques(LOOP), list(codes.T)).complete(values)
    monkeypatch.setattr(incomplete_rows, "CHUNK", most)
    monkeypatch.setattr(incomplete_rows, "ROW_CHUNK", most)
    with mock.patch.object(
        incomplete_rows, "circuit_layout", side_effect=circuit_layout
    ) as compiled:
        parts = answers()
    assert compiled.call_count >= 3 * (40 if most == 1 else 2)
    for one, other in zip(parts, whole, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-13)
    assert (IncompleteRows(RowCliques(LOOP), list(codes.T)).complete(values) == best).all()


def test_chunks_change_no_law_of_completions(monkeypatch):
    """Frequencies of 20,000 draws in chunks, six standard deviations."""
    codes, values = np.full((20_000, len(CARDS)), -1), tables(6)
    monkeypatch.setattr(incomplete_rows, "ROW_CHUNK", 40_000)
    rows = IncompleteRows(RowCliques(LOOP), list(codes.T))
    draws = rows.complete(values, np.random.default_rng(0))
    for v, law in enumerate(IncompleteRows(RowCliques(LOOP), list(codes[:1].T)).marginals(
        values, range(len(CARDS))
    )):  # fmt: skip
        found = np.bincount(draws[:, v], minlength=CARDS[v]) / 20_000
        deviation = np.sqrt(law[0] * (1 - law[0]) / 20_000)
        assert (np.abs(found - law[0]) <= 6 * deviation + 1e-12).all()


def test_an_impossible_row_of_a_later_chunk_is_named(monkeypatch):
    monkeypatch.setattr(incomplete_rows, "ROW_CHUNK", 10)
    certain = Structure((2,), ((0,),), (0,))
    column = np.array([0] * 57 + [1] + [0] * 5)
    rows = IncompleteRows(RowCliques(certain), [column])
    with pytest.raises(ValueError, match=r"row 57\b"):
        rows.complete(np.array([1.0, 0.0]))
    (posterior,) = rows.marginals(np.array([1.0, 0.0]), [0])
    assert np.flatnonzero(np.isnan(posterior).any(1)).tolist() == [57]


def test_draws_that_are_all_but_impossible():
    """The hidden cause's other state has a joint probability of 1e-310."""
    fork = Structure((2, 2, 2), ((0,), (0, 1), (0, 2)), (0, 1, 2))
    values = np.array([1.0, 1e-155, 0.5, 0.5, 1.0, 1e-155, 0.0, 1.0, 0.5, 0.5])
    rows = IncompleteRows(RowCliques(fork), [np.array([-1]), np.array([1]), np.array([-1])])
    assert rows.complete(values, np.random.default_rng(0)).tolist() == [[0, 1, 1]]


def test_compiled_rows_serve_other_tables():
    codes = codes_of(7, 30)
    rows = IncompleteRows(RowCliques(LOOP), list(codes.T))
    rows.expected_counts(tables(0))
    with mock.patch.object(incomplete_rows, "circuit_layout") as compiled:
        second = rows.expected_counts(tables(1))
        third = rows.expected_counts(tables(0))
    assert not compiled.called
    for (counts, value), seed in ((second, 1), (third, 0)):
        fresh = IncompleteRows(RowCliques(LOOP), list(codes.T)).expected_counts(tables(seed))
        assert counts.tolist() == fresh[0].tolist() and value == fresh[1]


def test_results_of_one_call_outlive_the_next():
    codes = codes_of(8, 30)
    rows = IncompleteRows(RowCliques(LOOP), list(codes.T))
    counts, _ = rows.expected_counts(tables(0))
    marginals, logs = rows.marginals(tables(0), [0, 2]), rows.log_likelihoods(tables(0))
    before = [counts.copy(), logs.copy(), *[table.copy() for table in marginals]]
    rows.expected_counts(tables(1))
    rows.marginals(tables(1), [0, 2])
    rows.log_likelihoods(tables(1))
    for one, other in zip([counts, logs, *marginals], before, strict=True):
        assert one.tolist() == other.tolist()


def test_hard_zeros_of_one_call_leave_no_trace_in_the_next():
    codes = codes_of(9, 30)
    rows = IncompleteRows(RowCliques(LOOP), list(codes.T))
    zeros = tables(0)
    zeros[:2] = [1.0, 0.0]
    rows.expected_counts(zeros)
    counts, value = rows.expected_counts(tables(1))
    fresh = IncompleteRows(RowCliques(LOOP), list(codes.T)).expected_counts(tables(1))
    assert counts.tolist() == fresh[0].tolist() and value == fresh[1]


def test_what_does_not_fit_is_refused_before_it_is_allocated():
    n = 40
    pairs = tuple([(a, b) for a in range(n) for b in range(a)])
    wide = Structure((2,) * n, pairs, (-1,) * len(pairs))
    rows = IncompleteRows(RowCliques(wide), [np.array([-1])] * n)
    values = np.ones(4 * len(pairs))
    calls = [
        lambda: rows.expected_counts(values),
        lambda: rows.log_likelihoods(values),
        lambda: rows.complete(values),
        lambda: rows.marginals(values, [0]),
    ]
    tracemalloc.start()
    try:
        for call in calls:
            with pytest.raises(ValueError, match="memory_limit") as refusal:
                call()
            assert "16.0 TiB" in str(refusal.value)
        assert tracemalloc.get_traced_memory()[1] < 10 * 2**20
    finally:
        tracemalloc.stop()


def test_the_memory_limit_is_a_limit():
    needed = 16 * RowCliques(LOOP).tree.entries
    with pytest.raises(ValueError, match="memory_limit"):
        _ = RowCliques(LOOP, needed - 1).tables
    codes, values = codes_of(10, 30), tables(10)
    tight = IncompleteRows(RowCliques(LOOP, needed), list(codes.T))
    free = IncompleteRows(RowCliques(LOOP), list(codes.T))
    for _ in range(2):
        np.testing.assert_allclose(
            tight.expected_counts(values)[0], free.expected_counts(values)[0], rtol=1e-12
        )


# Degenerate models -------------------------------------------------------------------------------


def test_variables_of_one_state_only():
    single = Structure((1, 1), ((0,), (0, 1)), (0, 1))
    rows = IncompleteRows(RowCliques(single), [np.array([-1, 0, 0]), np.array([0, -1, 0])])
    counts, value = rows.expected_counts(np.ones(2))
    assert counts.tolist() == [3.0, 3.0] and value == 0.0
    assert rows.log_likelihoods(np.ones(2)).tolist() == [0.0, 0.0, 0.0]
    assert rows.complete(np.ones(2)).tolist() == [[0, 0]] * 3
    assert [table.tolist() for table in rows.marginals(np.ones(2), [1, 0])] == [[[1.0]] * 3] * 2


def test_no_rows_and_no_variables():
    empty = IncompleteRows(RowCliques(LOOP), [np.zeros(0, int)] * len(CARDS))
    counts, value = empty.expected_counts(tables(0))
    assert not counts.any() and value == 0.0
    assert empty.log_likelihoods(tables(0)).shape == (0,)
    assert empty.complete(tables(0)).shape == (0, len(CARDS))
    assert empty.marginals(tables(0), [2])[0].shape == (0, 3)
    nothing = IncompleteRows(RowCliques(Structure((), (), ())), [])
    assert nothing.expected_counts(np.zeros(0))[1] == 0.0
    assert nothing.complete(np.zeros(0)).shape == (0, 0)
