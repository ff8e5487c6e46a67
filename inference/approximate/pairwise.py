"""Pairwise models given as arrays, for those too large to name every variable.

.. math:: p(x) \\propto \\exp\\Bigl(\\sum_i \\theta_i(x_i) +
          \\sum_{(i, j) \\in E} \\theta_{ij}(x_i, x_j)\\Bigr)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from inference.approximate.factor_groups import FactorGroup, FactorGroups, check_fits
from inference.approximate.odds import GridPlanes, Neighborhood
from inference.approximate.problem import GraphProblem, Problem
from inference.exact.graph import FactorGraph

__all__ = ["ArrayProblem", "IsingGrid", "PairwiseArrays", "pose"]

#: Edges whose tables are turned at a time.
PIECE = 1024


@dataclass(frozen=True)
class PairwiseArrays:
    """A pairwise model of n variables with q states each.

    Arguments:
        log_unary: (n, q), or (B, n, q) for a batch of models; nats, -inf is a hard zero.
        edges: (E, 2) variable numbers, every pair once.
        log_tables: (E, q, q) or (B, E, q, q), first axis the edge's first variable; (q, q) is
            one table for all edges.

    Raises:
        TypeError: if an array is of the wrong kind.
        ValueError: if shapes do not fit, an edge leaves the graph, is a loop or is there twice,
            or a number is NaN or +inf.

    Example:
        >>> from inference.approximate.belief_propagation import belief_propagation
        >>> chain = PairwiseArrays(
        ...     torch.zeros(3, 2), torch.tensor([[0, 1], [1, 2]]), 0.5 * torch.eye(2)
        ... )
        >>> round(belief_propagation(chain).log_partition.exp().item(), 4)
        14.0314
    """

    log_unary: Tensor
    edges: Tensor
    log_tables: Tensor

    def __post_init__(self) -> None:
        _check_logs("log_unary", self.log_unary, (2, 3), "(n, q) or (B, n, q)")
        _check_logs("log_tables", self.log_tables, (2, 3, 4), "(q, q), (E, q, q) or (B, E, q, q)")
        _check_filled("log_unary", self.log_unary)
        n, q = self.log_unary.shape[-2:]
        shape = tuple(self.edges.shape)
        if self.edges.dtype not in (torch.int32, torch.int64) or shape[1:] != (2,):
            raise ValueError(
                f"edges must be integers (E, 2), found {self.edges.dtype} of shape {shape}"
            )
        expected = (q, q) if self.log_tables.ndim == 2 else (len(self.edges), q, q)
        if tuple(self.log_tables.shape[-len(expected) :]) != expected:
            raise ValueError(
                f"log_tables must be ({q}, {q}) or (..., {len(self.edges)}, {q}, {q}) for "
                f"{len(self.edges)} edges and {q} states, found {tuple(self.log_tables.shape)}"
            )
        sizes = {len(self.log_unary)} if self.log_unary.ndim == 3 else set()
        sizes |= {len(self.log_tables)} if self.log_tables.ndim == 4 else set()
        if len(sizes) > 1 or 0 in sizes:
            raise ValueError(f"log_unary and log_tables have batches of {sorted(sizes)} rows")
        _check_edges(self.edges, n)

    @property
    def batched(self) -> bool:
        """Whether results have a leading axis of rows."""
        return self.log_unary.ndim == 3 or self.log_tables.ndim == 4

    def groups(self) -> FactorGroups:
        """The arrays in the form that general messages take, in their own precision."""
        n, q = self.log_unary.shape[-2:]
        dtype = torch.promote_types(self.log_unary.dtype, self.log_tables.dtype)
        dtype = torch.promote_types(dtype, torch.float32)
        nodes = self.log_unary.to(dtype).reshape(-1, n * q)
        tables = self.log_tables if self.log_tables.ndim == 4 else self.log_tables[None]
        check_fits(len(self.edges) * q * q * len(tables), tables.device)
        tables = _edges_last(tables.expand(len(tables), len(self.edges), q, q).to(dtype))
        group = FactorGroup(self.edges.long(), tables)
        constant = torch.zeros(1, dtype=torch.float64, device=nodes.device)
        return FactorGroups((q,) * n, nodes, (group,) if len(self.edges) else (), constant)


@dataclass(frozen=True)
class IsingGrid:
    """Spins -1 and +1 on a grid, every one coupled to its four neighbours.

    .. math:: p(s) \\propto \\exp\\Bigl(\\sum_i h_i s_i + \\sum_{(i, j)} J_{ij} s_i s_j\\Bigr)

    State 0 is spin -1, state 1 is spin +1.

    Arguments:
        field: h, (H, W), or (B, H, W) for a batch of grids.
        right: J between a spin and the one to its right, (H, W - 1) or (B, H, W - 1).
        down: J between a spin and the one below, (H - 1, W) or (B, H - 1, W).

    Raises:
        TypeError: if an argument is no floating-point tensor.
        ValueError: if shapes do not fit or a number is not finite.

    Example:
        >>> from inference.approximate.belief_propagation import belief_propagation
        >>> grid = IsingGrid(torch.zeros(1, 2), torch.ones(1, 1), torch.zeros(0, 2))
        >>> round(belief_propagation(grid).log_partition.exp().item(), 4)  # 4 cosh 1
        6.1723
    """

    field: Tensor
    right: Tensor
    down: Tensor

    def __post_init__(self) -> None:
        for name in ("field", "right", "down"):
            _check_logs(name, getattr(self, name), (2, 3), "(H, W) or (B, H, W)")
            if not bool(getattr(self, name).detach().isfinite().all()):
                raise ValueError(f"{name} must be finite; PairwiseArrays takes hard zeros")
        _check_filled("field", self.field)
        height, width = self.field.shape[-2:]
        wanted = {"right": (height, width - 1), "down": (height - 1, width)}
        for name, shape in wanted.items():
            found = tuple(getattr(self, name).shape)
            if found[-2:] != shape:
                raise ValueError(f"{name} must be (..., {shape[0]}, {shape[1]}), found {found}")
        sizes = {len(x) for x in (self.field, self.right, self.down) if x.ndim == 3}
        if len(sizes) > 1 or 0 in sizes:
            raise ValueError(f"field, right and down have batches of {sorted(sizes)} rows")

    @property
    def batched(self) -> bool:
        """Whether results have a leading axis of rows."""
        return max(self.field.ndim, self.right.ndim, self.down.ndim) == 3

    def edges(self) -> Tensor:
        """Pairs (E, 2) of neighbours: all to the right row by row, then all downwards."""
        height, width = self.field.shape[-2:]
        place = torch.arange(height * width, device=self.field.device).reshape(height, width)
        right = torch.stack([place[:, :-1], place[:, 1:]], -1).reshape(-1, 2)
        down = torch.stack([place[:-1], place[1:]], -1).reshape(-1, 2)
        return torch.cat([right, down])

    def couplings(self) -> Tensor:
        """J of every edge, (E,) or (B, E)."""
        right, down = self.right.flatten(-2), self.down.flatten(-2)
        lead = torch.broadcast_shapes(right.shape[:-1], down.shape[:-1])
        return torch.cat([right.expand(*lead, -1), down.expand(*lead, -1)], -1)

    def pairwise(self) -> PairwiseArrays:
        """The same model as tables."""
        signs = self.field.new_tensor([-1.0, 1.0])
        unary = self.field.flatten(-2)[..., None] * signs
        tables = self.couplings()[..., None, None] * torch.outer(signs, signs)
        return PairwiseArrays(unary, self.edges(), tables)


class ArrayProblem(Problem[Tensor]):
    """A model given as arrays; answers are arrays too.

    Arguments:
        arrays: the model.
    """

    def __init__(self, arrays: PairwiseArrays | IsingGrid) -> None:
        self._grid = arrays if isinstance(arrays, IsingGrid) else None
        pairwise = arrays.pairwise() if isinstance(arrays, IsingGrid) else arrays
        self._dtype = pairwise.log_unary.dtype
        self.model = pairwise.groups()
        self.batched = arrays.batched

    def neighborhood(self) -> Neighborhood:
        """Planes for a grid."""
        if self._grid is not None:
            return GridPlanes(*self._grid.field.shape[-2:])
        return super().neighborhood()

    def name_marginals(self, marginals: Tensor) -> Tensor:
        """(n, q), or (H, W, 2) for a grid, in the arrays' own precision."""
        return self._shaped(marginals, marginals.shape[2:]).to(self._dtype)

    def name_states(self, codes: Tensor) -> Tensor:
        """(n,), or (H, W) for a grid."""
        return self._shaped(codes, ())

    def describe(self) -> str:
        """The model has no name."""
        return "every state"

    def _shaped(self, values: Tensor, rest: tuple[int, ...]) -> Tensor:
        if self._grid is not None:
            values = values.reshape(len(values), *self._grid.field.shape[-2:], *rest)
        return self.unbatch(values)


