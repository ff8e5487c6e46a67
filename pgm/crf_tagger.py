"""Linear-chain conditional random fields over features of tokens: taggers and chunkers.

.. math:: p(y \\mid x) = \\frac{1}{Z(x)} \\exp \\sum_t
          \\Bigl[ \\sum_a x_{ta} w_{a y_t} + w_{y_{t-1} y_t} \\Bigr]
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from inference.model import Model
from inference.progress import check_progress
from inference.random import GeneratorLike, as_generator
from pgm.tagging.index import FeatureIndex
from pgm.tagging.problem import Problem
from pgm.tagging.scores import LinearScores, Tokens
from pgm.tagging.settings import Method, Precision, Settings
from pgm.tagging.strings import StringTable
from pgm.tagging.training import Progress, train

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["CRFTagger"]


class CRFTagger(Model):
    """A linear-chain CRF that labels the tokens of sequences from their features.

    .. math:: \\min_w \\; -\\sum_b \\omega_b \\log p(y_b \\mid x_b)
              + c_2 \\|w\\|_2^2 + c_1 \\|w\\|_1

    The model and its objective are those of CRFsuite: a weight for every pair of attribute and
    label and for every pair of neighbouring labels that the training data show, none for the ends
    of sequences, no factor 1/2 before the penalty.

    X is a list of sequences, a sequence a list of tokens, a token a dict of features or a list or
    set of attributes. A feature with a string, ``{"word": "the"}``, is the attribute ``word=the``
    with value 1; one with a number or truth value is an attribute of its name with that value; an
    attribute in a list has value 1. y is a list of lists of labels, which are strings. Empty
    sequences are fine.

    Arguments:
        c1: weight of the absolute values of the weights; makes many of them zero.
        c2: weight of their squares.
        max_iterations: most iterations of "lbfgs" (1000 by default), or passes over the data of
            "sgd" (30).
        method: "lbfgs" (all data at every step; OWL-QN if c1 > 0), or "sgd" (AdaGrad on a few
            sequences at a time: useful after a few passes, but never quite at the optimum).
        min_freq: least frequency of a pair that gets a weight.
        all_possible_states: whether pairs of attribute and label that never occur together get a
            weight too.
        all_possible_transitions: the same for pairs of labels.
        epsilon: "lbfgs" stops where the norm of the gradient is below that of the weights (or
            1, if that is larger) times this.
        delta: training stops where the loss fell by less than this share in ``period`` iterations.
        period: that number of iterations.
        memory: "lbfgs": how many past steps are remembered.
        batch_size: "sgd": sequences per step.
        learning_rate: "sgd": size of the first steps.
        precision: of the weights, "single" or "double". Double precision is reached through
            single: L-BFGS stops first in that, then goes on.

    Attributes:
        labels: sorted, the order of the codes.
        attributes: the known attributes, a :class:`pgm.tagging.strings.StringTable`.
        state_weights: parameter (F,).
        state_features: buffer (F,) int64, attribute times K plus label of each of these.
        transition_weights: parameter (L,).
        transition_features: buffer (L,) int64, label times K plus next label.

    Raises:
        TypeError, ValueError: a setting is of the wrong kind or out of range.

    Reference:
        Lafferty, McCallum & Pereira 2001, "Conditional random fields", section 3; Sutton &
        McCallum 2012, "An introduction to conditional random fields", section 5.1; Okazaki 2007,
        CRFsuite (features, penalties and names of settings).

    Example:
        >>> X = [[{"word": "the"}, {"word": "cat"}], [{"word": "a"}, {"word": "dog"}]]
        >>> tagger = CRFTagger(c2=0.1).fit(X, [["DET", "NOUN"], ["DET", "NOUN"]])
        >>> tagger.predict([[{"word": "the"}, {"word": "dog"}], []])
        [['DET', 'NOUN'], []]
    """

    state_features: Tensor
    transition_features: Tensor

    def __init__(
        self,
        c1: float = 0.0,
        c2: float = 1.0,
        max_iterations: int | None = None,
        *,
        method: Method = "lbfgs",
        min_freq: float = 0.0,
        all_possible_states: bool = False,
        all_possible_transitions: bool = False,
        epsilon: float = 1e-5,
        delta: float = 1e-5,
        period: int = 10,
        memory: int = 20,
        batch_size: int = 32,
        learning_rate: float = 0.2,
        precision: Precision = "single",
    ) -> None:
        super().__init__()
        self.settings = Settings(
            c1,
            c2,
            max_iterations,
            method,
            min_freq,
            all_possible_states,
            all_possible_transitions,
            epsilon,
            delta,
            period,
            memory,
            batch_size,
            learning_rate,
            precision,
        )
        self.labels: tuple[str, ...] = ()
        self.attributes = StringTable()
        nothing = torch.zeros(0, dtype=torch.int64)
        self._take(FeatureIndex(nothing, nothing, 0, 0), torch.zeros(0, dtype=self.settings.dtype))

    # Learning --------------------------------------------------------------------------------

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_valid: Any = None,
        y_valid: Any = None,
        generator: GeneratorLike = None,
        progress: bool | None = None,
    ) -> Self:
        """Learn attributes, labels and weights from labelled sequences.

        ``history`` gets one dict per iteration: ``iteration``, ``loss`` (the objective, nats; of
        "sgd" summed over the batches while they go by), ``evaluations`` and ``seconds`` so far, of
        "lbfgs" ``gradient_norm``, and with a validation set ``valid_loss`` (nats per sequence) and
        ``valid_score`` (share of right labels).

        An interruption from the keyboard leaves the weights of the last complete iteration, a
        usable model, and is raised again; before the first one, and after any other error, the
        model is as it was.

        Arguments:
            X: sequences of tokens.
            y: their labels.
            sample_weight: weights of the sequences, not negative; ones by default.
            X_valid: sequences to look at after every iteration, which are not learned from.
            y_valid: their labels.
            generator: None, a seed or a generator; shuffles the sequences of "sgd".
            progress: True, False, or None: a bar if on a terminal.

        Shapes:
            sample_weight: (B,).

        Raises:
            TypeError, ValueError: tokens, features, labels or weights of the wrong kind, lengths
                that differ, no token at all, a feature that is not finite, or too much to hold in
                memory.
        """
        check_progress(progress)
        random = as_generator(generator)
        if (X_valid is None) != (y_valid is None):
            raise ValueError("X_valid and y_valid must be given together, found one of them")
        problem = Problem.read(X, y, sample_weight, self.settings)
        check = None
        if X_valid is not None:
            places = {name: place for place, name in enumerate(problem.names)}
            tokens = Tokens.read(X_valid, places)
            codes = tokens.codes(y_valid, problem.labels)
            check = partial(_validate, problem, tokens, codes)
        start = torch.zeros(len(problem.index), dtype=self.settings.dtype, device=self.device)
        run = Progress(start, check)
        try:
            train(problem, self.settings, run, random, progress)
        except KeyboardInterrupt:
            if run.history:
                self._adopt(problem, run)
            raise
        self._adopt(problem, run)
        return self

    def _adopt(self, problem: Problem, run: Progress) -> None:
        """Take over what was learned, without the weights that are zero and what they are of."""
        index, weights = problem.index.to(self.device), run.weights.to(self.settings.dtype)
        kept = weights != 0
        index, weights = index.selected(kept), weights[kept]
        used, states = torch.unique(index.state_pairs[0], return_inverse=True)
        states = states * index.n_labels + index.state_pairs[1]
        self.labels = tuple(problem.labels)
        self.attributes = StringTable([problem.names[place] for place in used.tolist()])
        self.attributes.to(self.device)
        self._take(FeatureIndex(states, index.transitions, len(used), index.n_labels), weights)
        self.history = run.history

    def _take(self, index: FeatureIndex, weights: Tensor) -> None:
        """Hold weights and their places as parameters and buffers."""
        n_states = len(index.states)
        self.register_buffer("state_features", index.states)
        self.register_buffer("transition_features", index.transitions)
        self.state_weights = nn.Parameter(weights[:n_states].clone(), requires_grad=False)
        self.transition_weights = nn.Parameter(weights[n_states:].clone(), requires_grad=False)

    # Prediction ------------------------------------------------------------------------------

    def predict(self, X: Any) -> list[list[str]]:
        """The most probable labels of every sequence (Viterbi).

        .. math:: \\hat y = \\arg\\max_y p(y \\mid x)

        Attributes that the model does not know are ignored.

        Arguments:
            X: sequences of tokens.

        Raises:
            TypeError, ValueError: not fitted, or X as in `fit`.
        """
        tokens, scores = self._read(X), self._scores()
        found = tokens.split(scores.best(tokens))
        return [[self.labels[code] for code in codes] for codes in found]

    def predict_marginals(self, X: Any) -> list[list[dict[str, float]]]:
        """Probability of every label at every token.

        .. math:: p(y_t = k \\mid x)

        Arguments:
            X: sequences of tokens.

        Raises:
            TypeError, ValueError: as `predict`.
        """
        tokens, scores = self._read(X), self._scores()
        found = tokens.split(scores.marginals(tokens))
        return [[dict(zip(self.labels, row, strict=True)) for row in rows] for rows in found]

    def log_prob(self, X: Any, y: Any) -> Tensor:
        """Log-probability of the labels of every sequence given its tokens, nats.

        .. math:: \\log p(y \\mid x) = s(x, y) - \\log Z(x)

        A label that the model does not know is impossible: -inf.

        Arguments:
            X: sequences of tokens.
            y: their labels.

        Shapes:
            result: (B,) float64.

        Raises:
            TypeError, ValueError: as `predict`; y as in `fit`.
        """
        tokens = self._read(X)
        return self._scores().log_prob(tokens, tokens.codes(y, self.labels))

    def score(self, X: Any, y: Any) -> float:
        """Share of tokens whose label is predicted correctly.

        Labels that the model does not know count as errors. For chunks see
        :func:`pgm.tagging.chunks.chunk_score`.

        Arguments:
            X: sequences of tokens.
            y: their labels.

        Raises:
            TypeError, ValueError: as `log_prob`; there is no token.
        """
        tokens = self._read(X)
        return self._scores().accuracy(tokens, tokens.codes(y, self.labels))

    # Weights ---------------------------------------------------------------------------------

    def top_features(self, n: int | None = 20) -> list[tuple[str, str, float]]:
        """The largest weights of attributes by absolute value: attribute, label, weight.

        Arguments:
            n: how many; None gives all.

        Example:
            >>> X, y = [[["up"], ["down"]], [["down"]]], [["+", "-"], ["-"]]
            >>> [row[:2] for row in CRFTagger().fit(X, y).top_features(2)]
            [('down', '-'), ('up', '+')]
        """
        index = self._index()
        names = self.attributes.strings
        largest = self.state_weights.abs().argsort(descending=True, stable=True)[:n]
        pairs = [part[largest].tolist() for part in index.state_pairs]
        weights = self.state_weights[largest].tolist()
        return [
            (names[a], self.labels[k], weight)
            for a, k, weight in zip(*pairs, weights, strict=True)
        ]

    def transition_table(self) -> list[tuple[str, str, float]]:
        """The weights of neighbouring labels, largest first: label, next label, weight."""
        pairs = [part.tolist() for part in self._index().transition_pairs]
        rows = zip(*pairs, self.transition_weights.tolist(), strict=True)
        table = [(self.labels[i], self.labels[j], weight) for i, j, weight in rows]
        return sorted(table, key=lambda row: -row[2])

    # State -----------------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """Size, for ``repr``."""
        if not self.labels:
            return "not fitted"
        return (
            f"{len(self.attributes)} attributes, {len(self.labels)} labels, "
            f"{len(self.state_weights)} + {len(self.transition_weights)} weights"
        )

    def config(self) -> dict[str, Any]:
        """Settings, labels and sizes."""
        return {
            **self.settings.config(),
            "labels": list(self.labels),
            "attributes": self.attributes.size,
            "features": [len(self.state_weights), len(self.transition_weights)],
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Build a model from what `config` returned, its numbers yet to be filled in."""
        arguments = dict(config)
        labels = arguments.pop("labels")
        n_bytes, n_attributes = arguments.pop("attributes")
        n_states, n_transitions = arguments.pop("features")
        model = cls(**arguments)
        model.labels = tuple(labels)
        model.attributes = StringTable.blank(n_bytes, n_attributes)
        index = FeatureIndex(
            torch.zeros(n_states, dtype=torch.int64),
            torch.zeros(n_transitions, dtype=torch.int64),
            n_attributes,
            len(labels),
        )
        model._take(index, torch.zeros(n_states + n_transitions, dtype=model.settings.dtype))
        return model

    def _index(self) -> FeatureIndex:
        """Which weights there are since `fit`."""
        if not self.labels:
            raise ValueError("this CRFTagger is not fitted; call fit(X, y) first")
        return FeatureIndex(
            self.state_features, self.transition_features, len(self.attributes), len(self.labels)
        )

    def _scores(self) -> LinearScores:
        """The weights as scores."""
        index = self._index()
        weights = torch.cat([self.state_weights, self.transition_weights]).detach()
        return LinearScores(self.labels, index, weights)

    def _read(self, X: Any) -> Tokens:
        """Sequences as the fitted model sees them."""
        self._index()
        return Tokens.read(X, self.attributes.places)


def _validate(
    problem: Problem, tokens: Tokens, codes: Tensor, weights: Tensor
) -> dict[str, float]:
    """Loss and accuracy on sequences that are not learned from."""
    scores = LinearScores(problem.labels, problem.index.to(weights.device), weights)
    loss = -scores.log_prob(tokens, codes).mean()
    return {"valid_loss": float(loss), "valid_score": scores.accuracy(tokens, codes)}
