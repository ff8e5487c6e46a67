"""Hopfield networks as machines with one real hidden unit for every pattern, and back.

.. math:: e^{\\frac12 (x \\cdot s)^2} \\propto \\int e^{h\\, x \\cdot s - h^2 / 2}\\, dh, \\qquad
          J + c I = \\sum_\\mu x_\\mu x_\\mu^\\top
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["MachineNumbers", "hopfield_numbers", "machine_numbers"]

#: Eigenvalues this small beside the largest are zero.
NOTHING = 1e-12


class MachineNumbers(NamedTuple):
    """Weights, (n, k), and biases of units 0 and 1, (n,), and of k real hidden ones."""

    weights: Tensor
    visible_bias: Tensor
    hidden_bias: Tensor


def machine_numbers(couplings: Tensor, field: Tensor) -> MachineNumbers:
    """A machine whose visible units have the law of spins, v = (1 + s) / 2.

    .. math:: p(s) \\propto e^{\\frac12 s^\\top J s + b \\cdot s}

    The diagonal of J only adds a constant, as s_i^2 = 1: it is raised until all eigenvalues but
    the lowest are positive, and each of these gives a hidden unit. Hebb's couplings of P < n
    patterns give P.

    Arguments:
        couplings: J, symmetric, (n, n).
        field: b, (n,).

    Reference:
        Barra, Bernacchia, Santucci & Contucci 2012, "On the equivalence of Hopfield networks and
        Boltzmann machines", section 3.

    Example:
        >>> pair = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
        >>> machine_numbers(pair, torch.zeros(2)).weights.shape
        torch.Size([2, 1])
    """
    exact = couplings.double()
    values, vectors = torch.linalg.eigh(exact - torch.diag(exact.diagonal()))
    raised = values - values[0]
    kept = raised > NOTHING * raised[-1].clamp(min=torch.finfo(exact.dtype).tiny)
    patterns = vectors[:, kept] * raised[kept].sqrt()
    numbers = 2 * patterns, 2 * field.double(), -patterns.sum(0)
    return MachineNumbers(*[part.to(couplings.dtype) for part in numbers])


def hopfield_numbers(numbers: MachineNumbers) -> tuple[Tensor, Tensor]:
    """Couplings, with a diagonal of zeros, (n, n), and field, (n,), of a machine's visible spins.

    Arguments:
        numbers: of a machine whose hidden units are real, with precision one.

    Example:
        >>> pair = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
        >>> couplings, field = hopfield_numbers(machine_numbers(pair, torch.zeros(2)))
        >>> couplings.round(decimals=4).tolist(), field.abs().max().item() < 1e-6
        ([[0.0, 1.0], [1.0, 0.0]], True)
    """
    half = numbers.weights / 2
    couplings = half @ half.T
    field = numbers.visible_bias / 2 + half @ (numbers.hidden_bias + half.sum(0))
    return couplings - torch.diag(couplings.diagonal()), field