def pose(
    graph: FactorGraph | PairwiseArrays | IsingGrid, evidence: Mapping[str, Any] | None
) -> Problem[Any]:
    """Read a graph or arrays, and the evidence.

    Raises:
        TypeError: if the graph is of another kind.
        ValueError: if arrays come with evidence.
    """
    if isinstance(graph, FactorGraph):
        return GraphProblem(graph, evidence)
    if not isinstance(graph, (PairwiseArrays, IsingGrid)):
        raise TypeError(
            "graph must be a FactorGraph, PairwiseArrays or IsingGrid, "
            f"found {type(graph).__name__}"
        )
    if evidence is not None:
        raise ValueError("evidence needs a FactorGraph; put likelihoods into the arrays instead")
    return ArrayProblem(graph)


def _edges_last(tables: Tensor) -> Tensor:
    """Tables (B, E, q, q) as (B, q, q, E), contiguous."""
    turned = tables.permute(0, 2, 3, 1)
    if tables.requires_grad:
        return turned.contiguous()
    # In pieces that stay in the cache this takes half the time.
    out = torch.empty(turned.shape, dtype=tables.dtype, device=tables.device)
    for first in range(0, tables.shape[1], PIECE):
        out[..., first : first + PIECE] = turned[..., first : first + PIECE]
    return out


