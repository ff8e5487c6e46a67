"""Bayesian networks to and from the files of other programs.

.. math:: \\text{file} \\leftrightarrow (\\text{states}, \\text{parents}, \\text{tables})
"""

from __future__ import annotations

import os
from pathlib import Path

from pgm.bayesian_network import BayesianNetwork
from pgm.formats import NetworkTables, read_network, write_network
from pgm.formats.tables import format_name

__all__ = ["load_network", "save_network"]


def save_network(network: BayesianNetwork, path: str | os.PathLike[str]) -> None:
    """Write a network in the format of the suffix; see ``BayesianNetwork.save``."""
    names = network.variables
    states = {name: tuple(map(str, labels)) for name, labels in network.states.items()}
    parents = {name: network.parents(name) for name in names}
    tables = {n: network.table(n).detach().cpu().double().numpy() for n in names}
    write_network(NetworkTables("unknown", states, parents, tables), path)


def load_network(path: str | os.PathLike[str]) -> BayesianNetwork:
    """Read a network in the format of the suffix; see ``BayesianNetwork.load``."""
    found = read_network(path)
    numbered = format_name(path) == "uai"
    states = {n: len(s) if numbered else s for n, s in found.states.items()}
    edges = [(parent, name) for name, above in found.parents.items() for parent in above]
    try:
        return BayesianNetwork(edges, states, found.tables)
    except ValueError as error:
        raise ValueError(f"{Path(path).name}: {error}") from None
