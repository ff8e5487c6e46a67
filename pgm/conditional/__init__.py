"""Parts of conditional random fields: graph templates, potentials, exact sums, objectives.

.. math:: p(y \\mid x) \\propto \\exp\\Bigl(\\sum_i \\theta_i(y_i; x)
          + \\sum_{(i, j) \\in E} \\theta_{ij}(y_i, y_j; x)\\Bigr)

Reading order: templates (who touches whom), pairwise (tables of edges), potentials (both as
arrays), exact, objectives, search, learning.
"""

from __future__ import annotations

__all__: list[str] = []
