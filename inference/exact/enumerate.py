"""Laws of small models by visiting every joint state: slow, obvious, right.

.. math:: p(x) = \\frac{e^{\\ell(x)}}{\\sum_{x'} e^{\\ell(x')}}, \\qquad
          \\ell(x) = \\sum_f \\log \\phi_f(x_{S_f})
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from inference.exact.evidence import Variables
from inference.exact.factor import Factor
from inference.logspace import logsumexp
from inference.memory import allowed_memory, readable_bytes

__all__ = ["EnumeratedLaw", "enumerate_law", "enumerate_states"]


def enumerate_states(
    cardinalities: Sequence[int] | Mapping[str, int],
    *,
    device: torch.device | str = "cpu",
    memory_limit: int | None = None,
) -> Tensor:
    """List every joint state, the last variable changing fastest.

    .. math:: \\{0, \\dots, K_1 - 1\\} \\times \\dots \\times \\{0, \\dots, K_V - 1\\}

    Arguments:
        cardinalities: number of states of every variable.
        device: where the codes are made.
        memory_limit: bytes that the result may take (default: half of what is free).

    Shapes:
        result: (prod of cardinalities, V) int64.

    Raises:
        TypeError: if a cardinality is no whole number.
        ValueError: if a cardinality is below one, or the states do not fit the memory.

    Reference:
        Knuth 2011, "The art of computer programming" 4A, section 7.2.1.1 (mixed radix).

    Example:
        >>> enumerate_states([2, 3]).tolist()
        [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]]
    """
    cards = list(_named(cardinalities).values())
    count = math.prod(cards)
    bytes_ = 8 * count * max(len(cards), 1)
    limit = allowed_memory(memory_limit)
    if bytes_ > limit:
        number = f"{count:,}" if count < 10**15 else f"about 10^{math.log10(count):.0f}"
        raise ValueError(
            f"cardinalities of {len(cards)} variables give {number} joint states, "
            f"{readable_bytes(bytes_)} to list them, but memory_limit is {readable_bytes(limit)}; "
            "enumeration is for small models, use FactorGraph or sample instead"
        )
    states = torch.empty((count, len(cards)), dtype=torch.int64, device=device)
    inner = 1
    for v in reversed(range(len(cards))):
        column = states[:, v].view(-1, cards[v], inner)
        column[:] = torch.arange(cards[v], device=device)[:, None]
        inner *= cards[v]
    return states


class EnumeratedLaw:
    """The law with given log weights of all joint states.

    .. math:: p(x) = e^{\\ell(x) - \\log Z}

    Arguments:
        cardinalities: number of states of every variable; a sequence names them "0", "1", ...
        log_weights: (n_states,) unnormalised log-probabilities, nats, in the order of
            :func:`enumerate_states`; minus the energy of an energy model.

    Everything is differentiable by ``log_weights``. Where all of them are -inf the law does not
    exist: ``log_partition`` is -inf and every probability NaN.

    Raises:
        ValueError: if the log weights are not one per joint state, or NaN or +inf.

    Example:
        >>> states = enumerate_states([2, 2])
        >>> law = EnumeratedLaw([2, 2], math.log(3.0) * (states[:, 0] * states[:, 1]))
        >>> [round(p, 4) for p in law.marginals["0"].tolist()]
        [0.3333, 0.6667]
    """

    def __init__(
        self, cardinalities: Sequence[int] | Mapping[str, int], log_weights: Tensor
    ) -> None:
        self.cardinalities = _named(cardinalities)
        shape = tuple(self.cardinalities.values())
        if tuple(log_weights.shape) != (math.prod(shape),):
            raise ValueError(
                f"log_weights must have shape ({math.prod(shape)},), one per joint state of "
                f"{len(shape)} variables, found {tuple(log_weights.shape)}"
            )
        found = log_weights.detach()
        if bool((found.isnan() | found.isposinf()).any()):
            raise ValueError("log_weights must be finite or -inf, found NaN or +inf")
        self.log_weights = log_weights.double()

    @property
    def log_partition(self) -> Tensor:
        """Log of the total weight, (); -inf where no state is possible."""
        return logsumexp(self.log_weights, 0)

    @property
    def log_probabilities(self) -> Tensor:
        """Log-probability of every joint state, (n_states,)."""
        return self.log_weights - self.log_partition

    @property
    def probabilities(self) -> Tensor:
        """Probability of every joint state, (n_states,)."""
        return self.log_probabilities.exp()

    @property
    def marginals(self) -> dict[str, Tensor]:
        """Law of every variable, {name: (card,)}."""
        return {name: self.joint(name) for name in self.cardinalities}

    def joint(self, scope: str | Sequence[str]) -> Tensor:
        """Joint law of some variables, with their axes in the order of ``scope``.

        .. math:: p(x_S) = \\sum_{x_{V \\setminus S}} p(x)

        Raises:
            ValueError: unknown or repeated name.
        """
        names = list(self.cardinalities)
        places = Variables(self.cardinalities).numbers(scope, "scope")
        digits = [self._digits(v) for v in places]
        shape = [self.cardinalities[names[v]] for v in places]
        index = torch.zeros(len(self.log_weights), dtype=torch.int64)
        for digit, card in zip(digits, shape, strict=True):
            index = index * card + digit
        total = self.log_weights.new_zeros(math.prod(shape))
        index = index.to(total.device)
        return total.index_add(0, index, self.probabilities).reshape(shape)

    @property
    def most_probable(self) -> tuple[dict[str, int], Tensor]:
        """A heaviest joint state (codes) and its log weight, ()."""
        value, row = self.log_weights.max(0)
        codes = [int(self._digits(v)[row]) for v in range(len(self.cardinalities))]
        return dict(zip(self.cardinalities, codes, strict=True)), value

    def _digits(self, variable: int) -> Tensor:
        """State of one variable in every joint state."""
        cards = list(self.cardinalities.values())
        inner = math.prod(cards[variable + 1 :])
        return torch.arange(len(self.log_weights)) // inner % cards[variable]


def enumerate_law(
    cardinalities: Mapping[str, int],
    factors: Iterable[Factor],
    evidence: Mapping[str, Any] | None = None,
) -> EnumeratedLaw:
    """The law of a small factor graph given evidence, for checking faster methods.

    .. math:: \\ell(x) = \\sum_f \\log \\phi_f(x_{S_f}) + \\sum_v \\log \\lambda_v(x_v)

    Arguments:
        cardinalities: number of states of every variable.
        factors: unbatched factors over them.
        evidence: name to a state code or to a likelihood (card,); its log-likelihood is part of
            the weights.

    Raises:
        TypeError, ValueError: as ``FactorGraph``; batches; too many joint states.

    Reference:
        Koller & Friedman 2009, section 9.1.

    Example:
        >>> pair = Factor.from_potential(["a", "b"], [[3.0, 1.0], [1.0, 1.0]])
        >>> law = enumerate_law({"a": 2, "b": 2}, [pair], {"b": 0})
        >>> round(law.log_partition.exp().item(), 6), law.most_probable[0]
        (4.0, {'a': 0, 'b': 0})
    """
    variables = Variables(cardinalities)
    given = variables.evidence(evidence)
    if given.rows is not None:
        raise ValueError("evidence must be a single query; loop over the rows of the batch")
    factors = list(factors)
    device = factors[0].log_values.device if factors else torch.device("cpu")
    states = enumerate_states(cardinalities, device=device)
    total = torch.zeros(len(states), dtype=torch.float64, device=device)
    for factor in factors:
        if factor.batched:
            raise ValueError(f"the factor over {factor.scope} is a batch; enumerate one at a time")
        columns = [variables.number(name, "factors") for name in factor.scope]
        cards = [variables.cards[v] for v in columns]
        if list(factor.cardinalities.values()) != cards:
            raise ValueError(f"{factor!r} does not fit cardinalities, which have {cards}")
        total = total + factor.log_values.double()[tuple(states[:, columns].T)]
    for v, state in given.states.items():
        total = total.masked_fill(states[:, v] != int(state), -math.inf)
    for v, weight in given.weights.items():
        with np.errstate(divide="ignore"):
            log_weight = torch.from_numpy(np.log(weight)).to(device)
        total = total + log_weight[states[:, v]]
    return EnumeratedLaw(cardinalities, total)


def _named(cardinalities: Sequence[int] | Mapping[str, int]) -> dict[str, int]:
    """Check the numbers of states and give them names."""
    if isinstance(cardinalities, Mapping):
        named = dict(cardinalities)
    elif isinstance(cardinalities, str):
        raise TypeError(f"cardinalities must be whole numbers, found {cardinalities!r}")
    else:
        named = {str(v): card for v, card in enumerate(cardinalities)}
    for name, card in named.items():
        if isinstance(card, bool) or not isinstance(card, (int, np.integer)):
            raise TypeError(f"cardinalities[{name!r}] must be a whole number, found {card!r}")
        if card < 1:
            raise ValueError(f"cardinalities[{name!r}] must be at least 1, found {card}")
    return {name: int(card) for name, card in named.items()}
