"""Bayesian networks: a worked example, rows of data, samples, unusual shapes."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest
import torch

from pgm import BayesianNetwork

# Worked numbers of the course notes --------------------------------------------------------------


def test_T1_medical_test():
    """99 % sensitivity and specificity at a prevalence of 1 %."""
    second = [[0.99, 0.01], [0.01, 0.99]]
    net = BayesianNetwork(
        [("disease", "first"), ("disease", "second")],
        {"disease": ["no", "yes"], "first": ["-", "+"], "second": ["-", "+"]},
        {"disease": [0.99, 0.01], "first": second, "second": second},
    )
    assert net.marginals()["first"][1].item() == pytest.approx(0.0198, rel=1e-14)
    assert net.log_evidence({"first": "+"}).exp().item() == pytest.approx(0.0198, rel=1e-14)
    assert net.marginals({"first": "+"})["disease"][1].item() == pytest.approx(0.5, rel=1e-15)
    both = net.marginals({"first": "+", "second": "+"})["disease"][1]
    assert both.item() == pytest.approx(0.99, rel=1e-14)
    negative = net.marginals({"first": "-"})["disease"][1].item()
    assert negative == pytest.approx(1.0202e-4, abs=5e-9)
    assert negative == pytest.approx(0.01 * 0.01 / (0.01 * 0.01 + 0.99 * 0.99), rel=1e-13)


# Data --------------------------------------------------------------------------------------------


def test_rows_of_codes_and_of_labels_agree(rain):
    net = rain()
    codes = np.array([[0, 1, 0], [1, 2, 1], [0, 2, 0]])
    expected = [0.75 * 0.5 * 0.95, 0.25 * 0.5 * 0.9, 0.0]
    assert net.log_prob(codes).exp().tolist() == pytest.approx(expected)
    frame = pd.DataFrame(
        {
            "wet": ["dry", "wet", "dry"],
            "extra": [1, 2, 3],
            "wind": ["some", "storm", "storm"],
            "rain": ["no", "yes", "no"],
        }
    )
    assert net.log_prob(frame).equal(net.log_prob(codes))
    assert net.log_prob(frame.astype("category")).equal(net.log_prob(codes))
    coded = pd.DataFrame(codes, columns=list(net.variables))
    assert net.log_prob(coded).equal(net.log_prob(codes))
    assert net.log_prob(torch.from_numpy(codes).to(torch.int8)).equal(net.log_prob(codes))
    assert net.log_prob(codes.tolist()).equal(net.log_prob(codes))
    assert net.log_prob(np.zeros((0, 3), dtype=int)).shape == (0,)


def test_missing_entries_in_every_spelling(rain):
    net = rain()
    expected = net.log_prob([[0, -1, 1], [-1, -1, -1], [1, 2, 1]])
    assert expected[0].exp().item() == pytest.approx(0.75 * (0.5 * 0.1 + 0.5 * 0.05))
    assert expected[1].item() == pytest.approx(0.0, abs=1e-15)
    nan = math.nan

    def labels(gap: object, **options: object) -> pd.DataFrame:
        rain, wind, wet = ["no", gap, "yes"], [gap, gap, "storm"], ["wet", gap, "wet"]
        return pd.DataFrame({"rain": rain, "wind": wind, "wet": wet}, **options)

    def codes(gap: object, **options: object) -> pd.DataFrame:
        columns = {"rain": [0, gap, 1], "wind": [gap, gap, 2], "wet": [1, gap, 1]}
        return pd.DataFrame(columns, **options)

    spellings = [
        np.array([[0, nan, 1], [nan, nan, nan], [1, 2, 1]]),
        torch.tensor([[0, nan, 1], [nan, nan, nan], [1, 2, 1]]),
        np.array([[0, None, 1], [None, None, None], [1, 2, 1]], dtype=object),
        codes(-1),
        codes(nan),
        codes(None, dtype="Int64"),
        codes(None, dtype=object),
        labels(None),
        labels(nan, dtype=object),
        labels(pd.NA, dtype="string"),
        labels(pd.NA, dtype="category"),
        labels(pd.NA, dtype=object),
    ]
    for spelling in spellings:
        torch.testing.assert_close(net.log_prob(spelling), expected)


def test_log_prob_sums_to_one(rain):
    net = rain()
    rows = list(itertools.product(range(2), range(3), range(2)))
    assert net.log_prob(rows).exp().sum().item() == pytest.approx(1.0, rel=1e-14)


# Samples -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("given_", [{}, {"wet": "wet"}, {"wind": [0.2, 1.0, 0.7]}])
def test_the_seed_decides_and_global_state_is_untouched(rain, given_):
    net = rain()
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first = net.sample(100, given_, generator=5)
    assert first.shape == (100, 3) and first.dtype == torch.int64
    assert rain().sample(100, given_, generator=5).equal(first)
    generator = torch.Generator().manual_seed(5)
    assert net.sample(100, given_, generator=generator).equal(first)
    assert not net.sample(100, given_, generator=generator).equal(first)
    assert not net.sample(100, given_, generator=6).equal(first)
    assert not net.sample(100, given_).equal(net.sample(100, given_))
    assert torch.get_rng_state().equal(before[0])
    assert (np.random.get_state()[1] == before[1]).all()  # noqa: NPY002
    for wrong in (1.5, "5", np.random.default_rng(0)):
        with pytest.raises(TypeError, match="generator"):
            net.sample(3, given_, generator=wrong)


def test_frequencies_of_samples(rain):
    """Six standard deviations of 100,000 rows."""
    net = rain()
    for given_ in ({}, {"wet": "wet"}):
        rows = net.sample(100_000, given_, generator=1)
        for i, (_, p) in enumerate(net.marginals(given_).items()):
            found = torch.bincount(rows[:, i], minlength=len(p)) / 1e5
            bound = 6 * (p * (1 - p).clamp(min=0) / 1e5).sqrt() + 1e-12
            assert ((found - p).abs() <= bound).all()


# Other shapes ------------------------------------------------------------------------------------


def test_single_states_and_no_variables():
    net = BayesianNetwork([("one", "two")], {"one": 1, "two": 2})
    assert net.n_parameters == 1
    assert net.marginals({"two": 1})["one"].tolist() == [1.0]
    assert net.sample(2).shape == (2, 2)
    empty = BayesianNetwork([], {})
    assert empty.variables == () and empty.marginals() == {} and empty.n_parameters == 0
    assert empty.log_evidence().item() == 0.0
    assert empty.most_probable()[0] == {} and empty.most_probable()[1].item() == 0.0
    assert empty.sample(3).shape == (3, 0)
    assert empty.log_prob(np.zeros((2, 0))).tolist() == [0.0, 0.0]


def test_the_joint_of_nothing_is_one(rain):
    found = rain().query([], {"wet": "wet"})
    assert found.scope == () and found.values.item() == pytest.approx(1.0)


def test_the_factor_graph_agrees(rain):
    net = rain()
    graph = net.to_factor_graph()
    for given_ in ({}, {"wet": 1}, {"wind": [0.5, 0.1, 2.0]}):
        torch.testing.assert_close(graph.log_partition(given_), net.log_evidence(given_))
        for name, table in net.marginals(given_).items():
            torch.testing.assert_close(graph.marginals(given_)[name], table)


def test_importing_pgm_stays_light_and_results_stay_on_the_device(rain, device):
    net = rain().to(device)
    for result in (
        net.log_evidence({"wet": 1}), net.marginals()["wet"], net.query("wet").values,
        net.sample(2), net.log_prob([[0, 0, 0], [0, -1, 0]]), net.most_probable()[1],
        net.marginals({"wet": [0, 1]})["rain"], net.intervene({"wet": 1}).values,
    ):  # fmt: skip
        assert result.device.type == device.type
