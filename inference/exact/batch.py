"""Batches of evidence: one flat program for all rows, or row by row where that cannot serve."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from inference.exact.engine import ExactEngine
from inference.exact.evidence import Evidence
from inference.exact.flat import FlatProgram
from inference.exact.potentials import Potentials

__all__ = ["log_evidence_batch", "marginals_batch"]


def log_evidence_batch(engine: ExactEngine, evidence: Evidence, device: torch.device) -> Tensor:
    """Log evidence of every row, (B,); -inf for impossible rows."""
    with engine.lock:
        return _log_evidence(engine, evidence, device)


def _log_evidence(engine: ExactEngine, evidence: Evidence, device: torch.device) -> Tensor:
    assert evidence.rows is not None
    result = torch.empty(evidence.rows, dtype=torch.float64, device=device)
    program = engine.flat_program(device)
    if program is not None:
        for rows in _chunks(evidence.rows, program.chunk):
            table, scale = _likelihoods(evidence, engine.potentials, rows)
            log_z, _ = program.run(torch.from_numpy(table).to(device), marginals=False)
            result[rows] = log_z + torch.from_numpy(scale).to(device)
    for i, row in _single_rows(evidence, program):
        result[i] = engine.log_evidence(row)
    return result


def marginals_batch(
    engine: ExactEngine, evidence: Evidence, variables: Sequence[int], device: torch.device
) -> list[Tensor]:
    """Posterior of each variable for every row, (B, card); NaN where a row is impossible."""
    with engine.lock:
        return _marginals(engine, evidence, variables, device)


def _marginals(
    engine: ExactEngine, evidence: Evidence, variables: Sequence[int], device: torch.device
) -> list[Tensor]:
    assert evidence.rows is not None
    potentials, program = engine.potentials, engine.flat_program(device)
    cards = [potentials.cards[v] for v in variables]
    ends = np.cumsum([0, *cards])
    found = torch.zeros(int(ends[-1]), evidence.rows, dtype=torch.float64, device=device)
    if program is not None and variables:
        source, target = _places(potentials, variables)
        taken, placed = torch.from_numpy(source).to(device), torch.from_numpy(target).to(device)
        whole = len(target) == len(found)
        for rows in _chunks(evidence.rows, program.chunk):
            table, _ = _likelihoods(evidence, potentials, rows)
            log_z, marginals = program.run(torch.from_numpy(table).to(device))
            assert marginals is not None
            if whole:
                found[:, rows] = marginals.index_select(0, taken)
                continue
            block = found.new_zeros(len(found), len(log_z))
            block[placed] = marginals.index_select(0, taken)
            found[:, rows] = block.masked_fill(log_z.isneginf(), torch.nan)
    for i, row in _single_rows(evidence, program):
        values = engine.marginals(row, variables)
        found[:, i] = torch.nan if values is None else torch.from_numpy(values).to(device)
    return [part.T for part in found.split(cards)]


def _chunks(rows: int, size: int) -> Iterable[slice]:
    """Slices of at most ``size`` rows, all alike, so that they can share one workspace."""
    if rows:
        even = -(-rows // -(-rows // size))
        for start in range(0, rows, even):
            yield slice(start, min(start + even, rows))


def _places(potentials: Potentials, variables: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the program's marginals to take, and the rows of the result they belong to."""
    starts = np.cumsum([0, *potentials.structure.cards])
    source, target, first = [], [], 0
    for v in variables:
        kept, card = potentials.states[v], potentials.cards[v]
        source.append(np.arange(starts[v], starts[v + 1]))
        target.append((np.arange(card) if kept is None else kept) + first)
        first += card
    return np.concatenate(source), np.concatenate(target)


def _likelihoods(
    evidence: Evidence, potentials: Potentials, rows: slice
) -> tuple[np.ndarray, np.ndarray]:
    """Likelihood of every possible state, one column per evidence row, and its log scale.

    Shapes:
        likelihoods: (states, B); log scales: (B,).
    """
    cards = potentials.structure.cards
    starts = np.cumsum([0, *cards])
    assert evidence.rows is not None
    count = rows.stop - rows.start
    likelihoods = np.ones((int(starts[-1]), count))
    log_scale = np.zeros(count)
    for v, states in evidence.states.items():
        column = np.broadcast_to(np.asarray(states), evidence.rows)[rows]
        if v in potentials.codes:
            # An impossible state matches no row at all; -1 stays "unobserved".
            possible = np.where(potentials.codes[v] < 0, -2, potentials.codes[v])
            column = np.where(column < 0, -1, possible[column])
        agrees = column == np.arange(cards[v])[:, None]
        likelihoods[starts[v] : starts[v + 1]] = agrees | (column == -1)
    for v, weight in evidence.weights.items():
        kept = potentials.states[v]
        weight = np.broadcast_to(weight, (evidence.rows, weight.shape[-1]))[rows]
        vectors = weight if kept is None else weight[:, kept]
        largest = vectors.max(axis=1)
        scale = np.where(largest > 0, largest, 1.0)
        log_scale += np.log(scale)
        likelihoods[starts[v] : starts[v + 1]] *= (vectors / scale[:, None]).T
    return likelihoods, log_scale


def _single_rows(
    evidence: Evidence, program: FlatProgram | None
) -> Iterable[tuple[int, Evidence]]:
    """The rows that must run one at a time, as single queries.

    All of them without a flat program; otherwise those whose soft evidence spans more orders of
    magnitude than its tables have to spare.
    """
    rows = evidence.rows
    assert rows is not None
    chosen = np.arange(rows)
    if program is not None:
        low = np.zeros(rows)
        for weight in evidence.weights.values():
            # Finite for an all-zero likelihood, which needs no care: its row is impossible.
            smallest = np.where(weight > 0, weight, np.inf).min(axis=-1)
            largest = np.maximum(weight.max(axis=-1), np.finfo(float).tiny)
            low += np.log(np.minimum(smallest, largest)) - np.log(largest)
        chosen = np.flatnonzero(low < -program.layout.margin)
    if not len(chosen):
        return
    columns = {v: np.broadcast_to(s, rows) for v, s in evidence.states.items()}
    weights = {
        v: w if w.ndim == 2 else np.broadcast_to(w, (rows, len(w)))
        for v, w in evidence.weights.items()
    }
    for i in chosen.tolist():
        states = {v: int(column[i]) for v, column in columns.items() if column[i] >= 0}
        yield i, Evidence(states, {v: w[i] for v, w in weights.items()})
