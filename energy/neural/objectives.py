"""The loss that each way of learning a neural energy makes small.

.. math:: \\theta^* = \\arg\\min_\\theta \\mathbb{E}_{x \\sim \\text{data}} L_\\theta(x)
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from energy.neural.noise_contrastive import NoiseContrastive
from energy.neural.persistent import PersistentChains
from energy.neural.score_matching import DenoisingScoreMatching, Energy, SlicedScoreMatching
from energy.neural.training import Loss, Settings
from inference.sampling.continuous_law import Base, NormalBase
from inference.sampling.metropolis import ContinuousKernel

__all__ = ["loss_of"]


def loss_of(
    settings: Settings,
    energy: Energy,
    network: Energy,
    kernel: ContinuousKernel,
    base: NormalBase,
    noise: Base,
    normalizer: Callable[[], Tensor],
    generator: torch.Generator,
) -> Loss:
    """The loss of a method.

    Arguments:
        settings: the method and its numbers.
        energy: what is learned.
        network: its part with parameters.
        kernel: of chains under the energy.
        base: where chains begin, and whose scale is the unit of noise.
        noise: what data are told from.
        normalizer: gives log Z as it is learned, ().
        generator: of the first chains.
    """
    if settings.method == "denoising":
        return DenoisingScoreMatching(energy, settings.noise_scale * base.scale)
    if settings.method == "sliced":
        return SlicedScoreMatching(energy, settings.projections)
    if settings.method == "noise-contrastive":
        return NoiseContrastive(energy, noise, normalizer, settings.noise_ratio)
    chains = base.sample(settings.chains, generator)
    return PersistentChains(energy, network, kernel, base, chains, settings)
