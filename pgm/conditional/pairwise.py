"""Tables of edges: learned weights per kind, or the output of a network.

.. math:: \\theta_{ij}(a, b; x) = w_k [a = b], \\qquad
          (w_k + v_k\\, e^{-\\beta \\lVert x_i - x_j \\rVert^2})\\, [a = b], \\qquad
          \\theta_k(a, b), \\qquad f(x)_{ij, ab}
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, get_args

import torch
from torch import Tensor, nn

from pgm.conditional.templates import GridTemplate, Layout, Template

__all__ = ["PairwiseForm", "edge_tables", "pairwise_module"]

PairwiseForm: TypeAlias = Literal["potts", "table", "contrast"]


class Potts(nn.Module):
    """A reward for equal states, one per kind of edge.

    Attributes:
        coupling: (n_kinds,), nats.
    """

    def __init__(self, n_states: int, n_kinds: int) -> None:
        super().__init__()
        self.n_states = n_states
        self.coupling = nn.Parameter(torch.zeros(n_kinds))

    def forward(self, x: Any, layout: Layout) -> Tensor:
        """Tables (E, K, K)."""
        same = torch.eye(self.n_states, dtype=self.coupling.dtype, device=self.coupling.device)
        return self.coupling[layout.kinds][:, None, None] * same


class Table(nn.Module):
    """One free table per kind of edge; its first axis is the edge's first node.

    Attributes:
        tables: (n_kinds, K, K), nats.
    """

    def __init__(self, n_states: int, n_kinds: int) -> None:
        super().__init__()
        self.tables = nn.Parameter(torch.zeros(n_kinds, n_states, n_states))

    def forward(self, x: Any, layout: Layout) -> Tensor:
        """Tables (E, K, K)."""
        return self.tables[layout.kinds]


class Contrast(nn.Module):
    """A reward for equal states that depends on how much the input changes along the edge.

    .. math:: \\beta = 1 / (2 \\overline{\\lVert x_i - x_j \\rVert^2})

    is found anew in every input, over all its edges.

    Attributes:
        coupling: (n_kinds,), what every edge gets, nats.
        contrast: (n_kinds,), what an edge without contrast gets besides, nats.

    Reference:
        Boykov & Jolly 2001, "Interactive graph cuts", section 2.4; Rother, Kolmogorov & Blake
        2004, "GrabCut", eq. 4 and 5.
    """

    def __init__(self, n_states: int, n_kinds: int) -> None:
        super().__init__()
        self.n_states = n_states
        self.coupling = nn.Parameter(torch.zeros(n_kinds))
        self.contrast = nn.Parameter(torch.zeros(n_kinds))

    def forward(self, x: Tensor, layout: Layout) -> Tensor:
        """Tables (B, E, K, K) for an input (B, C, *grid)."""
        if tuple(x.shape[2:]) != layout.shape:
            raise ValueError(
                f"pairwise='contrast' needs x of shape (B, C, {', '.join(map(str, layout.shape))})"
                f", as large as the labelling, found {tuple(x.shape)}"
            )
        values = x.flatten(2)
        first, second = values[..., layout.edges[:, 0]], values[..., layout.edges[:, 1]]
        square = (first - second).square().sum(1)
        mean = square.mean(1, keepdim=True)
        similar = torch.exp(-square / (2 * torch.where(mean > 0, mean, 1.0)))
        strength = self.coupling[layout.kinds] + self.contrast[layout.kinds] * similar
        same = torch.eye(self.n_states, dtype=strength.dtype, device=strength.device)
        return strength[..., None, None] * same


def pairwise_module(
    pairwise: nn.Module | PairwiseForm, template: Template, n_states: int
) -> nn.Module:
    """The module behind the argument ``pairwise``.

    Raises:
        TypeError, ValueError: if it is neither a module nor the name of a form, or the form does
            not fit the template.
    """
    if isinstance(pairwise, nn.Module):
        return pairwise
    if pairwise == "potts":
        return Potts(n_states, template.n_kinds)
    if pairwise == "table":
        return Table(n_states, template.n_kinds)
    if pairwise == "contrast":
        if not isinstance(template, GridTemplate):
            raise ValueError("pairwise='contrast' compares pixels, so it needs a GridTemplate")
        return Contrast(n_states, template.n_kinds)
    raise ValueError(
        f"pairwise must be a module or one of {get_args(PairwiseForm)}, found {pairwise!r}"
    )


def edge_tables(module: nn.Module, x: Any, layout: Layout, n_states: int) -> Tensor:
    """Log tables (E, K, K) or (B, E, K, K) of the edges, nats.

    A user's module sees the input alone. On a grid with M displacements it returns
    (B, M K K, *grid): at every node the tables, row by row, of the edges that begin there; what
    would leave the grid is not read. On a graph it returns (B, E, K, K).

    Raises:
        ValueError: if its output has another shape.
    """
    if isinstance(module, (Potts, Table, Contrast)):
        return module(x, layout)
    found, size = module(x), n_states * n_states
    if not layout.offsets:
        wanted: tuple[int, ...] = (len(layout.edges), n_states, n_states)
        if tuple(found.shape[1:]) != wanted:
            raise ValueError(
                f"pairwise must return (B, E, K, K) = (B, {', '.join(map(str, wanted))}), "
                f"found shape {tuple(found.shape)}"
            )
        return found
    wanted = (len(layout.offsets) * size, *layout.shape)
    if tuple(found.shape[1:]) != wanted:
        raise ValueError(
            f"pairwise must return (B, M K K, *grid) = (B, {', '.join(map(str, wanted))}) for "
            f"M = {len(layout.offsets)} displacements, found shape {tuple(found.shape)}"
        )
    by_node = found.reshape(len(found), len(layout.offsets), n_states, n_states, -1)
    return by_node[:, layout.kinds, :, :, layout.edges[:, 0]].transpose(0, 1)
