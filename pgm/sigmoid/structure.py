"""Units of a sigmoid belief network: their levels, and which of them may move together.

.. math:: \\log p(x) = \\sum_k \\log \\sigma\\bigl((2 x_k - 1)\\, a_k\\bigr), \\qquad
          a_k = b_k + \\sum_{i \\in \\pi(k)} w_{ik} x_i
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from inference.memory import require_memory
from inference.random import GeneratorLike, as_generator, bernoulli
from pgm.digraph import Digraph

__all__ = ["Block", "Level", "Parameters", "UnitGraph", "read_structure", "softplus"]

Index: TypeAlias = slice | Tensor


class Parameters(NamedTuple):
    """Weights (n, n), from row to column, and biases (n,)."""

    weights: Tensor
    bias: Tensor


class Level(NamedTuple):
    """Units whose parents are all in earlier levels, and these parents.

    ``mask`` (parents, units) is False where there is no arrow; None where every parent is one of
    every unit.
    """

    parents: Index
    units: Index
    mask: Tensor | None


class Block(NamedTuple):
    """Units of one colour and the arrows out of them.

    Arrow e goes from ``units[owner[e]]`` to ``child[e]``; no child occurs twice.
    """

    units: Tensor
    owner: Tensor
    child: Tensor


class UnitGraph:
    """A directed acyclic graph over binary units, without its numbers.

    Arguments:
        units: names.
        adjacency: (n, n) bool, True at (parent, child); acyclic.
        sizes: the layer sizes, top first, if that is how the graph was given.

    Example:
        >>> graph = read_structure([2, 1])
        >>> graph.units, len(graph.levels), [c.tolist() for c in graph.colours]
        (('0.0', '0.1', '1.0'), 2, [[0], [1], [2]])
    """

    def __init__(
        self, units: Sequence[str], adjacency: np.ndarray, sizes: tuple[int, ...] | None = None
    ) -> None:
        self.units = tuple(units)
        self.index = {name: k for k, name in enumerate(units)}
        self.adjacency = adjacency
        self.sizes = sizes
        self.levels = tuple(_levels(adjacency))

    @property
    def edges(self) -> list[tuple[str, str]]:
        """All (parent, child) pairs, in the order of the units."""
        tails, heads = np.nonzero(self.adjacency)
        return [(self.units[i], self.units[k]) for i, k in zip(tails, heads, strict=True)]

    @cached_property
    def colours(self) -> list[np.ndarray]:
        """Greedy colouring of the moral graph: units of one colour share no arrow and no child.

        Given all other units the units of one colour are therefore independent, and every child
        has at most one of them as a parent.

        Reference:
            Gonzalez et al. 2011, "Parallel Gibbs sampling", section 3.1.
        """
        arrows = self.adjacency.astype(np.float32)
        moral = self.adjacency | self.adjacency.T | (arrows @ arrows.T > 0)
        np.fill_diagonal(moral, False)
        colour = np.full(len(self.units), -1)
        for k in range(len(colour)):
            taken = np.zeros(colour.max() + 2, dtype=bool)
            known = colour[moral[k]]
            taken[known[known >= 0]] = True
            colour[k] = int(np.argmin(taken))
        return [np.flatnonzero(colour == c) for c in range(colour.max() + 1)]

    def blocks(self, free: Tensor) -> list[Block]:
        """The colours, without the units that are not ``free`` (n,), and their arrows."""
        allowed, found = free.cpu().numpy(), []
        for colour in self.colours:
            units = colour[allowed[colour]]
            if len(units):
                arrows = (units, *np.nonzero(self.adjacency[units]))
                found.append(Block(*[torch.from_numpy(a).to(free.device) for a in arrows]))
        return found

    def with_ancestors(self, seen: Tensor) -> Tensor:
        """The seen units of every row and all units above them, (rows, n) bool.

        All others drop out of the law of what is seen: summed over, bottom first, each is one.
        """
        arrows = torch.from_numpy(self.adjacency).to(seen.device, torch.float32)
        live = seen
        for _ in self.levels:
            live = seen | (live.float() @ arrows.T > 0)
        return live

    def log_prob(self, x: Tensor, parameters: Parameters, counted: Tensor | None = None) -> Tensor:
        """Log-probability of complete rows, nats; of the units in ``counted`` given their parents.

        Shapes:
            x: (..., n) zeros and ones. counted: (..., n) bool. result: (...).
        """
        total = x.new_zeros(x.shape[:-1])
        for level in self.levels:
            logits = _logits(level, x, parameters)
            terms = logsigmoid((2 * x[..., level.units] - 1) * logits)
            if counted is not None:
                terms = terms.masked_fill(~counted[..., level.units], 0.0)
            total = total + terms.sum(-1)
        return total

    def fill(
        self, x: Tensor, missing: Tensor, parameters: Parameters, *, generator: GeneratorLike
    ) -> Tensor:
        """Draw the missing entries level by level, each from its parents.

        .. math:: x_k \\sim p(x_k \\mid x_{\\pi(k)})

        Not the posterior: what is known below an entry does not count.
        """
        drawing = as_generator(generator, x.device)
        x = x.clone()
        with torch.no_grad():
            for level in self.levels:
                logits = _logits(level, x, parameters)
                drawn = bernoulli(torch.sigmoid(logits), generator=drawing)
                own = level.units
                x[..., own] = torch.where(missing[..., own], drawn, x[..., own])
        return x


def softplus(x: Tensor) -> Tensor:
    """Return log(1 + exp(x)) to full precision (torch's own leaves exp(-x) out above 20)."""
    return -logsigmoid(-x)


def read_structure(edges: Iterable, units: Iterable[str] | None = None) -> UnitGraph:
    """Build the graph from layer sizes or from (parent, child) pairs.

    Raises:
        TypeError: entries that are neither all whole numbers nor all pairs of names.
        ValueError: no unit, sizes below one, unknown or repeated names, a repeated pair, a cycle.
    """
    given = list(edges)
    names = None if units is None else _unit_names(units)
    if given and all([_is_whole(entry) for entry in given]):
        return _from_layers([int(size) for size in given], names)
    pairs = [_pair(entry) for entry in given]
    if names is None:
        names = list(dict.fromkeys([name for pair in pairs for name in pair]))
    if not names:
        raise ValueError("edges names no unit; give layer sizes, edges or units")
    _check_room(len(names))
    known = set(names)
    for pair in pairs:
        for name in pair:
            if name not in known:
                raise ValueError(f"edges: unknown unit {name!r} in {pair}; add it to units")
    parents = Digraph.from_edges(names, pairs).parents
    index = {name: k for k, name in enumerate(names)}
    adjacency = np.zeros((len(names), len(names)), dtype=bool)
    for name, above in parents.items():
        adjacency[[index[parent] for parent in above], index[name]] = True
    return UnitGraph(names, adjacency)


def _from_layers(sizes: list[int], names: list[str] | None) -> UnitGraph:
    """Layers, top first, each unit the child of all units of the layer above."""
    for place, size in enumerate(sizes):
        if size < 1:
            raise ValueError(f"layer sizes must be at least 1, found {size} at position {place}")
    total = sum(sizes)
    _check_room(total)
    if names is None:
        names = [f"{layer}.{i}" for layer, size in enumerate(sizes) for i in range(size)]
    if len(names) != total:
        raise ValueError(f"units must name the {total} units of all layers, found {len(names)}")
    adjacency = np.zeros((total, total), dtype=bool)
    ends = np.cumsum([0, *sizes])
    for above, below, end in zip(ends[:-2], ends[1:-1], ends[2:], strict=True):
        adjacency[above:below, below:end] = True
    return UnitGraph(names, adjacency, tuple(sizes))


def _unit_names(units: Iterable[str]) -> list[str]:
    names = [units] if isinstance(units, str) else list(units)
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"units must be names, found {name!r} of type {type(name).__name__}")
    if len(set(names)) < len(names):
        repeated = next(name for k, name in enumerate(names) if name in names[:k])
        raise ValueError(f"units must be distinct, found {repeated!r} twice")
    return names


