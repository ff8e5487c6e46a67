"""What this machine does in a second: the roofs under which all work is done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch

from benchmarks.timing import Contender, alternate

__all__ = ["Floor", "Rates", "Roof"]

#: What bounds a piece of work: memory, or products of matrices in single or double precision.
Roof = Literal["copy", "float32", "float64"]

#: Bytes that are copied (more than caches hold) and sides of square matrices, by device.
BYTES = {"cpu": 1 << 28, "cuda": 1 << 30}
SIDES = {"cpu": 2048, "cuda": 8192}
FEW_BYTES, SMALL_SIDE = 1 << 22, 128
REPEATS, BUDGET = 7, 1.0


@dataclass(frozen=True)
class Floor:
    """The least time that a piece of work takes, beside what it took.

    Arguments:
        roof: what bounds it.
        share: the least time over the time that it took.
    """

    roof: Roof
    share: float


@dataclass(frozen=True)
class Rates:
    """Rates measured in this run, on its device and with its threads.

    Arguments:
        copy: bytes read and written a second by a copy of more than caches hold.
        float32: operations a second of a large product of matrices; no TensorFloat-32.
        float64: the same in double precision.
    """

    copy: float
    float32: float
    float64: float

    @classmethod
    def measured(cls, device: str, wait: Callable[[], None], *, small: bool = False) -> Rates:
        """Copy and multiply in turns; ``small`` arrays show that it works, not how fast."""
        size = FEW_BYTES if small else BYTES[device]
        side = SMALL_SIDE if small else SIDES[device]
        # Written to beforehand: fresh pages come from the system, not from memory.
        source, target = torch.ones((2, size), dtype=torch.uint8, device=device)

        def waited(call: Callable[[], Any]) -> Callable[[], Any]:
            def run() -> None:
                call()
                wait()

            return run

        contenders = [Contender.repeating("copy", waited(lambda: target.copy_(source)))]
        for name, dtype in (("float32", torch.float32), ("float64", torch.float64)):
            call = _product(side, dtype, device)
            contenders.append(Contender.repeating(name, waited(call)))
        work = {"copy": 2 * size, "float32": 2 * side**3, "float64": 2 * side**3}
        times = alternate(contenders, 1 if small else REPEATS, BUDGET)
        return cls(**{name: work[name] / timing.median for name, timing in times.items()})

    def floor(self, roof: Roof, amount: float, seconds: float) -> Floor:
        """How near so many bytes or operations in so many seconds are to the roof."""
        return Floor(roof, amount / asdict(self)[roof] / seconds)


def _product(side: int, dtype: torch.dtype, device: str) -> Callable[[], Any]:
    """One product of two square matrices into a third."""
    left, right, out = torch.ones((3, side, side), dtype=dtype, device=device)
    return lambda: torch.mm(left, right, out=out)
