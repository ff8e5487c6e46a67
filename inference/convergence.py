"""The warning of every iteration that was cut short.

.. math:: |f_t - f_{t-1}| > \\tau \\quad \\text{at the last } t
"""

from __future__ import annotations

__all__ = ["ConvergenceWarning"]


class ConvergenceWarning(UserWarning):
    """An iteration stopped at its limit, before it stood still to within its tolerance."""
