"""Learning the networks of an autoencoder on mini-batches of rows.

.. math:: \\max_{\\theta, \\phi} \\frac1n \\sum_i \\mathcal{L}_{\\theta, \\phi}(x_i)
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from generative.vae.coder import Coder
from generative.vae.objectives import Objective, elbo_terms
from generative.vae.rows import Augment, prepared
from generative.vae.warm_up import WarmUp
from inference.inputs import Values, as_whole
from inference.learning.callbacks import Callback, Evaluate, as_callbacks
from inference.learning.checkpoint import fingerprint
from inference.learning.descent import Player, descend
from inference.learning.optimization import Optimization
from inference.learning.schedule import Schedule

__all__ = ["Lesson", "learn", "validation_bound"]


@dataclass(frozen=True, eq=False)
class Lesson:
    """How networks are learned.

    Arguments:
        objective: what every step descends.
        schedule: how long, and how fast.
        optimization: how gradients become steps.
        beta_warm_up: epochs in which beta rises.
        augment: what is done with a batch first.

    Raises:
        TypeError, ValueError: a warm-up that is none, or of a bound without beta.
    """

    objective: Objective
    schedule: Schedule
    optimization: Optimization
    beta_warm_up: int = 0
    augment: Augment | None = None

    def __post_init__(self) -> None:
        object.__setattr__(
            self, "beta_warm_up", as_whole("beta_warm_up", self.beta_warm_up, least=0)
        )
        if self.beta_warm_up and self.objective.name != "elbo":
            raise ValueError(
                f'beta_warm_up is for objective="elbo", found "{self.objective.name}"'
            )


def learn(
    model: nn.Module,
    coder: Coder,
    lesson: Lesson,
    rows: Tensor,
    told: Tensor | None,
    generator: torch.Generator,
    *,
    evaluate: Callable[[Any], Mapping[str, Any]] | None = None,
    callbacks: Sequence[Callback] = (),
    checkpoint: str | os.PathLike[str] | None = None,
    progress: bool | None = None,
) -> list[dict[str, Any]]:
    """Change the parameters of a model in place; what happened in every epoch.

    Arguments:
        model: whose parameters are learned.
        coder: its networks.
        lesson: how.
        rows: (n, *event).
        told: conditions that have been read, or None.
        generator: of order and draws.
        evaluate: figures of the model after every epoch.
        callbacks: are called after every epoch, when the figures are there.
        checkpoint: a file from which learning goes on.
        progress: a bar; None shows it on a terminal.

    Raises:
        FloatingPointError: a loss that is no longer finite.
    """
    warm_up, like = WarmUp(lesson.beta_warm_up), coder.like
    watched = [] if evaluate is None else [Evaluate(evaluate)]
    objective, augment = lesson.objective, lesson.augment

    def loss(batch: Any, source: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        x, raw = (batch, None) if told is None else batch
        x = x if augment is None else augment(x, source)
        features = None if raw is None else coder.conditions(raw, like)
        return objective.loss(coder, x, features, source, warm_up.share)

    return descend(
        model,
        [Player("", [x for x in model.parameters() if x.requires_grad], loss)],
        rows if told is None else (rows, told),
        lesson.schedule,
        lesson.optimization,
        generator,
        callbacks=[warm_up, *watched, *as_callbacks(callbacks)],
        checkpoint=checkpoint,
        about=None if checkpoint is None else _about(lesson, rows, told),
        headline="elbo",
        progress=progress,
    )


def _about(lesson: Lesson, rows: Tensor, told: Tensor | None) -> dict[str, Any]:
    """What learning depends on, for a checkpoint."""
    return {
        "objective": asdict(lesson.objective),
        "beta_warm_up": lesson.beta_warm_up,
        "rows": fingerprint(rows),
        "conditions": None if told is None else fingerprint(told),
    }


def validation_bound(
    coder: Coder, validation: Values | tuple[Values, Any]
) -> Callable[[Any], dict[str, float]]:
    """What finds the bound of rows that are not learned from, always with the same noise.

    Arguments:
        coder: the networks.
        validation: rows, or rows and their conditions.

    Raises:
        TypeError, ValueError: what the model does not take.
    """
    x, condition = validation if isinstance(validation, tuple) else (validation, None)
    rows, _ = prepared(coder, "validation", x, condition)
    told = coder.conditions.read(condition, len(rows), coder.like)

    def evaluate(model: Any) -> dict[str, float]:
        source = torch.Generator(rows.device).manual_seed(0)
        terms = elbo_terms(coder, rows, coder.conditions(told, coder.like), 1, source)
        return {"validation_elbo": float((terms.reconstruction - terms.kl).mean())}

    return evaluate
