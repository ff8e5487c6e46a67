"""Mixture of laws of any family: bits, states, counts, numbers, or rows of several kinds.

.. math:: p(x) = \\sum_{k=1}^{K} \\pi_k\\, f(x; \\theta_k)
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor

from inference.inputs import as_weights, as_whole
from inference.random import GeneratorLike
from pgm.mixtures.families.by_name import describe_family, rebuild_family
from pgm.mixtures.families.family import Family, Init
from pgm.mixtures.families.family_mixture import FamilyMixture
from pgm.mixtures.families.learning import FamilySettings

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Mixture"]


class Mixture(FamilyMixture):
    """Mixture of K laws of one family, fitted by expectation-maximisation.

    .. math:: p(x) = \\sum_k \\pi_k\\, f(x; \\theta_k)

    Missing entries (NaN in numbers and counts, -1 or NaN in bits and codes) are summed or
    integrated out exactly, in fits as in every other method.

    Arguments:
        n_components: K.
        family: law of a row: `Bernoulli`, `Categorical`, `Poisson`, `Gaussian`, `StudentT`, a
            `Product` of them for columns of several kinds, or a subclass of `Family` of your own.

    Attributes:
        weights: parameter (K,). A component that has lost all its rows has weight zero or next to
            it, and keeps its last numbers.
        converged_: whether the best run of the last fit has stood still.
        n_iter_: steps of that run.

    The numbers of the components are parameters too, under the names that the family gives them,
    with a leading axis K: ``probs``, ``rates``, ``means``, ... All are float64.

    Raises:
        TypeError, ValueError: for arguments of the wrong kind or out of range.

    Reference:
        Dempster, Laird & Rubin 1977, section 4.3; McLachlan & Peel 2000, "Finite mixture models",
        chapter 2; Bishop 2006, section 9.3.3 (Bernoulli).

    Example:
        >>> import torch
        >>> from pgm.mixtures.families.bernoulli import Bernoulli
        >>> x = torch.tensor([[1, 1, 0], [1, 1, 1], [0, 0, 0], [0, 0, -1]])
        >>> model = Mixture(2, Bernoulli(3)).fit(x, init="kmeans", generator=0)
        >>> model.predict(x).unique_consecutive().numel()
        2
        >>> model.weights.sort().values.round(decimals=3).tolist()
        [0.5, 0.5]
    """

    if TYPE_CHECKING:
        # The numbers of the components have the names that the family gives them.
        def __getattr__(self, name: str) -> Any: ...

    def __init__(self, n_components: int, family: Family) -> None:
        if not isinstance(family, Family):
            raise TypeError(
                f"family must be a Family such as Bernoulli(n_features), found {family!r}"
            )
        super().__init__(as_whole("n_components", n_components, least=1), family)

    @property
    def n_components(self) -> int:
        """K."""
        return len(self.weights)

    def fit(
        self,
        X: Any,
        sample_weight: Any = None,
        *,
        prior: float = 0.0,
        weight_prior: float = 0.0,
        n_init: int = 1,
        init: Init | None = None,
        max_iter: int = 200,
        tol: float = 1e-4,
        generator: GeneratorLike = None,
        progress: bool | None = None,
    ) -> Self:
        """Find the parameters that make the rows, and the prior, most probable.

        .. math:: \\sum_i w_i \\log p(x_i) + c \\sum_k \\log \\pi_k
                  + a \\sum_k \\mathbb{E}_{m} \\log f(x; \\theta_k)

        Arguments:
            X: rows, as the family has them.
            sample_weight: of the rows; a weight of two is a row that is there twice.
            prior: a, pseudo-rows in every component, which follow m, the law of the columns of
                all rows taken apart. So the total pseudo-count of a column is shared out by its
                marginal mean.
            weight_prior: c, pseudo-count of every component in the weights.
            n_init: starts, of which the best end is kept.
            init: where starts come from: "kmeans" (clusters), "random_from_data" (components
                around rows drawn at random), "random" (random responsibilities), "current" (the
                parameters as they are); None: as the family likes.
            max_iter: most steps of a run.
            tol: the change of the objective per row that ends a run, nats; 0 makes every step.
            generator: for starts.
            progress: True, False, or None: a bar if on a terminal.

        Fills ``history``: one dict per step of every run, with ``start``, ``iteration``,
        ``objective`` (before the step, nats) and ``change``.

        Shapes:
            X: (n, d). sample_weight: (n,).

        Warns:
            ConvergenceWarning: if ``max_iter`` steps did not suffice.

        Raises:
            TypeError, ValueError: for rows, weights or settings that nothing can be learned from;
                the mixture is then unchanged.
        """
        settings = FamilySettings(prior, weight_prior, n_init, init, max_iter, tol)
        values = self._read(X)
        self._learn(
            values,
            as_weights(sample_weight, len(values)),
            settings,
            title=self.family.columns(X)[1],
            generator=generator,
            progress=progress,
        )
        return self

    def _read(self, x: Any) -> Tensor:
        return self.family.read(x, self.device)

    def extra_repr(self) -> str:
        """Size and family, for ``repr``."""
        return f"{self.n_components}, {self.family!r}"

    def config(self) -> dict[str, Any]:
        """Number of components, and the family by its name."""
        return {"n_components": self.n_components, "family": describe_family(self.family)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """A mixture of the shape that `config` tells."""
        return cls(config["n_components"], rebuild_family(config["family"], None))

    @classmethod
    def load(cls, path: str | os.PathLike[str], family: Family | None = None) -> Self:
        """Read a mixture from a file that `save` wrote; it is on the CPU.

        Arguments:
            path: of the file.
            family: that of the mixture, where it is one of your own.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: the file is damaged or holds anything else, or its family is another.
        """
        return cls._loaded(
            path,
            lambda config: cls(config["n_components"], rebuild_family(config["family"], family)),
        )
