"""An estimate of log Z from weighted chains, with its error, or the reason why there is none.

.. math:: \\log \\hat Z = \\log \\frac1C \\sum_c e^{\\ell_c}
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from inference.inputs import as_whole

__all__ = ["LogPartition", "bracket"]

#: Share of effective chains, and of effective groups where there are few, from which on the error
#: is one to trust.
TRUSTED, TRUSTED_FEW = 0.3, 0.7

#: Below this many independent groups, how uneven they are is itself badly known.
FEW = 50


@dataclass(frozen=True, eq=False, repr=False)
class LogPartition:
    """An estimate of log Z; ``float()`` gives its value.

    .. math:: \\log \\hat Z = \\log \\frac1C \\sum_c e^{\\ell_c}, \\qquad
              \\text{in reverse } -\\log \\frac1C \\sum_c e^{-\\ell_c}

    The weights of a forward run estimate Z without bias, so log Z on average from below; those of
    a reverse run estimate 1/Z, so log Z on average from above.

    The error is the jackknife's over independent groups: chains, or islands where chains of a
    group have been resampled together. Where too few of them carry the weight, no formula knows
    the error, and none is given: ``reliable`` is False, error and interval are NaN. Of runs whose
    share of effective chains is usually just below that, 0.3, those that pass are the lucky ones,
    and their intervals hold log Z less often than they say: a share well above it is what to
    trust.

    Arguments:
        log_weights: estimates of log Z by single chains, (chain,), nats.
        islands: number of independent groups that the chains form, in order; None if every chain
            is independent.
        reverse: they come from a run from the law back to the base.

    Raises:
        ValueError: weights that are NaN or infinite, or all zero; no row of two chains or more,
            or islands that do not divide it.

    Reference:
        Neal 2001, "Annealed importance sampling", section 3; Efron 1982, "The jackknife, the
        bootstrap and other resampling plans", eq. 3.5.

    Example:
        >>> found = LogPartition(torch.tensor([0.9, 1.0, 1.1, 1.2]).double().repeat(25))
        >>> print(found)
        log Z = 1.056 +- 0.011 nats (95 %: 1.034 to 1.078), 98.8 of 100 chains effective
        >>> print(LogPartition(torch.tensor([9.0] + 5 * [0.0]).double()))
        log Z about 7.209 nats, no interval: weights too uneven (1.0 of 6 chains effective); use \
