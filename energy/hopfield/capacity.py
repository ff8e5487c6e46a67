"""How many random patterns a Hopfield network holds: what theory says, and a study of it.

.. math:: \\alpha = P / d, \\qquad \\alpha_c \\approx 0.1379
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from energy.hopfield.fields import DenseFields, Fields, OverlapFields
from energy.hopfield.recall import Update, follow
from energy.hopfield.rules import StorageRule, pseudo_inverse, storkey
from inference.inputs import Values, as_tensors, as_whole, check_choice, check_finite
from inference.memory import require_memory
from inference.progress import progress_bar
from inference.random import GeneratorLike, as_generator

__all__ = [
    "Overlaps",
    "bit_error",
    "critical_load",
    "overlap_after_recall",
    "retrieval_overlap",
]

#: Halvings of an interval until a double cannot be halved again.
HALVINGS = 80


# Theory --------------------------------------------------------------------------------------


def bit_error(load: Values) -> Tensor:
    """Share of a pattern's units that turn in the first update, many units, Hebb's rule.

    .. math:: \\tfrac12 \\operatorname{erfc} \\frac{1}{\\sqrt{2 \\alpha}}

    Arguments:
        load: patterns per unit, alpha.

    Shapes:
        load: any. result: the same.

    Raises:
        ValueError: if a load is negative.

    Reference:
        Hertz, Krogh & Palmer 1991, "Introduction to the theory of neural computation", eq. 2.18.

    Example:
        >>> round(bit_error(0.138).item(), 6)
        0.003552
    """
    return torch.erfc((2 * _loads(load)).rsqrt()) / 2


def critical_load() -> float:
    """Patterns per unit up to which Hebb's rule retrieves, at temperature zero.

    .. math:: \\alpha_c = \\max_y \\tfrac12 \\Bigl(\\frac{\\operatorname{erf} y}{y}
              - \\frac{2}{\\sqrt\\pi} e^{-y^2}\\Bigr)^2

    Reference:
        Amit, Gutfreund & Sompolinsky 1987, "Statistical mechanics of neural networks near
        saturation", Ann. Phys. 173, 30, section 4 (replica-symmetric).

    Example:
        >>> round(critical_load(), 7)
        0.1379056
    """
    return _load_at(torch.tensor(_critical_point(), dtype=torch.float64)).item()


def retrieval_overlap(load: Values) -> Tensor:
    """Overlap of a fixed point with the pattern near it, many units, Hebb's rule.

    .. math:: m = \\operatorname{erf} y, \\qquad y \\Bigl(\\sqrt{2 \\alpha}
              + \\frac{2}{\\sqrt\\pi} e^{-y^2}\\Bigr) = \\operatorname{erf} y

    Beyond the critical load there is none: zero.

    Arguments:
        load: patterns per unit, alpha.

    Shapes:
        load: any. result: the same.

    Raises:
        ValueError: if a load is negative.

    Reference:
        Amit, Gutfreund & Sompolinsky 1985, "Storing infinite numbers of patterns in a spin-glass
        model of neural networks", PRL 55, 1530, eq. 6.

    Example:
        >>> [round(m, 4) for m in retrieval_overlap([0.05, 0.1, 0.2]).tolist()]
        [1.0, 0.998, 0.0]
    """
    loads = _loads(load)
    point = _critical_point()
    # From the critical point on a root's load falls, and it is below 1 / (2 y^2).
    low = torch.full_like(loads, point, dtype=torch.float64)
    high = (2 * loads.double()).rsqrt().clamp(point, 10.0)  # erf is one long before
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        above = _load_at(middle) >= loads
        low, high = torch.where(above, middle, low), torch.where(above, high, middle)
    found = torch.where(loads <= critical_load(), torch.erf(low), 0.0)
    return found.to(loads.dtype)


def _loads(load: Values) -> Tensor:
    """Loads, checked."""
    (loads,) = as_tensors(load=load)
    if (loads < 0).any():
        raise ValueError(f"load must not be negative, found {loads.min().item():g}")
    return loads


def _load_at(y: Tensor) -> Tensor:
    """The load at which y solves the equation."""
    root = torch.erf(y) / y - 2 / math.sqrt(math.pi) * torch.exp(-(y**2))
    return root.square() / 2


def _critical_point() -> float:
    """The y of the largest load, where its logarithm's derivative is zero."""
    low, high = 1.0, 2.0
    for _ in range(HALVINGS):
        y = (low + high) / 2
        slope = 2 / math.sqrt(math.pi) * math.exp(-y * y) * (1 / y + 2 * y) - math.erf(y) / y**2
        low, high = (y, high) if slope > 0 else (low, y)
    return low


# Study ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Overlaps:
    """How near recall comes to the pattern that a cue was made of.

    Attributes:
        n_units: d.
        loads: patterns per unit, as many as whole patterns allow, (L,).
        mean: overlap, averaged over cues and trials, (L,).
        standard_error: of the mean, from the trials; NaN for a single one, (L,).
        exact: share of cues that lead to their pattern without an error, (L,).
        trials: independent sets of patterns.
    """

    n_units: int
    loads: Tensor
    mean: Tensor
    standard_error: Tensor
    exact: Tensor
    trials: int


