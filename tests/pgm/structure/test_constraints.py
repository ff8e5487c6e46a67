"""Limits on a structure: what they say, what they imply, and what they refuse."""

from __future__ import annotations

import itertools

import networkx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.exact.evidence import Variables
from pgm.structure.constraints import Constraints

ABCD = Variables(dict.fromkeys("abcd", 2))
ALL_PAIRS = list(itertools.permutations("abcd", 2))


def test_nothing_known_allows_every_other_variable():
    known = Constraints.read(ABCD)
    assert known.required == (0, 0, 0, 0)
    assert known.allowed == (0b1110, 0b1101, 0b1011, 0b0111)
    assert known.max_parents == 3


def test_masks_of_named_edges():
    known = Constraints.read(
        ABCD, required=[("a", "b")], forbidden=[("c", "b"), ["d", "a"]], max_parents=np.int64(2)
    )
    assert known.required == (0, 0b0001, 0, 0)
    # b -> a would close a cycle with the required edge.
    assert known.allowed == (0b0100, 0b1001, 0b1011, 0b0111)
    assert known.max_parents == 2


def test_required_chain_forbids_what_would_close_it():
    known = Constraints.read(ABCD, required=[("a", "b"), ("b", "c"), ("a", "b")])
    assert known.required == (0, 0b0001, 0b0010, 0)
    assert known.allowed == (0b1000, 0b1001, 0b1011, 0b0111)


def test_iterators_are_read_once():
    known = Constraints.read(ABCD, required=(edge for edge in [("a", "b")]))
    assert known.required == (0, 1, 0, 0)


def test_more_parents_than_variables_is_no_limit():
    assert Constraints.read(ABCD, max_parents=100).max_parents == 3
    assert Constraints.read(ABCD, max_parents=0).max_parents == 0
    assert Constraints.read(Variables({"a": 2})).max_parents == 0


@settings(max_examples=200)
@given(st.data())
def test_permits_is_the_definition_and_allowed_loses_no_dag(data):
    required = data.draw(st.lists(st.sampled_from(ALL_PAIRS), max_size=3, unique=True))
    forbidden = data.draw(st.lists(st.sampled_from(ALL_PAIRS), max_size=4, unique=True))
    limit = data.draw(st.sampled_from([None, 1, 2]))
    try:
        known = Constraints.read(ABCD, required, forbidden, limit)
    except ValueError:
        graph = networkx.DiGraph(required)
        crowded = max([n for _, n in graph.in_degree()], default=0) > (
            3 if limit is None else limit
        )
        clash = set(required) & set(forbidden)
        assert clash or crowded or not networkx.is_directed_acyclic_graph(graph)
        return
    order = data.draw(st.permutations("abcd"))
    possible = list(itertools.combinations(order, 2))
    edges = set(data.draw(st.lists(st.sampled_from(possible), unique=True)))
    parents = [sum(1 << "abcd".index(p) for p, c in edges if c == child) for child in "abcd"]
    kept = set(required) <= edges and not edges & set(forbidden)
    kept = kept and all(mask.bit_count() <= (3 if limit is None else limit) for mask in parents)
    assert known.permits(parents) == kept


def test_permits_refuses_other_numbers_of_variables():
    assert not Constraints.read(ABCD).permits([0, 0, 0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"required": [("a", "x")]}, r"required edge \('a', 'x'\): unknown variable 'x'"),
        ({"forbidden": [("x", "a")]}, r"forbidden edge \('x', 'a'\): unknown variable 'x'"),
        ({"required": [("a", "a")]}, r"required has the edge \('a', 'a'\)"),
        ({"forbidden": [("b", "b")]}, r"forbidden has the edge \('b', 'b'\)"),
        (
            {"required": [("a", "b"), ("c", "d")], "forbidden": [("c", "d")]},
            r"\('c', 'd'\) is both required and forbidden",
        ),
        (
            {"required": [("a", "b"), ("b", "c"), ("c", "a")]},
            r"required edges contain a directed cycle: [abc]( -> [abc]){3}",
        ),
        ({"required": [("a", "b"), ("b", "a")]}, "cycle"),
        (
            {"required": [("a", "c"), ("b", "c")], "max_parents": 1},
            r"max_parents is 1, but 2 parents of 'c' are required: \['a', 'b'\]",
        ),
        ({"max_parents": -1}, "max_parents must not be negative, found -1"),
    ],
)
def test_contradictions_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        Constraints.read(ABCD, **arguments)


@pytest.mark.parametrize("limit", [1.5, "2", True])
def test_max_parents_must_be_a_whole_number(limit):
    with pytest.raises(TypeError, match="max_parents must be a whole number"):
        Constraints.read(ABCD, max_parents=limit)


@pytest.mark.parametrize("edges", ["ab", ["ab"], [("a", "b", "c")], [3]])
def test_edges_must_be_pairs(edges):
    with pytest.raises(TypeError, match=r"required must list \(parent, child\) pairs"):
        Constraints.read(ABCD, required=edges)
