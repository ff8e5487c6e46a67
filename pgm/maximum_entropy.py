"""Maximum-entropy classifier: multinomial logistic regression.

.. math:: p(y \\mid x) = \\frac{\\exp(w_y^\\top x + b_y)}{\\sum_k \\exp(w_k^\\top x + b_k)}
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from inference.convergence import ConvergenceWarning
from inference.inputs import as_weights
from inference.learning.lbfgs import minimize
from inference.logspace import log_normalize
from pgm.class_models.classifier import Classifier
from pgm.class_models.inputs import ClassLabels, Columns, read_labels
from pgm.max_entropy.design import Design, as_matrix, read_columns
from pgm.max_entropy.likelihood import Problem, class_scores
from pgm.max_entropy.settings import SETTINGS, Settings

if TYPE_CHECKING:
    from sklearn.utils import Tags
    from typing_extensions import Self

__all__ = ["MaximumEntropyClassifier"]


class Form(NamedTuple):
    """What is known besides the numbers, once fitted."""

    classes: ClassLabels
    columns: Columns


class MaximumEntropyClassifier(Classifier[Form]):
    """A classifier whose log-odds are linear in the features: the conditional log-linear model.

    .. math:: \\max_{w, b} \\; C \\sum_i \\omega_i \\log p(y_i \\mid x_i)
              - \\rho \\lVert w \\rVert_1 - \\tfrac{1 - \\rho}{2} \\lVert w \\rVert_2^2

    Among all laws p(y | x) whose expected features agree with those of the data, the one without
    penalty has the largest entropy. With a penalty they agree up to its gradient.

    Arguments:
        C: inverse strength of the penalty; ``math.inf`` for none.
        l1_ratio: share of the absolute values in the penalty: 0 squares only (ridge), 1 absolute
            values only (lasso: weights become exactly zero), between them the elastic net.
        tol: the fit ends when the gradient of the mean loss, features in units of their standard
            deviations, is this short relative to the parameters, or at rounding error.
        fit_intercept: whether there are b; they are never penalised.
        class_weight: by what the rows of every class are multiplied, a dict from labels (1 for
            those left out), or "balanced" for n / (K n_k); None for ones.
        max_iter: most iterations.

    The names are scikit-learn's and so are the numbers: this is its ``LogisticRegression`` with
    every penalty on every problem, multinomial for three or more classes. Differences: ``tol`` and
    ``max_iter`` are stricter by default and the features' units do not matter for convergence.
    `get_params`, `set_params` and ``clone`` work, and so do pipelines and grid searches.

    X is a tensor, an array, a DataFrame (columns are found by name) or a sparse matrix of scipy or
    torch. y holds whole numbers, booleans or strings; predicted labels are a tensor, or an array
    where they are strings. Missing features are an error: the model has no law of them.

    Without penalty, classes that a plane separates have no optimum: weights grow until the
    gradient is within the tolerance, and stay finite.

    Attributes:
        weights: parameter (K, D), for two classes (1, D), that of the second; ``coef_``.
        bias: parameter (K,), for two classes (1,); ``intercept_``.
        history: one dict per iteration with ``loss``, penalty included, per unit of weight, nats.

    Raises:
        TypeError, ValueError: for settings out of range or of the wrong kind.

    Reference:
        Berger, Della Pietra & Della Pietra 1996, "A maximum entropy approach to natural language
        processing", section 3; Hastie, Tibshirani & Friedman 2009, eq. 4.17 and 4.31.

    Example:
        >>> model = MaximumEntropyClassifier(C=math.inf)
        >>> model = model.fit([[0], [0], [0], [1], [1], [1]], ["-", "-", "+", "-", "+", "+"])
        >>> model.predict([[0], [1]]).tolist()
        ['-', '+']
        >>> model.predict_proba([[0], [1]])[:, 0].round(decimals=6).tolist()
        [0.333333, 0.666667]
    """

    def __init__(
        self,
        *,
        C: float = 1.0,
        l1_ratio: float = 0.0,
        tol: float = 1e-6,
        fit_intercept: bool = True,
        class_weight: Mapping[Any, float] | str | None = None,
        max_iter: int = 1000,
    ) -> None:
        super().__init__()
        self.settings = Settings(C, l1_ratio, tol, fit_intercept, class_weight, max_iter)
        self.weights = nn.Parameter(torch.zeros(0, 0, dtype=torch.float64), False)
        self.bias = nn.Parameter(torch.zeros(0, dtype=torch.float64), False)

    # Learning --------------------------------------------------------------------------------

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, progress: bool | None = None
    ) -> Self:
        """Find the weights of labelled rows, by L-BFGS, with absolute values OWL-QN.

        Arguments:
            X: features, one row per example.
            y: class labels, of at least two classes.
            sample_weight: weights of the rows, not negative; ones by default.
            progress: True, False, or None: a bar if on a terminal.

        Shapes:
            X: (n, D). y, sample_weight: (n,).

        Raises:
            TypeError, ValueError: entries or labels of the wrong kind or missing, one class only,
                lengths that differ, weights that are negative or all zero. The model is then
                unchanged.

        Warns:
            ConvergenceWarning: if ``max_iter`` ends the iterations before ``tol`` is met.
        """
        labels, columns = read_labels(y), read_columns(X)
        matrix = as_matrix(columns, X, self.device)
        weight = as_weights(sample_weight, len(matrix)).to(matrix.device)
        if len(matrix) != len(labels):
            raise ValueError(
                f"X and y must have equally many rows, found {len(matrix)} and {len(labels)}"
            )
        classes = ClassLabels.of(labels)
        if len(classes) < 2:
            raise ValueError(f"y must hold at least two classes, found {classes.values.tolist()}")
        codes = torch.from_numpy(classes.codes(labels)).to(matrix.device)
        weight = weight * self.settings.row_weights(classes, codes, weight)
        if not weight.sum() > 0:
            raise ValueError("sample_weight must be positive in a row, found zero in all")
        problem = Problem.of(matrix, codes, weight, len(classes), self.settings)
        found = minimize(
            problem.value_and_gradient,
            problem.start(),
            l1=problem.l1,
            max_iterations=self.settings.max_iter,
            gradient_tolerance=self.settings.tol,
            value_tolerance=0.0,
            progress=progress,
            description="maximum entropy",
        )
        self._take(classes, columns, *problem.solution(found.x))
        self.history = [{"loss": step.pop("value"), **step} for step in found.history]
        if found.stop == "iterations":
            warnings.warn(
                f"the fit made max_iter={self.settings.max_iter} iterations and its gradient is "
                f"{found.gradient_norm:.2g}, above tol={self.settings.tol:g}; raise either",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    def _take(self, classes: ClassLabels, columns: Columns, weights: Tensor, bias: Tensor) -> None:
        """Take over what was learned, in the model's type of numbers."""
        dtype = self.weights.dtype
        self._form = Form(classes, columns)
        self.weights = nn.Parameter(weights.to(dtype), requires_grad=False)
        self.bias = nn.Parameter(bias.to(dtype), requires_grad=False)

    # Prediction ------------------------------------------------------------------------------

    def decision_function(self, X: Any) -> Tensor:
        """Scores of the classes; for two classes the log-odds of the second.

        .. math:: s_k = w_k^\\top x + b_k

        Shapes:
            X: (n, D). result: (n, K), for two classes (n,).

        Raises:
            TypeError, ValueError: the model is not fitted, or X does not fit it.
        """
        scores = self._scores(X)
        return scores if scores.shape[1] > 1 else scores[:, 0]

    def predict_log_proba(self, X: Any) -> Tensor:
        """Logarithms of the probabilities of the classes, nats.

        .. math:: \\log p(y = k \\mid x) = s_k - \\log \\sum_c e^{s_c}

        Shapes:
            X: (n, D). result: (n, K), classes in sorted order.
        """
        return log_normalize(self._class_scores(X), 1)

    def log_prob(self, X: Any, y: Any) -> Tensor:
        """Log-probability of the labels given the features, nats.

        .. math:: \\log p(y_i \\mid x_i)

        Shapes:
            X: (n, D). y, result: (n,); -inf for labels the model has never seen.
        """
        log_p = self.predict_log_proba(X)
        codes = self._codes(y, len(log_p))
        found = log_p.gather(1, codes.clamp_min(0)[:, None]).squeeze(1)
        return found.masked_fill(codes < 0, -math.inf)

    def feature_expectations(self, X: Any, y: Any = None, sample_weight: Any = None) -> Tensor:
        """Mean of every feature within every class: of the model, or of labels given.

        .. math:: \\frac{1}{W} \\sum_i \\omega_i \\, p(k \\mid x_i) \\, x_{ij}
                  \\quad \\text{or} \\quad \\frac{1}{W} \\sum_i \\omega_i \\, [y_i = k] \\, x_{ij}

        The two agree on the data that a model without penalty was fitted to.

        Shapes:
            X: (n, D). y, sample_weight: (n,). result: (K, D).
        """
        share = self.predict_proba(X)
        if y is not None:
            codes = self._codes(y, len(share))[:, None]
            share = (codes == torch.arange(share.shape[1], device=codes.device)).to(share.dtype)
        weight = as_weights(sample_weight, len(share)).to(share)
        if not weight.sum() > 0:
            raise ValueError("there must be a row of positive weight to average, found none")
        design = Design.plain(self._matrix(X))
        return (design.transposed @ (share * (weight / weight.sum())[:, None])).T

    # Scikit-learn's conventions --------------------------------------------------------------

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The settings by name, as given; scikit-learn's ``clone`` uses them."""
        return {name: getattr(self.settings, name) for name in SETTINGS}

    def set_params(self, **params: Any) -> Self:
        """Change settings; what was fitted stays until the next `fit`.

        Raises:
            TypeError, ValueError: for settings out of range or unknown; none is changed then.
        """
        if unknown := params.keys() - set(SETTINGS):
            raise ValueError(f"params must be among {SETTINGS}, found {sorted(unknown)}")
        self.settings = Settings(**{**self.get_params(), **params})
        return self

    def __sklearn_tags__(self) -> Tags:
        from sklearn.utils import ClassifierTags, InputTags, Tags, TargetTags

        return Tags(
            estimator_type="classifier",
            target_tags=TargetTags(required=True),
            classifier_tags=ClassifierTags(),
            input_tags=InputTags(sparse=True),
        )

    def __sklearn_is_fitted__(self) -> bool:
        return self._form is not None

    @property
    def coef_(self) -> Tensor:
        """`weights`, by scikit-learn's name."""
        self._fitted()
        return self.weights

    @property
    def intercept_(self) -> Tensor:
        """`bias`, by scikit-learn's name."""
        self._fitted()
        return self.bias

    @property
    def n_iter_(self) -> np.ndarray:
        """Iterations of the last fit, (1,)."""
        self._fitted()
        return np.array([len(self.history)])

    @property
    def n_features_in_(self) -> int:
        """Number of features."""
        return self._fitted().columns.count

    # State -----------------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """Settings that matter and size, for ``repr``."""
        settings = f"C={self.settings.C:g}, l1_ratio={self.settings.l1_ratio:g}"
        if self._form is None:
            return f"{settings}, not fitted"
        return f"{settings}, {len(self.classes)} classes, {self.n_features_in_} features"

    def config(self) -> dict[str, Any]:
        """Settings and, once fitted, labels of the classes and columns."""
        form = None
        if self._form is not None:
            classes, columns = self._form
            form = {"classes": classes.values.tolist(), "columns": asdict(columns)}
        return {**self.settings.config(), "form": form}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Build a model from what `config` returned, its numbers yet to be filled in."""
        arguments = dict(config)
        form = arguments.pop("form")
        model = cls(**Settings.arguments(arguments))
        if form is not None:
            names = form["columns"]["names"]
            columns = Columns(form["columns"]["count"], None if names is None else tuple(names))
            classes = ClassLabels(read_labels(form["classes"], "classes"))
            n_rows = 1 if len(classes) == 2 else len(classes)
            model._take(classes, columns, torch.zeros(n_rows, columns.count), torch.zeros(n_rows))
        return model

    def _matrix(self, X: Any) -> Tensor:
        """The rows in the model's type of numbers."""
        return as_matrix(self._fitted().columns, X, self.device).to(self.weights.dtype)

    def _scores(self, X: Any) -> Tensor:
        """Scores (n, K), or (n, 1) for two classes."""
        return self._matrix(X) @ self.weights.T + self.bias

    def _class_scores(self, X: Any) -> Tensor:
        return class_scores(self._scores(X))
