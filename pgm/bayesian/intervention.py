"""Setting variables of a Bayesian network by force.

.. math:: p(x \\mid do(x_S = s)) = \\prod_{v \\in S} [x_v = s_v]
          \\prod_{v \\notin S} p(x_v \\mid x_{\\pi(v)})
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from pgm.bayesian.tables import ROW_TOLERANCE

if TYPE_CHECKING:
    from pgm.bayesian_network import BayesianNetwork

__all__ = ["intervened"]


def intervened(network: BayesianNetwork, states: Mapping[str, Any]) -> BayesianNetwork:
    """The network in which some variables lost their parents and took a state or a distribution.

    Arguments:
        network: the network before.
        states: as evidence: a state, or a distribution over the states.

    Raises:
        ValueError: a batch of interventions, unknown names or states.

    Reference:
        Pearl 2009, definition 3.2.1.

    Example:
        >>> from pgm.classic import sprinkler
        >>> wet = intervened(sprinkler(), {"sprinkler": "yes"})
        >>> wet.parents("sprinkler"), round(wet.marginals()["rain"][0].item(), 3)
        ((), 0.5)
    """
    vocabulary = network.vocabulary
    given = vocabulary.evidence(states)
    if given.rows is not None:
        raise ValueError("intervene takes one intervention at a time, not a batch")
    unset = [n for n in states if vocabulary.index[n] not in {**given.states, **given.weights}]
    if unset:
        raise ValueError(f"intervene must set {unset[0]!r} to a state, found {states[unset[0]]!r}")
    parents = {name: network.parents(name) for name in network.variables}
    tables = {name: network.table(name).detach() for name in network.variables}
    for v, state in {**given.states, **given.weights}.items():
        row = np.zeros(vocabulary.cards[v])
        if np.ndim(state):
            row[:] = state
            if abs(row.sum() - 1.0) > ROW_TOLERANCE:
                raise ValueError(
                    f"states[{vocabulary.names[v]!r}] must be a state or a distribution over the "
                    f"states, found {row.tolist()}, which sums to {row.sum():g}"
                )
        else:
            row[state] = 1.0
        parents[vocabulary.names[v]] = ()
        tables[vocabulary.names[v]] = torch.from_numpy(row)
    edges = [(parent, name) for name, above in parents.items() for parent in above]
    changed = type(network)(
        edges, network.config()["states"], tables, memory_limit=network.memory_limit
    )
    return changed.to(network.device, network.values.dtype)