def _check_logs(name: str, value: Any, axes: tuple[int, ...], shape: str) -> None:
    """Refuse what is no tensor of logarithms of one of the shapes."""
    if not isinstance(value, Tensor) or not value.is_floating_point():
        found = value.dtype if isinstance(value, Tensor) else type(value).__name__
        raise TypeError(f"{name} must be a floating-point tensor, found {found}")
    if value.ndim not in axes:
        raise ValueError(f"{name} must be {shape}, found shape {tuple(value.shape)}")
    if not bool((value.detach() < torch.inf).all()):
        raise ValueError(f"{name} holds NaN or +inf; logarithms must be finite or -inf")


def _check_filled(name: str, value: Tensor) -> None:
    """Refuse a model of no variables, no states or no rows."""
    if not value.numel():
        raise ValueError(f"{name} has an empty axis: shape {tuple(value.shape)}")


def _check_edges(edges: Tensor, n: int) -> None:
    """Refuse edges that leave the graph, join a variable to itself or come twice."""
    pairs = edges.detach().cpu().numpy().astype(np.int64)
    if not len(pairs):
        return
    if pairs.min() < 0 or pairs.max() >= n:
        raise ValueError(
            f"edges must join variables 0..{n - 1}, found {pairs.min()}..{pairs.max()}"
        )
    low, high = np.minimum(*pairs.T), np.maximum(*pairs.T)
    if (low == high).any():
        raise ValueError(f"edges join variable {low[low == high][0]} to itself; use log_unary")
    keys = np.sort(low * n + high)
    twice = keys[1:][keys[1:] == keys[:-1]]
    if len(twice):
        i, j = divmod(int(twice[0]), n)
        raise ValueError(f"edges hold the pair ({i}, {j}) twice; add its tables up")
