"""One E and one M step from deviations, exact where the quadratic features would cancel.

.. math:: y_{ik} = A_k (x_i - m_k), \\qquad s_k(x_i) = c_k - \\tfrac12 \\|y_{ik}\\|^2, \\qquad
          \\bar x_k = m_k + L_k \\bar y_k, \\qquad S_k = L_k\\, \\mathrm{cov}(y_k)\\, L_k^\\top

Every component measures the rows in its own units, so that even its narrowest direction keeps all
its digits.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from inference.arrays import empty, namespace, zeros
from pgm.mixtures.moments import Moments, Scores
from pgm.mixtures.quadratic import positive, to_type
from pgm.mixtures.responsibilities import share
from pgm.mixtures.rows import Rows

__all__ = ["DEVIATIONS", "Deviations", "expect_centered", "score_centered"]

# Block rows that a triangle is cut into: products with the zeros beyond the diagonal block are
# left out, 62 % of the work remains.
_CUTS = 4
_WIDTH = 256


def expect_centered(rows: Rows, scores: Scores, deviations: Deviations) -> Moments:
    """Moments of complete rows.

    Arguments:
        rows: in any coordinates.
        scores: of R mixtures.
        deviations: those of the covariance type.
    """
    n_runs, n_components, d = scores.means.shape
    like, n = rows.blocks[0], n_runs * n_components
    xp, flat = namespace(like), Scores(*[x.reshape(-1, *x.shape[2:]) for x in scores])
    own = deviations.prepare(flat, like)
    offsets = to_type(flat.offsets, like)
    logs = zeros(like, (n_runs,), "float64")
    counts = zeros(like, (n,), "float64")
    first = zeros(like, (n, d), "float64")
    second = zeros(like, deviations.shape(n, d), "float64")
    width, y = 0, like
    for x, weights in rows.parts(_WIDTH):
        if x.shape[1] != width:
            width = x.shape[1]
            y = empty(like, n * d * width).reshape(n, d, width)
        deviations.fill(x, own, y)
        joint = offsets[:, None] - 0.5 * xp.einsum("kdc,kdc->kc", y, y)
        logs += share(joint.reshape(n_runs, n_components, width), weights)
        counts += joint.sum(1)
        first += xp.matmul(y, joint[:, :, None])[..., 0]
        deviations.add(y, joint, second)
    shift = first / positive(counts)[:, None]
    spread = deviations.spread(second, counts, shift)
    found = deviations.back(flat, shift, spread)
    means = (flat.means + found[0]).reshape(scores.means.shape)
    counts = counts.reshape(n_runs, n_components)
    means = xp.where(counts[..., None] > 0, means, xp.zeros_like(means))
    scatters = found[1].reshape(n_runs, n_components, *found[1].shape[1:])
    return Moments(logs, counts, means, deviations.pool(scatters, counts))


def score_centered(x: Any, scores: Scores, deviations: Deviations) -> Any:
    """Scores of complete rows x (d, c), (R, K, c)."""
    n_runs, n_components, d = scores.means.shape
    flat = Scores(*[part.reshape(-1, *part.shape[2:]) for part in scores])
    y = empty(x, n_runs * n_components * d * x.shape[1]).reshape(-1, d, x.shape[1])
    deviations.fill(x, deviations.prepare(flat, x), y)
    joint = to_type(flat.offsets, x)[:, None] - 0.5 * (y * y).sum(1)
    return joint.reshape(n_runs, n_components, -1)


class Deviations(ABC):
    """Abstract base: deviations of one covariance type. Final subclasses have no state.

    n is the number of components of all runs.
    """

    @abstractmethod
    def prepare(self, flat: Scores, like: Any) -> Any:
        """What `fill` needs of the scores, in the type of the rows."""

    @abstractmethod
    def fill(self, x: Any, own: Any, out: Any) -> None:
        """Deviations (n, d, c) of rows x (d, c)."""

    @abstractmethod
    def shape(self, n: int, d: int) -> tuple[int, ...]:
        """Of the sums of products."""

    @abstractmethod
    def add(self, y: Any, shares: Any, sums: Any) -> None:
        """Add products of deviations, weighed by responsibilities (n, c)."""

    @abstractmethod
    def spread(self, sums: Any, counts: Any, shift: Any) -> Any:
        """Covariances of the deviations, about their means ``shift``."""

    @abstractmethod
    def back(self, flat: Scores, shift: Any, spread: Any) -> tuple[Any, Any]:
        """Shift and covariances in the units of the rows."""

    def pool(self, scatters: Any, counts: Any) -> Any:
        """Scatters as `Moments` holds them."""
        return scatters


class Triangular(Deviations):
    """Full covariances."""

    def prepare(self, flat: Scores, like: Any) -> Any:
        # With a first column for a feature that is one, the product subtracts the means.
        xp = namespace(flat.offsets)
        origin = -(flat.factors @ flat.means[..., None])
        return to_type(xp.concatenate([origin, flat.factors], -1), like)

    def fill(self, x: Any, own: Any, out: Any) -> None:
        xp, d = namespace(x), len(x)
        ones = xp.ones_like(x[:1])
        x = xp.concatenate([ones, x])
        for start, stop in _block_rows(d):
            xp.matmul(own[:, start:stop, : 1 + stop], x[: 1 + stop], out=out[:, start:stop])

    def shape(self, n: int, d: int) -> tuple[int, ...]:
        return n, d, d

    def add(self, y: Any, shares: Any, sums: Any) -> None:
        xp, d = namespace(y), y.shape[1]
        for start, stop in _block_rows(d):
            weighted = y[:, start:stop] * shares[:, None]
            sums[:, start:stop, :stop] += xp.matmul(weighted, y[:, :stop].swapaxes(1, 2))

    def spread(self, sums: Any, counts: Any, shift: Any) -> Any:
        xp = namespace(sums)
        lower = xp.tril(sums)
        whole = lower + xp.tril(sums, -1).swapaxes(-1, -2)
        return whole / positive(counts)[:, None, None] - shift[:, :, None] * shift[:, None]

    def back(self, flat: Scores, shift: Any, spread: Any) -> tuple[Any, Any]:
        roots = namespace(spread).linalg.inv(flat.factors)
        moved = (roots @ shift[..., None])[..., 0]
        return moved, roots @ spread @ roots.swapaxes(-1, -2)


class Shared(Triangular):
    """Tied covariances: all components of a run have one triangle."""

    def prepare(self, flat: Scores, like: Any) -> Any:
        n, n_runs = len(flat.means), len(flat.factors)
        return super().prepare(flat._replace(factors=_spread(flat.factors, n // n_runs)), like)

    def back(self, flat: Scores, shift: Any, spread: Any) -> tuple[Any, Any]:
        factors = _spread(flat.factors, len(flat.means) // len(flat.factors))
        return super().back(flat._replace(factors=factors), shift, spread)

    def pool(self, scatters: Any, counts: Any) -> Any:
        pooled = (counts[..., None, None] * scatters).sum(1) / counts.sum(1)[:, None, None]
        return pooled[:, None]


class Scaled(Deviations):
    """Diagonal covariances."""

    def prepare(self, flat: Scores, like: Any) -> Any:
        return tuple([to_type(x, like)[..., None] for x in (flat.means, flat.factors)])

    def fill(self, x: Any, own: Any, out: Any) -> None:
        means, factors = own
        namespace(x).subtract(x, means, out=out)
        out *= factors

    def shape(self, n: int, d: int) -> tuple[int, ...]:
        return n, d

    def add(self, y: Any, shares: Any, sums: Any) -> None:
        sums += namespace(y).einsum("kdc,kdc,kc->kd", y, y, shares)

    def spread(self, sums: Any, counts: Any, shift: Any) -> Any:
        return sums / positive(counts)[:, None] - shift**2

    def back(self, flat: Scores, shift: Any, spread: Any) -> tuple[Any, Any]:
        return shift / flat.factors, spread / flat.factors**2


class Isotropic(Scaled):
    """Spherical covariances."""

    def pool(self, scatters: Any, counts: Any) -> Any:
        return scatters.mean(-1)[..., None]


#: By covariance type.
DEVIATIONS: dict[str, Deviations] = {
    "full": Triangular(),
    "tied": Shared(),
    "diag": Scaled(),
    "spherical": Isotropic(),
}


def _block_rows(d: int) -> list[tuple[int, int]]:
    """Starts and ends of the block rows of a triangle of d rows."""
    size = max(-(-d // _CUTS), 8)
    return [(start, min(start + size, d)) for start in range(0, d, size)]


def _spread(factors: Any, n_components: int) -> Any:
    """One (R, d, d) triangle for every component, (n, d, d)."""
    wide = factors[:, None] + zeros(factors, (1, n_components, 1, 1))
    return wide.reshape(-1, *factors.shape[1:])
