"""Factor graphs: products of named factors, queried exactly.

.. math:: p(x) = \\frac{1}{Z} \\prod_f \\phi_f(x_{S_f}), \\qquad
          Z = \\sum_x \\prod_f \\phi_f(x_{S_f})
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from inference.exact.differentiable import log_evidence, log_evidence_recorded
from inference.exact.engine import ExactEngine
from inference.exact.evidence import Evidence, Variables
from inference.exact.factor import Factor
from inference.exact.freshness import Snapshot
from inference.exact.plan import Plan
from inference.exact.queries import Queries
from inference.exact.scaled_tables import scaled
from inference.exact.structure import Structure

__all__ = ["FactorGraph"]


class FactorGraph:
    """Discrete variables and the factors that weigh their joint states.

    Arguments:
        cardinalities: number of states of every variable.
        factors: any number of factors over them. Factors with a leading batch axis make a batch
            of graphs of one structure.
        memory_limit: bytes that one query's tables may take (default: half of what is free).

    Raises:
        ValueError: unknown variable, cardinality mismatch, or batches of different sizes.

    Evidence, in every method, maps names to a state code, a 1-D batch of codes (-1 = unobserved)
    or a float likelihood (card,) or (B, card). Values are in nats; results are float64.

    Reference:
        Koller & Friedman 2009, chapters 4, 9 and 10.

    Example:
        >>> table = Factor.from_potential(["a", "b"], [[3, 1], [1, 1]])
        >>> g = FactorGraph({"a": 2, "b": 2}, [table])
        >>> round(g.log_partition().exp().item(), 6)
        6.0
        >>> g.marginals({"b": 0})["a"].tolist()
        [0.75, 0.25]
    """

    def __init__(
        self,
        cardinalities: Mapping[str, int],
        factors: Iterable[Factor],
        *,
        memory_limit: int | None = None,
    ) -> None:
        self._variables = Variables(cardinalities)
        self.factors = tuple(factors)
        index, cards = self._variables.index, self._variables.cards
        scopes, batches = [], set()
        for factor in self.factors:
            if not isinstance(factor, Factor):
                raise TypeError(f"factors must be Factor objects, found {type(factor).__name__}")
            for name, card in factor.cardinalities.items():
                number = self._variables.number(name, "factors")
                if card != cards[number]:
                    raise ValueError(
                        f"a factor over {factor.scope} has {card} states for {name!r}, "
                        f"cardinalities has {cards[number]}"
                    )
            scopes.append(tuple([index[name] for name in factor.scope]))
            if factor.batched:
                batches.add(factor.log_values.shape[0])
        if len(batches) > 1:
            raise ValueError(f"factors have batches of different sizes: {sorted(batches)}")
        self._batch: int | None = batches.pop() if batches else None
        covered = {v for scope in scopes for v in scope}
        # A variable in no factor still multiplies Z by its number of states.
        self._free = [v for v in range(len(cards)) if v not in covered]
        scopes += [(v,) for v in self._free]
        structure = Structure(cards, tuple(scopes), (-1,) * len(scopes))
        self._engine = ExactEngine(structure, self._variables.names, memory_limit)
        self._snapshot = Snapshot([])

    @property
    def cardinalities(self) -> dict[str, int]:
        """Number of states of every variable."""
        return dict(zip(self._variables.names, self._variables.cards, strict=True))

    @property
    def device(self) -> torch.device:
        """Device of the factors (the CPU where there are none)."""
        return self.factors[0].log_values.device if self.factors else torch.device("cpu")

    def __repr__(self) -> str:
        return f"FactorGraph({len(self._variables.names)} variables, {len(self.factors)} factors)"

    # Queries ---------------------------------------------------------------------------------

    def plan(
        self, evidence: Mapping[str, Any] | None = None, variables: Sequence[str] | None = None
    ) -> Plan:
        """Plan :meth:`marginals` without running it; print the result to see its cost."""
        return self._queries().plan(evidence, variables)

    def log_partition(self, evidence: Mapping[str, Any] | None = None) -> Tensor:
        """Log of the summed weight of all states that agree with the evidence.

        .. math:: \\log Z(e) = \\log \\sum_{x \\sim e} \\prod_f \\phi_f(x_{S_f})

        Differentiable, any number of times, by the factors' ``log_values``.

        Shapes:
            result: (), or (B,) for batched evidence or factors; -inf where nothing agrees.
        """
        given = self._variables.evidence(evidence)
        recorded = torch.is_grad_enabled() and any(
            [factor.log_values.requires_grad for factor in self.factors]
        )
        if self._batch is not None or (recorded and given.rows is not None):
            return self._log_partition_recorded(given)
        if not recorded:
            return self._queries().log_evidence(given)
        flat = torch.cat([table.reshape(-1) for table in self._log_tables()])
        return log_evidence(self._queries().engine, flat, given)

    def marginals(
        self, evidence: Mapping[str, Any] | None = None, variables: Sequence[str] | None = None
    ) -> dict[str, Tensor]:
        """Posterior of every variable, observed ones included.

        .. math:: p(x_v \\mid e)

        Shapes:
            values: (card,), or (B, card) for a batch; impossible rows of a batch are NaN.

        Raises:
            ValueError: if single evidence has probability zero.
        """
        given = self._variables.evidence(evidence)
        numbers = self._variables.numbers(variables)
        if self._batch is None:
            return self._queries().marginals(given, numbers)
        return self._marginals_of_batch(given, numbers)

    def most_probable(
        self, evidence: Mapping[str, Any] | None = None
    ) -> tuple[dict[str, str | int], Tensor]:
        """Return a heaviest joint state (codes) and the log of its unnormalised weight.

        .. math:: \\max_{x \\sim e} \\sum_f \\log \\phi_f(x_{S_f})
        """
        self._check_one_graph("most_probable")
        return self._queries().most_probable(evidence)

    def sample(
        self,
        n: int,
        evidence: Mapping[str, Any] | None = None,
        generator: int | torch.Generator | None = None,
    ) -> Tensor:
        """Draw independent exact samples given the evidence.

        Shapes:
            result: (n, V) int64 codes, columns in the order of ``cardinalities``.
        """
        self._check_one_graph("sample")
        return self._queries().sample(n, evidence, generator)

    # Numbers ---------------------------------------------------------------------------------

    def _check_one_graph(self, method: str) -> None:
        if self._batch is not None:
            raise ValueError(f"{method} takes one graph at a time; loop over the factors' batch")

    def _queries(self) -> Queries:
        """The engine with the factors' present numbers."""
        tensors = [factor.log_values for factor in self.factors]
        current = self._engine.loaded and self._snapshot.holds(tensors)
        if self._batch is None and not current:
            parts = [f.log_values.detach().cpu().double().reshape(-1) for f in self.factors]
            logs = torch.cat(parts).numpy() if parts else np.zeros(0)
            if not (logs < np.inf).all():
                wrong = [f for f in self.factors if not bool((f.log_values < torch.inf).all())]
                raise ValueError(
                    f"log_values of the factor over {wrong[0].scope} hold NaN or +inf by now; "
                    "write logarithms that are finite or -inf"
                )
            free = np.zeros(sum([self._variables.cards[v] for v in self._free]))
            self._engine.load(*scaled(self._engine.structure, np.concatenate([logs, free])))
            self._snapshot = Snapshot(tensors)
        return Queries(self._engine, self._variables, self.device)

    def _log_tables(self) -> list[Tensor]:
        """Log values of every factor, the empty ones of uncovered variables included."""
        cards = self._variables.cards
        free = [torch.zeros(cards[v], dtype=torch.float64, device=self.device) for v in self._free]
        return [factor.log_values.double() for factor in self.factors] + free

    def _log_partition_recorded(
        self, given: Evidence, probes: tuple[tuple[tuple[int, ...], Tensor], ...] = ()
    ) -> Tensor:
        """Log Z recorded by autograd, one per graph of the batch."""
        if self._batch is not None and given.rows not in (None, self._batch):
            raise ValueError(
                f"evidence has {given.rows} rows but the factors a batch of {self._batch}"
            )
        total = log_evidence_recorded(self._engine, self._log_tables(), given, probes)
        return total if self._batch is None else total.expand(self._batch)

    # The caller may record nothing, or be in inference mode: these gradients are needed anyway.
    @torch.inference_mode(False)
    @torch.enable_grad()
    def _marginals_of_batch(self, given: Evidence, numbers: Sequence[int]) -> dict[str, Tensor]:
        """Marginals of a batch of graphs, as gradients of log Z."""
        cards, rows = self._variables.cards, self._batch
        assert rows is not None
        observed = {v for v, s in given.states.items() if np.ndim(s) == 0}
        single = {v for v in numbers if cards[v] == 1}
        found = {
            v: torch.zeros((rows, cards[v]), dtype=torch.float64, device=self.device)
            for v in numbers
        }
        probes: tuple[tuple[tuple[int, ...], Tensor], ...] = tuple(
            [
                ((v,), probe.requires_grad_())
                for v, probe in found.items()
                if v not in observed | single
            ]
        )
        total = self._log_partition_recorded(given, probes)
        impossible = total.detach().isneginf()
        for v in (observed | single) & found.keys():
            found[v][:, int(given.states[v]) if v in observed else 0] = 1.0
        if probes:
            gradients = torch.autograd.grad(total.sum(), [probe for _, probe in probes])
            found |= {v: g for ((v,), _), g in zip(probes, gradients, strict=True)}
        names = self._variables.names
        return {names[v]: found[v].masked_fill(impossible[:, None], torch.nan) for v in numbers}
