"""Markov random fields: discrete laws that are products of factors.

.. math:: p(x) = \\frac1Z \\prod_f \\phi_f(x_{S_f}) = \\frac1Z e^{-E(x)}, \\qquad
          E(x) = -\\sum_f \\ell_f(x_{S_f})
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from inference.exact.evidence import Evidence, Variables
from inference.exact.factor import Factor
from inference.inputs import Values
from inference.random import GeneratorLike
from pgm.discrete_data import DiscreteData
from pgm.random_fields.factor_tables import FactorTables, TableMap, tables_of_factors
from pgm.random_fields.fitting import FieldFitter, FitMethod
from pgm.random_fields.lattices import grid_tables, ising_tables, lattice_names
from pgm.random_fields.likelihood import mean_counts, shared_counts
from pgm.random_fields.log_linear import Feature, log_linear_tables
from pgm.random_fields.queried_field import QueriedField

if TYPE_CHECKING:
    import networkx
    from matplotlib.axes import Axes
    from typing_extensions import Self

    from pgm.bayesian_network import BayesianNetwork

__all__ = ["MarkovRandomField"]


class MarkovRandomField(QueriedField):
    """An undirected graphical model: variables, and tables of log-potentials over some of them.

    Arguments:
        states: per variable its number of states or their labels; gives the order of variables.
        factors: any number of factors; a hard zero is a log-value of -inf. Or ``FactorTables``,
            as :meth:`grid`, :meth:`ising` and :meth:`log_linear` make them.
        memory_limit: bytes that one query's tables may take (default: half of what is free).

    The parameter ``weights`` holds the log tables of all factors one after the other, or, for
    tied and log-linear fields, what they depend on linearly. Copy new numbers into it under
    ``torch.no_grad()`` and every method speaks of them. It does not require gradients until
    ``requires_grad_()`` is called; then ``log_prob``, ``energy`` and ``log_partition`` carry them.

    Evidence maps names to a state (label or code), to a 1-D batch of states (-1 or None =
    unobserved), or to a float likelihood (card,) or (B, card).

    Raises:
        TypeError, ValueError: factors over unknown variables or with other numbers of states.

    Reference:
        Koller & Friedman 2009, chapter 4.

    Example:
        >>> agree = Factor.from_potential(["a", "b"], [[3.0, 1.0], [1.0, 3.0]])
        >>> field = MarkovRandomField({"a": ["no", "yes"], "b": ["no", "yes"]}, [agree])
        >>> round(field.log_partition().exp().item(), 9)
        8.0
        >>> field.marginals({"a": "yes"})["b"].tolist()
        [0.25, 0.75]
    """

    def __init__(
        self,
        states: Mapping[str, int | Sequence[str]],
        factors: Iterable[Factor] | FactorTables = (),
        *,
        memory_limit: int | None = None,
    ) -> None:
        if not isinstance(states, Mapping):
            raise TypeError(f"states must map names to states, found {type(states).__name__}")
        vocabulary = Variables(states)
        if not isinstance(factors, FactorTables):
            factors = tables_of_factors(vocabulary, factors)
        if tuple(factors.arrays.cards.tolist()) != vocabulary.cards:
            raise ValueError("factors: the tables are not for variables with these states")
        super().__init__(vocabulary, factors.arrays, memory_limit)
        self._tables = factors
        weights = torch.as_tensor(factors.weights, dtype=torch.float64).clone()
        self.weights = nn.Parameter(weights, requires_grad=False)
        design = factors.design
        self.base: Tensor | None
        self.feature_values: Tensor | None
        self.register_buffer("base", None if design is None else _copy(design.base))
        self.register_buffer("feature_values", None if design is None else _copy(design.values))

    # Constructors ----------------------------------------------------------------------------

    @classmethod
    def grid(
        cls,
        shape: Sequence[int],
        unary: Values | None,
        pairwise: Any,
        *,
        periodic: bool = False,
        memory_limit: int | None = None,
    ) -> Self:
        """A field on a lattice, from whole arrays of log-potentials.

        Arguments:
            shape: sites along every axis. Variables are called ``"row,column"``.
            unary: (K,) for all sites, (*shape, K), or None.
            pairwise: (K, K) for all bonds; or a list with one array per axis, (K, K), or
                (*shape but one less along that axis, K, K), the axes' first site first.
            periodic: bonds from the last site of a row to the first; those come last.
            memory_limit: as of the constructor.

        A table given once is shared, and is learned as one.

        Example:
            >>> field = MarkovRandomField.grid((2, 3), None, [[1.0, 0.0], [0.0, 1.0]])
            >>> field.neighbours("0,1"), field.n_parameters
            (('0,0', '0,2', '1,1'), 4)
        """
        card, tables = grid_tables(shape, unary, pairwise, periodic)
        return cls(dict.fromkeys(lattice_names(shape), card), tables, memory_limit=memory_limit)

    @classmethod
    def ising(
        cls,
        couplings: Values = 1.0,
        field: Values | None = None,
        *,
        shape: Sequence[int] | None = None,
        graph: networkx.Graph | Iterable[tuple[Hashable, Hashable]] | None = None,
        periodic: bool = False,
        memory_limit: int | None = None,
    ) -> Self:
        """Spins -1 (code 0) and +1 (code 1).

        .. math:: p(s) \\propto \\exp\\Bigl(\\sum_{ij} J_{ij} s_i s_j + \\sum_i h_i s_i\\Bigr)

        Arguments:
            couplings: J, one number for all bonds, one per bond, or without ``shape`` and
                ``graph`` a symmetric (n, n) matrix, whose zeros are no bonds.
            field: h, one number or one per site; None for none.
            shape: a lattice; bonds axis by axis as :meth:`grid` orders them.
            graph: a networkx graph or pairs of nodes; bonds in their order.
            periodic: whether the lattice closes on itself.
            memory_limit: as of the constructor.

        The weights are the couplings, then the field; a single number is learned as one.

        Example:
            >>> round(MarkovRandomField.ising(1.0, shape=(2, 2)).log_partition().item(), 10)
            4.7977137475
        """
        names, tables = ising_tables(couplings, field, shape, graph, periodic)
        return cls(dict.fromkeys(names, 2), tables, memory_limit=memory_limit)

    @classmethod
    def log_linear(
        cls,
        states: Mapping[str, int | Sequence[str]],
        features: Iterable[Feature],
        weights: Values | None = None,
        factors: Iterable[Factor] = (),
        *,
        memory_limit: int | None = None,
    ) -> Self:
        """Weighted features, times fixed factors: fitted, the law of maximum entropy.

        .. math:: p(x) \\propto e^{\\sum_k \\theta_k f_k(x_{S_k})} \\prod_f \\phi_f(x_{S_f})

        Arguments:
            states: as of the constructor.
            features: pairs (scope, table over the scope's states or function of them, by label
                where there are labels).
            weights: theta; zeros by default.
            factors: fixed, for hard zeros and prior knowledge.
            memory_limit: as of the constructor.

        Reference:
            Koller & Friedman 2009, section 4.4.1.2 and theorem 8.1 (maximum entropy).

        Example:
            >>> mean = (["die"], lambda face: face + 1.0)
            >>> die = MarkovRandomField.log_linear({"die": 6}, [mean])
            >>> rolls = [[3], [3], [4], [5]]  # mean 4.75
            >>> round(die.fit(rolls).feature_expectations().item(), 4)
            4.75
        """
        vocabulary = Variables(states)
        tables = log_linear_tables(vocabulary, features, weights, factors)
        return cls(states, tables, memory_limit=memory_limit)

    @classmethod
    def from_bayesian_network(cls, network: BayesianNetwork) -> Self:
        """The law of a Bayesian network: one factor per table, over the moral graph.

        Reference:
            Koller & Friedman 2009, section 4.5.1.
        """
        from pgm.random_fields.conversion import factors_of_network

        factors = factors_of_network(network)
        return cls(network.vocabulary.states, factors, memory_limit=network.memory_limit)

    def to_bayesian_network(self) -> BayesianNetwork:
        """The same law as a Bayesian network, over a chordal cover of the graph.

        Raises:
            ValueError: the tables would not fit in memory, or no joint state is possible.

        Reference:
            Koller & Friedman 2009, section 4.5.2.
        """
        from pgm.random_fields.conversion import network_of_factors

        structure, logs = self.arrays.structure, self._own_tables().detach().cpu().numpy()
        return network_of_factors(self.vocabulary, structure, logs, self.memory_limit)

    # Structure -------------------------------------------------------------------------------

    @property
    def n_parameters(self) -> int:
        """Number of weights that are no hard zeros."""
        return int(self.weights.isfinite().sum())

    def __repr__(self) -> str:
        return (
            f"MarkovRandomField({len(self.variables)} variables, {self.arrays.n_factors} factors, "
            f"{self.n_parameters} parameters)"
        )

    # Learning --------------------------------------------------------------------------------

    def fit(
        self,
        data: Any,
        method: FitMethod = "likelihood",
        sample_weight: Any = None,
        *,
        l1: float = 0.0,
        l2: float = 0.0,
        max_iterations: int | None = None,
        tolerance: float = 1e-7,
        sweeps: int = 1,
        chains: int = 200,
        learning_rate: float = 0.05,
        generator: GeneratorLike = None,
        progress: bool | None = None,
    ) -> Self:
        """Learn the weights from rows; hard zeros stay.

        .. math:: \\max_\\theta \\frac1W \\sum_i w_i \\log p(x^{(i)}_s) -
                  \\lambda_1 \\|\\theta\\|_1 - \\tfrac{\\lambda_2}{2} \\|\\theta\\|_2^2

        Arguments:
            data: (n, V) codes (-1 or NaN = missing), a DataFrame or mapping of columns (labels or
                codes) or ``DiscreteData``.
            method: "likelihood": exact gradients, missing cells summed out; at its maximum the
                features have the means of the data. The others need complete rows:
                "pseudo-likelihood", for any size of field; "persistent" and "contrastive":
                gradients from Gibbs chains; "proportional": iterative proportional fitting.
            sample_weight: (n,) weights of the rows.
            l1: weight of the first penalty; only for exact and pseudo-likelihood.
            l2: weight of the second; not for "proportional".
            max_iterations: most steps: 1000, or 500 sweeps over all factors for "proportional".
            tolerance: norm of the gradient, relative to that of the weights if above one, or for
                "proportional" the largest difference of margins, that ends it.
            sweeps: of the chains per step, for "persistent" and "contrastive".
            chains: how many persist.
            learning_rate: of the steps of those two; it falls to zero.
            generator: of the chains.
            progress: a bar; None shows it on a terminal.

        Returns:
            The field; ``history`` holds what happened per iteration.

        Raises:
            TypeError, ValueError: unknown states, impossible rows, missing cells where the method
                takes none. The weights are then as before.

        Reference:
            Koller & Friedman 2009, sections 20.3 to 20.6.

        Example:
            >>> field = MarkovRandomField.ising(0.0, shape=(1, 2))
            >>> rows = [[0, 0], [1, 1], [1, 1], [0, 1]]  # the mean of s s' is 1/2
            >>> round(field.fit(rows).weights.tanh().item(), 6)
            0.5
        """
        rows = DiscreteData(data, self.vocabulary, sample_weight)
        rows.require_rows("data")
        fitter = FieldFitter(
            self.arrays,
            self._map("cpu"),
            self.variables,
            rows,
            self.weights.detach().cpu().double(),
            self.memory_limit,
        )
        weights, history = fitter.fit(
            method,
            l1=l1,
            l2=l2,
            max_iterations=max_iterations,
            tolerance=tolerance,
            sweeps=sweeps,
            chains=chains,
            learning_rate=learning_rate,
            generator=generator,
            progress=progress,
        )
        with torch.no_grad():
            self.weights.copy_(weights)
        self.history = history
        return self

    def feature_expectations(self) -> Tensor:
        """Mean of every feature under the field: for plain tables the factors' marginals.

        .. math:: \\mathbb{E}[f_k(x)]

        Shapes:
            result: like ``weights``.
        """
        counts = self._queries().engine.factor_marginals(Evidence())
        return self._map("cpu").pull_back(shared_counts(self.arrays, counts)).to(self.device)

    def empirical_expectations(self, data: Any, sample_weight: Any = None) -> Tensor:
        """Mean of every feature over complete rows.

        .. math:: \\frac1W \\sum_i w_i f_k(x^{(i)})

        Shapes:
            result: like ``weights``.
        """
        rows = DiscreteData(data, self.vocabulary, sample_weight)
        rows.require_rows("data")
        rows.require_complete("data", "means of features are of complete rows")
        return self._map("cpu").pull_back(mean_counts(self.arrays, rows)).to(self.device)

    # Other models, pictures, files -----------------------------------------------------------

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the graph."""
        from pgm.random_fields.plot import plot_field

        return plot_field(self.graph, ax)

    def config(self) -> dict[str, Any]:
        """States, scopes and the shape of the dependence on the weights."""
        states = self.vocabulary.states.items()
        return {
            "states": {n: s if isinstance(s, int) else list(s) for n, s in states},
            "tables": self._tables.config(),
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Build a field of that shape, all weights zero."""
        cards = Variables(config["states"]).cards
        return cls(config["states"], FactorTables.from_config(cards, config["tables"]))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write to .safetensors, which keeps everything, or .uai(.gz), which keeps potentials.

        Raises:
            ValueError: another suffix; potentials outside the range of floats for .uai.
        """
        from pgm.random_fields.files import is_uai, save_factors

        if is_uai(path):
            tables = [factor.log_values.detach().cpu().numpy() for factor in self.factors]
            save_factors(self.arrays.structure, tables, path)
        else:
            super().save(path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read what :meth:`save` wrote, or any .uai file, variables named "0", "1", ....

        Raises:
            ValueError: another suffix; malformed or truncated file.
        """
        from pgm.random_fields.files import is_uai, load_factors

        return cls(*load_factors(path)) if is_uai(path) else super().load(path)

    # Numbers ---------------------------------------------------------------------------------

    def log_tables(self) -> Tensor:
        """All different log tables, one after the other, with gradients to ``weights``.

        Factors that share a table have one; ``factors`` lists every factor's.
        """
        return self._map(self.device).tables(self.weights)

    def _map(self, device: torch.device | str) -> TableMap:
        """From weights to tables."""
        design = self._tables.design
        if design is None or self.base is None or self.feature_values is None:
            return TableMap(len(self.weights))
        return TableMap(
            len(self.weights),
            self.base.to(device),
            torch.from_numpy(design.entries).to(device),
            torch.from_numpy(design.columns).to(device),
            self.feature_values.to(device),
        )


def _copy(array: np.ndarray) -> Tensor:
    return torch.from_numpy(array.copy())
