"""EM for rows that come in batches, or do not fit in memory.

.. math:: \\bar g \\leftarrow (1 - \\gamma_t)\\, \\bar g + \\gamma_t\\, g(\\text{batch}), \\qquad
          \\gamma_t = (t + 2)^{-0.6}
"""

from __future__ import annotations

from typing import Any

import torch

from inference.arrays import Array, namespace
from pgm.mixtures.components import log_joint_scores
from pgm.mixtures.expectation import expect
from pgm.mixtures.learning import Learner
from pgm.mixtures.moments import Components
from pgm.mixtures.search import Found, Search
from pgm.mixtures.settings import Settings
from pgm.mixtures.sufficient import from_sums, to_sums

__all__ = ["Stream"]

#: How fast what came before is forgotten: slower ones learn too slowly, faster ones never settle.
DECAY = 0.6


class Stream:
    """Stepwise EM: the first batch starts it, every further one is one step.

    The coordinates, and the floor under the covariances, are those of the first batch.

    Arguments:
        x: rows of the first batch.
        weights: of its rows, or None.
        settings: of the mixture.
        generator: for the start.

    Attributes:
        found: what is known after the batches so far.

    Reference:
        Cappe & Moulines 2009, "On-line expectation-maximization algorithm for latent data
        models", section 2.3; Liang & Klein 2009, "Online EM for unsupervised models", section 3.
    """

    def __init__(
        self, x: Array, weights: Array | None, settings: Settings, *, generator: torch.Generator
    ) -> None:
        self._settings, self._generator = settings, generator
        self._search = Search(
            x, weights, settings, generator=generator, progress=False, whiten=False
        )
        self.found = self._search.run()
        self._components = self._search.coordinates.into(self.found.components)
        self._sums = to_sums(self._components, settings.covariance_type)
        self._batches = 0

    def add(self, x: Array, weights: Array | None) -> Found:
        """Make one step with another batch, whose rows may lack entries."""
        kind, search = self._settings.covariance_type, self._search
        missing = bool(namespace(x).isnan(x).any())
        learner = search.learner_of(x, weights, missing=missing)
        moments = expect(learner.data, log_joint_scores(self._components, kind), kind)
        weight = moments.counts / moments.counts.sum(-1)[..., None]
        batch = to_sums(Components(weight, moments.means, moments.scatters), kind)
        self._batches += 1
        rate = (self._batches + 2) ** -DECAY
        self._sums = (1 - rate) * self._sums + rate * batch
        averaged, good = from_sums(self._sums, self._components, kind)
        if bool(good.all()):
            covariances = search.guard.apply(averaged.covariances)
            self._components = averaged._replace(covariances=covariances)
        log_likelihood = float(moments.log_likelihood[0] + learner.volume) / learner.total
        self.found = self._report(learner, log_likelihood)
        return self.found

    def _report(self, learner: Learner, log_likelihood: float) -> Found:
        """The state as the result of a search."""
        last = self.found.history[-1]["objective"] if self.found.history else float("nan")
        entry: dict[str, Any] = {
            "start": 0,
            "iteration": len(self.found.history) + 1,
            "objective": log_likelihood * learner.total,
            "change": log_likelihood * learner.total - last,
        }
        return Found(
            self._search.coordinates.back(self._components),
            False,
            self.found.iterations + 1,
            log_likelihood,
            self.found.collapsed,
            [*self.found.history, entry],
        )
