"""Files from which learning that was interrupted goes on bit for bit.

.. math:: (\\theta_t, \\bar\\theta_t, \\text{memory}_t, \\text{generator}_t) \\to t + 1
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from inference.tensor_files import read_tensors, write_tensors

__all__ = ["Checkpoint", "fingerprint", "under"]

#: What the file says it holds.
KIND = "LearningState"


def fingerprint(rows: Tensor) -> list[Any]:
    """Shape and digest of rows, which tell whether others are the same.

    Example:
        >>> import torch
        >>> fingerprint(torch.zeros(2, 1)) == fingerprint(torch.zeros(1, 2))
        False
    """
    content = rows.detach().cpu().contiguous().numpy().tobytes()
    return [list(rows.shape), hashlib.sha256(content).hexdigest()]


def under(start: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors whose names begin alike, by what follows.

    Example:
        >>> import torch
        >>> under("kept.", {"kept.bias": torch.ones(1), "best": torch.zeros(1)})
        {'bias': tensor([1.])}
    """
    return {name[len(start) :]: x for name, x in tensors.items() if name.startswith(start)}


class Checkpoint:
    """A file with the state of learning, which belongs to one model, its data and its settings.

    Arguments:
        path: of the file; it need not be there yet.
        about: what learning depends on, by name, as JSON values; a file in which one of these
            differs is refused.

    Example:
        >>> checkpoint = Checkpoint("none.safetensors", {"settings": {"lr": 0.1}})
        >>> checkpoint.read() is None
        True
    """

    def __init__(self, path: str | os.PathLike[str], about: Mapping[str, Any]) -> None:
        self._path = os.fspath(path)
        # As it will be when it is read: tuples are lists.
        self._about = json.loads(json.dumps(dict(about)))

    def write(self, tensors: Mapping[str, Tensor], figures: Mapping[str, Any]) -> None:
        """Replace the file by a state, as a whole or not at all.

        Arguments:
            tensors: of the state.
            figures: the rest, as JSON values.
        """
        write_tensors(self._path, KIND, {"about": self._about, "figures": dict(figures)}, tensors)

    def read(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Tensors, on the CPU, and figures of the file, or None if there is no file.

        Raises:
            FileNotFoundError: the folder does not exist.
            ValueError: the file is damaged, or of another model, other data or settings.
        """
        if not os.path.exists(self._path):
            if not os.path.isdir(os.path.dirname(os.path.realpath(self._path))):
                # Before anything is learned that could not be written.
                raise FileNotFoundError(
                    f"{self._path}: its folder does not exist; create it first"
                )
            return None
        config, tensors = read_tensors(self._path, KIND)
        found = config.get("about", {})
        for name, own in self._about.items():
            if found.get(name) != own:
                raise ValueError(
                    f"{self._path}: holds learning with other {name}; go on with the same ones, "
                    "or name another checkpoint"
                )
        return tensors, config["figures"]

    def part(self, tensors: Mapping[str, Tensor], name: str, like: Tensor) -> Tensor:
        """One of the tensors that were read.

        Raises:
            ValueError: it is missing, or of another shape or type.
        """
        found = tensors.get(name)
        if found is None:
            raise ValueError(f"{self._path}: a part is missing ({name})")
        if found.shape != like.shape or found.dtype != like.dtype:
            raise ValueError(
                f"{self._path}: {name} must be {like.dtype} of shape {tuple(like.shape)}, found "
                f"{found.dtype} of shape {tuple(found.shape)}"
            )
        return found
