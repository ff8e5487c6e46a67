"""Whether chains agree with one another: rank-normalised split R-hat.

.. math:: \\hat R = \\max(\\hat R_\\text{bulk}, \\hat R_\\text{folded})
"""

from __future__ import annotations

import torch
from torch import Tensor

from inference.diagnostics.autocovariance import scale_reduction
from inference.diagnostics.block import Block, per_dimension
from inference.inputs import Values

__all__ = ["block_rhat", "rhat"]


def rhat(x: Values) -> Tensor:
    """Rank-normalised split R-hat: 1 where chains cannot be told apart, to be below 1.01.

    .. math:: \\hat R = \\max\\Bigl(
              \\sqrt{\\tfrac{n-1}{n} + \\tfrac{B(z)}{n W(z)}},\\;
              \\sqrt{\\tfrac{n-1}{n} + \\tfrac{B(\\zeta)}{n W(\\zeta)}}\\Bigr)

    Chains are split in halves, so that a chain that drifts disagrees with itself; one chain is
    judged by its halves alone. z are normal scores of the draws' ranks, which exist for heavy
    tails too, zeta those of the distances from the median, which see chains of different widths.

    Arguments:
        x: draws of chains.

    Shapes:
        x: (chain, draw, *event). result: (*event,) float64.

    Returns:
        R-hat. Infinite where every half stands still, not all at the same number. NaN where no
        draw differs from any other or one is not finite: nothing can be said there.

    Raises:
        TypeError: if ``x`` does not hold real numbers.
        ValueError: if there are fewer than 4 draws per chain.

    Reference:
        Vehtari et al. 2021, "Rank-normalization, folding, and localization: an improved R-hat for
        assessing convergence of MCMC", section 4.

    Example:
        >>> noise = torch.randn(4, 500, generator=torch.Generator().manual_seed(0))
        >>> round(rhat(noise).item(), 2)
        1.0
        >>> bool(rhat(noise + torch.tensor([[0.0], [0.0], [0.0], [2.0]])) > 1.2)
        True
    """
    return per_dimension(x, block_rhat)


def block_rhat(block: Block) -> Tensor:
    """R-hat of the dimensions of a block, (D,)."""
    bulk, folded = scale_reduction(block.scores), scale_reduction(block.folded)
    # All draws may be equally far from their median, where the bulk still tells.
    return torch.where(folded > bulk, folded, bulk)
