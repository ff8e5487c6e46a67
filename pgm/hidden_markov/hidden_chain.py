"""Questions about sequences that a hidden Markov chain explains, whatever its states emit.

.. math:: p(x, z) = \\pi_{z_1} \\prod_{t=2}^{T} a_{z_{t-1} z_t} \\prod_{t=1}^{T} p(x_t \\mid z_t)
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from inference.exact.chain.differentiable import differentiable_log_partition
from inference.exact.chain.forward_backward import forward_backward, log_partition
from inference.exact.chain.sample import sample_paths
from inference.exact.chain.viterbi import viterbi
from inference.exact.factor import Factor
from inference.exact.graph import FactorGraph
from inference.inputs import as_whole
from inference.model import Model
from inference.random import GeneratorLike, as_generator
from pgm.chains.recurrence import stationary_distribution
from pgm.hidden_markov.blocks import Block, ModelNumbers
from pgm.hidden_markov.token_sequences import TokenSequences

__all__ = ["HiddenChain"]


class HiddenChain(Model):
    """Abstract base: a subclass says what it emits and reads, and gets the answers.

    Attributes:
        n_states: number of hidden states K.
        start: probabilities of the first state, (K,).
        transitions: from row to column, (K, K).
    """

    n_states: int
    start: nn.Parameter
    transitions: nn.Parameter

    @property
    @abstractmethod
    def n_parameters(self) -> int:
        """Number of free parameters."""

    @abstractmethod
    def _numbers(self) -> ModelNumbers:
        """The present parameters, checked, in double precision and with their gradients."""

    @abstractmethod
    def _read(self, sequences: Any, lengths: Any) -> TokenSequences:
        """Checked observations on the device of the model."""

    @abstractmethod
    def _blocks(self, tokens: TokenSequences) -> Iterator[Block]:
        """The sequences in blocks for the chain engine."""

    # Probabilities ---------------------------------------------------------------------------

    def log_prob(self, sequences: Any, lengths: Any = None) -> Tensor:
        """Log-probability (or log-density) of every sequence, nats.

        .. math:: \\log \\sum_z p(x, z)

        Arguments:
            sequences: one or several.
            lengths: of the sequences in an array.

        Shapes:
            result: (n,), float64; -inf where a sequence is impossible.

        Raises:
            TypeError: if they are no sequences of symbols, or of numbers.
            ValueError: if a symbol is not known, a number is infinite, rows have another width,
                ``lengths`` do not fit, or the model is not fitted or its parameters are no law.

        Reference:
            Rabiner 1989, eq. 18-21.

        Example:
            >>> from pgm.hidden_markov_model import HiddenMarkovModel
            >>> model = HiddenMarkovModel(3, n_symbols=2)
            >>> model.log_prob([[0, 1], [0, -1, 1, 1], []]).exp()
            tensor([0.2500, 0.1250, 1.0000], dtype=torch.float64)
        """
        numbers = self._numbers()
        recorded = torch.is_grad_enabled() and any(p.requires_grad for p in self.parameters())
        potentials, found = numbers.potentials(), []
        for block in self._blocks(self._read(sequences, lengths)):
            if recorded:
                logs = block.log_likelihood(numbers)
                found.append(differentiable_log_partition(potentials, logs, block.layout))
            else:
                found.append(log_partition(potentials, block.scores(numbers), block.layout))
        return torch.cat(found) if found else numbers.start.new_zeros(0)

    def score(self, sequences: Any, lengths: Any = None) -> Tensor:
        """Mean log-probability of the sequences, nats, ().

        hmmlearn's score is the sum.
        """
        found = self.log_prob(sequences, lengths=lengths)
        if not len(found):
            raise ValueError("sequences must hold at least one sequence, found none")
        return found.mean()

    def aic(self, sequences: Any, lengths: Any = None) -> Tensor:
        """Akaike's criterion, lower is better: -2 log-likelihood + 2 `n_parameters`, ()."""
        return 2 * self.n_parameters - 2 * self.log_prob(sequences, lengths=lengths).sum()

    def bic(self, sequences: Any, lengths: Any = None) -> Tensor:
        """Bayesian criterion, lower is better: the penalty is log(N) for N observations, ()."""
        tokens = self._read(sequences, lengths)
        penalty = self.n_parameters * math.log(max(1, int(tokens.lengths.sum())))
        return penalty - 2 * self.log_prob(sequences, lengths=lengths).sum()

    @torch.no_grad()
    def posterior(self, sequences: Any, lengths: Any = None) -> list[Tensor]:
        """Smoothed probabilities of the states: given all observations of their sequence.

        .. math:: \\gamma_t(k) = p(z_t = k \\mid x_1, \\dots, x_T)

        Arguments:
            sequences: one or several.
            lengths: of the sequences in an array.

        Shapes:
            result: per sequence (T, K). They are views of one tensor, of all observations one
            after the other.

        Raises:
            TypeError, ValueError: as `log_prob`, and if a sequence is impossible.

        Reference:
            Rabiner 1989, eq. 27.

        Example:
            >>> from pgm.hidden_markov_model import HiddenMarkovModel
            >>> HiddenMarkovModel(2, n_symbols=2).posterior([0, -1, 1])[0][1]
            tensor([0.5000, 0.5000], dtype=torch.float64)
        """
        tokens, numbers = self._read(sequences, lengths), self._numbers()
        rows = []
        for block in self._blocks(tokens):
            found = forward_backward(numbers.potentials(), block.scores(numbers), block.layout)
            block.check_possible(numbers, found.log_partition)
            rows.append(block.ordered(found.unary))
        return tokens.split(torch.cat(rows)) if rows else []

    @torch.no_grad()
    def viterbi(self, sequences: Any, lengths: Any = None) -> tuple[list[Tensor], Tensor]:
        """Most probable path of every sequence, and its log-probability with the observations.

        .. math:: \\arg\\max_z \\log p(x, z)

        Arguments:
            sequences: one or several.
            lengths: of the sequences in an array.

        Shapes:
            paths: per sequence (T,) int64. log-probabilities: (n,), nats.

        Raises:
            TypeError, ValueError: as `posterior`.

        Reference:
            Rabiner 1989, eq. 32-35.
        """
        tokens, numbers = self._read(sequences, lengths), self._numbers()
        paths, scores = [], []
        for block in self._blocks(tokens):
            logs = block.log_likelihood(numbers)
            found = viterbi(numbers.potentials(), logs, block.layout)
            block.check_possible(numbers, found.scores)
            paths.append(block.ordered(found.states))
            scores.append(found.scores)
        if not scores:
            return [], numbers.start.new_zeros(0)
        return tokens.split(torch.cat(paths)), torch.cat(scores)

    @torch.no_grad()
    def forecast(self, sequences: Any, steps: int = 1, *, lengths: Any = None) -> Tensor:
        """Distribution of the states in the steps after every sequence.

        .. math:: p(z_{T+h} = k \\mid x_1, \\dots, x_T), \\qquad h = 1, \\dots, \\text{steps}

        Times `emission_probs` this is the forecast of the symbols, times `means` that of the mean.
        After an empty sequence comes the first state.

        Shapes:
            result: (n, steps, K).

        Raises:
            TypeError, ValueError: as `posterior`.

        Example:
            >>> from pgm.hidden_markov_model import HiddenMarkovModel
            >>> model = HiddenMarkovModel(2, n_symbols=2)
            >>> (model.forecast([0, 1]) @ model.emission_probs).flatten()
            tensor([0.5000, 0.5000], dtype=torch.float64)
        """
        steps = as_whole("steps", steps, least=0)
        numbers = self._numbers()
        last = [rows[-1:] for rows in self.posterior(sequences, lengths=lengths)]
        begun = [len(rows) > 0 for rows in last]
        now = numbers.start.new_zeros(len(last), self.n_states)
        now[begun] = torch.cat([*last, now[:0]])
        result = now.new_empty(len(last), steps, self.n_states)
        for step in range(steps):
            now = now @ numbers.transitions
            if step == 0:
                now[[not one for one in begun]] = numbers.start
            result[:, step] = now
        return result

    def stationary_distribution(self) -> Tensor:
        """Distribution of the states that a step does not change, (K,).

        See :func:`pgm.chains.recurrence.stationary_distribution`.
        """
        return stationary_distribution(self.transitions.detach())

    @torch.no_grad()
    def posterior_sample(
        self, sequences: Any, n: int = 1, *, lengths: Any = None, generator: GeneratorLike = None
    ) -> list[Tensor]:
        """Paths of states drawn given the observations.

        .. math:: z \\sim p(z_1, \\dots, z_T \\mid x_1, \\dots, x_T)

        Shapes:
            result: per sequence (n, T) int64.

        Raises:
            TypeError, ValueError: as `posterior`, and if ``n`` is negative.

        Reference:
            Scott 2002, "Bayesian methods for hidden Markov models", section 2.1 (forward
            filtering, backward sampling).
        """
        n = as_whole("n", n, least=0)
        tokens, numbers = self._read(sequences, lengths), self._numbers()
        source = as_generator(generator, self.device)
        paths = []
        for block in self._blocks(tokens):
            potentials, logs = numbers.potentials(), block.log_likelihood(numbers)
            block.check_possible(numbers, log_partition(potentials, logs, block.layout))
            drawn = sample_paths(potentials, logs, block.layout, n, generator=source)
            paths.append(block.ordered(drawn))
        return [rows.T for rows in tokens.split(torch.cat(paths))] if paths else []

    def to_factor_graph(self, sequence: Any) -> FactorGraph:
        """The hidden states z0, z1, ... of one sequence as a factor graph.

        Its log-partition is the log-probability of the sequence, its marginals the `posterior`.

        Raises:
            TypeError, ValueError: as `log_prob`, and if it is no single sequence, or empty.

        Example:
            >>> from pgm.hidden_markov_model import HiddenMarkovModel
            >>> model = HiddenMarkovModel(2, n_symbols=4)
            >>> model.to_factor_graph([0, 3]).log_partition().exp()
            tensor(0.0625, dtype=torch.float64)
        """
        tokens, numbers = self._read(sequence, None), self._numbers()
        if len(tokens.lengths) != 1 or not int(tokens.lengths[0]):
            raise ValueError(
                "sequence must be one sequence with an observation, found lengths "
                f"{tokens.lengths.tolist()}"
            )
        (block,) = self._blocks(tokens)
        logs, potentials = block.log_likelihood(numbers).T, numbers.potentials()
        names = [f"z{t}" for t in range(len(logs))]
        factors = [Factor([name], row) for name, row in zip(names, logs, strict=True)]
        factors.append(Factor(names[:1], potentials.log_start))
        for pair in pairwise(names):
            factors.append(Factor(pair, potentials.log_transitions))
        return FactorGraph(dict.fromkeys(names, self.n_states), factors)
