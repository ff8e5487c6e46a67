"""Chains that are cut in parts, which processes share.

.. math:: x_{t+1}^{(p)} \\sim K(x_t^{(p)}, \\cdot), \\qquad p = 1, \\dots, P
"""

from __future__ import annotations

from typing import Any, Generic

import torch
from torch import Tensor

from inference.parallel import Team
from inference.sampling.kernel import FixedBeta, Kernel, S
from inference.sampling.replica_exchange import ReplicaExchange
from inference.sampling.samples import Samples, map_tensors

__all__ = ["PartedKernel", "generators_of"]


class PartedKernel(Generic[S]):
    """A kernel on the states of own parts, each with a generator of its own.

    Arguments:
        kernel: moves the chains of a part; its settings are the same for all chains.
        team: who shares the parts.
        generators: of own parts.
        chains: how many there are in all parts.

    Raises:
        ValueError: fewer chains than parts, a kernel with a temperature for each chain or with
            replicas that are exchanged.
    """

    def __init__(
        self, kernel: Kernel[S], team: Team, generators: list[torch.Generator], chains: int
    ) -> None:
        team.check("chains", chains)
        if isinstance(kernel, FixedBeta) and isinstance(kernel.beta, Tensor) and kernel.beta.ndim:
            raise ValueError(
                "parts need a kernel that moves all chains alike, found one with an inverse "
                "temperature for each; pass one beta, or parts=None"
            )
        if isinstance(kernel, ReplicaExchange):
            raise ValueError(
                "parts need a kernel that moves each chain by itself, found ReplicaExchange; call "
                "parallel_tempering(..., parts=...), or pass parts=None"
            )
        self._kernel, self._team, self._generators = kernel, team, generators
        self._cuts = [team.slices(chains)[part] for part in team.own]
        #: The chains of own parts.
        self.mine = slice(self._cuts[0].start, self._cuts[-1].stop)

    @property
    def device(self) -> torch.device:
        """Where the chains are."""
        return self._kernel.device

    def init(self, position: Tensor) -> tuple[S, ...]:
        """States of own parts of chains at ``position``, (chain, *event)."""
        return self.cut(self._kernel.init(position))

    def cut(self, state: S) -> tuple[S, ...]:
        """States of own parts, from that of all chains."""
        return tuple([map_tensors(lambda x, cut=cut: x[cut], state) for cut in self._cuts])

    def step(self, state: tuple[S, ...], generator: torch.Generator) -> tuple[S, ...]:
        """States after one step; the draws are those of the parts."""
        pairs = zip(state, self._generators, strict=True)
        return tuple([self._kernel.step(own, source) for own, source in pairs])

    def position(self, state: tuple[S, ...]) -> Tensor:
        """Where the chains of own parts are, (chain, *event)."""
        return torch.cat([self._kernel.position(own) for own in state])

    def joined(self, state: tuple[S, ...]) -> S:
        """The state of all chains, on every process."""
        leaves = [_leaves(own) for own in state]
        whole = iter([torch.cat(self._team.gather(list(x))) for x in zip(*leaves, strict=True)])
        return map_tensors(lambda _: next(whole), state[0])

    def whole(self, own: Tensor) -> Tensor:
        """Something of all chains, on every process, from that of own parts, (chain, ...)."""
        first = self.mine.start
        return torch.cat(
            self._team.gather([own[cut.start - first : cut.stop - first] for cut in self._cuts])
        )

    def generator_states(self) -> Tensor:
        """States of the generators of all parts, (part, bytes) uint8, on every process."""
        states = [source.get_state()[None] for source in self._generators]
        return torch.cat(self._team.gather(states))


def generators_of(team: Team, before: Samples, device: torch.device) -> list[torch.Generator]:
    """Generators of own parts, where the steps of samples have left them.

    Raises:
        ValueError: the samples were drawn in other parts.
    """
    states = before.generator_state
    found = len(states) if states.ndim > 1 else None
    if found != team.parts:
        raise ValueError(
            f"parts must be those of the samples, {found}, found {team.parts}; or pass generator "
            "to begin new draws"
        )
    generators = [torch.Generator(device) for _ in team.own]
    for part, generator in zip(team.own, generators, strict=True):
        generator.set_state(states[part].clone())
    return generators


def _leaves(state: Any) -> list[Tensor]:
    """The tensors of nested named tuples."""
    found: list[Tensor] = []

    def note(x: Tensor) -> Tensor:
        found.append(x)
        return x

    map_tensors(note, state)
    return found
