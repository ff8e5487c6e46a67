"""What learning a neural energy remembers between steps besides the model, for checkpoints.

.. math:: (x^{(c)}_t, \\epsilon_t, \\log Z_t) \\to t + 1
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from energy.neural.noise_contrastive import Normalizer
from energy.neural.persistent import PersistentChains
from energy.neural.training import Loss
from inference.learning.callbacks import Callback
from inference.parallel import Team

__all__ = ["Memory"]


class Memory(Callback):
    """Chains of all parts, the step sizes they have come to, and log Z as it is learned.

    Arguments:
        losses: of all parts, some of which may have chains.
        team: who shares the parts.
        normalizer: of noise-contrastive learning.
    """

    def __init__(self, losses: Sequence[Loss], team: Team, normalizer: Normalizer) -> None:
        chains = {part: x for part, x in enumerate(losses) if isinstance(x, PersistentChains)}
        self._own = [chains[part] for part in team.own if part in chains]
        self._team, self._normalizer = team, normalizer

    def after_epoch(self, model: nn.Module, figures: dict[str, Any]) -> bool:
        """Nothing; never stop."""
        return False

    def memory(self) -> dict[str, Tensor]:
        """Tensors of all parts."""
        found = {"risen": self._normalizer.risen.detach()}
        if self._own:
            chains = self._team.gather([x.chains for x in self._own])
            sizes = self._team.gather([x.step_size[None] for x in self._own])
            for part, (x, size) in enumerate(zip(chains, sizes, strict=True)):
                found |= {f"{part}.chains": x, f"{part}.step_size": size[0]}
        return found

    @torch.no_grad()
    def recall(self, memory: Mapping[str, Tensor]) -> None:
        """Take over what ``memory`` returned."""
        self._normalizer.risen.copy_(memory["risen"])
        for part, own in zip(self._team.own, self._own, strict=bool(self._own)):
            own.chains = memory[f"{part}.chains"]
            own.step_size = memory[f"{part}.step_size"]
