"""Gaussian mixtures of pomegranate.

It is no extra of this package, as it brings many packages of its own; to compare, install it
beside: ``pip install --no-deps pomegranate apricot-select numba llvmlite``.
"""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import torch

__all__ = ["Pomegranate"]


class Pomegranate:
    """Steps of EM from given first parameters, full covariances.

    Arguments:
        first: means_init (K, d) and precisions_init (K, d, d).
    """

    def __init__(self, first: dict[str, Any]) -> None:
        self._first = first

    @staticmethod
    def installed() -> bool:
        """Whether it can be imported."""
        return importlib.util.find_spec("pomegranate") is not None

    def fit(self, x: np.ndarray, steps: int) -> Any:
        """A mixture after so many steps."""
        laws_module = importlib.import_module("pomegranate.distributions")
        mixtures = importlib.import_module("pomegranate.gmm")
        means = self._first["means_init"].astype(x.dtype)
        covariances = np.linalg.inv(self._first["precisions_init"]).astype(x.dtype)
        laws = [
            laws_module.Normal(torch.from_numpy(m), torch.from_numpy(c))
            for m, c in zip(means, covariances, strict=True)
        ]
        model = mixtures.GeneralMixtureModel(laws, max_iter=steps, tol=-1.0)
        return model.fit(torch.from_numpy(x))
