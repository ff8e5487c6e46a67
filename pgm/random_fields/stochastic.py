"""Likelihood gradients by sampling: contrastive divergence and persistent chains.

.. math:: \\theta \\leftarrow \\theta + \\eta_t \\Bigl(\\frac1W \\sum_i w_i f(x^{(i)}) -
          \\frac1C \\sum_c f(\\tilde x^{(c)})\\Bigr)
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from inference.progress import progress_bar
from inference.random import GeneratorLike, as_generator
from inference.sampling.density import DiscreteDensity
from inference.sampling.factor_arrays import FactorArrays
from inference.sampling.gibbs import ColoredGibbs, GibbsState
from pgm.discrete_data import DiscreteData
from pgm.random_fields.factor_tables import TableMap

__all__ = ["ContrastiveGradient", "ascend"]

#: Share of the steps, at the end, over which the weights are averaged.
AVERAGED = 0.5


class ContrastiveGradient:
    """Noisy gradients of the mean log-likelihood by the log tables.

    Contrastive divergence starts its chains at the rows of the data, every time; persistent
    chains go on where they were, and follow the model as it learns.

    Arguments:
        arrays: scopes.
        rows: the data, without gaps.
        logs: log tables to start with.
        kind: "contrastive" or "persistent".
        chains: number of persistent chains.
        sweeps: Gibbs sweeps per gradient.
        generator: of the chains.

    Reference:
        Hinton 2002, "Training products of experts by minimizing contrastive divergence",
        section 3; Tieleman 2008, "Training restricted Boltzmann machines using approximations to
        the likelihood gradient", section 3.
    """

    def __init__(
        self,
        arrays: FactorArrays,
        rows: DiscreteData,
        logs: Tensor,
        kind: Literal["contrastive", "persistent"],
        chains: int,
        sweeps: int,
        generator: torch.Generator,
    ) -> None:
        self._arrays = arrays
        self._generator = generator
        self._sweeps = sweeps
        self._persistent = kind == "persistent"
        self._density = DiscreteDensity(arrays, logs)
        codes = torch.from_numpy(rows.codes())
        weights = torch.ones(len(codes)).double()
        if rows.weights is not None:
            weights = torch.from_numpy(rows.weights)
        self._weights = weights / rows.total
        self._counts = arrays.counts(codes, self._weights)
        if self._persistent:
            drawn = torch.multinomial(self._weights, chains, True, generator=generator)
            codes, self._weights = codes[drawn], torch.full((chains,), 1 / chains).double()
        self._state = ColoredGibbs(self._density).init(codes)

    def __call__(self, logs: Tensor) -> Tensor:
        """Entries used by the data minus those used by the chains, (size,)."""
        state = self.advanced(logs)
        if self._persistent:
            self._state = state
        return self._counts - self._arrays.counts(state.codes, self._weights)

    def advanced(self, logs: Tensor) -> GibbsState:
        """The chains after some sweeps under the present tables."""
        kernel = ColoredGibbs(self._density.with_logs(logs)).at(1.0)
        state = self._state
        for _ in range(self._sweeps):
            state = kernel.step(state, self._generator)
        return state


def ascend(
    arrays: FactorArrays,
    rows: DiscreteData,
    table_map: TableMap,
    start: Tensor,
    kind: Literal["contrastive", "persistent"],
    *,
    l2: float,
    chains: int,
    sweeps: int,
    steps: int,
    learning_rate: float,
    generator: GeneratorLike,
    progress: bool | None,
) -> tuple[Tensor, list[dict[str, Any]]]:
    """Follow noisy gradients with Adam, rates falling to zero; return the mean of the last half.

    Returns:
        Weights (n_weights,), and per step the norm of the gradient.

    Reference:
        Kingma & Ba 2015, algorithm 1; Polyak & Juditsky 1992 (averaging).
    """
    weights = start.clone()
    learned = weights.isfinite()  # hard zeros stay
    gradient_of = ContrastiveGradient(
        arrays, rows, table_map.tables(weights), kind, chains, sweeps, as_generator(generator)
    )
    optimizer = torch.optim.Adam([weights], lr=learning_rate)
    mean, averaged = torch.zeros_like(weights), 0
    history: list[dict[str, Any]] = []
    with progress_bar(steps, kind, progress) as bar:
        for step in range(steps):
            logs = table_map.tables(weights)
            gradient = table_map.pull_back(gradient_of(logs)).masked_fill(~learned, 0.0)
            gradient = gradient - l2 * weights.masked_fill(~learned, 0.0)
            optimizer.param_groups[0]["lr"] = learning_rate * (1 - step / steps) ** 0.5
            weights.grad = -gradient
            optimizer.step()
            if step >= (1 - AVERAGED) * steps:
                averaged += 1
                mean += (weights.masked_fill(~learned, 0.0) - mean) / averaged
            norm = float(gradient.norm())
            history.append({"iteration": step + 1, "gradient_norm": norm})
            bar.update(1)
            bar.set_postfix_str(f"gradient {norm:.3g}")
    return torch.where(learned, mean if averaged else weights, weights), history
