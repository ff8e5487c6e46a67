"""Markov random fields on grids, built from whole arrays: no object per factor.

.. math:: \\log p(x) = \\sum_i u_i(x_i) + \\sum_{ij} \\ell_{ij}(x_i, x_j) - \\log Z, \\qquad
          \\log p(s) = \\sum_{ij} J_{ij} s_i s_j + \\sum_i h_i s_i - \\log Z
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from itertools import chain
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from inference.inputs import Values, as_whole
from inference.sampling.factor_arrays import FactorArrays
from pgm.random_fields.factor_tables import Design, FactorTables

if TYPE_CHECKING:
    import networkx

__all__ = ["grid_tables", "ising_tables", "lattice_edges", "lattice_names"]

#: Products of two spins, and a spin, by their codes.
PAIR, SPIN = np.array([1.0, -1.0, -1.0, 1.0]), np.array([-1.0, 1.0])


def lattice_edges(shape: Sequence[int], periodic: bool = False) -> list[np.ndarray]:
    """Pairs of neighbours on a lattice, one array per axis; sites are numbered in C order.

    Arguments:
        shape: sites along every axis.
        periodic: whether the last site of a row is a neighbour of the first. Rows of two sites
            have one bond all the same.

    Shapes:
        result: (m, 2) per axis, the bonds that lead around a row last.

    Example:
        >>> [edges.tolist() for edges in lattice_edges((2, 2))]
        [[[0, 2], [1, 3]], [[0, 1], [2, 3]]]
    """
    sites = np.arange(prod(shape)).reshape(shape)
    found = []
    for axis, length in enumerate(shape):
        line = np.moveaxis(sites, axis, 0)
        pairs = [np.stack([line[:-1].reshape(-1), line[1:].reshape(-1)], axis=1)]
        if periodic and length > 2:
            pairs.append(np.stack([line[-1].reshape(-1), line[0].reshape(-1)], axis=1))
        order = np.argsort(pairs[0][:, 0], kind="stable")
        found.append(np.concatenate([pairs[0][order], *pairs[1:]]))
    return found


def lattice_names(shape: Sequence[int]) -> list[str]:
    """Names of the sites: their indices with commas.

    Example:
        >>> lattice_names((1, 2))
        ['0,0', '0,1']
    """
    names = [str(i) for i in range(shape[0])]
    for length in shape[1:]:
        names = [f"{name},{i}" for name in names for i in range(length)]
    return names


def grid_tables(
    shape: Sequence[int], unary: Values | None, pairwise: Any, periodic: bool
) -> tuple[int, FactorTables]:
    """Number of states and tables of ``MarkovRandomField.grid``."""
    shape = _shape(shape)
    n = prod(shape)
    edges = lattice_edges(shape, periodic)
    shared = not isinstance(pairwise, (list, tuple)) or np.ndim(pairwise[0]) < 2
    given = [pairwise] if shared else list(pairwise)
    if not shared and len(given) != len(shape):
        raise ValueError(
            f"pairwise must have one array per axis, {len(shape)}, found {len(given)}"
        )
    tables = [_array("pairwise", table) for table in given]
    card = tables[0].shape[-1] if tables[0].ndim else 0
    scopes = [np.concatenate(edges)] if shared else edges
    several = [table.shape != (card, card) for table in tables]
    for bonds, table, each in zip(scopes, tables, several, strict=True):
        pairs = table.shape[-2:] == (card, card) and table.size == len(bonds) * card * card
        if each and not pairs:
            raise ValueError(
                f"pairwise must be (K, K) or have one such table for each of {len(bonds)} bonds, "
                f"found {table.shape}"
            )
    if unary is not None:
        table = _array("unary", unary)
        if table.shape not in ((card,), (*shape, card)):
            raise ValueError(
                f"unary must be ({card},) or {(*shape, card)}, as pairwise has {card} states, "
                f"found {table.shape}"
            )
        scopes, tables = [*scopes, np.arange(n)[:, None]], [*tables, table]
        several.append(table.ndim > 1)
    offsets, total = [], 0
    for scope, table, each in zip(scopes, tables, several, strict=True):
        size = table.size // max(1, len(scope)) if each else 0
        offsets.append(total + size * np.arange(len(scope)))
        total += table.size
    logs = np.concatenate([table.reshape(-1) for table in tables])
    return card, FactorTables(FactorArrays([card] * n, scopes, offsets), logs)


def ising_tables(
    couplings: Values,
    field: Values | None,
    shape: Sequence[int] | None,
    graph: networkx.Graph | Iterable[tuple[Hashable, Hashable]] | None,
    periodic: bool,
) -> tuple[list[str], FactorTables]:
    """Names and tables of ``MarkovRandomField.ising``."""
    names, bonds, strengths = _bonds(_array("couplings", couplings), shape, graph, periodic)
    n = len(names)
    fields = np.zeros(0) if field is None else _array("field", field)
    strengths = strengths.reshape(-1) if strengths.ndim else strengths
    fields = fields.reshape(-1) if fields.ndim else fields
    if strengths.shape not in ((), (len(bonds),)):
        raise ValueError(
            f"couplings must be one number or one per bond, {len(bonds)}, found {strengths.size}"
        )
    if field is not None and fields.shape not in ((), (n,)):
        raise ValueError(f"field must be one number or one per site, {n}, found {fields.size}")
    if not (np.isfinite(strengths).all() and np.isfinite(fields).all()):
        raise ValueError("couplings and field must be finite")
    n_pairs, n_fields = strengths.size, fields.size
    scopes = [bonds, np.arange(n)[: n if n_fields else 0, None]]
    offsets = [
        np.arange(len(bonds)) * 4 * (strengths.ndim > 0),
        4 * n_pairs + np.arange(len(scopes[1])) * 2 * (fields.ndim > 0),
    ]
    design = Design(
        np.arange(4 * n_pairs + 2 * n_fields),
        np.concatenate(
            [np.repeat(np.arange(n_pairs), 4), n_pairs + np.repeat(np.arange(n_fields), 2)]
        ),
        np.concatenate([np.tile(PAIR, n_pairs), np.tile(SPIN, n_fields)]),
        np.zeros(4 * n_pairs + 2 * n_fields),
    )
    weights = np.concatenate([strengths.reshape(-1), fields.reshape(-1)])
    return names, FactorTables(FactorArrays([2] * n, scopes, offsets), weights, design)


def _bonds(
    couplings: np.ndarray,
    shape: Sequence[int] | None,
    graph: networkx.Graph | Iterable[tuple[Hashable, Hashable]] | None,
    periodic: bool,
) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Names, pairs and couplings of a lattice, a graph or a matrix."""
    if (shape is None) == (graph is None) and not (shape is None and couplings.ndim == 2):
        raise ValueError("give shape for a lattice, or graph, or a matrix of couplings alone")
    if shape is not None:
        shape = _shape(shape)
        return lattice_names(shape), np.concatenate(lattice_edges(shape, periodic)), couplings
    return _matrix(couplings) if graph is None else (*_graph(graph), couplings)


