"""Chains and batches that are cut in parts, which processes share.

.. math:: \\langle v h^\\top \\rangle = \\frac1B \\sum_p \\sum_{i \\in p} v_i h_i^\\top
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from energy.rbm.chains import Chains, Phases, chains_of
from energy.rbm.layers import Layers
from energy.rbm.settings import Settings
from inference.parallel import Team, draw_key, part_seed

__all__ = ["PartedChains", "team_of"]


class PartedChains(Chains):
    """Chains of own parts, and the parts of the data that they are compared with.

    Arguments:
        team: who shares the parts.
        own: chains of own parts.
        total: chains of all parts, 0 for as many as there are rows in a batch.
        draw_data: rows are means, of which units are drawn.
        key: from which the draws follow.
    """

    def __init__(
        self, team: Team, own: Sequence[Chains], total: int, draw_data: bool, key: int
    ) -> None:
        self.team = team
        self._own, self._total, self._draw_data, self._key = own, total, draw_data, key

    @classmethod
    def of(
        cls, settings: Settings, layers: Layers, generator: torch.Generator, team: Team
    ) -> PartedChains:
        """Chains as the settings say; first those of all parts, so that draws are the same."""
        counts = team.counts(settings.chains)
        parts = [chains_of(replace(settings, chains=n), layers, generator) for n in counts]
        own = parts[team.own.start : team.own.stop]
        total = 0 if settings.method == "cd" else settings.chains
        return cls(team, own, total, settings.draw_data, draw_key(generator))

    def phases(
        self, layers: Layers, batch: Tensor, taken: int, generator: torch.Generator
    ) -> Phases:
        """Phases of own parts; see ``Chains.phases``. The draws are those of the parts."""
        cuts = self.team.slices(len(batch))
        data, chains = [], []
        for part, own in zip(self.team.own, self._own, strict=True):
            rows, seed = batch[cuts[part]], part_seed(self._key, taken * self.team.parts + part)
            source = torch.Generator(batch.device).manual_seed(seed)
            if self._draw_data:
                rows = layers.visible.sample(rows.logit(), source)
            found = own.phases(layers, rows, taken, source)
            data.append(Phases(*[x[: len(rows)] for x in found]))
            chains.append(Phases(*[x[len(rows) :] for x in found]))
        return Phases(*[torch.cat(x) for x in zip(*data, *chains, strict=True)])

    def sizes(self, batch: int) -> tuple[int, int, int]:
        """Rows of own parts of a batch; rows and chains of all parts."""
        cuts = self.team.slices(batch)
        mine = cuts[self.team.own.stop - 1].stop - cuts[self.team.own.start].start
        return mine, batch, self._total or batch

    def mean(self, chains: Tensor) -> Tensor:
        """Means over the chains of all parts, (n,), from those of own parts, (chain, n)."""
        own = chains.tensor_split(len(self._own))
        return torch.cat(self.team.gather(own)).mean(0)

    def memory(self) -> dict[str, Tensor]:
        """Where the chains of all parts are, and the key."""
        own = [x.memory() for x in self._own]
        found = {"key": torch.tensor(self._key)}
        for name in own[0]:
            parts = self.team.gather([x[name] for x in own])
            found |= {f"{part}.{name}": x for part, x in enumerate(parts)}
        return found

    def recall(self, memory: Mapping[str, Tensor]) -> None:
        """Go to where the chains of own parts were."""
        self._key = int(memory["key"])
        for part, own in zip(self.team.own, self._own, strict=True):
            start = f"{part}."
            own.recall({k[len(start) :]: x for k, x in memory.items() if k.startswith(start)})


def team_of(
    settings: Settings, rows: Tensor, parameters: Sequence[Tensor], generator: torch.Generator
) -> Team:
    """Processes that begin alike: with the same rows, and the first one's numbers and draws.

    Raises:
        ValueError: too many parts or too few, rows that are not the same in every process.
    """
    team = Team(settings.parts)
    team.check("rows of a batch", min(settings.batch_size, len(rows)))
    if settings.method != "cd":
        team.check("chains", settings.chains)
    team.agree("data", [rows])
    team.follow_first(parameters, generator)
    return team
