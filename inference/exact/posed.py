"""Evidence translated from the model's states to the possible ones, ready for a bound plan."""

from __future__ import annotations

import math

import numpy as np

from inference.exact.evidence import Evidence
from inference.exact.potentials import Potentials

__all__ = ["Posed"]


class Posed:
    """One query's evidence over possible states.

    Arguments:
        evidence: a single query's evidence.
        potentials: the tables and the states they kept.
    """

    __slots__ = ("log_scale", "possible", "states", "weights")

    def __init__(self, evidence: Evidence, potentials: Potentials) -> None:
        self.log_scale = potentials.log_scale
        self.possible = not potentials.empty
        self.states: dict[int, int] = evidence.states
        self.weights: dict[int, np.ndarray] = evidence.weights
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
                if largest > 0:
                    self.log_scale += math.log(largest)
                    self.weights[v] = vector / largest
                else:
                    self.possible = False

    def softened(self, potentials: Potentials) -> Posed:
        """The same evidence as likelihoods of all variables, ones where nothing is known."""
        soft = Posed(Evidence(), potentials)
        soft.log_scale, soft.possible = self.log_scale, self.possible
        soft.weights = {v: np.ones(card) for v, card in enumerate(potentials.structure.cards)}
        soft.weights |= self.weights
        for v, state in self.states.items():
            soft.weights[v] = np.zeros(potentials.structure.cards[v])
            soft.weights[v][state] = 1.0
        return soft
