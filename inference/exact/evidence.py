"""What the user observed, in every spelling, turned into state codes and likelihood vectors.

A value is a state (label or code), a 1-D batch of states in which -1 or None means unobserved, or
a likelihood vector (card,) or (B, card) of floats (soft evidence).
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from inference.inputs import unmasked

__all__ = ["Evidence", "Variables", "is_pandas"]


@dataclass(frozen=True)
class Evidence:
    """Evidence by variable number, either for one query or for a batch of rows.

    Arguments:
        states: observed state codes; (B,) arrays with -1 for unobserved when ``rows`` is given.
        weights: likelihood vectors, (card,) or (B, card).
        rows: the number of rows of a batch, None for a single query.
    """

    states: dict[int, Any] = field(default_factory=dict)
    weights: dict[int, np.ndarray] = field(default_factory=dict)
    rows: int | None = None

    def log_weights(
        self, cards: Sequence[int], device: torch.device
    ) -> tuple[dict[int, int], dict[int, Tensor]]:
        """Scalar states, and everything else as log likelihoods (card,) or (B, card)."""
        states: dict[int, int] = {}
        weights: dict[int, Tensor] = {}
        for v, state in self.states.items():
            if np.ndim(state) == 0:
                states[v] = int(state)
                continue
            column = torch.from_numpy(np.array(state)).to(device)
            codes = torch.arange(cards[v], device=device)
            agrees = (column[:, None] == codes) | (column[:, None] < 0)
            weights[v] = agrees.double().log()
        for v, weight in self.weights.items():
            weights[v] = torch.from_numpy(np.array(weight)).to(device).log()
        return states, weights


class Variables:
    """Names, state labels and their numbers.

    Arguments:
        states: per variable its number of states or its labels.

    Example:
        >>> v = Variables({"rain": ["no", "yes"], "dice": 6})
        >>> v.evidence({"rain": "yes", "dice": 3}).states
        {0: 1, 1: 3}
    """

    def __init__(self, states: Mapping[str, int | Sequence[str]]) -> None:
        if not isinstance(states, Mapping):
            raise TypeError(
                "states must map variable names to their numbers of states or labels, found "
                f"{type(states).__name__}"
            )
        self.labels: dict[str, tuple[str, ...] | None] = {}
        cards = []
        for name, given in states.items():
            labels, card = _labels(name, given)
            self.labels[name] = labels
            cards.append(card)
        self.names = tuple(self.labels)
        self.cards = tuple(cards)
        self.index = {name: i for i, name in enumerate(self.names)}
        self._codes = {
            name: {label: code for code, label in enumerate(labels)}
            for name, labels in self.labels.items()
            if labels is not None
        }

    @property
    def states(self) -> dict[str, int | tuple[str, ...]]:
        """Labels of every variable, or its number of states: what the constructor takes."""
        return {
            name: card if known is None else known
            for (name, known), card in zip(self.labels.items(), self.cards, strict=True)
        }

    def number(self, name: object, argument: str = "variables") -> int:
        """Return the number of a variable, or raise a ValueError that names it."""
        found = self.index.get(name) if isinstance(name, str) else None
        if found is None:
            raise ValueError(
                f"{argument}: unknown variable {name!r}; the model has {_shorten(self.names)}"
            )
        return found

    def numbers(
        self, names: str | Sequence[str] | None, argument: str = "variables"
    ) -> Sequence[int]:
        """Return the numbers of several variables (a range of all of them for None)."""
        if names is None:
            return range(len(self.names))
        if isinstance(names, str):
            names = [names]
        found = [self.number(name, argument) for name in names]
        if len(set(found)) != len(found):
            raise ValueError(f"{argument} names a variable twice: {list(names)!r}")
        return found

    def code(self, variable: int, state: object, argument: str = "evidence") -> int:
        """Return the code of a state given as label or integer."""
        name, card = self.names[variable], self.cards[variable]
        if isinstance(state, str):
            code = self._codes.get(name, {}).get(state)
            if code is None:
                known = self.labels[name] or tuple(map(str, range(card)))
                kind = "the labels" if self.labels[name] else "only the codes"
                raise ValueError(
                    f"{argument}[{name!r}]: unknown state {state!r}; it has {kind} "
                    f"{_shorten(known)}"
                )
            return code
        if isinstance(state, (bool, np.bool_)) or not isinstance(state, (int, np.integer)):
            raise TypeError(
                f"{argument}[{name!r}] must be a state label, an integer code, a batch of them or "
                f"a float likelihood vector, not {type(state).__name__} {state!r}"
            )
        if not -1 <= state < card:
            raise ValueError(
                f"{argument}[{name!r}]: state code {int(state)} is outside 0..{card - 1}"
            )
        return int(state)

    def label(self, variable: int, code: int) -> str | int:
        """Return the label of a state; the code itself where states were given as a number."""
        labels = self.labels[self.names[variable]]
        return code if labels is None else labels[code]

    def codes(self, variable: int, column: Any, argument: str = "evidence") -> np.ndarray:
        """Turn a batch of labels or codes, with -1, None or NaN for missing, into int64 codes."""
        array = np.asarray(column)
        name, card = self.names[variable], self.cards[variable]
        if array.ndim != 1:
            raise ValueError(
                f"{argument}[{name!r}] must be one column of states, found shape {array.shape}"
            )
        if array.dtype.kind in "iu":
            codes = array
        elif array.dtype.kind == "f":
            filled = np.where(np.isnan(array), -1, array)
            wrong = (filled != np.floor(filled)) | (np.abs(filled) > card)
            if wrong.any():
                raise ValueError(
                    f"{argument}[{name!r}]: state codes must be whole numbers in 0..{card - 1} "
                    f"(-1 or NaN = missing), found {filled[wrong][0]:g}"
                )
            codes = filled.astype(np.int64)
        else:
            seen: dict[object, int] = {}
            codes = np.empty(array.shape, dtype=np.int64)
            for i, state in enumerate(array.tolist()):
                if not isinstance(state, Hashable) or state not in seen:
                    missing = state is None or type(state).__name__ == "NAType"
                    missing = missing or (isinstance(state, float) and state != state)
                    seen[state] = -1 if missing else self.code(variable, state, argument)
                codes[i] = seen[state]
        if codes.size and (codes.min() < -1 or codes.max() >= card):
            bad = codes[(codes < -1) | (codes >= card)][0]
            raise ValueError(
                f"{argument}[{name!r}]: state code {bad} is outside 0..{card - 1} (-1 = missing)"
            )
        # After the test: the largest unsigned number would turn into -1.
        return codes.astype(np.int64, copy=False)

    def evidence(self, given: Mapping[str, Any] | None) -> Evidence:
        """Read evidence in any of its spellings.

        Raises:
            TypeError: evidence is not a mapping, or a value has no meaning as a state.
            ValueError: unknown variable or state, a column twice, wrong length, NaN or negative
                likelihood.
        """
        if given is None:
            return Evidence()
        if not isinstance(given, Mapping) and not is_pandas(given):
            raise TypeError(
                f"evidence must map variable names to states, not {type(given).__name__}"
            )
        states: dict[int, Any] = {}
        weights: dict[int, np.ndarray] = {}
        lengths: dict[str, int] = {}
        seen: set[int] = set()
        for name, value in given.items():
            variable = self.number(name, "evidence")
            if variable in seen:
                raise ValueError(
                    f"evidence has more than one column {name!r}; keep one column per variable"
                )
            seen.add(variable)
            if value is None:
                continue
            if isinstance(value, (str, int, np.integer)):
                code = self.code(variable, value)
                if code >= 0:
                    states[variable] = code
                continue
            array = _as_array(value, name)
            if array.ndim == 0:
                # A row of a frame holds what its columns do: codes as floats, and gaps.
                row = is_pandas(given)
                code = self.codes(variable, array[None])[0] if row else array.item()
                code = self.code(variable, code)
                if code >= 0:
                    states[variable] = code
            elif array.dtype.kind == "f" and not is_pandas(value):
                weights[variable] = self._likelihood(variable, array)
                if array.ndim == 2:
                    lengths[name] = len(array)
            elif array.ndim == 1:
                states[variable] = self.codes(variable, array)
                lengths[name] = len(array)
            else:
                raise ValueError(
                    f"evidence[{name!r}] has shape {array.shape}; a batch of states is 1-D"
                )
        rows = None
        if lengths:
            if len(set(lengths.values())) > 1:
                raise ValueError(f"evidence has batches of different lengths: {lengths}")
            rows = next(iter(lengths.values()))
        return Evidence(states, weights, rows)

    def _likelihood(self, variable: int, array: np.ndarray) -> np.ndarray:
        """Check a likelihood vector or a batch of them."""
        name, card = self.names[variable], self.cards[variable]
        if array.ndim > 2 or array.shape[-1] != card:
            raise ValueError(
                f"evidence[{name!r}]: a likelihood needs shape ({card},) or (B, {card}), "
                f"found {array.shape}"
            )
        array = array.astype(np.float64)
        if not np.isfinite(array).all() or (array < 0).any():
            raise ValueError(
                f"evidence[{name!r}]: a likelihood must be finite and not negative, found "
                f"{array[~(np.isfinite(array) & (array >= 0))][:3]}"
            )
        return array

    def describe(self, evidence: Evidence) -> str:
        """Spell evidence out for a message."""
        shown = {
            self.names[v]: self.label(v, s) for v, s in evidence.states.items() if np.ndim(s) == 0
        }
        shown |= {self.names[v]: w.tolist() for v, w in evidence.weights.items() if w.ndim == 1}
        items = [f"{name!r}: {value!r}" for name, value in shown.items()]
        more = f", ... ({len(items)} in all)" if len(items) > 12 else ""
        return "{" + ", ".join(items[:12]) + more + "}"


def _labels(name: object, given: int | Sequence[str]) -> tuple[tuple[str, ...] | None, int]:
    """Check one variable's states; return its labels (None for a number) and their count."""
    if not isinstance(name, str):
        raise TypeError(f"variable names must be strings, found {name!r}")
    if isinstance(given, (int, np.integer)) and not isinstance(given, bool):
        if given < 1:
            raise ValueError(f"states[{name!r}] must be at least 1, found {given}")
        return None, int(given)
    if isinstance(given, range) and given == range(len(given)) and given:
        return None, len(given)
    # Tuples and lists before what else is a sequence: that takes longer to tell.
    if isinstance(given, str) or not isinstance(given, (tuple, list, Sequence)):
        raise TypeError(
            f"states[{name!r}] must be a number of states or a sequence of labels, "
            f"not {type(given).__name__}"
        )
    labels = tuple(given)
    if not labels:
        raise ValueError(f"states[{name!r}] is empty; a variable needs at least one state")
    wrong = [label for label in labels if not isinstance(label, str)]
    if wrong:
        raise TypeError(f"states[{name!r}]: labels must be strings, found {wrong[0]!r}")
    if len(set(labels)) != len(labels):
        raise ValueError(f"states[{name!r}] has a label twice: {_shorten(labels)}")
    return labels, len(labels)


def _as_array(value: Any, name: str) -> np.ndarray:
    """View tensors, arrays, lists and pandas columns as a numpy array."""
    if isinstance(value, torch.Tensor):
        tensor = value.detach().cpu()
        # numpy has no bfloat16.
        return (tensor.double() if tensor.is_floating_point() else tensor).numpy()
    value = unmasked(value, object)
    try:
        return np.asarray(value, dtype=object if _has_labels(value) else None)
    except ValueError as error:
        raise ValueError(f"evidence[{name!r}] is ragged: {error}") from None


def _has_labels(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and any(
        isinstance(item, str) or item is None for item in value
    )


def is_pandas(value: object) -> bool:
    """Whether a value is a pandas object: its floats are codes with NaN for missing.

    Asked without importing pandas.
    """
    return type(value).__module__.partition(".")[0] == "pandas"


def _shorten(names: Sequence[object]) -> str:
    shown = ", ".join(repr(name) for name in list(names)[:8])
    return f"{shown}, ... ({len(names)} in all)" if len(names) > 8 else shown
