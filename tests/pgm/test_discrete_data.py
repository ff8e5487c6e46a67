"""Reading rows of discrete observations from whatever a user has."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.exact.evidence import Variables
from pgm.discrete_data import DiscreteData

STATES = {"rain": ["no", "yes"], "wind": ["none", "some", "storm"], "dice": 6}
CODES = np.array([[0, 2, 5], [1, 0, 0], [1, 1, 3], [0, 2, 5]])
NAN = math.nan


def labelled() -> pd.DataFrame:
    """The rows of CODES with labels, columns in another order, and one column too many."""
    return pd.DataFrame(
        {
            "dice": CODES[:, 2],
            "extra": ["a", "b", "c", "d"],
            "wind": [STATES["wind"][code] for code in CODES[:, 1]],
            "rain": [STATES["rain"][code] for code in CODES[:, 0]],
        }
    )


# Kinds of data -----------------------------------------------------------------------------------

KINDS = {
    "int64 array": lambda: CODES,
    "int8 array": lambda: CODES.astype(np.int8),
    "uint8 array": lambda: CODES.astype(np.uint8),
    "Fortran order": lambda: np.asfortranarray(CODES),
    "a view": lambda: np.repeat(CODES, 2, axis=0)[::2],
    "floats": lambda: CODES.astype(np.float32),
    "objects": lambda: CODES.astype(object),
    "int64 tensor": lambda: torch.from_numpy(CODES),
    "int8 tensor": lambda: torch.from_numpy(CODES).to(torch.int8),
    "float tensor": lambda: torch.from_numpy(CODES).double().requires_grad_(),
    "lists": lambda: CODES.tolist(),
    "labels": labelled,
    "labels, categories": lambda: labelled().astype("category"),
    "labels, objects": lambda: labelled().astype(object),
    "codes in a frame": lambda: pd.DataFrame(CODES, columns=list(STATES)),
    "nullable codes": lambda: pd.DataFrame(CODES, columns=list(STATES), dtype="Int64"),
    "another index": lambda: labelled().set_index(pd.Index([7, 7, 3, 1])),
    "mapping of codes": lambda: dict(zip(STATES, CODES.T, strict=True)),
    "mapping of categories": lambda: {n: pd.Categorical(labelled()[n]) for n in STATES},
    "mapping of tensors": lambda: dict(zip(STATES, torch.from_numpy(CODES.T), strict=True)),
    "mapping of lists": lambda: {n: labelled()[n].tolist() for n in ["wind", "dice", "rain"]},
    "read before": lambda: DiscreteData(labelled(), STATES),
    "read before, reordered": lambda: DiscreteData(
        labelled(), {name: STATES[name] for name in ("wind", "dice", "rain")}
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_the_same_rows(kind):
    rows = DiscreteData(KINDS[kind](), STATES)
    assert rows.codes().tolist() == CODES.tolist() and rows.codes().dtype == np.int64
    assert rows.vocabulary.names == tuple(STATES) and rows.cards == (2, 3, 6)
    assert len(rows) == rows.n_rows == 4 and rows.total == 4.0
    assert rows.complete and rows.gaps == (False, False, False)
    for column in rows.columns:
        assert column.dtype == np.int8 and column.flags.c_contiguous


def test_booleans_are_the_codes_0_and_1():
    states = {"rain": ["no", "yes"], "sun": 2}
    expected = [[1, 0], [0, 0], [1, 1]]
    frame = pd.DataFrame({"rain": [True, False, True], "sun": [False, False, True]})
    matrix = np.array(expected, dtype=bool)
    for data in (frame, frame.astype("boolean"), matrix, torch.from_numpy(matrix)):
        assert DiscreteData(data, states).codes().tolist() == expected
        assert DiscreteData(data).cards == (2, 2)


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([True, None, False], dtype="boolean"),
        pd.Series([True, None, False], dtype=object),
        pd.Series([True, None, False]).astype("category"),
        [True, None, False],
    ],
    ids=["nullable", "objects", "categories", "list"],
)
def test_booleans_with_gaps(column):
    data = pd.DataFrame({"sun": column}) if isinstance(column, pd.Series) else {"sun": column}
    assert DiscreteData(data, {"sun": 2}).columns[0].tolist() == [1, -1, 0]
    assert DiscreteData(data).columns[0].tolist() == [1, -1, 0]


# Missing cells -----------------------------------------------------------------------------------

GAPS = {
    "-1": [[0, -1, 5], [-1, 2, -1]],
    "-1 in a tensor": torch.tensor([[0, -1, 5], [-1, 2, -1]], dtype=torch.int8),
    "NaN": np.array([[0, NAN, 5], [NAN, 2, NAN]]),
    "NaN in a tensor": torch.tensor([[0, NAN, 5], [NAN, 2, NAN]]),
    "None": np.array([[0, None, 5], [None, 2, None]], dtype=object),
    "frame of NaN": pd.DataFrame([[0, NAN, 5], [NAN, 2, NAN]], columns=list(STATES)),
    "masked": np.ma.masked_equal([[0, 9, 5], [9, 2, 9]], 9),
    "masked floats": np.ma.masked_equal([[0.0, 9, 5], [9, 2, 9]], 9),
    "frame of -1": pd.DataFrame([[0, -1, 5], [-1, 2, -1]], columns=list(STATES)),
    "frame of NA": pd.DataFrame(
        [[0, pd.NA, 5], [pd.NA, 2, pd.NA]], columns=list(STATES), dtype="Int64"
    ),
    "labels with None": pd.DataFrame(
        {"rain": ["no", None], "wind": [None, "storm"], "dice": [5, None]}
    ),
    "labels with NA": pd.DataFrame(
        {
            "rain": pd.array(["no", pd.NA], dtype="string"),
            "wind": pd.array([pd.NA, "storm"], dtype="category"),
            "dice": pd.array([5, pd.NA], dtype=object),
        }
    ),
    "mapping with None": {"rain": ["no", None], "wind": [None, "storm"], "dice": [5, None]},
    "mapping with NaN": {"rain": ["no", NAN], "wind": [NAN, "storm"], "dice": [5, NAN]},
    "mapping with -1": {"rain": ["no", -1], "wind": [-1, "storm"], "dice": [5, -1]},
    "tuples with NaN": {"rain": ("no", NAN), "wind": (NAN, "storm"), "dice": (5, NAN)},
    "floats with None": {"rain": [0.0, None], "wind": [None, 2.0], "dice": [5.0, None]},
    "float categories": pd.DataFrame(
        {"rain": [0.0, NAN], "wind": [NAN, 2.0], "dice": [5.0, NAN]}
    ).astype("category"),
}


@pytest.mark.parametrize("kind", GAPS)
def test_every_spelling_of_a_gap(kind):
    rows = DiscreteData(GAPS[kind], STATES)
    assert rows.codes().tolist() == [[0, -1, 5], [-1, 2, -1]]
    assert not rows.complete and rows.gaps == (True, True, True)


def test_nothing_but_gaps():
    for column in ([NAN, NAN], [None, None], [-1, -1], pd.Series([None, None], dtype="category")):
        data = pd.DataFrame({"rain": column, "wind": ["none", "some"], "dice": [0, 0]})
        assert DiscreteData(data, STATES).columns[0].tolist() == [-1, -1]
        with pytest.raises(ValueError, match=r"'rain'.*states"):
            DiscreteData(data)


# States found in the data ------------------------------------------------------------------------


def test_labels_are_sorted_and_categories_keep_their_order():
    frame = pd.DataFrame(
        {
            "a": ["z", None, "m", "a", "m"],
            "b": pd.Categorical(["lo", "hi", None, "lo", "lo"], categories=["lo", "mid", "hi"]),
            "c": [3, -1, 0, 0, 1],
            "d": [0.0, NAN, 2.0, 1.0, 0.0],
            "e": pd.array([1, None, 0, 0, 4], dtype="Int64"),
            "f": [True, False, False, True, True],
            "g": pd.Categorical([2, 0, None, 2, 2], categories=[0, 2, 3]),
        }
    )
    rows = DiscreteData(frame)
    assert rows.vocabulary.labels["a"] == ("a", "m", "z")
    assert rows.vocabulary.labels["b"] == ("lo", "mid", "hi")
    assert [rows.vocabulary.labels[name] for name in "cdefg"] == [None] * 5
    assert rows.cards == (3, 3, 4, 3, 5, 2, 4)
    assert rows.codes().tolist() == [
        [2, 0, 3, 0, 1, 1, 2],
        [-1, 2, -1, -1, -1, 0, 0],
        [1, -1, 0, 2, 0, 0, -1],
        [0, 0, 0, 1, 0, 1, 2],
        [1, 0, 1, 0, 4, 1, 2],
    ]


@pytest.mark.parametrize("gap", [None, NAN, -1], ids=str)
def test_a_gap_is_no_state(gap):
    for column in (["no", "yes", gap], ("no", "yes", gap), np.array(["no", "yes", gap], object)):
        rows = DiscreteData({"rain": column})
        assert rows.vocabulary.labels["rain"] == ("no", "yes")
        assert rows.columns[0].tolist() == [0, 1, -1]


def test_names_of_matrix_columns():
    assert DiscreteData(CODES).vocabulary.names == ("x0", "x1", "x2")
    assert DiscreteData(CODES).cards == (2, 3, 6)
    assert DiscreteData(CODES, names=["a", "b", "c"]).vocabulary.names == ("a", "b", "c")
    with pytest.raises(ValueError, match="names"):
        DiscreteData(CODES, names=["a", "b"])


# Types and sharing -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("card", "dtype"), [(128, np.int8), (129, np.int16), (32768, np.int16), (32769, np.int32)]
)
def test_columns_take_the_smallest_type(card, dtype):
    column = np.array([0, card - 1, -1])
    for data in (column[:, None], pd.DataFrame({"a": column}), {"a": column.astype(float)}):
        rows = DiscreteData(data, {"a": card})
        assert rows.columns[0].dtype == dtype
        assert rows.columns[0].tolist() == column.tolist()


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int64])
@pytest.mark.parametrize("order", ["C", "F"])
def test_later_changes_of_the_source_are_not_seen(dtype, order):
    for width in (1, 3):
        source = np.array(CODES[:, :width], dtype=dtype, order=order)
        weights = np.ones(4)
        rows = DiscreteData(source, sample_weight=weights)
        source[:], weights[:] = 0, 7
        assert rows.codes().tolist() == CODES[:, :width].tolist()
        assert rows.total == 4.0


def test_reading_changes_no_source():
    frame, matrix = labelled(), CODES.astype(float)
    before, codes = frame.copy(), matrix.copy()
    DiscreteData(frame, STATES)
    DiscreteData(matrix, STATES)
    pd.testing.assert_frame_equal(frame, before)
    assert (matrix == codes).all()


def test_a_vocabulary_may_be_given():
    vocabulary = Variables(STATES)
    assert DiscreteData(CODES, vocabulary).vocabulary is vocabulary


# Subsets and keys --------------------------------------------------------------------------------


def test_chosen_rows():
    rows = DiscreteData(CODES, STATES, [1.0, 2.0, 3.0, 4.0])
    for chosen in (np.array([3, 1]), np.array([False, True, False, True])):
        part = rows.take(chosen)
        expected = np.array([1, 2, 3, 4])[chosen].tolist()
        assert part.codes().tolist() == CODES[chosen].tolist()
        assert part.weights is not None and part.weights.tolist() == expected
        assert (part.n_rows, part.total) == (2, 6.0)
        assert part.vocabulary is rows.vocabulary
    assert DiscreteData(CODES, STATES).take(np.array([0])).weights is None


@settings(max_examples=50)
@given(st.lists(st.sampled_from([1, 2, 3, 50, 200]), min_size=1, max_size=4), st.integers(0, 99))
def test_keys_number_the_cells_of_a_table(cards, seed):
    rng = np.random.default_rng(seed)
    codes = np.stack([rng.integers(card, size=20) for card in cards], axis=1)
    rows = DiscreteData(codes, {f"v{i}": card for i, card in enumerate(cards)})
    scope = rng.permutation(len(cards)).tolist()
    shape = [cards[v] for v in scope]
    expected = np.ravel_multi_index(tuple(codes[:, scope].T), shape)
    assert rows.keys(scope).tolist() == expected.tolist()


@pytest.mark.parametrize("cards", [(1, 65536), (65536, 1), (2, 32768), (1, 65537), (256, 257)])
def test_keys_at_the_edge_of_sixteen_bits(cards):
    codes = np.array([[card - 1 for card in cards], [0, 0]])
    rows = DiscreteData(codes, dict(zip("ab", cards, strict=True)))
    assert rows.keys([0, 1]).tolist() == [math.prod(cards) - 1, 0]


# Weights -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make", [list, tuple, np.array, torch.tensor, pd.Series, lambda w: np.array(w, np.float32)]
)
def test_weights_of_any_kind(make):
    rows = DiscreteData(CODES, STATES, make([1.0, 0.0, 0.5, 2.0]))
    assert rows.weights is not None and rows.weights.dtype == np.float64
    assert rows.weights.tolist() == [1.0, 0.0, 0.5, 2.0] and rows.total == 3.5


def test_weights_of_rows_read_before():
    rows = DiscreteData(CODES, STATES, [1.0, 2.0, 3.0, 4.0])
    assert DiscreteData(rows, STATES).total == 10.0
    assert DiscreteData(rows, STATES, [1.0, 1.0, 1.0, 0.0]).total == 3.0
    assert rows.total == 10.0


@pytest.mark.parametrize(
    ("weights", "error"),
    [
        ([1.0, 1.0, 1.0], ValueError),
        ([[1.0], [1.0], [1.0], [1.0]], ValueError),
        (2.0, ValueError),
        ([1.0, -1.0, 1.0, 1.0], ValueError),
        ([1.0, NAN, 1.0, 1.0], ValueError),
        ([1.0, math.inf, 1.0, 1.0], ValueError),
        (["a", "b", "c", "d"], TypeError),
        ([[1.0], [1.0, 2.0], [1.0], [1.0]], (TypeError, ValueError)),
    ],
)
def test_bad_weights_are_named(weights, error):
    with pytest.raises(error, match="sample_weight"):
        DiscreteData(CODES, STATES, weights)


# Refusals ----------------------------------------------------------------------------------------

ROW = {"rain": ["no"], "wind": ["none"], "dice": [0]}
BAD = {
    "unknown label": ({**ROW, "rain": ["perhaps"]}, "'rain'.*'perhaps'"),
    "unknown label of a frame": (pd.DataFrame({**ROW, "rain": ["perhaps"]}), "'rain'.*'perhaps'"),
    "unknown category": (
        pd.DataFrame({**ROW, "wind": pd.Categorical(["gale"])}), "'wind'.*'gale'",
    ),
    "label of a number": ({**ROW, "dice": ["six"]}, "'dice'.*'six'"),
    "code too large": ([[0, 3, 0]], "'wind'.*3.*0..2"),
    "code too large, wide": ([[0, 300, 0]], "'wind'.*300"),
    "code too small": ([[0, 0, -2]], "'dice'.*-2"),
    "code of a frame": (pd.DataFrame([[2, 0, 0]], columns=list(STATES)), "'rain'.*2"),
    "half a code": ([[0.5, 0.0, 0.0]], "'rain'.*0.5"),
    "infinite": ([[0.0, math.inf, 0.0]], "'wind'"),
    "missing column": ({"rain": ["no"], "wind": ["none"]}, "'dice'"),
    "missing column of a frame": (labelled()[["rain", "dice"]], "'wind'"),
    "missing column, read before": (DiscreteData(CODES[:, :2], names=["rain", "wind"]), "'dice'"),
    "other states, read before": (DiscreteData(CODES, names=list(STATES)), "'rain'.*states"),
    "column twice": (
        pd.DataFrame([[0, 0, 0, 0]], columns=["rain", "wind", "wind", "dice"]), "'wind'",
    ),
    "too narrow": (CODES[:, :2], "shape"),
    "too wide": (np.zeros((2, 4), int), "shape"),
    "one row": (CODES[0], "shape"),
    "three axes": (CODES[None], "shape"),
    "nothing": (None, "shape"),
    "a number": (3, "shape"),
    "ragged rows": ([[0, 0, 0], [0, 0]], ""),
    "ragged columns": ({**ROW, "wind": ["none", "some"]}, "lengths"),
    "column no list": ({**ROW, "dice": 3}, "'dice'"),
    "column of rows": ({**ROW, "dice": [[3]]}, "'dice'"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_rows_are_named(case):
    data, named = BAD[case]
    with pytest.raises(ValueError, match=f"(?s)rows.*{named}"):
        DiscreteData(data, STATES, argument="rows")


@pytest.mark.parametrize("value", [math.inf, 1e300, -math.inf])
def test_endless_codes_are_no_states(value):
    with pytest.raises(ValueError, match="'a'"):
        DiscreteData({"a": [0.0, value]})


def test_categories_give_their_states_also_outside_a_frame():
    rows = DiscreteData({"a": pd.Categorical(["u", None], categories=["v", "u"])})
    assert rows.vocabulary.labels["a"] == ("v", "u") and rows.columns[0].tolist() == [1, -1]


def test_names_of_columns_are_different():
    with pytest.raises(ValueError, match="names must be different"):
        DiscreteData(np.zeros((2, 2), int), names=["p", "p"])


@pytest.mark.parametrize("column", [pd.to_datetime(["2020-01-01"]), np.array([b"x"])])
def test_values_that_are_no_states_are_not_called_missing(column):
    with pytest.raises(TypeError, match=r"data\['a'\] must hold labels"):
        DiscreteData({"a": column})


def test_words_that_ask_for_rows():
    rows = DiscreteData([[0, -1, 0], [0, -1, 0]], STATES)
    with pytest.raises(ValueError, match="'wind' has 2 missing cells of 2; fill them"):
        rows.require_complete("data", "fill them")
    with pytest.raises(ValueError, match="data has no rows"):
        DiscreteData(np.zeros((0, 3), int), STATES).require_rows("data")
    with pytest.raises(ValueError, match="sample_weight"):
        DiscreteData(CODES, STATES, np.zeros(4)).require_rows("data")
    rows.require_rows("data")
    DiscreteData(CODES, STATES).require_complete("data", "fill them")


def test_no_rows_and_no_columns():
    for data in (np.zeros((0, 3), int), labelled().iloc[:0], {"rain": [], "wind": [], "dice": []}):
        rows = DiscreteData(data, STATES)
        assert rows.codes().shape == (0, 3) and rows.complete and rows.total == 0.0
    assert DiscreteData(np.zeros((5, 0)), {}).n_rows == 5
    assert DiscreteData(pd.DataFrame(index=range(5)), {}).n_rows == 5
