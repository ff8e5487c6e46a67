"""From rows to the best mixture that a search over starts finds.

.. math:: \\hat\\theta = \\arg\\max_r \\ell\\bigl(\\theta^{(r)}_\\infty\\bigr)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from inference.arrays import Array, index_like, namespace
from inference.learning.em import Climbed, climb
from inference.learning.squarem import Squarem
from pgm.mixtures.components import CovarianceType
from pgm.mixtures.coordinates import Coordinates
from pgm.mixtures.floors import Addition, Floor, Guard
from pgm.mixtures.learning import Learner
from pgm.mixtures.moments import Components
from pgm.mixtures.read_rows import check_learnable
from pgm.mixtures.seeding import first_responsibilities
from pgm.mixtures.settings import MixtureSettings, Settings
from pgm.mixtures.spread import Spread, measure
from pgm.mixtures.sufficient import from_sums, to_sums

__all__ = ["Found", "Search", "guard_of"]

#: Rows above which the first steps are made on some of them.
MANY_ROWS = 50_000
#: How many, as a share of all and per number of a component's covariance.
SUBSET_SHARE, SUBSET_ROWS = 0.02, 20
#: Change per row at which the steps on some of the rows end.
SUBSET_TOLERANCE = 1e-5
#: Steps of all starts, and how many of these go on, where the starts times the rows are many.
HEAT, FINALISTS, FEW_ROWS = 10, 3, 50_000
#: Distance from the center up to which squares leave digits for the other rows.
MOST_REACH = 1e14
#: How far the kernels' rounding may lower a log-likelihood, relative to its size.
ROUNDING = 1e-6
#: Least number of exact steps at the end of a fit of single-precision rows, and change per row at
#: which they begin.
EXACT, ROUGH_TOLERANCE = 2, 1e-3
#: Plain steps before the accelerated ones.
PLAIN = 20


@dataclass(frozen=True)
class Found:
    """What a search finds.

    Attributes:
        components: one mixture, R = 1, in the units of the data.
        converged, iterations: of its run.
        log_likelihood: mean over the rows, at the parameters before the last step, nats.
        collapsed: which components have, (K,) array of bool.
        history: of all runs.
    """

    components: Components
    converged: bool
    iterations: int
    log_likelihood: float
    collapsed: np.ndarray
    history: list[dict[str, Any]]


class Search:
    """Learning from rows by the settings of a mixture.

    Arguments:
        x: rows as read, NaN for missing.
        weights: of the rows, positive; None: ones.
        settings: checked.
        generator: for starts.
        progress: whether to show a bar.
        whiten: whether the coordinates may mix columns; not where later rows may lack entries.

    Raises:
        ValueError: if the rows are none to learn from, or first parameters do not fit.
    """

    def __init__(
        self,
        x: Array,
        weights: Array | None,
        settings: Settings,
        *,
        generator: torch.Generator,
        progress: bool | None,
        whiten: bool = True,
    ) -> None:
        self._x, self._weights, self._settings = x, weights, settings
        self._generator, self._progress = generator, progress
        self._missing = check_learnable(x, settings.n_components)
        self._given = settings.first(x.shape[1])
        self.spread = measure(x, weights, missing=self._missing)
        if not self.spread.reach < MOST_REACH:
            raise ValueError(
                f"X holds a number that is {self.spread.reach:g} times the scale of its column "
                "away from the mean, so that its square leaves no digits for the others; remove "
                "the row"
            )
        kind: CovarianceType = settings.covariance_type
        self.coordinates = Coordinates.of(self.spread, kind, whiten=whiten and not self._missing)
        self.guard = guard_of(self.spread, self.coordinates, settings)

    def run(self) -> Found:
        """Search."""
        learner = self.learner()
        history: list[dict[str, Any]] = []
        first = self._first(learner, history)
        steps, before = self._settings.max_iter, 0
        if self._x.dtype != namespace(self._x).float64 and steps > EXACT:
            # On the way single precision need not be exact; at the end it is.
            learner.roughly = True
            tolerance = max(self._settings.tol, ROUGH_TOLERANCE) if self._settings.tol else 0.0
            found = self._climb(learner, first, history, steps - EXACT, tolerance, warn=False)
            learner.roughly = False
            first, before = found.parameters, int(found.iterations.max())
        last = self._climb(learner, first, history, steps - before)
        return self._best(learner, last, history, before)

    def learner(self, rows: Any = None) -> Learner:
        """Learner from all rows, or those with the given numbers."""
        x, weights = self._x, self._weights
        if rows is not None:
            x, weights = x[rows], None if weights is None else weights[rows]
        return self.learner_of(x, weights, missing=self._missing)

    def learner_of(self, x: Array, weights: Array | None, *, missing: bool) -> Learner:
        """Learner from other rows, in the same coordinates."""
        return Learner(
            x,
            weights,
            self.spread,
            self.coordinates,
            self.guard,
            self._settings.n_components,
            missing=missing,
            rescue=self._settings.reg_covar is None,
            generator=self._generator,
        )

    def _first(self, learner: Learner, history: list[dict[str, Any]]) -> Components:
        """Parameters of one or several runs to start from."""
        n = len(self._x)
        if self._settings.is_given:
            return self._with_given(None)
        k, d = self._settings.n_components, self._x.shape[1]
        size = max(SUBSET_ROWS * d * k, int(SUBSET_SHARE * n))
        if n <= MANY_ROWS or 2 * size > n:
            return self._heats(learner, self.seeds(learner), history)
        device = self._generator.device
        # A row that is drawn twice is taken once.
        drawn = torch.randint(n, (size,), generator=self._generator, device=device).unique()
        some: Any = drawn if isinstance(self._x, Tensor) else drawn.numpy()
        part = self.learner(some)
        heats = self._heats(part, self.seeds(part, some), history)
        ended = self._climb(part, heats, history, 100, SUBSET_TOLERANCE, warn=False)
        return pick(ended.parameters, self._ranking(part, ended)[:1])

    def seeds(self, learner: Learner, rows: Any = None) -> Components:
        """Parameters for every start, from the learner's rows: all, or those of these numbers."""
        x = self._x if rows is None else self._x[rows]
        weights = self._weights if rows is None or self._weights is None else self._weights[rows]
        settings, spread = self._settings, self.spread
        k, shrunk = settings.n_components, settings.reg_covar is None
        parts = []
        for units, runs in self._seed_units():
            found = first_responsibilities(
                (x - spread.center) / units,
                k,
                settings.init,
                runs,
                weights=weights,
                generator=self._generator,
            )
            parts.append(learner.start(found.block, runs, k, shrunk=shrunk))
        joined = [namespace(x).concatenate(part) for part in zip(*parts, strict=True)]
        return self._with_given(Components(*joined))

    def _seed_units(self) -> list[tuple[Any, int]]:
        """Units of the columns that starts are found in, and the number of these starts.

        EM does not depend on units, but distances do. Every column's own scale is safe; where all
        columns have one unit already, that is better. So starts take turns, the first of them in
        the columns' scales; those that are to be scikit-learn's are in the unit of the data.
        """
        scales, runs = self.spread.scales, self._settings.n_init
        common = (scales**2).mean() ** 0.5 + 0 * scales
        if self._settings.reg_covar is not None:
            return [(common, runs)]
        split = [(scales, runs - runs // 2), (common, runs // 2)]
        return [(units, some) for units, some in split if some]

    def _with_given(self, found: Components | None) -> Components:
        """First parameters, of which those that are given replace the others."""
        weights, means, covariances = self._given
        if found is not None:
            found = self.coordinates.back(found)
        parts = [weights, means, self._as_held(covariances)]
        like = self.spread.center
        for number, part in enumerate(parts):
            if part is not None:
                moved = part[None]
                if isinstance(like, Tensor):
                    moved = torch.as_tensor(moved, device=like.device)
                runs = 1 if found is None else len(found.means)
                parts[number] = moved if runs == 1 else moved.repeat(runs, 0)
            elif found is not None:
                parts[number] = found[number]
        return self._above_floor(self.coordinates.into(Components(*parts)))

    def _above_floor(self, components: Components) -> Components:
        """Parameters that the floor, if any, allows: a step from others may lose ground."""
        if not isinstance(self.guard, Floor):
            return components
        return components._replace(covariances=self.guard.apply(components.covariances))

    def _as_held(self, covariances: np.ndarray | None) -> np.ndarray | None:
        """Covariances of a model as `Components` holds those of a run."""
        if covariances is None:
            return None
        kind = self._settings.covariance_type
        return {"tied": covariances[None], "spherical": covariances[..., None]}.get(
            kind, covariances
        )

    def _heats(
        self, learner: Learner, seeds: Components, history: list[dict[str, Any]]
    ) -> Components:
        """The best of several starts after a few steps."""
        runs = self._settings.n_init
        if runs <= FINALISTS or runs * learner.n_rows <= FEW_ROWS:
            return seeds
        ended = self._climb(learner, seeds, history, HEAT, accelerate=False, warn=False)
        return pick(ended.parameters, self._ranking(learner, ended)[:FINALISTS])

    def _climb(
        self,
        learner: Learner,
        first: Components,
        history: list[dict[str, Any]],
        max_iterations: int,
        tolerance: float | None = None,
        *,
        accelerate: bool = True,
        warn: bool = True,
    ) -> Climbed:
        """Steps until the log-likelihood stands still."""
        settings, kind = self._settings, self._settings.covariance_type
        step: Callable[[Components], Any] = learner.step
        if accelerate and settings.accelerate and settings.reg_covar is None:

            def valid(sums: Any, like: Components) -> tuple[Components, Any]:
                found, good = from_sums(sums, like, kind)
                return self._above_floor(found), good

            step = Squarem(step, lambda found: to_sums(found, kind), valid, after=PLAIN)
        found = climb(
            step,
            first,
            max_iterations=max_iterations,
            tolerance=settings.tol if tolerance is None else tolerance,
            size=learner.total,
            # An addition is no maximum, and single precision cannot tell a fall from rounding.
            monotone=settings.reg_covar is None and self._x.dtype == namespace(self._x).float64,
            rounding=ROUNDING,
            warn=warn,
            progress=self._progress,
        )
        history.extend(found.history)
        return found

    def _ranking(self, learner: Learner, ended: Climbed) -> np.ndarray:
        """Runs from the best one down; those with collapsed components come last."""
        spoiled = learner.collapsed(ended.parameters).any(-1)
        keys = [np.asarray(x.tolist()) for x in (spoiled, -ended.objective)]
        return np.lexsort(keys[::-1])

    def _best(
        self, learner: Learner, ended: Climbed, history: list[dict[str, Any]], before: int
    ) -> Found:
        """The result of the best run; ``before`` are the steps made already."""
        best = int(self._ranking(learner, ended)[0])
        components = pick(ended.parameters, np.array([best]))
        collapsed = learner.collapsed(components)[0]
        return Found(
            self.coordinates.back(components),
            bool(ended.converged[best]),
            before + int(ended.iterations[best]),
            float(ended.objective[best]) / learner.total,
            np.asarray(collapsed.tolist()),
            history,
        )


def guard_of(spread: Spread, coordinates: Coordinates, settings: MixtureSettings) -> Guard:
    """What keeps covariances away from zero, in the coordinates of learning.

    ``reg_covar`` is added to every variance of the data. Else no variance may be below
    ``regularization`` times the square of the column's scale, nor below what rounding to steps of
    its size does to a variance that is zero (Sheppard 1898).
    """
    xp, kind = namespace(spread.scales), settings.covariance_type
    if settings.reg_covar is not None:
        variances = xp.zeros_like(spread.scales) + settings.reg_covar
        return Addition(coordinates.covariance(xp.diag(variances)), kind)
    variances = xp.maximum(settings.regularization * spread.scales**2, spread.rounding**2 / 12)
    return Floor(coordinates.covariance(xp.diag(variances)), kind)


def pick(components: Components, runs: np.ndarray) -> Components:
    """Some of the runs."""
    some = index_like(runs, components.means)
    return Components(*[x[some] for x in components])
