"""The network that the tests of Bayesian networks share."""

from __future__ import annotations

from collections.abc import Callable

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
