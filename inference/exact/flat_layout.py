"""Index arrays of the flat program: where every kept table entry gathers from and sums into."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from inference.exact.bounds import SAFE_LOG
from inference.exact.plan import Group, Plan
from inference.exact.potentials import Potentials
from inference.exact.tree import JunctionTree

__all__ = ["FlatLayout", "Level", "flat_layout"]

#: Half the range of float64 exponents in nats, with a margin: tables are scaled to its middle.
HALF_RANGE = 640.0


@dataclass(frozen=True)
class Level:
    """The cliques of one depth: a slice of the entries and how they exchange messages.

    Arguments:
        start, stop: the slice of the entry vector.
        slots: per slot the message row that each of the first entries multiplies in.
        up: per entry the number of its separator entry within the level, or, for the roots, of
            its component.
        first_row, last_row: the message rows that this level sends.
        root: whether this is the level of the roots.
    """

    start: int
    stop: int
    slots: tuple[Tensor, ...]
    up: Tensor
    first_row: int
    last_row: int
    root: bool

    def to(self, device: torch.device) -> Level:
        """Copy the index arrays to a device."""
        slots = tuple([slot.to(device) for slot in self.slots])
        return Level(
            self.start,
            self.stop,
            slots,
            self.up.to(device),
            self.first_row,
            self.last_row,
            self.root,
        )


@dataclass(frozen=True)
class FlatLayout:
    """Everything a flat program knows before it sees evidence.

    Arguments:
        cards: number of possible states of every variable.
        levels: roots first.
        base: (entries,) product of the factors at each kept entry, scaled.
        rows: number of message rows: all states, then all separator entries.
        components: number of trees.
        log_scale: log of the constant to add to log Z.
        margin: nats to spare before a product of the upward pass could leave the float64 range.
    """

    cards: tuple[int, ...]
    levels: tuple[Level, ...]
    base: np.ndarray
    rows: int
    components: int
    log_scale: float
    margin: float

    @property
    def single_states(self) -> list[int]:
        """State rows of the variables that have one state only and are in no clique."""
        starts = np.cumsum([0, *self.cards])
        return [int(starts[v]) for v, card in enumerate(self.cards) if card == 1]

    @property
    def entries(self) -> int:
        """Number of kept table entries."""
        return len(self.base)

    @property
    def n_states(self) -> int:
        """Number of states of all variables together."""
        return sum(self.cards)

    @property
    def variable_of_state(self) -> np.ndarray:
        """The variable that each state row belongs to."""
        return np.repeat(np.arange(len(self.cards)), self.cards)


@dataclass
class _Clique:
    """One clique while the layout is built."""

    kept: np.ndarray
    digits: dict[int, np.ndarray]
    base: np.ndarray
    sources: list[np.ndarray]
    up: np.ndarray


def _rooted(tree: JunctionTree) -> tuple[list[int], list[int], list[int]]:
    """Re-root every component at its centre: (parents, depths, component numbers)."""
    count = len(tree.cliques)
    neighbours: list[list[int]] = [[] for _ in range(count)]
    for c, p in enumerate(tree.parents):
        if p >= 0:
            neighbours[c].append(p)
            neighbours[p].append(c)

    def search(start: int) -> tuple[list[int], dict[int, int]]:
        came = {start: -1}
        queue = [start]
        for c in queue:
            for k in neighbours[c]:
                if k not in came:
                    came[k] = c
                    queue.append(k)
        return queue, came

    parents, depths, component = [-1] * count, [0] * count, [-1] * count
    number = 0
    for c in range(count):
        if component[c] >= 0:
            continue
        far = search(c)[0][-1]
        queue, came = search(far)
        path = [queue[-1]]
        while came[path[-1]] >= 0:
            path.append(came[path[-1]])
        queue, came = search(path[len(path) // 2])
        for k in queue:
            component[k] = number
            parents[k] = came[k]
            depths[k] = 0 if came[k] < 0 else depths[came[k]] + 1
        number += 1
    return parents, depths, component


def _supports(group: Group, potentials: Potentials) -> list[np.ndarray]:
    """Per clique a boolean table of the entries that some assignment makes positive."""
    tree, structure = group.tree, potentials.structure
    axis = [{v: i for i, v in enumerate(clique)} for clique in tree.cliques]
    masks = [np.ones(shape, dtype=bool) for shape in tree.shapes]
    for f, c in group.homes:
        scope = structure.several_states(f)
        order = sorted(range(len(scope)), key=lambda i, c=c, scope=scope: axis[c][scope[i]])
        shape = [1] * len(axis[c])
        for v in scope:
            shape[axis[c][v]] = tree.shapes[c][axis[c][v]]
        table = potentials.tables[f].reshape([structure.cards[v] for v in scope])
        masks[c] &= (table > 0).transpose(order).reshape(shape)

    def frame(c: int) -> list[int]:
        above, separator = tree.parents[c], tree.cliques[c][tree.residuals[c] :]
        return [
            n if v in separator else 1
            for v, n in zip(tree.cliques[above], tree.shapes[above], strict=True)
        ]

    for c, above in enumerate(tree.parents):
        if above >= 0:
            seen = masks[c].any(axis=tuple(range(tree.residuals[c])))
            masks[above] &= seen.reshape(frame(c))
    for c in reversed(range(len(tree.cliques))):
        above = tree.parents[c]
        if above >= 0:
            shape = frame(c)
            dropped = tuple([i for i, n in enumerate(shape) if n != tree.shapes[above][i]])
            masks[c] &= (
                masks[above]
                .any(axis=dropped)
                .reshape([1] * tree.residuals[c] + list(tree.shapes[c][tree.residuals[c] :]))
            )
    return masks


def _code(digits: dict[int, np.ndarray], scope: Sequence[int], cards: Sequence[int]) -> np.ndarray:
    """Mixed-radix index of some variables' digits."""
    code = np.zeros(len(next(iter(digits.values()))), dtype=np.int64)
    for v in scope:
        code *= cards[v]
        code += digits[v]
    return code


