"""PGMax as a propagator of beliefs on grids.

Its release needs a name that jax has dropped and imports cvxpy for what is not used here; both
are put in place, so that it runs. It depends on hundreds of megabytes that it does not need here:

    pip install --no-deps -c constraints.txt absl-py jax jaxlib llvmlite ml_dtypes numba pgmax
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

__all__ = ["PGMax"]


class PGMax:
    """Sum-product on one model, all messages in every iteration, undamped.

    Arguments:
        unary: (rows, columns, q) log potentials.
        edges: (E, 2) numbers of variables, rows first.
        tables: (E, q, q) log potentials.
    """

    def __init__(self, unary: np.ndarray, edges: np.ndarray, tables: np.ndarray) -> None:
        from pgmax import fgraph, fgroup, infer, vgroup

        rows, columns, q = unary.shape
        variables = vgroup.NDVarArray(num_states=q, shape=(rows, columns))
        graph = fgraph.FactorGraph(variables)
        names = [variables[r, c] for r in range(rows) for c in range(columns)]
        scopes = [[names[i], names[j]] for i, j in edges.tolist()]
        graph.add_factors(fgroup.PairwiseFactorGroup(scopes, log_potential_matrix=tables))
        self._infer, self._variables = infer, variables
        self._bp = infer.build_inferer(graph.bp_state, backend="bp")
        self._start = self._bp.init(evidence_updates={variables: unary})

    @staticmethod
    def installed() -> bool:
        """Whether it can be imported; prepares for that."""
        if not all(map(importlib.util.find_spec, ("pgmax", "jax", "numba", "absl"))):
            return False
        import jax
        import jax.extend.backend

        sys.modules.setdefault("cvxpy", ModuleType("cvxpy"))
        if getattr(jax.lib, "xla_bridge", None) is None:
            jax.lib.xla_bridge = SimpleNamespace(get_backend=jax.extend.backend.get_backend)
        return True

    def iterations(self, n: int) -> Callable[[], Any]:
        """A compiled call that makes ``n`` iterations from the start and waits for them."""
        import jax

        run = jax.jit(lambda state: self._bp.run(state, num_iters=n, damping=0.0, temperature=1.0))
        jax.block_until_ready(run(self._start).ftov_msgs)

        def call() -> Any:
            found = run(self._start)
            jax.block_until_ready(found.ftov_msgs)
            return found

        return call

    def marginals(self, state: Any) -> np.ndarray:
        """Beliefs (rows, columns, q) of what a call returned."""
        beliefs = self._infer.get_marginals(self._bp.get_beliefs(state))
        return np.asarray(beliefs[self._variables])
