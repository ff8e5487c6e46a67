"""Exact sums over the labellings of a batch of graphs, by one plan for all of them.

.. math:: Z = \\sum_y e^{s(y)}, \\qquad
          \\frac{\\partial \\log Z}{\\partial \\theta_i(a)} = p(y_i = a)
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from inference.exact.engine import ExactEngine
from inference.exact.evidence import Evidence
from inference.exact.log_collect import log_collect
from inference.memory import readable_count, require_memory
from inference.random import GeneratorLike, numpy_generator
from pgm.conditional.potentials import Potentials

__all__ = ["log_partition", "marginals", "most_probable", "sample"]

#: Tables alive at once for every clique while gradients are recorded.
RECORDED = 4


def log_partition(potentials: Potentials) -> Tensor:
    """Log partition function of every graph, (B,), nats, differentiable.

    Raises:
        ValueError: if the tables would not fit in memory.
    """
    plan = potentials.layout.plan(potentials.n_states, potentials.rows)
    _check_memory(potentials, potentials.rows)
    nodes = potentials.unary.double().unbind(1)
    edges = potentials.tables.double().unbind(-3)
    return log_collect(plan, [*nodes, *edges], {}, {}).expand(potentials.rows)


def marginals(potentials: Potentials) -> Tensor:
    """Marginals of the nodes, (B, n, K); NaN in graphs without any possible labelling."""
    with torch.enable_grad():
        probe = torch.zeros_like(potentials.unary, dtype=torch.float64, requires_grad=True)
        unary = potentials.unary.detach().double() + probe
        total = log_partition(Potentials(potentials.layout, unary, potentials.tables.detach()))
        if potentials.n_states == 1:
            found = torch.ones_like(probe)
        else:
            (found,) = torch.autograd.grad(total.sum(), probe)
    return found.detach().masked_fill(total.detach().isneginf()[:, None, None], torch.nan)


def most_probable(potentials: Potentials) -> Tensor:
    """A labelling of largest weight of every graph, (B, n) int64.

    Raises:
        ValueError: if the tables would not fit in memory, or no labelling is possible.
    """
    found = []
    for row, engine in _engines(potentials):
        best = engine.most_probable(Evidence())
        if best is None:
            raise _impossible(row)
        found.append(torch.from_numpy(best[0]))
    return torch.stack(found).to(potentials.unary.device)


def sample(potentials: Potentials, n: int, generator: GeneratorLike) -> Tensor:
    """Independent labellings of every graph, (n, B, nodes) int64.

    Raises:
        ValueError: as `most_probable`.
    """
    source, found = numpy_generator(generator), []
    for row, engine in _engines(potentials):
        draws = engine.sample(Evidence(), n, source)
        if draws is None:
            raise _impossible(row)
        found.append(torch.from_numpy(draws))
    return torch.stack(found, 1).to(potentials.unary.device)


def _engines(potentials: Potentials) -> Iterator[tuple[int, ExactEngine]]:
    """The exact engine, holding one graph after the other; plans are kept."""
    _check_memory(potentials, 1)
    structure = potentials.layout.structure(potentials.n_states)
    engine = ExactEngine(structure, [str(v) for v in range(potentials.layout.n_nodes)])
    tables = potentials.tables.expand(potentials.rows, *potentials.tables.shape[-3:])
    parts = [potentials.unary.detach().flatten(1), tables.detach().flatten(1)]
    logs = torch.cat([part.double() for part in parts], 1).cpu().numpy()
    starts = np.array(structure.offsets[:-1])
    for row in range(potentials.rows):
        largest = np.maximum.reduceat(logs[row], starts)
        largest = np.where(np.isneginf(largest), 0.0, largest)
        scaled = logs[row] - largest.repeat(np.diff(structure.offsets))
        engine.load(np.exp(scaled), float(largest.sum()), scaled)
        yield row, engine


def _check_memory(potentials: Potentials, rows: int) -> None:
    """Refuse what does not fit, before anything is allocated."""
    plan, device = potentials.layout.plan(potentials.n_states, rows), potentials.unary.device
    need = RECORDED * rows * plan.bytes
    if need < 2**28:
        return
    require_memory(
        need,
        f"exact inference on {rows} graphs of {potentials.layout.n_nodes} nodes (width "
        f"{plan.width}, largest table {readable_count(plan.largest_table)} entries)",
        "take fewer graphs at a time, or method='belief-propagation', 'mean-field' or "
        "'pseudo-likelihood'",
        device,
    )


def _impossible(row: int) -> ValueError:
    return ValueError(f"x[{row}] leaves no labelling possible: all have probability zero")
