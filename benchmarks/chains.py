"""Linear-chain conditional random fields as a layer: log partition, gradient, best paths."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from benchmarks.peer_chain_crf import TorchCRF, TorchStruct
from benchmarks.report import MEASUREMENTS, Row, Section, by_peer
from benchmarks.settings import Settings
from benchmarks.timing import Call, Contender, Timing
from pgm import LinearChainCRF

__all__ = ["section"]

BATCH, LENGTH, TAGS = 64, 50, 20
#: Milliseconds.
GRADIENT = 2.5
BEST_PATHS = 5.0
#: Largest accepted difference of float32 numbers: relative of a sum of log partitions, absolute of
#: a probability.
RELATIVE, ABSOLUTE = 1e-5, 1e-4

NOTES = (
    f"Milliseconds for {BATCH} sequences of {LENGTH} tokens and {TAGS} tags in float32.",
    "log Z and gradient  from emissions (B, T, K) that require a gradient, through backward(), to",
    "                    the gradients of emissions, transitions, start and end",
    "best paths          decode(): the tags of all sequences and their scores",
    "peers: pytorch-crf (its emissions are transposed outside the clock) and torch-struct; their",
    "       log Z and gradients of emissions, or paths, must be the same",
)


def section(settings: Settings) -> Section:
    """The table of this section."""
    return Section("Linear-chain CRF layer", NOTES, MEASUREMENTS, _rows(settings))


def _rows(settings: Settings) -> Iterator[Row]:
    layer = LinearChainCRF(TAGS).to(settings.device)
    draws = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weights in (layer.transitions, layer.start, layer.end):
            weights.copy_(torch.randn(weights.shape, generator=draws) / 2)
    emissions = torch.randn((BATCH, LENGTH, TAGS), generator=draws).to(settings.device)
    yield from _gradients(settings, layer, emissions)
    yield from _paths(settings, layer, emissions)


def _times(
    settings: Settings, layer: LinearChainCRF, emissions: Tensor, method: str, ours: Call
) -> dict[str, Timing]:
    """Ours in turns with a method of every peer that is there."""
    weights = layer.transitions, layer.start, layer.end
    found = [Contender.repeating("ours", ours)]
    if settings.peers and TorchCRF.installed():
        turned = emissions.transpose(0, 1).contiguous()
        call = partial(getattr(TorchCRF(*weights), method), turned)
        found.append(Contender.repeating("pytorch-crf", call))
    if settings.peers and TorchStruct.installed():
        call = partial(getattr(TorchStruct(*weights), method), emissions)
        found.append(Contender.repeating("torch-struct", call))
    return settings.time(*found)


def _gradients(settings: Settings, layer: LinearChainCRF, emissions: Tensor) -> Iterator[Row]:
    """Log partition, forward and backward."""

    def ours() -> tuple[Tensor, Tensor]:
        layer.zero_grad()
        x = emissions.detach().requires_grad_()
        total = layer.log_partition(x).sum()
        total.backward()
        settings.wait()
        assert x.grad is not None
        return total.detach(), x.grad

    times = _times(settings, layer, emissions, "log_partition_and_gradient", ours)
    value, gradient = times["ours"].first

    def judge(peer: str) -> tuple[bool, str]:
        their_value, theirs = times[peer].first
        theirs = theirs.transpose(0, 1) if peer == "pytorch-crf" else theirs
        off = abs(float(value / their_value) - 1), float((gradient - theirs).abs().max())
        note = f"difference {off[0]:.0e} of log Z, {off[1]:.0e} of gradients"
        return off[0] <= RELATIVE and off[1] <= ABSOLUTE, note

    yield from by_peer("log Z and gradient", "ms", times, judge, target=GRADIENT)


def _paths(settings: Settings, layer: LinearChainCRF, emissions: Tensor) -> Iterator[Row]:
    """Viterbi paths."""
    ours = settings.waiting(lambda: layer.decode(emissions)[0])
    times = _times(settings, layer, emissions, "decode", ours)
    found = times["ours"].first.cpu()

    def judge(peer: str) -> tuple[bool, str]:
        theirs = times[peer].first
        if peer == "pytorch-crf":
            same = found.tolist() == theirs
        else:
            same = bool((found == _path_of(theirs)).all())
        return same, "same paths" if same else ""

    yield from by_peer("best paths", "ms", times, judge, target=BEST_PATHS)


def _path_of(pairs: Tensor) -> Tensor:
    """Tags (B, T) of indicators (B, T - 1, to, from)."""
    last = pairs.sum(-1).argmax(-1)
    return torch.cat([pairs[:, 0].sum(-2).argmax(-1)[:, None], last], 1)
