"""The log-likelihood of rows from below, by importance sampling from the encoder's posteriors.

.. math:: \\mathbb{E}\\Bigl[\\log \\frac1k \\sum_{i=1}^k
          \\frac{p(x \\mid z_i)\\, p(z_i)}{q(z_i \\mid x)}\\Bigr] \\le \\log p(x)
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from generative.vae.coder import Coder, draw
from inference.progress import progress_bar

__all__ = ["importance_bound"]

#: Numbers of observations that are decoded at a time: what caches hold, and many more elsewhere.
BLOCK = 2**17
BLOCK_ELSEWHERE = 2**24


def importance_bound(
    coder: Coder,
    x: Tensor,
    condition: Tensor | None,
    n_samples: int,
    generator: torch.Generator,
    progress: bool | None = None,
) -> Tensor:
    """The importance-weighted bound of every row, (n,), nats, without a gradient.

    Its exponential is an unbiased estimate of p(x). Memory does not grow with the number of draws
    or rows: both are taken in blocks.

    Arguments:
        coder: the networks.
        x: rows, (n, *event).
        condition: (n, features), or None.
        n_samples: draws per row.
        generator: of the draws.
        progress: a bar; None shows it on a terminal.

    Reference:
        Burda, Grosse & Salakhutdinov 2016, "Importance weighted autoencoders", eq. 8.
    """
    block = BLOCK if x.device.type == "cpu" else BLOCK_ELSEWHERE
    at_once = max(1, block // max(x[0].numel(), coder.latent_dim))
    rows_at_once = max(1, at_once // n_samples)
    found = []
    with torch.no_grad(), progress_bar(len(x), "importance sampling", progress) as bar:
        for begin in range(0, len(x), rows_at_once):
            rows = slice(begin, begin + rows_at_once)
            part = None if condition is None else condition[rows]
            found.append(_block(coder, x[rows], part, n_samples, at_once, generator))
            bar.update(len(found[-1]))
    return torch.cat(found) - math.log(n_samples)


def _block(
    coder: Coder,
    x: Tensor,
    condition: Tensor | None,
    n_samples: int,
    at_once: int,
    generator: torch.Generator,
) -> Tensor:
    """Log of the summed weights of some rows."""
    code = coder.encode(x, condition)
    total = x.new_full((len(x),), -math.inf, dtype=code.mean.dtype)
    left, most = n_samples, max(1, at_once // len(x))
    while left:
        k = min(left, most)
        weights, _ = coder.log_weights(x, condition, code, draw(code, k, generator))
        total = torch.logaddexp(total, weights.logsumexp(0))
        left -= k
    return total
