"""Expected log potentials under a law that factorises, and the fields they exert.

.. math:: \\eta_v(x_v) = \\theta_v(x_v) + \\sum_{f \\ni v} \\sum_{x_{S_f \\setminus v}}
          \\Bigl(\\prod_{u \\in S_f \\setminus v} q_u(x_u)\\Bigr) \\log \\phi_f(x_{S_f})
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from inference.approximate.factor_groups import FactorGroup, FactorGroups
from inference.arrays import look_up

__all__ = ["ExpectedLogs", "best_laws"]

#: States whose lost masses agree to rounding are equally bad.
TIE = 1 + 1e-9


@dataclass(frozen=True)
class _Piece:
    """The factors of a group that meet a colour in one slot.

    Attributes:
        tables: (B or 1, q, *others, F), the slot's axis first.
        zeros: their hard zeros as ones, or None if there are none.
        target: (q, F) places of the slot's states.
        others: for every other slot the places (q', F).
    """

    tables: Tensor
    zeros: Tensor | None
    target: Tensor
    others: tuple[Tensor, ...]


class ExpectedLogs:
    """Fields on the variables of a colour, and expectations of the whole log weight.

    The logarithm of a hard zero is minus infinity times its probability. It is kept apart as that
    probability, the *lost mass*: a law is possible only if it loses none.

    Arguments:
        model: the arrays of the model.
        colors: (V,) colour of every variable; no two of a colour may share a factor.

    Shapes:
        laws q, everywhere: (..., B, S), one distribution after the other.
    """

    def __init__(self, model: FactorGroups, colors: np.ndarray) -> None:
        self.model = model
        self.n_colors = int(colors.max(initial=-1)) + 1
        self._nodes, self._node_zeros = _parts(model.log_nodes)
        color = torch.from_numpy(colors).to(model.log_nodes.device)
        self._pieces: list[list[_Piece]] = [[] for _ in range(self.n_colors)]
        self._variables = [(color == c).nonzero().squeeze(1) for c in range(self.n_colors)]
        for group in model.groups:
            for slot in range(len(group.cards)):
                own = color[group.scopes[:, slot]]
                for c in own.unique().tolist():
                    picked = (own == c).nonzero().squeeze(1)
                    self._pieces[c].append(_piece(model, group, slot, picked))

    def fields(self, color: int, q: Tensor) -> tuple[Tensor, Tensor]:
        """Field and lost mass (..., B, S); right at the places of the colour's variables."""
        field, lost = self._nodes, self._node_zeros
        shape = q.shape
        field, lost = field.expand(shape).clone(), lost.expand(shape).clone()
        for piece in self._pieces[color]:
            place = piece.target.reshape(-1).expand(*shape[:-1], -1)
            told = _contract(piece.tables, [q[..., other] for other in piece.others])
            field = field.scatter_add(-1, place, told.flatten(-2))
            if piece.zeros is not None:
                told = _contract(piece.zeros, [q[..., other] for other in piece.others])
                lost = lost.scatter_add(-1, place, told.flatten(-2))
        return field, lost

    def renewed(self, color: int, q: Tensor) -> Tensor:
        """The laws with every variable of a colour at its best given the others."""
        places = self.model.places[self._variables[color]]
        laws = best_laws(*self.fields(color, q), places)
        inside = places < q.shape[-1]
        return q.index_copy(-1, places[inside], laws[..., inside])

    def expectation(self, q: Tensor) -> tuple[Tensor, Tensor]:
        """Expected log weight and lost mass, (..., B); differentiable in the model."""
        nodes, zeros = _parts(self.model.log_nodes)
        total = self.model.log_constant + (q * nodes).sum(-1)
        lost = (q * zeros).sum(-1)
        for group in self.model.groups:
            tables, zeros = _parts(group.log_tables)
            laws = [q[..., group.states(self.model.offsets, s)] for s in range(len(group.cards))]
            told = _contract(tables, laws[1:])
            total = total + (told * laws[0]).sum((-1, -2))
            if bool(zeros.any()):
                lost = lost + (_contract(zeros, laws[1:]) * laws[0]).sum((-1, -2))
        return total, lost


def best_laws(field: Tensor, lost: Tensor, places: Tensor) -> Tensor:
    """Laws of single variables in given fields, the limit of hard zeros turned soft.

    .. math:: q_v(x) \\propto e^{\\eta_v(x)} \\text{ where the lost mass is least}

    Arguments:
        field: of every state.
        lost: lost mass of every state.
        places: states of the variables asked for; S beyond a variable's last.

    Shapes:
        field, lost: (..., S). places: (V, q). result: (..., V, q).
    """
    end = (*field.shape[:-1], 1)
    mass = torch.cat([lost, lost.new_full(end, torch.inf)], dim=-1)[..., places]
    logits = torch.cat([field, field.new_zeros(end)], dim=-1)[..., places]
    worse = mass > TIE * mass.amin(-1, keepdim=True)
    return logits.masked_fill(worse, -torch.inf).softmax(-1)


def _parts(logs: Tensor) -> tuple[Tensor, Tensor]:
    """Finite logarithms, with zero in place of -inf, and ones where that was."""
    zero = logs == -torch.inf
    return logs.masked_fill(zero, 0.0), zero.to(logs.dtype)


def _piece(model: FactorGroups, group: FactorGroup, slot: int, picked: Tensor) -> _Piece:
    """The factors picked from a group, seen from one slot."""
    logs = group.log_tables.detach()
    tables = logs.new_empty((*logs.shape[:-1], len(picked)))
    look_up(logs, picked, tables)
    finite, zeros = _parts(tables.movedim(1 + slot, 1))
    others = [
        group.states(model.offsets, other)[:, picked]
        for other in range(len(group.cards))
        if other != slot
    ]
    target = group.states(model.offsets, slot)[:, picked]
    return _Piece(finite, zeros if bool(zeros.any()) else None, target, tuple(others))


def _contract(tables: Tensor, laws: list[Tensor]) -> Tensor:
    """Average tables (B, q, *others, F) over the laws (..., B, q', F) of the other axes."""
    found = tables
    for count, law in enumerate(reversed(laws)):
        kept = len(laws) - count  # axes between the batch and the one that is averaged over
        spread = law.reshape(*law.shape[:-2], *[1] * kept, *law.shape[-2:])
        found = (found * spread).sum(-2)
    return found
