"""Reading a most probable state off an upward max pass, by back-pointers from the roots."""

from __future__ import annotations

import numpy as np

from inference.exact.program import TreeProgram

__all__ = ["decode"]


def decode(program: TreeProgram, codes: np.ndarray) -> None:
    """Write a maximising state of every variable of the program's tree into ``codes``.

    From the roots down each clique takes the best residual for the separator state already
    chosen. One index per clique is taken, so ties cannot be broken inconsistently.
    """
    tree = program.tree
    for c in reversed(range(len(tree.cliques))):
        clique, shape, residual = tree.cliques[c], tree.shapes[c], tree.residuals[c]
        table = program.tables[c][(..., *[codes[v] for v in clique[residual:]])]
        best = int(table.argmax())
        for v, n in zip(reversed(clique[:residual]), reversed(shape[:residual]), strict=True):
            best, codes[v] = divmod(best, n)
