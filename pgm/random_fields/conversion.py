"""Bayesian networks as Markov random fields, and back.

.. math:: \\prod_v p(x_v \\mid x_{\\pi(v)}) = \\frac1Z \\prod_f \\phi_f(x_{S_f})

A network becomes a field by forgetting directions (its graph is the moral graph). A field becomes
a network by eliminating its variables: each one's parents are the others of its clique.
"""

from __future__ import annotations

from math import prod

import numpy as np

from inference.exact.engine import ExactEngine
from inference.exact.evidence import Evidence, Variables
from inference.exact.factor import Factor
from inference.exact.order import check_width, interaction_graph, min_fill
from inference.exact.scaled_tables import scaled
from inference.exact.structure import Structure, bits
from inference.memory import allowed_memory, readable_bytes
from pgm.bayesian_network import BayesianNetwork

__all__ = ["factors_of_network", "network_of_factors"]


def factors_of_network(network: BayesianNetwork) -> list[Factor]:
    """One factor per conditional table."""
    return [
        Factor.from_potential([*network.parents(name), name], network.table(name).detach())
        for name in network.variables
    ]


def network_of_factors(
    vocabulary: Variables, structure: Structure, logs: np.ndarray, memory_limit: int | None
) -> BayesianNetwork:
    """The Bayesian network of the same law, over a chordal cover of the graph.

    .. math:: p(x) = \\prod_v p(x_v \\mid x_{C_v \\setminus v})

    Arguments:
        vocabulary: names and states.
        structure: scopes of the factors.
        logs: their log tables, one after the other.
        memory_limit: bytes that the tables may take.

    Raises:
        ValueError: the tables would not fit, or the law is zero everywhere.
    """
    cards, names = structure.cards, vocabulary.names
    log_cards = np.log(cards).tolist()
    check_width(structure.scopes, log_cards)
    order = min_fill(interaction_graph(structure.scopes), log_cards)
    place = {v: i for i, v in enumerate(order.order)}
    # The last to be eliminated have no parents: ancestors come first in every scope.
    families = [
        tuple(sorted(bits(clique), key=place.__getitem__, reverse=True))
        for clique in order.cliques
    ]
    size = 8 * sum([prod([cards[v] for v in family]) for family in families])
    limit = allowed_memory(memory_limit)
    if size > limit:
        raise ValueError(
            f"the tables of the network need {readable_bytes(size)}, memory_limit is "
            f"{readable_bytes(limit)}: the field's graph is too densely connected for a network"
        )
    tables = _conditionals(structure, families, logs, names, memory_limit)
    edges, by_name = [], {}
    for family, table in zip(families, tables, strict=True):
        *parents, child = family
        edges += [(names[u], names[child]) for u in parents]
        by_name[names[child]] = table
    return BayesianNetwork(edges, vocabulary.states, by_name, memory_limit=memory_limit)


def _conditionals(
    structure: Structure,
    families: list[tuple[int, ...]],
    logs: np.ndarray,
    names: tuple[str, ...],
    memory_limit: int | None,
) -> list[np.ndarray]:
    """p(last variable | the others) for every family, uniform where the others are impossible."""
    scopes = (*structure.scopes, *families)
    wide = Structure(structure.cards, scopes, (-1,) * len(scopes))
    engine = ExactEngine(wide, names, memory_limit)
    flat = np.concatenate([logs, np.zeros(wide.offsets[-1] - len(logs))])
    values, log_scale, flat = scaled(wide, flat)
    engine.load(values, log_scale, flat)
    first = len(structure.scopes)
    joint = engine.factor_marginals(Evidence(), range(first, len(scopes)))
    found = []
    for factor in range(first, len(scopes)):
        table = joint[wide.offsets[factor] : wide.offsets[factor + 1]].reshape(wide.shapes[factor])
        total = table.sum(axis=-1, keepdims=True)
        if not table.sum() > 0:
            raise ValueError("no joint state is possible: the factors are zero everywhere")
        uniform = np.full_like(table, 1.0 / structure.cards[scopes[factor][-1]])
        found.append(np.divide(table, total, out=uniform, where=total > 0))
    return found
