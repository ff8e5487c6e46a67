"""Messages of binary pairwise models as odds: products and quotients, no logarithm at all.

.. math:: b_v = e^{2 h_v} \\prod_u r_{u \\to v}, \\qquad e = \\frac{b_u}{r_{v \\to u}}, \\qquad
          r_{u \\to v} = \\frac{1 + e\\, a_{uv}}{e + a_{uv}}, \\qquad a_{uv} = e^{2 J_{uv}}
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from inference.approximate.factor_groups import FactorGroups
from inference.approximate.log_messages import Mode

__all__ = ["EdgeList", "GridPlanes", "Neighborhood", "OddsMessages"]

#: Largest logarithm that a product may reach: exp overflows at 88.7, or 709.8 in float64.
SAFE = {torch.float32: 80.0, torch.float64: 700.0}


class Neighborhood(Protocol):
    """How the messages of edges meet at variables."""

    def cavities(self, odds: Tensor, messages: Tensor, out: Tensor) -> None:
        """Write the odds (B, 2, E) of every receiver without the message it receives."""
        ...


class EdgeList:
    """Any graph.

    Arguments:
        edges: (E, 2) variable numbers.
    """

    def __init__(self, edges: Tensor) -> None:
        self._receivers = edges.T.reshape(1, -1)

    def cavities(self, odds: Tensor, messages: Tensor, out: Tensor) -> None:
        """Multiply by scattering, divide by gathering."""
        receivers = self._receivers.expand(len(messages), -1)
        flat = messages.flatten(1)
        beliefs = odds.expand(len(messages), -1).scatter_reduce(1, receivers, flat, "prod")
        torch.gather(beliefs, 1, receivers, out=out.flatten(1))
        out.div_(messages)


class GridPlanes:
    """A grid whose edges come as :meth:`IsingGrid.edges` lists them: four planes of messages.

    Arguments:
        height: rows of the grid.
        width: columns of the grid.
    """

    def __init__(self, height: int, width: int) -> None:
        self._shape = (height, width)

    def cavities(self, odds: Tensor, messages: Tensor, out: Tensor) -> None:
        """Multiply and divide planes shifted by one."""
        beliefs = odds.reshape(-1, *self._shape).expand(len(messages), -1, -1).clone()
        ends = (beliefs[:, :, :-1], beliefs[:, :-1], beliefs[:, :, 1:], beliefs[:, 1:])
        planes = self._planes(messages)
        for end, plane in zip(ends, planes, strict=True):
            end.mul_(plane)
        for end, plane, result in zip(ends, planes, self._planes(out), strict=True):
            torch.div(end, plane, out=result)

    def _planes(self, messages: Tensor) -> list[Tensor]:
        """Messages to the left, up, to the right and down, as planes."""
        height, width = self._shape
        across = height * (width - 1)
        found = []
        for half in (messages[:, 0], messages[:, 1]):
            found.append(half[:, :across].view(len(half), height, width - 1))
            found.append(half[:, across:].view(len(half), height - 1, width))
        return found


class OddsMessages:
    """Messages (B, 2, E): the odds of state 1, first those to the edges' first variables.

    Every message lies between ``exp(-2|J|)`` and ``exp(2|J|)``, so that no product leaves the
    range of floating-point numbers if ``2|h| + 2 sum |J|`` is below 80 (float32; 700 in float64)
    at every variable. :meth:`fits` says whether that holds.

    Arguments:
        model: binary variables and one group of pair factors.
        mode: whether messages sum or maximise.
        dtype: of the messages.
        neighborhood: how messages meet.

    Reference:
        Mooij & Kappen 2007, "Sufficient conditions for convergence of the sum-product algorithm",
        section II-C (binary pairwise messages), in odds instead of hyperbolic tangents.
    """

    #: Iterations between two looks at the residual, which costs more than an iteration.
    check_every = 10

    def __init__(
        self, model: FactorGroups, mode: Mode, dtype: torch.dtype, neighborhood: Neighborhood
    ) -> None:
        self._mode = mode
        self._neighborhood = neighborhood
        field, coupling, tilt = _ising(model)
        # What a table says about each variable alone sits in the field here, and belongs to the
        # message of the general form.
        self._tilt = tilt.to(dtype)
        self._odds = (2 * field).exp().to(dtype)
        self._factor = (2 * coupling).exp().to(dtype)
        shape = (model.rows, 2, coupling.shape[1])
        self._buffers = [self._odds.new_ones(shape) for _ in range(2)]
        self._cavity = self._odds.new_empty(shape)
        self._scratch = self._odds.new_empty((model.rows, shape[2]))

    @staticmethod
    def fits(model: FactorGroups, dtype: torch.dtype) -> bool:
        """Whether the model is binary and pairwise, without hard zeros, and within the range."""
        if set(model.cards) != {2} or [g.cards for g in model.groups] != [(2, 2)]:
            return False
        field, coupling, _ = _ising(model)
        reach = 2 * field.abs().expand(model.rows, -1)
        for receivers in model.groups[0].scopes.unbind(1):
            reach = reach.index_add(1, receivers, 2 * coupling.abs().expand(model.rows, -1))
        return bool((reach < SAFE[dtype]).all())

    def start(self) -> Tensor:
        """Messages that say nothing."""
        return self._buffers[0].fill_(1.0)

    def step(self, messages: Tensor) -> Tensor:
        """Every message anew, in memory that the step after the next will use again."""
        out = self._buffers[messages is self._buffers[0]]
        self._neighborhood.cavities(self._odds, messages, self._cavity)
        for half in (0, 1):
            cavity = self._cavity[:, 1 - half]
            torch.mul(cavity, self._factor, out=self._scratch)
            if self._mode == "sum":
                self._scratch.add_(1.0)
                cavity.add_(self._factor)
            else:
                self._scratch.clamp_(min=1.0)
                torch.maximum(cavity, self._factor, out=cavity)
            torch.div(self._scratch, cavity, out=out[:, half])
        return out

    def mix(self, new: Tensor, old: Tensor, damping: float) -> Tensor:
        """Average of new and old odds."""
        return new.lerp_(old, damping)

    def change(self, new: Tensor, old: Tensor) -> Tensor:
        """Change of every message as a probability, (B, 2E)."""
        return ((new - old).abs() / ((1 + new) * (1 + old))).flatten(1)

    def log_change(self, new: Tensor, old: Tensor) -> Tensor:
        """A quarter of the relative change, (B, 2E): that as a probability where odds are even."""
        return ((new - old).abs() / torch.maximum(new, old) / 4).flatten(1)

    def select(self, chosen: Tensor, new: Tensor, old: Tensor) -> Tensor:
        """The new message where it is chosen (B, 2E), else the old one."""
        return torch.where(chosen.view_as(new), new, old)

    def log_messages(self, state: Tensor) -> Tensor:
        """The messages as logarithms, in the order of :class:`LogMessages`."""
        half = 0.5 * state.log() + self._tilt
        return torch.stack([-half, half], dim=2).flatten(1)


def _ising(model: FactorGroups) -> tuple[Tensor, Tensor, Tensor]:
    """Fields (B or 1, V), couplings (B or 1, E) of spins that make the same law.

    The third part is each table's share (B or 1, 2, E) in the fields of its two variables.
    """
    (group,) = model.groups
    t00, t01, t10, t11 = group.log_tables.detach().flatten(1, 2).unbind(1)
    nodes = model.log_nodes.detach().unflatten(-1, (-1, 2))
    field = 0.5 * (nodes[..., 1] - nodes[..., 0])
    tilt = 0.25 * torch.stack([t10 + t11 - t00 - t01, t01 + t11 - t00 - t10], dim=1)
    rows = max(len(field), len(tilt))
    field = field.expand(rows, -1)
    for slot, receivers in enumerate(group.scopes.unbind(1)):
        field = field.index_add(1, receivers, tilt[:, slot].expand(rows, -1))
    return field, 0.25 * (t00 + t11 - t01 - t10), tilt
