"""Chains that learning follows at several temperatures, so that they cross between modes.

.. math:: \\log \\alpha = g(v, \\beta') + g(v', \\beta) - g(v, \\beta) - g(v', \\beta')
"""

from __future__ import annotations

import torch
from torch import Tensor

from energy.rbm.law import LayerLaw

__all__ = ["coldest", "ladder", "tempered_sweep"]


def ladder(temperatures: int, like: Tensor) -> Tensor:
    """Inverse temperatures from 0 to 1, evenly, (K,).

    Example:
        >>> ladder(3, torch.zeros(())).tolist()
        [0.0, 0.5, 1.0]
    """
    return torch.linspace(0.0, 1.0, temperatures, dtype=like.dtype, device=like.device)


def coldest(visible: Tensor, temperatures: int) -> Tensor:
    """The replicas at the law itself, (chain, n_visible), of all, (chain * K, n_visible)."""
    return visible.view(-1, temperatures, visible.shape[1])[:, -1]


def tempered_sweep(
    law: LayerLaw, visible: Tensor, betas: Tensor, parity: int, generator: torch.Generator
) -> Tensor:
    """Replicas after a sweep of each, and swaps of neighbours.

    Here states are swapped, not temperatures: they are small, and a run that is interrupted needs
    nothing else.

    Arguments:
        law: the path of laws, as the parameters are now.
        visible: replicas, those of a chain in a row and from hot to cold.
        betas: their inverse temperatures.
        parity: whether neighbours above an even rung (0) or an odd one (1) are swapped.
        generator: of the draws.

    Shapes:
        visible: (chain * K, n_visible). betas: (K,). result: as ``visible``.

    Reference:
        Desjardins et al. 2010, "Tempered Markov chain Monte Carlo for training of restricted
        Boltzmann machines"; Okabe et al. 2001, "Replica-exchange Monte Carlo method".
    """
    count = len(betas)
    chains = len(visible) // count
    own = betas.repeat(chains)
    state = law.step(law.state_of(visible), own, generator)
    low, high = slice(parity, count - 1, 2), slice(parity + 1, count, 2)
    partner = betas.clone()
    partner[low], partner[high] = betas[high], betas[low]
    gains = law.log_ratio(state, own, partner.repeat(chains)).view(chains, count)
    chance = (gains[:, low] + gains[:, high]).clamp_(max=0.0).exp_()
    uniform = torch.rand(chance.shape, dtype=chance.dtype, device=law.device, generator=generator)
    swaps = (uniform < chance)[..., None]
    replicas = state.visible.view(chains, count, -1)
    swapped = replicas.clone()
    swapped[:, low] = torch.where(swaps, replicas[:, high], replicas[:, low])
    swapped[:, high] = torch.where(swaps, replicas[:, low], replicas[:, high])
    return swapped.view_as(visible)
