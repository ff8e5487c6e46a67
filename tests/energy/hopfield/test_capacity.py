"""Capacity: theory against reference numbers, the study against theory and a plain loop."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from scipy.stats import binom, t

from energy.hopfield.capacity import (
    bit_error,
    critical_load,
    overlap_after_recall,
    retrieval_overlap,
)


@pytest.fixture
def theory(shared: Path) -> dict:
    """The replica-symmetric curve, solved elsewhere."""
    return json.loads((shared / "references" / "energy.json").read_text())["hopfield_ags_T0"]


def test_curve_of_amit_gutfreund_sompolinsky(theory: dict) -> None:
    assert critical_load() == pytest.approx(theory["alpha_c"], abs=1e-14)
    loads = torch.tensor([float(load) for load in theory["m_of_alpha"]], dtype=torch.float64)
    expected = torch.tensor(list(theory["m_of_alpha"].values()), dtype=torch.float64)
    assert torch.allclose(retrieval_overlap(loads), expected, atol=1e-13, rtol=0)
    # The overlap ends in a square root: its slope is infinite at the critical load.
    assert retrieval_overlap(critical_load() - 1e-15).item() == pytest.approx(
        theory["m_at_alpha_c"], abs=1e-6
    )
    assert retrieval_overlap(critical_load() + 1e-12) == 0


def test_the_curve_solves_its_equation() -> None:
    loads = torch.linspace(0.005, 0.1379, 50, dtype=torch.float64)
    y = torch.erfinv(retrieval_overlap(loads))
    good = y.isfinite()
    assert good.sum() > 40
    left = y * ((2 * loads).sqrt() + 2 / math.sqrt(math.pi) * torch.exp(-y * y))
    # Where erf is close to one, its inverse is known to few digits only.
    rounding = 1e-14 / (1 - torch.erf(y)).clamp_min(1e-16)
    apart = (left - torch.erf(y)).abs()
    assert (apart[good] < 1e-10 + rounding[good]).all()


def test_no_load_is_no_error() -> None:
    assert retrieval_overlap(0.0) == 1 and bit_error(0.0) == 0
    assert retrieval_overlap([1e-300, 1e-9]).tolist() == [1, 1]


@pytest.mark.parametrize(
    ("load", "expected", "digits"),
    [
        (0.05, 3.87e-6, 8),
        (0.10, 7.83e-4, 6),
        (0.138, 3.552e-3, 6),
        (0.15, 4.912e-3, 6),
        (0.2, 1.267e-2, 5),
    ],
)
def test_first_step_bit_error(load: float, expected: float, digits: int) -> None:
    assert round(bit_error(load).item(), digits) == pytest.approx(expected, rel=1e-9)


def test_bit_error_of_one_update_is_binomial() -> None:
    # The noise in a field is a sum of (n - 1)(p - 1) independent fair signs. Errors within a trial
    # are correlated, so trials are the sample; Student's quantile fails once in a million.
    n, p, trials = 300, 45, 40
    found = overlap_after_recall(
        n, [p / n], trials=trials, cues=p, update="synchronous", max_sweeps=1, generator=0
    )
    terms = (n - 1) * (p - 1)
    expected = binom.sf((terms + n - 1) // 2, terms, 0.5)
    wrong, error = (1 - found.mean.item()) / 2, found.standard_error.item() / 2
    assert abs(wrong - expected) < t.isf(5e-7, trials - 1) * error
    # With many units the binomial law is the theory's.
    n, p = 100_000, 15_000
    expected = binom.sf(((n - 1) * (p - 1) + n - 1) // 2, (n - 1) * (p - 1), 0.5)
    assert expected == pytest.approx(bit_error(p / n).item(), rel=1e-3)
    # The error of a load half as high is not that.
    assert abs(wrong - bit_error(p / n / 2).item()) > t.isf(5e-7, trials - 1) * error


def test_overlaps_of_five_hundred_units() -> None:
    found = overlap_after_recall(500, [0.05, 0.1, 0.2], trials=8, generator=0)
    assert found.loads.tolist() == [0.05, 0.1, 0.2]
    assert found.mean[0] > 0.999
    assert found.mean[1] > 0.99
    assert found.mean[2] < 0.7
    assert (found.standard_error < 0.05).all()
    assert found.exact[0] > found.exact[1] > found.exact[2]


def test_the_pseudo_inverse_rule_holds_more() -> None:
    loads = [0.25]
    overlaps = [
        overlap_after_recall(200, loads, rule=rule, trials=2, flips=0.05, generator=0).mean.item()
        for rule in ("hebbian", "storkey", "pseudo-inverse")
    ]
    assert overlaps == sorted(overlaps)
    assert overlaps[-1] > 0.99


def test_a_single_trial_has_no_error() -> None:
    found = overlap_after_recall(100, [0.05], trials=1, generator=0)
    assert found.standard_error.isnan().all() and not found.mean.isnan().any()


def test_same_seed_same_study() -> None:
    first, again = [overlap_after_recall(100, [0.2], trials=2, generator=7) for _ in range(2)]
    assert torch.equal(first.mean, again.mean)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"loads": [0.001]}, "at least one pattern"),
        ({"loads": []}, "at least one pattern"),
        ({"loads": [-0.1]}, "load must not be negative"),
        ({"loads": [math.inf]}, "loads must be finite"),
        ({"flips": 1.5}, "flips must be a share"),
        ({"rule": "oja"}, "rule must be"),
        ({"trials": 0}, "trials must be at least 1"),
        ({"cues": 0}, "cues must be at least 1"),
    ],
)
def test_study_refuses(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        overlap_after_recall(**{"n_units": 100, "loads": [0.1], **change})


def test_study_refuses_what_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inference.memory.free_memory", lambda: 10_000)
    with pytest.raises(ValueError, match="KiB"):
        overlap_after_recall(1000, [0.1])


def test_three_thousand_units_follow_the_theory() -> None:
    found = overlap_after_recall(3000, [0.08, 0.1, 0.11], trials=8, cues=50, generator=0)
    expected = retrieval_overlap(found.loads)
    assert (found.mean - expected).abs().max() < 0.001
    assert abs(found.mean[1].item() - 0.9980) < 0.002
