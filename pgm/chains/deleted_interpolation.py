"""Weights of context lengths, learned so that every n-gram is predicted without its own count.

.. math:: \\max_\\lambda \\sum_{h, x} n(h, x) \\log p_\\lambda(x \\mid h), \\qquad
          p_j = \\lambda_j\\, q_j + (1 - \\lambda_j)\\, p_{j-1}, \\qquad
          q_j = \\frac{n(h_j, x) - 1}{n(h_j) - 1}
"""

from __future__ import annotations

import torch
from torch import Tensor

from inference.learning.em import EMResult, expectation_maximization
from pgm.chains.counts import NgramCounts

__all__ = ["deleted_interpolation", "interpolation_step", "left_out_frequencies"]

_MAX_ITERATIONS = 1000
#: Change per event, nats.
_TOLERANCE = 1e-9


def deleted_interpolation(counts: NgramCounts, progress: bool | None = None) -> EMResult[Tensor]:
    """Interpolation weights λ_0 to λ_order by expectation-maximisation.

    Whether a level answers or passes on is the hidden variable. Every occurrence of an n-gram is
    taken out of the counts that predict it, else the longest contexts, which know it, would get
    all the weight. Where this leaves a context without any count, the level passes on. A level
    that always does keeps the weight 1/2.

    Arguments:
        counts: of the training data.
        progress: True, False, or None: a bar if on a terminal.

    Returns:
        The result of EM; its ``parameters`` are the weights, (order + 1,).

    Reference:
        Jelinek & Mercer 1980; Ney, Essen & Kneser 1994 (leaving one out).

    Example:
        >>> from pgm.chains.alphabet import encode_all
        >>> counts = NgramCounts.count(encode_all("ab" * 50)[1], order=1, n_symbols=2)
        >>> deleted_interpolation(counts).parameters[1] > 0.99
        tensor(True)
    """
    table = counts.level(counts.order)
    start = torch.full((counts.order + 1,), 0.5, dtype=torch.float64, device=table.counts.device)
    if not len(table.counts):
        return EMResult(start, 0.0, True, 0, [])
    frequencies = left_out_frequencies(counts)
    return expectation_maximization(
        lambda weights: interpolation_step(
            weights, frequencies, table.counts, 1 / counts.n_symbols
        ),
        [start],
        max_iterations=_MAX_ITERATIONS,
        tolerance=_TOLERANCE,
        size=float(table.counts.sum()),
        progress=progress,
    )


def left_out_frequencies(counts: NgramCounts) -> Tensor:
    """Relative frequencies of every longest n-gram without one of its occurrences.

    Shapes:
        result: (order + 1, G), by the length of the context; NaN where nothing else followed it.
    """
    rows = []
    symbols = counts.level(counts.order).ngrams % counts.n_symbols
    for length, owners in enumerate(counts.ancestry(counts.order)):
        table = counts.level(length)
        others = table.counts[table.places(owners, symbols)] - 1
        rows.append(others / (table.totals[owners] - 1))
    return torch.stack(rows)


def interpolation_step(
    weights: Tensor, frequencies: Tensor, counts: Tensor, uniform: float
) -> tuple[Tensor, float]:
    """One E and M step: new weights, and the log-likelihood at the old ones, nats.

    Arguments:
        weights: λ of every level.
        frequencies: q of every level and n-gram, NaN where the level passes on.
        counts: of the n-grams.
        uniform: what the lowest level passes on to.

    Shapes:
        weights: (L,). frequencies: (L, G). counts: (G,).
    """
    known = ~frequencies.isnan()
    answers = weights[:, None] * frequencies.nan_to_num(0.0)
    rest = torch.where(known, 1 - weights[:, None], 1.0)
    below, levels = torch.full_like(counts, uniform), []
    for level in range(len(weights)):
        below = answers[level] + rest[level] * below
        levels.append(below)
    objective = (counts * levels[-1].log()).sum().item()
    # Chance that the draw came down to a level, given the symbol, from the longest context on.
    arrived, updated = counts, weights.clone()
    for level in reversed(range(len(weights))):
        here = arrived * answers[level] / levels[level]
        asked = torch.where(known[level], arrived, 0.0).sum()
        updated[level] = torch.where(asked > 0, here.sum() / asked, weights[level])
        arrived = arrived - here
    return updated, objective
