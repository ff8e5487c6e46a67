"""Every spelling of evidence, and every bad one refused by name."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch

from inference import Factor, FactorGraph
from inference.exact.evidence import Variables
from pgm import BayesianNetwork

STATES = {"rain": ["no", "yes"], "dice": 3}


@pytest.fixture
def net() -> BayesianNetwork:
    tables = {"rain": [0.75, 0.25], "dice": [[0.5, 0.25, 0.25], [0.125, 0.375, 0.5]]}
    return BayesianNetwork([("rain", "dice")], STATES, tables)


@pytest.mark.parametrize(
    "evidence",
    [
        {"rain": "yes", "dice": 2},
        {"rain": 1, "dice": 2},
        {"rain": np.int8(1), "dice": np.int64(2)},
        {"rain": torch.tensor(1), "dice": np.array(2)},
        {"dice": 2, "rain": [0.0, 1.0]},
        {"dice": (0.0, 0.0, 1.0), "rain": torch.tensor([0.0, 1.0], dtype=torch.float32)},
        {"dice": np.array([0.0, 0.0, 1.0], dtype=np.float32), "rain": 1},
        pd.Series({"rain": "yes", "dice": 2}),
        pd.Series({"rain": 1.0, "dice": 2.0}),
    ],
)
def test_single_evidence_in_every_spelling(net, evidence):
    assert net.log_evidence(evidence).shape == ()
    assert net.log_evidence(evidence).item() == pytest.approx(math.log(0.125))


@pytest.mark.parametrize(
    "nothing",
    [
        None,
        {},
        {"rain": None},
        {"rain": -1, "dice": None},
        pd.Series({"rain": math.nan, "dice": -1.0}),
        pd.Series({"rain": pd.NA, "dice": None}, dtype=object),
    ],
)
def test_no_evidence_in_every_spelling(net, nothing):
    assert net.log_evidence(nothing).item() == pytest.approx(0.0, abs=1e-15)
    assert net.marginals(nothing)["rain"].tolist() == pytest.approx([0.75, 0.25])


@pytest.mark.parametrize(
    "column",
    [
        ["yes", "no", None],
        ("yes", "no", None),
        [1, 0, -1],
        np.array([1, 0, -1], dtype=np.int8),
        np.array(["yes", "no", None], dtype=object),
        np.ma.array([1, 0, 1], mask=[False, False, True]),
        np.ma.array(["yes", "no", "no"], mask=[False, False, True]),
        torch.tensor([1, 0, -1]),
        torch.tensor([1, 0, -1], dtype=torch.int8),
        pd.Series(["yes", "no", None]),
        pd.Series(["yes", "no", None], dtype=object),
        pd.Series([1, 0, math.nan]),
        pd.Series([1, 0, None], dtype="Int64"),
        pd.Categorical(["yes", "no", None]),
        np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]),
        torch.tensor([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]),
    ],
)
def test_batches_in_every_spelling(net, column):
    found = net.log_evidence({"rain": column, "dice": 0})
    expected = np.log([0.25 * 0.125, 0.75 * 0.5, 0.75 * 0.5 + 0.25 * 0.125])
    assert found.shape == (3,)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-13)
    assert net.marginals({"rain": column})["dice"].shape == (3, 3)


@pytest.mark.parametrize("recorded", [False, True])
def test_arrays_of_any_layout(net, recorded):
    """Read-only, reversed and strided arrays, with and without gradients."""
    net.requires_grad_(recorded)
    column = np.array([0, 1, 1, -1])
    soft = np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5], [3.0, 1.0]])
    expected = net.log_evidence({"rain": column, "dice": 1}).detach()
    expected_soft = net.log_evidence({"rain": soft}).detach()
    column.setflags(write=False)
    soft.setflags(write=False)
    torch.testing.assert_close(net.log_evidence({"rain": column, "dice": 1}).detach(), expected)
    back = net.log_evidence({"rain": column[::-1], "dice": 1}).detach()
    torch.testing.assert_close(back, expected.flip(0))
    torch.testing.assert_close(net.log_evidence({"rain": soft}).detach(), expected_soft)
    back = net.log_evidence({"rain": soft[::-1]}).detach()
    torch.testing.assert_close(back, expected_soft.flip(0))
    fortran = net.log_evidence({"rain": np.asfortranarray(soft)}).detach()
    torch.testing.assert_close(fortran, expected_soft)
    one = net.log_evidence({"rain": soft[3][::-1]}).detach().exp().item()
    assert one == pytest.approx(1.0 * 0.75 + 3.0 * 0.25)
    rows = np.array([[0, 1], [1, -1]])
    rows.setflags(write=False)
    torch.testing.assert_close(net.log_prob(rows[::-1]), net.log_prob(rows).flip(0))


def test_a_batch_of_labels_need_not_be_strings_of_one_length(net):
    assert net.marginals({"rain": np.array(["yes", "no"])})["rain"].tolist() == [[0, 1], [1, 0]]


def test_a_batch_of_no_rows(net, each_path):
    for value in (np.zeros(0, dtype=int), np.zeros((0, 2))):
        assert net.log_evidence({"rain": value}).shape == (0,)
        assert net.marginals({"rain": value})["dice"].shape == (0, 3)
        assert net.marginals({"rain": value}, variables=[]) == {}


def test_a_batch_of_one_row_stays_a_batch(net):
    for value in ([1], ["yes"], [[0.0, 1.0]], np.array([1])):
        assert net.log_evidence({"rain": value}).shape == (1,)
        assert net.marginals({"rain": value})["dice"].shape == (1, 3)


def test_soft_evidence_is_a_likelihood_and_not_a_distribution(net):
    """It multiplies; its scale counts in log P(e) and not in the posterior."""
    once, scaled = net.log_evidence({"rain": [0.2, 0.6]}), net.log_evidence({"rain": [2.0, 6.0]})
    assert once.item() == pytest.approx(math.log(0.2 * 0.75 + 0.6 * 0.25))
    assert scaled.item() - once.item() == pytest.approx(math.log(10))
    posterior = net.marginals({"rain": [0.2, 0.6]})["rain"]
    assert posterior.tolist() == pytest.approx([0.5, 0.5])
    assert net.marginals({"rain": [2.0, 6.0]})["rain"].tolist() == pytest.approx([0.5, 0.5])


BAD = {
    "unknown variable": ({"snow": 1}, ValueError, "snow"),
    "unknown label": ({"rain": "maybe"}, ValueError, "maybe"),
    "label of a numbered variable": ({"dice": "two"}, ValueError, "two"),
    "code too large": ({"rain": 2}, ValueError, "rain"),
    "code too small": ({"dice": -2}, ValueError, "dice"),
    "bool": ({"rain": True}, TypeError, "rain"),
    "float": ({"dice": 1.0}, TypeError, "dice"),
    "NaN": ({"dice": math.nan}, (TypeError, ValueError), "dice"),
    "set": ({"dice": {1}}, TypeError, "dice"),
    "no mapping": (["rain"], TypeError, "evidence"),
    "a string": ("rain", TypeError, "evidence"),
    "likelihood too short": ({"dice": [0.5, 0.5]}, ValueError, "dice"),
    "likelihood too long": ({"rain": [0.5, 0.5, 0.5]}, ValueError, "rain"),
    "likelihood negative": ({"rain": [0.5, -0.5]}, ValueError, "rain"),
    "likelihood NaN": ({"rain": [0.5, math.nan]}, ValueError, "rain"),
    "likelihood infinite": ({"rain": [0.5, math.inf]}, ValueError, "rain"),
    "likelihood of too many axes": ({"rain": np.ones((1, 1, 2))}, ValueError, "rain"),
    "likelihoods transposed": ({"dice": np.ones((3, 2))}, ValueError, "dice"),
    "codes in two axes": ({"dice": [[0, 1], [1, 0]]}, ValueError, "dice"),
    "ragged": ({"dice": [[0.1], [0.1, 0.2]]}, ValueError, "dice"),
    "batch code too large": ({"rain": [0, 2]}, ValueError, "rain"),
    "batch code too small": ({"rain": [0, -2]}, ValueError, "rain"),
    "batch label unknown": ({"rain": ["yes", "maybe"]}, ValueError, "maybe"),
    "batch of bools": ({"rain": np.array([True, False])}, TypeError, "rain"),
    "batches of different lengths": ({"rain": [0, 1], "dice": [0, 1, 2]}, ValueError, "length"),
    "fractions in a column": ({"dice": pd.Series([0.5, 1.0])}, ValueError, "dice"),
    "fraction in a row": (pd.Series({"dice": 0.5}), ValueError, "dice"),
    "lists in a column": ({"dice": pd.Series([[0], [1, 2]])}, TypeError, "dice"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_evidence_is_named(net, case):
    evidence, error, named = BAD[case]
    graph = FactorGraph({"rain": 2, "dice": 3}, [Factor(["rain"], torch.zeros(2))])
    for query in (net.marginals, net.log_evidence, net.most_probable, net.plan):
        with pytest.raises(error, match=named):
            query(evidence)
    if "label" not in case:
        for query in (graph.marginals, graph.log_partition, graph.plan):
            with pytest.raises(error, match=named):
                query(evidence)


def test_a_message_lists_what_is_known(net):
    with pytest.raises(ValueError, match="'no', 'yes'"):
        net.marginals({"rain": "maybe"})
    with pytest.raises(ValueError, match="'rain', 'dice'"):
        net.marginals({"snow": 0})
    many = FactorGraph({f"x{i}": 2 for i in range(1000)}, [])
    with pytest.raises(ValueError, match="1000 in all") as refusal:
        many.marginals({"y": 0})
    assert len(str(refusal.value)) < 300


@pytest.mark.parametrize(
    ("variables", "named"), [(["snow"], "snow"), (["rain", "rain"], "twice"), ("snow", "snow")]
)
def test_bad_variables_are_named(net, variables, named):
    for query in (
        lambda: net.marginals(variables=variables),
        lambda: net.query(variables),
        lambda: net.plan(variables=variables),
    ):
        with pytest.raises(ValueError, match=named):
            query()


def test_one_name_is_a_list_of_one(net):
    assert list(net.marginals(variables="dice")) == ["dice"]
    assert net.query("dice").scope == ("dice",)


@pytest.mark.parametrize(
    ("states", "error"),
    [
        ({"a": 0}, ValueError),
        ({"a": -1}, ValueError),
        ({"a": 1.5}, TypeError),
        ({"a": True}, TypeError),
        ({"a": "xy"}, TypeError),
        ({"a": []}, ValueError),
        ({"a": ["x", "x"]}, ValueError),
        ({"a": ["x", 1]}, TypeError),
        ({"a": None}, TypeError),
        ({1: 2}, TypeError),
    ],
)
def test_bad_states_are_named(states, error):
    name = next(iter(states))
    with pytest.raises(error, match=repr(name)):
        Variables(states)
    with pytest.raises(error, match=repr(name)):
        BayesianNetwork([], states)


@pytest.mark.parametrize("states", [["a", "b"], [("a", 2)], "a", 3, None])
def test_states_without_names_are_refused(states):
    with pytest.raises(TypeError, match="states must map"):
        FactorGraph(states, [])


def test_messages_are_sentences(net):
    with pytest.raises(
        ValueError, match=r"'dice'.*'two'.*only the codes '0', '1', '2'"
    ) as refusal:
        net.marginals({"dice": "two"})
    assert "the only the" not in str(refusal.value)


def test_bad_graphs_are_named():
    table = Factor(["a", "b"], torch.zeros(2, 3))
    with pytest.raises(ValueError, match="'b'"):
        FactorGraph({"a": 2}, [table])
    with pytest.raises(ValueError, match="'b'"):
        FactorGraph({"a": 2, "b": 2}, [table])
    with pytest.raises(TypeError, match="Factor"):
        FactorGraph({"a": 2}, [torch.zeros(2)])  # type: ignore[list-item]
    with pytest.raises(TypeError, match=r"memory_limit.*'1GB'"):
        FactorGraph({"a": 2}, [], memory_limit="1GB")  # type: ignore[arg-type]


@pytest.mark.parametrize("code", [2, 2**63, 2**64 - 1])
def test_unsigned_codes_out_of_range_are_refused(net, code):
    with pytest.raises(ValueError, match=rf"'rain'.*state code {code} is outside"):
        net.marginals({"rain": np.array([code, 1], dtype=np.uint64)})


def test_a_frame_with_a_column_twice_is_refused(net):
    frame = pd.DataFrame([[0, 1, 2], [1, 0, 2]], columns=["rain", "rain", "dice"])
    with pytest.raises(ValueError, match="more than one column 'rain'"):
        net.marginals(frame)


def test_soft_evidence_in_brain_floats(net):
    soft = torch.tensor([0.5, 0.25], dtype=torch.bfloat16)
    expected = 0.25 * 0.25 / (0.75 * 0.5 + 0.25 * 0.25)
    assert net.marginals({"rain": soft})["rain"][1].item() == pytest.approx(expected, abs=1e-12)
