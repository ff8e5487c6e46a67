"""Files from which learning that was interrupted goes on bit for bit.

.. math:: (\\theta_t, \\bar\\theta_t, v_t, \\text{generator}_t) \\to t + 1
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from energy.rbm.learning import LearningState, Numbers, Settings
from inference.tensor_files import read_tensors, write_tensors

__all__ = ["Checkpoint"]

#: What the file says it holds.
KIND = "LearningState"


class Checkpoint:
    """A file with the state of learning after an epoch.

    Arguments:
        path: of the file; it need not be there yet.
        rows: what is learned from.
        settings: how.
        config: of the machine.

    Example:
        >>> settings = Settings(epochs=3)
        >>> checkpoint = Checkpoint("none.safetensors", torch.zeros(2, 1), settings, {})
        >>> checkpoint.read("cpu") is None
        True
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        rows: Tensor,
        settings: Settings,
        config: Mapping[str, Any],
    ) -> None:
        self._path = os.fspath(path)
        content = rows.detach().cpu().contiguous().numpy().tobytes()
        self._about = {
            "machine": dict(config),
            "settings": asdict(settings),
            "rows": [list(rows.shape), hashlib.sha256(content).hexdigest()],
        }

    def write(self, state: LearningState) -> None:
        """Replace the file by the state, as a whole or not at all."""
        tensors = {f"numbers.{name}": part for name, part in state.numbers._asdict().items()}
        tensors |= {f"sums.{name}": part for name, part in state.sums._asdict().items()}
        tensors |= {"chains": state.chains, "generator": state.generator}
        config = {**self._about, "epoch": state.epoch, "history": state.history}
        write_tensors(self._path, KIND, config, tensors)

    def read(self, device: torch.device | str) -> LearningState | None:
        """The state in the file, or None if there is no file.

        Raises:
            ValueError: the file is damaged, or of another machine, other rows or settings.
        """
        if not os.path.exists(self._path):
            return None
        config, tensors = read_tensors(self._path, KIND)
        for name, own in self._about.items():
            if config.get(name) != own:
                raise ValueError(
                    f"{self._path}: holds learning with other {name}; go on with the same ones, "
                    "or name another checkpoint"
                )
        moved = {key: value.to(device) for key, value in tensors.items()}
        try:
            return LearningState(
                Numbers(**{name: moved[f"numbers.{name}"] for name in Numbers._fields}),
                Numbers(**{name: moved[f"sums.{name}"] for name in Numbers._fields}),
                moved["chains"],
                tensors["generator"],
                config["epoch"],
                config["history"],
            )
        except KeyError as error:
            raise ValueError(f"{self._path}: a part is missing ({error})") from error
