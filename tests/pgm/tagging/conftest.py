"""Small corpora and the oracle of the tagger: every labelling, one by one."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise, product

import numpy as np
import pytest

Corpus = tuple[list, list]


def _corpus(seed: int, n: int = 12, longest: int = 6, labels: str = "ABC") -> Corpus:
    """Dicts with strings, numbers and truth values, and labels that depend on them."""
    rng = np.random.default_rng(seed)
    X, y = [], []
    for length in rng.integers(0, longest + 1, n):
        words = rng.integers(0, 6, length)
        X.append(
            [
                {"w": f"w{word}", "size": float(rng.normal()), "even": bool(word % 2 == 0)}
                for word in words
            ]
        )
        noise = rng.integers(0, len(labels), length) * (rng.random(length) < 0.3)
        y.append([labels[code % len(labels)] for code in words + noise])
    X.append([{"w": "w0", "size": 1.0}, {"w": "w1"}, {"w": "w2"}])
    y.append(list(labels[:3].ljust(3, labels[0])))
    return X, y


@pytest.fixture(scope="session")
def corpus() -> Callable[..., Corpus]:
    """Random labelled sequences from a seed, some of them empty."""
    return _corpus


def _attributes(token) -> list[tuple[str, float]]:
    """Attributes of a token, by the rule as the documentation states it."""
    if not isinstance(token, dict):
        return [(attribute, 1.0) for attribute in token]
    return [
        (f"{name}={value}", 1.0) if isinstance(value, str) else (name, float(value))
        for name, value in token.items()
    ]


class Enumeration:
    """A CRF as a dict of weights; everything by a loop over all labellings."""

    def __init__(self, model) -> None:
        self.labels = model.labels
        self.states = {row[:2]: row[2] for row in model.top_features(None)}
        self.steps = {row[:2]: row[2] for row in model.transition_table()}

    def score(self, x, path) -> float:
        """Unnormalised log-probability of a labelling."""
        found = 0.0
        for token, label in zip(x, path, strict=True):
            found += sum(v * self.states.get((a, label), 0.0) for a, v in _attributes(token))
        return found + sum(self.steps.get(pair, 0.0) for pair in pairwise(path))

    def law(self, x) -> dict[tuple[str, ...], float]:
        """Probability of every labelling."""
        paths = list(product(self.labels, repeat=len(x)))
        weights = [math.exp(self.score(x, path)) for path in paths]
        return {path: w / sum(weights) for path, w in zip(paths, weights, strict=True)}

    def marginals(self, x) -> list[dict[str, float]]:
        """Probability of every label at every token."""
        law = self.law(x)
        return [
            {label: sum(p for path, p in law.items() if path[t] == label) for label in self.labels}
            for t in range(len(x))
        ]


@pytest.fixture(scope="session")
def enumeration() -> type[Enumeration]:
    """The oracle."""
    return Enumeration
