"""One round of messages in logarithms: any factors, any zeros, any weights, sums or maxima.

.. math:: m_{f \\to v}(x_v) \\propto \\sum_{x_{S_f \\setminus v}} \\phi_f(x_{S_f})
          \\prod_{u \\in S_f \\setminus v} \\frac{b_u(x_u)}{m_{f \\to u}(x_u)}, \\qquad
          b_v(x_v) = \\phi_v(x_v) \\prod_{f \\ni v} m_{f \\to v}(x_v)^{\\rho_f}
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from inference.approximate.factor_groups import FactorGroup, FactorGroups
from inference.logspace import log_normalize, logsumexp

__all__ = ["LogMessages", "Mode"]

Mode: TypeAlias = Literal["sum", "max"]


class LogMessages:
    """Messages from factors to variables, all in one array (B, M) of logarithms.

    Every message sums to one (its largest entry is one for maxima). A state to which any message
    gives zero is impossible, whatever else speaks for it: that keeps hard zeros exact, and the
    quotient above is never 0/0.

    Arguments:
        model: the arrays of the model.
        mode: whether messages sum or maximise.
        weights: for every group the exponents (F,) of its messages; None is one for all, which
            is belief propagation.

    Reference:
        Wainwright & Jordan 2008, eq. 4.16 (messages), 4.14 and theorem 4.2 (Bethe), 7.13 and
        section 7.2.1 (weights).
    """

    def __init__(
        self, model: FactorGroups, mode: Mode = "sum", weights: Sequence[Tensor] | None = None
    ) -> None:
        self.model = model
        self.mode: Mode = mode
        self._weights = weights
        device = model.log_nodes.device
        #: Iterations between two looks at the residual, at which the host waits for a GPU.
        self.check_every = 1 if device.type == "cpu" else 10
        self._spans: list[list[tuple[int, int]]] = []
        entries, messages = 0, 0
        for group in model.groups:
            spans = []
            for card in group.cards:
                size = card * len(group.scopes)
                spans.append((entries, entries + size))
                entries, messages = entries + size, messages + len(group.scopes)
            self._spans.append(spans)
        self.n_messages = messages

    # A faster form of messages may run instead; only the last beliefs need these then.

    @cached_property
    def _target(self) -> Tensor:
        """Place, among the states of all variables, of every entry of the messages."""
        offsets = self.model.offsets
        return self._joined([g.states(offsets, slot) for g, slot in self._slots()])

    @cached_property
    def _owner(self) -> Tensor:
        """Number of the message of every entry."""
        owners, first = [], 0
        for group, slot in self._slots():
            count = len(group.scopes)
            own = torch.arange(first, first + count, device=self.model.log_nodes.device)
            owners.append(own.repeat(group.cards[slot]))
            first += count
        return self._joined(owners)

    @cached_property
    def _exponent(self) -> Tensor | None:
        """Exponent of every entry's message."""
        if self._weights is None:
            return None
        parts = zip(self.model.groups, self._weights, strict=True)
        every = [weight.repeat(card) for group, weight in parts for card in group.cards]
        return torch.cat(every) if every else None

    def _slots(self) -> Iterator[tuple[FactorGroup, int]]:
        for group in self.model.groups:
            for slot in range(len(group.cards)):
                yield group, slot

    def _joined(self, parts: list[Tensor]) -> Tensor:
        empty = torch.zeros(0, dtype=torch.int64, device=self.model.log_nodes.device)
        return torch.cat([part.reshape(-1) for part in parts]) if parts else empty

    def start(self) -> Tensor:
        """Messages that say nothing."""
        parts = []
        for group, spans in zip(self.model.groups, self._spans, strict=True):
            for card, (first, last) in zip(group.cards, spans, strict=True):
                level = -math.log(card) if self.mode == "sum" else 0.0
                parts.append(self.model.log_nodes.new_full((self.model.rows, last - first), level))
        if not parts:
            return self.model.log_nodes.new_zeros((self.model.rows, 0))
        return torch.cat(parts, dim=1)

    def beliefs(self, messages: Tensor) -> Tensor:
        """What every variable is told in all, (B, S), not normalised."""
        heard = messages if self._exponent is None else messages * self._exponent
        target = self._target.expand(self.model.rows, -1)
        return self.model.log_nodes.expand(self.model.rows, -1).scatter_add(1, target, heard)

    def step(self, messages: Tensor) -> Tensor:
        """Every message anew, from the old ones."""
        cavity = self._cavity(self.beliefs(messages), messages)
        parts = []
        for group, spans in zip(self.model.groups, self._spans, strict=True):
            incoming = self._incoming(group, spans, cavity)
            for message in self._outgoing(group.log_tables, incoming, 0, len(incoming)):
                parts.append(self._normalized(message.flatten(1, -2)).flatten(1))
        return torch.cat(parts, dim=1) if parts else messages

    def change(self, new: Tensor, old: Tensor) -> Tensor:
        """Largest change of an entry of every message, (B, n_messages)."""
        gap = (new.detach().exp() - old.detach().exp()).abs()
        found = gap.new_zeros((len(gap), self.n_messages))
        return found.scatter_reduce(1, self._owner.expand(len(gap), -1), gap, "amax")

    def log_change(self, new: Tensor, old: Tensor) -> Tensor:
        """A quarter of the largest change of a logarithm, relative beyond one, (B, n_messages)."""
        new, old = new.detach(), old.detach()
        gap = (new - old).abs() / old.abs().clamp_min(1.0) / 4
        gap = gap.masked_fill(new == old, 0.0).masked_fill((new == -math.inf) & (old > new), 1.0)
        found = gap.new_zeros((len(gap), self.n_messages))
        return found.scatter_reduce(1, self._owner.expand(len(gap), -1), gap, "amax")

    def mix(self, new: Tensor, old: Tensor, damping: float) -> Tensor:
        """Geometric mean of new and old messages; a new zero stays a zero."""
        impossible = new == -math.inf
        mixed = torch.lerp(new.masked_fill(impossible, 0.0), old, damping)
        return mixed.masked_fill(impossible, -math.inf)

    def select(self, chosen: Tensor, new: Tensor, old: Tensor) -> Tensor:
        """The new message where it is chosen (B, n_messages), else the old one."""
        return torch.where(chosen[:, self._owner], new, old)

    def log_messages(self, state: Tensor) -> Tensor:
        """The messages as logarithms: themselves."""
        return state

    def log_partition(self, messages: Tensor) -> Tensor:
        """Value of the variational problem at the messages, (B,), nats.

        .. math:: c + \\sum_v \\log Z_v + \\sum_f \\rho_f
                  \\Bigl(\\log Z_f - \\sum_{v \\in S_f} \\log Z_v\\Bigr)

        where the Z are the sums of the unnormalised beliefs of variables and factors. At a fixed
        point it does not move with the messages, to first order.
        """
        belief = self.beliefs(messages)
        node = logsumexp(self.model.by_variable(belief), -1)
        cavity = self._cavity(belief, messages)
        impossible = (node == -math.inf).any(1)
        # An impossible row has nothing to add up; -inf would meet +inf.
        node = node.masked_fill(impossible[:, None], 0.0)
        total = self.model.log_constant + node.sum(1, dtype=torch.float64)
        for number, group in enumerate(self.model.groups):
            factor = group.log_tables
            # One axis at a time: every sum runs over a smaller table than the one before.
            for slot, told in enumerate(self._incoming(group, self._spans[number], cavity)):
                factor = logsumexp(factor + told, 1 + slot, keepdim=True)
            factor = factor.flatten(1)
            empty = factor == -math.inf
            impossible = impossible | empty.any(1)
            excess = factor.masked_fill(empty, 0.0) - node[:, group.scopes].sum(2)
            if self._weights is not None:
                excess = excess * self._weights[number]
            total = total + excess.sum(1, dtype=torch.float64)
        return total.masked_fill(impossible, -math.inf)

    def factor_beliefs(self, messages: Tensor) -> list[Tensor]:
        """For every group the log beliefs (B, q_1, ..., q_k, F), not normalised."""
        cavity = self._cavity(self.beliefs(messages), messages)
        return [
            sum(self._incoming(group, spans, cavity), group.log_tables)
            for group, spans in zip(self.model.groups, self._spans, strict=True)
        ]

    def _cavity(self, belief: Tensor, messages: Tensor) -> Tensor:
        """What the variable tells the factor: all it is told but for that factor's message."""
        told = belief.gather(1, self._target.expand(len(belief), -1))
        impossible = told == -math.inf
        spoken = messages.masked_fill(messages == -math.inf, 0.0)
        return (told.masked_fill(impossible, 0.0) - spoken).masked_fill(impossible, -math.inf)

    def _incoming(
        self, group: FactorGroup, spans: Sequence[tuple[int, int]], cavity: Tensor
    ) -> list[Tensor]:
        """For every slot (B, 1, ..., q, ..., 1, F), to be added to a table."""
        found = []
        for slot, (first, last) in enumerate(spans):
            shape = [1] * len(group.cards)
            shape[slot] = group.cards[slot]
            found.append(cavity[:, first:last].reshape(len(cavity), *shape, len(group.scopes)))
        return found

    def _outgoing(
        self, table: Tensor, incoming: Sequence[Tensor], first: int, last: int
    ) -> list[Tensor]:
        """Messages to the slots first to last, whose axes alone are left in the table.

        Halving shares the sums: two passes over a table, whatever the number of its axes.
        """
        if last - first == 1:
            return [table]
        middle = (first + last) // 2
        left, right = range(first, middle), range(middle, last)
        found = []
        for kept, dropped in ((left, right), (right, left)):
            total = sum([incoming[slot] for slot in dropped], table)
            axes = tuple([1 + slot for slot in dropped])
            reduced = logsumexp if self.mode == "sum" else torch.amax
            found += self._outgoing(reduced(total, axes, True), incoming, kept[0], kept[-1] + 1)
        return found

    def _normalized(self, message: Tensor) -> Tensor:
        if self.mode == "sum":
            return log_normalize(message, 1)
        peak = message.amax(1, keepdim=True)
        return (message - peak).masked_fill(peak == -math.inf, -math.inf)
