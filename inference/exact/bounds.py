"""What is known of messages before they are computed: which are one, and how small they can get.

Linear float64 tables are safe as long as every product stays above the smallest normal number
(2.2e-308 = e^-708): an entry flushed to zero in one clique could be favoured in another.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from inference.exact.plan import Group
from inference.exact.structure import Structure
from inference.exact.tree import JunctionTree

__all__ = [
    "SAFE_LOG",
    "SAFE_LOG_RESCALED",
    "UnderflowRisk",
    "log_smallest",
    "lowest_logs",
    "unit_messages",
]

#: Lower bound for the log of any product of a run that does not rescale its messages.
SAFE_LOG = -600.0
#: The same for one product of a run that does: 1e-290.
SAFE_LOG_RESCALED = math.log(1e-290)


class UnderflowRisk(ArithmeticError):
    """Linear tables might lose an entry that matters: the query must be run in log space."""


def unit_messages(
    group: Group, structure: Structure, observed: frozenset[int], possible: bool
) -> tuple[list[bool], float]:
    """Find the cliques whose message is identically one.

    They are those whose subtree multiplies exactly the conditional distributions of the
    variables it sums out, with nothing observed below.

    Arguments:
        group: tree and homes of the factors.
        structure: cardinalities, scopes and heads.
        observed: variables that are cut out of the tables.
        possible: whether totals are sums at all.

    Returns:
        Per clique whether its message is one, and a bound on the log of every other message:
        a variable summed out together with its conditional distribution cannot make it grow.
    """
    tree, heads, cards = group.tree, structure.heads, structure.cards
    count = len(tree.cliques)
    held, inside, blocked = [0] * count, [0] * count, [False] * count
    free_cards = [0.0] * count
    for factor, clique in group.homes:
        head = heads[factor]
        if head < 0 or head in observed:
            blocked[clique] = True
        else:
            held[clique] |= 1 << head
    for _, clique in group.weights:
        blocked[clique] = True
    unit = [False] * count
    growth = 0.0
    for c, clique in enumerate(tree.cliques):
        for v in clique[: tree.residuals[c]]:
            inside[c] |= 1 << v
            if not held[c] >> v & 1:
                free_cards[c] += math.log(cards[v])
        unit[c] = possible and not blocked[c] and held[c] == inside[c]
        growth = max(growth, free_cards[c])
        parent = tree.parents[c]
        if parent >= 0:
            held[parent] |= held[c]
            inside[parent] |= inside[c]
            blocked[parent] |= blocked[c]
            free_cards[parent] += free_cards[c]
    return unit, growth


def lowest_logs(tree: JunctionTree, own: Sequence[float], unit: Sequence[bool]) -> list[float]:
    """Per clique a lower bound on the log of a positive entry of its unscaled table.

    Arguments:
        tree: the cliques.
        own: per clique the sum of its factors' smallest logs.
        unit: per clique whether its message is one.
    """
    bounds = list(own)
    for c, parent in enumerate(tree.parents):
        if unit[c]:
            bounds[c] = 0.0
        elif parent >= 0:
            bounds[parent] += bounds[c]
    return bounds


def log_smallest(values: np.ndarray) -> float:
    """Logarithm of the smallest positive entry (0 where there is none)."""
    positive = values[values > 0]
    return math.log(positive.min()) if len(positive) else 0.0
