"""Conditioning a Gaussian on any of its variables, many patterns of evidence at once.

.. math:: x = \\mu + R z, \\quad z \\sim N(0, I), \\qquad R_O^T = Q T
          \\quad\\Longrightarrow\\quad
          x \\mid x_O \\sim N\\bigl(\\mu + R Q u,\\; R (I - Q Q^T) R^T\\bigr), \\quad
          u = T^{-T} (x_O - \\mu_O)

The noise z is conditioned, not x. So a covariance is made from a root, never as a difference: it
has no negative eigenvalue, and variables that others nearly determine keep their digits.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from inference.random import GeneratorLike, as_generator
from pgm.linear_gaussian.missing_patterns import PatternBlock, pattern_blocks

__all__ = ["Conditional", "GaussianConditioner", "condition"]


@dataclass(frozen=True)
class Conditional:
    """What evidence says about the noise, for P patterns of k observed variables.

    Attributes:
        basis: Q, (P, V, k): the directions of noise that the evidence fixes, orthonormal; columns
            beyond the rank are zero.
        gain: R Q, (P, V, k): what one unit of standardised evidence adds to every variable.
        whiten: K, (P, k, k): the standardised evidence is u = K (x_O - mu_O).
        log_scale: half the log-determinant of the evidence's covariance, (P,).
        singular: whether some of the evidence determines other evidence, (P,).
    """

    basis: Tensor
    gain: Tensor
    whiten: Tensor
    log_scale: Tensor
    singular: Tensor

    def residual_root(self, root: Tensor) -> Tensor:
        """Root of the covariance that remains, (P, V, V)."""
        return root - self.gain @ self.basis.mT


def condition(root: Tensor, observed: Tensor) -> Conditional:
    """Solve the evidence for the noise, one pattern per row of ``observed``.

    Evidence that other evidence determines, as deterministic variables are, is solved with the
    pseudo-inverse: the limit of vanishing noise.

    Arguments:
        root: R, where the covariance is R R^T.
        observed: numbers of the observed variables.

    Shapes:
        root: (V, V). observed: (P, k).

    Reference:
        Kailath, Sayed & Hassibi 2000, "Linear estimation", chapter 12 (array algorithms).

    Example:
        >>> root = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
        >>> found = condition(root, torch.tensor([[1]]))
        >>> (found.gain @ found.whiten).flatten()
        tensor([0.5000, 1.0000])
    """
    rows = root[observed]
    basis, triangle = torch.linalg.qr(rows.mT)
    identity = torch.eye(observed.shape[-1], dtype=root.dtype, device=root.device)
    whiten = torch.linalg.solve_triangular(
        triangle.mT, identity.expand(len(rows), -1, -1), upper=False
    )
    # A pivot is what a variable's noise adds to that of the variables before it. After variables
    # that are close to dependent its rounding is large, so zeros are looked for more carefully.
    pivots = triangle.diagonal(dim1=-2, dim2=-1).abs()
    log_scale = pivots.log().sum(-1)
    cutoff = 64 * len(root) * torch.finfo(root.dtype).eps
    suspect = (pivots <= cutoff * torch.linalg.vector_norm(rows, dim=-1)).any(-1)
    suspect = suspect | (root == 0).all(0).any()
    singular = torch.zeros_like(suspect)
    if suspect.any():
        careful = _pseudo_inverse(rows[suspect], cutoff)
        basis[suspect], whiten[suspect], log_scale[suspect], singular[suspect] = careful
    return Conditional(basis, root @ basis, whiten, log_scale, singular)


def _pseudo_inverse(rows: Tensor, cutoff: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Q, K, the logarithm of the scale and whether the rank is short, of rows (P, k, V)."""
    scale = torch.linalg.vector_norm(rows, dim=-1)
    scale = torch.where(scale > 0, scale, 1.0)
    left, values, right = torch.linalg.svd(rows / scale.unsqueeze(-1), full_matrices=False)
    kept = values > cutoff
    inverse = torch.where(kept, 1 / torch.where(kept, values, 1.0), 0.0)
    whiten = inverse.unsqueeze(-1) * left.mT / scale.unsqueeze(-2)
    log_scale = (values.log() + scale.log()).sum(-1)
    return right.mT * kept.unsqueeze(-2), whiten, log_scale, ~kept.all(-1)


