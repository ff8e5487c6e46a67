"""What the tests of graphical models share: a network, and stored numbers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from pgm import BayesianNetwork


def _rain() -> BayesianNetwork:
    """Three variables of 2, 3 and 2 states with labels, one impossible row entry."""
    return BayesianNetwork(
        [("rain", "wind"), ("wind", "wet"), ("rain", "wet")],
        {"rain": ["no", "yes"], "wind": ["none", "some", "storm"], "wet": ["dry", "wet"]},
        {
            "rain": [0.75, 0.25],
            "wind": [[0.5, 0.5, 0.0], [0.2, 0.3, 0.5]],
            "wet": [
                [[0.9, 0.1], [0.3, 0.7]],
                [[0.95, 0.05], [0.2, 0.8]],
                [[1.0, 0.0], [0.1, 0.9]],
            ],
        },
    )


@pytest.fixture(scope="session")
def rain() -> Callable[..., BayesianNetwork]:
    """A small network with labelled states."""
    return _rain


@pytest.fixture(scope="session")
def references(shared: Any) -> dict[str, Any]:
    """Numbers that other programs have computed."""
    path = shared / "references" / "mixtures_and_sequences.json"
    return json.loads(path.read_text(encoding="utf-8"))
