"""Parts of Markov chains: symbols, counts of n-grams, smoothing, the long run."""

from pgm.chains.absorbing import Absorption, absorption, hitting_times
from pgm.chains.cooccurrence import cooccurrence
from pgm.chains.recurrence import entropy_rate, stationary_distribution
from pgm.chains.smoothing import (
    AbsoluteDiscounting,
    AddK,
    Interpolated,
    KneserNey,
    Laplace,
    WittenBell,
)

__all__ = [
    "AbsoluteDiscounting",
    "Absorption",
    "AddK",
    "Interpolated",
    "KneserNey",
    "Laplace",
    "WittenBell",
    "absorption",
    "cooccurrence",
    "entropy_rate",
    "hitting_times",
    "stationary_distribution",
]
