"""Precision and recall: what is generated lies among the data, and the data among it.

.. math:: f(x, Y) = 1 \\text{ if some } y \\in Y \\text{ has } \\|x - y\\| \\le
          \\|y - \\operatorname{NN}_k(y, Y)\\|, \\text{ else } 0
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from generative.metrics.samples import distance_blocks, read_samples
from inference.inputs import Values, as_whole

__all__ = ["PrecisionRecall", "precision_recall"]


class PrecisionRecall(NamedTuple):
    """Shares of samples that lie among those of the other side.

    Arguments:
        precision: () of the generated rows, among the data: quality.
        recall: () of the data, among the generated rows: variety.
    """

    precision: Tensor
    recall: Tensor


def precision_recall(real: Values, generated: Values, *, k: int = 3) -> PrecisionRecall:
    """Quality and variety of generated samples as two numbers.

    .. math:: \\text{precision} = \\frac1m \\sum_{g} f(g, R), \\qquad
              \\text{recall} = \\frac1n \\sum_{r} f(r, G)

    A sample stands for a region: the union of balls around its points, each of which reaches its
    k-th nearest neighbour (a point is no neighbour of itself). Precision asks which generated
    points lie in the region of the data; one good mode out of many has precision one and a small
    recall. Distances are computed in pieces, so that memory does not grow with n m.

    Perfect samples do not score one. Of as many new points as there are data, each is inside k
    balls on average, not in one at least: a thousand normal points score about 0.98 in the plane
    with k = 3, 0.88 in 8 dimensions and 0.7 in 32, where few balls hold most points. Compare with
    two halves of the data; a precision above theirs means copies, or means instead of draws.

    Arguments:
        real: features of the data.
        generated: features of the samples.
        k: which neighbour a ball reaches.

    Shapes:
        real: (n, d). generated: (m, d). precision, recall: (), float64.

    Raises:
        TypeError: if an argument holds no real numbers or ``k`` is no whole number.
        ValueError: if the shapes do not fit, a sample has k rows or fewer, a number is not
            finite, or ``k`` is less than one.

    Reference:
        Kynkaanniemi et al. 2019, "Improved precision and recall metric for assessing generative
        models", eq. 1 and 2.

    Example:
        >>> data = [[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]]
        >>> half = [[0.5], [1.0], [1.5]]  # good, and nothing of the second mode
        >>> precision, recall = precision_recall(data, half, k=1)
        >>> precision.item(), recall.item()
        (1.0, 0.5)
    """
    k = as_whole("k", k, least=1)
    real, generated = read_samples(k + 1, real=real, generated=generated)
    return PrecisionRecall(
        _covered(generated, real, k).double().mean(), _covered(real, generated, k).double().mean()
    )


def _covered(x: Tensor, y: Tensor, k: int) -> Tensor:
    """Which rows of x lie in a ball around a row of y, (n,)."""
    # The nearest of all is the row itself.
    nearest = [block.topk(k + 1, largest=False).values for block in distance_blocks(y, y)]
    radii = torch.cat(nearest)[:, -1]
    return torch.cat([(block <= radii).any(1) for block in distance_blocks(x, y)])
