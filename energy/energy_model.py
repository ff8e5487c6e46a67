"""What all energy-based models share.

.. math:: p(x) = \\frac{e^{-E(x)}}{Z}, \\qquad Z = \\sum_x e^{-E(x)}
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from inference.exact.graph import FactorGraph
from inference.inputs import as_tensors, as_whole
from inference.model import Model
from inference.random import GeneratorLike, as_generator
from inference.rows import mean_over_rows
from inference.sampling.annealed_importance import LogPartition, annealed_importance_sampling
from inference.sampling.kernel import Annealable, TemperedLaw
from inference.sampling.schedules import settling_schedule

__all__ = ["EnergyModel", "PartitionMethod", "annealed_draws"]

PartitionMethod: TypeAlias = Literal["exact", "ais"]


def annealed_draws(
    law: TemperedLaw[Any], n: int, sweeps: int, generator: torch.Generator
) -> Tensor:
    """Where n chains of a law are after sweeps, in the first half of which beta rises to one.

    Arguments:
        law: a path of laws.
        n: number of chains.
        sweeps: their length.
        generator: of the draws.

    Shapes:
        result: (n, *event).
    """
    state = law.run(law.start(n, generator), settling_schedule(sweeps), generator)
    return law.position(state)


class EnergyModel(Model, Annealable):
    """Abstract base: an energy, and a path of laws to it.

    A subclass gives the energy, the path (:meth:`tempered_law`) and, where small models are to be
    summed exactly, the factor graph.
    """

    @abstractmethod
    def energy(self, x: Tensor) -> Tensor:
        """E(x) of a batch of states, (batch,)."""

    @abstractmethod
    def tempered_law(self) -> TemperedLaw[Any]:
        """The path from a simple law to the model's own, as its numbers are now."""

    @abstractmethod
    def to_factor_graph(self) -> FactorGraph:
        """The same law as a factor graph, for exact answers about small models."""

    def log_weight(self, x: Tensor) -> Tensor:
        """Log of the unnormalised probability, (batch,), nats: minus the energy."""
        return -self.energy(x)

    def log_prob(
        self, x: Tensor, *, log_partition: LogPartition | Tensor | float | None = None
    ) -> Tensor:
        """Log-probability, (batch,), nats.

        Arguments:
            x: states.
            log_partition: log Z, if it is known or has been estimated; None sums over all states
                exactly. The error of an estimate is that of every log-probability.

        Raises:
            ValueError: None for a model that is too large to be summed.
        """
        return self.log_weight(x) - self._log_z(log_partition)

    def score(
        self, x: Tensor, *, log_partition: LogPartition | Tensor | float | None = None
    ) -> float:
        """Mean log-probability, nats; see ``log_prob``.

        Raises:
            ValueError: no rows.
        """
        with torch.no_grad():
            return float(mean_over_rows(self.log_prob(x, log_partition=log_partition)))

    def _log_z(self, given: LogPartition | Tensor | float | None) -> Tensor | float:
        """Log Z as it was given, or summed."""
        if given is None:
            return self.exact_log_partition()
        return given if isinstance(given, Tensor) else float(given)

    def log_partition(
        self,
        method: PartitionMethod = "exact",
        *,
        betas: int | np.ndarray | Tensor | None = None,
        chains: int = 256,
        generator: GeneratorLike = None,
        progress: bool | None = None,
    ) -> Tensor | LogPartition:
        """Log Z, nats: exactly, (), or estimated with an error.

        Arguments:
            method: "exact" sums over all states; "ais" anneals importance samples.
            betas: of "ais", see ``annealed_importance_sampling``; so the rest.
            chains: independent paths.
            generator: None, a seed or a generator.
            progress: a bar; None shows it on a terminal.

        Returns:
            A tensor (), or a ``LogPartition``.

        Raises:
            ValueError: an unknown method, or a model too large to be summed.
        """
        if method == "exact":
            return self.exact_log_partition()
        if method != "ais":
            raise ValueError(f'method must be "exact" or "ais", found {method!r}')
        return annealed_importance_sampling(
            self, betas=betas, chains=chains, generator=generator, progress=progress
        )

    def exact_log_partition(self) -> Tensor:
        """Log Z by summing over all states, (), nats; along the factor graph unless overridden.

        Raises:
            ValueError: if the model is too large for that.
        """
        return self.to_factor_graph().log_partition()

    def gibbs_sweep(self, x: Tensor, beta: float = 1.0, generator: GeneratorLike = None) -> Tensor:
        """States after one sweep over all variables.

        Arguments:
            x: states of the chains.
            beta: inverse temperature on the path of :meth:`tempered_law`, in units of the model's
                own: 1 is the model's law, 0 that of the path's base.
            generator: None, a seed or a generator.

        Shapes:
            x: (chain, n). result: the same.

        Raises:
            TypeError, ValueError: states that are no numbers, or that the model does not have.
        """
        law = self.tempered_law()
        source = as_generator(generator, law.device)
        (position,) = as_tensors(x=x)
        return law.position(law.step(law.init(position), beta, source))

    def sample(
        self,
        n: int,
        *,
        sweeps: int = 1000,
        method: Literal["gibbs", "exact"] = "gibbs",
        generator: GeneratorLike = None,
    ) -> Tensor:
        """Draws from the model, one from each of n chains.

        The chains start at the simple law; beta rises to the model's in the first half of the
        sweeps. Draws of different chains are independent. How near they are to the model's law is
        for diagnostics to say: see ``sample_chain``.

        Arguments:
            n: number of draws.
            sweeps: length of the chains.
            method: "gibbs" runs chains; "exact" draws exactly, from models that can be summed.
            generator: None, a seed or a generator.

        Shapes:
            result: (n, n_units).

        Raises:
            ValueError: an unknown method, or a model too large to be summed.
        """
        n, sweeps = as_whole("n", n, least=1), as_whole("sweeps", sweeps, least=1)
        law = self.tempered_law()
        source = as_generator(generator, law.device)
        if method == "exact":
            codes = self.to_factor_graph().sample(n, generator=source)
            return self._decoded(codes)
        if method != "gibbs":
            raise ValueError(f'method must be "gibbs" or "exact", found {method!r}')
        return annealed_draws(law, n, sweeps, source)

    def _decoded(self, codes: Tensor) -> Tensor:
        """States of the model from codes of its factor graph."""
        return codes.to(torch.get_default_dtype())
