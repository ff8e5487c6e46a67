"""Structured mean field: blocks that are exact inside and independent of each other.

.. math:: \\log Z \\ge \\sum_b \\bigl(\\log Z_b - \\mathbb{E}_{q_b} c_b\\bigr)
          + \\sum_{f \\text{ across}} \\mathbb{E}_q \\log \\phi_f, \\qquad
          c_b = \\sum_{f \\text{ across}} \\mathbb{E}_{q_{-b}} \\log \\phi_f
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from inference.approximate.expected_logs import ExpectedLogs
from inference.approximate.factor_groups import group_factors
from inference.approximate.problem import GraphProblem
from inference.approximate.result import ApproximateResult
from inference.approximate.schedules import Messages, warn_unconverged
from inference.exact.factor import Factor
from inference.exact.graph import FactorGraph
from inference.progress import progress_bar

__all__ = ["structured_mean_field", "tree_blocks"]

#: A part of a factor: the block it lies in and its variables there.
Part = tuple[int, tuple[str, ...]]


def structured_mean_field(
    problem: GraphProblem,
    blocks: Sequence[Sequence[str]] | Literal["trees"],
    start: Tensor,
    max_iterations: int,
    tolerance: float,
    progress: bool | None,
) -> ApproximateResult[dict[str, Any]]:
    """Climb from independent variables, block after block.

    Arguments:
        problem: the factor graph and the evidence.
        blocks: disjoint lists of names, or "trees".
        start: (B, V, q_max) laws of the variables.
        max_iterations: most sweeps over the blocks.
        tolerance: largest change of a probability that counts as none.
        progress: as in :func:`inference.approximate.mean_field.mean_field`.

    Raises:
        ValueError: if blocks overlap, have unknown names, or a hard zero joins two of them.
    """
    law = _BlockLaw(problem, _checked(problem, blocks))
    with torch.no_grad():
        found = law.climb(law.product(start), max_iterations, tolerance, progress)
    warn_unconverged(found, "mean_field", tolerance, 3)
    return problem.answer(found, law.marginals(found.state), law.bound(found.state))


def tree_blocks(problem: GraphProblem) -> list[list[str]]:
    """Blocks of variables that no factor or path closes to a cycle.

    A variable joins the first block in which it meets no factor with two variables and no part of
    the block twice.

    Example:
        >>> square = [Factor(list(s), torch.zeros(2, 2)) for s in ("ab", "bc", "cd", "ad")]
        >>> graph = FactorGraph({name: 2 for name in "abcd"}, square)
        >>> tree_blocks(GraphProblem(graph, None))
        [['a', 'b', 'c'], ['d']]
    """
    scopes = {factor.scope for factor in problem.factors if len(factor.scope) > 1}
    meets: dict[str, list[tuple[str, ...]]] = {name: [] for name in problem.free_cardinalities}
    for scope in sorted(scopes):
        for name in scope:
            meets[name].append(scope)
    blocks: list[list[str]] = []
    trees: list[dict[str, int]] = []  # of every block: the tree that a variable belongs to
    for name in meets:
        for block, tree in zip(blocks, trees, strict=True):
            near = {scope: [u for u in scope if u in tree] for scope in meets[name]}
            touched = [tree[u] for u in {u for inside in near.values() for u in inside}]
            if all([len(inside) < 2 for inside in near.values()]) and (
                len(set(touched)) == len(touched)
            ):
                block.append(name)
                joined = set(touched)
                tree[name] = len(block)
                tree.update({u: len(block) for u, label in tree.items() if label in joined})
                break
        else:
            blocks.append([name])
            trees.append({name: 1})
    return blocks


def _checked(
    problem: GraphProblem, blocks: Sequence[Sequence[str]] | Literal["trees"]
) -> list[list[str]]:
    """Disjoint blocks of free variables; those that no block has follow one by one."""
    if isinstance(blocks, str):
        if blocks != "trees":
            raise ValueError(f"blocks must be lists of names, 'trees' or None, found {blocks!r}")
        return tree_blocks(problem)
    seen: set[str] = set()
    found = []
    for block in blocks:
        if isinstance(block, str):
            raise TypeError(f"blocks must be lists of names, found the string {block!r}")
        known = [name for name in block if problem.number(name, "blocks") is not None]
        twice = [name for name in known if name in seen or known.count(name) > 1]
        if twice:
            raise ValueError(f"blocks must be disjoint, found {twice[0]!r} twice")
        seen.update(known)
        found.append(known)
    found += [[name] for name in problem.free_cardinalities if name not in seen]
    return [block for block in found if block]


class _BlockLaw:
    """A law of independent blocks, told by the joint marginals of the parts of factors across.

    The parts of the factors across blocks are variables of a model of their own, in which the
    blocks take the place of colours: its expected logs are the fields c_b.

    Arguments:
        problem: the factor graph and the evidence.
        blocks: disjoint blocks of all free variables.
    """

    def __init__(self, problem: GraphProblem, blocks: Sequence[Sequence[str]]) -> None:
        self._problem = problem
        self._rows = problem.model.rows
        cards = problem.free_cardinalities
        block_of = {name: number for number, block in enumerate(blocks) for name in block}
        inside: list[list[Factor]] = [[] for _ in blocks]
        numbers: dict[Part, int] = {}
        scopes: list[list[int]] = []
        tables: list[Tensor] = []
        for factor in problem.factors:
            parts = _parts_of(factor, block_of)
            if len(parts) == 1:
                inside[parts[0][0]].append(factor)
                continue
            _refuse_zeros(factor, blocks, parts)
            scopes.append([numbers.setdefault(part, len(numbers)) for part in parts])
            tables.append(_merged(factor, parts))
        self._parts = list(numbers)
        owners = np.array([block for block, _ in self._parts], dtype=np.int64)
        sizes = [prod([cards[name] for name in names]) for _, names in self._parts]
        model = group_factors(
            sizes, scopes, tables, rows=problem.rows, device=problem.model.device
        )
        self._across = ExpectedLogs(model, owners)
        self._blocks: list[tuple[FactorGraph, list[Factor], Tensor, list[int]]] = []
        for number, block in enumerate(blocks):
            mine = np.flatnonzero(owners == number).tolist()
            lead = [] if problem.rows is None else [problem.rows]
            shapes = [lead + [cards[name] for name in self._parts[part][1]] for part in mine]
            fields = [
                Factor(self._parts[part][1], model.log_constant.new_zeros(shape))
                for part, shape in zip(mine, shapes, strict=True)
            ]
            graph = FactorGraph({name: cards[name] for name in block}, inside[number] + fields)
            spots = [torch.arange(*model.offsets[part : part + 2].tolist()) for part in mine]
            place = torch.cat([torch.zeros(0, dtype=torch.int64), *spots]).to(model.device)
            self._blocks.append((graph, fields, place, [sizes[part] for part in mine]))

    def product(self, laws: Tensor) -> Tensor:
        """Joint marginals (B, S) of the parts, where all variables are independent."""
        found = [laws.new_zeros((len(laws), 0))]
        cards = self._problem.free_cardinalities
        for _, names in self._parts:
            joint = laws.new_ones((len(laws), 1))
            for name in names:
                number = self._problem.number(name, "blocks")
                assert number is not None
                law = laws[:, number, : cards[name]]
                joint = (joint[:, :, None] * law[:, None, :]).flatten(1)
            found.append(joint)
        return torch.cat(found, dim=1)

    def climb(
        self, q: Tensor, max_iterations: int, tolerance: float, progress: bool | None
    ) -> Messages[Tensor]:
        """Renew block after block until no joint marginal moves."""
        sweep, change = 0, q.new_full((len(q),), torch.inf)
        with progress_bar(max_iterations, "structured mean field", progress) as bar:
            while sweep < max_iterations and float(change.max()) > tolerance:
                sweep += 1
                old = q
                for number, (_, _, place, _) in enumerate(self._blocks):
                    if len(place):
                        q = q.index_copy(1, place, self._renewed(number, q))
                change = (q - old).abs().amax(1) if q.shape[1] else q.new_zeros(len(q))
                bar.update(1)
                bar.set_postfix_str(f"residual {float(change.max()):.3g}")
        return Messages(q, sweep, change, change <= tolerance)

    def bound(self, q: Tensor) -> Tensor:
        """The lower bound (B,) at a fixed point; differentiable in the factors."""
        total, _ = self._across.expectation(q)
        for number, (graph, _, place, _) in enumerate(self._blocks):
            field = self._field(number, q)
            self._tell(number, field)
            log_z = graph.log_partition() - (field * q[:, place]).sum(1)
            # An impossible block has no law: the bound is -inf whatever the others say.
            total = total + log_z.expand(len(q))
        return total

    def marginals(self, q: Tensor) -> Tensor:
        """Marginals (B, V, q_max) of the variables."""
        model = self._problem.model
        found = q.new_zeros((self._rows, *model.places.shape))
        for number, (graph, _, _, _) in enumerate(self._blocks):
            self._tell(number, self._field(number, q))
            # An impossible block has no marginals, and would blame the evidence of its own graph.
            if bool((graph.log_partition().detach() == -torch.inf).all()):
                for name in graph.cardinalities:
                    found[:, self._problem.number(name, "blocks")] = torch.nan
                continue
            for name, law in graph.marginals().items():
                variable = self._problem.number(name, "blocks")
                found[:, variable, : law.shape[-1]] = law.detach()
        return found

    def _field(self, number: int, q: Tensor) -> Tensor:
        """What the other blocks tell a block (B, K); nothing differentiable."""
        place = self._blocks[number][2]
        if not len(place):
            return q.new_zeros((len(q), 0))
        return self._across.fields(number, q)[0].detach()[:, place]

    def _tell(self, number: int, field: Tensor) -> None:
        """Put a field into the factors of a block's graph that stand for it."""
        _, fields, _, sizes = self._blocks[number]
        values = self._problem.unbatch(field)
        for factor, part in zip(fields, values.split(sizes, dim=-1), strict=True):
            shape = factor.log_values.shape[-len(factor.scope) :]
            factor.log_values = part.reshape(*part.shape[:-1], *shape)

    def _renewed(self, number: int, q: Tensor) -> Tensor:
        """Joint marginals (B, K) of a block's parts in the field of the others."""
        with torch.enable_grad():
            field = self._field(number, q).requires_grad_()
            self._tell(number, field)
            total = self._blocks[number][0].log_partition()
            (found,) = torch.autograd.grad(total.sum(), field)
        return found


