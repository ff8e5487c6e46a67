"""Gradients of a batch that is cut in parts, which processes share.

.. math:: \\nabla L = \\sum_p \\frac{B_p}{B}\\, \\nabla L(x_p, u_p)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from inference.parallel import Team, part_seed

__all__ = ["PartedGradient", "Scored", "seed_layers"]

#: A loss (), and figures () by name for the history.
Scored: TypeAlias = tuple[Tensor, Mapping[str, Tensor]]


class PartedGradient:
    """Leaves the gradient of a loss at parameters, by parts of a batch.

    The loss of a batch is the mean of those of its parts by their rows, each with draws of its
    own. What is nonlinear in the mean of a batch (batch normalisation, features of minibatches)
    is so in that of a part. Buffers that change on the way (running means, vectors of spectral
    norms) start in every part from what they were before the step, and become the mean of what
    the parts make of them: none knows in which order, or where, parts were done.

    Arguments:
        team: who shares the parts.
        model: whose buffers may change.
        key: from which the draws follow.

    Reference:
        Li et al. 2020, "PyTorch distributed: experiences on accelerating data parallel training",
        section 3.
    """

    def __init__(self, team: Team, model: nn.Module, key: int) -> None:
        self.team, self.key = team, key
        self._model = model

    def __call__(
        self,
        loss: Callable[[int, Any, torch.Generator], Scored],
        parameters: Sequence[nn.Parameter],
        batch: Any,
        turn: int,
    ) -> Scored:
        """Loss and figures of a whole batch, which are the same on every process.

        Arguments:
            loss: of a part, its rows and a generator.
            parameters: get the gradient, one that is zero where the loss does not reach them.
            batch: rows (B, ...), or a tuple of such tensors.
            turn: number of the step, from which the draws follow.
        """
        team = self.team
        parts = batch if isinstance(batch, tuple) else (batch,)
        cuts = team.slices(len(parts[0]))
        source = torch.Generator(parts[0].device)
        buffers = [x for x in self._model.buffers() if x.dtype != torch.bool]
        begun = [x.clone() for x in buffers]
        changes = [torch.zeros_like(x) for x in buffers]
        totals: dict[str, Tensor] = {}
        for part in team.own:
            cut, share = cuts[part], (cuts[part].stop - cuts[part].start) / len(parts[0])
            rows = tuple([x[cut] for x in parts]) if isinstance(batch, tuple) else batch[cut]
            seed = part_seed(self.key, turn * team.parts + part)
            seed_layers(seed, source.device)
            value, figures = loss(part, rows, source.manual_seed(seed))
            (value * share).backward(inputs=list(parameters))
            for x, first, change in zip(buffers, begun, changes, strict=True):
                # What stays as it was, infinite or not, is left exactly as it was.
                own = torch.where(x == first, 0, x - first)
                change += own * share if x.is_floating_point() else own
                x.copy_(first)
            for name, x in {"": value, **figures}.items():
                own = x.detach() * share
                totals[name] = totals[name] + own if name in totals else own
        for x in parameters:
            if x.grad is None:
                x.grad = torch.zeros_like(x)
        gradients = [x.grad for x in parameters if x.grad is not None]
        team.sum([*gradients, *totals.values(), *changes])
        for x, change in zip(buffers, changes, strict=True):
            # Of whole numbers, which are counts, all parts make the same.
            x += change if x.is_floating_point() else change // team.parts
        return totals.pop(""), totals


def seed_layers(seed: int, device: torch.device) -> None:
    """Layers that draw from torch's global generator, such as dropout, draw as a seed says."""
    # Not torch.manual_seed: it keeps a note, for good, for every kind of device there is not.
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)
