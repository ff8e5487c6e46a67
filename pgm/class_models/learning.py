"""Learning naive Bayes: rows are added to statistics, from which all numbers are estimated anew.

.. math:: n_k = \\sum_i w_i [y_i = k], \\qquad \\pi_k = n_k / \\sum_c n_c
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from inference.inputs import as_weights
from pgm.class_models.inputs import ClassLabels, Columns
from pgm.class_models.settings import Form, Settings

__all__ = ["Learned", "learn", "nothing_learned"]


@dataclass(frozen=True)
class Learned:
    """What rows have taught.

    Arguments:
        form: classes, columns and law of the features.
        statistics: sufficient statistics of the features.
        count: weights of the classes.
        parameters: of prior and features, by name.
        report: of the rows added, for the history.

    Shapes:
        count: (K,). statistics and parameters: as the law of the features has them.
    """

    form: Form
    statistics: Tensor
    count: Tensor
    parameters: dict[str, Tensor]
    report: dict[str, float]


def nothing_learned(form: Form) -> Learned:
    """A form with the numbers of no rows, which have the right shapes.

    Arguments:
        form: classes, columns and law of the features.
    """
    none = torch.zeros(0, dtype=torch.int64)
    rows = torch.zeros(0, form.columns.count, dtype=torch.float64)
    x = form.events.prepare(rows, form.columns.title)
    statistics = form.events.statistics(x, none, none.double(), len(form.classes))
    parameters, _ = form.events.estimate(statistics)
    count = torch.zeros(len(form.classes), dtype=torch.float64)
    return Learned(form, statistics, count, {"class_log_prior": count.log(), **parameters}, {})


def learn(
    settings: Settings,
    past: Learned | None,
    X: Any,
    labels: np.ndarray,
    sample_weight: Any,
    *,
    classes: np.ndarray | None,
    device: torch.device,
) -> Learned:
    """Add rows to what was learned; nothing given is changed.

    Arguments:
        settings: of the model.
        past: what was learned from earlier rows; None begins anew.
        X: features (n, D).
        labels: of the rows (n,).
        sample_weight: weights (n,), or None for ones.
        classes: labels of the classes where ``past`` is None.
        device: of the result.

    Raises:
        TypeError, ValueError: as ``NaiveBayes.fit``.
    """
    columns = past.form.columns if past else Columns.of(X, labelled=settings.kind == "categorical")
    x = columns.read(X, codes=settings.has_codes, device=device)
    if len(x) != len(labels):
        raise ValueError(f"X and y must have equally many rows, found {len(x)} and {len(labels)}")
    weight = as_weights(sample_weight, len(x)).to(x.device)
    known = ClassLabels.of(labels if classes is None else classes)
    form = past.form if past else settings.form(known, columns, x)
    y = form.codes(labels).to(x.device)
    x = form.events.prepare(x, columns.title)
    statistics = form.events.statistics(x, y, weight, len(form.classes))
    count = y.bincount(weight, minlength=len(form.classes))
    if past:
        statistics = form.events.merge(past.statistics.double(), statistics)
        count = count + past.count.double()
    log_prior = settings.log_prior(count)
    parameters = {"class_log_prior": log_prior, **form.estimate(statistics, log_prior)}
    report = {"rows": len(x), "weight": weight.sum().item()}
    return Learned(form, statistics, count, parameters, report)
