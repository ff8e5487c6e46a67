"""Independent columns with several states each.

.. math:: p(x \\mid k) = \\prod_j p_{kj x_j}
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from inference.inputs import as_whole, check_distribution
from inference.logspace import safe_log
from inference.random import categorical
from pgm.mixtures.families.counted import CountedFamily
from pgm.mixtures.families.family import Numbers, Titles

__all__ = ["Categorical"]


@dataclass(frozen=True)
class Categorical(CountedFamily):
    """Independent columns of state codes; -1 or NaN for missing ones.

    .. math:: \\log p(x \\mid k) = \\sum_{j \\text{ observed}} \\log p_{kj x_j}

    The parameter is ``probs`` (K, S), in which the states of all columns stand side by side, S in
    all; `tables` takes it apart.

    Arguments:
        cards: numbers of states of the columns.

    Reference:
        Goodman 1974, "Exploratory latent structure analysis using both identifiable and
        unidentifiable models".

    Example:
        >>> family = Categorical((2, 3))
        >>> [table.shape[1] for table in family.tables(family.blank(4)["probs"])]
        [2, 3]
    """

    cards: tuple[int, ...]
    name: ClassVar[str] = "categorical"

    def __post_init__(self) -> None:
        if isinstance(self.cards, int):
            raise TypeError(f"cards must hold one number per column, found {self.cards!r}")
        found = [as_whole(f"cards[{j}]", card, least=1) for j, card in enumerate(self.cards)]
        if not found:
            raise ValueError("cards must name at least one column, found none")
        object.__setattr__(self, "cards", tuple(found))

    @property
    def width(self) -> int:
        """Number of columns."""
        return len(self.cards)

    @property
    def n_cells(self) -> int:
        """S."""
        return sum(self.cards)

    def config(self) -> dict[str, Any]:
        """Numbers of states."""
        return {"cards": list(self.cards)}

    def tables(self, probs: Tensor) -> list[Tensor]:
        """One table (K, states) for every column."""
        return list(probs.split(self.cards, dim=1))

    def blank(self, n_components: int) -> dict[str, Tensor]:
        """Equal probabilities."""
        ones = torch.ones((n_components, self.n_cells), dtype=torch.float64)
        return {"probs": self.normalize(ones, ones)}

    def check(self, numbers: Numbers) -> None:
        """Every column must have a distribution."""
        for j, table in enumerate(self.tables(numbers["probs"].detach())):
            check_distribution(f"probs of column {j}", table)

    def n_parameters(self, n_components: int) -> int:
        """One less than states for every column."""
        return n_components * (self.n_cells - self.width)

    def clean(self, values: Tensor, title: Titles) -> Tensor:
        """Codes."""
        values = torch.where(values == -1, torch.nan, values)
        cards = torch.tensor(self.cards, device=values.device)
        legal = (values >= 0) & (values < cards) & (values == values.floor())
        wrong = ~(legal | values.isnan())
        if wrong.any():
            row, j = wrong.nonzero()[0].tolist()
            raise ValueError(
                f"X holds {values[row, j]:g} in row {row}, {title(j)}, whose states are the codes "
                f"0..{self.cards[j] - 1} (-1 = missing)"
            )
        return values

    def _owners(self, like: Tensor) -> Tensor:
        """Column of every cell, (S,)."""
        cards = torch.tensor(self.cards, device=like.device)
        return torch.arange(len(cards), device=like.device).repeat_interleave(cards)

    def features(self, values: Tensor) -> Tensor:
        """One-hot columns, (n, S)."""
        cards = torch.tensor(self.cards, device=values.device)
        places = values + (cards.cumsum(0) - cards)
        places = places.nan_to_num(nan=float(self.n_cells)).long()
        cells = values.new_zeros(len(values), self.n_cells + 1)
        return cells.scatter_(1, places, 1.0)[:, :-1].contiguous()

    def log_table(self, numbers: Numbers) -> Tensor:
        """Of every state."""
        return safe_log(numbers["probs"])

    def normalize(self, counts: Tensor, otherwise: Tensor) -> Tensor:
        """Shares within the columns."""
        owners = self._owners(counts)
        total = counts.new_zeros(len(counts), self.width).index_add_(1, owners, counts)
        total = total[:, owners]
        return torch.where(total > 0, counts / total.masked_fill(total == 0, 1.0), otherwise)

    def from_table(self, table: Tensor) -> dict[str, Tensor]:
        """The table itself."""
        return {"probs": table}

    def sample(self, numbers: Numbers, labels: Tensor, generator: torch.Generator) -> Tensor:
        """Codes, int64."""
        logs = self.log_table(numbers).detach()
        drawn = [categorical(t[labels], generator=generator) for t in self.tables(logs)]
        return torch.stack(drawn, dim=1)
