"""Messages of pairwise models as plain probabilities, states first and edges last.

.. math:: m_{u \\to v}(x_v) \\propto \\sum_{x_u} \\phi_{uv}(x_u, x_v)
          \\frac{b_u(x_u)}{m_{v \\to u}(x_u)}, \\qquad
          b_v(x_v) = \\phi_v(x_v) \\prod_u m_{u \\to v}(x_v)
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from inference.approximate.factor_groups import FactorGroups
from inference.approximate.log_messages import Mode
from inference.approximate.odds import SAFE
from inference.arrays import look_up

__all__ = ["LinearMessages"]

#: Edges whose tables are worked on at a time, so that they stay in the cache.
PIECE = 2048


class LinearMessages:
    """Messages (B, q, 2E): first those to the edges' first variables.

    The largest entry of a potential is scaled to one. An entry of a normalised message is then at
    least exp(-R) / q, where R is the range of the edge's log table, and no product leaves the
    range of floating-point numbers if range(log phi_v) + sum (R + log q) is below 80 (float32; 700
    in float64) at every variable. :meth:`fits` says whether that holds.

    Arguments:
        model: variables of equal cardinality and one group of pair factors.
        mode: whether messages sum or maximise.
        dtype: of the messages.

    Reference:
        Pearl 1988, "Probabilistic reasoning in intelligent systems", section 4.2.
    """

    #: Iterations between two looks at the residual.
    check_every = 10

    def __init__(self, model: FactorGroups, mode: Mode, dtype: torch.dtype) -> None:
        (group,) = model.groups
        self._mode = mode
        self._states = model.cards[0]
        nodes = model.log_nodes.detach().unflatten(-1, (-1, self._states))
        nodes = (nodes - nodes.amax(-1, keepdim=True)).exp().to(dtype)
        # States before variables, so that what is gathered of one state lies close together.
        self._nodes = nodes.transpose(1, 2).contiguous()
        self._tables = _scaled(group.log_tables.detach().to(dtype))
        self._receivers = group.scopes.T.reshape(-1)
        shape = (model.rows, self._states, len(self._receivers))
        self._buffers = [self._nodes.new_empty(shape) for _ in range(2)]
        self._cavity = self._nodes.new_empty(shape)

    @staticmethod
    def fits(model: FactorGroups, dtype: torch.dtype) -> bool:
        """Whether the model is pairwise, without hard zeros, and within the range."""
        cards = set(model.cards)
        if len(cards) != 1 or [g.cards for g in model.groups] != [tuple(cards) * 2]:
            return False
        (q,) = cards
        (group,) = model.groups
        nodes = model.log_nodes.detach().unflatten(-1, (-1, q))
        reach = (nodes.amax(-1) - nodes.amin(-1)).expand(model.rows, -1)
        tables = group.log_tables.detach()
        span = tables.amax((1, 2)) - tables.amin((1, 2)) + math.log(q)
        for receivers in group.scopes.unbind(1):
            reach = reach.index_add(1, receivers, span.expand(model.rows, -1))
        return bool((reach < SAFE[dtype]).all())

    def start(self) -> Tensor:
        """Messages that say nothing."""
        return self._buffers[0].fill_(1.0 / self._states)

    def step(self, messages: Tensor) -> Tensor:
        """Every message anew, in memory that the step after the next will use again."""
        out = self._buffers[messages is self._buffers[0]]
        receivers = self._receivers.expand(messages.shape)
        nodes = self._nodes.expand(len(messages), -1, -1)
        beliefs = nodes.scatter_reduce(2, receivers, messages, "prod")
        look_up(beliefs, self._receivers, self._cavity)
        sent, new = self._by_end(self._cavity.div_(messages)), self._by_end(out)
        for slot in (0, 1):
            for state in range(self._states):
                table = self._tables.select(2 - slot, state)
                self._add(new[:, :, slot], table, sent[:, state, None, 1 - slot], state == 0)
        return out.div_(out.sum(1, keepdim=True))

    def mix(self, new: Tensor, old: Tensor, damping: float) -> Tensor:
        """Average of new and old messages."""
        return new.lerp_(old, damping)

    def change(self, new: Tensor, old: Tensor) -> Tensor:
        """Largest change of an entry of every message, (B, 2E)."""
        return (new - old).abs_().amax(1)

    def log_change(self, new: Tensor, old: Tensor) -> Tensor:
        """A quarter of the largest relative change of an entry, (B, 2E)."""
        return ((new - old).abs_() / torch.maximum(new, old) / 4).amax(1)

    def select(self, chosen: Tensor, new: Tensor, old: Tensor) -> Tensor:
        """The new message where it is chosen (B, 2E), else the old one."""
        return torch.where(chosen[:, None], new, old)

    def log_messages(self, state: Tensor) -> Tensor:
        """The messages as logarithms, in the order of :class:`LogMessages`."""
        return self._by_end(state).transpose(1, 2).log().flatten(1)

    def _by_end(self, messages: Tensor) -> Tensor:
        """Messages (B, q, 2, E), apart by the end of the edge that receives them."""
        return messages.unflatten(2, (2, len(self._receivers) // 2))

    def _add(self, out: Tensor, table: Tensor, cavity: Tensor, first: bool) -> None:
        """Add, or take the maximum with, one state's share of the messages."""
        if first:
            torch.mul(table, cavity, out=out)
        elif self._mode == "sum":
            out.addcmul_(table, cavity)
        else:
            torch.maximum(out, table * cavity, out=out)


def _scaled(logs: Tensor) -> Tensor:
    """Exponentials of log tables (B, q, q, E), every table's largest entry one."""
    out = torch.empty_like(logs)
    for first in range(0, logs.shape[-1], PIECE):
        piece, place = logs[..., first : first + PIECE], out[..., first : first + PIECE]
        torch.sub(piece, piece.amax((1, 2), keepdim=True), out=place)
        place.exp_()
    return out
