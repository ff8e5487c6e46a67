"""The data of a fit of normal mixtures in the coordinates of learning, and its steps.

.. math:: \\theta_{t+1} = M\\bigl(E(\\theta_t)\\bigr)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from inference.arrays import Array, namespace, to_double, zeros
from pgm.mixtures.collapse import dead, find_collapsed, revive
from pgm.mixtures.components import CovarianceType, log_joint_scores
from pgm.mixtures.coordinates import Coordinates
from pgm.mixtures.expectation import Data, expect, log_joint
from pgm.mixtures.floors import Guard
from pgm.mixtures.maximization import maximize, pooled, shrink
from pgm.mixtures.missing import MissingRows
from pgm.mixtures.moments import Components, Moments, Scores
from pgm.mixtures.quadratic import FEATURES, sum_responsible
from pgm.mixtures.rows import Rows
from pgm.mixtures.spread import Spread
from pgm.mixtures.sufficient import positive_definite

__all__ = ["Learner"]

#: Distance from the center up to which float32 resolves the narrowest component that the default
#: floor allows.
MOST_SINGLE = 1e4
# Rows among which a lost component looks for a new place, and the share of them that is bad.
_POOL, _WORST = 4096, 0.05


class Learner:
    """Rows in the coordinates of learning, and the EM step of R mixtures at a time.

    Arguments:
        x: rows as given, NaN for missing; floating type.
        weights: of the rows, positive; None: ones.
        spread: of the rows.
        coordinates: to learn in.
        guard: of the covariances.
        n_components: K.
        missing: whether entries are missing.
        rescue: whether components without a row are set elsewhere, at most 2 K times.
        generator: for the places they are set to.

    Attributes:
        data: the rows in the coordinates.
        roughly: whether steps on single-precision rows may be rough, as on the way they may.
        n_rows: n.
        total: summed weights.
        volume: what the coordinates add to the log-likelihood of all rows, nats.
    """

    def __init__(
        self,
        x: Array,
        weights: Array | None,
        spread: Spread,
        coordinates: Coordinates,
        guard: Guard,
        n_components: int,
        *,
        missing: bool,
        rescue: bool = True,
        generator: torch.Generator,
    ) -> None:
        self.covariance_type: CovarianceType = coordinates.covariance_type
        self._coordinates, self._guard, self._generator = coordinates, guard, generator
        self._spread = spread
        xp = namespace(x)
        correlations = xp.diag(xp.ones_like(spread.scales))
        if spread.correlations is not None:
            correlations = spread.correlations
        self._whole = coordinates.covariance(spread.scales[:, None] * correlations * spread.scales)
        self._lives = 2 * n_components if rescue else 0
        self.n_rows = len(x)
        self.total = float(len(x) if weights is None else weights.sum())
        self.roughly = False
        self.data = self._arrange(x, weights, n_components, missing=missing)
        self.volume = self._volume(x, weights, missing=missing)
        step = -(-len(x) // _POOL)
        self._pool = x[::step]
        self._unit = self.total / len(x)

    def _arrange(self, x: Any, weights: Any, k: int, *, missing: bool) -> Data:
        """Rows in the coordinates; in float64 where float32 could not hold their squares."""
        dtype = x.dtype if self._spread.reach < MOST_SINGLE else namespace(x).float64
        if missing:
            moved = self._coordinates.block(x, dtype).T
            return MissingRows.of(moved, weights, self.covariance_type)
        features = FEATURES[self.covariance_type]
        width = features.width(x.shape[1], k)
        blocks: list[Any] = []
        parts: list[Any] = []
        for left in range(0, len(x), width):
            some = slice(left, left + width)
            blocks.append(self._coordinates.block(x[some], dtype))
            if weights is not None:
                parts.append(_as_type(weights[some], blocks[-1]))
        return Rows(blocks, parts or None, len(x), self.total)

    def _volume(self, x: Any, weights: Any, *, missing: bool) -> float:
        """Log of the volume element, summed over the rows' present entries."""
        if not missing:
            return self.total * self._coordinates.log_volume
        xp = namespace(x)
        there = ~xp.isnan(x)
        present = (there if weights is None else there * weights[:, None]).sum(0)
        return float((present * xp.log(self._coordinates.factors)).sum())

    def step(self, components: Components) -> tuple[Components, Any, Any]:
        """One E and one M step.

        Returns:
            The next parameters; the log-likelihoods of all rows under the present ones, (R,),
            nats; and which runs had a component set elsewhere, (R,).
        """
        scores = log_joint_scores(components, self.covariance_type)
        moments, found = self._maximized(scores, roughly=self.roughly)
        if self.roughly and not bool(
            positive_definite(found.covariances, self.covariance_type).all()
        ):
            moments, found = self._maximized(scores, roughly=False)
        lost = dead(moments.counts, self._unit)
        restarted = lost.any(-1)
        if self._lives <= 0 or not bool(restarted.any()):
            return found, moments.log_likelihood + self.volume, restarted & (self._lives < 0)
        self._lives -= int(lost.sum())
        share = 1 / lost.shape[1]
        places = self._badly_described(scores, lost)
        found = revive(found, self._guard.apply(pooled(moments)), lost, places, share)
        return found, moments.log_likelihood + self.volume, restarted

    def _maximized(self, scores: Scores, *, roughly: bool) -> tuple[Moments, Components]:
        """What the rows say under these scores, and the parameters that follow."""
        moments = expect(self.data, scores, self.covariance_type, roughly=roughly)
        return moments, maximize(moments, self._guard)

    def collapsed(self, components: Components) -> Any:
        """Which components, of an M step, have collapsed, (R, K)."""
        counts = components.weights * self.n_rows
        return find_collapsed(components, counts, self._whole, self._guard)

    def start(
        self,
        responsibilities: Callable[[slice], Any],
        n_runs: int,
        k: int,
        *,
        shrunk: bool = True,
    ) -> Components:
        """Parameters that fit first responsibilities.

        Arguments:
            responsibilities: (R, K, c) of a slice of the rows.
            n_runs: R.
            k: K.
            shrunk: whether covariances are drawn towards their mean.
        """
        rows = self.data
        if isinstance(rows, MissingRows):
            # A first guess: missing entries stand at the mean of their column.
            filled = namespace(self._pool).nan_to_num(rows.x, nan=0.0)
            weights = None if rows.weights is None else [_as_type(rows.weights, filled)]
            rows = Rows([_contiguous(filled.T)], weights, len(filled), self.total)
        found = sum_responsible(
            rows, responsibilities, (n_runs, k), FEATURES[self.covariance_type]
        )
        moments = Moments(zeros(found[0], (n_runs,)), *found)
        if shrunk:
            moments = shrink(moments, self.covariance_type)
        return maximize(moments, self._guard)

    def _badly_described(self, scores: Scores, lost: Any) -> Any:
        """Rows for lost components (R, K), any of the worst 5 % under all of them, (R, K, d)."""
        x = self._coordinates.block(self._pool, self._pool.dtype)
        xp, (n_runs, k) = namespace(x), lost.shape
        fit = xp.amax(log_joint(x, scores, self.covariance_type), 1)
        most = max(int(_WORST * x.shape[1]), 1)
        worst = xp.argsort(fit, -1)[:, :most]
        device = self._generator.device
        drawn = torch.randint(most, (n_runs, k), generator=self._generator, device=device)
        picked: Any = drawn.numpy() if xp is np else drawn
        rows = xp.nan_to_num(to_double(x.T), nan=0.0)
        return xp.stack([rows[worst[r]][picked[r]] for r in range(n_runs)])


def _as_type(weights: Any, x: Any) -> Any:
    """Weights in the type of the rows."""
    return weights.to(x.dtype) if isinstance(x, Tensor) else weights.astype(x.dtype)


def _contiguous(x: Any) -> Any:
    return x.contiguous() if isinstance(x, Tensor) else np.ascontiguousarray(x)
