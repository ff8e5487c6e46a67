"""From what a user passes to `fit` to the best of several runs of Baum-Welch.

.. math:: \\hat\\theta = \\arg\\max_{\\theta} \\ell(\\theta) + \\log p(\\theta)
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from inference.inputs import Values, as_tensors, as_weights, as_whole, check_finite
from inference.learning.em import check_tolerance, expectation_maximization
from inference.random import GeneratorLike, as_generator
from pgm.hidden_markov.blocks import ModelNumbers
from pgm.hidden_markov.emissions import Emissions, Init, Options
from pgm.hidden_markov.learning import BaumWelch
from pgm.hidden_markov.token_sequences import TokenSequences

__all__ = ["Keep", "as_kept", "as_options", "fit_numbers"]

Keep = Literal["start", "transitions", "emissions"]


def as_options(
    n_states: int,
    emissions: Emissions,
    start: Values,
    transitions: Values,
    symbols: Values,
    covariance_floor: float,
    device: torch.device,
) -> Options:
    """Checked pseudo-counts, one per entry, and floor.

    Raises:
        TypeError: if they are no numbers.
        ValueError: if one is negative or not finite, has another shape than its parameter, or
            belongs to another family of emissions.
    """
    if not 0 <= covariance_floor < math.inf:
        raise ValueError(
            f"covariance_floor must be finite and not negative, found {covariance_floor}"
        )
    k, width = n_states, emissions.width
    chain = _pseudo_counts("start_prior", start, (k,), device)
    steps = _pseudo_counts("transition_prior", transitions, (k, k), device)
    if emissions.name != "categorical":
        if torch.as_tensor(symbols).any():
            raise ValueError(
                f"emission_prior is for categorical emissions, found {symbols} for "
                f"{emissions.name!r}"
            )
        return Options(chain, steps, torch.zeros((), dtype=torch.float64), covariance_floor)
    counts = _pseudo_counts("emission_prior", symbols, (k, width), device)
    return Options(chain, steps, counts, covariance_floor)


def _pseudo_counts(
    name: str, value: Values, shape: tuple[int, ...], device: torch.device
) -> Tensor:
    """One number per entry of a parameter."""
    (found,) = as_tensors(**{name: value})
    check_finite(**{name: found})
    if found.shape not in ((), shape):
        raise ValueError(f"{name} must be a number or have shape {shape}, found {found.shape}")
    if (found < 0).any():
        raise ValueError(f"{name} must not be negative, found {found.min().item():g}")
    return found.to(device, torch.float64).expand(shape)


def fit_numbers(
    tokens: TokenSequences,
    emissions: Emissions,
    n_states: int,
    current: ModelNumbers,
    options: Options,
    *,
    sample_weight: Any,
    init: Init | Literal["current"] | None,
    kept: Collection[Keep],
    n_init: int,
    max_iterations: int,
    tolerance: float,
    generator: GeneratorLike,
    progress: bool | None,
) -> tuple[ModelNumbers, list[dict[str, Any]]]:
    """Run Baum-Welch from every start; the best numbers, and the history of all runs.

    Arguments:
        tokens: the sequences, on the device of the result.
        emissions: law of the observations, which fits them.
        n_states: K.
        current: numbers of the model, of which those of the emissions may be left out.
        options: priors and the floor of covariances.

        sample_weight: as ``HiddenMarkovModel.fit`` has it, like all that follow.
        init: how observations are assigned to states.
        kept: names of the numbers that begin as they are.
        n_init: number of starts.
        max_iterations: most steps per start.
        tolerance: change per observed token that ends a start.
        generator: for the starts.
        progress: whether a bar is shown.

    Raises:
        TypeError, ValueError: as ``HiddenMarkovModel.fit``.
    """
    check_tolerance(tolerance)
    n_init = as_whole("n_init", n_init, least=1)
    how: Init = emissions.own_init if init is None or init == "current" else init
    weights = as_weights(sample_weight, len(tokens.lengths))
    names = weights.nonzero().flatten()
    plain = sample_weight is None
    if not plain:
        tokens = tokens.select(names)
    if not int(tokens.lengths.sum()):
        raise ValueError(
            "sequences must hold an observation in a sequence of positive weight, found none"
        )
    own = None if plain else weights[names].to(tokens.values.device)
    learning = BaumWelch(tokens, own, emissions, n_states, options, names)
    source = as_generator(generator, tokens.values.device)
    certain = set(kept) == set(get_args(Keep))
    starts = [learning.start(how, kept, current, source) for _ in range(1 if certain else n_init)]
    found = expectation_maximization(
        learning.step,
        starts,
        max_iterations=max_iterations,
        tolerance=tolerance,
        size=_observed_weight(tokens, own),
        progress=progress,
    )
    history = [{**a, **b} for a, b in zip(found.history, learning.reports, strict=True)]
    return found.parameters, history


def _observed_weight(tokens: TokenSequences, weights: Tensor | None) -> float:
    """Summed weights of the tokens of which something is observed."""
    values = tokens.values
    seen = ~values.isnan().all(1) if values.is_floating_point() else values >= 0
    if weights is not None:
        lengths = tokens.lengths.to(weights.device)
        seen = seen * weights.repeat_interleave(lengths)
    # Without any the objective never changes, and any size will do.
    return float(seen.sum()) or 1.0


def as_kept(init: object, keep: Collection[Keep]) -> set[Keep]:
    """Names of the parameters that begin as they are.

    Raises:
        TypeError: if ``keep`` is a single string.
        ValueError: if a name is not known.

    Example:
        >>> sorted(as_kept("current", []))
        ['emissions', 'start', 'transitions']
    """
    if init not in (None, "current", *get_args(Init)):
        raise ValueError(f"init must be 'kmeans', 'random', 'current' or None, found {init!r}")
    if isinstance(keep, str):
        raise TypeError(f"keep must be a collection of names, found {keep!r}; pass [{keep!r}]")
    if unknown := set(keep) - set(get_args(Keep)):
        raise ValueError(
            f"keep must name some of {', '.join(get_args(Keep))}, found {sorted(unknown)}"
        )
    return set(get_args(Keep)) if init == "current" else set(keep)
