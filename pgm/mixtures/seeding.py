"""First responsibilities: from which EM starts.

.. math:: r_{ik} = [k = \\arg\\min_l \\|x_i - c_l\\|]
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from inference.arrays import index_like, namespace
from inference.inputs import as_whole, check_choice
from inference.learning.kmeans import random_rows, run_rounds, scattered_rows
from inference.learning.points import Points
from inference.memory import require_memory
from inference.random import GeneratorLike, as_generator, spawn
from pgm.mixtures.settings import Init

__all__ = ["first_responsibilities"]

#: Rows that centres are found with; more of them would hardly move the centres.
MOST_ROWS = 20_000
#: Most rounds of k-means: EM goes on from wherever they end.
ROUNDS = 50
#: Rows for which random responsibilities are drawn at once.
DRAWN = 4096


@dataclass(frozen=True)
class Assigned:
    """Responsibilities that put every row into one component.

    Attributes:
        labels: (R, n) integers.
        n_components: K.
        dtype: type of the responsibilities.
    """

    labels: Any
    n_components: int
    dtype: Any

    def block(self, rows: slice) -> Any:
        """Responsibilities (R, K, c) of some rows."""
        numbers = index_like(np.arange(self.n_components)[:, None], self.labels)
        found = self.labels[:, None, rows] == numbers
        return found.to(self.dtype) if isinstance(found, Tensor) else found.astype(self.dtype)


class Drawn:
    """Random responsibilities, drawn block by block when they are asked for, always the same.

    Arguments:
        like: rows (n, d) whose kind of array is wanted.
        n_runs: R.
        n_components: K.
        generator: for the seeds of the blocks.
    """

    def __init__(
        self, like: Any, n_runs: int, n_components: int, generator: torch.Generator
    ) -> None:
        self._like, self._n_rows = like, len(like)
        self._shape = n_runs, n_components, DRAWN
        n_blocks = -(-len(like) // DRAWN)
        self._seeds = [part.initial_seed() for part in spawn(generator, n_blocks)]
        self._source = torch.Generator(generator.device)
        self._last: tuple[int, Any] = -1, None

    def block(self, rows: slice) -> Any:
        """Responsibilities (R, K, c) of some rows."""
        left, right, step = rows.indices(self._n_rows)
        parts = [
            self._draw(number)[..., max(left - number * DRAWN, 0) : right - number * DRAWN]
            for number in range(left // DRAWN, -(-right // DRAWN))
        ]
        found = parts[0] if len(parts) == 1 else namespace(self._like).concatenate(parts, -1)
        return found[..., ::step]

    def _draw(self, number: int) -> Any:
        """Responsibilities of one block."""
        if self._last[0] != number:
            self._source.manual_seed(self._seeds[number])
            drawn: Any = torch.rand(
                self._shape,
                dtype=torch.float64,
                generator=self._source,
                device=self._source.device,
            )
            shares = drawn / drawn.sum(1, keepdim=True)
            like = self._like
            kept = shares.to(like.dtype) if isinstance(like, Tensor) else shares.numpy()
            self._last = number, kept
        return self._last[1]


def first_responsibilities(
    x: Any,
    n_components: int,
    how: Init,
    n_init: int = 1,
    *,
    weights: Any = None,
    generator: GeneratorLike = None,
) -> Assigned | Drawn:
    """Responsibilities for several starts of EM.

    "kmeans" assigns the rows to the clusters of k-means in the first start, and to the nearest of
    scattered rows in the others, as more starts of k-means would end at much the same clusters.
    "k-means++" assigns them to the nearest of scattered rows, "random_from_data" to the nearest of
    random rows; "random" draws responsibilities.

    Arguments:
        x: rows in coordinates whose distances mean something, each column in units of its scale,
            say; NaN for missing entries, over which distances are extrapolated.
        n_components: K.
        how: as above.
        n_init: R, the number of starts.
        weights: of the rows, not negative; None: ones.
        generator: for the draws.

    Returns:
        An object whose ``block(rows)`` gives the responsibilities (R, K, c) of a slice of the
        rows.

    Shapes:
        x: (n, d). weights: (n,).

    Raises:
        ValueError: if ``how`` is not known, there are fewer rows of positive weight than
            components, or the labels would not fit in memory.

    Reference:
        Arthur & Vassilvitskii 2007; Biernacki, Celeux & Govaert 2003, "Choosing starting values
        for the EM algorithm", Computational Statistics & Data Analysis 41, section 2.

    Example:
        >>> x = np.array([[0.0], [1.0], [10.0], [12.0]])
        >>> found = first_responsibilities(x, 2, "kmeans", generator=0).block(slice(0, 4))
        >>> sorted(found[0].tolist())
        [[0.0, 0.0, 1.0, 1.0], [1.0, 1.0, 0.0, 0.0]]
    """
    check_choice("init", how, Init)
    k = as_whole("n_components", n_components, least=1)
    runs = as_whole("n_init", n_init, least=1)
    source = as_generator(generator, x.device if isinstance(x, Tensor) else "cpu")
    used = len(x) if weights is None else int((weights > 0).sum())
    if k > used:
        raise ValueError(
            f"n_components must be at most the number of rows of positive weight, found {k} "
            f"components and {used} such rows"
        )
    if how == "random":
        return Drawn(x, runs, k, source)
    what = f"n_init = {runs} starts, with labels of {len(x)} rows,"
    require_memory(8 * runs * len(x), what, "use fewer starts or rows")
    centers, rows = _centers(x, k, how, runs, weights, source)
    return Assigned(_labels(rows, centers), k, x.dtype)


def _centers(
    x: Any, k: int, how: Init, runs: int, weights: Any, source: torch.Generator
) -> tuple[Any, Points]:
    """Centres for every start, (R, K, d), and all rows."""
    rows = Points.of(x, weights)
    some = rows.take(_sample(x, k, weights, source)) if len(x) > MOST_ROWS else rows
    draw = random_rows if how == "random_from_data" else scattered_rows
    centers = some.centers_at(draw(some, k, runs, source))
    if how == "kmeans":
        centers[:1] = run_rounds(some, centers[:1], ROUNDS)[0]
    return centers, rows


def _sample(x: Any, k: int, weights: Any, source: torch.Generator) -> Any:
    """Different rows for the search for centres, of positive weight."""
    order: Any = torch.randperm(len(x), generator=source, device=source.device)
    if not isinstance(x, Tensor):
        order = order.numpy()
    if weights is not None:
        order = order[weights[order] > 0]
    return order[: max(MOST_ROWS, k)]


def _labels(rows: Points, centers: Any) -> Any:
    """Number of the nearest centre of every row, (R, n); rows without entries are spread."""
    labels, _ = rows.nearest(centers)
    present = rows.features[:, rows.n_features :].sum(1).reshape(-1)[: rows.n_rows]
    spread = index_like(np.arange(rows.n_rows) % centers.shape[1], labels)
    return namespace(labels).where(present > 0, labels, spread)
