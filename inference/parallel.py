"""Work in a fixed number of parts, which processes share; one process does all of them.

.. math:: \\sum_{p=1}^{P} f(x_p, u_p), \\qquad u_p = \\text{draws that follow from }
          (\\text{key}, \\text{step}, p)

A result depends on the number of parts and not on who does them: up to the order of sums it is
the same for any number of processes, which meet under ``torchrun`` and then in :func:`join`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from math import prod
from typing import Any, SupportsIndex, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from inference.inputs import as_whole

__all__ = ["Team", "draw_key", "join", "part_seed", "share_rows"]

#: What ``torchrun`` tells each process.
ADDRESS = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")

R = TypeVar("R", Tensor, Mapping[str, Tensor])

_LOW = 2**32 - 1


class Team:
    """The processes that share the parts of a piece of work, as one of them sees it.

    Outside of :func:`join`, or without ``torchrun``, it is a team of one, which does all parts.
    All processes call its methods in the same order.

    Arguments:
        parts: in how many the work is cut; None for one for each process.

    Attributes:
        parts: number of parts.
        size: number of processes.
        rank: which of them this is, from 0.
        own: the parts of this one, in a row.

    Raises:
        TypeError, ValueError: ``parts`` is no whole number, or less than the number of processes.

    Example:
        >>> team = Team(3)
        >>> team.own, team.first, team.counts(8)
        (range(0, 3), True, [3, 3, 2])
    """

    def __init__(self, parts: SupportsIndex | None = None) -> None:
        together = dist.is_available() and dist.is_initialized()
        self.size = dist.get_world_size() if together else 1
        self.rank = dist.get_rank() if together else 0
        self.parts = self.size if parts is None else as_whole("parts", parts, least=1)
        if self.parts < self.size:
            raise ValueError(
                f"parts must be at least the number of processes, {self.size}, found "
                f"{self.parts}: every process takes one or more; start fewer, or cut finer"
            )
        ends = [rank * self.parts // self.size for rank in (self.rank, self.rank + 1)]
        self.own = range(*ends)

    @classmethod
    def alone(cls) -> Team:
        """This process by itself with all of the work, whoever else there is."""
        team = cls()
        team.size, team.rank, team.parts, team.own = 1, 0, 1, range(1)
        return team

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes files and shows bars."""
        return self.rank == 0

    def bar(self, progress: bool | None) -> bool | None:
        """What a user says about bars, for the first process; the others show none."""
        return progress if self.first else False

    # How work is cut -------------------------------------------------------------------------

    def check(self, name: str, total: int) -> None:
        """Refuse to cut fewer things than there are parts.

        Raises:
            ValueError: then.
        """
        if total < self.parts:
            raise ValueError(
                f"parts must be at most the number of {name}, {total}, found {self.parts}; "
                f"take fewer parts or more {name}"
            )

    def counts(self, total: int) -> list[int]:
        """How many of a number of things every part has; they differ by one at most."""
        whole, more = divmod(total, self.parts)
        return [whole + (part < more) for part in range(self.parts)]

    def slices(self, total: int) -> list[slice]:
        """Which of a number of things every part has, as ``torch.tensor_split`` cuts them."""
        ends = np.cumsum([0, *self.counts(total)]).tolist()
        return [slice(*pair) for pair in pairwise(ends)]

    def generators(self, generator: torch.Generator) -> list[torch.Generator]:
        """Generators of the draws of own parts; that of the run advances by one draw."""
        key, device = draw_key(generator), generator.device
        seeds = [part_seed(key, part) for part in self.own]
        return [torch.Generator(device).manual_seed(seed) for seed in seeds]

    # What processes tell each other ----------------------------------------------------------

    def sum(self, tensors: Sequence[Tensor]) -> None:
        """Add up tensors over the processes, in place, all of one type in a single message."""
        if self.size == 1:
            return
        alike: dict[torch.dtype, list[Tensor]] = {}
        for x in tensors:
            alike.setdefault(x.dtype, []).append(x)
        for group in alike.values():
            flat = torch.cat([x.reshape(-1) for x in group])
            dist.all_reduce(flat)
            for x, found in zip(group, flat.split([x.numel() for x in group]), strict=True):
                x.copy_(found.view_as(x))

    def gather(self, own: Sequence[Tensor]) -> list[Tensor]:
        """Tensors of all parts in their order, on every process, from those of its own.

        Arguments:
            own: of own parts, with the same shape and type up to the length of the first axis.
        """
        if self.size == 1:
            return list(own)
        like = own[0]
        lengths = torch.zeros(self.parts, dtype=torch.int64, device=like.device)
        lengths[self.own.start : self.own.stop] = torch.tensor([len(x) for x in own])
        dist.all_reduce(lengths)
        sizes = lengths.tolist()
        # Bytes, as not every type has messages of its own; of the same number from everyone.
        width = prod(like.shape[1:]) * like.element_size()
        teams = [
            range(r * self.parts // self.size, (r + 1) * self.parts // self.size)
            for r in range(self.size)
        ]
        most = max([sum(sizes[part] for part in block) for block in teams]) * width
        mine = torch.cat([x.detach().reshape(-1).view(torch.uint8) for x in own])
        padded = mine.new_zeros(most)
        padded[: len(mine)] = mine
        received = [torch.empty_like(padded) for _ in teams]
        if most:
            dist.all_gather(received, padded)
        found: list[Tensor] = []
        for block, content in zip(teams, received, strict=True):
            widths = [sizes[part] * width for part in block]
            pieces = content[: sum(widths)].split(widths)
            for part, x in zip(block, pieces, strict=True):
                # A copy, as numbers of some bytes must begin where their size says.
                found.append(x.clone().view(like.dtype).view(sizes[part], *like.shape[1:]))
        return found

    def agree(self, name: str, tensors: Sequence[Tensor]) -> None:
        """Refuse what is not the same in every process.

        Raises:
            ValueError: then, in every process.
        """
        if self.size == 1:
            return
        digest = hashlib.sha256()
        for x in tensors:
            digest.update(repr((tuple(x.shape), x.dtype)).encode())
            digest.update(x.detach().cpu().reshape(-1).view(torch.uint8).numpy().data)
        own = torch.tensor(list(digest.digest()), dtype=torch.uint8)
        found = [torch.empty_like(own) for _ in range(self.size)]
        device = tensors[0].device if tensors else own.device
        found = [x.to(device) for x in found]
        dist.all_gather(found, own.to(device))
        others = [rank for rank, x in enumerate(found) if not x.equal(found[0])]
        if others:
            raise ValueError(
                f"{name} must be the same in every process, found others in processes {others} "
                "than in the first; read, order and seed them alike"
            )

    def follow_first(
        self, tensors: Sequence[Tensor], generator: torch.Generator | None = None
    ) -> None:
        """Take over tensors, in place, and the state of a generator, from the first process."""
        if self.size == 1:
            return
        for x in tensors:
            content = x.detach().contiguous()
            dist.broadcast(content, 0)
            x.detach().copy_(content)
        if generator is not None:
            state = generator.get_state().to(generator.device)
            dist.broadcast(state, 0)
            generator.set_state(state.cpu())

    def wait(self) -> None:
        """Go on when all processes have come here."""
        if self.size > 1:
            dist.barrier()


@contextmanager
def join(device: torch.device | str = "cpu") -> Iterator[Team]:
    """Meet the other processes that ``torchrun`` has started; alone, do nothing.

    Inside, what takes ``parts`` shares them. Processes must be given the same data. What one of
    them writes or prints is for the first alone (``team.first``).

    Arguments:
        device: "cpu", or "cuda": then each process works on a GPU of its own, which becomes its
            current one.

    Yields:
        The team, with a part for each process.

    Raises:
        ValueError: some of what ``torchrun`` tells a process is in the environment, and some is
            not.

    Example:
        >>> with join() as team:
        ...     team.size
        1
    """
    missing = [name for name in ADDRESS if name not in os.environ]
    alone = "RANK" in missing and "WORLD_SIZE" in missing
    if alone or dist.is_initialized():
        yield Team()
        return
    if missing:
        raise ValueError(
            f"{', '.join(missing)} must be set in the environment beside the rest of "
            f"{', '.join(ADDRESS)}; start the script with torchrun, which sets all of them"
        )
    on_gpu = torch.device(device).type == "cuda"
    if on_gpu:
        place = int(os.environ.get("LOCAL_RANK", os.environ["RANK"]))
        torch.cuda.set_device(place % torch.cuda.device_count())
    dist.init_process_group("cpu:gloo,cuda:nccl" if on_gpu else "gloo")
    try:
        yield Team()
    finally:
        dist.destroy_process_group()


def share_rows(function: Callable[[Any], R], rows: Any, parts: SupportsIndex | None = None) -> R:
    """What a function makes of a batch, row by row, with the rows shared by the processes.

    .. math:: f(x) = [f(x_{\\text{part } 1}), f(x_{\\text{part } 2}), \\dots]

    Arguments:
        function: of a batch; a row's result must not depend on the other rows.
        rows: a tensor or array (B, ...), a table of pandas, or a mapping from names to columns
            (B, ...).
        parts: in how many the rows are cut; None for one for each process.

    Returns:
        On every process the tensor (B, ...), or mapping of such tensors, that ``function``
        returns for all rows.

    Raises:
        TypeError: rows of another kind.
        ValueError: fewer rows than parts, columns of different lengths, a result with another
            number of rows.

    Example:
        >>> share_rows(torch.exp, torch.zeros(3), parts=2)
        tensor([1., 1., 1.])
        >>> share_rows(lambda columns: {"sum": columns["a"] + columns["b"]},
        ...            {"a": torch.ones(2), "b": torch.ones(2)}, parts=2)
        {'sum': tensor([2., 2.])}
    """
    team = Team(parts)
    total = _count(rows)
    team.check("rows", total)
    cuts = team.slices(total)
    found = [_checked(function(_taken(rows, cuts[part])), cuts[part]) for part in team.own]
    columns: dict[str, Any] = {}
    for name in found[0]:
        columns[name] = torch.cat(team.gather([x[name] for x in found]))
    return columns.get("", columns)  # pyright: ignore[reportReturnType]


# Draws of parts --------------------------------------------------------------------------------


def draw_key(generator: torch.Generator) -> int:
    """A number from which the draws of all parts of a run follow.

    Example:
        >>> draw_key(torch.Generator().manual_seed(0)) < 2**62
        True
    """
    return int(torch.randint(2**62, (), generator=generator, device=generator.device))


def part_seed(key: int, count: int) -> int:
    """The seed of a part at a step, whose number is step * parts + part.

    .. math:: s = 2^{32} h_{64}(h_{64}(\\text{key}) + \\text{count})
              + h_{32}(h_{32}(\\text{count}) + h_{64}(\\text{key}))

    A generator of the CPU reads the low 32 bits of a seed only: here they are a permutation of
    the count, so that none comes twice in a run.

    Reference:
        Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators", figure 14
        (the mixing of 64 bits); Appleby, MurmurHash3 (that of 32).

    Example:
        >>> len({part_seed(1, count) % 2**32 for count in range(1000)})
        1000
    """
    mixed = _mix64(key)
    low = _mix32((_mix32(count & _LOW) + mixed) & _LOW)
    return (_mix64(mixed + count) >> 32 << 32) | low


def _mix64(x: int) -> int:
    """A permutation of 64 bits."""
    mask = 2**64 - 1
    x = (x + 0x9E3779B97F4A7C15) & mask
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & mask
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & mask
    return x ^ (x >> 31)


def _mix32(x: int) -> int:
    """A permutation of 32 bits."""
    x = ((x ^ (x >> 16)) * 0x85EBCA6B) & _LOW
    x = ((x ^ (x >> 13)) * 0xC2B2AE35) & _LOW
    return x ^ (x >> 16)


# Rows ------------------------------------------------------------------------------------------


def _count(rows: Any) -> int:
    """How many rows there are."""
    if not isinstance(rows, Mapping):
        return len(rows)
    lengths = {name: len(column) for name, column in rows.items()}
    if len(set(lengths.values())) != 1:
        raise ValueError(f"rows must have columns of one length, found {lengths}")
    return next(iter(lengths.values()))


def _taken(rows: Any, cut: slice) -> Any:
    """Some of the rows."""
    if isinstance(rows, Mapping):
        return {name: _taken(column, cut) for name, column in rows.items()}
    if isinstance(rows, (Tensor, np.ndarray, list, tuple)):
        return rows[cut]
    import pandas as pd

    if isinstance(rows, (pd.DataFrame, pd.Series)):
        return rows.iloc[cut]
    raise TypeError(
        "rows must be a tensor, an array, a table of pandas, or a mapping from names to columns, "
        f"found {type(rows).__name__}"
    )


def _checked(found: Any, cut: slice) -> Mapping[str, Tensor]:
    """Columns that a function returned, with a row for each that it was given."""
    columns = {"": found} if isinstance(found, Tensor) else found
    if not isinstance(columns, Mapping) or not columns:
        raise TypeError(
            f"function must return a tensor or a mapping of tensors, found {type(found).__name__}"
        )
    for name, x in columns.items():
        if not isinstance(x, Tensor) or not x.ndim or len(x) != cut.stop - cut.start:
            shape = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
            raise ValueError(
                f"function must return a row for each of the {cut.stop - cut.start} that it is "
                f"given, found {shape}{name and ' under ' + repr(name)}"
            )
    return columns
