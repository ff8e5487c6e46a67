"""Symbols given the hidden state.

.. math:: p(x_t = m \\mid z_t = k) = b_{km}
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from inference.exact.chain.symbols import SymbolEmissions
from inference.inputs import check_distribution
from inference.logspace import safe_log
from inference.random import categorical
from pgm.chains.alphabet import Alphabet, encode_all
from pgm.hidden_markov.emissions import Emissions, Init, Numbers, Options, Statistics
from pgm.hidden_markov.token_sequences import TokenSequences, flatten

__all__ = ["CategoricalEmissions"]


@dataclass(frozen=True)
class CategoricalEmissions(Emissions):
    """Symbols, of which a missing one (-1, or None among strings) says nothing.

    The parameter is ``emission_probs`` (K, M). Prepared observations are their codes with M for
    missing; the statistics are the expected counts (K, M).

    Arguments:
        alphabet: the symbols; None learns them.
    """

    alphabet: Alphabet | None
    name: ClassVar[str] = "categorical"
    own_init: ClassVar[Init] = "random"

    @property
    def width(self) -> int:
        """Number of symbols."""
        return 0 if self.alphabet is None else len(self.alphabet)

    @property
    def symbols(self) -> tuple[str, ...] | range:
        """The symbols, in the order of their codes."""
        if self.alphabet is None:
            raise ValueError("the symbols are not known yet; fit the model, or give n_symbols")
        return self.alphabet.labels

    def config(self) -> dict[str, Any]:
        """The symbols or their number."""
        labels = None if self.alphabet is None else self.alphabet.labels
        return {"n_symbols": len(labels) if isinstance(labels, range) else labels and list(labels)}

    def read(
        self, sequences: Any, lengths: Any, *, learn: bool
    ) -> tuple[CategoricalEmissions, TokenSequences]:
        """Codes, -1 for missing."""
        parts, sizes = flatten(sequences, lengths, 0, _symbols)
        filled = [part for part in parts if len(part)]
        named = [isinstance(part, list) for part in filled]
        if any(named) and not all(named):
            raise TypeError("sequences must hold strings only or whole numbers only, found both")
        tokens: list[Any] | np.ndarray = np.concatenate(filled) if filled else np.zeros(0, int)
        if filled and all(named):
            tokens = [symbol for part in filled for symbol in part]
        absent = torch.from_numpy(
            np.array([symbol is None for symbol in tokens], dtype=bool)
            if isinstance(tokens, list)
            else tokens == -1
        )
        found = TokenSequences(torch.full((len(tokens),), -1), torch.from_numpy(sizes))
        self._check_codes(tokens, found)
        present = np.flatnonzero(~absent.numpy())
        known = [tokens[i] for i in present] if isinstance(tokens, list) else tokens[present]
        alphabet = self.alphabet
        if learn or alphabet is None:
            alphabet, encoded = encode_all(known)
            found.values[~absent] = encoded.codes
            return CategoricalEmissions(alphabet), found
        if len(known):
            self._check_known(alphabet, tokens, present, found)
            found.values[~absent] = alphabet.encode(known).codes
        return self, found

    @staticmethod
    def _check_codes(tokens: list[Any] | np.ndarray, found: TokenSequences) -> None:
        """Refuse codes below -1."""
        if isinstance(tokens, np.ndarray) and len(tokens) and tokens.min() < -1:
            token = int(tokens.argmin())
            raise ValueError(
                f"sequences hold {tokens[token]} at {found.place(token)}, which is no code; "
                "missing symbols are -1"
            )

    @staticmethod
    def _check_known(
        alphabet: Alphabet,
        tokens: list[Any] | np.ndarray,
        present: np.ndarray,
        found: TokenSequences,
    ) -> None:
        """Refuse symbols that the model does not have."""
        if isinstance(tokens, np.ndarray):
            wrong = np.flatnonzero(tokens >= len(alphabet))
        else:
            strange = {tokens[i] for i in present} - set(alphabet.labels)
            wrong = [i for i in present if tokens[i] in strange] if strange else []
        if len(wrong):
            token = int(wrong[0])
            raise ValueError(
                f"sequences hold {str(tokens[token])!r} at {found.place(token)}, which is not "
                f"among the {len(alphabet)} symbols of the model; give all symbols as n_symbols"
            )

    def blank(self, n_states: int) -> dict[str, Tensor]:
        """Equal probabilities."""
        width = max(self.width, 1)
        shape = (n_states, self.width)
        return {"emission_probs": torch.full(shape, 1 / width, dtype=torch.float64)}

    def check(self, numbers: Numbers) -> None:
        """Rows must be distributions."""
        check_distribution("emission_probs", numbers["emission_probs"])

    def n_parameters(self, n_states: int) -> int:
        """One less than symbols per state."""
        return n_states * (self.width - 1)

    def reference(self, values: Tensor) -> Tensor:
        """Counts of the symbols, (M,)."""
        return values[values >= 0].bincount(minlength=self.width).double()

    def learning_reference(self, values: Tensor) -> Tensor:
        """Counts of the symbols, (M,).

        Raises:
            ValueError: if there is none.
        """
        counts = self.reference(values)
        if not counts.any():
            raise ValueError("sequences must hold at least one symbol that is not missing")
        return counts

    def prepare(self, values: Tensor, reference: Any) -> Tensor:
        """Codes with M for missing."""
        return torch.where(values < 0, self.width, values)

    def log_likelihood(
        self, numbers: Numbers, prepared: Tensor, out: Tensor | None = None
    ) -> Tensor:
        """Table entries."""
        table = _log_table(numbers)
        return torch.gather(table, 1, prepared.expand(len(table), -1), out=out)

    def scores(
        self, numbers: Numbers, prepared: Tensor, out: Tensor | None = None
    ) -> SymbolEmissions:
        """The table, and the codes."""
        return SymbolEmissions(_log_table(numbers), prepared)

    def statistics(self, numbers: Numbers, prepared: Tensor, weights: Tensor) -> Statistics:
        """Expected counts."""
        counts = weights.new_zeros(len(weights), self.width + 1)
        return (counts.index_add_(1, prepared, weights)[:, :-1],)

    def maximize(
        self, numbers: Numbers, statistics: Statistics, reference: Any, options: Options
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Shares of the counts."""
        old = numbers["emission_probs"]
        counts = statistics[0] + options.emissions * (old > 0)
        total = counts.sum(1, keepdim=True)
        none = total == 0
        shares = torch.where(none, old, counts / total.masked_fill(none, 1.0))
        return {"emission_probs": shares}, none[:, 0]

    def log_prior(self, numbers: Numbers, options: Options) -> Tensor:
        """Dirichlet on the symbols that are possible."""
        logs = safe_log(numbers["emission_probs"])
        return (options.emissions * logs.masked_fill(logs.isinf(), 0.0)).sum()

    def broad(self, reference: Tensor, n_states: int) -> dict[str, Tensor]:
        """Shares of the symbols in all data, none of which is impossible."""
        counts = reference + 1
        return {"emission_probs": (counts / counts.sum()).expand(n_states, -1)}

    def memberships(
        self, values: Tensor, reference: Any, n_states: int, init: Init, generator: torch.Generator
    ) -> Tensor:
        """Every symbol belongs to the states in random proportions, uniform on the simplex.

        Raises:
            ValueError: if ``init`` is "kmeans": symbols have no distances.
        """
        if init == "kmeans":
            raise ValueError(
                "init must be 'random' or 'current' for categorical emissions, found 'kmeans': "
                "symbols have no distances"
            )
        size = (n_states, self.width + 1)
        device = values.device
        parts = torch.empty(size, dtype=torch.float64, device=device)
        parts.exponential_(generator=generator)
        return (parts / parts.sum(0))[:, self.prepare(values, None)]

    def sample(self, numbers: Numbers, states: Tensor, generator: torch.Generator) -> Tensor:
        """Codes, int64."""
        logs = safe_log(numbers["emission_probs"].detach())
        return categorical(logs[states], generator=generator)


def _log_table(numbers: Numbers) -> Tensor:
    """Log-probabilities of the symbols and of a missing one, (K, M + 1)."""
    logs = safe_log(numbers["emission_probs"])
    return torch.cat([logs, logs.new_zeros(len(logs), 1)], dim=1)


def _symbols(part: Any) -> list[str | None] | np.ndarray:
    """One part as strings, or as whole numbers."""
    if isinstance(part, np.ndarray) and part.dtype.kind in "iu":
        return part.astype(np.int64)
    items = part.tolist() if isinstance(part, np.ndarray) else list(part)
    kinds = set(map(type, items))
    if all([issubclass(kind, (int, np.integer)) and kind is not bool for kind in kinds]):
        return np.array(items, dtype=np.int64)
    if all([issubclass(kind, (str, type(None))) for kind in kinds]):
        return items
    raise TypeError(
        "sequences must hold strings only or whole numbers only (-1 or None for missing), found "
        f"{' and '.join(sorted([kind.__name__ for kind in kinds]))}"
    )
