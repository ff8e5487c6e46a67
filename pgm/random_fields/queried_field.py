"""Queries to a field of factors: exact ones, by message passing, by sampling.

.. math:: p(x \\mid e) = \\frac{1}{Z(e)} \\prod_f \\phi_f(x_{S_f}), \\quad x \\sim e
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from inference.exact.differentiable import cut_tables, log_evidence, log_evidence_recorded
from inference.exact.engine import ExactEngine
from inference.exact.evidence import Evidence, Variables
from inference.exact.exact_model import ExactModel
from inference.exact.factor import Factor
from inference.exact.freshness import Snapshot
from inference.exact.graph import FactorGraph
from inference.exact.queries import Queries
from inference.exact.scaled_tables import scaled
from inference.inputs import check_choice
from inference.random import GeneratorLike
from inference.sampling.annealing import simulated_annealing
from inference.sampling.density import DiscreteDensity
from inference.sampling.factor_arrays import FactorArrays
from pgm.discrete_data import DiscreteData
from pgm.random_fields.approximations import (
    MarginalMethod,
    PartitionMethod,
    SampleMethod,
    SearchMethod,
    approximate_log_partition,
    approximate_marginals,
    gibbs_draws,
    gibbs_marginals,
    passed_states,
)
from pgm.random_fields.undirected_model import UndirectedModel

__all__ = ["QueriedField"]


class QueriedField(UndirectedModel, ExactModel):
    """Abstract base of fields: whoever gives the log tables gets all queries.

    Arguments:
        vocabulary: names and states of the variables.
        arrays: the factors' scopes.
        memory_limit: bytes that one query's tables may take (default: half of what is free).
    """

    def __init__(
        self, vocabulary: Variables, arrays: FactorArrays, memory_limit: int | None
    ) -> None:
        super().__init__(vocabulary, arrays)
        self.memory_limit = memory_limit
        self._snapshot = Snapshot([])

    @abstractmethod
    def log_tables(self) -> Tensor:
        """All different log tables, one after the other, (arrays.size,) float64, nats.

        With gradients to the parameters if those are asked for.
        """

    @property
    def factors(self) -> list[Factor]:
        """Factors in the order given, with gradients to the parameters if those are asked for."""
        scopes, names = self.arrays.structure.scopes[: self.arrays.n_factors], self.variables
        tables = cut_tables(self.arrays.structure, self._own_tables())
        return [
            Factor([names[v] for v in scope], table)
            for scope, table in zip(scopes, tables, strict=False)
        ]

    def to_factor_graph(self) -> FactorGraph:
        """The same law as a factor graph, evidence as state codes; gradients reach parameters."""
        cards = dict(zip(self.variables, self.vocabulary.cards, strict=True))
        return FactorGraph(cards, self.factors, memory_limit=self.memory_limit)

    def energy(self, x: Any) -> Tensor:
        """Minus the log of the unnormalised weight of complete rows, nats; inf if impossible.

        .. math:: E(x) = -\\sum_f \\ell_f(x_{S_f})

        Shapes:
            x: rows as in :meth:`fit`. result: (n,).
        """
        rows = DiscreteData(x, self.vocabulary, argument="x")
        rows.require_complete("x", "the energy is of complete states; log_prob sums over them")
        return -self._log_weight(rows)

    def log_prob(self, x: Any) -> Tensor:
        """Log-probability of every row, nats; missing entries are summed out exactly.

        .. math:: \\log p(x_s) = \\log Z(x_s) - \\log Z

        Shapes:
            x: rows as in :meth:`fit`. result: (n,).

        Raises:
            ValueError: no joint state is possible.
        """
        rows = DiscreteData(x, self.vocabulary, argument="x")
        total = self.log_partition()
        if bool(total.isneginf()):
            raise ValueError("no joint state is possible: the factors are zero everywhere")
        gaps = [column < 0 for column, gap in zip(rows.columns, rows.gaps, strict=True) if gap]
        if not gaps:
            return self._log_weight(rows) - total
        missing = torch.from_numpy(np.logical_or.reduce(gaps))
        rest = rows.take(missing.numpy())
        summed = self._log_sum(Evidence(dict(enumerate(rest.columns)), {}, rest.n_rows))
        complete = self._log_weight(rows.take(~missing.numpy()))
        result = total.new_empty(rows.n_rows)
        result[missing], result[~missing] = summed, complete
        return result - total

    def log_partition(
        self,
        evidence: Mapping[str, Any] | None = None,
        method: PartitionMethod = "exact",
        *,
        generator: GeneratorLike = None,
    ) -> Any:
        """Log of the summed weight of all states that agree with the evidence, nats.

        .. math:: \\log Z(e) = \\log \\sum_{x \\sim e} e^{-E(x)}

        Arguments:
            evidence: what is known.
            method: "exact"; "bethe" (belief propagation; exact on trees), "mean-field" (a lower
                bound), "tree-reweighted" (an upper bound, pairwise fields); "ais" (annealed
                importance sampling, an estimate with its error).
            generator: for "ais".

        Returns:
            A tensor, () or (B,); for "ais" a ``LogPartition``, whose ``float()`` is the value.

        Raises:
            ValueError: unknown method, or a batch of evidence for "ais".
        """
        if method == "exact":
            return self._log_sum(self.vocabulary.evidence(evidence))
        return approximate_log_partition(self, evidence, method, generator)

    def marginals(
        self,
        evidence: Mapping[str, Any] | None = None,
        variables: Sequence[str] | None = None,
        method: MarginalMethod = "exact",
        *,
        sweeps: int = 2000,
        chains: int = 32,
        generator: GeneratorLike = None,
        progress: bool | None = None,
    ) -> dict[str, Tensor]:
        """Posterior of every variable (or of those asked for), observed ones included.

        .. math:: p(x_v \\mid e)

        Arguments:
            evidence: what is known.
            variables: whose posteriors; all by default.
            method: "exact", "belief-propagation" (exact on trees), "mean-field",
                "tree-reweighted", or "gibbs": shares of the states of sampled chains.
            sweeps: for "gibbs"; the first fifth is left out.
            chains: for "gibbs".
            generator: for "gibbs".
            progress: a bar, for "gibbs"; None shows it on a terminal.

        Shapes:
            values: (card,), or (B, card) for a batch; impossible rows of a batch are NaN.

        Raises:
            ValueError: single evidence has probability zero (with "gibbs": a chain ends in a
                state that has); a batch for "gibbs".
        """
        if method == "exact":
            return super().marginals(evidence, variables)
        names = [self.variables[v] for v in self.vocabulary.numbers(variables)]
        if method == "gibbs":
            density, numbers = self.density(evidence), self.vocabulary.numbers(names)
            shares = gibbs_marginals(
                density,
                numbers,
                sweeps=sweeps,
                chains=chains,
                generator=generator,
                progress=progress,
            )
            return dict(zip(names, shares, strict=True))
        found = approximate_marginals(self, evidence, method)
        return {name: found[name] for name in names}

    def most_probable(
        self,
        evidence: Mapping[str, Any] | None = None,
        method: SearchMethod = "exact",
        *,
        sweeps: int = 1000,
        chains: int = 32,
        generator: GeneratorLike = None,
        progress: bool | None = None,
    ) -> tuple[dict[str, str | int], Tensor]:
        """A joint state of least energy that agrees with the evidence, and minus its energy.

        .. math:: \\max_{x \\sim e} \\sum_f \\ell_f(x_{S_f})

        Arguments:
            evidence: one query.
            method: "exact"; "belief-propagation" (max-product; exact on trees); "annealing".
            sweeps: for "annealing": length of the schedule.
            chains: for "annealing": independent searches.
            generator: for "annealing".
            progress: a bar, for "annealing"; None shows it on a terminal.

        Returns:
            State labels (codes where there are none), and the log of the state's unnormalised
            weight, log-likelihoods of soft evidence included; subtract ``log_partition()`` for
            its log-probability.
        """
        if method == "exact":
            return super().most_probable(evidence)
        density = self.density(evidence)
        if method == "annealing":
            codes = simulated_annealing(
                density, sweeps=sweeps, chains=chains, generator=generator, progress=progress
            ).best
        else:
            codes = passed_states(self, evidence, method)
        label = self.vocabulary.label
        found = {
            name: label(v, code)
            for v, (name, code) in enumerate(zip(self.variables, codes.tolist(), strict=True))
        }
        return found, density.log_weight(codes[None])[0]

    def sample(
        self,
        n: int,
        evidence: Mapping[str, Any] | None = None,
        generator: int | torch.Generator | None = None,
        *,
        method: SampleMethod = "exact",
        sweeps: int = 500,
    ) -> Tensor:
        """Independent joint states given the evidence.

        Arguments:
            n: how many.
            evidence: one query.
            generator: None, a seed or a generator.
            method: "exact", or "gibbs": the ends of n chains, whose law tends to the posterior
                as ``sweeps`` grows.
            sweeps: of the chains.

        Shapes:
            result: (n, V) int64 codes in the order of ``variables``.

        Raises:
            ValueError: a batch, or evidence of probability zero; with "gibbs" a chain that ends
                in a state of probability zero.
        """
        check_choice("method", method, SampleMethod)
        if method == "exact":
            return super().sample(n, evidence, generator)
        return gibbs_draws(self.density(evidence), n, sweeps, generator)

    def density(self, evidence: Mapping[str, Any] | None = None) -> DiscreteDensity:
        """The law given one query's evidence, compiled for Gibbs sampling and annealing."""
        logs = self.log_tables().detach()
        return DiscreteDensity(self.arrays, logs, self.vocabulary.evidence(evidence))

    # Numbers ---------------------------------------------------------------------------------

    def _own_tables(self) -> Tensor:
        """One log table per factor, and zeros for variables without one: the engine's."""
        cells = torch.from_numpy(self.arrays.cells).to(self.device)
        full = self.log_tables()[cells]
        return torch.cat([full, full.new_zeros(self.arrays.structure.offsets[-1] - len(cells))])

    @cached_property
    def _engine(self) -> ExactEngine:
        return ExactEngine(self.arrays.structure, self.variables, self.memory_limit)

    def _queries(self) -> Queries:
        """The engine with the present numbers."""
        tensors = [*self.parameters(), *self.buffers()]
        if not (self._engine.loaded and self._snapshot.holds(tensors)):
            logs = self._own_tables().detach().cpu().numpy()
            if np.isnan(logs).any() or np.isposinf(logs).any():
                raise ValueError("log tables hold NaN or +inf; log-potentials are finite or -inf")
            values, log_scale, logs = scaled(self.arrays.structure, logs)
            self._engine.load(values, log_scale, logs)
            self._snapshot = Snapshot(tensors)
        return Queries(self._engine, self.vocabulary, self.device)

    def _log_weight(self, rows: DiscreteData) -> Tensor:
        codes = torch.from_numpy(rows.codes()).to(self.device)
        return self.arrays.log_weight(self.log_tables(), codes)

    def _log_sum(self, given: Evidence) -> Tensor:
        """Log of the summed weight of what agrees, with gradients to parameters if asked for."""
        asked = any(parameter.requires_grad for parameter in self.parameters())
        if not (torch.is_grad_enabled() and asked):
            return self._queries().log_evidence(given)
        engine, logs = self._queries().engine, self._own_tables()
        if given.rows is None:
            return log_evidence(engine, logs, given)
        return log_evidence_recorded(engine, cut_tables(self.arrays.structure, logs), given)