def _shape(shape: Sequence[int]) -> tuple[int, ...]:
    if isinstance(shape, int) or not len(shape):
        raise TypeError(f"shape must list the sites along every axis, found {shape!r}")
    return tuple([as_whole("shape", length, least=1) for length in shape])


def _array(name: str, values: Any) -> np.ndarray:
    """Numbers without NaN, float64."""
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu().numpy()
    try:
        array = np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be an array of numbers: {error}") from None
    if np.isnan(array).any() or np.isposinf(array).any():
        raise ValueError(f"{name} must hold no NaN and no +inf")
    return array


def _graph(
    graph: networkx.Graph | Iterable[tuple[Hashable, Hashable]],
) -> tuple[list[str], np.ndarray]:
    """Names and pairs of a networkx graph or a list of pairs, in their order."""
    import networkx

    if isinstance(graph, networkx.Graph):
        nodes, pairs = list(graph.nodes), list(graph.edges)
    else:
        nodes, pairs = [], list(graph)
    for pair in pairs:
        if isinstance(pair, str) or len(pair) != 2 or pair[0] == pair[1]:
            raise ValueError(f"graph must list pairs of different nodes, found {pair!r}")
    every = dict.fromkeys(chain(nodes, chain.from_iterable(pairs)))
    place = {node: i for i, node in enumerate(every)}
    names = [str(node) for node in place]
    if len(set(names)) != len(names):
        raise ValueError("graph has nodes whose names are the same string; rename them")
    bonds = np.array([[place[a], place[b]] for a, b in pairs], dtype=np.int64).reshape(-1, 2)
    return names, bonds


def _matrix(couplings: np.ndarray) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Names, pairs and couplings of a symmetric matrix whose zeros are no bonds."""
    if couplings.shape[0] != couplings.shape[1] or not np.array_equal(couplings, couplings.T):
        raise ValueError(f"a matrix of couplings must be symmetric, found {couplings.shape}")
    if couplings.diagonal().any():
        raise ValueError("a matrix of couplings must have a zero diagonal: s_i s_i is constant")
    bonds = np.argwhere(np.triu(couplings, 1))
    return [str(i) for i in range(len(couplings))], bonds, couplings[tuple(bonds.T)]
