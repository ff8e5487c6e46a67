"""Normal vectors with correlated features, of which some may be missing.

.. math:: \\log p(x_O \\mid k) = \\log N(x_O; \\mu_{k,O}, \\Sigma_{k,OO}), \\qquad
          \\mathbb{E}[x \\mid x_O, k] = \\mu_k + \\Sigma_{k, \\cdot O} \\Sigma_{k,OO}^{-1}
          (x_O - \\mu_{k,O})
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from inference.inputs import tolerance
from pgm.hidden_markov.emissions import Numbers, Options, Statistics
from pgm.hidden_markov.gaussian import NEGLIGIBLE, GaussianEmissions, Place
from pgm.linear_gaussian.missing_patterns import PatternBlock, pattern_blocks

__all__ = ["FullGaussianEmissions"]

#: Eigenvalue of a correlation matrix below which its root has no digits.
LEAST_EIGENVALUE = 1e-13


class Prepared(NamedTuple):
    """Vectors sorted by which entries they have.

    Attributes:
        blocks: of equal numbers of present entries, without those that have none.
        present: the present entries of every block, (P, m, k).
        n_tokens: number of vectors.
    """

    blocks: list[PatternBlock]
    present: list[Tensor]
    n_tokens: int


class Whitened(NamedTuple):
    """What one state makes of the P patterns of a block.

    Attributes:
        mean: of the present entries, (P, k).
        whiten: W with W W^T the inverse of their covariance, (P, k, k).
        height: log-density at the mean, (P,).
    """

    mean: Tensor
    whiten: Tensor
    height: Tensor


@dataclass(frozen=True)
class FullGaussianEmissions(GaussianEmissions):
    """Normal vectors with ``covariances`` (K, D, D), or one (D, D) that is tied to all states.

    The statistics are weights (K,), expected sums (K, D) and expected sums of products
    (K, D, D), about the present means and given the present entries of every vector.

    Reference:
        Little & Rubin 2019, "Statistical analysis with missing data", section 11.2 (moments).
    """

    def blank(self, n_states: int) -> dict[str, Tensor]:
        """Standard normal."""
        d = self.n_features
        identity = torch.eye(d, dtype=torch.float64)
        return {
            "means": torch.zeros((n_states, d), dtype=torch.float64),
            "covariances": identity if self._tied else identity.repeat(n_states, 1, 1),
        }

    @property
    def _tied(self) -> bool:
        return self.covariance_type == "tied"

    def _check_covariances(self, covariances: Tensor) -> None:
        if not covariances.isfinite().all():
            raise ValueError(f"covariances must be finite, found {covariances.tolist()}")
        largest = covariances.abs().amax((-2, -1), keepdim=True)
        if ((covariances - covariances.mT).abs() > tolerance(covariances.dtype) * largest).any():
            raise ValueError("covariances must be symmetric; pass (c + c.mT) / 2")
        _, failed = torch.linalg.cholesky_ex(covariances.detach())
        if failed.any():
            least = torch.linalg.eigvalsh(covariances.detach()).min().item()
            raise ValueError(
                f"covariances must be positive definite, found the eigenvalue {least:g}; add a "
                "small multiple of the identity"
            )

    def n_parameters(self, n_states: int) -> int:
        """Means, and variances and covariances once each."""
        d = self.n_features
        return n_states * d + (1 if self._tied else n_states) * d * (d + 1) // 2

    def prepare(self, values: Tensor, reference: Place) -> Prepared:
        """Vectors by pattern of missing entries."""
        blocks = [block for block in pattern_blocks(~values.isnan()) if block.observed.shape[1]]
        return Prepared(blocks, [block.values(values) for block in blocks], len(values))

    def _covariance(self, numbers: Numbers, state: int) -> Tensor:
        """Covariance of a state, (D, D)."""
        return numbers["covariances"] if self._tied else numbers["covariances"][state]

    def _solved(
        self, numbers: Numbers, prepared: Prepared, state: int
    ) -> Iterator[tuple[PatternBlock, Tensor, Whitened]]:
        """Blocks with their deviations (P, m, k) from the mean of a state."""
        for block, present in zip(prepared.blocks, prepared.present, strict=True):
            places = block.observed
            mean = numbers["means"][state][places]
            covariance = self._covariance(numbers, state)
            root = torch.linalg.cholesky(covariance[places.unsqueeze(-1), places.unsqueeze(-2)])
            identity = torch.eye(places.shape[1], dtype=root.dtype, device=root.device)
            whiten = torch.linalg.solve_triangular(root, identity.expand_as(root), upper=False).mT
            log_scale = root.diagonal(dim1=-2, dim2=-1).log().sum(-1)
            height = -0.5 * places.shape[1] * math.log(2 * math.pi) - log_scale
            yield block, present - mean.unsqueeze(-2), Whitened(mean, whiten, height)

    def log_likelihood(
        self, numbers: Numbers, prepared: Prepared, out: Tensor | None = None
    ) -> Tensor:
        """Squared lengths of whitened deviations; a vector without entries adds nothing."""
        result = []
        for state, means in enumerate(numbers["means"]):
            row = means.new_zeros(prepared.n_tokens)
            for block, gaps, found in self._solved(numbers, prepared, state):
                squares = (gaps @ found.whiten).square().sum(-1)
                logs = found.height.unsqueeze(-1) - 0.5 * squares
                row = row.index_put((block.rows[block.valid],), logs[block.valid])
            result.append(row)
        return torch.stack(result, out=out)

    def statistics(self, numbers: Numbers, prepared: Prepared, weights: Tensor) -> Statistics:
        """Expected sums about the present means."""
        n_states, d = numbers["means"].shape
        first = weights.new_zeros(n_states, d)
        second = weights.new_zeros(n_states, d, d)
        weight = weights.new_zeros(n_states)
        for state in range(n_states):
            covariance = self._covariance(numbers, state)
            for block, gaps, found in self._solved(numbers, prepared, state):
                w = torch.where(block.valid, weights[state][block.rows], 0.0)
                totals = w.sum(1)
                weighted = gaps * w.unsqueeze(-1)
                sums, products = weighted.sum(1, keepdim=True), weighted.mT @ gaps
                if block.observed.shape[1] < d:
                    gain, rest = _regression(covariance, block.observed, found.whiten)
                    sums = sums @ gain.mT
                    products = gain @ products @ gain.mT + totals[:, None, None] * rest
                weight[state] += totals.sum()
                first[state] += sums.sum((0, 1))
                second[state] += products.sum(0)
        return weight, first, second

    def maximize(
        self, numbers: Numbers, statistics: Statistics, reference: Place, options: Options
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Means and covariances of the expected vectors."""
        weight, first, second = statistics
        none = weight <= NEGLIGIBLE * weight.sum()
        filled = weight.masked_fill(none, 1.0)
        step = (first / filled[:, None]).masked_fill(none[:, None], 0.0)
        scatter = second - filled[:, None, None] * step.unsqueeze(-1) * step.unsqueeze(-2)
        scatter = (scatter + scatter.mT) / 2
        if self._tied:
            covariances = scatter[~none].sum(0) / weight[~none].sum()
        else:
            covariances = scatter / filled[:, None, None]
            covariances = torch.where(none[:, None, None], numbers["covariances"], covariances)
        estimate = {"means": numbers["means"] + step, "covariances": covariances}
        return self.feasible(estimate, reference, options), none

    def feasible(self, numbers: Numbers, reference: Place, options: Options) -> dict[str, Tensor]:
        """In units of the data no direction has a variance below the floor.

        Of all such covariances the one that is returned has the highest likelihood.

        Raises:
            ValueError: if there is no floor and a covariance is singular.
        """
        covariances = numbers["covariances"]
        if options.covariance_floor > 0:
            covariances = _raised(covariances, reference.robust, options.covariance_floor)
            deviations = covariances.diagonal(dim1=-2, dim2=-1).sqrt()
            covariances = _raised(covariances, deviations, LEAST_EIGENVALUE)
        _, failed = torch.linalg.cholesky_ex(covariances)
        if failed.any():
            state = "" if self._tied else f"state {int(failed.nonzero()[0])}: "
            raise ValueError(
                f"{state}the covariance has become singular; pass a larger covariance_floor, "
                "fewer states or fewer features"
            )
        return {**numbers, "covariances": covariances}

    def broad(self, reference: Place, n_states: int) -> dict[str, Tensor]:
        """Mean and variances of all vectors, without correlations."""
        covariance = reference.scale.square().diag()
        return {
            "means": reference.centre.expand(n_states, -1),
            "covariances": covariance if self._tied else covariance.expand(n_states, -1, -1),
        }

    def sample(self, numbers: Numbers, states: Tensor, generator: torch.Generator) -> Tensor:
        """Normal vectors."""
        roots = torch.linalg.cholesky(numbers["covariances"].detach())
        result = numbers["means"].detach()[states]
        noise = torch.empty_like(result).normal_(generator=generator)
        if self._tied:
            return result + noise @ roots.mT
        for state, root in enumerate(roots):
            mine = states == state
            result[mine] += noise[mine] @ root.mT
        return result


