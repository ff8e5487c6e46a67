"""Search for joint states of large weight: cooled Gibbs sampling, then descent.

.. math:: p_\\beta(x) \\propto e^{\\beta w(x)}, \\qquad \\beta : \\beta_0 \\to \\infty
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from inference.inputs import as_whole
from inference.progress import progress_bar
from inference.random import GeneratorLike, as_generator
from inference.sampling.laws import Tempered, as_search_law
from inference.sampling.schedules import geometric_schedule

__all__ = ["Annealed", "simulated_annealing"]

#: In how many parts a schedule is run, for the bar.
PARTS = 100


@dataclass(frozen=True, eq=False)
class Annealed:
    """What a search found.

    Attributes:
        state: final joint states of all chains, (chains, V) int64.
        energy: minus their log-weights, (chains,), nats; infinite where they are impossible.
        best: the one of least energy, (V,).
    """

    state: Tensor
    energy: Tensor
    best: Tensor


def simulated_annealing(
    model: Tempered,
    *,
    schedule: np.ndarray | Tensor | None = None,
    sweeps: int = 1000,
    chains: int = 32,
    generator: GeneratorLike = None,
    progress: bool | None = None,
) -> Annealed:
    """Search for a joint state of largest weight by Gibbs sampling at falling temperatures.

    .. math:: x^{(t)} \\sim K_{\\beta_t}(x^{(t-1)}, \\cdot), \\qquad
              \\hat x = \\text{ICM}(x^{(T)})

    Every chain ends in a state that no change of a single variable improves. Longer schedules
    help more than more chains.

    Arguments:
        model: a compiled density, or a factor graph.
        schedule: inverse temperatures, one per sweep; by default geometric over ``sweeps``, over
            the law's ``temperature_range``.
        sweeps: length of the default schedule.
        chains: independent searches.
        generator: None, a seed or a generator.
        progress: a bar; None shows it on a terminal.

    Returns:
        Final states, their energies, and the best state.

    Raises:
        ValueError: an empty schedule or negative inverse temperatures, no chains.

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
    if schedule is None:
        schedule = geometric_schedule(*law.temperature_range(), sweeps)
    betas = np.asarray(schedule, dtype=np.float64)
    if betas.ndim != 1 or not len(betas) or not (betas >= 0).all():
        raise ValueError(f"schedule must list inverse temperatures >= 0, found {schedule!r}")
    source = as_generator(generator, law.device)
    state = law.start(chains, source)
    with progress_bar(len(betas), "annealing", progress) as bar:
        for part in np.array_split(betas, min(len(betas), PARTS)):
            state = law.run(state, part.tolist(), source)
            bar.update(len(part))
    state = law.descend(state)
    energy = -law.log_density(state, 1.0)
    position = law.position(state)
    return Annealed(position, energy, position[energy.argmin()])
