"""Baum-Welch: expectation-maximisation of hidden Markov models.

.. math:: \\pi_k \\propto \\sum_s w_s \\gamma^{s}_1(k), \\qquad
          a_{kl} \\propto \\sum_s w_s \\sum_t \\xi^{s}_t(k, l)
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from inference.exact.chain.forward_backward import forward_backward
from inference.learning.em import ROUNDING
from inference.logspace import safe_log
from pgm.hidden_markov.blocks import ModelNumbers, blocks_of
from pgm.hidden_markov.emissions import Emissions, Init, Options, Statistics
from pgm.hidden_markov.token_sequences import TokenSequences

__all__ = ["BaumWelch"]

#: Share of every first distribution that is uniform, so that learning starts without zeros.
UNIFORM_SHARE = 0.05
#: Floor of the first covariances.
START_FLOOR = 0.01


class Expected(NamedTuple):
    """Sums over all sequences, with their weights.

    Attributes:
        log_likelihood: (), nats.
        first: expected counts of first states, (K,).
        pairs: expected counts of transitions, (K, K).
        emissions: statistics of the observations.
    """

    log_likelihood: Tensor
    first: Tensor
    pairs: Tensor
    emissions: Statistics


class Step(NamedTuple):
    """One step that was made: numbers and objective before it, and numbers after it."""

    before: ModelNumbers
    objective: float
    after: ModelNumbers


class BaumWelch:
    """The data of a fit, and the steps that raise their probability.

    Arguments:
        tokens: the sequences.
        weights: of the sequences, all positive; None for ones.
        emissions: law of the observations.
        n_states: K.
        options: priors and the floor of covariances.
        names: numbers of the sequences, for messages.

    Attributes:
        reports: one dict per step: what the history tells beside the objective.

    Shapes:
        weights: (n,).

    Raises:
        ValueError: if there is nothing to learn from.

    Reference:
        Rabiner 1989, "A tutorial on hidden Markov models", eq. 40 and 109-111.
    """

    def __init__(
        self,
        tokens: TokenSequences,
        weights: Tensor | None,
        emissions: Emissions,
        n_states: int,
        options: Options,
        names: Tensor,
    ) -> None:
        self._tokens = tokens
        self._emissions = emissions
        self._n_states = n_states
        self._options = options
        self._names = names
        self._reference = emissions.learning_reference(tokens.values)
        self._blocks = list(blocks_of(tokens, emissions, n_states, self._reference))
        # Memory that every step would have to be given anew, which costs more than filling it.
        largest = max([len(block.tokens) for block in self._blocks], default=0)
        self._room = tokens.values.new_empty(n_states * largest, dtype=torch.float64)
        self._weights: list[Tensor | None] = [None] * len(self._blocks)
        if weights is not None:
            cuts = [block.first for block in self._blocks[1:]]
            self._weights = list(weights.tensor_split(cuts))
        self._last: Step | None = None
        self.reports: list[dict[str, Any]] = []

    def start(
        self,
        init: Init,
        keep: Collection[str],
        current: ModelNumbers,
        generator: torch.Generator,
    ) -> ModelNumbers:
        """Numbers to start from.

        The observations are assigned to states, and the numbers are those that fit this.

        Arguments:
            init: how observations are assigned.
            keep: which numbers are those of ``current`` instead.
            current: numbers of the model; those of the emissions only if they are kept.
            generator: for random assignments.
        """
        found = current
        if set(keep) != {"start", "transitions", "emissions"}:
            members = self._emissions.memberships(
                self._tokens.values, self._reference, self._n_states, init, generator
            )
            found = self._estimate(self._in_order_of_time(members))
        found = found._replace(**{name: getattr(current, name) for name in keep})
        feasible = self._emissions.feasible(found.emissions, self._reference, self._options)
        return found._replace(emissions=feasible)

    def _in_order_of_time(self, members: Tensor) -> Tensor:
        """States sorted by when they occur, which is what left-right chains need."""
        lengths = self._tokens.lengths.repeat_interleave(self._tokens.lengths)
        when = (self._tokens.positions / lengths).to(members)
        mean = (members @ when) / members.sum(1).clamp_min(1e-300)
        return members[mean.argsort(stable=True)]

    def _estimate(self, members: Tensor) -> ModelNumbers:
        """Numbers that fit weights (K, N) of all tokens in states."""
        k = self._n_states
        broad = self._emissions.broad(self._reference, k)
        sums: Statistics = ()
        begin = 0
        for block in self._blocks:
            mine = members[:, begin + block.tokens]
            sums = _add(sums, self._emissions.statistics(broad, block.prepared, mine))
            begin += len(block.tokens)
        # Few observations in a state would make it too narrow to find others.
        wide = max(self._options.covariance_floor, START_FLOOR)
        options = replace(self._options, covariance_floor=wide)
        emissions, _ = self._emissions.maximize(broad, sums, self._reference, options)
        positions = self._tokens.positions.to(members.device)
        later = (positions > 0).to(members)
        pairs = members[:, :-1] @ (members * later)[:, 1:].T
        first = members[:, positions == 0].sum(1)
        uniform = torch.full_like(pairs, 1 / k)
        transitions = _shares(pairs, uniform).lerp(uniform, UNIFORM_SHARE)
        return ModelNumbers(
            _shares(first, uniform[0]).lerp(uniform[0], UNIFORM_SHARE), transitions, emissions
        )

    def step(self, numbers: ModelNumbers) -> tuple[ModelNumbers, float]:
        """The next numbers, and the log-posterior of those given, nats.

        Where the data span so many orders of magnitude that rounding has made numbers worse, the
        step to them is taken back.
        """
        expected = self._expect(numbers)
        objective = (expected.log_likelihood + self._log_prior(numbers)).item()
        last = self._last
        if last is not None and numbers is last.after and self._is_spoiled(objective, last):
            self.reports.append({**self.reports[-1], "taken_back": True})
            return last.before, last.objective
        options, emissions = self._options, self._emissions
        first = expected.first + options.start * (numbers.start > 0)
        pairs = expected.pairs + options.transitions * (numbers.transitions > 0)
        found, empty = emissions.maximize(
            numbers.emissions, expected.emissions, self._reference, options
        )
        report = {
            "log_likelihood": expected.log_likelihood.item(),
            "empty_states": empty.nonzero().flatten().tolist(),
            "taken_back": False,
        }
        self.reports.append(report)
        chain = _shares(first, numbers.start), _shares(pairs, numbers.transitions)
        self._last = Step(numbers, objective, ModelNumbers(*chain, found))
        return self._last.after, objective

    def _is_spoiled(self, objective: float, last: Step) -> bool:
        """Whether the objective fell by more than rounding of itself can explain."""
        return self._emissions.cancels and not objective >= last.objective - ROUNDING * (
            1 + abs(last.objective)
        )

    def _expect(self, numbers: ModelNumbers) -> Expected:
        """The E step, block by block."""
        potentials = numbers.potentials()
        result = Expected(
            torch.zeros_like(numbers.start[0]),
            torch.zeros_like(numbers.start),
            torch.zeros_like(numbers.transitions),
            (),
        )
        for block, weights in zip(self._blocks, self._weights, strict=True):
            room = self._room[: self._n_states * len(block.tokens)].view(self._n_states, -1)
            logs = block.scores(numbers, out=room)
            found = forward_backward(potentials, logs, block.layout, weights)
            log_probs, gamma = found.log_partition, found.unary
            block.check_possible(numbers, log_probs, self._names)
            if weights is not None:
                owners = torch.from_numpy(block.layout.owners).to(gamma.device)
                log_probs, gamma = log_probs * weights, gamma * weights[owners]
            # The first tokens of all sequences are the first columns.
            n_first = int((block.layout.lengths > 0).sum())
            result = Expected(
                result.log_likelihood + log_probs.sum(),
                result.first + gamma[:, :n_first].sum(1),
                result.pairs + found.pair_counts,
                _add(
                    result.emissions,
                    self._emissions.statistics(numbers.emissions, block.prepared, gamma),
                ),
            )
        return result

    def _log_prior(self, numbers: ModelNumbers) -> Tensor:
        """Dirichlet on what is possible, without constants."""
        chain = [(self._options.start, numbers.start)]
        chain.append((self._options.transitions, numbers.transitions))
        logs = [(count * safe_log(p).masked_fill(p == 0, 0.0)).sum() for count, p in chain]
        return sum(logs) + self._emissions.log_prior(numbers.emissions, self._options)


def _shares(counts: Tensor, otherwise: Tensor) -> Tensor:
    """Rows divided by their sums; the rows of ``otherwise`` where there is nothing."""
    total = counts.sum(-1, keepdim=True)
    return torch.where(total > 0, counts / total.masked_fill(total == 0, 1.0), otherwise)


def _add(sums: Statistics, more: Statistics) -> Statistics:
    """Statistics of more tokens."""
    return tuple([a + b for a, b in zip(sums, more, strict=True)]) if sums else more
