"""Evidence translated from the model's states to the possible ones, ready for a bound plan."""

from __future__ import annotations

import math

import numpy as np

from inference.exact.evidence import Evidence
from inference.exact.potentials import Potentials

__all__ = ["Posed"]

#: Below this a float64 loses digits, and then everything.
SMALLEST = float(np.finfo(np.float64).tiny)


class Posed:
    """One query's evidence over possible states.

    Arguments:
        evidence: a single query's evidence.
        potentials: the tables and the states they kept.

    Attributes:
        states: state of every observed variable.
        weights: likelihood of every weighted variable, its largest entry one.
        tiny: logarithms of those likelihoods that have an entry too small for ``weights``.
        log_scale: log of the constant taken out of tables and likelihoods.
        possible: whether neither a state nor a likelihood alone rules everything out.
    """

    __slots__ = ("log_scale", "possible", "states", "tiny", "weights")

    def __init__(self, evidence: Evidence, potentials: Potentials) -> None:
        self.log_scale = potentials.log_scale
        self.possible = not potentials.empty
        self.states: dict[int, int] = evidence.states
        self.weights: dict[int, np.ndarray] = evidence.weights
        self.tiny: dict[int, np.ndarray] = {}
        if potentials.codes and self.states:
            self.states = dict(self.states)
            for v in self.states.keys() & potentials.codes.keys():
                code = int(potentials.codes[v][self.states[v]])
                self.states[v] = code
                self.possible &= code >= 0
        if self.weights:
            self.weights = {}
            for v, weight in evidence.weights.items():
                kept = potentials.states[v]
                vector = weight if kept is None else weight[kept]
                largest = float(vector.max(initial=0.0))
                if not largest > 0:
                    self.possible = False
                    continue
                self.log_scale += math.log(largest)
                self.weights[v] = vector / largest
                if ((vector > 0) & (self.weights[v] < SMALLEST)).any():
                    self.tiny[v] = _log(vector) - math.log(largest)

    @property
    def log_weights(self) -> dict[int, np.ndarray]:
        """Logarithms of the likelihoods, whatever their range."""
        return {v: _log(weight) for v, weight in self.weights.items()} | self.tiny

    def softened(self, potentials: Potentials) -> Posed:
        """The same evidence as likelihoods of all variables, ones where nothing is known."""
        soft = Posed(Evidence(), potentials)
        soft.log_scale, soft.possible = self.log_scale, self.possible
        soft.weights = {v: np.ones(card) for v, card in enumerate(potentials.structure.cards)}
        soft.weights |= self.weights
        soft.tiny = self.tiny
        for v, state in self.states.items():
            soft.weights[v] = np.zeros(potentials.structure.cards[v])
            soft.weights[v][state] = 1.0
        return soft


def _log(values: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.log(values)
