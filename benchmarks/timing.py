"""Clocks: contenders take turns in one process, and the median of their samples counts."""

from __future__ import annotations

import gc
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter, process_time
from typing import Any

__all__ = ["UNITS", "Contender", "Timing", "alternate", "cpu_seconds"]

#: A sample repeats short calls until it is about this long, in seconds.
SAMPLE = 5e-3
MOST_CALLS = 1000
FEWEST_SAMPLES = 3

#: Units of time: how many there are in a second per item.
UNITS = {"s": 1.0, "ms": 1e3, "ms/row": 1e3, "ms/1k rows": 1e6, "us/step": 1e6}

Call = Callable[[], Any]


def cpu_seconds(call: Call) -> tuple[Any, float]:
    """What a call returns, and the processor's time that it takes."""
    start = process_time()
    found = call()
    return found, process_time() - start


@dataclass(frozen=True)
class Contender:
    """Something to time.

    Arguments:
        name: its key in the result.
        make: builds, outside the clock, a call that is timed once and then discarded, with all
            that it holds, outside the clock again.
        items: queries, rows or values that one call deals with; times are per item.
    """

    name: str
    make: Callable[[], Call]
    items: int = 1

    @classmethod
    def repeating(cls, name: str, call: Call, items: int = 1) -> Contender:
        """A contender whose call may be repeated as it is."""
        return cls(name, lambda: call, items)


@dataclass
class Timing:
    """Seconds per item of every sample, and what the very first call returned."""

    first: Any = None
    samples: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.samples)

    def read(self, unit: str) -> float:
        """The median in one of the units of time, or as a rate, in items per second."""
        return UNITS[unit] * self.median if unit in UNITS else 1 / self.median

    @property
    def quartiles(self) -> list[float]:
        """The lower and the upper one; twice the same of one sample."""
        if len(self.samples) < 2:
            return 2 * self.samples
        lower, _, upper = statistics.quantiles(self.samples, n=4, method="inclusive")
        return [lower, upper]

    @property
    def spread(self) -> float | None:
        """From the lower to the upper quartile, as a share of the median; None of one sample."""
        if len(self.samples) < 2 or not self.median:
            return None
        lower, upper = self.quartiles
        return abs((upper - lower) / self.median)

    def less(self, shorter: Timing, items: int) -> Timing:
        """What each of so many items takes by which this is longer, turn by turn.

        Turns that both have taken count; the first result is that of the longer one.
        """
        pairs = zip(self.samples, shorter.samples, strict=False)
        return Timing(self.first, [(long - short) / items for long, short in pairs])

    def times(self, factor: float) -> Timing:
        """The same clock per other items."""
        return Timing(self.first, [factor * seconds for seconds in self.samples])


class _Turn:
    """One contender's samples so far."""

    def __init__(self, contender: Contender, budget: float) -> None:
        self._contender = contender
        self._budget = budget
        self._spent = 0.0
        self._longest = 0.0
        self._calls = 1
        self.timing = Timing()

    def warm_up(self) -> None:
        """Call once; call again to see how many calls make a sample, or keep a long one."""
        elapsed, self.timing.first = self._clock()
        if elapsed >= self._budget:
            self._record(elapsed)
            return
        elapsed, _ = self._clock()
        self._calls = max(1, min(MOST_CALLS, round(SAMPLE / max(elapsed, 1e-9))))

    def sample(self) -> None:
        """Take one more sample, unless the budget is spent."""
        few = len(self.timing.samples) < FEWEST_SAMPLES and self._longest < self._budget
        if few or self._spent < self._budget:
            self._record(self._clock()[0])

    def _clock(self) -> tuple[float, Any]:
        """Seconds of all calls of a sample, and what the last one returned."""
        calls = [self._contender.make() for _ in range(self._calls)]
        result = None
        start = perf_counter()
        for call in calls:
            result = call()
        return perf_counter() - start, result

    def _record(self, elapsed: float) -> None:
        self._spent += elapsed
        self._longest = max(self._longest, elapsed)
        self.timing.samples.append(elapsed / self._calls / self._contender.items)


def alternate(contenders: Sequence[Contender], repeats: int, budget: float) -> dict[str, Timing]:
    """Time the contenders in turn, ``repeats`` rounds or until their seconds are spent.

    The garbage collector stays on, as in use, but does not see what lay there before.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    turns = {contender.name: _Turn(contender, budget) for contender in contenders}
    for turn in turns.values():
        turn.warm_up()
    for _ in range(repeats):
        for turn in turns.values():
            turn.sample()
    return {name: turn.timing for name, turn in turns.items()}
