"""The E step of mixtures of normal laws, by the fastest kernel that keeps enough digits.

.. math:: \\text{error of } s_k(x) \\lesssim
          \\varepsilon \\max_k \\|A_k^\\top A_k\\|_\\infty\\, (|m_k| + 3)^2
"""

from __future__ import annotations

from typing import Any, TypeAlias

from inference.arrays import namespace
from pgm.mixtures.centered import DEVIATIONS, expect_centered, score_centered
from pgm.mixtures.components import CovarianceType
from pgm.mixtures.missing import MissingRows
from pgm.mixtures.moments import Moments, Scores
from pgm.mixtures.quadratic import FEATURES, expect_quadratic
from pgm.mixtures.rows import Rows

__all__ = ["Data", "error_bound", "expect", "log_joint"]

Data: TypeAlias = "Rows | MissingRows"

#: Features above which a product with all their pairs costs more than one triangle per component.
MOST_PAIRED = 40
#: Largest accepted error of a score of quadratic features, by whether rows are float64.
LARGEST_ERROR = {True: 1e-5, False: 1.0}
#: The same on the way: at this bound parameters have been off by 1e-4 standard deviations, and the
#: mean log-likelihood by 1e-3 nats.
ROUGH_ERROR = 300.0
#: Largest accepted error of a single-precision deviation; with a larger one, rows become float64.
LARGEST_DEVIATION = 1e-2


def expect(
    data: Data, scores: Scores, covariance_type: CovarianceType, *, roughly: bool = False
) -> Moments:
    """Log-likelihood and moments of the rows under the responsibilities.

    .. math:: r_{ik} = e^{s_k(x_i)} / \\sum_l e^{s_l(x_i)}

    The responsibilities are never stored: a block of rows at a time is scored, shared out and
    summed. Missing entries are replaced by what is known of them given the others.

    Arguments:
        data: rows in the coordinates of the scores.
        scores: of R mixtures.
        covariance_type: that of the scores.
        roughly: whether single precision may cost as much as it does other libraries.
    """
    if isinstance(data, MissingRows):
        # Their sums are float64, whatever the rows are.
        bound = error_bound(scores, covariance_type, namespace(scores.means).float64)
        return data.expect(scores, quadratic=bound < LARGEST_ERROR[True])
    if is_quadratic(data, scores, covariance_type, roughly=roughly):
        return expect_quadratic(data, scores, FEATURES[covariance_type])
    if not is_double(data) and deviation_bound(scores, data.blocks[0].dtype) > LARGEST_DEVIATION:
        return expect(data.doubled, scores, covariance_type)
    return expect_centered(data, scores, DEVIATIONS[covariance_type])


def log_joint(x: Any, scores: Scores, covariance_type: CovarianceType) -> Any:
    """Scores of rows x (d, c), of which entries may be missing, (R, K, c)."""
    xp = namespace(x)
    if bool(xp.isnan(x).any()):
        return MissingRows.of(x.T, None, covariance_type).log_joint(scores).swapaxes(1, 2)
    return score_centered(x, scores, DEVIATIONS[covariance_type])


def is_quadratic(
    rows: Rows, scores: Scores, covariance_type: CovarianceType, *, roughly: bool = False
) -> bool:
    """Whether quadratic features are both faster and exact enough."""
    if covariance_type == "full" and rows.n_features > MOST_PAIRED:
        return False
    bound = error_bound(scores, covariance_type, rows.blocks[0].dtype)
    if roughly and not is_double(rows):
        return bound < ROUGH_ERROR
    return bound < LARGEST_ERROR[is_double(rows)]


def is_double(rows: Rows) -> bool:
    """Whether the rows are float64."""
    return rows.blocks[0].dtype == namespace(rows.blocks[0]).float64


def deviation_bound(scores: Scores, dtype: Any) -> float:
    """How far rounding may carry a deviation, in standard deviations."""
    xp = namespace(scores.means)
    reach = ((scores.means**2).sum(-1) ** 0.5 + 3).max()
    return float(xp.finfo(dtype).eps * xp.abs(scores.factors).max() * reach)


def error_bound(scores: Scores, covariance_type: CovarianceType, dtype: Any) -> float:
    """How far rounding may carry a score that quadratic features make, for rows near the data.

    It has been four to ninety times the largest error found.
    """
    xp = namespace(scores.means)
    if covariance_type in ("full", "tied"):
        precisions = scores.factors.swapaxes(-1, -2) @ scores.factors
        # No eigenvalue is above the largest sum of a row.
        stiffness = xp.abs(precisions).sum(-1).max()
    else:
        stiffness = (scores.factors**2).max()
    reach = ((scores.means**2).sum(-1) ** 0.5 + 3).max()
    return float(xp.finfo(dtype).eps * stiffness * reach**2)
