"""Discrete Bayesian networks.

.. math:: p(x_1, \\dots, x_V) = \\prod_v p(x_v \\mid x_{\\pi(v)})
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from inference.exact.differentiable import cut_tables, log_evidence, log_evidence_recorded
from inference.exact.engine import ExactEngine
from inference.exact.evidence import Evidence, Variables
from inference.exact.exact_model import ExactModel
from inference.exact.factor import Factor
from inference.exact.freshness import Snapshot
from inference.exact.graph import FactorGraph
from inference.exact.incomplete_rows import RowCliques
from inference.exact.queries import Queries
from inference.exact.structure import Structure
from inference.logspace import safe_log
from inference.random import GeneratorLike
from pgm.bayesian.imputation import imputed, predicted
from pgm.bayesian.row_likelihood import row_log_prob
from pgm.bayesian.tables import flatten_tables, normalized_rows
from pgm.digraph import Digraph
from pgm.directed_model import DirectedModel
from pgm.discrete_data import DiscreteData
from pgm.parameters.estimates import Estimate, added_counts, concentrations
from pgm.parameters.family_counts import GluedFamilies
from pgm.parameters.fitting import FitMethod, Start, TableFitter
from pgm.parameters.priors import Prior, pseudo_counts

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pgm.structure.learn import Method
    from pgm.structure.scores import ScoreName

__all__ = ["BayesianNetwork"]


class BayesianNetwork(DirectedModel, ExactModel):
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

    Evidence, read by ``vocabulary``, maps names to a state (label or code), to a 1-D batch of
    states (-1 or None = unobserved), or to a float likelihood (card,) or (B, card).

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
        if not isinstance(states, Mapping):
            raise TypeError(f"states must map names to states, found {type(states).__name__}")
        vocabulary = Variables(states)
        super().__init__(Digraph.from_edges(vocabulary.names, edges))
        self.vocabulary = vocabulary
        names, cards = self.vocabulary.names, self.vocabulary.cards
        index, parents = self.vocabulary.index, self._digraph.parents
        scopes = tuple([(*[index[p] for p in parents[name]], index[name]) for name in names])
        structure = Structure(cards, scopes, tuple(range(len(names))))
        values = flatten_tables(tables, cards, names, parents, self.vocabulary.labels)
        self.values = nn.Parameter(torch.from_numpy(values), requires_grad=False)
        self._engine = ExactEngine(structure, names, memory_limit)
        self._engine.load(values)
        self._snapshot = Snapshot([self.values])

    @property
    def memory_limit(self) -> int | None:
        """Bytes that one query's tables may take; None: half of what is free."""
        return self._engine.memory_limit

    # Structure -------------------------------------------------------------------------------

    @property
    def states(self) -> dict[str, tuple[str, ...] | range]:
        """State labels of every variable (a range of codes where a number was given)."""
        cards = zip(self.vocabulary.labels.items(), self.vocabulary.cards, strict=True)
        return {name: range(card) if labels is None else labels for (name, labels), card in cards}

    def table(self, name: str) -> Tensor:
        """Conditional probability table, ``(*cards of parents, card)``: a view of ``values``."""
        return self._view(self.values, self.vocabulary.number(name, "name"))

    @property
    def n_parameters(self) -> int:
        """Number of free parameters: (card - 1) per row of every table."""
        cards = self.vocabulary.cards
        shapes = self._engine.structure.shapes
        return sum([prod(s) // c * (c - 1) for s, c in zip(shapes, cards, strict=True)])

    def __repr__(self) -> str:
        return (
            f"BayesianNetwork({len(self.variables)} variables, {len(self.edges)} edges, "
            f"{self.n_parameters} parameters)"
        )

    # Queries ---------------------------------------------------------------------------------

    def log_evidence(self, evidence: Mapping[str, Any] | None = None) -> Tensor:
        """Log-probability of the evidence, nats; -inf where it is impossible.

        .. math:: \\log p(e)

        Shapes:
            result: (), or (B,) for a batch.
        """
        return self.log_evidence_of(self.vocabulary.evidence(evidence))

    def log_prob(self, x: Any) -> Tensor:
        """Log-probability of every row, nats; missing entries are summed out exactly.

        Arguments:
            x: rows as in :meth:`fit`.

        Shapes:
            result: (n,).
        """
        return row_log_prob(
            self, self._queries().engine.structure, DiscreteData(x, self.vocabulary, argument="x")
        )

    # Learning --------------------------------------------------------------------------------

    def fit(
        self,
        data: Any,
        prior: Prior = 0.0,
        sample_weight: Any = None,
        *,
        estimate: Estimate = "mean",
        method: FitMethod = "auto",
        init: Start = "available",
        n_init: int = 1,
        max_iterations: int = 100,
        tolerance: float = 1e-6,
        generator: GeneratorLike = None,
        progress: bool | None = None,
    ) -> BayesianNetwork:
        """Estimate the tables from rows; exact EM where cells are missing.

        .. math:: \\theta_{jk} = \\frac{N_{jk} + \\alpha_{jk}}{\\sum_l (N_{jl} + \\alpha_{jl})}

        N counts rows, or expects them. A row of a table without counts and pseudo-counts (parents
        never seen so) is uniform; ``history[-1]["unseen_rows"]`` says how many are.

        Arguments:
            data: (n, V) codes (-1 or NaN = missing), a DataFrame or mapping of columns (labels or
                codes) or ``DiscreteData``. A column never observed is a hidden variable.
            prior: pseudo-counts alpha of a Dirichlet prior: a number for every cell, arrays by
                name, or ``BDeu(...)``. 0 is maximum likelihood.
            sample_weight: (n,) weights of the rows.
            estimate: "mean" of the posterior, or its mode "map": alpha - 1 instead of alpha. With
                gaps "mean" is the mode under alpha + 1.
            method: "counts", "em" or "gradient" (L-BFGS); "auto" counts if nothing is missing.
            init: where EM starts: "available" counts, "random" or "current" tables. Families of
                hidden variables start at random, else they could not leave the saddle.
            n_init: starts of EM; the best end is kept.
            max_iterations: steps per start.
            tolerance: change of the objective per row that stops them, nats; 0 makes every step.
            generator: draws the random starts.
            progress: bar of EM; None shows it on a terminal.

        Returns:
            The network; ``history`` holds the objective of every iteration, nats.

        Raises:
            TypeError, ValueError: unknown states, wrong shapes, negative weights or pseudo-counts,
                no rows, missing cells with method "counts". The tables are then as before.

        Reference:
            Lauritzen 1995, "The EM algorithm for graphical association models with missing data";
            Koller & Friedman 2009, sections 17.2 and 19.2.

        Example:
            >>> net = BayesianNetwork([("rain", "wet")], {"rain": 2, "wet": 2})
            >>> rows = [[0, 0], [0, 0], [1, 1], [1, -1]]
            >>> net.fit(rows, prior=1.0).table("wet").round(decimals=3).tolist()
            [[0.75, 0.25], [0.333, 0.667]]
        """
        rows = DiscreteData(data, self.vocabulary, sample_weight)
        rows.require_rows("data")
        structure = self._engine.structure
        added = added_counts(pseudo_counts(prior, structure, self.variables), estimate)
        fitter = TableFitter(structure, self.row_cliques, self.families, rows, added)
        current = self.values.detach().cpu().double().numpy()
        found = fitter.fit(
            method, init, n_init, max_iterations, tolerance, current, generator, progress
        )
        with torch.no_grad():
            self.values.copy_(torch.from_numpy(found.values))
        self.history = found.history
        return self

    @classmethod
    def learn(
        cls,
        data: Any,
        method: Method = "hill-climb",
        score: ScoreName = "bic",
        states: Mapping[str, int | Sequence[str]] | None = None,
        *,
        prior: Prior = 0.0,
        sample_weight: Any = None,
        required: Iterable[tuple[str, str]] = (),
        forbidden: Iterable[tuple[str, str]] = (),
        max_parents: int | None = None,
        target: str | None = None,
        generator: GeneratorLike = None,
        progress: bool | None = None,
    ) -> BayesianNetwork:
        """Learn a structure, see :func:`pgm.structure.learn_structure`, and fit its tables.

        Example:
            >>> from pgm.classic import asia
            >>> rows = asia().sample(20_000, generator=0)
            >>> names = dict.fromkeys(asia().variables, 2)
            >>> ("bronc", "dysp") in BayesianNetwork.learn(rows, "order", "bdeu", names).edges
            True
        """
        from pgm.structure.learn import learn_structure

        found = learn_structure(
            data,
            method,
            score,
            states,
            sample_weight=sample_weight,
            required=required,
            forbidden=forbidden,
            max_parents=max_parents,
            target=target,
            generator=generator,
            progress=progress,
        )
        network = cls(found.edges, found.data.vocabulary.states).fit(found.data, prior)
        network.history = [*found.history, *network.history]
        return network

    def parameter_posterior(
        self, data: Any, prior: Prior = 1.0, sample_weight: Any = None
    ) -> dict[str, torch.distributions.Dirichlet]:
        """Posterior of every table given complete rows: one Dirichlet per row of the table.

        .. math:: \\theta_{vj} \\mid D \\sim \\operatorname{Dirichlet}(\\alpha_{vj} + N_{vj})

        Shapes:
            concentrations: those of ``table(name)``.

        Raises:
            ValueError: as :meth:`fit`; missing cells, or cells without count and pseudo-count.

        Reference:
            Koller & Friedman 2009, section 17.3.2.
        """
        rows = DiscreteData(data, self.vocabulary, sample_weight)
        rows.require_complete("data", "the posterior has no closed form then; use fit")
        pseudo = pseudo_counts(prior, self._engine.structure, self.variables)
        found = concentrations(self.families.counts(rows) + pseudo).to(self.device)
        return {
            name: torch.distributions.Dirichlet(self._view(found, v))
            for v, name in enumerate(self.variables)
        }

    def impute(
        self,
        x: Any,
        method: Literal["most-probable", "sample"] = "most-probable",
        generator: GeneratorLike = None,
    ) -> Any:
        """Fill the missing cells of every row jointly, by the best completion or an exact draw.

        .. math:: \\max_{x_m} p(x_m \\mid x_s) \\quad\\text{or}\\quad x_m \\sim p(x_m \\mid x_s)

        Arguments:
            x: rows as in :meth:`fit`.
            method: "most-probable" or "sample".
            generator: for "sample".

        Returns:
            (n, V) int64 codes; a DataFrame with labels if ``x`` is one.

        Raises:
            ValueError: a row is impossible, or an unknown method.
        """
        return imputed(self, x, method, generator)

    def posterior_predictive(
        self, x: Any, variables: Sequence[str] | None = None
    ) -> dict[str, Tensor]:
        """Distribution of every variable in every row, given the cells the row shows.

        .. math:: p(x_v \\mid x_s)

        With tables that are posterior means (``fit`` with a prior, complete data) these are the
        posterior predictive probabilities of a next row, the parameters integrated out.

        Shapes:
            values: (n, card); one-hot for observed cells; NaN in impossible rows.
        """
        return predicted(self, x, variables)

    # Other models ----------------------------------------------------------------------------

    def intervene(self, states: Mapping[str, Any]) -> BayesianNetwork:
        """Return the network after setting variables by force: p(x | do(states)).

        The variables lose their parents and take the given state, or follow the distribution.

        Reference:
            Pearl 2009, definition 3.2.1.
        """
        from pgm.bayesian.intervention import intervened

        return intervened(self, states)

    def to_factor_graph(self) -> FactorGraph:
        """The same law as a factor graph: one factor per table, evidence as state codes."""
        names = self.variables
        factors = [
            Factor.from_potential([*self._digraph.parents[name], name], self.table(name))
            for name in names
        ]
        cards = dict(zip(names, self.vocabulary.cards, strict=True))
        return FactorGraph(cards, factors, memory_limit=self.memory_limit)

    def to_pyro(self) -> Any:
        """A Pyro model, ``model(evidence=None)``, with one enumerable site per variable."""
        from pgm.bayesian.pyro_bridge import pyro_model

        return pyro_model(self)

    def plot(self, ax: Axes | None = None, evidence: Mapping[str, Any] | None = None) -> Axes:
        """Draw the graph; with evidence, every variable's posterior as bars in its node."""
        from pgm.plot import plot_network

        return plot_network(self, ax=ax, evidence=evidence)

    # Files -----------------------------------------------------------------------------------

    def config(self) -> dict[str, Any]:
        """Edges and states: what the constructor takes besides the tables."""
        states = self.vocabulary.states.items()
        return {
            "edges": self.edges,
            "states": {n: s if isinstance(s, int) else list(s) for n, s in states},
        }

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write to .bif, .xmlbif, .net, .uai (each also .gz) or .safetensors, by the suffix.

        All formats keep every float64 exactly; .uai keeps no names.
        """
        if Path(path).suffix == ".safetensors":
            super().save(path)
            return
        from pgm.bayesian.network_files import save_network

        save_network(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> BayesianNetwork:
        """Read a network from any format that :meth:`save` writes.

        Raises:
            ValueError: unknown suffix; malformed or truncated file (with its line number); rows
                that are no distributions.
        """
        if Path(path).suffix == ".safetensors":
            return super().load(path)
        from pgm.bayesian.network_files import load_network

        return load_network(path)

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

    def _view(self, flat: Tensor, number: int) -> Tensor:
        """The part of a flat vector that belongs to one variable, in its table's shape."""
        structure = self._engine.structure
        start, stop = structure.offsets[number : number + 2]
        return flat[start:stop].view(structure.shapes[number])

    @cached_property
    def row_cliques(self) -> RowCliques:
        """Junction tree over all variables, for rows with missing cells."""
        return RowCliques(self._engine.structure, self.memory_limit)

    @cached_property
    def families(self) -> GluedFamilies:
        """The families in groups, for counts of complete rows."""
        return GluedFamilies(self._engine.structure)

    def log_evidence_of(self, given: Evidence) -> Tensor:
        """Log evidence of what was read already, with gradients to ``values`` if asked for."""
        if not (torch.is_grad_enabled() and self.values.requires_grad):
            return self._queries().log_evidence(given)
        engine, logs = self._queries().engine, safe_log(self.values.double())
        if given.rows is None:
            return log_evidence(engine, logs, given)
        return log_evidence_recorded(engine, cut_tables(engine.structure, logs), given)
