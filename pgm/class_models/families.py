"""The event models of naive Bayes: normal, binary, categorical and multinomial features.

.. math:: p(x \\mid y = k) = \\prod_j p(x_j \\mid y = k)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from inference.random import bernoulli, categorical
from pgm.class_models.events import (
    EventModel,
    Parameters,
    Titles,
    all_within,
    blocks,
    log_shares,
    memberships,
    weighted_sum,
)

__all__ = [
    "Bernoulli",
    "Categorical",
    "Complement",
    "Gaussian",
    "Multinomial",
    "count_states",
]

#: Beyond this the square of a number is none.
LARGEST = 1e150
#: Standard deviations below this share of the mean are rounding errors of equal numbers.
ROUNDING = 4 * torch.finfo(torch.float64).eps


@dataclass(frozen=True)
class Gaussian(EventModel):
    """Independent normal features.

    .. math:: \\log p(x \\mid k) = -\\tfrac12 \\sum_j \\bigl[\\log 2 \\pi \\sigma_{kj}^2
              + (x_j - \\mu_{kj})^2 / \\sigma_{kj}^2\\bigr]

    The statistics (3, K + 1, D) are weight, mean and sum of squared deviations of every class
    and, last, of all rows unweighted, which the smoothing refers to.
    """

    var_smoothing: float
    undefined: ClassVar[str] = (
        "it needs an observed value, and values that differ or var_smoothing > 0 and another "
        "feature that varies"
    )

    def prepare(self, x: Tensor, title: Titles) -> Tensor:
        """Numbers as they are."""
        if not all_within(x, -LARGEST, LARGEST) and (large := x.abs() > LARGEST).any():
            row, j = large.nonzero()[0].tolist()
            raise ValueError(
                f"{title(j)} must be within {LARGEST:g}, found {x[row, j]:g} in row {row}; "
                "rescale the feature"
            )
        return x

    def statistics(self, x: Tensor, y: Tensor, weight: Tensor, n_classes: int) -> Tensor:
        """Moments (3, K + 1, D)."""
        classes = _moments(x, y, weight, n_classes)
        ones = torch.ones_like(weight)
        plain = classes if weight.equal(ones) else _moments(x, y, ones, n_classes)
        return torch.cat([classes, _pooled(plain)], dim=1)

    def merge(self, old: Tensor, new: Tensor) -> Tensor:
        """Moments of both, by the update of Chan, Golub & LeVeque 1983."""
        (n, mean, squares), (n_new, mean_new, squares_new) = old, new
        total = n + n_new
        share = n_new / total.masked_fill(total == 0, 1.0)
        gap = mean_new - mean
        squares = squares + squares_new + gap.square() * n * share
        return torch.stack([total, mean + gap * share, squares])

    def estimate(self, statistics: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Means (K, D) and variances (K, D)."""
        total, mean, squares = statistics
        variance = squares / total.masked_fill(total == 0, 1.0)
        variance = variance.masked_fill(variance <= (ROUNDING * mean).square(), 0.0)
        smoothed = variance[:-1] + self.var_smoothing * variance[-1].max()
        known = (total[:-1] > 0) & (smoothed > 0)
        return {"means": mean[:-1], "variances": smoothed.masked_fill(~known, 1.0)}, known

    def log_likelihood(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Log-densities of the observed features, block by block."""
        means, variances = parameters["means"], parameters["variances"]
        scale, height = variances.rsqrt(), (2 * math.pi * variances).log()
        result = []
        for (rows,) in blocks(means.numel(), x.to(means.dtype)):
            squares = ((rows.unsqueeze(1) - means) * scale).square()
            missing = rows.isnan()
            if missing.any():
                squares = squares.masked_fill(missing.unsqueeze(1), 0.0)
            heights = (~missing).to(height.dtype) @ height.T
            result.append(-0.5 * (squares.sum(-1) + heights))
        return torch.cat(result)

    def sample(
        self, parameters: Parameters, y: Tensor, n_trials: int | None, generator: torch.Generator
    ) -> Tensor:
        """Normal draws."""
        means, variances = parameters["means"].detach(), parameters["variances"].detach()
        noise = torch.empty_like(means[y]).normal_(generator=generator)
        return means[y] + variances[y].sqrt() * noise


@dataclass(frozen=True)
class Bernoulli(EventModel):
    """Independent features that are absent or present.

    .. math:: p(x_j = 1 \\mid k) = \\frac{n_{kj1} + \\alpha_j}{n_{kj0} + n_{kj1} + 2 \\alpha_j}

    The statistics (K, D, 2) are the weights of rows without and with the feature. Zeros are
    counted, not taken as the rest, so that a count of nothing is exactly zero.
    """

    alpha: Sequence[float]
    binarize: float | None
    undefined: ClassVar[str] = "the class has no observed value; pass alpha > 0"

    def prepare(self, x: Tensor, title: Titles) -> Tensor:
        """Numbers as they are, of which some are above the threshold."""
        if self.binarize is not None:
            return x
        wrong = (x != 0) & (x != 1) & (x != -1) & ~x.isnan()
        if wrong.any():
            row, j = wrong.nonzero()[0].tolist()
            raise ValueError(
                f"{title(j)} must hold 0, 1 or -1 (missing) where binarize is None, found "
                f"{x[row, j]:g} in row {row}; pass a threshold as binarize"
            )
        return x

    def statistics(self, x: Tensor, y: Tensor, weight: Tensor, n_classes: int) -> Tensor:
        """Counts (K, D, 2)."""
        counts = x.new_zeros(n_classes, x.shape[1], 2)
        for rows, codes, weights in blocks(x.shape[1], x, y, weight):
            members = memberships(codes, weights, n_classes).T
            counts += torch.stack([members @ bits.double() for bits in self._bits(rows)], dim=-1)
        return counts

    def _bits(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Where features are absent and where they are present; missing ones are neither."""
        if self.binarize is None:
            return x == 0, x == 1
        return x <= self.binarize, x > self.binarize

    def estimate(self, statistics: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Log-probabilities (K, D, 2) of absence and presence."""
        smoothed = statistics + statistics.new_tensor(self.alpha)[:, None]
        logs, known = log_shares(smoothed, smoothed.sum(-1, keepdim=True), 2)
        return {"feature_log_prob": logs}, known.squeeze(-1)

    def log_likelihood(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Sums of log-probabilities by two matrix products."""
        logs = parameters["feature_log_prob"]
        result = []
        for (rows,) in blocks(x.shape[1], x):
            absent, present = [bits.to(logs.dtype) for bits in self._bits(rows)]
            result.append(weighted_sum(absent, logs[..., 0]) + weighted_sum(present, logs[..., 1]))
        return torch.cat(result)

    def sample(
        self, parameters: Parameters, y: Tensor, n_trials: int | None, generator: torch.Generator
    ) -> Tensor:
        """Zeros and ones."""
        present = parameters["feature_log_prob"].detach()[..., 1].exp()
        return bernoulli(present[y], generator=generator)

    def feature_log_prob(self, parameters: Parameters) -> Tensor:
        """Log-probabilities (K, D) of presence."""
        return parameters["feature_log_prob"][..., 1]

    def tables(self, parameters: Parameters) -> list[Tensor]:
        """Tables (K, 2)."""
        return list(parameters["feature_log_prob"].detach().exp().unbind(1))


@dataclass(frozen=True)
class Categorical(EventModel):
    """Independent features with several states each.

    .. math:: p(x_j = s \\mid k) = \\frac{n_{kjs} + \\alpha}{n_{kj} + m_j \\alpha}

    Statistics and parameter are (K, S) with the m_j states of all features side by side, S in all.
    """

    alpha: float
    n_states: tuple[int, ...]
    undefined: ClassVar[str] = "the class has no observed value; pass alpha > 0"

    def prepare(self, x: Tensor, title: Titles) -> Tensor:
        """Columns (n, D) of the flat tables, int64; S for missing."""
        cards = torch.tensor(self.n_states, dtype=torch.float64, device=x.device)
        first, last = (cards.cumsum(0) - cards).long(), cards - 1
        result = []
        for (rows,) in blocks(x.shape[1], x):
            full = all_within(rows, 0.0, math.inf)
            codes = rows if full else rows.nan_to_num(nan=-1.0)
            places = codes.long()
            wrong = (codes > last) | (places != codes)
            if wrong.any() or not (full or all_within(codes, -1.0, math.inf)):
                row, j = (wrong | (codes < -1)).nonzero()[0].tolist()
                row += sum(map(len, result))
                raise ValueError(
                    f"{title(j)}: unknown category {x[row, j]:g} in row {row}; its states are the "
                    f"codes 0..{self.n_states[j] - 1} (-1 = missing), fit with min_categories to "
                    "reserve more"
                )
            places += first
            result.append(places if full else places.masked_fill_(codes < 0, sum(self.n_states)))
        return torch.cat(result)

    def statistics(self, x: Tensor, y: Tensor, weight: Tensor, n_classes: int) -> Tensor:
        """Counts (K, S)."""
        width = sum(self.n_states) + 1
        counts = weight.new_zeros(n_classes * width)
        for rows, codes, weights in blocks(x.shape[1], x, y, weight):
            cells = (codes[:, None] * width + rows).flatten()
            spread = weights[:, None].expand_as(rows).flatten()
            counts += cells.bincount(spread, minlength=len(counts))
        return counts.view(n_classes, width)[:, :-1]

    def estimate(self, statistics: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Log-probabilities (K, S)."""
        cards = torch.tensor(self.n_states, device=statistics.device)
        owner = torch.arange(len(cards), device=cards.device).repeat_interleave(cards)
        smoothed = statistics + self.alpha
        total = smoothed.new_zeros(len(smoothed), len(cards)).index_add(1, owner, smoothed)
        logs, _ = log_shares(smoothed, total[:, owner], cards[owner])
        return {"feature_log_prob": logs}, total > 0

    def log_likelihood(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Sums of table entries, block by block; a missing feature adds the entry zero."""
        logs = parameters["feature_log_prob"].T
        entries = torch.cat([logs, logs.new_zeros(1, logs.shape[1])])
        width = x.shape[1] * entries.shape[1]
        return torch.cat([entries[rows].sum(1) for (rows,) in blocks(width, x)])

    def sample(
        self, parameters: Parameters, y: Tensor, n_trials: int | None, generator: torch.Generator
    ) -> Tensor:
        """State codes, int64."""
        tables = parameters["feature_log_prob"].detach().split(self.n_states, dim=1)
        return torch.stack([categorical(t[y], generator=generator) for t in tables], dim=1)

    def feature_log_prob(self, parameters: Parameters) -> list[Tensor]:
        """Log-probabilities (K, m_j) of every feature."""
        return list(parameters["feature_log_prob"].split(self.n_states, dim=1))

    def tables(self, parameters: Parameters) -> list[Tensor]:
        """Tables (K, m_j)."""
        return [logs.detach().exp() for logs in self.feature_log_prob(parameters)]


@dataclass(frozen=True)
class Multinomial(EventModel):
    """Counts of a fixed number of draws, such as the words of a text.

    .. math:: \\log p(x \\mid k) = \\log \\frac{(\\sum_j x_j)!}{\\prod_j x_j!}
              + \\sum_j x_j \\log \\frac{n_{kj} + \\alpha_j}{\\sum_i (n_{ki} + \\alpha_i)}

    The statistics (K, D) are the counts of every class.
    """

    alpha: Sequence[float]
    undefined: ClassVar[str] = "the class has no counts; pass alpha > 0"

    def prepare(self, x: Tensor, title: Titles) -> Tensor:
        """Counts, none missing."""
        if not all_within(x, 0.0, math.inf):
            row, j = (~(x >= 0)).nonzero()[0].tolist()
            raise ValueError(
                f"{title(j)} must hold counts from 0, found {x[row, j]:g} in row {row}; without "
                "a count the number of draws is unknown too, so that missing entries cannot be "
                "summed out: fill them in or leave the column out"
            )
        return x

    def statistics(self, x: Tensor, y: Tensor, weight: Tensor, n_classes: int) -> Tensor:
        """Counts (K, D)."""
        return memberships(y, weight, n_classes).T @ x

    def estimate(self, statistics: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Log-probabilities (K, D) of one draw."""
        smoothed = statistics + statistics.new_tensor(self.alpha)
        total = smoothed.sum(1, keepdim=True)
        logs, known = log_shares(smoothed, total, smoothed.shape[1])
        return {"feature_log_prob": logs}, known.expand_as(smoothed)

    def log_likelihood(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Counts times log-probabilities, without the multinomial coefficient."""
        logs = parameters["feature_log_prob"]
        return weighted_sum(x.to(logs.dtype), logs)

    def sample(
        self, parameters: Parameters, y: Tensor, n_trials: int | None, generator: torch.Generator
    ) -> Tensor:
        """Counts of ``n_trials`` draws."""
        logs = parameters["feature_log_prob"].detach()[y]
        codes = categorical(logs, n_trials, generator=generator).T
        return torch.zeros_like(logs).scatter_add(
            1, codes, torch.ones_like(codes, dtype=logs.dtype)
        )

    def log_base_measure(self, x: Tensor) -> Tensor:
        """Multinomial coefficients.

        Raises:
            ValueError: if a count is not whole, so that there is no coefficient.
        """
        wrong = x != x.floor()
        if wrong.any():
            row, j = wrong.nonzero()[0].tolist()
            raise ValueError(
                f"X must hold whole counts to have a probability, found {x[row, j]:g} in row "
                f"{row}, column {j}; classes may be predicted from it all the same"
            )
        return (x.sum(1) + 1).lgamma() - (x + 1).lgamma().sum(1)


@dataclass(frozen=True)
class Complement(EventModel):
    """Scores that compare a text with all other classes. No density.

    .. math:: w_{kj} = -\\log \\frac{\\sum_{c \\ne k} n_{cj} + \\alpha_j}
              {\\sum_i (\\sum_{c \\ne k} n_{ci} + \\alpha_i)}, \\qquad
              \\text{score}_k = \\sum_j x_j w_{kj}

    With ``norm`` the weights of a class are divided by the sum of their absolute values.
    """

    alpha: Sequence[float]
    norm: bool
    undefined: ClassVar[str] = (
        "the other classes have no counts or, with norm, the weights no finite positive sum; "
        "pass alpha > 0"
    )
    uses_prior: ClassVar[bool] = False

    def prepare(self, x: Tensor, title: Titles) -> Tensor:
        """Counts, none missing."""
        return Multinomial(self.alpha).prepare(x, title)

    def statistics(self, x: Tensor, y: Tensor, weight: Tensor, n_classes: int) -> Tensor:
        """Counts (K, D)."""
        return Multinomial(self.alpha).statistics(x, y, weight, n_classes)

    def estimate(self, statistics: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Weights (K, D); plus infinity where no other class has the feature and alpha is 0."""
        # A sum of zeros is exactly zero, which the total less the class's own need not be.
        others = 1.0 - torch.eye(len(statistics), dtype=torch.float64, device=statistics.device)
        estimates, known = Multinomial(self.alpha).estimate(others @ statistics)
        weights = -estimates["feature_log_prob"]
        if self.norm:
            total = weights.sum(1, keepdim=True)
            known = known & total.isfinite() & (total > 0)
            weights = (weights / total).masked_fill(~known, 0.0)
        return {"weights": weights}, known

    def log_likelihood(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Scores (n, K), which are no likelihoods."""
        weights = parameters["weights"]
        return weighted_sum(x.to(weights.dtype), weights)

    def feature_log_prob(self, parameters: Parameters) -> Tensor:
        """Weights (K, D), which are no logarithms of probabilities."""
        return parameters["weights"]

    def sample(
        self, parameters: Parameters, y: Tensor, n_trials: int | None, generator: torch.Generator
    ) -> Tensor:
        """Refuse."""
        raise ValueError(
            "kind 'complement' is no model of the features to draw from; fit 'multinomial'"
        )

    def log_base_measure(self, x: Tensor) -> Tensor:
        """Refuse."""
        raise ValueError(
            "kind 'complement' has scores instead of densities; use predict_joint_log_proba for "
            "its scores or fit 'multinomial'"
        )


def count_states(x: Tensor, minimum: Sequence[int]) -> tuple[int, ...]:
    """Number of states of every feature: one more than its largest code, or the minimum.

    Example:
        >>> count_states(torch.tensor([[0.0, 2.0], [1.0, torch.nan]]), [1, 5])
        (2, 5)
    """
    largest = x.nan_to_num(nan=-1.0).amax(0).floor().tolist()
    return tuple([max(int(code) + 1, least) for code, least in zip(largest, minimum, strict=True)])


def _moments(x: Tensor, y: Tensor, weight: Tensor, n_classes: int) -> Tensor:
    """Weight, mean and sum of squared deviations of every class, (3, K, D).

    The corrected two-pass algorithm of Chan, Golub & LeVeque 1983.
    """
    gaps = not x.sum().isfinite()
    total, sums, shift, squares = x.new_zeros(4, n_classes, x.shape[1])
    for rows, codes, weights in blocks(x.shape[1], x, y, weight):
        members = memberships(codes, weights, n_classes).T
        total += members @ (~rows.isnan()).double() if gaps else members.sum(1, keepdim=True)
        sums += members @ (rows.nan_to_num(nan=0.0) if gaps else rows)
    divisor = total.masked_fill(total == 0, 1.0)
    mean = sums / divisor
    for rows, codes, weights in blocks(x.shape[1], x, y, weight):
        members = memberships(codes, weights, n_classes).T
        deviation = rows - mean[codes]
        deviation = deviation.nan_to_num(nan=0.0) if gaps else deviation
        shift += members @ deviation / divisor
        squares += members @ deviation.square()
    mean += shift
    return torch.stack([total, mean, squares - total * shift.square()])


def _pooled(moments: Tensor) -> Tensor:
    """Moments (3, 1, D) of all classes taken together."""
    total, mean, squares = moments
    everything = total.sum(0)
    centre = (total * mean).sum(0) / everything.masked_fill(everything == 0, 1.0)
    spread = (squares + total * (mean - centre).square()).sum(0)
    return torch.stack([everything, centre, spread]).unsqueeze(1)
