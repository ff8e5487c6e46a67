"""What discriminators and generators descend, as functions of logits; what the game is worth.

.. math:: V(D, G) = \\mathbb{E}_{x \\sim p}[\\log D(x)]
          + \\mathbb{E}_{z}\\bigl[\\log\\bigl(1 - D(G(z))\\bigr)\\bigr], \\qquad
          D = \\frac{1}{1 + e^{-s}}
"""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import relu, softplus

from inference.information import js_divergence
from inference.inputs import Values, as_tensors, check_choice, check_distribution

__all__ = [
    "Loss",
    "check_loss",
    "discriminator_loss",
    "game_value",
    "gan_value",
    "generator_loss",
    "optimal_discriminator",
]

Loss: TypeAlias = Literal["minimax", "non-saturating", "as-printed", "least-squares", "hinge"]


def check_loss(loss: str) -> None:
    """Refuse a name that is none.

    Raises:
        ValueError: then.

    Example:
        >>> check_loss("hinge")
    """
    check_choice("loss", loss, Loss)


def game_value(real: Tensor, fake: Tensor) -> Tensor:
    """Estimate of the value of the game, V, nats.

    .. math:: V = \\frac1n \\sum_i \\log D(x_i) + \\frac1m \\sum_j \\log(1 - D(\\tilde x_j))

    At the best discriminator it is 2 JS(p, q) - log 4, from -log 4 for equal laws to 0.

    Arguments:
        real: logits of rows of data.
        fake: logits of generated rows.

    Shapes:
        real: (n,). fake: (m,). result: ().

    Reference:
        Goodfellow et al. 2014, "Generative adversarial nets", eq. 1 and theorem 1.

    Example:
        >>> game_value(torch.zeros(3), torch.zeros(3))  # -log 4
        tensor(-1.3863)
    """
    return -softplus(-real).mean() - softplus(fake).mean()


def discriminator_loss(loss: Loss, real: Tensor, fake: Tensor) -> Tensor:
    """What the discriminator descends.

    .. math:: -V, \\qquad
              \\tfrac12 \\mathbb{E}(s - 1)^2 + \\tfrac12 \\mathbb{E} \\tilde s^2, \\qquad
              \\mathbb{E}(1 - s)_+ + \\mathbb{E}(1 + \\tilde s)_+

    -V for "minimax", "non-saturating" and "as-printed", then "least-squares" and "hinge"; s are
    the outputs for data and those with a tilde for generated rows. Finite for all finite outputs.

    Arguments:
        loss: which.
        real: outputs for rows of data.
        fake: outputs for generated rows.

    Shapes:
        real: (n,). fake: (m,). result: ().

    Raises:
        ValueError: an unknown name.

    Reference:
        Goodfellow et al. 2014, eq. 1; Mao et al. 2017, "Least squares generative adversarial
        networks", eq. 9; Lim & Ye 2017, "Geometric GAN", eq. 12 (hinge).

    Example:
        >>> discriminator_loss("hinge", torch.tensor([1.0, 0.0]), torch.tensor([-1.0]))
        tensor(0.5000)
    """
    check_loss(loss)
    if loss == "least-squares":
        return 0.5 * (real - 1).square().mean() + 0.5 * fake.square().mean()
    if loss == "hinge":
        return relu(1 - real).mean() + relu(1 + fake).mean()
    return -game_value(real, fake)


def generator_loss(loss: Loss, fake: Tensor) -> Tensor:
    """What the generator descends.

    .. math:: \\mathbb{E} \\log(1 - D), \\quad -\\mathbb{E} \\log D, \\quad -\\mathbb{E} D, \\quad
              \\tfrac12 \\mathbb{E}(s - 1)^2, \\quad -\\mathbb{E} s

    "minimax", "non-saturating", "as-printed" (ascent on the mean of D itself), "least-squares",
    "hinge". Their slopes in the logit are D, 1 - D, D (1 - D), ``|s - 1|`` and 1: the first and
    the third vanish where the discriminator is sure that a row is generated, which is how learning
    begins. "Non-saturating" has the same fixed point as "minimax" without that.

    Arguments:
        loss: which.
        fake: outputs of the discriminator for generated rows.

    Shapes:
        fake: (m,). result: ().

    Raises:
        ValueError: an unknown name.

    Reference:
        Goodfellow et al. 2014, section 3; Mao et al. 2017, eq. 9; Lim & Ye 2017, eq. 13.

    Example:
        >>> sure = torch.tensor([-6.0], requires_grad=True)
        >>> for loss in ("minimax", "non-saturating"):
        ...     (slope,) = torch.autograd.grad(generator_loss(loss, sure), sure)
        ...     print(f"{-slope.item():.7f}")
        0.0024726
        0.9975274
    """
    check_loss(loss)
    if loss == "minimax":
        return -softplus(fake).mean()
    if loss == "non-saturating":
        return softplus(-fake).mean()
    if loss == "as-printed":
        return -fake.sigmoid().mean()
    if loss == "least-squares":
        return 0.5 * (fake - 1).square().mean()
    return -fake.mean()


def optimal_discriminator(p: Values, q: Values) -> Tensor:
    """The best discriminator between two laws on finitely many points.

    .. math:: D^*(x) = \\frac{p(x)}{p(x) + q(x)}

    Arguments:
        p: probabilities of the data.
        q: probabilities of generated points.

    Shapes:
        p, q: (..., K). result: (..., K); 1/2 where neither law has mass, where any D is as good.

    Raises:
        TypeError, ValueError: what is no table of probabilities, or of another shape.

    Reference:
        Goodfellow et al. 2014, proposition 1.

    Example:
        >>> optimal_discriminator([0.5, 0.3, 0.2], [0.2, 0.2, 0.6])
        tensor([0.7143, 0.6000, 0.2500], dtype=torch.float64)
    """
    data, generated = _laws(p, q)
    total = data + generated
    somewhere = total > 0
    return torch.where(somewhere, data / torch.where(somewhere, total, 1.0), 0.5)


def gan_value(p: Values, q: Values) -> Tensor:
    """Value of the game at the best discriminator, nats.

    .. math:: \\max_D V = 2\\, \\mathrm{JS}(p, q) - \\log 4

    Arguments:
        p: probabilities of the data.
        q: probabilities of generated points.

    Shapes:
        p, q: (..., K). result: (...), from -log 4 for equal laws to 0 for disjoint ones.

    Raises:
        TypeError, ValueError: what is no table of probabilities, or of another shape.

    Reference:
        Goodfellow et al. 2014, theorem 1.

    Example:
        >>> round(gan_value([0.5, 0.3, 0.2], [0.2, 0.2, 0.6]).item(), 10)
        -1.2051626612
    """
    data, generated = _laws(p, q)
    return 2 * js_divergence(data, generated) - math.log(4)


def _laws(p: Values, q: Values) -> list[Tensor]:
    """Two tables of one shape."""
    data, generated = as_tensors(p=p, q=q)
    check_distribution("p", data)
    check_distribution("q", generated)
    if data.shape != generated.shape:
        raise ValueError(
            f"p and q must have one shape, found {tuple(data.shape)} and {tuple(generated.shape)}"
        )
    return [data, generated]
