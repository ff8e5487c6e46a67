"""pyAgrum on the same tables and threads as ours.

Its networks are built from our float64 tables, because its BIF reader keeps float32 and does not
read every file. A variable's node number in pyAgrum is its place in our ``variables``.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from pgm import BayesianNetwork

__all__ = ["Peer"]


class Peer:
    """One network in pyAgrum, with calls to time."""

    def __init__(self, gum: Any, network: BayesianNetwork) -> None:
        self.gum = gum
        self.names = network.variables
        self._numbers = {name: number for number, name in enumerate(self.names)}
        self._codes = {
            name: {str(label): code for code, label in enumerate(labels)}
            for name, labels in network.states.items()
        }
        self.bn = _twin(gum, network)

    @staticmethod
    def module(threads: int) -> Any:
        """Return pyAgrum with so many threads, or None, with a message, where it is absent."""
        try:
            gum = importlib.import_module("pyagrum")
        except ImportError:
            print(
                "pyAgrum is not installed, so its columns stay empty. To compare with it:\n"
                "    pip install 'free-energy[benchmarks]'"
            )
            return None
        gum.setNumberOfThreads(threads)
        return gum

    def codes(self, evidence: Mapping[str, str]) -> dict[int, int]:
        """Evidence as pyAgrum reads it fastest: node number -> state number."""
        return {self._numbers[name]: self._codes[name][label] for name, label in evidence.items()}

    def posteriors(self, engine: Any, codes: Mapping[int, int]) -> list[np.ndarray]:
        """Set the evidence, infer, and read the posterior of every variable into numpy."""
        engine.setEvidence(codes)
        engine.makeInference()
        return [engine.posterior(number).toarray() for number in range(len(self.names))]

    def fresh(self, engine: str, codes: Mapping[int, int], keep: list) -> list[np.ndarray]:
        """All posteriors from a new engine, which ``keep`` spares from dying under the clock."""
        keep.append(getattr(self.gum, engine)(self.bn))
        return self.posteriors(keep[-1], codes)

    def reused(self, engine: Any, codes: Mapping[int, int]) -> list[np.ndarray]:
        """All posteriors from an engine that has answered other evidence before."""
        engine.eraseAllEvidence()
        return self.posteriors(engine, codes)


def _twin(gum: Any, network: BayesianNetwork) -> Any:
    """The network in pyAgrum, node by node, table by table."""
    twin = gum.BayesNet()
    numbers = {name: number for number, name in enumerate(network.variables)}
    for number, name in enumerate(network.variables):
        labels = [f"s{code}" for code in range(len(network.states[name]))]
        twin.add(gum.LabelizedVariable(f"v{number}", "", labels))
    for name, number in numbers.items():
        for parent in network.parents(name):
            twin.addArc(numbers[parent], number)
    for name, number in numbers.items():
        table = network.table(name).detach().cpu().numpy()
        # pyAgrum lists a table with the child running fastest, then the first parent.
        *parents, child = range(table.ndim)
        twin.cpt(number).fillWith(table.transpose(*reversed(parents), child).ravel().tolist())
    return twin
