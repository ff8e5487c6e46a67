"""Runs a kernel: warm-up, draws, observers.

.. math:: x_{c,t+1} \\sim K(x_{ct}, \\cdot), \\qquad t = 0, 1, \\dots
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any, SupportsIndex, TypeVar

import torch
from torch import Tensor

from inference.inputs import as_whole
from inference.progress import check_progress, progress_bar
from inference.random import GeneratorLike, as_generator
from inference.sampling.kernel import Kernel
from inference.sampling.observers import Observer, check_memory
from inference.sampling.samples import Samples, map_tensors

__all__ = ["sample_chain"]

S = TypeVar("S", bound=tuple[Any, ...])

#: Observers by name, or to be named after their classes.
Observers = Mapping[str, Observer[Any]] | Sequence[Observer[Any]]


def sample_chain(
    kernel: Kernel[S],
    state: S | Tensor | Samples,
    *,
    draws: SupportsIndex,
    warmup: SupportsIndex = 0,
    thin: SupportsIndex = 1,
    observers: Observers = (),
    keep: bool = True,
    generator: GeneratorLike = None,
    progress: bool | None = None,
) -> Samples:
    """Run chains of a kernel, all at once.

    .. math:: x_{c,t+1} \\sim K(x_{ct}, \\cdot)

    Given samples, it goes on where they ended: the result is that of one run that never stopped,
    bit for bit, with the old draws before the new ones.

    Arguments:
        kernel: what moves the chains.
        state: where they start: positions (chain, *event), a state of the kernel, or samples.
        draws: how many of each chain.
        warmup: steps before the first draw, forgotten.
        thin: steps from draw to draw.
        observers: what is made of draws as they come, by name; one that stands in a sequence has
            the name of its class in lower case.
        keep: whether the draws themselves are kept.
        generator: None, a seed or a generator. None goes on with that of samples.
        progress: a bar; None shows it on a terminal.

    Returns:
        The draws, what was observed, and where chains, observers and generator are.

    Raises:
        TypeError: an argument of the wrong kind.
        ValueError: a negative number of steps; draws that do not fit in memory; samples gone on
            with by other observers than before.

    Example:
        >>> from inference.sampling.density import DiscreteDensity
        >>> from inference.sampling.factor_arrays import FactorArrays
        >>> from inference.sampling.gibbs import ColoredGibbs
        >>> pair = FactorArrays([2, 2], [[[0, 1]]], [[0]])
        >>> density = DiscreteDensity(pair, torch.tensor([1.0, 0.0, 0.0, 1.0]))
        >>> kernel = ColoredGibbs(density).at(1.0)
        >>> start = torch.zeros((4, 2), dtype=torch.int64)
        >>> samples = sample_chain(kernel, start, draws=500, warmup=50, generator=0)
        >>> samples.values.shape, bool(((samples.mean() - 0.5) / samples.mcse() < 5).all())
        (torch.Size([4, 500, 2]), True)
    """
    draws, warmup = as_whole("draws", draws, least=0), as_whole("warmup", warmup, least=0)
    thin = as_whole("thin", thin, least=1)
    check_progress(progress)
    if not isinstance(state, (Tensor, tuple, Samples)):
        raise TypeError(
            "state must be positions (chain, *event) as a tensor, a state of the kernel or "
            f"Samples, found {type(state).__name__}"
        )
    watching = _named(observers)
    before = state if isinstance(state, Samples) else None
    if before is not None and generator is None:
        generator = before.generator()
    source = as_generator(generator, kernel.device)
    with torch.no_grad(), progress_bar(warmup + draws * thin, "sampling", progress) as bar:
        current: Any = kernel.init(state) if isinstance(state, Tensor) else state
        current = current if before is None else before.state
        position = kernel.position(current)
        carries = _carries(watching, position, before)
        values = _room(position, draws if keep else 0, before)
        first = values.shape[1] - draws
        for _ in range(warmup):
            current = kernel.step(current, source)
            bar.update(1)
        for draw in range(draws):
            for _ in range(thin):
                current = kernel.step(current, source)
            position = kernel.position(current)
            if keep:
                values[:, first + draw] = position
            for name, observer in watching.items():
                carries[name] = observer.update(carries[name], position)
            bar.update(thin)
        observed = {name: one.result(carries[name]) for name, one in watching.items()}
    return Samples(values, current, source.get_state(), observed, carries)


def _named(observers: Observers) -> dict[str, Observer[Any]]:
    """Observers by name."""
    if isinstance(observers, Mapping):
        return dict(observers)
    named = {type(observer).__name__.lower(): observer for observer in observers}
    if len(named) < len(observers):
        raise ValueError(
            f"observers must have names of their own, found {len(observers)} of the kinds "
            f"{sorted(named)}; pass a mapping from names to observers"
        )
    return named


def _carries(
    watching: Mapping[str, Observer[Any]], position: Tensor, before: Samples | None
) -> dict[str, Any]:
    """Where the observers start."""
    if before is None:
        return {name: observer.init(position) for name, observer in watching.items()}
    if watching.keys() != before.carries.keys():
        raise ValueError(
            f"observers must be those of the samples, {sorted(before.carries)}, "
            f"found {sorted(watching)}"
        )
    # Copies, as an observer may use the memory again and the samples are to stay as they are.
    return {name: map_tensors(torch.clone, carry) for name, carry in before.carries.items()}


def _room(position: Tensor, draws: int, before: Samples | None) -> Tensor:
    """Room for the draws (chain, draw, *event), those there were in front."""
    if before is not None and not draws:
        return before.values
    old = 0 if before is None else len(before)
    shape = (len(position), old + draws, *position.shape[1:])
    advice = "set keep=False and pass observers, or thin"
    size = prod(shape) * position.element_size()
    check_memory(f"draws of shape {shape}", size, position.device, advice)
    values = torch.empty(shape, dtype=position.dtype, device=position.device)
    if before is not None:
        values[:, :old] = before.values
    return values
