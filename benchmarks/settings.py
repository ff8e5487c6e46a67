"""What the command line asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from benchmarks.data import Data
from benchmarks.timing import Contender, Timing, alternate
from pgm import BayesianNetwork

__all__ = ["Settings"]


@dataclass(frozen=True)
class Settings:
    """What every section needs to know.

    Arguments:
        gum: the pyAgrum module, or None.
        slow: also run what takes pyAgrum minutes.
    """

    data: Data
    networks: tuple[str, ...]
    repeats: int
    budget: float
    device: str
    slow: bool
    gum: Any

    def among(self, networks: Sequence[str]) -> list[str]:
        """Those of a section's networks that were asked for."""
        return [name for name in networks if name in self.networks]

    def time(self, *contenders: Contender) -> dict[str, Timing]:
        """Let contenders take turns."""
        return alternate(contenders, self.repeats, self.budget)

    def load(self, network: str) -> BayesianNetwork:
        """A network on the device asked for."""
        return self.data.load(network).to(self.device)

    def wait(self) -> None:
        """Wait until the device has finished, so that the clock sees its work."""
        if self.device == "cuda":
            torch.cuda.synchronize()
