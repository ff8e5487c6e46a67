"""A factor graph as a few arrays: factors of one shape lie side by side, whatever their number.

.. math:: p(x) \\propto e^{c} \\prod_v e^{\\theta_v(x_v)}
          \\prod_g \\prod_{f \\in g} \\phi_f(x_{S_f})
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from inference.memory import require_memory

__all__ = ["FactorGroup", "FactorGroups", "check_fits", "group_factors"]

#: Tables of the size of all factors that an iteration may hold at a time.
COPIES = 4


@dataclass(frozen=True)
class FactorGroup:
    """Factors over ``k`` variables each, all of one shape.

    The factors come last: sums over a table's few states then run along long rows of memory.

    Attributes:
        scopes: (F, k) variable numbers.
        log_tables: (B or 1, q_1, ..., q_k, F).
    """

    scopes: Tensor
    log_tables: Tensor

    @property
    def cards(self) -> tuple[int, ...]:
        """Number of states along every axis of a table."""
        return tuple(self.log_tables.shape[1:-1])

    def states(self, offsets: Tensor, slot: int) -> Tensor:
        """Places (q, F) of one slot's states among the states of all variables."""
        steps = torch.arange(self.cards[slot], device=self.scopes.device)
        return steps[:, None] + offsets[self.scopes[:, slot]]


