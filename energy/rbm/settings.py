"""How a machine of two layers is learned.

.. math:: \\Delta W = \\eta \\bigl(\\langle v h^\\top \\rangle_{\\text{data}}
          - \\langle v h^\\top \\rangle_{\\text{chains}} - \\lambda_2 W
          - \\lambda_1 \\operatorname{sign} W\\bigr)
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

import torch

from inference.inputs import as_whole, check_choice
from inference.learning.schedule import Schedule

__all__ = ["LearningMethod", "Settings"]

LearningMethod: TypeAlias = Literal["cd", "pcd", "pt"]

#: Share of the steps, the last ones, whose parameters are averaged.
AVERAGED = 0.5


@dataclass(frozen=True)
class Settings:
    """How a machine is learned; see ``RestrictedBoltzmannMachine.fit``.

    Arguments:
        method: "pcd", chains that go on from step to step; "cd", chains that start at the data;
            "pt", chains that go on, each with replicas at several temperatures.
        k: sweeps of the chains per step.
        epochs: passes over the rows; None for as many as make 10,000 steps.
        batch_size: rows per step.
        chains: of "pcd" and "pt".
        temperatures: of "pt".
        lr: rate of the first step; it falls to zero linearly.
        momentum: share of the last step that the next one repeats.
        l2: weight decay, on W.
        l1: decay of the size of weights, on W.
        centered: gradients of units less their means.
        sparsity: the share of time that hidden units should be on, or None.
        sparsity_cost: how much it counts.
        draw_data: rows are means, of which units are drawn anew in every step.
        chain_dtype: of the products of "pcd" chains; None is that of the parameters.
        parts: how many batches and chains are cut in, for processes to share; None for none.

    Raises:
        TypeError, ValueError: a method or number that makes no sense.

    Example:
        >>> Settings(epochs=3).schedule.epochs
        3
    """

    method: LearningMethod = "pcd"
    k: int = 1
    epochs: int | None = None
    batch_size: int = 50
    chains: int = 100
    temperatures: int = 8
    lr: float = 0.1
    momentum: float = 0.0
    l2: float = 0.0
    l1: float = 0.0
    centered: bool = False
    sparsity: float | None = None
    sparsity_cost: float = 0.1
    draw_data: bool = False
    chain_dtype: torch.dtype | None = None
    parts: int | None = None

    def __post_init__(self) -> None:
        check_choice("method", self.method, LearningMethod)
        _ = self.schedule
        for name, least in (("k", 1), ("chains", 1), ("temperatures", 2)):
            as_whole(name, getattr(self, name), least=least)
        for name in ("l2", "l1", "sparsity_cost"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(
                    f"{name} must be at least 0 and finite, found {getattr(self, name)}"
                )
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum must be from 0 to below 1, found {self.momentum}")
        if self.sparsity is not None and not 0 < self.sparsity < 1:
            raise ValueError(f"sparsity must be between 0 and 1, found {self.sparsity}")
        if self.chain_dtype not in (None, torch.bfloat16):
            raise ValueError(
                f"chain_dtype must be None or torch.bfloat16, found {self.chain_dtype}"
            )
        if self.chain_dtype is not None and self.method != "pcd":
            raise ValueError(f'chain_dtype is of method "pcd", found {self.method!r}')
        if self.parts is not None:
            as_whole("parts", self.parts, least=1)

    @property
    def schedule(self) -> Schedule:
        """How long and how fast."""
        return Schedule(self.epochs, self.batch_size, self.lr, averaged=AVERAGED)

    def as_json(self) -> dict[str, Any]:
        """The settings as JSON values."""
        found = {**asdict(self), "chain_dtype": str(self.chain_dtype)}
        if self.parts is None:  # as files say that know no parts
            del found["parts"]
        return found
