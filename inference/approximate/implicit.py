"""The gradient of a fixed point, from one round of messages at it.

.. math:: m = F(m, \\theta) \\;\\Rightarrow\\; \\frac{dm}{d\\theta}
          = \\Bigl(I - \\frac{\\partial F}{\\partial m}\\Bigr)^{-1}
          \\frac{\\partial F}{\\partial \\theta}
"""

from __future__ import annotations

import torch
from torch import Tensor

from inference.approximate.log_messages import LogMessages
from inference.approximate.schedules import Damping

__all__ = ["fixed_point"]


def fixed_point(
    kernel: LogMessages, messages: Tensor, tolerance: float, max_iterations: int
) -> Tensor:
    """The same messages, with the gradient of the fixed point that they are.

    A gradient g that arrives is replaced by the solution of u = g + u dF/dm, found by rounds that
    are damped as those of the messages were.

    Arguments:
        kernel: one round, recorded by autograd.
        messages: (B, M) converged.
        tolerance: largest change of u, relative to g, that counts as none.
        max_iterations: most rounds.

    Reference:
        Bai, Kolter & Koltun 2019, "Deep equilibrium models", theorem 1.

    Example:
        >>> from inference.approximate.factor_groups import FactorGroup, FactorGroups
        >>> table = torch.zeros(1, 2, 2, 1, dtype=torch.float64, requires_grad=True)
        >>> group = FactorGroup(torch.tensor([[0, 1]]), table)
        >>> nodes = torch.zeros(1, 4, dtype=torch.float64)
        >>> model = FactorGroups((2, 2), nodes, (group,), torch.zeros(1, dtype=torch.float64))
        >>> kernel = LogMessages(model)
        >>> messages = fixed_point(kernel, kernel.step(kernel.start()), 1e-9, 100)
        >>> messages[0, 0].backward()
        >>> table.grad.squeeze().tolist()
        [[0.25, 0.25], [-0.25, -0.25]]
    """
    with torch.enable_grad():
        point = messages.detach().requires_grad_()
        image = kernel.step(point)
    result = kernel.step(messages.detach())

    def solve(gradient: Tensor | None) -> Tensor | None:
        if gradient is None:
            return None
        damping = Damping(None)
        scale = float(gradient.abs().max()) or 1.0
        found = gradient
        for iteration in range(max_iterations):
            (pulled,) = torch.autograd.grad(image, point, found, retain_graph=True)
            new = torch.lerp(gradient + pulled, found, damping.value)
            change = float((new - found).abs().max()) / scale
            found = new
            if change <= tolerance:
                break
            damping.observe(change, iteration)
        return found

    if result.requires_grad:
        result.register_hook(solve)
    return result