def overlap_after_recall(
    n_units: int,
    loads: Sequence[float] | Tensor,
    *,
    rule: StorageRule = "hebbian",
    trials: int = 10,
    cues: int = 20,
    flips: float = 0.0,
    update: Update = "asynchronous",
    max_sweeps: int = 100,
    generator: GeneratorLike = None,
    progress: bool | None = None,
) -> Overlaps:
    """Store random patterns, recall some of them, and compare.

    .. math:: m = \\frac1d \\sum_i \\xi_i x_i

    Hebb's couplings are used as the patterns themselves: the memory needed is that of patterns,
    not of d^2 weights. Diagonals are zero.

    Arguments:
        n_units: d.
        loads: patterns per unit.
        rule: "hebbian", "storkey" or "pseudo-inverse".
        trials: independent sets of patterns for every load.
        cues: how many of the patterns are recalled, at most all.
        flips: share of units turned in a cue.
        update: "asynchronous" or "synchronous".
        max_sweeps: as for ``HopfieldNetwork.recall``.
        generator: None, a seed or a generator; it also says on which device to compute.
        progress: a bar; None shows it on a terminal.

    Raises:
        TypeError: a number that should be whole and is not.
        ValueError: no load, one that gives no pattern, flips outside [0, 1], an unknown rule, or
            more than the memory holds.

    Reference:
        Amit, Gutfreund & Sompolinsky 1987, section 6 (simulations).

    Example:
        >>> found = overlap_after_recall(200, [0.05, 0.3], trials=3, generator=0)
        >>> [mean > 0.9 for mean in found.mean.tolist()]
        [True, False]
    """
    check_choice("rule", rule, StorageRule)
    n_units, trials = as_whole("n_units", n_units, least=1), as_whole("trials", trials, least=1)
    cues = as_whole("cues", cues, least=1)
    if not 0 <= flips <= 1:
        raise ValueError(f"flips must be a share of the units, in [0, 1], found {flips}")
    counts = _pattern_counts(n_units, loads)
    _check_memory(n_units, max(counts), rule)
    device = generator.device if isinstance(generator, torch.Generator) else "cpu"
    source = as_generator(generator, device)
    found = torch.empty(len(counts), trials, 2, dtype=torch.float64)
    with progress_bar(len(counts) * trials, "recalling", progress) as bar:
        for row, n_patterns in enumerate(counts):
            for trial in range(trials):
                patterns = _random_spins(n_patterns, n_units, source)
                wanted = patterns[:cues]
                turned = torch.rand(wanted.shape, device=device, generator=source) < flips
                start = torch.where(turned, -wanted, wanted)
                fields = _fields(patterns, rule)
                end = follow(fields, start, update, max_sweeps, generator=source).state
                overlap = (end * wanted).sum(1, dtype=torch.float64) / n_units
                found[row, trial, 0] = overlap.mean()
                found[row, trial, 1] = (overlap == 1).double().mean()
                bar.update(1)
    error = found[..., 0].std(1) / trials**0.5 if trials > 1 else found[:, 0, 0] * math.nan
    exact_loads = torch.tensor(counts, dtype=torch.float64) / n_units
    mean, exact = found.mean(1).unbind(-1)
    return Overlaps(n_units, exact_loads, mean, error, exact, trials)


def _pattern_counts(n_units: int, loads: Sequence[float] | Tensor) -> list[int]:
    """Whole numbers of patterns."""
    values = _loads(loads).reshape(-1)
    check_finite(loads=values)
    counts = [round(load * n_units) for load in values.tolist()]
    if not counts or min(counts) < 1:
        raise ValueError(
            f"loads must give at least one pattern each for {n_units} units, found "
            f"{values.min().item() if counts else 'none'}"
        )
    return counts


def _check_memory(n_units: int, n_patterns: int, rule: StorageRule) -> None:
    """Refuse what would not fit."""
    needed = 12 * n_units * n_patterns + (0 if rule == "hebbian" else 32 * n_units**2)
    what = f"n_units = {n_units:,} with {n_patterns:,} patterns"
    require_memory(needed, what, "use fewer units or patterns")


def _random_spins(rows: int, columns: int, generator: torch.Generator) -> Tensor:
    """Independent fair spins, float32."""
    device, kind = generator.device, torch.int8
    bits = torch.randint(2, (rows, columns), device=device, dtype=kind, generator=generator)
    return bits.float().mul_(2).sub_(1)


def _fields(patterns: Tensor, rule: StorageRule) -> Fields:
    """Couplings by a rule, without a diagonal."""
    n_units = patterns.shape[1]
    bias = torch.zeros(n_units, dtype=torch.float64, device=patterns.device)
    if rule == "hebbian":
        return OverlapFields(patterns, bias, zero_diagonal=True)
    if rule == "storkey":
        weights = storkey(bias.new_zeros(n_units, n_units), patterns)
    else:
        weights = pseudo_inverse(patterns)
    weights.diagonal().zero_()
    return DenseFields(weights, bias)
