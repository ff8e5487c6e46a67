"""Small random fields, and their laws by enumeration."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from inference.exact.enumerate import EnumeratedLaw, enumerate_law
from inference.exact.factor import Factor
from pgm.markov_random_field import MarkovRandomField

STATES = {"a": 2, "b": ["low", "mid", "high"], "c": 2, "d": 3, "e": 2}
SCOPES = (("a", "b"), ("c", "b", "d"), ("d", "e"), ("a",), ("e", "a"), ())


@pytest.fixture(scope="session")
def random_field() -> Callable[..., MarkovRandomField]:
    """A field over five variables with a cycle; a share of its entries are hard zeros."""

    def made(seed: int = 0, zeros: float = 0.0, scale: float = 1.0) -> MarkovRandomField:
        rng = np.random.default_rng(seed)
        factors = []
        for scope in SCOPES:
            shape = [n if isinstance(n := STATES[v], int) else len(n) for v in scope]
            table = np.array(scale * rng.normal(size=shape))
            table[np.asarray(rng.random(shape) < zeros)] = -np.inf
            table.reshape(-1)[0] = 0.0  # one joint state is always possible
            factors.append(Factor(scope, table))
        return MarkovRandomField(STATES, factors)

    return made


@pytest.fixture(scope="session")
def law_of() -> Callable[..., EnumeratedLaw]:
    """The law of a field by enumeration, given evidence in codes."""

    def found(field: MarkovRandomField, evidence: object = None) -> EnumeratedLaw:
        cards = dict(zip(field.variables, field.vocabulary.cards, strict=True))
        return enumerate_law(cards, field.factors, evidence)

    return found


@pytest.fixture(scope="session")
def transfer_matrix() -> Callable[..., float]:
    """Log Z of an Ising grid, one row of spins after the other: the textbook's recursion."""

    def found(right: np.ndarray, down: np.ndarray, field: np.ndarray) -> float:
        height, width = field.shape
        rows = np.array(np.unravel_index(np.arange(2**width), (2,) * width)) * 2.0 - 1.0
        logs = np.zeros(2**width)
        for i in range(height):
            if i:
                pair = np.einsum("is,it,i->st", rows, rows, down[i - 1])
                top = logs.max()
                peak = pair.max()
                logs = np.log(np.exp(pair - peak).T @ np.exp(logs - top)) + top + peak
            inside = field[i] @ rows
            if width > 1:
                inside = inside + right[i] @ (rows[:-1] * rows[1:])
            logs = logs + inside
        return float(torch.logsumexp(torch.from_numpy(logs), 0))

    return found
