"""Learning layer by layer: every machine learns what the one below makes of the data.

.. math:: \\log p(v) \\ge \\mathbb{E}_{q(h \\mid v)} \\log p(h) + \\text{const}
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor

from energy.deep_belief.associative_memory import AssociativeMemory
from energy.deep_belief.directed_layer import DirectedLayer
from energy.deep_belief.stacking import Start
from energy.deep_belief.wake_sleep import Dreams, StackLearner
from energy.rbm.chains import Chains, ContrastiveChains, PersistentChains, chains_of
from energy.rbm.layers import Layers
from energy.rbm.learning import MachineLearner
from energy.rbm.settings import Settings
from inference.learning.checkpoint import Checkpoint, fingerprint
from inference.learning.trainer import train

__all__ = ["Lesson", "UpDownMethod"]

UpDownMethod: TypeAlias = Literal["cd", "pcd"]

#: Sweeps in which chains that go on find to the law of a machine that is there already.
WARMING = 1000

History: TypeAlias = list[dict[str, Any]]


@dataclass(frozen=True, eq=False)
class Lesson:
    """What is learned from, and how.

    Arguments:
        rows: visible units, (n, n_visible).
        label: units of the labels, (n, K); K is 0 without labels.
        generator: of order and draws.
        folder: of files that learning goes on from, or None.
        progress: a bar; None shows it on a terminal.
        start: where machines above the first begin, for the files.
    """

    rows: Tensor
    label: Tensor
    generator: torch.Generator
    folder: str | os.PathLike[str] | None
    progress: bool | None
    start: Start | None = None

    def machine(
        self,
        layers: Layers,
        settled: Sequence[DirectedLayer],
        settings: Settings,
        means: Tensor,
        *,
        labelled: bool,
    ) -> History:
        """Learn the machine on top of layers that stay as they are; it changes in place.

        Arguments:
            layers: of the machine.
            settled: directed layers below.
            settings: how to learn.
            means: of the machine's visible units by row, labels among them.
            labelled: whether labels are.
        """
        chains = chains_of(settings, layers, self.generator)
        learner = StackLearner(settled, MachineLearner(layers, settings, chains, means), None)
        rows = self._labelled() if labelled else self.rows
        phase = f"layer {len(settled) + 1}"
        found, history = self._train(learner, rows, settings, phase, settled)
        layers.weights.copy_(found["top.weights"])
        layers.visible_bias.copy_(found["top.visible_bias"])
        layers.hidden_bias.copy_(found["top.hidden_bias"])
        return history

    def up_down(
        self,
        layers: Sequence[DirectedLayer],
        memory: AssociativeMemory,
        settings: Settings,
        means: Tensor,
    ) -> tuple[dict[str, Tensor], History]:
        """Parameters that all layers together have learned, by name; the network stays.

        Arguments:
            layers: directed ones, from below.
            memory: the machine on top, without gradients.
            settings: how to learn.
            means: of the machine's visible units by row, labels among them.
        """
        chains: Chains = ContrastiveChains(settings.k)
        if settings.method != "cd":
            visible = memory.draw(settings.chains, WARMING, None, self.generator)
            hidden = memory.layers.draw_hidden(visible, self.generator)
            chains = PersistentChains(hidden, settings.k)
        dreams = Dreams(chains, memory.n_below)
        machine = MachineLearner(memory.layers, settings, dreams, means)
        learner = StackLearner(deepcopy(list(layers)), machine, dreams)
        return self._train(learner, self._labelled(), settings, "up-down", layers)

    def _labelled(self) -> Tensor:
        """Visible units and those of the labels, (n, n_visible + K)."""
        return torch.cat([self.rows, self.label], 1)

    def _train(
        self,
        learner: StackLearner,
        rows: Tensor,
        settings: Settings,
        phase: str,
        below: Sequence[DirectedLayer],
    ) -> tuple[dict[str, Tensor], History]:
        """Averaged parameters, and a history that names the phase."""
        checkpoint = None
        if self.folder is not None:
            about = {
                "parameters": {name: list(x.shape) for name, x in learner.parameters.items()},
                "settings": settings.as_json(),
                "start": self.start,
                "rows": fingerprint(rows),
                "layers below": [fingerprint(layer.recognition_weights) for layer in below],
            }
            os.makedirs(self.folder, exist_ok=True)
            name = phase.replace(" ", "_").replace("-", "_")
            checkpoint = Checkpoint(os.path.join(self.folder, f"{name}.safetensors"), about)
        found, history = train(
            learner,
            rows,
            settings.schedule,
            self.generator,
            checkpoint=checkpoint,
            progress=self.progress,
            description=phase,
        )
        return found, [{"phase": phase, **epoch} for epoch in history]
