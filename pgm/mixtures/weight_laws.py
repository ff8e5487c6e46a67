"""Laws of the weights of a mixture: a Dirichlet law, or broken sticks of a Dirichlet process.

.. math:: \\pi \\sim \\mathrm{Dir}(\\alpha, \\dots, \\alpha) \\qquad \\text{or} \\qquad
          \\pi_k = v_k \\prod_{j<k} (1 - v_j), \\quad v_k \\sim \\mathrm{Beta}(1, \\alpha)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeAlias

from inference.arrays import namespace
from pgm.mixtures.special import digamma, log_gamma

__all__ = ["WEIGHT_LAWS", "BrokenSticks", "DirichletWeights", "WeightLaw", "WeightLawName"]

WeightLawName: TypeAlias = Literal["dirichlet_process", "dirichlet_distribution"]


@dataclass(frozen=True)
class WeightLaw(ABC):
    """Abstract base: a prior of weights, and what a posterior of its family says.

    A posterior is an array ``concentration`` of the shape that the family has. Working arrays.

    Attributes:
        alpha: the prior's concentration, positive.
    """

    alpha: float

    #: Whether the bound is highest where expected counts fall from component to component.
    prefers_falling: ClassVar[bool]

    @staticmethod
    @abstractmethod
    def shape(n_components: int) -> tuple[int, ...]:
        """Shape of one posterior."""

    @abstractmethod
    def posterior(self, counts: Any) -> Any:
        """Concentration (R, *shape) from expected counts (R, K)."""

    @abstractmethod
    def expected_logs(self, concentration: Any) -> Any:
        """Expected log-weights, (R, K)."""

    @abstractmethod
    def expected(self, concentration: Any) -> tuple[Any, Any]:
        """Expected weights (R, K), and what is left for components beyond these, (R,)."""

    @abstractmethod
    def divergence(self, concentration: Any) -> Any:
        """Kullback-Leibler divergence of the posterior from the prior, (R,), nats."""


@dataclass(frozen=True)
class DirichletWeights(WeightLaw):
    """A Dirichlet law that is symmetric a priori.

    .. math:: a_k = \\alpha + N_k, \\qquad
              \\mathbb{E} \\log \\pi_k = \\psi(a_k) - \\psi\\bigl({\\textstyle\\sum}_l a_l\\bigr)

    Reference:
        Bishop 2006, equations 10.58 and 10.66.
    """

    prefers_falling = False

    @staticmethod
    def shape(n_components: int) -> tuple[int, ...]:
        """(K,)."""
        return (n_components,)

    def posterior(self, counts: Any) -> Any:
        """Counts and the prior's."""
        return self.alpha + counts

    def expected_logs(self, concentration: Any) -> Any:
        """From the digamma function."""
        return _expected_logs(concentration, -1)

    def expected(self, concentration: Any) -> tuple[Any, Any]:
        """Shares; nothing is left."""
        total = concentration.sum(-1)
        return concentration / total[..., None], 0 * total

    def divergence(self, concentration: Any) -> Any:
        """Of two Dirichlet laws."""
        prior = namespace(concentration).full_like(concentration, self.alpha)
        return _divergence(concentration, prior, -1)


@dataclass(frozen=True)
class BrokenSticks(WeightLaw):
    """A Dirichlet process, of which the posterior uses the first K components.

    .. math:: q(v_k) = \\mathrm{Beta}\\Bigl(1 + N_k,\\; \\alpha + \\sum_{l>k} N_l\\Bigr), \\qquad
              \\mathbb{E} \\log \\pi_k
              = \\mathbb{E} \\log v_k + \\sum_{j<k} \\mathbb{E} \\log (1 - v_j)

    The sticks beyond the last component have their prior, and no row. Counts a before b are worth
    more than b before a by the logarithm of (alpha + a + rest) / (alpha + b + rest), where rest
    are the counts behind both: the best order is from the largest down.

    Reference:
        Blei & Jordan 2006, "Variational inference for Dirichlet process mixtures", equations
        18 to 22; Kurihara, Welling & Vlassis 2007, "Accelerated variational Dirichlet process
        mixtures", section 2 (sticks beyond the last that stay at the prior, and the order).
    """

    prefers_falling = True

    @staticmethod
    def shape(n_components: int) -> tuple[int, ...]:
        """(2, K): both parameters of every stick."""
        return 2, n_components

    def posterior(self, counts: Any) -> Any:
        """Counts of a component, and of all after it."""
        xp = namespace(counts)
        after = xp.flip(xp.cumsum(xp.flip(counts, (-1,)), -1), (-1,))[..., 1:]
        later = xp.concatenate([after, xp.zeros_like(counts[..., :1])], -1)
        return xp.stack([1 + counts, self.alpha + later], -2)

    def expected_logs(self, concentration: Any) -> Any:
        """Of a stick and of what all before it leave."""
        xp, logs = namespace(concentration), _expected_logs(concentration, -2)
        broken, left = logs[..., 0, :], logs[..., 1, :]
        # Not a difference of sums: the last stick's remainder may be huge where alpha is tiny.
        before = xp.cumsum(left[..., :-1], -1)
        return broken + xp.concatenate([xp.zeros_like(broken[..., :1]), before], -1)

    def expected(self, concentration: Any) -> tuple[Any, Any]:
        """Products of independent sticks."""
        xp = namespace(concentration)
        broken, left = [concentration[..., i, :] / concentration.sum(-2) for i in (0, 1)]
        after = xp.cumprod(left, -1)
        before = xp.concatenate([xp.ones_like(after[..., :1]), after[..., :-1]], -1)
        return broken * before, after[..., -1]

    def divergence(self, concentration: Any) -> Any:
        """Of independent beta laws."""
        xp = namespace(concentration)
        prior = xp.ones_like(concentration)
        prior[..., 1, :] = self.alpha
        return _divergence(concentration, prior, -2).sum(-1)


#: By scikit-learn's names.
WEIGHT_LAWS: dict[WeightLawName, type[DirichletWeights] | type[BrokenSticks]] = {
    "dirichlet_process": BrokenSticks,
    "dirichlet_distribution": DirichletWeights,
}


def _expected_logs(concentration: Any, axis: int) -> Any:
    """Expected logarithms of a Dirichlet vector along an axis."""
    return digamma(concentration) - digamma(concentration.sum(axis, keepdims=True))


def _divergence(first: Any, second: Any, axis: int) -> Any:
    """Kullback-Leibler divergence of two Dirichlet laws along an axis."""
    constants = [log_gamma(x.sum(axis)) - log_gamma(x).sum(axis) for x in (first, second)]
    gain = ((first - second) * _expected_logs(first, axis)).sum(axis)
    return constants[0] - constants[1] + gain
