"""Approximate answers about Markov random fields: message passing, and Gibbs sampling.

.. math:: \\hat p(x_v = s) = \\frac{1}{CT} \\sum_{c, t} [x^{(c, t)}_v = s]
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from inference.approximate.belief_propagation import belief_propagation
from inference.approximate.mean_field import mean_field
from inference.approximate.pairwise import PairwiseArrays
from inference.approximate.result import ApproximateResult
from inference.approximate.tree_reweighted import tree_reweighted
from inference.exact.evidence import Evidence
from inference.inputs import as_whole, check_choice
from inference.progress import progress_bar
from inference.random import GeneratorLike, as_generator
from inference.sampling.annealed_importance import LogPartition, annealed_importance_sampling
from inference.sampling.density import DiscreteDensity
from inference.sampling.factor_arrays import FactorArrays
from inference.sampling.gibbs import ColoredGibbs

if TYPE_CHECKING:
    from pgm.random_fields.queried_field import QueriedField


__all__ = [
    "MarginalMethod",
    "PartitionMethod",
    "SampleMethod",
    "SearchMethod",
    "approximate_log_partition",
    "approximate_marginals",
    "gibbs_draws",
    "gibbs_marginals",
    "pairwise_arrays",
    "passed_states",
]

PartitionMethod: TypeAlias = Literal["exact", "bethe", "mean-field", "tree-reweighted", "ais"]
MarginalMethod: TypeAlias = Literal[
    "exact", "belief-propagation", "mean-field", "tree-reweighted", "gibbs"
]
SampleMethod: TypeAlias = Literal["exact", "gibbs"]
SearchMethod: TypeAlias = Literal["exact", "belief-propagation", "annealing"]

#: Share of the sweeps that are left out before states are counted.
WARM_UP = 0.2


def approximate_log_partition(
    field: QueriedField, evidence: Any, method: PartitionMethod, generator: GeneratorLike
) -> Tensor | LogPartition:
    """Log of the summed weight of what agrees with the evidence, or an estimate of it."""
    check_choice("method", method, PartitionMethod)
    if method == "ais":
        return annealed_importance_sampling(field.density(evidence), generator=generator)
    kind = "belief-propagation" if method == "bethe" else method
    result, constant = _passed(field, evidence, kind, "sum")
    return result.log_partition + constant


def approximate_marginals(
    field: QueriedField, evidence: Any, method: MarginalMethod
) -> dict[str, Tensor]:
    """Posteriors of all variables by message passing."""
    check_choice("method", method, MarginalMethod)
    found = _passed(field, evidence, method, "sum")[0].marginals
    if isinstance(found, dict):
        return found
    return dict(zip(field.variables, found.unbind(0), strict=True))


def passed_states(field: QueriedField, evidence: Any, method: SearchMethod) -> Tensor:
    """Codes (V,) of the joint state that max-product belief propagation decodes."""
    check_choice("method", method, SearchMethod)
    found: Any = _passed(field, evidence, "belief-propagation", "max")[0].most_probable
    if isinstance(found, Tensor):
        return found
    return torch.tensor([int(found[name]) for name in field.variables], device=field.device)


def _passed(
    field: QueriedField, evidence: Any, method: str, mode: Literal["sum", "max"]
) -> tuple[ApproximateResult[Any], Tensor | float]:
    """Messages on a field: as arrays if it is made of like pairs, else as a factor graph.

    Returns:
        The result, and what to add to its log-partition.
    """
    given, names = field.vocabulary.evidence(evidence), field.variables
    arrays = None
    if given.rows is None:
        arrays = pairwise_arrays(field.arrays, field.log_tables(), given)
    # Factor graphs know no labels.
    coded = {names[v]: part for v, part in {**given.states, **given.weights}.items()}
    graph: Any = arrays[0] if arrays else field.to_factor_graph()
    known: Any = None if arrays else coded
    constant = arrays[1] if arrays else 0.0
    if method == "belief-propagation":
        return belief_propagation(graph, known, mode=mode), constant
    passing = mean_field if method == "mean-field" else tree_reweighted
    return passing(graph, known), constant


def pairwise_arrays(
    arrays: FactorArrays, logs: Tensor, given: Evidence
) -> tuple[PairwiseArrays, Tensor] | None:
    """A field of pairs of variables that have all one number of states, and its constant.

    None where it is no such field, or some pair has two factors.
    """
    cards = np.unique(arrays.cards)
    if len(cards) != 1 or any(len(group.shape) > 2 for group in arrays.groups):
        return None
    card, n = int(cards[0]), len(arrays.cards)
    unary, constant = logs.new_zeros(n, card), logs.new_zeros(())
    edges, tables = [np.zeros((0, 2), dtype=np.int64)], [logs.new_zeros(0, card, card)]
    for group in arrays.groups:
        shape = (len(group.scopes), *group.shape)
        cells = group.offsets[:, None] + np.arange(card ** len(group.shape))
        found = logs[torch.from_numpy(cells).to(logs.device)].reshape(shape)
        if not group.shape:
            constant = constant + found.sum()
        elif len(group.shape) == 1:
            owners = torch.from_numpy(group.scopes[:, 0]).to(logs.device)
            unary = unary.index_add(0, owners, found)
        else:
            edges.append(group.scopes)
            tables.append(found)
    pairs = np.concatenate(edges)
    if len(pairs) != len(arrays.edges):
        return None
    states, weights = given.log_weights(arrays.cards.tolist(), logs.device)
    for v, state in states.items():
        weights[v] = logs.new_full((card,), -torch.inf)
        weights[v][state] = 0.0
    for v, weight in weights.items():
        owner = torch.tensor([v], device=logs.device)
        unary = unary.index_add(0, owner, weight.to(logs)[None])
    ends = torch.from_numpy(pairs).to(logs.device)
    return PairwiseArrays(unary, ends, torch.cat(tables)), constant


def gibbs_draws(density: DiscreteDensity, n: int, sweeps: int, generator: GeneratorLike) -> Tensor:
    """Final states of n chains, (n, V) int64, started at random."""
    source = as_generator(generator, density.device)
    n, sweeps = as_whole("n", n, least=0), as_whole("sweeps", sweeps, least=1)
    kernel = ColoredGibbs(density).at(1.0)
    state = kernel.init(density.uniform(n, source))
    for _ in range(sweeps):
        state = kernel.step(state, source)
    _check_possible(density, state.codes)
    return state.codes.long()


def gibbs_marginals(
    density: DiscreteDensity,
    numbers: Sequence[int],
    *,
    sweeps: int,
    chains: int,
    generator: GeneratorLike,
    progress: bool | None,
) -> list[Tensor]:
    """Shares of the states that chains visit, per variable (card,)."""
    source = as_generator(generator, density.device)
    chains = as_whole("chains", chains, least=1)
    sweeps = as_whole("sweeps", sweeps, least=1)
    kernel = ColoredGibbs(density).at(1.0)
    state = kernel.init(density.uniform(chains, source))
    cards = density.arrays.cards
    total = torch.zeros((int(cards.max(initial=1)), len(cards)), device=density.device).double()
    left_out = int(WARM_UP * sweeps)
    with progress_bar(sweeps, "Gibbs sampling", progress) as bar:
        for sweep in range(sweeps):
            state = kernel.step(state, source)
            if sweep >= left_out:
                for code, row in enumerate(total):
                    row += torch.eq(state.codes.T, code).sum(1)
            bar.update(1)
    _check_possible(density, state.codes)
    shares = total / (chains * (sweeps - left_out))
    return [shares[: int(cards[v]), v] for v in numbers]


def _check_possible(density: DiscreteDensity, codes: Tensor) -> None:
    """Refuse chains that found no possible state: their states say nothing of the law."""
    lost = int(density.log_weight(codes).isneginf().sum())
    if lost:
        raise ValueError(
            f"{lost} of {len(codes)} Gibbs chains ended in states of probability zero: the "
            "evidence is impossible, or hard zeros bar the way; raise sweeps or use "
            "method='exact'"
        )
