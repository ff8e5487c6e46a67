"""Runs a kernel: warm-up, draws, observers.

.. math:: x_{c,t+1} \\sim K(x_{ct}, \\cdot), \\qquad t = 0, 1, \\dots
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, SupportsIndex

import torch
from torch import Tensor

from inference.inputs import as_whole
from inference.memory import require_memory
from inference.parallel import Team
from inference.progress import check_progress, progress_bar
from inference.random import GeneratorLike, as_generator
from inference.sampling.kernel import Kernel, S, TemperedLaw
from inference.sampling.observers import Observer, itself
from inference.sampling.parted_kernel import PartedKernel, generators_of
from inference.sampling.samples import Samples, map_tensors

__all__ = ["sample_chain"]

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
    parts: SupportsIndex | None = None,
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
        parts: how many the chains are cut in, each with draws of its own, which the processes of
            ``inference.parallel.join`` share; all get the samples of all chains, and go on from
            them with as many parts. None does not cut them.
        generator: None, a seed or a generator. None goes on with that of samples.
        progress: a bar; None shows it on a terminal.

    Returns:
        The draws, what was observed, and where chains, observers and generator are.

    Raises:
        TypeError: an argument of the wrong kind.
        ValueError: a negative number of steps; draws that do not fit in memory; samples gone on
            with by other observers than before, or in other parts; more parts than chains.

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
    if isinstance(kernel, TemperedLaw):
        raise TypeError(
            f"kernel must be a kernel, found the path of laws {type(kernel).__name__}; pass "
            "kernel.at(beta)"
        )
    watching = _named(observers)
    before = state if isinstance(state, Samples) else None
    team = None if parts is None else Team(parts)
    if before is not None and generator is None and team is None:
        generator = before.generator()
    source = as_generator(generator, kernel.device)
    shown = progress if team is None else team.bar(progress)
    run = _Run(draws, warmup, thin, watching)
    with torch.no_grad(), progress_bar(warmup + draws * thin, "sampling", shown) as bar:
        current: Any = kernel.init(state) if isinstance(state, Tensor) else state
        current = current if before is None else before.state
        position = kernel.position(current)
        shared = None
        if team is not None:
            goes_on = before if generator is None else None
            shared = PartedKernel(kernel, team, _generators(team, source, goes_on), len(position))
        carries = _carries(watching, position, before)
        values = _room(position, draws if keep else 0, before)
        room = values[:, values.shape[1] - draws :] if keep else None
        if shared is None:
            current = run(kernel, current, source, room, carries, itself, bar)
            generator_state = source.get_state()
        else:
            own = None if room is None else room[shared.mine]
            ended = run(shared, shared.cut(current), source, own, carries, shared.whole, bar)
            current, generator_state = shared.joined(ended), shared.generator_states()
            if room is not None and own is not None:
                room.copy_(shared.whole(own))
        observed = {name: one.result(carries[name]) for name, one in watching.items()}
    return Samples(values, current, generator_state, observed, carries)


@dataclass(frozen=True)
class _Run:
    """How many steps, and who watches."""

    draws: int
    warmup: int
    thin: int
    watching: Mapping[str, Observer[Any]]

    def __call__(
        self,
        kernel: Kernel[S],
        current: S,
        source: torch.Generator,
        values: Tensor | None,
        carries: dict[str, Any],
        whole: Callable[[Tensor], Tensor],
        bar: Any,
    ) -> S:
        """State after all steps.

        Arguments:
            kernel: moves the chains.
            current: their state.
            source: of the draws.
            values: takes the draws, (chain, draw, *event).
            carries: where the observers are; they go on.
            whole: what observers see, from where the kernel's chains are.
            bar: told of every step.
        """
        for _ in range(self.warmup):
            current = kernel.step(current, source)
            bar.update(1)
        for draw in range(self.draws):
            for _ in range(self.thin):
                current = kernel.step(current, source)
            position = kernel.position(current)
            if values is not None:
                values[:, draw] = position
            if self.watching:
                position = whole(position)
            for name, observer in self.watching.items():
                carries[name] = observer.update(carries[name], position)
            bar.update(self.thin)
        return current


def _generators(
    team: Team, source: torch.Generator, before: Samples | None
) -> list[torch.Generator]:
    """Generators of own parts: new ones, or those of samples that are gone on with."""
    if before is not None:
        return generators_of(team, before, source.device)
    team.follow_first([], source)
    return team.generators(source)


def _named(observers: Observers) -> dict[str, Observer[Any]]:
    """Observers by name."""
    if isinstance(observers, Mapping):
        for name in observers:
            if not isinstance(name, str):
                raise TypeError(f"observers must have strings as names, found {name!r}")
        return dict(observers)
    if not isinstance(observers, Sequence) or isinstance(observers, str):
        raise TypeError(
            "observers must be a sequence of observers or a mapping from names to them, found "
            f"{type(observers).__name__}"
        )
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
    require_memory(size, f"draws of shape {shape}", advice, position.device)
    values = torch.empty(shape, dtype=position.dtype, device=position.device)
    if before is not None:
        values[:, :old] = before.values
    return values
