"""Sequences cut into blocks that fit the memory, each ready for the chain engine.

.. math:: \\log u_t(k) = \\log p(x_t \\mid z_t = k)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from inference.exact.chain.layout import ChainLayout
from inference.exact.chain.potentials import ChainPotentials
from inference.exact.chain.symbols import SymbolEmissions
from inference.logspace import logsumexp, safe_log
from inference.memory import require_memory
from pgm.hidden_markov.emissions import Emissions
from pgm.hidden_markov.token_sequences import TokenSequences

__all__ = ["Block", "ModelNumbers", "blocks_of", "check_memory"]

#: Log-likelihoods that a block may hold: tokens times states.
BLOCK_SIZE = 1 << 21
#: Arrays of that size that the engine works with.
COPIES = 4


class ModelNumbers(NamedTuple):
    """The numbers of a hidden Markov model, double precision.

    Attributes:
        start: probabilities of the first state, (K,).
        transitions: from row to column, (K, K).
        emissions: of the observations, by name.
    """

    start: Tensor
    transitions: Tensor
    emissions: Mapping[str, Tensor]

    def potentials(self) -> ChainPotentials:
        """What all steps share; zeros are impossible."""
        return ChainPotentials(safe_log(self.start), safe_log(self.transitions))


def check_memory(what: str, numbers: int) -> None:
    """Refuse what would not fit.

    Arguments:
        what: for the message.
        numbers: how many double-precision numbers it takes.

    Raises:
        ValueError: naming the memory it needs.

    Example:
        >>> check_memory("a table", 10)
    """
    require_memory(8 * numbers, what, "use fewer states or shorter sequences")


@dataclass(frozen=True)
class Block:
    """Some of the sequences, one after the other in the order given.

    Attributes:
        first: number of the first sequence.
        layout: order in which the engine wants the tokens.
        tokens: number of the token at every packed column among those of the block, (n,).
        prepared: observations in that order.
        emissions: their law.
    """

    first: int
    layout: ChainLayout
    tokens: Tensor
    prepared: Any
    emissions: Emissions

    def log_likelihood(self, numbers: ModelNumbers, out: Tensor | None = None) -> Tensor:
        """Log-probabilities of every observation in every state, (K, n), nats."""
        return self.emissions.log_likelihood(numbers.emissions, self.prepared, out)

    def scores(self, numbers: ModelNumbers, out: Tensor | None = None) -> Tensor | SymbolEmissions:
        """The same for the chain engine alone."""
        return self.emissions.scores(numbers.emissions, self.prepared, out)

    def ordered(self, packed: Tensor) -> Tensor:
        """What belongs to packed columns (..., n) as rows (n, ...) in the order given."""
        result = torch.empty_like(packed.mT if packed.ndim > 1 else packed)
        result[self.tokens] = packed.mT if packed.ndim > 1 else packed
        return result

    def check_possible(
        self, numbers: ModelNumbers, log_probs: Tensor, names: Tensor | None = None
    ) -> None:
        """Refuse numbers under which a sequence of the block cannot be.

        Arguments:
            numbers: of the model.
            log_probs: of the sequences.
            names: numbers of all sequences for the message, if they are not 0, 1, ...

        Raises:
            ValueError: naming the sequence and the position.
        """
        wrong = log_probs == -torch.inf
        if wrong.any():
            sequence = int(wrong.nonzero()[0])
            number = self.first + sequence
            raise ValueError(
                f"sequence {number if names is None else int(names[number])} has probability "
                "zero under the present parameters, from position "
                f"{self._first_impossible(numbers, sequence)} on; check the zeros of start, "
                "transitions and emissions"
            )

    def _first_impossible(self, numbers: ModelNumbers, sequence: int) -> int:
        """Length of the longest prefix of a sequence that has a probability."""
        chosen, columns = self.layout.select(np.array([sequence]))
        logs = self.log_likelihood(numbers)[:, torch.from_numpy(columns).to(self.tokens.device)].T
        potentials = numbers.potentials()
        state = torch.as_tensor(potentials.log_start)
        for position in range(chosen.n_tokens):
            state = state + logs[position]
            if bool(state.isinf().all()):
                return position
            state = logsumexp(state[:, None] + torch.as_tensor(potentials.log_transitions), 0)
        return chosen.n_tokens - 1


def blocks_of(
    tokens: TokenSequences, emissions: Emissions, n_states: int, reference: Any
) -> Iterator[Block]:
    """Cut sequences between them; a sequence is never divided.

    Arguments:
        tokens: of all sequences.
        emissions: law of the observations.
        n_states: K.
        reference: of ``emissions`` for all data.
    """
    ends = tokens.ends.numpy()
    longest = int(tokens.lengths.max()) if len(tokens.lengths) else 0
    check_memory(f"a sequence of {longest:,} observations", COPIES * longest * n_states)
    first, most = 0, max(1, BLOCK_SIZE // n_states)
    while first < len(ends):
        start = int(ends[first - 1]) if first else 0
        last = max(first + 1, int(np.searchsorted(ends, start + most, side="right")))
        layout = ChainLayout(tokens.lengths[first:last])
        order = torch.from_numpy(layout.tokens).to(tokens.values.device)
        values = tokens.values[start : int(ends[last - 1])][order]
        yield Block(first, layout, order, emissions.prepare(values, reference), emissions)
        first = last
