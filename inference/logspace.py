"""Sums and products of numbers held as logarithms, with hard zeros that have gradients.

.. math:: \\operatorname{logsumexp}(x) = \\log \\sum_i e^{x_i}

A zero probability is the logarithm -inf. It is a structural constant here: it takes part in every
sum with its exact value and never receives or spreads a NaN gradient.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["log1mexp", "log_matmul", "log_normalize", "logsumexp", "safe_log"]


def logsumexp(x: Tensor, dim: int | tuple[int, ...], keepdim: bool = False) -> Tensor:
    """Logarithm of a sum of exponentials.

    .. math:: y = \\log \\sum_i e^{x_i}, \\qquad
              \\frac{\\partial y}{\\partial x_i} = e^{x_i - y}

    A slice of -inf only gives -inf and a slice with a +inf gives +inf, both with zero gradient
    (``torch.logsumexp`` gives NaN gradients there). Differentiable any number of times.

    Arguments:
        x: logarithms, nats.
        dim: axis or axes summed over; the empty tuple sums over none and returns ``x``.
        keepdim: whether the summed axes stay, with length one.

    Shapes:
        x: any. result: ``x.shape`` without ``dim``.

    Raises:
        IndexError: if ``x`` has no such axis.

    Reference:
        Blanchard, Higham & Higham 2021, "Accurately computing the log-sum-exp and softmax
        functions", eq. 1.1 and 1.2.

    Example:
        >>> x = torch.tensor([[0.0, 0.0], [-torch.inf, -torch.inf]], requires_grad=True)
        >>> logsumexp(x, dim=1).tolist()
        [0.6931471824645996, -inf]
        >>> logsumexp(x, dim=1)[0].backward()
        >>> x.grad.tolist()
        [[0.5, 0.5], [0.0, 0.0]]
    """
    if dim == ():
        return x
    if x.numel() == 0:
        return torch.logsumexp(x, dim, keepdim)
    peak = x.detach().amax(dim, keepdim=True)
    infinite = peak.isinf()
    total = torch.logsumexp(x.masked_fill(infinite, 0.0), dim, keepdim=True)
    total = torch.where(infinite, peak, total)
    return total if keepdim else total.squeeze(dim)


def log_matmul(a: Tensor, b: Tensor) -> Tensor:
    """Matrix product in the log semiring.

    .. math:: c_{ij} = \\log \\sum_k e^{a_{ik} + b_{kj}}

    Every sum is shifted by its own largest term, so no term that matters underflows, whatever the
    magnitudes of the two operands. This needs memory in the order of the (..., n, k, m) terms.

    Arguments:
        a: logarithms, nats.
        b: logarithms, nats.

    Shapes:
        a: (..., n, k). b: (..., k, m). result: (..., n, m); leading axes broadcast.

    Raises:
        ValueError: if an operand is no matrix or the inner sizes differ.

    Reference:
        Rabiner 1989, "A tutorial on hidden Markov models", eq. 20 (one step of the forward
        recursion is this product).

    Example:
        >>> log_matmul(torch.tensor([[0.0, -300.0]]), torch.tensor([[-300.0], [0.0]]))
        tensor([[-299.3069]])
    """
    if a.ndim < 2 or b.ndim < 2 or a.shape[-1] != b.shape[-2]:
        raise ValueError(
            f"a and b must be (..., n, k) and (..., k, m), found {tuple(a.shape)} and "
            f"{tuple(b.shape)}; give a vector a second axis with unsqueeze"
        )
    return logsumexp(a.unsqueeze(-1) + b.unsqueeze(-3), dim=-2)


def log_normalize(x: Tensor, dim: int | tuple[int, ...]) -> Tensor:
    """Logarithms of the probabilities proportional to exp(x).

    .. math:: y_i = x_i - \\log \\sum_j e^{x_j}

    A slice of -inf only has nothing to normalise: it stays -inf, with zero gradient.

    Arguments:
        x: logarithms, nats.
        dim: axis or axes that sum to one afterwards.

    Shapes:
        x: any. result: like ``x``.

    Raises:
        IndexError: if ``x`` has no such axis.

    Reference:
        Blanchard, Higham & Higham 2021, eq. 1.2 (the softmax, as a logarithm).

    Example:
        >>> log_normalize(torch.tensor([[0.0, 0.0], [0.0, -torch.inf]]), dim=1).exp()
        tensor([[0.5000, 0.5000],
                [1.0000, 0.0000]])
    """
    total = logsumexp(x, dim, keepdim=True)
    return (x - total).masked_fill(total == -math.inf, -math.inf)


def safe_log(x: Tensor) -> Tensor:
    """Logarithm whose gradient at zero is zero.

    .. math:: y = \\log x, \\qquad \\frac{dy}{dx} = [x \\ne 0] \\, / \\, x

    A zero in a table is a structural constant, so it gets the value -inf and no gradient. Negative
    entries give NaN.

    Arguments:
        x: non-negative numbers.

    Shapes:
        x: any. result: like ``x``, nats.

    Reference:
        The double-where construction of the JAX documentation, "Gradients contain NaN where using
        where".

    Example:
        >>> x = torch.tensor([0.0, 0.5], requires_grad=True)
        >>> safe_log(x).sum().backward()
        >>> x.grad
        tensor([0., 2.])
    """
    zero = x == 0
    return x.masked_fill(zero, 1.0).log().masked_fill(zero, -math.inf)


def log1mexp(x: Tensor) -> Tensor:
    """Log-probability of the complement of an event, from its log-probability.

    .. math:: y = \\log(1 - e^{x}), \\qquad x \\le 0

    Accurate on both ends: -inf gives 0, and 0 gives -inf with zero gradient (the complement of a
    certain event is a structural zero). Positive entries give NaN.

    Arguments:
        x: log-probabilities, nats.

    Shapes:
        x: any. result: like ``x``, nats.

    Reference:
        Maechler 2012, "Accurately computing ``log(1 - exp(-|a|))``", eq. 7.

    Example:
        >>> log1mexp(torch.tensor([-0.6931472, -1e-10, 0.0]))
        tensor([ -0.6931, -23.0259,     -inf])
    """
    near = x > -math.log(2.0)
    # Both branches are evaluated, so each gets a harmless argument where it is not used.
    by_expm1 = safe_log(-torch.expm1(x.masked_fill(~near, -1.0)))
    by_log1p = torch.log1p(-torch.exp(x.masked_fill(near, -1.0)))
    return torch.where(near, by_expm1, by_log1p)
