"""A discrete factor model as a few arrays: factors of one shape together, tables in one vector.

.. math:: w(x) = \\sum_f \\ell[o_f + \\sum_j s_{fj}\\, x_{S_{fj}}]

Several factors may share a table: then their offsets are equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np
import torch
from torch import Tensor

from inference.exact.graph import FactorGraph
from inference.exact.structure import Structure, strides

__all__ = ["FactorArrays", "FactorGroup"]

#: Look-ups made at a time.
CHUNK = 1 << 22


@dataclass(frozen=True, eq=False)
class FactorGroup:
    """Factors whose tables have one shape.

    Arguments:
        shape: of every table.
        scopes: (F, k), the variables of the axes.
        offsets: (F,), where every factor's table starts in the vector of all tables.
        numbers: (F,), the place of every factor among all of them.
    """

    shape: tuple[int, ...]
    scopes: np.ndarray
    offsets: np.ndarray
    numbers: np.ndarray


class FactorArrays:
    """The scopes of a model, grouped by the shape of their tables.

    Arguments:
        cards: number of states of every variable.
        scopes: for every group its scopes, (F, k); several may have one shape.
        offsets: for every group the starts of its tables, (F,).
        numbers: for every group the places of its factors; by default one group after the other.

    Raises:
        ValueError: a scope names a variable that is not there or one twice, factors of a group
            have several shapes, or the numbers are no permutation.

    Example:
        >>> arrays = FactorArrays([2, 2, 2], [[[0, 1], [1, 2]]], [[0, 0]])  # one shared table
        >>> logs = torch.tensor([1.0, 0.0, 0.0, 1.0])
        >>> arrays.log_weight(logs, torch.tensor([[0, 0, 0], [0, 0, 1]])).tolist()
        [2.0, 1.0]
    """

    def __init__(
        self,
        cards: Sequence[int],
        scopes: Sequence[np.ndarray | Sequence[Sequence[int]]],
        offsets: Sequence[np.ndarray | Sequence[int]],
        numbers: Sequence[np.ndarray | Sequence[int]] | None = None,
    ) -> None:
        self.cards = np.asarray(cards, dtype=np.int64)
        groups, total = [], 0
        for place, (scope, offset) in enumerate(zip(scopes, offsets, strict=True)):
            table = np.asarray(scope, dtype=np.int64)
            own = np.arange(len(table)) + total if numbers is None else numbers[place]
            groups.append(self._group(table, np.asarray(offset), np.asarray(own)))
            total += len(table)
        self.n_factors = total
        self.groups = tuple([group for group in groups if len(group.scopes)])
        every = [group.numbers for group in self.groups]
        if total and not np.array_equal(np.sort(np.concatenate(every)), np.arange(total)):
            raise ValueError(f"numbers must be a permutation of 0..{total - 1}")
        sizes = [int(g.offsets.max()) + prod(g.shape) for g in self.groups]
        #: Entries of all tables together.
        self.size = max(sizes, default=0)

    def _group(self, scopes: np.ndarray, offsets: np.ndarray, numbers: np.ndarray) -> FactorGroup:
        """Check one group."""
        if scopes.ndim != 2 or offsets.shape != scopes.shape[:1] or numbers.shape != offsets.shape:
            raise ValueError(
                f"scopes must be (F, k) with offsets and numbers (F,), found {scopes.shape}, "
                f"{offsets.shape} and {numbers.shape}"
            )
        if not len(scopes):
            return FactorGroup((), scopes, offsets, numbers)
        if scopes.size and not (scopes.min() >= 0 and scopes.max() < len(self.cards)):
            raise ValueError(
                f"scopes must hold variables in 0..{len(self.cards) - 1}, found "
                f"{scopes.min()}..{scopes.max()}"
            )
        ordered = np.sort(scopes, axis=1)
        if (ordered[:, 1:] == ordered[:, :-1]).any():
            raise ValueError("a scope names a variable twice")
        shapes = self.cards[scopes]
        if (shapes != shapes[:1]).any():
            raise ValueError("scopes of one group must have tables of one shape")
        if offsets.min() < 0:
            raise ValueError(f"offsets must not be negative, found {offsets.min()}")
        return FactorGroup(tuple(shapes[0].tolist()), scopes, offsets.astype(np.int64), numbers)

    @classmethod
    def from_scopes(cls, cards: Sequence[int], scopes: Sequence[Sequence[int]]) -> FactorArrays:
        """Group factors by shape; the tables lie one after the other in the order given."""
        members: dict[tuple[int, ...], list[int]] = {}
        starts, total = [], 0
        for number, scope in enumerate(scopes):
            shape = tuple([cards[v] for v in scope])
            members.setdefault(shape, []).append(number)
            starts.append(total)
            total += prod(shape)
        groups = list(members.items())
        return cls(
            cards,
            [np.array([scopes[f] for f in fs]).reshape(len(fs), len(s)) for s, fs in groups],
            [np.array([starts[f] for f in fs]) for _, fs in groups],
            [np.array(fs) for _, fs in groups],
        )

    @classmethod
    def from_graph(cls, graph: FactorGraph) -> tuple[FactorArrays, Tensor]:
        """The arrays of a factor graph, and its log tables one after the other.

        Raises:
            ValueError: the graph is a batch.
        """
        for factor in graph.factors:
            if factor.batched:
                raise ValueError(f"the factor over {factor.scope} is a batch; take one graph")
        index = {name: v for v, name in enumerate(graph.cardinalities)}
        scopes = [[index[name] for name in factor.scope] for factor in graph.factors]
        parts = [factor.log_values.double().reshape(-1) for factor in graph.factors]
        logs = torch.cat(parts) if parts else torch.zeros(0, dtype=torch.float64)
        return cls.from_scopes(list(graph.cardinalities.values()), scopes), logs

    # Derived -----------------------------------------------------------------------------------

    @cached_property
    def edges(self) -> np.ndarray:
        """Pairs of variables that share a scope, (m, 2), the lower number first, each once."""
        n, found = len(self.cards), [np.zeros(0, dtype=np.int64)]
        for group in self.groups:
            k = group.scopes.shape[1]
            for i in range(k):
                for j in range(i + 1, k):
                    pair = np.sort(group.scopes[:, [i, j]], axis=1)
                    found.append(pair[:, 0] * n + pair[:, 1])
        return np.stack(np.divmod(np.unique(np.concatenate(found)), max(n, 1)), axis=1)

    @cached_property
    def structure(self) -> Structure:
        """Scopes for the exact engine, in the order of the factors.

        Variables without a factor get an empty one, as they multiply the sum of all weights.
        """
        scopes: list[tuple[int, ...]] = [()] * self.n_factors
        covered = np.zeros(len(self.cards), dtype=bool)
        for group in self.groups:
            covered[group.scopes.reshape(-1)] = True
            for number, scope in zip(group.numbers.tolist(), group.scopes.tolist(), strict=True):
                scopes[number] = tuple(scope)
        scopes += [(v,) for v in np.flatnonzero(~covered).tolist()]
        return Structure(tuple(self.cards.tolist()), tuple(scopes), (-1,) * len(scopes))

    @cached_property
    def cells(self) -> np.ndarray:
        """For every entry of every factor's own table its place in the vector of all tables.

        Factors in their order, as in ``structure`` without its empty ones.
        """
        offsets = np.array(self.structure.offsets, dtype=np.int64)
        full = np.zeros(offsets[self.n_factors], dtype=np.int64)
        for group in self.groups:
            entries = np.arange(prod(group.shape))
            full[offsets[group.numbers][:, None] + entries] = group.offsets[:, None] + entries
        return full

    # Complete states -----------------------------------------------------------------------------

    def log_weight(self, logs: Tensor, codes: Tensor) -> Tensor:
        """Log-weight of complete joint states, with gradients to the tables.

        Shapes:
            logs: (size,). codes: (n, V) integers without gaps. result: (n,).
        """
        parts = []
        for rows in codes.split(self._rows_at_a_time):
            total = logs.new_zeros(len(rows))
            for places in self._lookups(rows):
                total = total + logs[places].sum(1)
            parts.append(total)
        return torch.cat(parts) if parts else logs.new_zeros(0)

    def counts(self, codes: Tensor, weights: Tensor | None = None) -> Tensor:
        """Weighted number of times that every entry is looked up by some joint states.

        .. math:: N_c = \\sum_i w_i \\sum_f [\\text{factor } f \\text{ reads entry } c
                  \\text{ for } x^{(i)}]

        Shapes:
            codes: (n, V) integers without gaps. weights: (n,). result: (size,), float64.
        """
        total = torch.zeros(self.size, dtype=torch.float64, device=codes.device)
        for start in range(0, len(codes), self._rows_at_a_time):
            rows = slice(start, start + self._rows_at_a_time)
            for places in self._lookups(codes[rows]):
                row_weights = None
                if weights is not None:
                    row_weights = weights[rows, None].expand_as(places).reshape(-1)
                total += torch.bincount(places.reshape(-1), row_weights, minlength=self.size)
        return total

    @property
    def _rows_at_a_time(self) -> int:
        return max(1, CHUNK // max(self.n_factors, 1))

    def _lookups(self, codes: Tensor) -> list[Tensor]:
        """For every group the places of the entries that rows (n, V) read, (n, F)."""
        found = []
        for group in self.groups:
            places = torch.from_numpy(group.offsets).to(codes.device).expand(len(codes), -1)
            for j, stride in enumerate(strides(group.shape)):
                column = torch.from_numpy(group.scopes[:, j]).to(codes.device)
                # Products of codes would stay in their type, and bytes would overflow.
                places = places.add(codes[:, column], alpha=stride)
            found.append(places)
        return found
