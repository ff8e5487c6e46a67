"""Unrolling: the generator descends a loss in which the discriminator has already answered.

.. math:: \\theta^{k+1} = \\theta^k - \\eta \\nabla_\\theta L(\\theta^k), \\qquad
          f_K(\\phi) = f(\\phi, \\theta^K(\\phi))
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from inference.inputs import as_whole

__all__ = ["unrolled"]


def unrolled(
    parameters: Mapping[str, Tensor],
    loss: Callable[[Mapping[str, Tensor]], Tensor],
    steps: int,
    lr: float,
) -> dict[str, Tensor]:
    """Parameters after some steps of gradient descent, as a differentiable function of all else.

    .. math:: \\theta^0 = \\theta, \\qquad
              \\theta^{k+1} = \\theta^k - \\eta \\frac{\\partial L(\\theta^k)}{\\partial \\theta^k}

    Nothing is changed in place: what comes back is a graph that leads through every step to
    whatever ``loss`` is made of, and to ``parameters`` themselves where these require a
    gradient. Its memory grows with the number of steps. A generator that descends
    f(phi, theta^K(phi)) takes into account how the discriminator would answer, which makes it
    costly to put everything into one mode.

    Arguments:
        parameters: where descent starts, by name, such as
            ``dict(discriminator.named_parameters())``.
        loss: of parameters, to be descended (for an objective that is ascended, its negative);
            ``torch.func.functional_call`` evaluates a module at parameters.
        steps: how many, K; none gives the parameters back.
        lr: length of a step in units of the gradient, eta.

    Shapes:
        result: those of ``parameters``, under the same names in the same order.

    Raises:
        TypeError: if ``steps`` is no whole number.
        ValueError: if ``steps`` is negative, ``lr`` not positive and finite, ``loss`` returns
            anything but one number, or a number that no parameter enters.

    Reference:
        Metz, Poole, Pfau & Sohl-Dickstein 2017, "Unrolled generative adversarial networks",
        eq. 8 to 10 (which ascend f; here L = -f).

    Example:
        >>> pull = torch.tensor(3.0, requires_grad=True)
        >>> start = {"theta": torch.tensor(1.0)}
        >>> end = unrolled(start, lambda p: (p["theta"] - pull) ** 2 / 2, steps=2, lr=0.5)
        >>> end["theta"].item()  # half of the way is left after a step, a quarter after two
        2.5
        >>> torch.autograd.grad(end["theta"], pull)[0].item()
        0.75
    """
    steps = as_whole("steps", steps, least=0)
    if not 0 < lr < math.inf:
        raise ValueError(f"lr must be positive and finite, found {lr}")
    current = {name: _tracked(value) for name, value in parameters.items()}
    with torch.enable_grad():
        for _ in range(steps):
            value = _checked(loss(current))
            slopes = torch.autograd.grad(
                value, list(current.values()), create_graph=True, materialize_grads=True
            )
            current = {
                name: point - lr * slope
                for (name, point), slope in zip(current.items(), slopes, strict=True)
            }
    return current


def _tracked(value: Tensor) -> Tensor:
    """A tensor that derivatives can be taken at."""
    return value if value.requires_grad else value.detach().requires_grad_()


def _checked(value: Tensor) -> Tensor:
    """One number that depends on the parameters."""
    if value.numel() != 1:
        raise ValueError(
            f"loss must return one number, found shape {tuple(value.shape)}; take the batch's mean"
        )
    if not value.requires_grad:
        raise ValueError(
            "loss must depend on the parameters it is given, found one that does not; "
            "evaluate the module with torch.func.functional_call(module, parameters, x)"
        )
    return value.reshape(())
