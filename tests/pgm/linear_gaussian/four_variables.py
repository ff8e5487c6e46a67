"""A network of four variables and its rows, to learn from."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from pgm.linear_gaussian_network import LinearGaussianNetwork

NAMES = ["a", "b", "c", "d"]
EDGES = [("a", "b"), ("a", "c"), ("b", "c"), ("c", "d")]


def truth() -> LinearGaussianNetwork:
    weights = dict(zip(EDGES, (0.8, -1.2, 0.5, 2.0), strict=True))
    return LinearGaussianNetwork(EDGES, NAMES, weights, [1.0, -2, 0.5, 3], [1.0, 0.5, 2.0, 0.3])


def blank() -> LinearGaussianNetwork:
    return LinearGaussianNetwork(EDGES, NAMES)


def rows(n: int, share: float = 0.0, seed: int = 0) -> Tensor:
    x = truth().sample(n, generator=seed)
    x[torch.rand(x.shape, generator=torch.Generator().manual_seed(seed)) < share] = math.nan
    return x


def numbers(net: LinearGaussianNetwork) -> np.ndarray:
    return torch.cat([parameter.detach().flatten() for parameter in net.parameters()]).numpy()
