"""Moving whole clusters of spins at once, where single spins take an age to turn.

.. math:: P(\\text{bond } ij) = 1 - e^{-2 \\beta |J_{ij}|} \\quad\\text{where } J_{ij} s_i s_j > 0

Bonds tie spins that agree with their coupling; each cluster of tied spins is then turned or not,
by a fair coin. A field is a coupling to one more spin, the ghost, whose cluster stays.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from inference.sampling.binary.words import random_words

__all__ = ["ClusterState", "SwendsenWang"]


class ClusterState(NamedTuple):
    """Spins of all chains, (chain, n) int8 of -1 and +1."""

    spins: Tensor


class SwendsenWang:
    """The kernel of Swendsen and Wang: bonds, clusters, coins.

    Exact for any couplings and fields, and fast where couplings do not contradict each other:
    among frustrated couplings clusters percolate long before they tell anything.

    Arguments:
        edges: (E, 2) pairs of different spins, int64.
        couplings: beta J of every edge, (E,), nats.
        field: beta h, (n,), nats.

    Raises:
        ValueError: other shapes, an edge to a spin that is not there, a NaN.

    Reference:
        Swendsen & Wang 1987, "Nonuniversal critical dynamics in Monte Carlo simulations", Phys.
        Rev. Lett. 58, 86; Edwards & Sokal 1988, section II (why it is exact).

    Example:
        >>> kernel = SwendsenWang(torch.tensor([[0, 1]]), torch.tensor([50.0]), torch.zeros(2))
        >>> state = kernel.init(torch.tensor([[1, 1], [-1, -1]]))
        >>> now = kernel.step(state, torch.Generator().manual_seed(0)).spins
        >>> (now[:, 0] == now[:, 1]).tolist()
        [True, True]
    """

    def __init__(self, edges: Tensor, couplings: Tensor, field: Tensor) -> None:
        shapes = tuple(edges.shape), tuple(couplings.shape), tuple(field.shape)
        if shapes != ((len(couplings), 2), (len(couplings),), (len(field),)):
            raise ValueError(
                "edges, couplings and field must be (E, 2), (E,) and (n,), found "
                f"{shapes[0]}, {shapes[1]} and {shapes[2]}"
            )
        if not bool(((edges >= 0) & (edges < len(field))).all()):
            raise ValueError(
                f"edges must name spins in 0..{len(field) - 1}, found "
                f"{int(edges.min())}..{int(edges.max())}"
            )
        if bool(couplings.isnan().any() | field.isnan().any()):
            raise ValueError("couplings and field must not hold NaN; check the model's numbers")
        self.n_spins = len(field)
        self._dtype = couplings.dtype
        pulled = field.nonzero()[:, 0]
        self._has_ghost = bool(len(pulled))
        if self._has_ghost:
            ghost = torch.full_like(pulled, self.n_spins)
            edges = torch.cat([edges, torch.stack([pulled, ghost], 1)])
            couplings = torch.cat([couplings, field[pulled]])
        by_ends = torch.from_numpy(np.lexsort(edges.T.flip(0).cpu().numpy())).to(edges.device)
        couplings = couplings[by_ends].double()
        bonds = -torch.expm1(-2 * couplings.abs())
        self._ends = edges[by_ends].T.contiguous()
        self._signs = torch.sign(couplings).to(torch.int8)[:, None]
        self._thresholds = ((bonds - 0.5) * 2.0**32).float()

    @property
    def device(self) -> torch.device:
        """Where the chains are."""
        return self._ends.device

    def init(self, position: Tensor) -> ClusterState:
        """State at spins (chain, n).

        Raises:
            ValueError: other values than -1 and +1, or another number of spins.
        """
        spins = position.to(self.device)
        if spins.ndim != 2 or spins.shape[1] != self.n_spins:
            raise ValueError(
                f"position must be (chain, {self.n_spins}), found {tuple(spins.shape)}"
            )
        if not bool((spins.abs() == 1).all()):
            raise ValueError("position must hold -1 and 1 only")
        return ClusterState(spins.to(torch.int8))

    def position(self, state: ClusterState) -> Tensor:
        """Spins, (chain, n), in the type of the couplings."""
        return state.spins.to(self._dtype)

    def step(self, state: ClusterState, generator: torch.Generator) -> ClusterState:
        """State after all clusters have been drawn and turned."""
        columns = state.spins.T.contiguous()
        n, chains = columns.shape
        if self._has_ghost:
            columns = torch.nn.functional.pad(columns, (0, 0, 0, 1), value=1)
        # Rows are gathered ten times as fast as entries of rows.
        first, second = [columns.index_select(0, end) for end in self._ends]
        agree = first.mul_(second).mul_(self._signs) > 0
        words = random_words((chains, len(first)), generator)
        bonds = (words < self._thresholds) & agree.T
        labels = _clusters(bonds, self._ends, len(columns))
        coins = (random_words((labels.numel(),), generator) < 0).to(torch.int8).mul_(2).sub_(1)
        turn = coins[labels].view(chains, len(columns)).T
        if self._has_ghost:
            turn = turn * turn[-1]
        return ClusterState((columns * turn)[:n].T)


def _clusters(bonds: Tensor, ends: Tensor, n: int) -> Tensor:
    """A number per cluster, below chains times n, for every spin of every chain, (chain * n,)."""
    if bonds.device.type == "cpu":
        return torch.from_numpy(_components(bonds.numpy(), ends.numpy(), n))
    chain, edge = bonds.nonzero(as_tuple=True)
    first, second = ends[0][edge] + chain * n, ends[1][edge] + chain * n
    return _spread(first, second, len(bonds) * n)


def _components(bonds: np.ndarray, ends: np.ndarray, n: int) -> np.ndarray:
    """Connected components of all chains as one graph of many pieces; edges sorted by ends."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    total = len(bonds) * n
    chain, edge = np.divmod(np.flatnonzero(bonds), bonds.shape[1])
    chain *= n
    first, second = ends[0].take(edge) + chain, ends[1].take(edge) + chain
    starts = np.zeros(total + 1, dtype=np.int32)
    np.cumsum(np.bincount(first, minlength=total), out=starts[1:])
    graph = csr_array((np.ones(len(first)), second.astype(np.int32), starts), (total, total))
    return connected_components(graph, directed=False)[1]


def _spread(first: Tensor, second: Tensor, total: int) -> Tensor:
    """Smallest number in every cluster: neighbours' labels, then labels of labels, until still."""
    labels = torch.arange(total, device=first.device)
    while True:
        a, b = labels[first], labels[second]
        low = torch.minimum(a, b)
        now = labels.scatter_reduce(0, a, low, "amin").scatter_reduce(0, b, low, "amin")
        now = now[now]
        if torch.equal(now, labels):
            return labels
        labels = now
