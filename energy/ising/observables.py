"""What is measured of spins: fluctuations of magnetisation and energy, and correlations.

.. math:: \\chi = \\beta n\\, \\mathrm{Var}(m), \\qquad c = \\frac{\\beta^2}{n} \\mathrm{Var}(E),
          \\qquad U = 1 - \\frac{\\langle m^4 \\rangle}{3 \\langle m^2 \\rangle^2}
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["binder_cumulant", "correlations", "specific_heat", "susceptibility"]


def binder_cumulant(magnetization: Tensor) -> Tensor:
    """Binder's fourth-order cumulant: 2/3 in order, 0 in disorder.

    .. math:: U = 1 - \\frac{\\langle m^4 \\rangle}{3 \\langle m^2 \\rangle^2}

    Arguments:
        magnetization: m of all draws, any shape.

    Shapes:
        result: ().

    Reference:
        Binder 1981, "Finite size scaling analysis of Ising model block distribution functions",
        Z. Phys. B 43, 119, eq. 10.

    Example:
        >>> round(binder_cumulant(torch.tensor([1.0, -1.0, 1.0])).item(), 4)
        0.6667
    """
    square = magnetization.double().square()
    return 1 - square.square().mean() / (3 * square.mean().square())


def susceptibility(magnetization: Tensor, n_spins: int, beta: float) -> Tensor:
    """Response of the magnetisation per spin to a field, from its fluctuations.

    .. math:: \\chi = \\beta n (\\langle m^2 \\rangle - \\langle m \\rangle^2)

    Arguments:
        magnetization: m of all draws, any shape; absolute values give the usual finite-size
            form in the ordered phase.
        n_spins: number of spins.
        beta: inverse temperature.

    Shapes:
        result: ().

    Reference:
        Newman & Barkema 1999, "Monte Carlo methods in statistical physics", eq. 1.36.

    Example:
        >>> susceptibility(torch.tensor([0.5, -0.5]), 100, 0.4).item()
        10.0
    """
    return beta * n_spins * magnetization.double().var(correction=0)


def specific_heat(energy: Tensor, n_spins: int, beta: float) -> Tensor:
    """Heat per spin and degree, from fluctuations of the total energy.

    .. math:: c = \\frac{\\beta^2}{n} (\\langle E^2 \\rangle - \\langle E \\rangle^2)

    Arguments:
        energy: E of all draws, any shape, without beta.
        n_spins: number of spins.
        beta: inverse temperature.

    Shapes:
        result: ().

    Reference:
        Newman & Barkema 1999, eq. 1.37.

    Example:
        >>> specific_heat(torch.tensor([-8.0, 8.0]), 4, 0.5).item()
        4.0
    """
    return beta**2 / n_spins * energy.double().var(correction=0)


def correlations(spins: Tensor, shape: Sequence[int]) -> Tensor:
    """Mean products of spins at all distances on a periodic lattice, not connected.

    .. math:: G(r) = \\frac1n \\sum_x \\langle s_x s_{x + r} \\rangle

    Arguments:
        spins: draws on the lattice.
        shape: its sides.

    Shapes:
        spins: (draw, n). result: shape.

    Raises:
        ValueError: no draws, or a lattice of another number of spins.

    Example:
        >>> correlations(torch.tensor([[1.0, -1.0, 1.0, -1.0]]), [4]).tolist()
        [1.0, -1.0, 1.0, -1.0]
    """
    sites = math.prod(shape)
    if not spins.numel() or spins.shape[-1] != sites:
        raise ValueError(
            f"spins must be (draw, {sites}) on a lattice of shape {tuple(shape)}, found "
            f"{tuple(spins.shape)}"
        )
    grids = spins.double().reshape(-1, *shape)
    axes = tuple(range(1, grids.ndim))
    power = torch.fft.fftn(grids, dim=axes).abs().square().mean(0)
    return torch.fft.ifftn(power).real / grids[0].numel()