more temperatures
    """

    log_weights: Tensor
    islands: int | None = None
    reverse: bool = False

    def __post_init__(self) -> None:
        shape = tuple(self.log_weights.shape)
        if len(shape) != 1 or shape[0] < 2:
            raise ValueError(f"log_weights must be (chain,), two chains or more, found {shape}")
        if self.islands is not None and self.chains % as_whole("islands", self.islands, least=2):
            raise ValueError(
                f"islands must divide the chains, found {self.islands} of {self.chains} chains"
            )
        logs = self._signed
        if bool((logs.isnan() | logs.isposinf()).any()):
            raise ValueError(
                "log_density must be finite or -inf, found NaN or +inf in the weights; "
                "check the model's log density"
            )
        if bool(logs.isneginf().all()):
            raise ValueError(
                "no chain started at a possible state: the hard zeros leave too few of them for "
                "annealing from the base law; use an exact method"
            )

    def __float__(self) -> float:
        return self.value

    def __repr__(self) -> str:
        effective = f"{self.effective_sample_size:.1f} of {self.chains} chains effective"
        if not self.reliable:
            return (
                f"log Z about {self.value:.3f} nats, no interval: weights too uneven "
                f"({effective}); use more temperatures"
            )
        low, high = self.interval
        return (
            f"log Z = {self.value:.3f} +- {self.standard_error:.3f} nats "
            f"(95 %: {low:.3f} to {high:.3f}), {effective}"
        )

    @property
    def chains(self) -> int:
        """How many there were."""
        return len(self.log_weights)

    @property
    def units(self) -> int:
        """How many groups of chains are independent of one another."""
        return self.chains if self.islands is None else self.islands

    @cached_property
    def value(self) -> float:
        """The estimate, nats."""
        return self._sign * float(_log_mean(self._signed[None])[0])

    @cached_property
    def mean_log_weight(self) -> float:
        """Mean estimate of single groups, nats; -inf if a group found no possible state.

        .. math:: \\mathbb{E}\\,\\bar\\ell \\le \\log Z \\text{ forward}, \\qquad
                  \\mathbb{E}\\,\\bar\\ell \\ge \\log Z \\text{ in reverse}

        The ordering holds for the mean of many runs, not for each; in reverse, only for runs
        that start at exact draws.
        """
        return self._sign * float(self._levels.mean())

    @cached_property
    def effective_sample_size(self) -> float:
        """The number of equally weighted chains worth as much."""
        return _effective(self._signed)

    @cached_property
    def reliable(self) -> bool:
        """Whether the weights are even enough for an error to be told from them."""
        even = self.effective_sample_size >= TRUSTED * self.chains
        least = TRUSTED if self.units >= FEW else TRUSTED_FEW
        return even and _effective(self._levels) >= least * self.units

    @cached_property
    def standard_error(self) -> float:
        """Of the value, by the jackknife, nats; NaN unless ``reliable``."""
        if not self.reliable:
            return math.nan
        ratios = self._levels.softmax(0)
        without = torch.log1p(-ratios)
        return float(without.std(correction=0) * math.sqrt(self.units - 1))

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval, nats; NaN unless ``reliable``."""
        return self.interval_at(0.95)

    def interval_at(self, level: float) -> tuple[float, float]:
        """An interval by Student's t, nats; NaN unless ``reliable``.

        Arguments:
            level: how often it should hold log Z.

        Raises:
            ValueError: if the level is not between 0 and 1.
        """
        if not 0 < level < 1:
            raise ValueError(f"level must be between 0 and 1, found {level}")
        from scipy.stats import t

        half = float(t.ppf(0.5 + level / 2, self.units - 1)) * self.standard_error
        return self.value - half, self.value + half

    @property
    def _sign(self) -> int:
        return -1 if self.reverse else 1

    @cached_property
    def _signed(self) -> Tensor:
        """Logarithms of what is averaged: estimates of Z, or of 1/Z."""
        return self._sign * self.log_weights.detach().double()

    @cached_property
    def _levels(self) -> Tensor:
        """The same of whole groups, (units,)."""
        return _log_mean(self._signed.view(self.units, -1))


def bracket(forward: LogPartition, reverse: LogPartition) -> tuple[float, float]:
    """Two numbers that have log Z between them in expectation, nats.

    .. math:: \\mathbb{E}\\,\\bar\\ell_{\\text{forward}} \\le \\log Z \\le
              \\mathbb{E}\\,\\bar\\ell_{\\text{reverse}}

    Exact where the reverse run starts at exact draws. How far the two lie apart says how well
    the annealing did; single runs may cross.

    Arguments:
        forward: from the base to the law.
        reverse: from the law to the base.

    Raises:
        ValueError: if one runs the other way.

    Reference:
        Grosse, Ghahramani & Adams 2015, "Sandwiching the marginal likelihood using bidirectional
        Monte Carlo", section 4; Burda, Grosse & Salakhutdinov 2015, "Accurate and conservative
        estimates of MRF log-likelihood using reverse annealing", section 3.

    Example:
        >>> low = LogPartition(torch.tensor([0.0, 1.0]))
        >>> bracket(low, LogPartition(torch.tensor([0.5, 1.0]), reverse=True))
        (0.5, 0.75)
    """
    if forward.reverse or not reverse.reverse:
        raise ValueError("bracket needs a forward estimate first and a reverse one second")
    return forward.mean_log_weight, reverse.mean_log_weight


def _log_mean(logs: Tensor) -> Tensor:
    """Logarithms of the means of rows."""
    return logs.logsumexp(1) - math.log(logs.shape[1])


def _effective(logs: Tensor) -> float:
    """Number of equal weights that are worth as much as these."""
    return 1 / float(logs.softmax(0).square().sum())
