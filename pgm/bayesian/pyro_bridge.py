"""Bayesian networks as Pyro models."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from inference.logspace import safe_log

if TYPE_CHECKING:
    from pgm.bayesian_network import BayesianNetwork

__all__ = ["pyro_model"]


def pyro_model(network: BayesianNetwork) -> Callable[..., dict[str, Tensor]]:
    """Turn a network into a Pyro model, ``model(evidence=None)``.

    .. math:: x_v \\sim \\mathrm{Categorical}(\\theta_v[x_{\\pi(v)}])

    Every variable is a sample site of its own name, after its parents. Sites are marked for
    parallel enumeration, so ``TraceEnum_ELBO(max_plate_nesting=0)`` sums them out exactly
    (``-loss`` is log p(e)), ``compute_marginals`` gives the posteriors of what is not observed
    and ``infer_discrete`` draws from them. Every unobserved variable takes one of the 64
    dimensions that a PyTorch tensor can have. Without enumeration the model draws forward.

    Arguments:
        network: the network. Its tables are read at every run, with gradients if its ``values``
            require them (those of the rows as Pyro normalises them).

    Returns:
        The model. Its evidence maps names to one state (label or code; -1 or None: unobserved)
        or to a likelihood (card,); it returns all values by name.

    Raises:
        ValueError: (the model) for a batch of evidence, unknown names or states.

    Reference:
        Bingham et al. 2019, "Pyro: deep universal probabilistic programming".

    Example:
        >>> from pgm.classic import sprinkler
        >>> from pyro.infer import TraceEnum_ELBO
        >>> posteriors = TraceEnum_ELBO(max_plate_nesting=0).compute_marginals(
        ...     pyro_model(sprinkler()), lambda evidence: None, {"wet_grass": "yes"}
        ... )
        >>> round(posteriors["rain"].probs[0].item(), 4)
        0.7079
    """
    order = _topological_order(network)

    def model(evidence: Mapping[str, Any] | None = None) -> dict[str, Tensor]:
        import pyro
        from pyro.distributions import Categorical
        from pyro.ops.indexing import Vindex

        observed, likelihoods = _read(network, evidence)
        values: dict[str, Tensor] = {}
        for name in order:
            # Logits, as Categorical(probs) would replace hard zeros by the smallest float.
            table = safe_log(network.table(name))
            above = tuple([values[parent] for parent in network.parents(name)])
            logits = Vindex(table)[(..., *above, slice(None))] if above else table
            law = Categorical(logits=logits)
            found = pyro.sample(name, law, obs=observed.get(name), infer={"enumerate": "parallel"})
            assert isinstance(found, Tensor)
            values[name] = found
            if name in likelihoods:
                pyro.factor(f"{name}:likelihood", Vindex(likelihoods[name].log())[..., found])
        return values

    return model


def _topological_order(network: BayesianNetwork) -> list[str]:
    """Variables, parents first."""
    waiting = {name: len(network.parents(name)) for name in network.variables}
    order = [name for name, count in waiting.items() if not count]
    for name in order:
        for child in network.children(name):
            waiting[child] -= 1
            if not waiting[child]:
                order.append(child)
    return order


def _read(
    network: BayesianNetwork, evidence: Mapping[str, Any] | None
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """States and likelihoods of one query as tensors on the network's device."""
    given = network.vocabulary.evidence(evidence)
    if given.rows is not None:
        raise ValueError(
            f"evidence must be one query, found a batch of {given.rows}; run the model per row"
        )
    names, values = network.variables, network.values
    states = {
        names[v]: torch.tensor(int(s), device=values.device) for v, s in given.states.items()
    }
    weights = {names[v]: torch.from_numpy(w).to(values) for v, w in given.weights.items()}
    return states, weights
