"""Fields over random scopes: every route to the same numbers, by hypothesis."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.exact.enumerate import enumerate_law
from inference.exact.factor import Factor
from pgm.markov_random_field import MarkovRandomField
from pgm.random_fields.approximations import pairwise_arrays
from pgm.random_fields.factor_tables import FactorTables
from tests.pgm.random_fields.enumeration import all_rows


@st.composite
def fields(
    draw: st.DrawFn, arity: int = 3, cards: tuple[int, ...] = (1, 2, 3)
) -> MarkovRandomField:
    n = draw(st.integers(1, 5))
    names = [f"v{i}" for i in range(n)]
    states = {name: draw(st.sampled_from(cards)) for name in names}
    scope = st.lists(st.sampled_from(names), max_size=arity, unique=True)
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    factors = []
    for names_of in draw(st.lists(scope, max_size=6)):
        table = np.array(2 * rng.normal(size=[states[name] for name in names_of]))
        table[np.asarray(rng.random(table.shape) < 0.15)] = -np.inf
        table.reshape(-1)[0] = 0.3
        factors.append(Factor(names_of, table))
    return MarkovRandomField(states, factors)


@settings(max_examples=60)
@given(fields())
def test_enumeration_network_and_file_agree(field):
    cards = dict(zip(field.variables, field.vocabulary.cards, strict=True))
    law = enumerate_law(cards, field.factors)
    torch.testing.assert_close(field.log_partition(), law.log_partition)
    rows = all_rows(field)
    logs = field.log_prob(rows)
    torch.testing.assert_close(logs.exp(), law.probabilities.reshape(-1))
    for name, table in field.marginals().items():
        torch.testing.assert_close(table, law.marginals[name])
    torch.testing.assert_close(field.to_bayesian_network().log_prob(rows), logs)
    graph = field.to_factor_graph()
    torch.testing.assert_close(graph.log_partition(), field.log_partition())
    density = field.density()
    torch.testing.assert_close(density.log_weight(rows), -field.energy(rows))
    best = field.most_probable()[1]
    torch.testing.assert_close(best, -field.energy(rows).min())


@settings(max_examples=40)
@given(fields(arity=2, cards=(3,)), st.data())
def test_pairwise_arrays_are_the_same_law(field, data):
    evidence = {"v0": data.draw(st.sampled_from([0, 2, [0.2, 0.5, 0.3]]))}
    pairs = [frozenset(f.scope) for f in field.factors if len(f.scope) == 2]
    given_ = field.vocabulary.evidence(evidence)
    found = pairwise_arrays(field.arrays, field.log_tables(), given_)
    if len(set(pairs)) < len(pairs):
        assert found is None  # two factors for one pair go another way
        return
    arrays, constant = found
    rows = all_rows(field)
    total = constant + arrays.log_unary[torch.arange(rows.shape[1]), rows].sum(1)
    for (u, v), table in zip(arrays.edges.tolist(), arrays.log_tables, strict=True):
        total = total + table[rows[:, u], rows[:, v]]
    torch.testing.assert_close(total, field.density(evidence).log_weight(rows))


def test_other_fields_are_no_pairwise_arrays():
    mixed = MarkovRandomField({"a": 2, "b": 3}, [Factor(["a", "b"], np.zeros((2, 3)))])
    triple = MarkovRandomField(dict.fromkeys("abc", 2), [Factor(list("abc"), np.zeros((2, 2, 2)))])
    for field in (mixed, triple):
        evidence = field.vocabulary.evidence(None)
        assert pairwise_arrays(field.arrays, field.log_tables(), evidence) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_weights": 3}, "columns must be in"),
        ({"n_weights": 3, "design": None}, "as many weights"),
        ({"design": {"entries": [99], "columns": [0]}}, "entries must be in"),
        ({"groups": [{"scopes": [[0, 9]], "offsets": [0], "numbers": [0]}]}, "variables in"),
    ],
)
def test_damaged_configurations_are_refused(change, message):
    field = MarkovRandomField.ising(np.ones(4), shape=(2, 2))
    config = field.config()["tables"] | change
    with pytest.raises(ValueError, match=message):
        FactorTables.from_config(field.vocabulary.cards, config)
