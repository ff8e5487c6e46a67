"""pyAgrum and pgmpy as learners; both learn from the same rows of codes as ours.

In pyAgrum a variable's name is ``v`` and its number, and its states are 0, 1, ...: small whole
numbers are what it reads fastest. Graphs come back as one mask of parents per variable.
"""

from __future__ import annotations

import importlib.util
import math
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks.peer import Peer
from inference.exact.structure import bits
from pgm import BayesianNetwork
from pgm.structure import PDAG

__all__ = ["Agrum", "Pgmpy"]

Tables = list[np.ndarray]


class Agrum:
    """pyAgrum's learner on some rows.

    Arguments:
        gum: the module.
        network: names, states and structure; EM starts from its tables.
        codes: (n, V), -1 for missing.
    """

    def __init__(self, gum: Any, network: BayesianNetwork, codes: np.ndarray) -> None:
        from pandas import DataFrame

        self._gum = gum
        self._bn = _with_code_labels(gum, network)
        self._scopes = _scopes(network)
        frame = DataFrame({_name(v): column for v, column in enumerate(codes.T)})
        # Columns with gaps must stay whole numbers, or the file would say 1.0 for 1.
        self.frame = frame.astype("Int8").mask(frame < 0) if (codes < 0).any() else frame

    def read(self) -> Any:
        """A learner that has read the frame, which goes through a file in between."""
        before = tempfile.tempdir
        with tempfile.TemporaryDirectory() as folder:
            tempfile.tempdir = folder  # its files would stay behind elsewhere
            try:
                return self._gum.BNLearner(self.frame, self._bn, ["?"])
            finally:
                tempfile.tempdir = before

    def fit(self, learner: Any) -> Any:
        """Maximum likelihood tables of the network's structure."""
        learner.useNoPrior()
        return learner.learnParameters(self._bn)

    def refuses(self, learner: Any) -> bool:
        """Whether it fits no tables, as some states of parents are never seen together."""
        try:
            self.fit(learner)
        except self._gum.DatabaseError:
            return True
        return False

    def em(self, learner: Any, iterations: int, pseudo_count: float) -> Any:
        """EM from the network's tables, every iteration made, no noise added to the start."""
        learner.useSmoothingPrior(pseudo_count)
        learner.useEMWithRateCriterion(1e-15, 0.0)
        learner.EMsetMaxIter(iterations)
        return learner.learnParameters(self._bn)

    def tables(self, fitted: Any) -> Tables:
        """Tables in the order of our axes."""
        found = []
        for v, scope in enumerate(self._scopes):
            cpt = fitted.cpt(v)
            order = [int(name[1:]) for name in reversed(cpt.names)]
            found.append(cpt.toarray().transpose([order.index(u) for u in scope]))
        return found

    def score(self, parents: Sequence[int]) -> float:
        """BIC of a graph in nats; pyAgrum counts in bits."""
        learner = self._scoring()
        families = [(_name(v), [_name(u) for u in bits(above)]) for v, above in enumerate(parents)]
        return math.log(2) * sum([learner.score(child, above) for child, above in families])

    def search(self, method: str) -> Callable[[], Any]:
        """A call that learns a DAG by BIC, on a learner that has read the rows already.

        Arguments:
            method: the learner's method that chooses the search, for instance
                ``useGreedyHillClimbing``.
        """
        learner = self._scoring()
        getattr(learner, method)()
        return learner.learnDAG

    def pc(self, significance: float) -> Callable[[], Any]:
        """A call that runs PC with G2 tests, on a learner that has read the rows already."""
        learner = self.read()
        learner.usePC()
        learner.useG2Test()
        learner.setPCAlpha(significance)
        return learner.learnPDAG

    def parents(self, dag: Any) -> list[int]:
        """Masks of a DAG that was found."""
        return [sum([1 << u for u in dag.parents(v)]) for v in range(len(self._scopes))]

    def partial(self, found: Any) -> PDAG:
        """A partially directed graph that was found."""
        parents, neighbours = [0] * len(self._scopes), [0] * len(self._scopes)
        for tail, head in found.arcs():
            parents[head] |= 1 << tail
        for u, v in found.edges():
            neighbours[u] |= 1 << v
            neighbours[v] |= 1 << u
        return PDAG(tuple(parents), tuple(neighbours))

    def _scoring(self) -> Any:
        """A learner that has read the rows and scores graphs by BIC."""
        # What a use...() method returns does not keep the learner alive: nothing is chained.
        learner = self.read()
        learner.useScoreBIC()
        learner.useNoPrior()
        return learner


