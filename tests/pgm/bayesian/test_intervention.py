"""Interventions in Bayesian networks."""

from __future__ import annotations

import math

import pytest

from pgm import BayesianNetwork


@pytest.fixture
def treatment() -> BayesianNetwork:
    """Severity decides on the treatment and worsens the outcome; the treatment helps."""
    return BayesianNetwork(
        [("severe", "treated"), ("severe", "well"), ("treated", "well")],
        {"severe": ["no", "yes"], "treated": ["no", "yes"], "well": ["no", "yes"]},
        {
            "severe": [0.5, 0.5],
            "treated": [[0.9, 0.1], [0.1, 0.9]],
            "well": [[[0.2, 0.8], [0.1, 0.9]], [[0.8, 0.2], [0.6, 0.4]]],
        },
    )


def test_to_set_is_not_to_see(treatment):
    seen = treatment.marginals({"treated": "yes"})["well"][1].item()
    done = treatment.intervene({"treated": "yes"}).marginals()["well"][1].item()
    assert seen == pytest.approx(0.1 * 0.9 + 0.9 * 0.4)
    assert done == pytest.approx(0.5 * 0.9 + 0.5 * 0.4)
    left = treatment.intervene({"treated": "no"}).marginals()["well"][1].item()
    assert left == pytest.approx(0.5 * 0.8 + 0.5 * 0.2)
    # Seen, the treatment harms; set, it helps.
    assert seen < treatment.marginals({"treated": "no"})["well"][1] and done > left


def test_an_intervention_cuts_the_arrows_above_and_no_others(treatment):
    changed = treatment.intervene({"treated": 1})
    assert changed.parents("treated") == () and changed.parents("well") == ("severe", "treated")
    assert changed.marginals()["severe"].tolist() == [0.5, 0.5]
    assert changed.table("well").equal(treatment.table("well"))
    assert changed.states == treatment.states and changed.variables == treatment.variables
    assert treatment.parents("treated") == ("severe",), "the original stays"
    # What is set says nothing of its causes; what is then seen does.
    assert changed.marginals({"well": "yes"})["severe"][1].item() == pytest.approx(4 / 13)
    assert changed.log_evidence({"treated": "no"}).item() == -math.inf


def test_interventions_by_chance_and_on_several(treatment):
    mixed = treatment.intervene({"treated": [0.25, 0.75]})
    expected = 0.25 * 0.5 + 0.75 * 0.65
    assert mixed.marginals()["well"][1].item() == pytest.approx(expected)
    both = treatment.intervene({"treated": "yes", "severe": "yes"})
    assert both.marginals()["well"][1].item() == pytest.approx(0.4)
    none = treatment.intervene({})
    assert none.values.equal(treatment.values) and none.edges == treatment.edges


@pytest.mark.parametrize(
    ("states", "named"),
    [({"treated": [0, 1]}, "batch"), ({"nobody": 1}, "nobody"), ({"treated": "maybe"}, "maybe"),
     ({"treated": [0.5, 0.6]}, r"states\['treated'\] must be .*sums to 1.1"),
     ({"treated": [0.5, 0.2, 0.3]}, "treated")],
)  # fmt: skip
def test_bad_interventions_are_named(treatment, states, named):
    with pytest.raises(ValueError, match=named):
        treatment.intervene(states)
