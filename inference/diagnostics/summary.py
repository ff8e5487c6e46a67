"""One table of what chains say, with the numbers left out that they cannot give.

.. math:: \\bar x \\pm \\text{MCSE}, \\quad s, \\quad q_p, \\quad \\hat R, \\quad
          S_\\text{bulk}, \\quad S_\\text{tail}
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from math import prod
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from inference.diagnostics.block import Block, as_draws, per_dimension
from inference.diagnostics.effective_sample_size import block_ess_bulk, block_ess_tail
from inference.diagnostics.rhat import block_rhat
from inference.diagnostics.standard_error import block_mcse
from inference.inputs import Values

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["LEAST_TIMES", "Summary", "summarize"]

#: Chains shorter than this many autocorrelation times do not tell that time.
LEAST_TIMES = 50

#: Largest R-hat of chains that agree.
AGREED = 1.01

#: Rows that a printed table has.
SHOWN = 20


@dataclass(frozen=True, eq=False)
class Summary(Mapping[str, Tensor]):
    """A table of statistics of every dimension; a mapping from their names to tensors.

    NaN stands for a number that the draws do not give; ``reasons`` says why.

    Attributes:
        columns: (*event,) float64 tensors by name: ``mean``, ``mcse``, ``sd``, quantiles such as
            ``5%``, ``rhat``, ``ess_bulk``, ``ess_tail``.
        reasons: why a dimension lacks numbers, by its index.
        chains: how many chains were run.
        draws: how many draws each has.

    Example:
        >>> x = torch.randn(4, 500, 2, generator=torch.Generator().manual_seed(0))
        >>> summary = summarize(x * torch.tensor([1.0, 0.0]))
        >>> summary["rhat"].round(decimals=2).tolist(), summary.reasons
        ([1.0, nan], {(1,): 'constant'})
    """

    columns: Mapping[str, Tensor]
    reasons: Mapping[tuple[int, ...], str]
    chains: int
    draws: int

    def __getitem__(self, name: str) -> Tensor:
        return self.columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __len__(self) -> int:
        return len(self.columns)

    def to_pandas(self) -> pd.DataFrame:
        """The table as a DataFrame: a row per dimension, and the reasons in a last column."""
        import pandas as pd

        indices = list(np.ndindex(self._shape))
        values = {name: column.reshape(-1).cpu().numpy() for name, column in self.items()}
        notes = [self.reasons.get(index, "") for index in indices]
        return pd.DataFrame({**values, "note": notes}, index=[_name(index) for index in indices])

    def __str__(self) -> str:
        total = prod(self._shape)
        shown = list(islice(np.ndindex(self._shape), SHOWN))
        head = f"{self.chains} chains of {self.draws} draws"
        if total > len(shown):
            head += f", {len(shown)} of {total} dimensions"
        columns = [column.reshape(-1)[: len(shown)].tolist() for column in self.values()]
        cells = [["", *self]]
        for index, *numbers in zip(shown, *columns, strict=True):
            texts = [_cell(name, value) for name, value in zip(self, numbers, strict=True)]
            cells.append([_name(index), *texts])
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        notes = ["", *[self.reasons.get(index, "") for index in shown]]
        lines = [
            "  ".join([*map(str.rjust, row, widths), note]).rstrip()
            for row, note in zip(cells, notes, strict=True)
        ]
        return "\n".join([head, *lines, *self._missing(shown), *self._disagreement()])

    __repr__ = __str__

    @property
    def _shape(self) -> tuple[int, ...]:
        return tuple(self["mean"].shape)

    def _missing(self, shown: Sequence[tuple[int, ...]]) -> list[str]:
        """A line on numbers withheld in rows that are not shown."""
        hidden = len(self.reasons) - sum([index in self.reasons for index in shown])
        return [f"numbers are withheld in {hidden} more dimensions, see reasons"] if hidden else []

    def _disagreement(self) -> list[str]:
        """A line on chains that disagree."""
        values = self["rhat"].reshape(-1)
        apart = int((values > AGREED).sum())
        if not apart:
            return []
        largest = int(values.nan_to_num(0.0, posinf=torch.inf).argmax())
        place = np.unravel_index(largest, self._shape) if self._shape else ()
        return [
            f"chains disagree: R-hat is above {AGREED} in {apart} of {len(values)}, "
            f"{float(values[largest]):.3g} in {_name(tuple(map(int, place)))}; run them longer"
        ]


def summarize(x: Values, *, quantiles: Sequence[float] = (0.05, 0.5, 0.95)) -> Summary:
    """Judge draws of chains: estimates with their errors, and whether to trust them.

    .. math:: \\bar x \\pm s / \\sqrt{S_\\text{eff}}

    An effective number is withheld, and the error that rests on it, where chains are shorter than
    50 autocorrelation times: the time itself is then not known.

    Arguments:
        x: draws of chains.
        quantiles: shares between 0 and 1.

    Shapes:
        x: (chain, draw, *event).

    Returns:
        The table, which prints itself; its columns are (*event,) float64.

    Raises:
        TypeError: if ``x`` does not hold real numbers, or ``quantiles`` is no list.
        ValueError: if there are fewer than 4 draws per chain, or a share is outside [0, 1].

    Reference:
        Vehtari et al. 2021, "Rank-normalization, folding, and localization: an improved R-hat for
        assessing convergence of MCMC"; Foreman-Mackey et al. 2013, "emcee: the MCMC hammer" (the
        factor 50 in its documentation).

    Example:
        >>> x = torch.randn(4, 1000, generator=torch.Generator().manual_seed(0))
        >>> print(summarize(x, quantiles=[0.5]))
        4 chains of 1000 draws
                mean     mcse      sd       50%   rhat  ess_bulk  ess_tail
        x  -0.006583  0.01581  0.9934  -0.01823  1.000      3960      3611
    """
    if isinstance(quantiles, (str, float, int)):
        raise TypeError(f"quantiles must be a list of shares, found {quantiles!r}")
    shares = [float(share) for share in quantiles]
    if not all([0 <= share <= 1 for share in shares]):
        raise ValueError(f"quantiles must be shares between 0 and 1, found {shares}")
    draws = as_draws(x)
    chains, length = draws.shape[:2]

    def statistics(block: Block) -> Tensor:
        before = [block.mean, block_mcse(block, "mean"), block.std]
        middle = [block.quantile(share) for share in shares]
        after = [block_rhat(block), block_ess_bulk(block), block_ess_tail(block)]
        return torch.stack([*before, *middle, *after, block.mean_size])

    *table, mean_size = per_dimension(draws, statistics)
    names = ["mean", "mcse", "sd", *[f"{100 * share:.12g}%" for share in shares]]
    columns = dict(zip([*names, "rhat", "ess_bulk", "ess_tail"], table, strict=True))
    reasons = _reasons(columns, mean_size, chains, length)
    for name, size in (("mcse", mean_size), ("ess_bulk", None), ("ess_tail", None)):
        enough = (columns[name] if size is None else size) >= LEAST_TIMES * chains
        columns[name] = torch.where(enough, columns[name], torch.nan)
    return Summary(columns, reasons, chains, length)


def _reasons(
    columns: Mapping[str, Tensor], mean_size: Tensor, chains: int, length: int
) -> dict[tuple[int, ...], str]:
    """Why dimensions lack numbers, before the numbers are withheld."""
    sizes = torch.stack([mean_size, columns["ess_bulk"], columns["ess_tail"]]).cpu().numpy()
    mean, bulk = columns["mean"].cpu().numpy(), sizes[1]
    longest = np.where(np.isnan(sizes), 0.0, chains * length / sizes).max(0)
    lacking = np.isnan(sizes).any(0) | (longest * LEAST_TIMES > length)
    reasons = {}
    for index in map(tuple, np.argwhere(lacking).tolist()):
        if np.isnan(mean[index]):
            reasons[index] = "not finite"
        elif np.isnan(bulk[index]):
            reasons[index] = "constant"
        elif longest[index] * LEAST_TIMES > length:
            found = f"{length / longest[index]:.2g} of {LEAST_TIMES}"
            reasons[index] = f"too few draws: {found} autocorrelation times"
        else:
            reasons[index] = "no draw beyond the tail quantiles"
    return reasons


def _name(index: tuple[int, ...]) -> str:
    """What a dimension is called."""
    return f"x[{', '.join(map(str, index))}]" if index else "x"


def _cell(column: str, value: float) -> str:
    """A number as it is printed; nothing for what is not known."""
    if value != value:
        return "-"
    if column.startswith("ess"):
        return f"{value:.0f}"
    return f"{value:.3f}" if column == "rhat" else f"{value:.4g}"
