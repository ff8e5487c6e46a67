"""Evidence translated from the model's states to the possible ones, ready for a bound plan."""

from __future__ import annotations

import math

import numpy as np

from inference.exact.evidence import Evidence
from inference.exact.potentials import Potentials

__all__ = ["Posed", "likelihood_rows"]


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
                largest = float(vector.max())
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


def likelihood_rows(
    evidence: Evidence, potentials: Potentials, rows: slice
) -> tuple[np.ndarray, np.ndarray]:
    """Likelihood of every possible state, one column per evidence row, and its log scale.

    Shapes:
        likelihoods: (states, B); log scales: (B,).
    """
    cards = potentials.structure.cards
    starts = np.concatenate([[0], np.cumsum(cards)])
    assert evidence.rows is not None
    count = len(range(*rows.indices(evidence.rows)))
    likelihoods = np.ones((int(starts[-1]), count))
    log_scale = np.zeros(count)
    for v, states in evidence.states.items():
        column = np.broadcast_to(np.asarray(states), evidence.rows)[rows]
        if v in potentials.codes:
            # An impossible state matches no row at all; -1 stays "unobserved".
            column = np.where(
                column < 0, -1, np.where(potentials.codes[v] < 0, -2, potentials.codes[v])[column]
            )
        agrees = column == np.arange(cards[v])[:, None]
        likelihoods[starts[v] : starts[v + 1]] = agrees | (column == -1)
    for v, weight in evidence.weights.items():
        kept = potentials.states[v]
        weight = np.broadcast_to(weight, (evidence.rows, weight.shape[-1]))[rows]
        vectors = weight if kept is None else weight[:, kept]
        largest = vectors.max(axis=1)
        scale = np.where(largest > 0, largest, 1.0)
        log_scale += np.log(scale)
        likelihoods[starts[v] : starts[v + 1]] *= (vectors / scale[:, None]).T
    return likelihoods, log_scale
