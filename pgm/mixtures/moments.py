"""What the two steps of EM hand to each other in a mixture of normal laws.

.. math:: N_k = \\sum_i w_i r_{ik}, \\quad
          \\bar x_k = \\frac{1}{N_k} \\sum_i w_i r_{ik}\\, \\hat x_{ik}, \\quad
          S_k = \\frac{1}{N_k} \\sum_i w_i r_{ik} \\bigl[(\\hat x_{ik} - \\bar x_k)
          (\\hat x_{ik} - \\bar x_k)^\\top + V_{ik}\\bigr]

Here x-hat and V are mean and covariance of a row given its present entries: the row itself and
zero where nothing is missing.
"""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["Components", "Moments", "Scores"]


class Components(NamedTuple):
    """Parameters of R mixtures of K normal laws, in the coordinates that learning works in.

    Attributes:
        weights: (R, K) float64, positive or zero, rows sum to one.
        means: (R, K, d) float64.
        covariances: float64, by covariance type: "full" (R, K, d, d), "tied" (R, 1, d, d), "diag"
            (R, K, d), "spherical" (R, K, 1).

    Arrays or tensors (see `inference.arrays`).
    """

    weights: Any
    means: Any
    covariances: Any


class Scores(NamedTuple):
    """What responsibilities are made of: quadratic functions of a row.

    .. math:: s_k(x) = c_k - \\tfrac12 \\|A_k (x - m_k)\\|^2, \\qquad
              r_k(x) = e^{s_k(x)} / \\sum_l e^{s_l(x)}

    With A the inverse Cholesky factor of the covariance (C = L L', A = L^{-1}) and
    ``c = log w - d/2 log 2 pi + log |A|`` these are the joint log-densities of a mixture;
    variational mixtures have other constants.

    Attributes:
        offsets: c (R, K) float64; -inf for a component that takes no part.
        means: m (R, K, d) float64.
        factors: A, float64: lower triangular (R, K, d, d) for "full" and (R, 1, d, d) for "tied",
            diagonals (R, K, d) for "diag", one number (R, K, 1) for "spherical".
    """

    offsets: Any
    means: Any
    factors: Any


class Moments(NamedTuple):
    """Weighted moments of all rows under the responsibilities of R mixtures.

    The log-likelihood is the sum of w_i log sum_k exp s_k(x_i).

    Attributes:
        log_likelihood: (R,) float64, weighted sum over the rows, nats.
        counts: N (R, K) float64.
        means: (R, K, d) float64; zero where a count is zero.
        scatters: S, float64: (R, K, d, d) for "full", (R, 1, d, d) for "tied" (the mean of all
            S_k with weights N_k), (R, K, d) for "diag" (the diagonals), (R, K, 1) for "spherical"
            (their means).
    """

    log_likelihood: Any
    counts: Any
    means: Any
    scatters: Any
