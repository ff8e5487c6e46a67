"""Replicas of a chain at several temperatures that exchange them.

.. math:: \\log \\alpha = g(x, \\beta') + g(x', \\beta) - g(x, \\beta) - g(x', \\beta')
"""

from __future__ import annotations

from typing import Any, Generic, NamedTuple

import torch
from torch import Tensor

from inference.sampling.kernel import S, TemperedLaw, select

__all__ = ["ReplicaExchange", "ReplicaState"]


class ReplicaState(NamedTuple):
    """Replicas of all chains, who is where on the ladder, and what has happened so far."""

    #: State of the replicas of all chains, those of one chain in a row, (chain * K, ...).
    inner: Any
    #: Which replica is at a rung, (chain, K), and at which rung a replica is, (chain, K).
    replicas: Tensor
    rungs: Tensor
    #: Whether a replica was at the hot end later than at the cold one, (chain, K).
    from_hot: Tensor
    #: How often a replica has come from the hot end to the cold one, (chain,).
    trips: Tensor
    #: Summed probabilities of the swaps that were tried, (chain, K - 1), by pair.
    accepted: Tensor
    #: Sweeps so far.
    time: int


class ReplicaExchange(Generic[S]):
    """A kernel on replicas at all temperatures of a ladder: a sweep of each, then swaps.

    .. math:: \\prod_k p_{\\beta_k}(x_k)

    All replicas of all chains move as one batch. It is their temperatures that are exchanged, so
    that no state is copied; neighbours on the ladder are tried in turn, those above an even rung
    and those above an odd one, which carries replicas along faster than a random choice.

    Arguments:
        law: the path of laws.
        betas: rising inverse temperatures, (K,); positions are those at the last.

    Reference:
        Swendsen & Wang 1986, "Replica Monte Carlo simulation of spin-glasses"; Okabe et al. 2001,
        "Replica-exchange Monte Carlo method for the isobaric-isothermal ensemble"; Syed,
        Bouchard-Côté, Deligiannidis & Doucet 2022, "Non-reversible parallel tempering", section
        2.3.

    Example:
        >>> from inference.sampling.factor_arrays import FactorArrays
        >>> from inference.sampling.density import DiscreteDensity
        >>> from inference.sampling.gibbs import ColoredGibbs
        >>> bits = FactorArrays([2], [[[0]]], [[0]])
        >>> law = ColoredGibbs(DiscreteDensity(bits, torch.tensor([0.0, 1.0])))
        >>> kernel = ReplicaExchange(law, torch.tensor([0.0, 0.5, 1.0]))
        >>> generator = torch.Generator().manual_seed(0)
        >>> state = kernel.step(kernel.start(4, generator), generator)
        >>> kernel.position(state).shape, state.rungs.shape
        (torch.Size([4, 1]), torch.Size([4, 3]))
    """

    def __init__(self, law: TemperedLaw[S], betas: Tensor) -> None:
        self.law = law
        self.betas = betas.to(law.device, torch.float64)
        count = len(betas)
        self._order = torch.arange(count, device=law.device)
        # What a sweep's pairs are, and what each rung would become by a swap.
        self._low = [slice(parity, count - 1, 2) for parity in (0, 1)]
        self._high = [slice(parity + 1, count, 2) for parity in (0, 1)]
        self._swapped = []
        for low, high in zip(self._low, self._high, strict=True):
            partner = self._order.clone()
            partner[low], partner[high] = self._order[high], self._order[low]
            self._swapped.append(self.betas[partner])

    @property
    def device(self) -> torch.device:
        """Where the chains are."""
        return self.law.device

    def start(self, chains: int, generator: torch.Generator) -> ReplicaState:
        """All replicas at independent draws from the law at beta = 0."""
        return self.resume(self.law.start(chains * len(self.betas), generator))

    def init(self, position: Tensor) -> ReplicaState:
        """All replicas of a chain at its position, (chain, *event)."""
        return self.resume(self.law.init(position.repeat_interleave(len(self.betas), 0)))

    def resume(self, inner: S) -> ReplicaState:
        """State of replicas, those of one chain in a row and in the order of the ladder."""
        count = len(self.betas)
        chains = len(inner[0]) // count
        zeros = torch.zeros(chains, dtype=torch.int64, device=self.device)
        order = self._order.repeat(chains, 1)
        accepted = self.betas.new_zeros(chains, count - 1)
        return ReplicaState(inner, order, order, order < 0, zeros, accepted, 0)

    def recounted(self, state: ReplicaState) -> ReplicaState:
        """The same replicas with nothing counted yet."""
        return state._replace(
            from_hot=torch.zeros_like(state.from_hot),
            trips=torch.zeros_like(state.trips),
            accepted=torch.zeros_like(state.accepted),
            time=0,
        )

    def step(self, state: ReplicaState, generator: torch.Generator) -> ReplicaState:
        """State after a sweep of every replica, and one round of swaps."""
        parity = state.time % 2
        own = self.betas[state.rungs].view(-1)
        inner = self.law.step(state.inner, own, generator)
        gain = self.law.log_ratio(inner, own, self._swapped[parity][state.rungs].view(-1))
        gain = gain.view(state.rungs.shape).gather(1, state.replicas)
        low, high = self._low[parity], self._high[parity]
        chance = (gain[:, low] + gain[:, high]).clamp_(max=0.0).exp_()
        uniform = torch.rand(
            chance.shape, dtype=torch.float64, device=self.device, generator=generator
        )
        swaps = uniform < chance
        colder, hotter = state.replicas[:, high], state.replicas[:, low]
        replicas = state.replicas.clone()
        replicas[:, low] = torch.where(swaps, colder, hotter)
        replicas[:, high] = torch.where(swaps, hotter, colder)
        rungs = state.rungs.scatter(1, replicas, self._order.expand_as(replicas))
        accepted = state.accepted.clone()
        accepted[:, low] += chance
        ends = replicas[:, :1], replicas[:, -1:]
        from_hot = state.from_hot.scatter(1, ends[0], True)
        trips = state.trips + from_hot.gather(1, ends[1])[:, 0]
        from_hot = from_hot.scatter_(1, ends[1], False)
        return ReplicaState(inner, replicas, rungs, from_hot, trips, accepted, state.time + 1)

    def rejections(self, state: ReplicaState) -> Tensor:
        """Mean probability that a swap is refused, by pair, (K - 1,); NaN for pairs not yet tried.

        Raises:
            ValueError: if a log density was NaN or +inf.
        """
        tried = torch.full_like(self.betas[1:], (state.time + 1) // 2)
        tried[1::2] = state.time // 2
        if bool(state.accepted.isnan().any()):
            raise ValueError(
                "log_density must be finite or -inf, found NaN or +inf; check the model's log "
                "density"
            )
        return 1 - state.accepted.mean(0) / tried

    def at_rungs(self, state: ReplicaState, rungs: slice | Tensor) -> S:
        """State of the replicas at some rungs of every chain, in their order."""
        replicas = state.replicas[:, rungs]
        first = torch.arange(len(replicas), device=self.device)[:, None] * len(self.betas)
        return select(state.inner, (first + replicas).view(-1))

    def cold(self, state: ReplicaState) -> S:
        """State of the replicas at the last inverse temperature, a row per chain."""
        return self.at_rungs(state, slice(-1, None))

    def position(self, state: ReplicaState) -> Tensor:
        """Where the replicas at the last inverse temperature are, (chain, *event)."""
        return self.law.position(self.cold(state))