class GaussianConditioner:
    """A Gaussian that answers for rows in which NaN stands for what is not observed.

    Arguments:
        names: of the variables, for messages.
        mean: mu.
        root: R, where the covariance is R R^T.

    Shapes:
        mean: (V,). root: (V, V).

    Example:
        >>> noise = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
        >>> gaussian = GaussianConditioner(["a", "b"], torch.zeros(2), noise)
        >>> gaussian.mean(torch.tensor([[torch.nan, 3.0]]))
        tensor([[1.5000, 3.0000]])
    """

    def __init__(self, names: Sequence[str], mean: Tensor, root: Tensor) -> None:
        self._names = names
        self._mean = mean.detach()
        self._root = root.detach()

    def log_density(self, x: Tensor, mean: Tensor, covariance: Tensor) -> Tensor:
        """Log-density of the observed entries of every row, nats (n,).

        The value comes from the root; derivatives with respect to ``x``, ``mean`` and
        ``covariance`` are exact, also where a noise has variance zero and the root has none.

        Raises:
            ValueError: if the observed entries of a row determine one another.
        """
        result = x.new_zeros(len(x))
        for block in pattern_blocks(~x.isnan()):
            found = condition(self._root, block.observed)
            self._check_density(block, found)
            places = block.observed
            evidence = covariance[places.unsqueeze(-1), places.unsqueeze(-2)]
            shift = block.values(x) - mean[places].unsqueeze(-2)
            density: Any = _LogDensity.apply(shift, evidence, found.whiten, found.log_scale)
            result = result.index_put((block.rows[block.valid],), density[block.valid])
        return result

    def mean(self, x: Tensor) -> Tensor:
        """Expected rows given their observed entries, (n, V); NaN where these are impossible."""
        result = torch.empty_like(x)
        for block, found, evidence in self._solved(x):
            expected = self._mean + evidence @ found.gain.mT
            self._store(result, block, x, expected, self._possible(block, found, x, evidence))
        return result

    def sample(self, x: Tensor, generator: GeneratorLike) -> Tensor:
        """Rows drawn given their observed entries, (n, V); NaN where these are impossible.

        A free draw is moved by the mean effect of what it lacks to agree with the evidence.

        Reference:
            Hoffman & Ribak 1991, "Constrained realizations of Gaussian fields", section 2.
        """
        result = torch.empty_like(x)
        source = as_generator(generator, x.device)
        noise = torch.randn(x.shape, dtype=x.dtype, device=x.device, generator=source)
        for block, found, evidence in self._solved(x):
            free = noise[block.rows]
            move = evidence - free @ found.basis
            drawn = self._mean + free @ self._root.mT + move @ found.gain.mT
            self._store(result, block, x, drawn, self._possible(block, found, x, evidence))
        return result

    def covariance(self, present: Tensor, variables: Sequence[int]) -> Tensor:
        """Covariance of some variables, (n, k, k), where ``present`` is observed."""
        size = len(variables)
        result = self._root.new_empty(len(present), size, size)
        for block in pattern_blocks(present):
            root = self._residual_root(block)[:, list(variables)]
            result[block.rows[block.valid]] = _spread(block, root @ root.mT)
        return result

    def deviation(self, present: Tensor) -> Tensor:
        """Standard deviation of every variable, (n, V), where ``present`` is observed."""
        result = self._root.new_empty(present.shape)
        for block in pattern_blocks(present):
            deviations = torch.linalg.vector_norm(self._residual_root(block), dim=-1)
            result[block.rows[block.valid]] = _spread(block, deviations)
        return result

    def _solved(self, x: Tensor) -> Iterator[tuple[PatternBlock, Conditional, Tensor]]:
        """Blocks of rows with their standardised evidence, (P, m, k)."""
        for block in pattern_blocks(~x.isnan()):
            found = condition(self._root, block.observed)
            shift = block.values(x) - self._mean[block.observed].unsqueeze(-2)
            yield block, found, shift @ found.whiten.mT

    def _residual_root(self, block: PatternBlock) -> Tensor:
        """Root of the posterior covariance, (P, V, V), exactly zero for observed variables."""
        root = condition(self._root, block.observed).residual_root(self._root)
        places = block.observed.unsqueeze(-1).expand(-1, -1, root.shape[-1])
        return root.scatter(-2, places, 0.0)

    def _possible(
        self, block: PatternBlock, found: Conditional, x: Tensor, evidence: Tensor
    ) -> Tensor:
        """Which rows agree with what their own entries determine, (P, m)."""
        if not found.singular.any():
            return block.valid
        root, mean = self._root[block.observed], self._mean[block.observed].unsqueeze(-2)
        values = block.values(x)
        gap = (values - mean - evidence @ (root @ found.basis).mT).abs()
        # Entries are rounded relative to their size; a gap is in units of its own variable.
        spread = torch.linalg.vector_norm(root, dim=-1).unsqueeze(-2)
        spread = torch.where(spread > 0, spread, torch.where(mean != 0, mean.abs(), 1.0))
        size = 1 + ((values.abs() + mean.abs()) / spread).amax(-1, keepdim=True)
        agree = (gap <= math.sqrt(torch.finfo(x.dtype).eps) * size * spread).all(-1)
        return block.valid & (agree | ~found.singular.unsqueeze(-1))

    @staticmethod
    def _store(
        result: Tensor, block: PatternBlock, x: Tensor, rows: Tensor, possible: Tensor
    ) -> None:
        """Write rows (P, m, V) to their places, the observed entries exactly as they were."""
        filled = block.fill(rows, block.values(x))
        filled = torch.where(possible.unsqueeze(-1), filled, torch.nan)
        result[block.rows[block.valid]] = filled[block.valid]

    def _check_density(self, block: PatternBlock, found: Conditional) -> None:
        """Refuse evidence whose covariance has no inverse."""
        if found.singular.any():
            pattern = int(found.singular.nonzero()[0])
            places: list[int] = block.observed[pattern].tolist()
            shown = ", ".join([self._names[v] for v in places[:8]])
            shown += ", ..." if len(places) > 8 else ""
            raise ValueError(
                f"there is no density of {shown} together: with variances of zero some of them "
                "determine others (or are constant); leave the determined ones out (NaN)"
            )