@dataclass(frozen=True)
class FactorGroups:
    """A discrete model compiled to arrays, one row per graph of a batch.

    The states of all variables lie in one line: variable v owns the places ``offsets[v]`` to
    ``offsets[v + 1]``.

    Attributes:
        cards: number of states of every variable.
        log_nodes: (B or 1, S) log potentials of single variables.
        groups: factors over two variables or more.
        log_constant: (B or 1,) log of what depends on no variable, float64.

    Example:
        >>> table = torch.zeros(1, 2, 3, 1)
        >>> group = FactorGroup(torch.tensor([[0, 1]]), table)
        >>> model = FactorGroups((2, 3), torch.zeros(1, 5), (group,), torch.zeros(1))
        >>> model.offsets.tolist(), model.rows
        ([0, 2, 5], 1)
    """

    cards: tuple[int, ...]
    log_nodes: Tensor
    groups: tuple[FactorGroup, ...]
    log_constant: Tensor

    @cached_property
    def offsets(self) -> Tensor:
        """First place of every variable, and the number of places, (V + 1,)."""
        ends = np.concatenate([[0], np.cumsum(self.cards, dtype=np.int64)]).astype(np.int64)
        return torch.from_numpy(ends).to(self.device)

    @cached_property
    def rows(self) -> int:
        """Number of graphs in the batch."""
        sizes = [len(self.log_nodes), len(self.log_constant)]
        return max(sizes + [len(group.log_tables) for group in self.groups])

    @cached_property
    def recorded(self) -> bool:
        """Whether autograd watches any number of the model."""
        tensors = [self.log_nodes, self.log_constant, *[g.log_tables for g in self.groups]]
        return torch.is_grad_enabled() and any([tensor.requires_grad for tensor in tensors])

    @cached_property
    def places(self) -> Tensor:
        """Places of every variable's states, (V, q_max), short ones filled with place S."""
        steps = torch.arange(max(self.cards, default=1), device=self.device)
        cards = torch.tensor(self.cards, dtype=torch.int64, device=self.device)
        inside = steps < cards[:, None]
        return torch.where(inside, self.offsets[:-1, None] + steps, self.offsets[-1])

    @property
    def device(self) -> torch.device:
        """Where the arrays are."""
        return self.log_nodes.device

    @cached_property
    def has_cycles(self) -> bool:
        """Whether some path along factors leads back to where it began."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        n, factors, links = len(self.cards), 0, [np.zeros((2, 0), dtype=np.int64)]
        for group in self.groups:
            scopes = group.scopes.cpu().numpy()
            numbers = n + factors + np.arange(len(scopes)).repeat(scopes.shape[1])
            links.append(np.stack([scopes.reshape(-1), numbers]))
            factors += len(scopes)
        ends = np.concatenate(links, axis=1)
        size = n + factors
        if ends.shape[1] >= size:
            return True
        graph = coo_array((np.ones(ends.shape[1]), tuple(ends)), shape=(size, size))
        return ends.shape[1] > size - int(connected_components(graph, directed=False)[0])

    def double(self) -> FactorGroups:
        """The same model in float64."""
        groups = [replace(group, log_tables=group.log_tables.double()) for group in self.groups]
        return replace(self, log_nodes=self.log_nodes.double(), groups=tuple(groups))

    def by_variable(self, values: Tensor) -> Tensor:
        """Numbers (..., S) as (..., V, q_max); at places that a variable does not have -inf."""
        if len(set(self.cards)) == 1:
            return values.unflatten(-1, (len(self.cards), -1))
        filled = torch.cat([values, values.new_full((*values.shape[:-1], 1), -torch.inf)], dim=-1)
        return filled[..., self.places]

    def log_weight(self, codes: Tensor) -> Tensor:
        """Log weight (B,) of joint states (B, V)."""
        rows = torch.arange(self.rows, device=codes.device)[:, None]
        nodes = self.log_nodes.expand(self.rows, -1)
        total = self.log_constant + nodes.gather(1, self.offsets[:-1] + codes).sum(
            1, dtype=torch.float64
        )
        for group in self.groups:
            tables = group.log_tables.expand(self.rows, *group.log_tables.shape[1:])
            factors = torch.arange(len(group.scopes), device=codes.device)
            states = [codes[:, variables] for variables in group.scopes.unbind(1)]
            total = total + tables[(rows, *states, factors)].sum(1, dtype=torch.float64)
        return total


def group_factors(
    cards: Sequence[int],
    scopes: Sequence[Sequence[int]],
    log_tables: Sequence[Tensor],
    *,
    rows: int | None,
    device: torch.device,
) -> FactorGroups:
    """Compile factors to groups; those over the same variables are multiplied into one.

    Arguments:
        cards: number of states of every variable.
        scopes: for every factor its variables.
        log_tables: for every factor (*cards), or (B, *cards).
        rows: B, or None where nothing has a batch.
        device: where the arrays are made.

    Raises:
        ValueError: if the arrays would not fit in memory.
    """
    offsets = np.concatenate([[0], np.cumsum(cards, dtype=np.int64)]).astype(np.int64)
    check_fits(sum([table.numel() for table in log_tables]), device)
    constant = torch.zeros(1, dtype=torch.float64, device=device)
    nodes = torch.zeros(1, int(offsets[-1]), dtype=torch.float64, device=device)
    collected: dict[tuple[int, ...], tuple[list[list[int]], list[Tensor]]] = {}
    places: dict[bool, list[np.ndarray]] = {False: [], True: []}
    vectors: dict[bool, list[Tensor]] = {False: [], True: []}
    for scope, table in zip(scopes, log_tables, strict=True):
        batched = table.ndim > len(scope)
        if not scope:
            constant = constant + table.double()
        elif len(scope) == 1:
            (v,) = scope
            places[batched].append(np.arange(offsets[v], offsets[v + 1]))
            vectors[batched].append(table)
        else:
            # One order of axes for one set of variables, so that equal sets meet.
            order = sorted(range(len(scope)), key=lambda axis: (cards[scope[axis]], scope[axis]))
            if order != list(range(len(scope))):
                table = table.movedim([axis - len(scope) for axis in order], _last(len(scope)))
            ordered = [scope[axis] for axis in order]
            found = collected.setdefault(tuple([cards[v] for v in ordered]), ([], []))
            found[0].append(ordered)
            found[1].append(table)
    for batched, parts in vectors.items():
        if parts:
            index = torch.from_numpy(np.concatenate(places[batched])).to(device)
            values = torch.cat(parts, dim=-1).double().reshape(-1, len(index))
            nodes = nodes.expand(len(values), -1) if len(nodes) == 1 else nodes
            nodes = nodes.index_add(1, index, values.expand(len(nodes), -1))
    groups = [_stacked(found, rows, device) for found in collected.values()]
    return FactorGroups(tuple(cards), nodes, tuple(groups), constant)


def check_fits(entries: int, device: torch.device) -> None:
    """Refuse tables that an iteration could not hold in memory.

    Raises:
        ValueError: then, with the size.
    """
    require_memory(
        COPIES * 8 * entries,
        f"an iteration over factors' tables of {entries:,} entries",
        "use fewer rows of evidence at a time or smaller factors",
        device,
    )


def _last(count: int) -> list[int]:
    return list(range(-count, 0))


def _stacked(
    found: tuple[list[list[int]], list[Tensor]], rows: int | None, device: torch.device
) -> FactorGroup:
    """One group from the factors of one shape; equal scopes are added up."""
    scopes = np.array(found[0], dtype=np.int64)
    arity = scopes.shape[1]
    tables = found[1]
    if any([table.ndim > arity for table in tables]):
        assert rows is not None
        tables = [table.expand(rows, *table.shape[table.ndim - arity :]) for table in tables]
        stacked = torch.stack(tables, dim=-1).double()
    else:
        stacked = torch.stack(tables, dim=-1).double()[None]
    unique, inverse = np.unique(scopes, axis=0, return_inverse=True)
    if len(unique) < len(scopes):
        summed = stacked.new_zeros((*stacked.shape[:-1], len(unique)))
        index = torch.from_numpy(inverse.reshape(-1)).to(device)
        stacked, scopes = summed.index_add(-1, index, stacked), unique
    return FactorGroup(torch.from_numpy(scopes).to(device), stacked)
