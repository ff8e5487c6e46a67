"""Search for joint states of large weight: cooled sampling, then descent.

.. math:: p_\\beta(x) \\propto e^{\\beta w(x)}, \\qquad \\beta : \\beta_0 \\to \\infty
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from inference.inputs import as_tensors, as_whole
from inference.progress import progress_bar
from inference.random import GeneratorLike, as_generator
from inference.sampling.laws import Tempered, as_search_law
from inference.sampling.schedules import geometric_schedule, quenched

__all__ = ["Annealed", "simulated_annealing"]

#: In how many parts a schedule is run, for the bar.
PARTS = 100

#: One sweep in this many of the default schedule is a sweep at infinite beta, at its end.
QUENCH = 100


@dataclass(frozen=True, eq=False)
class Annealed:
    """What a search found.

    Attributes:
        state: final positions of all chains, (chains, V); int64 for states of variables.
        energy: minus their log-weights, (chains,), nats; infinite where they are impossible.
    """

    state: Tensor
    energy: Tensor

    @property
    def best(self) -> Tensor:
        """The position of least energy, (V,)."""
        return self.state[self.energy.argmin()]

    @property
    def best_energy(self) -> float:
        """The least energy, nats."""
        return float(self.energy.min())


def simulated_annealing(
    model: Tempered,
    *,
    schedule: Sequence[float] | np.ndarray | Tensor | None = None,
    sweeps: int = 1000,
    chains: int = 32,
    generator: GeneratorLike = None,
    progress: bool | None = None,
) -> Annealed:
    """Search for a joint state of largest weight by sampling at falling temperatures.

    .. math:: x^{(t)} \\sim K_{\\beta_t}(x^{(t-1)}, \\cdot), \\qquad
              \\hat x = \\text{ICM}(x^{(T)})

    Every chain ends in a state that no change of a single variable improves. Longer schedules
    help more than more chains.

    Arguments:
        model: an energy model with discrete states, a path of laws, a compiled density or a
            factor graph.
        schedule: inverse temperatures, one per sweep, infinity allowed; by default geometric
            over the law's ``temperature_range``, the last hundredth of ``sweeps`` at infinity.
            ``inference.sampling.schedules`` makes others.
        sweeps: length of the default schedule.
        chains: independent searches.
        generator: None, a seed or a generator.
        progress: a bar; None shows it on a terminal.

    Returns:
        Final states, their energies, and the best state.

    Raises:
        TypeError: a model without discrete states.
        ValueError: an empty schedule, a negative or NaN inverse temperature, no chains; energies
            that are NaN or -inf.

    Reference:
        Kirkpatrick, Gelatt & Vecchi 1983, "Optimization by simulated annealing"; Geman & Geman
        1984, section XII.

    Example:
        >>> from inference.exact.factor import Factor
        >>> from inference.exact.graph import FactorGraph
        >>> unlike = Factor(["a", "b"], [[-1.0, 0.0], [0.0, -1.0]])
        >>> graph = FactorGraph({"a": 2, "b": 2}, [unlike, Factor(["a"], [0.0, 0.5])])
        >>> simulated_annealing(graph, sweeps=20, chains=4, generator=0).best.tolist()
        [1, 0]
    """
    law = as_search_law(model)
    chains = as_whole("chains", chains, least=1)
    betas = _default(*law.temperature_range(), sweeps) if schedule is None else _own(schedule)
    source = as_generator(generator, law.device)
    state = law.start(chains, source)
    with progress_bar(len(betas), "annealing", progress) as bar:
        for part in np.array_split(betas, min(len(betas), PARTS)):
            state = law.run(state, part.tolist(), source)
            bar.update(len(part))
    state = law.descend(state)
    energy = -law.log_density(state, 1.0)
    if bool((energy.isnan() | energy.isneginf()).any()):
        raise ValueError("log_density must be finite or -inf, found NaN or +inf; check the model")
    return Annealed(law.position(state), energy)


def _default(hot: float, cold: float, sweeps: int) -> np.ndarray:
    """Geometric, and a quench that makes up for a cold end that is not cold enough."""
    quench = as_whole("sweeps", sweeps, least=1) // QUENCH
    return quenched(geometric_schedule(hot, cold, sweeps - quench), quench)


def _own(schedule: Sequence[float] | np.ndarray | Tensor) -> np.ndarray:
    """A user's schedule, checked."""
    betas = as_tensors(schedule=schedule)[0].detach().double().cpu().numpy()
    if betas.ndim != 1 or not len(betas) or not (betas >= 0).all():
        raise ValueError(f"schedule must list inverse temperatures >= 0, found {schedule!r}")
    return betas
