"""Random observations with gaps that the tests of hidden Markov models share."""

from __future__ import annotations

import math


def some_sequences(rng, kind, shape, lengths, gaps=0.3):
    """Random observations, of which some are missing."""
    result = []
    for t in lengths:
        if kind == "categorical":
            x = rng.integers(0, shape["n_symbols"], t)
            x[rng.random(t) < gaps] = -1
        else:
            size = (t, shape["n_features"])
            x = rng.normal(size=size) * 2 if kind == "gaussian" else rng.poisson(3.0, size) * 1.0
            x[rng.random(size) < gaps] = math.nan
        result.append(x)
    return result
