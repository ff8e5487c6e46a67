"""The classic networks hold their published numbers."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch

from pgm.bayesian_network import BayesianNetwork
from pgm.classic import asia, medical_test, sprinkler


def test_asia_is_the_published_file(shared: Path) -> None:
    published = BayesianNetwork.load(shared / "data" / "bif" / "asia.bif")
    network = asia()
    assert network.variables == published.variables
    assert network.states == published.states
    assert network.edges == published.edges
    for name in network.variables:
        torch.testing.assert_close(network.table(name), published.table(name), rtol=0, atol=0)


def test_asia_priors_by_hand() -> None:
    p = {name: law[0].item() for name, law in asia().marginals().items()}
    tub, lung, bronc = 0.01 * 0.05 + 0.99 * 0.01, 0.5 * 0.1 + 0.5 * 0.01, 0.5 * 0.6 + 0.5 * 0.3
    either = 1 - (1 - tub) * (1 - lung)
    assert p["tub"] == pytest.approx(tub, abs=1e-15)
    assert p["lung"] == pytest.approx(lung, abs=1e-15)
    assert p["bronc"] == pytest.approx(bronc, abs=1e-15)
    assert p["either"] == pytest.approx(either, abs=1e-15)
    assert p["xray"] == pytest.approx(0.98 * either + 0.05 * (1 - either), abs=1e-15)


def test_asia_either_is_a_logical_or() -> None:
    table = asia().table("either")
    for lung, tub in itertools.product(range(2), repeat=2):
        assert table[lung, tub].tolist() == ([1.0, 0.0] if 0 in (lung, tub) else [0.0, 1.0])


def test_sprinkler_gives_murphys_numbers() -> None:
    network = sprinkler()
    wet = network.marginals({"wet_grass": "yes"})
    assert network.marginals()["wet_grass"][0].item() == pytest.approx(0.6471, abs=1e-12)
    assert wet["sprinkler"][0].item() == pytest.approx(0.2781 / 0.6471, abs=1e-12)
    assert wet["rain"][0].item() == pytest.approx(0.4581 / 0.6471, abs=1e-12)
    explained = network.marginals({"wet_grass": "yes", "rain": "yes"})["sprinkler"][0].item()
    assert explained == pytest.approx(0.1945, abs=5e-5)


def test_medical_test_is_bayes_rule() -> None:
    network = medical_test()
    assert network.variables == ("disease", "test")
    positive = network.marginals({"test": "positive"})["disease"][0].item()
    negative = network.marginals({"test": "negative"})["disease"][0].item()
    assert positive == pytest.approx(0.5, abs=1e-14)
    assert negative == pytest.approx(1.0202e-4, rel=1e-4)
    assert network.log_evidence({"test": "positive"}).exp().item() == pytest.approx(0.0198)


@pytest.mark.parametrize(("prevalence", "hit", "pass_"), [(0.2, 0.7, 0.9), (1.0, 0.5, 0.5)])
def test_medical_test_at_other_rates(prevalence: float, hit: float, pass_: float) -> None:
    network = medical_test(prevalence, hit, pass_, n_tests=3)
    given = {"test_1": "positive", "test_2": "negative", "test_3": "positive"}
    sick = prevalence * hit * (1 - hit) * hit
    well = (1 - prevalence) * (1 - pass_) * pass_ * (1 - pass_)
    found = network.marginals(given)["disease"][0].item()
    assert found == pytest.approx(sick / (sick + well), abs=1e-14)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"prevalence": 1.5}, "prevalence must be a probability"),
        ({"sensitivity": -0.1}, "sensitivity must be a probability"),
        ({"specificity": float("nan")}, "specificity must be a probability"),
        ({"n_tests": 0}, "n_tests must be a whole number >= 1"),
        ({"n_tests": True}, "n_tests must be a whole number >= 1"),
    ],
)
def test_medical_test_refuses(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        medical_test(**arguments)