def _spread(block: PatternBlock, values: Tensor) -> Tensor:
    """What belongs to patterns (P, ...), once per row of theirs."""
    patterns = torch.arange(len(values), device=values.device)
    return values[patterns.unsqueeze(-1).expand_as(block.valid)[block.valid]]


class _LogDensity(torch.autograd.Function):
    """Log-density of shifts (P, m, k) under covariances (P, k, k), of which K^T K is the inverse.

    Derivatives are written out because those of the root do not exist at variances of zero.
    """

    @staticmethod
    def forward(
        ctx: Any, shift: Tensor, covariance: Tensor, whiten: Tensor, log_scale: Tensor
    ) -> Tensor:
        ctx.save_for_backward(shift, covariance, whiten)
        constant = log_scale + shift.shape[-1] / 2 * math.log(2 * math.pi)
        return -0.5 * (shift @ whiten.mT).square().sum(-1) - constant.unsqueeze(-1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None]:
        shift, covariance, whiten = ctx.saved_tensors
        # Somebody who differentiates again needs to see how the inverse depends on its matrix.
        higher = torch.is_grad_enabled()
        precision = torch.linalg.inv(covariance) if higher else whiten.mT @ whiten
        solved = shift @ precision
        weighted = solved * gradients[0].unsqueeze(-1)
        total = gradients[0].sum(-1)[:, None, None]
        return -weighted, 0.5 * (weighted.mT @ solved - total * precision), None, None