def _pair(entry: object) -> tuple[str, str]:
    pair = tuple(entry) if isinstance(entry, (tuple, list)) else ()
    if len(pair) != 2 or not all([isinstance(name, str) for name in pair]):
        raise TypeError(
            "edges must be (parent, child) pairs of names, or be layer sizes (whole numbers), "
            f"found {entry!r}"
        )
    return pair


def _is_whole(entry: object) -> bool:
    return isinstance(entry, (int, np.integer)) and not isinstance(entry, bool)


def _check_room(n_units: int) -> None:
    """Refuse weights, and the mask of those that exist, that do not fit."""
    what = f"the matrix of weights between {n_units:,} units"
    require_memory((8 + 1) * n_units**2, what, "use fewer units")


def _levels(adjacency: np.ndarray) -> list[Level]:
    """Units by the length of the longest path that leads to them."""
    waiting, levels = adjacency.sum(0), []
    done = np.zeros(len(adjacency), dtype=bool)
    while not done.all():
        units = np.flatnonzero((waiting == 0) & ~done)
        parents = np.flatnonzero(adjacency[:, units].any(1))
        mask = adjacency[np.ix_(parents, units)]
        block_mask = None if mask.all() else torch.from_numpy(mask)
        levels.append(Level(_compact(parents), _compact(units), block_mask))
        done[units] = True
        waiting = waiting - adjacency[units].sum(0)
    return levels


def _compact(numbers: np.ndarray) -> Index:
    """A slice where the numbers are consecutive, so that indexing copies nothing."""
    if not len(numbers):
        return slice(0, 0)
    first, last = int(numbers[0]), int(numbers[-1])
    if last - first + 1 == len(numbers):
        return slice(first, last + 1)
    return torch.from_numpy(numbers)


def _logits(level: Level, x: Tensor, parameters: Parameters) -> Tensor:
    """Log-odds of the units of a level given their parents, (..., units)."""
    weights = parameters.weights[level.parents][:, level.units]
    if level.mask is not None:
        weights = torch.where(level.mask.to(x.device), weights, 0.0)
    return x[..., level.parents] @ weights + parameters.bias[level.units]
