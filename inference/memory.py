"""How much memory a computation may take."""

from __future__ import annotations

import os
from pathlib import Path

import torch

__all__ = ["allowed_memory", "free_memory", "readable_bytes", "readable_count", "require_memory"]

#: Assumed where the system does not tell.
FALLBACK = 4 * 2**30


def free_memory() -> int:
    """Return the bytes of main memory that a process can take without swapping.

    Example:
        >>> free_memory() > 0
        True
    """
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return FALLBACK


def allowed_memory(memory_limit: int | None) -> int:
    """Return the bytes that tables may take: as many as the user said, else half of what is free.

    Example:
        >>> allowed_memory(1000)
        1000
    """
    return free_memory() // 2 if memory_limit is None else memory_limit


def require_memory(
    needed: int, what: str, advice: str, device: torch.device | None = None
) -> None:
    """Refuse what would not fit the memory, before it is allocated.

    Arguments:
        needed: bytes.
        what: takes them, as the message begins.
        advice: what to do instead, as it ends.
        device: whose memory; None is the CPU's. On other devices than that and CUDA's nothing is
            known, and nothing refused.

    Raises:
        ValueError: then, with both sizes.

    Example:
        >>> require_memory(2**60, "a table of 30 pixels", "observe some")
        Traceback (most recent call last):
        ...
        ValueError: a table of 30 pixels would take 1.0 EiB, but ... are free; observe some
    """
    if device is None or device.type == "cpu":
        free = free_memory()
    elif device.type == "cuda":
        # What torch holds in reserve counts as taken to the driver, yet tensors can have it.
        reserve = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        free = torch.cuda.mem_get_info(device)[0] + reserve
    else:
        return
    if needed > free:
        raise ValueError(
            f"{what} would take {readable_bytes(needed)}, but {readable_bytes(free)} are free; "
            f"{advice}"
        )


def readable_count(count: int) -> str:
    """Format a number that may exceed every float.

    Example:
        >>> readable_count(65536), readable_count(10**15), readable_count(2**5000)
        ('65,536', '1.0e+15', '2^5000')
    """
    if count < 10**12:
        return f"{count:,}"
    return f"{count:.1e}" if count.bit_length() < 1000 else f"2^{count.bit_length() - 1}"


def readable_bytes(count: int) -> str:
    """Format a number of bytes with a binary prefix.

    Example:
        >>> readable_bytes(3 * 2**20)
        '3.0 MiB'
    """
    if count >= 2**80:
        return f"2^{count.bit_length() - 1} bytes"
    size = float(count)
    for unit in ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB"):
        if size < 1024:
            return f"{size:.0f} bytes" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} YiB"