def flat_layout(plan: Plan, potentials: Potentials) -> FlatLayout:
    """Lay out a tree over all variables for flat execution.

    Arguments:
        plan: a plan of one group, with nothing observed and every variable weighted.
        potentials: the tables.
    """
    (group,) = plan.groups
    tree, structure = group.tree, potentials.structure
    cards = structure.cards
    parents, depths, component = _rooted(tree)
    cliques = [_clique(tree, c, mask) for c, mask in enumerate(_supports(group, potentials))]
    for f, c in group.homes:
        scope = structure.several_states(f)
        values = potentials.tables[f].reshape(-1)
        cliques[c].base *= values.take(_code(cliques[c].digits, scope, cards))
    first_state = np.concatenate([[0], np.cumsum(cards)])
    for v, c in group.weights:
        cliques[c].sources.append(cliques[c].digits[v] + first_state[v])
    by_depth: list[list[int]] = [[] for _ in range(max(depths, default=-1) + 1)]
    for c, depth in enumerate(depths):
        by_depth[depth].append(c)
    row = int(first_state[-1])
    bounds = []
    for members in by_depth:
        bounds.append(row)
        for c in members:
            if parents[c] >= 0:
                row += _connect(tree, cliques, c, parents[c], cards, row)
            else:
                cliques[c].up = np.full(len(cliques[c].kept), component[c])
    bounds.append(row)
    log_scale, margin = _balance(tree, cliques)
    levels, parts, start = [], [], 0
    for depth, members in enumerate(by_depth):
        members = sorted(members, key=lambda c: -len(cliques[c].sources))
        level = _level([cliques[c] for c in members], start, bounds[depth], bounds[depth + 1])
        levels.append(level)
        parts += [cliques[c].base for c in members]
        start = level.stop
    base = np.concatenate(parts) if parts else np.zeros(0)
    scale = potentials.log_scale + log_scale
    for f in plan.constants:
        scale += potentials.log_entry(f, [0] * len(structure.scopes[f]))
    return FlatLayout(
        cards, tuple(levels), base, row, max(component, default=-1) + 1, scale, margin
    )


def _clique(tree: JunctionTree, c: int, mask: np.ndarray) -> _Clique:
    """Kept entries of a clique and the states of its variables at each."""
    kept = np.flatnonzero(mask)
    digits, stride = {}, 1
    for v, n in zip(reversed(tree.cliques[c]), reversed(tree.shapes[c]), strict=True):
        digits[v] = kept // stride % n
        stride *= n
    return _Clique(kept, digits, np.ones(len(kept)), [], np.zeros(0, dtype=np.int64))


def _connect(
    tree: JunctionTree,
    cliques: list[_Clique],
    child: int,
    parent: int,
    cards: Sequence[int],
    row: int,
) -> int:
    """Give the separator entries of an edge message rows from ``row`` on; return their number."""
    shared = set(tree.cliques[parent])
    scope = [v for v in tree.cliques[child] if v in shared]
    used, up = np.unique(_code(cliques[child].digits, scope, cards), return_inverse=True)
    cliques[child].up = up + row
    above = _code(cliques[parent].digits, scope, cards)
    cliques[parent].sources.append(np.searchsorted(used, above) + row)
    return len(used)


def _balance(tree: JunctionTree, cliques: list[_Clique]) -> tuple[float, float]:
    """Scale every table to the middle of the exponent range; return the log scale and margin."""
    log_scale = spread = growth = 0.0
    for c, clique in enumerate(cliques):
        if not len(clique.base):
            # No joint state is possible at all.
            return 0.0, -math.inf
        smallest = float(clique.base.min())
        if smallest < math.exp(SAFE_LOG):
            # The product of a clique's own factors has underflowed or lost digits already.
            return 0.0, -math.inf
        low, high = math.log(smallest), math.log(clique.base.max())
        middle = (low + high) / 2
        clique.base *= math.exp(-middle)
        log_scale += middle
        spread += (high - low) / 2
        growth += math.log(math.prod(tree.shapes[c][: tree.residuals[c]]))
    return log_scale, HALF_RANGE - spread - growth


def _level(cliques: list[_Clique], start: int, first_row: int, last_row: int) -> Level:
    """Join the cliques of one depth, those with most sources first."""
    count = max([len(k.sources) for k in cliques], default=0)
    slots = [
        torch.from_numpy(np.concatenate([k.sources[s] for k in cliques if len(k.sources) > s]))
        for s in range(count)
    ]
    root = first_row == last_row
    up = np.concatenate([k.up for k in cliques]) - (0 if root else first_row)
    stop = start + sum([len(k.kept) for k in cliques])
    return Level(start, stop, tuple(slots), torch.from_numpy(up), first_row, last_row, root)
