"""Learning the network of an energy in steps on mini-batches, and what goes on beside it.

.. math:: \\theta_{t+1} = \\theta_t - \\eta_t\\, u(\\nabla_\\theta L_t(\\theta_t))
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from energy.neural.memory import Memory
from energy.neural.noise_contrastive import Normalizer
from energy.neural.objectives import loss_of
from energy.neural.score_matching import Energy
from energy.neural.training import Settings
from inference.learning.checkpoint import fingerprint
from inference.learning.descent import Player, descend
from inference.learning.optimization import Optimization
from inference.learning.parted_gradient import Scored
from inference.learning.schedule import Schedule
from inference.parallel import Team
from inference.sampling.continuous_law import Base, NormalBase
from inference.sampling.metropolis import ContinuousKernel

__all__ = ["Lesson"]


@dataclass(frozen=True, eq=False)
class Lesson:
    """How a network is learned.

    Arguments:
        settings: the method and its numbers.
        optimization: how gradients become steps.
        team: who shares the parts; one alone without them.

    Raises:
        ValueError: fewer chains than parts.
    """

    settings: Settings
    optimization: Optimization
    team: Team

    @classmethod
    def of(cls, settings: Settings, optimization: Optimization | None) -> Lesson:
        """A lesson for the processes there are."""
        found = Optimization() if optimization is None else optimization
        team = Team.alone() if found.parts is None else Team(found.parts)
        if settings.method == "persistent":
            team.check("chains", settings.chains)
        return cls(settings, found, team)

    def learn(
        self,
        model: nn.Module,
        learned: Sequence[nn.Parameter],
        energies: tuple[Energy, Energy],
        kernel: ContinuousKernel,
        base: NormalBase,
        noise: Base | None,
        rows: Tensor,
        generator: torch.Generator,
        *,
        about: Mapping[str, Any],
        checkpoint: str | os.PathLike[str] | None,
        progress: bool | None,
    ) -> tuple[list[dict[str, Any]], Tensor | None]:
        """Change parameters in place; what happened in every epoch, and log Z if it was learned.

        Arguments:
            model: whose state is learned.
            learned: its parameters.
            energies: what is learned, and its part with parameters.
            kernel: of chains.
            base: where chains begin.
            noise: what data are told from; None for the base.
            rows: (n, *event).
            generator: of order and draws.
            about: what a checkpoint must agree in, besides the settings and the rows.
            checkpoint: a file from which learning goes on.
            progress: a bar; None shows it on a terminal.
        """
        settings, noise = self.settings, base if noise is None else noise
        # Exact for a network of zeros, where the confining term is all.
        normalizer = Normalizer(base)
        counts = [settings.chains] * self.team.parts
        if settings.method == "persistent":
            counts = self.team.counts(settings.chains)
        losses = [
            loss_of(
                replace(settings, chains=n), *energies, kernel, base, noise, normalizer, generator
            )
            for n in counts
        ]

        def of_part(part: int) -> Callable[[Tensor, torch.Generator], Scored]:
            return lambda *given: (losses[part](*given), {})

        contrasts = settings.method == "noise-contrastive"
        extra = [normalizer.risen] if contrasts else []
        kept = [] if checkpoint is None else [Memory(losses, self.team, normalizer)]
        told = {**about, "settings": asdict(settings)}
        history = descend(
            model,
            [Player[Tensor]("", [*learned, *extra], of_part(0), of_part=of_part)],
            rows,
            Schedule(settings.epochs, settings.batch_size, settings.lr),
            self.optimization,
            generator,
            callbacks=kept,
            checkpoint=checkpoint,
            about=told if checkpoint is None else {**told, "data": fingerprint(rows)},
            progress=progress,
        )
        return history, normalizer().detach() if contrasts else None
