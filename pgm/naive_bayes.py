"""Naive Bayes: features that are independent once the class is known.

.. math:: p(y \\mid x) \\propto p(y) \\prod_j p(x_j \\mid y)
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from inference.inputs import as_whole
from inference.logspace import log_normalize, logsumexp
from inference.random import GeneratorLike, as_generator, categorical
from pgm.bayesian_network import BayesianNetwork
from pgm.class_models.classifier import Classifier
from pgm.class_models.inputs import read_labels
from pgm.class_models.learning import Learned, learn, nothing_learned
from pgm.class_models.settings import Form, Kind, Settings

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["NaiveBayes"]

#: Parameters and buffers by the names that scikit-learn gives them.
SCIKIT_LEARN_NAMES = {
    "class_count_": "class_count",
    "class_log_prior_": "class_log_prior",
    "theta_": "means",
    "var_": "variances",
}


class NaiveBayes(Classifier[Form]):
    """A classifier whose features are independent given the class, fitted by counting.

    .. math:: \\hat y = \\arg\\max_k \\Bigl[\\log \\pi_k + \\sum_j \\log p(x_j \\mid y = k)\\Bigr]

    Arguments:
        kind: law of the features given the class: "gaussian" (numbers), "bernoulli" (absent or
            present), "categorical" (states), "multinomial" (counts, such as words of a text), or
            "complement" (counts scored against all other classes, for unequal classes).
        alpha: count added to every count: one number, or one per feature (not for
            "categorical"). The Gaussian kind has no counts and ignores it.
        fit_prior: whether the prior of the classes follows their weights; else it is uniform.
        class_prior: prior of the sorted classes, instead of either.
        binarize: "bernoulli" only: numbers above it are 1, the others 0; None where the features
            are 0, 1 and -1 (missing) already.
        var_smoothing: "gaussian" only: share of the largest variance of all features that is
            added to every variance.
        norm: "complement" only: whether the weights of every class are normalised.
        min_categories: "categorical" only: least number of states, of all features or of each;
            by default as many as the data given to the first fit show.

    Names that scikit-learn has mean the same here and give the same numbers. Differences:
    ``alpha=0`` is exact, an unseen value then has log-probability -inf; the variance that
    ``var_smoothing`` refers to is that of all rows of all calls of `partial_fit`, which therefore
    agree with one `fit`; a category unknown at the first call is an error later.

    X is a tensor, an array or a DataFrame, whose columns are found by name. Columns of strings or
    pandas categories are states with labels in the kind "categorical", all other columns hold
    codes. y holds whole numbers, booleans or strings; predicted labels are a tensor, or an array
    where they are strings.

    Missing entries are NaN, None, or -1 in codes (columns of integers; any column where
    ``binarize`` is None or the kind is "categorical"). They are left out of the counts and
    summed out of every probability, both exactly. The kinds "multinomial" and "complement" refuse
    them: a missing count leaves the number of draws open as well. Missing labels are an error.

    A class without any weight has probability zero, unless ``class_prior`` or ``fit_prior=False``
    says otherwise, in which case its features need alpha > 0.

    Attributes:
        class_log_prior: parameter (K,), nats.
        means, variances: parameters (K, D) of the kind "gaussian".
        feature_log_prob: parameter, nats: (K, D, 2) of absence and presence in the kind
            "bernoulli", (K, D) in the kind "multinomial", (K, S) in the kind "categorical", where
            the states of all features stand side by side.
        weights: parameter (K, D) of the kind "complement".
        class_count: buffer (K,), weight of every class.
        statistics: buffer, the counts or moments that `partial_fit` adds to.

    Also by scikit-learn's names ``class_log_prior_``, ``theta_``, ``feature_log_prob_``, ...

    Raises:
        TypeError, ValueError: for settings out of range or of another kind.

    Reference:
        McCallum & Nigam 1998, "A comparison of event models for naive Bayes text classification",
        section 2; Rennie et al. 2003, "Tackling the poor assumptions of naive Bayes text
        classifiers", sections 3.1 and 3.2 (complement).

    Example:
        >>> texts = [[1, 1, 0, 1], [1, 0, 1, 1]]
        >>> model = NaiveBayes("bernoulli").fit(texts, ["+", "-"])
        >>> model.predict([[1, 1, 0, 1]]).tolist()
        ['+']
        >>> [round(p, 12) for p in model.predict_proba([[1, 1, 0, 1]])[0].tolist()]
        [0.8, 0.2]
    """

    def __init__(
        self,
        kind: Kind = "gaussian",
        alpha: float | Sequence[float] = 1.0,
        *,
        fit_prior: bool = True,
        class_prior: Sequence[float] | None = None,
        binarize: float | None = 0.0,
        var_smoothing: float = 1e-9,
        norm: bool = False,
        min_categories: int | Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        self.settings = Settings(
            kind, alpha, fit_prior, class_prior, binarize, var_smoothing, norm, min_categories
        )
        self.class_log_prior = nn.Parameter(torch.zeros(0, dtype=torch.float64), False)
        self.class_count: Tensor
        self.statistics: Tensor
        self.register_buffer("class_count", torch.zeros(0, dtype=torch.float64))
        self.register_buffer("statistics", torch.zeros(0, dtype=torch.float64))

    # Learning --------------------------------------------------------------------------------

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Estimate prior and features from labelled rows, forgetting all earlier ones.

        Arguments:
            X: features, one row per example.
            y: class labels.
            sample_weight: weights of the rows, not negative; ones by default.

        Shapes:
            X: (n, D). y, sample_weight: (n,).

        Raises:
            TypeError, ValueError: entries or labels of the wrong kind or missing, no rows, lengths
                that differ, weights that are negative or all zero, or an estimate that does not
                exist. The model is then unchanged.
        """
        labels = read_labels(y)
        return self._learn(None, X, labels, sample_weight, None)

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Learn from further rows: the calls together equal one `fit` to all their rows.

        Arguments:
            X: features, one row per example.
            y: class labels.
            classes: all labels that may ever come, (K,); needed at the first call only.
            sample_weight: weights of the rows, not negative; ones by default.

        Raises:
            TypeError, ValueError: as `fit`; for labels or categories new since the first call.
        """
        labels = read_labels(y)
        known = None if classes is None else read_labels(classes, "classes")
        if self._form is None:
            if known is None:
                raise ValueError("classes must be given at the first call of partial_fit")
            return self._learn(None, X, labels, sample_weight, known)
        if known is not None and set(known.tolist()) != set(self.classes):
            raise ValueError(
                f"classes must be those of the first call, {list(self.classes)}, "
                f"found {known.tolist()}"
            )
        past = Learned(self._form, self.statistics, self.class_count, {}, {})
        return self._learn(past, X, labels, sample_weight, None)

    def _learn(
        self,
        past: Learned | None,
        X: Any,
        labels: np.ndarray,
        sample_weight: Any,
        classes: np.ndarray | None,
    ) -> Self:
        """Add rows to the past, or begin anew, and take over the result as a whole."""
        found = learn(
            self.settings, past, X, labels, sample_weight, classes=classes, device=self.device
        )
        self._take(found)
        calls = self.history if past else []
        self.history = [*calls, {"iteration": len(calls) + 1, **found.report}]
        return self

    def _take(self, found: Learned) -> None:
        """Take over what was learned, the parameters in the model's type of numbers."""
        dtype = self.class_log_prior.dtype
        self._form, self.statistics, self.class_count = found.form, found.statistics, found.count
        for name, value in found.parameters.items():
            setattr(self, name, nn.Parameter(value.to(dtype), requires_grad=False))

    # Prediction ------------------------------------------------------------------------------

    def predict_log_proba(self, X: Any) -> Tensor:
        """Logarithms of the posterior, nats.

        .. math:: \\log p(y = k \\mid x) = s_k - \\log \\sum_c e^{s_c}

        Shapes:
            X: (n, D). result: (n, K), classes in sorted order.

        Raises:
            TypeError, ValueError: the model is not fitted; X does not fit it; or a row is
                impossible in every class, so that it has no posterior (with alpha = 0 only).
        """
        scores = self._class_scores(X)
        certain = scores == math.inf
        decided = torch.zeros_like(scores).masked_fill(~certain, -math.inf)
        return log_normalize(torch.where(certain.any(1, keepdim=True), decided, scores), 1)

    def predict_joint_log_proba(self, X: Any) -> Tensor:
        """The scores behind the posterior, scikit-learn's numbers, nats.

        .. math:: s_k = \\log p(y = k) + \\log p(x \\mid y = k) - c(x)

        c is the multinomial coefficient, else 0. Those of "complement" are no probabilities.

        Shapes:
            X: (n, D). result: (n, K).
        """
        return self._fitted().scores(self.class_log_prior, self._values(), self._read(X))

    def joint_log_prob(self, X: Any) -> Tensor:
        """Log-probability (or log-density) of features and class together, nats.

        .. math:: \\log p(x, y = k)

        In the kind "multinomial" it is that of the counts given their sum.

        Shapes:
            X: (n, D). result: (n, K), -inf for what is impossible.

        Raises:
            TypeError, ValueError: as `predict_log_proba`; also for the kind "complement" and for
                fractional counts, which have no probability.
        """
        form, x = self._fitted(), self._read(X)
        base = form.events.log_base_measure(x)[:, None]
        scores = form.scores(self.class_log_prior, self._values(), x)
        return scores + base.to(scores.dtype)

    def log_prob(self, X: Any) -> Tensor:
        """Log-probability (or log-density) of the features alone, nats.

        .. math:: \\log p(x) = \\log \\sum_k p(x, y = k)

        Shapes:
            X: (n, D). result: (n,).
        """
        return logsumexp(self.joint_log_prob(X), 1)

    def sample(
        self, n: int, *, n_trials: int | None = None, generator: GeneratorLike = None
    ) -> tuple[Tensor, Tensor | np.ndarray]:
        """Draw independent rows with their classes.

        .. math:: y \\sim \\pi, \\qquad x \\sim p(x \\mid y)

        Arguments:
            n: number of rows.
            n_trials: "multinomial" only: what the counts of every row sum to.
            generator: None, a seed or a generator.

        Shapes:
            X: (n, D), int64 codes in the kind "categorical". y: (n,), labels as `predict`.

        Raises:
            ValueError: not fitted, n negative, n_trials out of place, or the kind "complement".
        """
        form, size = self._fitted(), as_whole("n", n, least=0)
        if n_trials is not None:
            n_trials = as_whole("n_trials", n_trials, least=0)
        if (self.kind == "multinomial") != (n_trials is not None):
            raise ValueError(
                "n_trials must be given for kind 'multinomial' and for no other, "
                f"found {n_trials} for kind {self.kind!r}"
            )
        draws = as_generator(generator, self.device)
        y = categorical(self.class_log_prior, size, generator=draws)
        x = form.events.sample(self._values(), y, n_trials, draws)
        return x, form.classes.decode(y)

    def to_bayesian_network(self, class_name: str = "class") -> BayesianNetwork:
        """The same law as a network: the class is the parent of every feature.

        Classes and states keep their labels; features of an array are named x0, x1, ...

        Raises:
            ValueError: not fitted, a feature named ``class_name``, or another kind than
                "bernoulli" and "categorical", whose features are no discrete variables.

        Example:
            >>> model = NaiveBayes("bernoulli").fit([[1, 1, 0, 1], [1, 0, 1, 1]], ["+", "-"])
            >>> network = model.to_bayesian_network()
            >>> network.marginals({"x1": 1, "x2": 0})["class"].round(decimals=12).tolist()
            [0.8, 0.2]
        """
        form = self._fitted()
        return form.network(class_name, self.class_log_prior, self._values())

    # State -----------------------------------------------------------------------------------

    @property
    def kind(self) -> Kind:
        """Law of the features given the class."""
        return self.settings.kind

    @property
    def n_states(self) -> tuple[int, ...] | None:
        """Number of states of every feature of the kind "categorical", else None."""
        return self._fitted().n_states

    @property
    def feature_log_prob_(self) -> Tensor | list[Tensor]:
        """Scikit-learn's view of the parameters: (K, D), or one (K, states) per feature."""
        return self._fitted().events.feature_log_prob(self._values())

    def __getattr__(self, name: str) -> Any:
        return super().__getattr__(SCIKIT_LEARN_NAMES.get(name, name))

    def extra_repr(self) -> str:
        """Kind and size, for ``repr``."""
        if self._form is None:
            return f"{self.kind!r}, not fitted"
        return f"{self.kind!r}, {len(self.classes)} classes, {self._form.columns.count} features"

    def config(self) -> dict[str, Any]:
        """Settings and, once fitted, labels of the classes and columns."""
        form = None if self._form is None else self._form.config()
        return {**self.settings.config(), "form": form}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Build a model from what `config` returned, its numbers yet to be filled in."""
        arguments = dict(config)
        found = arguments.pop("form")
        model = cls(**arguments)
        if found is not None:
            model._take(nothing_learned(model.settings.form_of(found)))
        return model

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a model from a file that `save` wrote; it is on the CPU.

        Raises:
            ValueError: the file holds anything but a fitted model of this class.
        """
        model = super().load(path)
        if model._form is None:
            raise ValueError(f"{os.fspath(path)}: holds a NaiveBayes that was not fitted")
        return model

    # Numbers ---------------------------------------------------------------------------------

    def _read(self, X: Any) -> Tensor:
        """Prepared rows."""
        form = self._fitted()
        x = form.columns.read(X, codes=self.settings.has_codes, device=self.device)
        return form.events.prepare(x, form.columns.title)

    def _values(self) -> dict[str, Tensor]:
        """Parameters of the features by name."""
        return {name: p for name, p in self.named_parameters() if name != "class_log_prior"}

    def _class_scores(self, X: Any) -> Tensor:
        """Scores (n, K) of rows that all have a posterior."""
        scores = self.predict_joint_log_proba(X)
        wrong = (scores.amax(1) == -math.inf) | ((scores == math.inf).sum(1) > 1)
        if wrong.any():
            raise ValueError(
                f"row {int(wrong.nonzero()[0])} of X is impossible in every class, so that it has "
                "no posterior; fit with alpha > 0"
            )
        return scores
