"""thrml as a Gibbs sampler of the Ising model on a square lattice.

It brings a compiler of some hundred megabytes:

    pip install -c constraints.txt thrml
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["Thrml"]

#: One thread, as the others have.
ONE_THREAD = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"


class Thrml:
    """Two-colour block Gibbs sampling of spins on a periodic lattice, chains by ``vmap``.

    Arguments:
        side: of the square lattice, even.
        beta: inverse temperature; couplings are one.
        chains: number of chains.
    """

    def __init__(self, side: int, beta: float, chains: int) -> None:
        import jax
        from jax import numpy as jnp
        from thrml import Block, SpinNode
        from thrml.models import IsingEBM, IsingSamplingProgram, hinton_init

        nodes = np.array([[SpinNode() for _ in range(side)] for _ in range(side)])
        edges = []
        for axis in (0, 1):
            edges += list(zip(nodes.ravel(), np.roll(nodes, -1, axis).ravel(), strict=True))
        even = np.indices(nodes.shape).sum(0) % 2 == 0
        self._blocks = [Block(list(nodes[even])), Block(list(nodes[~even]))]
        model = IsingEBM(
            list(nodes.ravel()),
            edges,
            jnp.zeros(nodes.size),
            jnp.ones(len(edges)),
            jnp.array(beta),
        )
        self._program = IsingSamplingProgram(model, self._blocks, clamped_blocks=[])
        self._start = hinton_init(jax.random.key(0), model, self._blocks, (chains,))
        self._chains = chains

    @staticmethod
    def installed() -> bool:
        """Whether it can be imported; asks its compiler for one thread, if there is time."""
        os.environ.setdefault("XLA_FLAGS", ONE_THREAD)
        return all(map(importlib.util.find_spec, ("thrml", "jax", "equinox")))

    def sweeps(self, n: int) -> Callable[[], Any]:
        """A compiled call that makes ``n`` sweeps of all chains from the start, and waits."""
        import jax
        from thrml import SamplingSchedule, sample_states

        schedule = SamplingSchedule(n_warmup=n, n_samples=1, steps_per_sample=0)

        def chain(key: Any, start: Any) -> Any:
            return sample_states(key, self._program, schedule, start, [], self._blocks)

        run = jax.jit(jax.vmap(chain))
        keys = jax.random.split(jax.random.key(1), self._chains)
        jax.block_until_ready(run(keys, self._start))
        return lambda: jax.block_until_ready(run(keys, self._start))
