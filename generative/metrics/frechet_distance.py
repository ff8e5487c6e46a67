"""Frechet distance: samples as normal laws, by their means and covariances.

.. math:: d^2 = \\|\\mu_x - \\mu_y\\|^2
          + \\operatorname{tr} \\bigl(C_x + C_y - 2 (C_x C_y)^{1/2}\\bigr)
"""

from __future__ import annotations

from torch import Tensor

from generative.metrics.samples import read_samples
from inference.gaussian import gaussian_wasserstein2
from inference.inputs import Values

__all__ = ["frechet_distance"]


def frechet_distance(x: Values, y: Values) -> Tensor:
    """Squared Wasserstein-2 distance between the normal laws with the moments of two samples.

    .. math:: d^2 = \\|\\mu_x - \\mu_y\\|^2
              + \\operatorname{tr} \\bigl(C_x + C_y - 2 (C_x C_y)^{1/2}\\bigr)

    The square is what is published as FID, there on features of one particular network; here the
    features are what is passed: raw coordinates, or the output of a network of one's own.
    Samples with equal means and covariances are at distance zero however different they are.

    Perfect samples do not score zero: of n and m points from one normal law with covariance
    s^2 I in d dimensions, both much larger than d, the mean is about
    (1/n + 1/m) s^2 d (d + 5) / 4. Compare numbers of equal n and m only, and beside the number
    of two halves of the data.

    Arguments:
        x: features.
        y: features.

    Shapes:
        x: (n, d). y: (m, d). result: (), float64, in the square of the features' unit.

    Raises:
        TypeError: if an argument holds no real numbers.
        ValueError: if the shapes do not fit, a sample has fewer than two rows, or a number is not
            finite.

    Reference:
        Heusel et al. 2017, "GANs trained by a two time-scale update rule converge to a local Nash
        equilibrium", eq. 6; Dowson & Landau 1982, "The Frechet distance between multivariate
        normal distributions", eq. 4.

    Example:
        >>> x = [[0.0, 0.0], [2.0, 0.0], [0.0, 2.0], [2.0, 2.0]]
        >>> y = [[5.0, 4.0], [7.0, 4.0], [5.0, 6.0], [7.0, 6.0]]  # moved by (5, 4)
        >>> round(frechet_distance(x, y).item(), 6)
        41.0
    """
    x, y = read_samples(2, x=x, y=y)
    return gaussian_wasserstein2(x.mean(0), _covariance(x), y.mean(0), _covariance(y)).square()


def _covariance(x: Tensor) -> Tensor:
    """Unbiased covariance of the columns, (d, d)."""
    centred = x - x.mean(0)
    return centred.mT @ centred / (len(x) - 1)
