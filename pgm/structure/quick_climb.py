"""Hill climbing from two starts: the graph without edges, and the best forest.

.. math:: \\max \\{ s(\\text{climb}(\\emptyset)),\\; s(\\text{climb}(\\text{forest})) \\}

The second walk finds most of its families counted, and it often ends higher: a forest holds the
strongest dependences, which a greedy walk from nothing may have to buy one by one.
"""

from __future__ import annotations

from pgm.structure.constraints import Constraints
from pgm.structure.hill_climbing import hill_climb
from pgm.structure.local_score import SearchResult
from pgm.structure.scores import SetScore
from pgm.structure.trees import chow_liu

__all__ = ["quick_climb"]


def quick_climb(score: SetScore, constraints: Constraints) -> SearchResult:
    """Climb from both starts and keep the better end.

    Constraints that the forest breaks leave the walk from the empty graph alone.

    Arguments:
        score: score of discrete families.
        constraints: required and permitted edges, number of parents.

    Returns:
        The better graph, the same at every call; its history holds both walks.

    Raises:
        ValueError: as :func:`pgm.structure.hill_climb`.

    Reference:
        Heckerman, Geiger & Chickering 1995, sections 6.1 and 7.1; Chow & Liu 1968.

    Example:
        >>> from pgm.discrete_data import DiscreteData
        >>> rows = DiscreteData({"a": [0, 0, 1, 1] * 9, "b": [0, 0, 1, 1] * 9, "c": [0, 1] * 18})
        >>> found = quick_climb(SetScore(rows), Constraints.read(rows.vocabulary))
        >>> [mask.bit_count() for mask in found.parents], round(found.score, 3)
        ([1, 0, 0], -57.074)
    """
    best = hill_climb(score, constraints)
    history = list(best.history)
    if score.n_variables > 1:
        forest = chow_liu(score)
        if constraints.permits(forest):
            found = hill_climb(score, constraints, start=forest)
            history += [{**entry, "start": "forest"} for entry in found.history]
            if found.score > best.score:
                best = found
    return SearchResult(best.parents, best.score, history)