def _parts_of(factor: Factor, block_of: Mapping[str, int]) -> list[Part]:
    """The blocks a factor meets, each with the factor's variables there."""
    parts: dict[int, list[str]] = {}
    for name in factor.scope:
        parts.setdefault(block_of[name], []).append(name)
    return [(block, tuple(sorted(names))) for block, names in sorted(parts.items())]


def _merged(factor: Factor, parts: Sequence[Part]) -> Tensor:
    """The table with one axis per part."""
    if not parts:
        return factor.log_values
    cards = factor.cardinalities
    ordered = factor.permute([name for _, names in parts for name in names]).log_values
    lead = ordered.shape[: ordered.ndim - len(factor.scope)]
    sizes = [prod([cards[name] for name in names]) for _, names in parts]
    return ordered.reshape(*lead, *sizes)


def _refuse_zeros(factor: Factor, blocks: Sequence[Sequence[str]], parts: Sequence[Part]) -> None:
    """Refuse a hard zero between blocks: independent blocks could not respect it."""
    if len(parts) > 1 and bool((factor.log_values.detach() == -torch.inf).any()):
        first, second = [list(blocks[block])[:3] for block, _ in parts[:2]]
        raise ValueError(
            f"blocks must hold every factor with hard zeros in one block, found one over "
            f"{factor.scope} that joins the blocks of {first} and {second}; put them together"
        )
