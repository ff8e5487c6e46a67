"""Sums over all joint states by annealed importance sampling.

.. math:: Z = Z_0\\, \\mathbb{E}\\Bigl[\\prod_{k=1}^{K}
          \\frac{e^{\\beta_k w(x_{k-1})}}{e^{\\beta_{k-1} w(x_{k-1})}}\\Bigr]
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from inference.inputs import as_whole
from inference.progress import progress_bar
from inference.random import GeneratorLike, as_generator
from inference.sampling.laws import Tempered, as_tempered_law

__all__ = ["LogPartition", "annealed_importance_sampling"]

#: Below this share of effective chains the error estimate is not to be trusted.
TRUSTED = 0.3


@dataclass(frozen=True)
class LogPartition:
    """An estimate of log Z; ``float()`` gives its value.

    Attributes:
        value: the estimate, nats. Z itself is estimated without bias, so log Z on average from
            below.
        standard_error: of the value; NaN where too few chains carry the weight to tell.
        effective_sample_size: the number of equally weighted chains worth as much.
        chains: how many there were.
    """

    value: float
    standard_error: float
    effective_sample_size: float
    chains: int

    def __float__(self) -> float:
        return self.value

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval by Student's t, nats."""
        from scipy.stats import t

        half = float(t.ppf(0.975, self.chains - 1)) * self.standard_error
        return self.value - half, self.value + half


def annealed_importance_sampling(
    model: Tempered,
    *,
    betas: int | np.ndarray | Tensor = 500,
    chains: int = 200,
    generator: GeneratorLike = None,
    progress: bool | None = None,
) -> LogPartition:
    """Estimate log Z along a path from the uniform law, with Gibbs sweeps in between.

    .. math:: \\log \\hat Z = \\log |\\mathcal X| + \\log \\frac1C \\sum_c
              \\exp \\sum_k (\\beta_k - \\beta_{k-1})\\, w(x^{(c)}_{k-1})

    Arguments:
        model: a compiled density, or a factor graph.
        betas: rising inverse temperatures from 0, or how many steps from 0 to 1; log Z belongs
            to the last one.
        chains: independent paths.
        generator: None, a seed or a generator.
        progress: a bar; None shows it on a terminal.

    Raises:
        ValueError: betas that do not rise from 0, fewer than two chains, or no chain that found
            a possible state.

    Reference:
        Neal 2001, "Annealed importance sampling", eq. 11 and section 3.

    Example:
        >>> from inference.exact.factor import Factor
        >>> from inference.exact.graph import FactorGraph
        >>> pair = FactorGraph({"a": 2, "b": 2}, [Factor(["a", "b"], [[1.0, 0.0], [0.0, 1.0]])])
        >>> found = annealed_importance_sampling(pair, betas=20, generator=0)
        >>> round(abs(float(found) - math.log(2 * math.e + 2)), 1)
        0.0
    """
    law = as_tempered_law(model)
    chains = as_whole("chains", chains, least=2)
    path = np.linspace(0.0, 1.0, betas + 1) if isinstance(betas, int) else np.asarray(betas)
    if path.ndim != 1 or len(path) < 2 or path[0] != 0 or not (np.diff(path) > 0).all():
        raise ValueError(f"betas must rise from 0, or be a number of steps >= 1, found {betas!r}")
    source = as_generator(generator, law.device)
    state = law.start(chains, source)
    total = torch.full((chains,), law.log_base, dtype=torch.float64, device=law.device)
    with progress_bar(len(path) - 1, "annealed importance sampling", progress) as bar:
        for before, beta in pairwise(path.tolist()):
            total += _increment(law.log_density(state, before), law.log_density(state, beta))
            state = law.step(state, beta, source)
            bar.update(1)
    return _summary(total, chains)


def _increment(before: Tensor, after: Tensor) -> Tensor:
    """What log weights gain; a chain at an impossible state has none, and keeps none."""
    return torch.where(before == -math.inf, -math.inf, after - before)


def _summary(logs: Tensor, chains: int) -> LogPartition:
    """Mean of the weights, its error by the delta method, and how even they are."""
    value = float(torch.logsumexp(logs, 0)) - math.log(chains)
    if value == -math.inf:
        raise ValueError(
            "no chain started at a possible state: the hard zeros leave too few of them for "
            "annealing from the uniform law; use an exact method"
        )
    ratios = (logs - value).exp()
    size = float(ratios.sum().square() / ratios.square().sum())
    error = float(ratios.std() / math.sqrt(chains)) if size >= TRUSTED * chains else math.nan
    return LogPartition(value, error, size, chains)
