"""Markov chains of any order over symbols, and with smoothing: n-gram models.

.. math:: p(x_1, \\dots, x_T) = \\prod_t p(x_t \\mid x_{t-k}, \\dots, x_{t-1})
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from inference.exact.freshness import Snapshot
from inference.information import entropy, perplexity
from inference.inputs import Values, as_whole
from inference.logspace import safe_log
from inference.model import Model
from inference.random import GeneratorLike, as_generator
from pgm.chains.absorbing import Absorption, absorption, hitting_times
from pgm.chains.alphabet import Alphabet, EncodedSequences, encode_all
from pgm.chains.backoff import BackoffModel
from pgm.chains.counts import NgramCounts, lagged
from pgm.chains.deleted_interpolation import deleted_interpolation
from pgm.chains.recurrence import (
    as_row,
    as_transitions,
    context_transitions,
    entropy_rate,
    stationary_distribution,
)
from pgm.chains.smoothing import Interpolated, Smoothing, as_smoothing

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["MarkovChain"]


class MarkovChain(Model):
    """A chain in which the last ``order`` symbols decide the distribution of the next one.

    .. math:: p(x_1, \\dots, x_T) = p_1(x_1) \\prod_{t=2}^{T}
              p(x_t \\mid x_{\\max(1, t-k)}, \\dots, x_{t-1})

    Order 0 are independent symbols, order 1 is the chain with a transition matrix, and what is
    known as an n-gram model has order n - 1. The symbols at the beginning of a sequence, which
    have fewer before them, depend on those there are. The very first has its own distribution,
    ``initial``, estimated from the first symbols of the training sequences.

    Only the n-grams that occurred are stored, so that large vocabularies and high orders are fine.

    Arguments:
        order: number of previous symbols that decide, 0 or more.
        smoothing: an estimator of :mod:`pgm.chains.smoothing`: ``AddK``, ``Laplace``,
            ``Interpolated``, ``WittenBell``, ``AbsoluteDiscounting`` or ``KneserNey``; None are
            relative frequencies. A context that was never followed by anything has the
            distribution of the next shorter one, also without smoothing (with ``AddK`` the
            uniform one).
        states: the symbols, which are strings, or their number; None learns them: they are what
            occurs in the training sequences, sorted, or, of codes, all from 0 to the largest.

    Sequences, in every method, are one or several, of different lengths if need be. A string is a
    sequence of characters, a list of strings one of tokens, a list of lists is several. Whole
    numbers are codes: a list, array or tensor of them is a sequence, with two axes one per row. A
    table of pandas is like an array: a sequence per row.

    Attributes:
        counts: of all n-grams, as buffers (:class:`pgm.chains.counts.NgramCounts`).
        smoothing: the estimator.
        weights: of the context lengths, parameter (order + 1,), if ``smoothing`` is
            ``Interpolated``; else None.

    Raises:
        TypeError: if an argument is of the wrong kind.
        ValueError: if ``order`` is negative, ``states`` are empty or not distinct, or the settings
            of ``smoothing`` do not fit the order.

    Reference:
        Kemeny & Snell 1976, section 2.1; Chen & Goodman 1999 (smoothing).

    Example:
        >>> chain = MarkovChain(order=1).fit("abracadabra")
        >>> chain.states
        ('a', 'b', 'c', 'd', 'r')
        >>> chain.transitions[0]
        tensor([0.0000, 0.5000, 0.2500, 0.2500, 0.0000], dtype=torch.float64)
        >>> chain.log_prob([list("abra"), list("cad")]).exp()
        tensor([0.5000, 0.0000], dtype=torch.float64)
    """

    counts: NgramCounts

    def __init__(
        self,
        order: int = 1,
        smoothing: Smoothing | None = None,
        *,
        states: int | Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        self.order = as_whole("order", order, least=0)
        self.smoothing = as_smoothing(smoothing, self.order)
        self._learns_states = states is None
        self._alphabet = None if states is None else Alphabet(states)
        n_symbols = 0 if self._alphabet is None else len(self._alphabet)
        self._adopt(NgramCounts.blank(n_symbols, self.order))
        self.weights = self._initial_weights()

    @classmethod
    def from_transitions(
        cls,
        matrix: Values,
        initial: Values | None = None,
        states: int | Sequence[str] | None = None,
    ) -> MarkovChain:
        """A chain of order 1 with given probabilities.

        Arguments:
            matrix: probabilities from (rows) to (columns), (K, K).
            initial: probabilities of the first symbol, (K,); None is the uniform distribution.
            states: the symbols; None are 0 to K - 1.

        Raises:
            TypeError: if an argument is of the wrong kind.
            ValueError: if shapes do not fit each other, or a row does not sum to one within 1e-6.

        Example:
            >>> weather = MarkovChain.from_transitions(
            ...     [[0.9, 0.1], [0.5, 0.5]], states=["sun", "rain"]
            ... )
            >>> weather.stationary_distribution()
            tensor([0.8333, 0.1667], dtype=torch.float64)
        """
        transitions = as_transitions(matrix, "matrix")
        n = len(transitions)
        model = cls(order=1, states=n if states is None else states)
        if len(model.states) != n:
            raise ValueError(f"states must be {n} as matrix has rows, found {len(model.states)}")
        first = torch.full_like(transitions[0], 1 / n) if initial is None else initial
        model._adopt(NgramCounts.from_transitions(transitions, as_row("initial", first, n)))
        return model

    # The model as data -----------------------------------------------------------------------

    def config(self) -> dict[str, Any]:
        """Order, smoothing, symbols and the sizes of the counts."""
        labels = None if self._alphabet is None else self._alphabet.labels
        return {
            "order": self.order,
            "smoothing": self.smoothing.config(),
            "states": len(labels) if isinstance(labels, range) else labels and list(labels),
            "learns_states": self._learns_states,
            "sizes": self.counts.sizes,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Build a chain whose counts are zeros of the sizes in the configuration."""
        smoothing = Smoothing.from_config(config["smoothing"])
        model = cls(config["order"], smoothing, states=config["states"])
        model._learns_states = bool(config["learns_states"])
        model._adopt(NgramCounts.blank(model.counts.n_symbols, model.order, config["sizes"]))
        return model

    @property
    def states(self) -> tuple[str, ...] | range:
        """The symbols, in the order of their codes."""
        return self._symbols().labels

    def encode(self, sequence: Iterable[Any]) -> Tensor:
        """Codes of one sequence, (T,) int64."""
        codes, lengths = self._symbols().encode(sequence)
        if len(lengths) > 1:
            raise ValueError(f"one sequence is expected, found {len(lengths)}")
        return codes.to(self.device)

    def decode(self, codes: Tensor | Sequence[Any]) -> list[Any]:
        """Symbols of codes, as nested lists of the same shape.

        Example:
            >>> MarkovChain(states=["no", "yes"]).decode([[0, 1], [1, 1]])
            [['no', 'yes'], ['yes', 'yes']]
        """
        return self._symbols().decode(codes)

    def fit(self, sequences: Iterable[Any], *, progress: bool | None = None) -> Self:
        """Count n-grams; with ``Interpolated()`` also learn the weights, by EM.

        Sequences of ``order`` symbols or fewer count for the shorter contexts only.

        Arguments:
            sequences: one or several.
            progress: True, False, or None: a bar if on a terminal (while weights are learned).

        Raises:
            TypeError, ValueError: as :meth:`log_prob`, and if there is no symbol.
        """
        states = None if self._learns_states else self._symbols()
        alphabet, encoded = encode_all(sequences, states)
        encoded = encoded.to(self.device)
        counts = NgramCounts.count(encoded, self.order, len(alphabet))
        weights, history = self._initial_weights(), []
        if isinstance(self.smoothing, Interpolated) and self.smoothing.weights is None:
            found = deleted_interpolation(counts, progress)
            weights, history = nn.Parameter(found.parameters, requires_grad=False), found.history
        self._alphabet, self.weights = alphabet, weights
        self._adopt(counts)
        self.history = history or [{"log_likelihood": self._log_probs(encoded).sum().item()}]
        return self

    # Probabilities ---------------------------------------------------------------------------

    def log_prob(self, sequences: Iterable[Any], *, initial: bool = True) -> Tensor:
        """Log-probability of every sequence, nats.

        .. math:: \\log p_1(x_1) + \\sum_{t=2}^{T}
                  \\log p(x_t \\mid x_{\\max(1, t-k)}, \\dots, x_{t-1})

        Arguments:
            sequences: one or several.
            initial: whether the first ``order`` symbols count; False gives the log-probability of
                the others given them (zero if there are none).

        Shapes:
            result: (n,).

        Raises:
            TypeError: if they are no sequences of symbols.
            ValueError: if a symbol is not known.

        Example:
            >>> chain = MarkovChain.from_transitions([[0.5, 0.5], [1.0, 0.0]], [1.0, 0.0])
            >>> chain.log_prob([[0, 1, 0], [1], []]).exp()
            tensor([0.5000, 0.0000, 1.0000], dtype=torch.float64)
        """
        encoded = self._symbols().encode(sequences).to(self.device)
        terms = self._log_probs(encoded)
        if not initial:
            terms = terms.masked_fill(encoded.positions < self.order, 0.0)
        result = terms.new_zeros(len(encoded.lengths))
        return result.index_add_(0, encoded.owners, terms)

    def score(self, sequences: Iterable[Any]) -> Tensor:
        """Mean log-probability of the sequences, nats, ()."""
        found = self.log_prob(sequences)
        if not len(found):
            raise ValueError("sequences must hold at least one sequence, found none")
        return found.mean()

    def perplexity(self, sequences: Iterable[Any], *, initial: bool = False) -> Tensor:
        """Effective number of choices per symbol.

        .. math:: \\exp \\Bigl(-\\frac{1}{N} \\sum_t
                  \\log p(x_t \\mid x_{t-k}, \\dots, x_{t-1}) \\Bigr)

        Arguments:
            sequences: one or several.
            initial: whether the first ``order`` symbols of every sequence count among the N.

        Shapes:
            result: ().

        Raises:
            TypeError, ValueError: as :meth:`log_prob`, and if no symbol counts.

        Reference:
            Jurafsky & Martin 2009, section 4.4.

        Example:
            >>> MarkovChain(order=1).fit("abab").perplexity("abab")
            tensor(1., dtype=torch.float64)
        """
        encoded = self._symbols().encode(sequences).to(self.device)
        terms = self._log_probs(encoded)
        scored = terms if initial else terms[encoded.positions >= self.order]
        if not len(scored):
            raise ValueError(
                f"sequences must hold one of more than {0 if initial else self.order} symbols, "
                f"found a longest of {max(encoded.lengths.tolist(), default=0)}"
            )
        return perplexity(scored)

    def next_probabilities(self, context: Iterable[Any] = ()) -> Tensor:
        """Distribution of the symbol after a context, of which the last ``order`` symbols count.

        .. math:: p(x \\mid x_{t-k}, \\dots, x_{t-1})

        Arguments:
            context: one sequence; without symbols, what follows is the first of a sequence.

        Shapes:
            result: (K,).

        Example:
            >>> MarkovChain(order=1).fit("abracadabra").next_probabilities("bra")
            tensor([0.0000, 0.5000, 0.2500, 0.2500, 0.0000], dtype=torch.float64)
        """
        every = torch.arange(len(self._symbols()), device=self.device)
        last = self.encode(context).flip(0)[: self.order]
        lags = nn.functional.pad(last, (0, self.order - len(last)), value=-1)
        return self._smoothed().probability(lags[None], every)

    @property
    def initial(self) -> Tensor:
        """Distribution of the first symbol of a sequence, (K,)."""
        return self.next_probabilities()

    @property
    def table(self) -> Tensor:
        """Probabilities of every symbol after every context, ``(K,) * order + (K,)``.

        Axes run from the oldest symbol to the next one. The tensor is new at every call.

        Raises:
            ValueError: if it does not fit the memory.
        """
        n = len(self._symbols())
        return self._smoothed().table(self.device).view((n,) * (self.order + 1))

    @property
    def transitions(self) -> Tensor:
        """Probabilities from (rows) to (columns), (K, K); for order 1. New at every call.

        Raises:
            ValueError: if the order is not 1, or as :attr:`table`.
        """
        if self.order != 1:
            raise ValueError(f"transitions are for order 1, this is order {self.order}; use table")
        return self.table

    def sample(
        self,
        n: int,
        length: int,
        *,
        start: Iterable[Any] | None = None,
        generator: GeneratorLike = None,
    ) -> Tensor:
        """Independent sequences; :meth:`decode` gives their symbols.

        Arguments:
            n: how many.
            length: number of symbols of each.
            start: the symbols that all of them begin with, as one sequence.
            generator: None, a seed or a generator.

        Shapes:
            result: (n, length) int64 codes.

        Raises:
            TypeError: if an argument is of the wrong kind.
            ValueError: if ``n`` or ``length`` is negative, or ``start`` longer than ``length`` or
                with an unknown symbol.

        Example:
            >>> chain = MarkovChain(order=1).fit("abab")
            >>> ["".join(word) for word in chain.decode(chain.sample(2, 5, start="b"))]
            ['babab', 'babab']
        """
        n, length = as_whole("n", n, least=0), as_whole("length", length, least=0)
        begun = self.encode(() if start is None else start)
        if len(begun) > length:
            raise ValueError(f"start has {len(begun)} symbols, more than length = {length}")
        model, source = self._smoothed(), as_generator(generator, self.device)
        # The order may exceed the length: the columns before the first are never filled.
        drawn = begun.new_full((n, self.order + length), -1)
        drawn[:, self.order : self.order + len(begun)] = begun
        for column in range(self.order + len(begun), self.order + length):
            lags = drawn[:, column - self.order : column].flip(1)
            drawn[:, column] = model.draw(lags, source)
        return drawn[:, self.order :]

    # The long run ----------------------------------------------------------------------------

    def stationary_distribution(self) -> Tensor:
        """The distribution of ``max(order, 1)`` successive symbols that a step does not change.

        .. math:: \\pi(x_2, \\dots, x_{k+1}) = \\sum_{x_1} \\pi(x_1, \\dots, x_k)\\,
                  p(x_{k+1} \\mid x_1, \\dots, x_k)

        See :func:`pgm.chains.recurrence.stationary_distribution`. A chain of order k is one of
        order 1 over K^k contexts, whose K^2k transitions must fit the memory.

        Shapes:
            result: (K,) for order 0 and 1, else ``(K,) * order``.

        Raises:
            ValueError: if it is not unique, because there are several closed classes; they are
                named. If the matrix does not fit the memory.

        Example:
            >>> MarkovChain.from_transitions([[0.0, 1.0], [1.0, 0.0]]).stationary_distribution()
            tensor([0.5000, 0.5000], dtype=torch.float64)
        """
        if not self.order:
            return self.table
        table = self.table
        transitions = context_transitions(table)
        labels = self.states if self.order == 1 else list(product(self.states, repeat=self.order))
        return stationary_distribution(transitions, labels).view(table.shape[1:])

    def entropy_rate(self) -> Tensor:
        """Entropy per symbol of the stationary chain, nats, ()."""
        return entropy_rate(context_transitions(self.table)) if self.order else entropy(self.table)

    def absorption(self) -> Absorption:
        """Where and when the chain ends, for order 1: :func:`pgm.chains.absorbing.absorption`."""
        return absorption(self.transitions)

    def hitting_times(self, targets: Iterable[Any]) -> Tensor:
        """Expected steps from every symbol to some, (K,), see :func:`pgm.chains.hitting_times`."""
        return hitting_times(self.transitions, self.encode(targets))

    def _symbols(self) -> Alphabet:
        """The alphabet, once there is one."""
        if self._alphabet is None:
            raise ValueError("the chain has no symbols yet; fit it, or give states")
        return self._alphabet

    def _initial_weights(self) -> nn.Parameter | None:
        """Weights of the context lengths before they are learned, for ``Interpolated`` only."""
        if not isinstance(self.smoothing, Interpolated):
            return None
        given = self.smoothing.weights or (0.5,) * (self.order + 1)
        weights = torch.tensor(given, dtype=torch.float64, device=self.device)
        return nn.Parameter(weights, requires_grad=False)

    def _adopt(self, counts: NgramCounts) -> None:
        """Take over counts."""
        self.counts = counts
        self._prepared: tuple[Snapshot, BackoffModel] | None = None

    def _smoothed(self) -> BackoffModel:
        """The probabilities that follow from the present numbers of counts and weights."""
        numbers = [*self.counts.buffers(), *self.parameters()]
        if self._prepared is None or not self._prepared[0].holds(numbers):
            smoothing = self.smoothing
            if isinstance(smoothing, Interpolated) and self.weights is not None:
                smoothing = replace(smoothing, weights=tuple(self.weights.tolist()))
            self._prepared = Snapshot(numbers), BackoffModel(self.counts, smoothing)
        return self._prepared[1]

    def _log_probs(self, encoded: EncodedSequences) -> Tensor:
        """Log-probability of every symbol, (total length,)."""
        lags = lagged(encoded.codes, encoded.positions, self.order)
        return safe_log(self._smoothed().probability(lags, encoded.codes))
