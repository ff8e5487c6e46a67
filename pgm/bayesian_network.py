"""Discrete Bayesian networks.

.. math:: p(x_1, \\dots, x_V) = \\prod_v p(x_v \\mid x_{\\pi(v)})
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from inference.exact.differentiable import cut_tables, log_evidence, log_evidence_recorded
from inference.exact.engine import ExactEngine
from inference.exact.evidence import Evidence, Variables, is_pandas
from inference.exact.factor import Factor
from inference.exact.freshness import Snapshot
from inference.exact.graph import FactorGraph
from inference.exact.likelihood import complete_log_prob
from inference.exact.plan import Plan
from inference.exact.queries import Queries
from inference.exact.structure import Structure
from inference.logspace import safe_log
from inference.model import Model
from pgm.directed import Digraph
from pgm.tables import flatten_tables, normalized_rows

if TYPE_CHECKING:
    import networkx
    from matplotlib.axes import Axes

__all__ = ["BayesianNetwork"]


class BayesianNetwork(Model):
    """A directed acyclic graph with a conditional probability table at every variable.

    Arguments:
        edges: (parent, child) pairs; a child's parents keep the order of the pairs.
        states: per variable its number of states or their labels; gives the order of variables.
        tables: per variable its table, ``(*cards of parents, card)``, last axis summing to one
            within 1e-6 (rows are normalised to float64 precision); all uniform by default.
        memory_limit: bytes that one query's tables may take (default: half of what is free).

    The tables are one parameter, ``values``, of which ``table(name)`` is a view: copy new numbers
    into it under ``torch.no_grad()`` and every method speaks of them. It does not require
    gradients until ``requires_grad_()`` is called; then ``log_prob`` and ``log_evidence`` carry
    them (zero entries are structural and get none).

    ``vocabulary`` holds the names and state labels and reads evidence in all its spellings.

    Evidence, in every method, maps names to a state (label or code), to a 1-D batch of states
    (-1 or None = unobserved), or to a float likelihood (card,) or (B, card).

    Raises:
        TypeError, ValueError: for cycles, unknown names, misshapen tables, rows that are no
            distributions, NaN.

    Reference:
        Pearl 1988; Koller & Friedman 2009, chapter 3.

    Example:
        >>> net = BayesianNetwork(
        ...     [("disease", "test")],
        ...     {"disease": ["no", "yes"], "test": ["negative", "positive"]},
        ...     {"disease": [0.99, 0.01], "test": [[0.99, 0.01], [0.01, 0.99]]},
        ... )
        >>> round(net.marginals({"test": "positive"})["disease"][1].item(), 12)
        0.5
    """

    def __init__(
        self,
        edges: Iterable[tuple[str, str]],
        states: Mapping[str, int | Sequence[str]],
        tables: Mapping[str, Any] | None = None,
        *,
        memory_limit: int | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(states, Mapping):
            raise TypeError(f"states must map names to states, found {type(states).__name__}")
        self.vocabulary = Variables(states)
        self._digraph = Digraph.from_edges(self.vocabulary.names, edges)
        names, cards = self.vocabulary.names, self.vocabulary.cards
        index, parents = self.vocabulary.index, self._digraph.parents
        scopes = tuple([(*[index[p] for p in parents[name]], index[name]) for name in names])
        structure = Structure(cards, scopes, tuple(range(len(names))))
        values = flatten_tables(tables, cards, names, parents, self.vocabulary.labels)
        self.values = nn.Parameter(torch.from_numpy(values), requires_grad=False)
        self._engine = ExactEngine(structure, names, memory_limit)
        self._engine.load(values)
        self._snapshot = Snapshot([self.values])

    # Structure -------------------------------------------------------------------------------

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the variables, in the order given (a file's order when loaded)."""
        return self.vocabulary.names

    @property
    def states(self) -> dict[str, tuple[str, ...] | range]:
        """State labels of every variable (a range of codes where a number was given)."""
        cards = zip(self.vocabulary.labels.items(), self.vocabulary.cards, strict=True)
        return {name: range(card) if labels is None else labels for (name, labels), card in cards}

    @property
    def edges(self) -> list[tuple[str, str]]:
        """All (parent, child) pairs."""
        return self._digraph.edges

    def parents(self, name: str) -> tuple[str, ...]:
        """Parents of a variable: the leading axes of its table, in order."""
        self.vocabulary.number(name, "name")
        return self._digraph.parents[name]

    def children(self, name: str | None = None) -> Any:
        """Children of a variable; without a name, the submodules (as of every torch module)."""
        if name is None:
            return super().children()
        self.vocabulary.number(name, "name")
        return self._digraph.children[name]

    def table(self, name: str) -> Tensor:
        """Conditional probability table, ``(*cards of parents, card)``: a view of ``values``."""
        number = self.vocabulary.number(name, "name")
        structure = self._engine.structure
        start, stop = structure.offsets[number : number + 2]
        return self.values[start:stop].view(structure.shapes[number])

    @property
    def n_parameters(self) -> int:
        """Number of free parameters: (card - 1) per row of every table."""
        cards = self.vocabulary.cards
        shapes = self._engine.structure.shapes
        return sum([prod(s) // c * (c - 1) for s, c in zip(shapes, cards, strict=True)])

    @property
    def graph(self) -> networkx.DiGraph:
        """The structure as a new networkx graph."""
        import networkx

        graph = networkx.DiGraph()
        graph.add_nodes_from(self.variables)
        graph.add_edges_from(self.edges)
        return graph

    def markov_blanket(self, name: str) -> set[str]:
        """Parents, children and the children's other parents of a variable."""
        self.vocabulary.number(name, "name")
        return self._digraph.markov_blanket(name)

    def is_d_separated(
        self,
        x: str | Iterable[str],
        y: str | Iterable[str],
        given: str | Iterable[str] | None = None,
    ) -> bool:
        """Whether the graph makes ``x`` and ``y`` independent given ``given``.

        Example:
            >>> v = BayesianNetwork([("a", "c"), ("b", "c")], {"a": 2, "b": 2, "c": 2})
            >>> v.is_d_separated("a", "b", []), v.is_d_separated("a", "b", "c")
            (True, False)
        """
        sets = []
        for argument, value in (("x", x), ("y", y), ("given", given or ())):
            members = [value] if isinstance(value, str) else list(value)
            self.vocabulary.numbers(members, argument)
            sets.append(set(members))
        for first, second in ((0, 1), (0, 2), (1, 2)):
            if sets[first] & sets[second]:
                raise ValueError(
                    f"x, y and given must be disjoint; found {sets[first] & sets[second]} twice"
                )
        return self._digraph.is_d_separated(*sets)

    def __repr__(self) -> str:
        return (
            f"BayesianNetwork({len(self.variables)} variables, {len(self.edges)} edges, "
            f"{self.n_parameters} parameters)"
        )

    # Queries ---------------------------------------------------------------------------------

    def plan(
        self, evidence: Mapping[str, Any] | None = None, variables: Sequence[str] | None = None
    ) -> Plan:
        """Plan :meth:`marginals` without running it; print the result to see its cost."""
        return self._queries().plan(evidence, variables)

    def marginals(
        self, evidence: Mapping[str, Any] | None = None, variables: Sequence[str] | None = None
    ) -> dict[str, Tensor]:
        """Posterior of every variable (or of those asked for), observed ones included.

        .. math:: p(x_v \\mid e)

        Shapes:
            values: (card,), or (B, card) for a batch; impossible rows of a batch are NaN.

        Raises:
            ValueError: if single evidence has probability zero.
        """
        numbers = self.vocabulary.numbers(variables)
        return self._queries().marginals(self.vocabulary.evidence(evidence), numbers)

    def query(
        self, variables: str | Sequence[str], evidence: Mapping[str, Any] | None = None
    ) -> Factor:
        """Joint posterior of several variables, as a normalised factor with their axes.

        .. math:: p(x_{v_1}, \\dots, x_{v_k} \\mid e)
        """
        numbers = self.vocabulary.numbers(variables)
        table = self._queries().joint(evidence, numbers)
        return Factor.from_potential([self.vocabulary.names[v] for v in numbers], table)

    def log_evidence(self, evidence: Mapping[str, Any] | None = None) -> Tensor:
        """Log-probability of the evidence, nats; -inf where it is impossible.

        .. math:: \\log p(e)

        Shapes:
            result: (), or (B,) for a batch.
        """
        given = self.vocabulary.evidence(evidence)
        if torch.is_grad_enabled() and self.values.requires_grad:
            return self._log_evidence_with_gradient(given)
        return self._queries().log_evidence(given)

    def log_prob(self, x: Any) -> Tensor:
        """Log-probability of every row; missing entries are summed out exactly.

        Arguments:
            x: (n, V) state codes in the order of ``variables`` (-1 or NaN = missing), or a
                DataFrame with a column per variable (labels or codes, None or NaN = missing).

        Shapes:
            result: (n,).
        """
        codes = self._codes(x)
        complete = (codes >= 0).all(axis=1)
        structure = self._queries().engine.structure
        logs = safe_log(self.values.double())
        if complete.all():
            return complete_log_prob(structure, logs, codes)
        result = logs.new_empty(len(codes))
        result[torch.from_numpy(complete)] = complete_log_prob(structure, logs, codes[complete])
        rest = codes[~complete]
        gaps = Evidence(dict(enumerate(rest.T)), {}, len(rest))
        if logs.requires_grad:
            partial = self._log_evidence_with_gradient(gaps)
        else:
            partial = self._queries().log_evidence(gaps)
        result[torch.from_numpy(~complete)] = partial
        return result

    def most_probable(
        self, evidence: Mapping[str, Any] | None = None
    ) -> tuple[dict[str, str | int], Tensor]:
        """Most probable joint state that agrees with the evidence, and its log-probability.

        .. math:: \\max_{x \\sim e} \\log p(x)

        Shapes:
            log-probability: (); includes log-likelihoods of soft evidence.
        """
        return self._queries().most_probable(evidence)

    def sample(
        self,
        n: int,
        evidence: Mapping[str, Any] | None = None,
        generator: int | torch.Generator | None = None,
    ) -> Tensor:
        """Draw independent exact samples: ancestral without evidence, posterior with it.

        Shapes:
            result: (n, V) int64 codes in the order of ``variables``.
        """
        return self._queries().sample(n, evidence, generator)

    # Other models ----------------------------------------------------------------------------

    def intervene(self, states: Mapping[str, Any]) -> BayesianNetwork:
        """Return the network after setting variables by force: p(x | do(states)).

        The variables lose their parents and take the given state (label or code) with
        probability one, or follow the given distribution over their states.

        Reference:
            Pearl 2009, definition 3.2.1.
        """
        given = self.vocabulary.evidence(states)
        if given.rows is not None:
            raise ValueError("intervene takes one intervention at a time, not a batch")
        forced = {**given.states, **given.weights}
        names, cards = self.vocabulary.names, self.vocabulary.cards
        parents, tables = dict(self._digraph.parents), {n: self.table(n).detach() for n in names}
        for v, state in forced.items():
            row = np.zeros(cards[v])
            if np.ndim(state):
                row[:] = state
            else:
                row[state] = 1.0
            parents[names[v]] = ()
            tables[names[v]] = torch.from_numpy(row)
        edges = [(parent, name) for name, above in parents.items() for parent in above]
        states_ = {
            n: labels if labels else c
            for (n, labels), c in zip(self.vocabulary.labels.items(), cards, strict=True)
        }
        changed = BayesianNetwork(edges, states_, tables, memory_limit=self._engine.memory_limit)
        return changed.to(self.values.device)

    def to_factor_graph(self) -> FactorGraph:
        """The same law as a factor graph: one factor per table, evidence as state codes."""
        names = self.variables
        factors = [
            Factor.from_potential([*self._digraph.parents[name], name], self.table(name))
            for name in names
        ]
        cards = dict(zip(names, self.vocabulary.cards, strict=True))
        return FactorGraph(cards, factors, memory_limit=self._engine.memory_limit)

    def to_pyro(self) -> Any:
        """A Pyro model, ``model(evidence=None)``, with one enumerable site per variable."""
        from pgm.pyro_bridge import pyro_model

        return pyro_model(self)

    def plot(self, ax: Axes | None = None, evidence: Mapping[str, Any] | None = None) -> Axes:
        """Draw the graph; with evidence, every variable's posterior as bars in its node."""
        from pgm.plot import plot_network

        return plot_network(self, ax=ax, evidence=evidence)

    # Files -----------------------------------------------------------------------------------

    def config(self) -> dict[str, Any]:
        """Edges and states: what the constructor takes besides the tables."""
        labels = self.vocabulary.labels.items()
        states = {
            name: card if known is None else list(known)
            for (name, known), card in zip(labels, self.vocabulary.cards, strict=True)
        }
        return {"edges": self.edges, "states": states}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write to .bif, .xmlbif, .net, .uai (each also .gz) or .safetensors, by the suffix.

        All formats keep every float64 exactly; .uai keeps no names.
        """
        if Path(path).suffix == ".safetensors":
            super().save(path)
            return
        from pgm.formats import NetworkTables, write_network

        names = self.variables
        states = {name: tuple(map(str, labels)) for name, labels in self.states.items()}
        tables = {n: self.table(n).detach().cpu().double().numpy() for n in names}
        write_network(NetworkTables("unknown", states, dict(self._digraph.parents), tables), path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> BayesianNetwork:
        """Read a network from any format that :meth:`save` writes.

        Raises:
            ValueError: unknown suffix; malformed or truncated file (with its line number); rows
                that are no distributions.
        """
        if Path(path).suffix == ".safetensors":
            return super().load(path)
        from pgm.formats import read_network

        found = read_network(path)
        numbered = ".uai" in Path(path).suffixes
        states = {n: len(s) if numbered else s for n, s in found.states.items()}
        edges = [(parent, name) for name, above in found.parents.items() for parent in above]
        try:
            return cls(edges, states, found.tables)
        except ValueError as error:
            raise ValueError(f"{Path(path).name}: {error}") from None

    # Numbers ---------------------------------------------------------------------------------

    def _queries(self) -> Queries:
        """The engine with the parameter's present numbers."""
        if not (self._engine.loaded and self._snapshot.holds([self.values])):
            array = self.values.detach().cpu().double().numpy()
            names, cards = self.vocabulary.names, self.vocabulary.cards
            labels = self.vocabulary.labels
            self._engine.load(normalized_rows(array, cards, names, self._digraph.parents, labels))
            self._snapshot = Snapshot([self.values])
        return Queries(self._engine, self.vocabulary, self.values.device)

    def _log_evidence_with_gradient(self, given: Evidence) -> Tensor:
        """Log evidence with gradients to ``values``."""
        engine, logs = self._queries().engine, safe_log(self.values.double())
        if given.rows is None:
            return log_evidence(engine, logs, given)
        return log_evidence_recorded(engine, cut_tables(engine.structure, logs), given)

    def _codes(self, x: Any) -> np.ndarray:
        """Rows of data as (n, V) codes, -1 = missing."""
        names = self.variables
        if is_pandas(x):
            missing = [name for name in names if name not in x.columns]
            if missing:
                raise ValueError(f"x has no column for {missing[0]!r} ({len(missing)} missing)")
            columns = [x[name].to_numpy() for name in names]
            array_shape = (len(x), 0)
        else:
            array = x.detach().cpu().numpy() if isinstance(x, Tensor) else np.asarray(x)
            if array.ndim != 2 or array.shape[1] != len(names):
                raise ValueError(f"x must have shape (n, {len(names)}), found {array.shape}")
            columns = list(array.T)
            array_shape = array.shape
        coded = [self.vocabulary.codes(v, column, "x") for v, column in enumerate(columns)]
        lengths = {len(column) for column in coded}
        if len(lengths) > 1:
            raise ValueError(f"x has columns of different lengths: {sorted(lengths)}")
        return np.stack(coded, axis=1) if coded else np.zeros(array_shape, dtype=np.int64)
