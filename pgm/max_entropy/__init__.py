"""Parts of the maximum-entropy classifier: the design matrix, dense or sparse, and its likelihood.

.. math:: p(y \\mid x) \\propto \\exp(w_y^\\top x + b_y)
"""

from __future__ import annotations

__all__: list[str] = []