def _raised(covariances: Tensor, scale: Tensor, floor: float) -> Tensor:
    """Covariances (..., D, D) whose eigenvalues, in units of ``scale``, are not below a floor."""
    unit = scale.unsqueeze(-1) * scale.unsqueeze(-2)
    scaled = covariances / unit
    values, vectors = torch.linalg.eigh(scaled)
    rebuilt = (vectors * values.clamp_min(floor).unsqueeze(-2)) @ vectors.mT
    rebuilt = (rebuilt + rebuilt.mT) / 2
    # Beside large eigenvalues the small ones are rounding errors; variances are not.
    variances = rebuilt.diagonal(dim1=-2, dim2=-1)
    variances.copy_(variances.clamp_min(floor))
    low = (values < floor).any(-1) | (scaled.diagonal(dim1=-2, dim2=-1) < floor).any(-1)
    return torch.where(low[..., None, None], rebuilt * unit, covariances)


def _regression(covariance: Tensor, places: Tensor, whiten: Tensor) -> tuple[Tensor, Tensor]:
    """Regression (P, D, k) of all entries on the present ones, and what it leaves (P, D, D).

    Present entries are copied, and nothing of them is left, exactly.
    """
    slope = covariance[:, places].movedim(1, 0) @ whiten
    gain, rest = slope @ whiten.mT, covariance - slope @ slope.mT
    present = torch.zeros(gain.shape[:2], dtype=torch.bool, device=gain.device)
    present.scatter_(1, places, True)
    identity = torch.eye(gain.shape[1], dtype=gain.dtype, device=gain.device)
    copied = identity[:, places].movedim(1, 0)
    gain = torch.where(present.unsqueeze(-1), copied, gain)
    outside = ~(present.unsqueeze(-1) | present.unsqueeze(-2))
    return gain, torch.where(outside, rest, 0.0)