class Pgmpy:
    """pgmpy's learners on some rows, read as categories.

    Arguments:
        network: names, states and structure.
        codes: (n, V), complete.
    """

    def __init__(self, network: BayesianNetwork, codes: np.ndarray) -> None:
        from pandas import Categorical, DataFrame
        from pgmpy.models import DiscreteBayesianNetwork

        self._names, self._scopes = network.variables, _scopes(network)
        self._states = {name: list(range(len(found))) for name, found in network.states.items()}
        columns = zip(self._names, codes.T, strict=True)
        self._frame = DataFrame(
            {name: Categorical(column, self._states[name]) for name, column in columns}
        )
        self._model = DiscreteBayesianNetwork(network.edges)

    @staticmethod
    def installed() -> bool:
        """Whether pgmpy is there; says so if not. It is imported when its first row is due."""
        found = importlib.util.find_spec("pgmpy") is not None
        if not found:
            print("pgmpy is not installed, so its rows have a dash.")
        return found

    def fit(self) -> Any:
        """Maximum likelihood tables of the network's structure."""
        from pgmpy.parameter_estimator import DiscreteMLE

        return DiscreteMLE(state_names=self._states).fit(self._model, self._frame)

    def tables(self, fitted: Any) -> Tables:
        """Tables in the order of our axes."""
        cpds = {cpd.variable: cpd for cpd in fitted.parameters_}
        found = []
        for name, scope in zip(self._names, self._scopes, strict=True):
            order = [self._names.index(other) for other in cpds[name].variables]
            found.append(cpds[name].values.transpose([order.index(u) for u in scope]))
        return found

    def score(self) -> float:
        """BIC of the network's structure, nats."""
        return float(self._bic().score(self._model))

    def climb(self) -> list[int]:
        """The graph that its hill climbing finds with BIC."""
        from pgmpy.causal_discovery import HillClimbSearch

        search = HillClimbSearch(self._bic(), return_type="dag", show_progress=False)
        graph = search.fit(self._frame).causal_graph_
        number = {name: v for v, name in enumerate(self._names)}
        return [sum([1 << number[p] for p in graph.predecessors(name)]) for name in self._names]

    def _bic(self) -> Any:
        from pgmpy.structure_score import BIC

        return BIC(self._frame, state_names=self._states)


def _name(number: int) -> str:
    return f"v{number}"


def _scopes(network: BayesianNetwork) -> list[list[int]]:
    """Per variable the numbers of its parents and its own: the axes of its table."""
    number = {name: v for v, name in enumerate(network.variables)}
    return [[*[number[p] for p in network.parents(name)], v] for name, v in number.items()]


def _with_code_labels(gum: Any, network: BayesianNetwork) -> Any:
    """The network in pyAgrum with the numbers of the states for labels."""
    twin, copy, scopes = Peer(gum, network).bn, gum.BayesNet(), _scopes(network)
    for v in range(len(scopes)):
        labels = [str(code) for code in range(twin.variable(v).domainSize())]
        copy.add(gum.LabelizedVariable(_name(v), "", labels))
    for *above, v in scopes:
        for parent in above:
            copy.addArc(parent, v)
    for v in range(len(scopes)):
        copy.cpt(v).fillWith(twin.cpt(v).toarray().ravel().tolist())
    return copy
