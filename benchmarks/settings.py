"""What the command line asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from benchmarks.data import Data
from benchmarks.rates import Floor, Rates, Roof
from benchmarks.timing import Call, Contender, Timing, alternate
from pgm import BayesianNetwork

__all__ = ["Settings"]


@dataclass(frozen=True)
class Settings:
    """What every section needs to know.

    Arguments:
        gum: the pyAgrum module, or None.
        pgmpy: whether pgmpy is there to compare with.
        peers: whether to compare with any other library that is installed.
        slow: also run what takes pyAgrum minutes.
        most_rows: largest number of rows to learn from, or None.
    """

    data: Data
    networks: tuple[str, ...]
    repeats: int
    budget: float
    device: str
    threads: int
    slow: bool
    gum: Any
    pgmpy: bool
    peers: bool
    most_rows: int | None

    def among(self, networks: Sequence[str]) -> list[str]:
        """Those of a section's networks that were asked for."""
        return [name for name in networks if name in self.networks]

    def rows(self, n: int) -> int:
        """A number of rows to learn from, or the most that was asked for."""
        return n if self.most_rows is None else min(n, self.most_rows)

    def target(self, value: float | None) -> float | None:
        """A target for all the rows; none where there are fewer."""
        return value if self.most_rows is None else None

    @cached_property
    def rates(self) -> Rates:
        """What the machine does in a second, measured where a section first asks."""
        return Rates.measured(self.device, self.wait, small=self.most_rows is not None)

    def floor(self, roof: Roof, amount: float, seconds: float) -> Floor:
        """How near so many bytes or operations in so many seconds are to the roof."""
        return self.rates.floor(roof, amount, seconds)

    def time(self, *contenders: Contender) -> dict[str, Timing]:
        """Let contenders take turns."""
        return alternate(contenders, self.repeats, self.budget)

    @staticmethod
    def once(call: Call) -> Timing:
        """Time a single call."""
        return alternate([Contender.repeating("once", call)], repeats=1, budget=0.0)["once"]

    def load(self, network: str) -> BayesianNetwork:
        """A network on the device asked for."""
        return self.data.load(network).to(self.device)

    def waiting(self, call: Call) -> Call:
        """The call, until the device has finished."""

        def run() -> Any:
            found = call()
            self.wait()
            return found

        return run

    def wait(self) -> None:
        """Wait until the device has finished, so that the clock sees its work."""
        if self.device == "cuda":
            torch.cuda.synchronize()
