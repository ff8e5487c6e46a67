"""The earth mover's distance between two samples, as a critic finds it.

.. math:: W = \\max_{\\|f\\|_L \\le 1} \\mathbb{E}_x[f(x)] - \\mathbb{E}_y[f(y)], \\qquad
          \\hat W = \\lambda \\Bigl(\\sqrt{1 + 2\\, \\text{gap} / \\lambda} - 1\\Bigr)
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from generative.gan.constraints import Constraint, ConstraintName
from generative.trial import as_modules, evaluating, like_of, one_per_row, tried
from inference.inputs import Values
from inference.learning.descent import Player, descend
from inference.learning.optimization import Optimization
from inference.learning.schedule import Schedule
from inference.random import GeneratorLike, as_generator
from inference.rows import read_rows

__all__ = ["CriticGap", "corrected_gap", "estimate_earth_movers"]


class CriticGap(NamedTuple):
    """What a trained critic says.

    Arguments:
        gap: mean rating of the first sample less that of the second, over all their rows.
        distance: estimate of the earth mover's distance that follows; None where the constraint
            does not say how steep the critic is.
        history: means of "loss", "gap" and "penalty" over each epoch of its training.
    """

    gap: float
    distance: float | None
    history: list[dict[str, Any]]


def corrected_gap(gap: float, penalty_weight: float) -> float:
    """Distance at which a critic under a one-sided penalty has a gap.

    .. math:: \\max_s\\; s W - \\lambda (s - 1)^2 \\;\\Rightarrow\\; s = 1 + \\frac{W}{2 \\lambda},
              \\quad \\text{gap} = W + \\frac{W^2}{2 \\lambda}

    The penalty lets the critic be steeper than one by what that gains; this takes it back.

    Arguments:
        gap: of the critic, in the rows' unit.
        penalty_weight: lambda.

    Raises:
        ValueError: a weight that is not positive.

    Reference:
        Gulrajani et al. 2017, "Improved training of Wasserstein GANs", proposition 1 (slopes of
        the best critic are one between matched points, where the penalty applies).

    Example:
        >>> corrected_gap(2 + 2**2 / 20, penalty_weight=10)
        2.0
    """
    if not 0 < penalty_weight < math.inf:
        raise ValueError(f"penalty_weight must be positive and finite, found {penalty_weight}")
    # A gap below zero is none: the distance is not negative, and the critic is bad.
    gap = max(gap, 0.0)
    # The formula above, without taking two nearly equal numbers apart.
    return 2 * gap / (math.sqrt(1 + 2 * gap / penalty_weight) + 1)


def estimate_earth_movers(
    critic: nn.Module,
    x: Values,
    y: Values,
    *,
    constraint: ConstraintName = "gradient-penalty",
    clip: float = 0.01,
    penalty_weight: float = 10.0,
    one_sided: bool = True,
    steps: int = 1000,
    batch_size: int = 256,
    lr: float | None = None,
    optimization: Optimization | None = None,
    generator: GeneratorLike = None,
    progress: bool | None = False,
) -> CriticGap:
    """Train a critic between two samples, in place, and read the distance off it.

    Under the one-sided "gradient-penalty" the estimate is that of ``corrected_gap``; under
    "spectral" the gap itself, a lower bound, as layers seldom use all the slope they may. Under
    "clip" the gap has no unit, it grows like clip to the number of layers; the two-sided penalty
    wants slope one at kinks of the best critic too, and can hold a critic upside down, since slope
    zero costs more than slope minus one. There is no estimate under these.

    Arguments:
        critic: a module from rows to ratings, (batch,) or (batch, 1).
        x: rows that are to be rated high.
        y: rows that are to be rated low. Bring both to a spread of about one.
        constraint: how the critic is kept from being steep.
        clip: k of "clip".
        penalty_weight: lambda of "gradient-penalty".
        one_sided: whether slopes below one are free.
        steps: batches, rounded up to whole epochs of ``x``.
        batch_size: rows of each sample per step.
        lr: the first rate; None for 1e-3, and 5e-4 with "clip".
        optimization: how gradients become steps; None for Adam with betas (0, 0.9), and RMSprop
            with "clip".
        generator: None, a seed or a generator.
        progress: a bar; None shows it on a terminal.

    Shapes:
        x: (n, *event). y: (m, *event).

    Raises:
        TypeError: a critic that is no module, samples that are no numbers.
        ValueError: NaN or infinity, samples of different shapes; a critic that does not take them,
            or returns anything but one number per row; numbers that make no sense.
        FloatingPointError: a loss that is no longer finite.

    Reference:
        Arjovsky, Chintala & Bottou 2017, "Wasserstein generative adversarial networks", eq. 3;
        Petzka, Fischer & Lukovnikov 2018, "On the regularization of Wasserstein GANs", eq. 8.

    Example:
        >>> from generative.networks import mlp
        >>> x, critic = torch.linspace(0, 1, 200)[:, None], mlp([1, 16, 1], generator=0)
        >>> found = estimate_earth_movers(critic, x + 0.5, x, steps=200, lr=0.01, generator=0)
        >>> round(found.distance, 1)
        0.5
    """
    as_modules({"critic": critic})
    rule = Constraint(constraint, float(clip), float(penalty_weight), bool(one_sided))
    clips = rule.kind == "clip"
    schedule = Schedule(None, batch_size, (5e-4 if clips else 1e-3) if lr is None else lr, steps)
    like = like_of(critic)
    high = read_rows("x", x, None, like).detach()
    low = read_rows("y", y, high.shape[1:], like).detach()
    source = as_generator(generator, like.device)
    with torch.no_grad(), evaluating(critic):
        one_per_row("critic", tried("critic", critic, high[:2]), len(high[:2]))
    rule.impose(critic)

    def loss(batch: Tensor, generator: torch.Generator) -> tuple[Tensor, Mapping[str, Tensor]]:
        chosen = torch.randint(len(low), (len(batch),), generator=generator, device=low.device)
        other = low[chosen]
        ratings = critic(torch.cat([batch, other])).flatten()
        gap = ratings[: len(batch)].mean() - ratings[len(batch) :].mean()
        if not rule.penalises:
            return -gap, {"gap": gap}
        penalty = rule.penalty(lambda rows: critic(rows).flatten(), batch, other, generator)
        return penalty - gap, {"gap": gap, "penalty": penalty}

    learned = [p for p in critic.parameters() if p.requires_grad]
    history = descend(
        critic,
        [Player("", learned, loss, then=lambda: rule.enforce(critic))],
        high,
        schedule,
        rule.optimization() if optimization is None else optimization,
        source,
        headline="gap",
        progress=progress,
        description="critic",
    )
    with torch.no_grad():
        means = [critic(rows).double().mean() for rows in (high, low)]
    gap = float(means[0] - means[1])
    return CriticGap(gap, _distance(gap, rule), history)


def _distance(gap: float, rule: Constraint) -> float | None:
    """The distance that follows from a gap."""
    if rule.penalises and rule.one_sided:
        return corrected_gap(gap, rule.penalty_weight)
    return max(gap, 0.0) if rule.kind == "spectral" else None
