"""Named real variables: rows of data and evidence about them, read from whatever a user has.

.. math:: x \\in (\\mathbb{R} \\cup \\{\\mathrm{NaN}\\})^V, \\qquad \\mathrm{NaN} = \\text{missing}
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from inference.exact.evidence import is_pandas
from inference.inputs import as_weights, unmasked

__all__ = ["RealVariables", "as_reals", "row_weights"]


def as_reals(value: Any, argument: str) -> Tensor:
    """Turn numbers of any kind into a floating-point tensor; None becomes NaN.

    Arguments:
        value: a number, a tensor, an array or nested lists.
        argument: its name, for messages.

    Shapes:
        result: that of the value; integers become float64.

    Raises:
        TypeError: if it does not hold real numbers.
        ValueError: if it is ragged or holds an infinity.

    Example:
        >>> as_reals([1, None], "x")
        tensor([1., nan], dtype=torch.float64)
    """
    if isinstance(value, Tensor):
        found = value if value.is_floating_point() or value.is_complex() else value.double()
    else:
        found = torch.from_numpy(_as_array(value, argument))
    if found.is_complex():
        raise TypeError(f"{argument} must hold real numbers, found dtype {found.dtype}")
    if found.isinf().any():
        where = tuple(found.isinf().nonzero()[0].tolist())
        raise ValueError(
            f"{argument} must be finite (NaN = missing), found {found[where].item()}"
            + (f" at index {where}" if where else "")
        )
    return found


def row_weights(sample_weight: Any, n_rows: int) -> Tensor:
    """Weights of the rows, float64 (n,), not all zero; ones where None is given.

    Raises:
        TypeError, ValueError: as ``as_weights``; all are zero.

    Example:
        >>> row_weights([2, 0], 2)
        tensor([2., 0.], dtype=torch.float64)
    """
    weights = as_weights(sample_weight, n_rows)
    if sample_weight is not None and not weights.sum() > 0:
        raise ValueError("sample_weight must not be zero in every row")
    return weights


class RealVariables:
    """The names of real variables, in order; reads tables and evidence by them.

    Arguments:
        names: the variables; at least one, no repeats.

    Attributes:
        names: the variables.
        index: the number of every name.

    Raises:
        TypeError: if ``names`` is no sequence of strings.
        ValueError: if there is none, or one is there twice.

    Example:
        >>> variables = RealVariables(["a", "b"])
        >>> variables.evidence({"b": [1.0, 2.0]}, torch.zeros(0))
        (tensor([[nan, 1.],
                [nan, 2.]]), True)
    """

    def __init__(self, names: Sequence[str]) -> None:
        if isinstance(names, str) or not isinstance(names, Iterable):
            raise TypeError(f"variables must be a sequence of names, found {names!r}")
        self.names = tuple(names)
        self.index = {name: number for number, name in enumerate(self.names)}
        for name in self.names:
            if not isinstance(name, str):
                raise TypeError(f"variables must be strings, found {name!r}")
        if not self.names:
            raise ValueError("variables must hold at least one name, found none")
        if len(self.index) < len(self.names):
            twice = next(name for name in self.names if self.names.count(name) > 1)
            raise ValueError(f"variables must be different, found {twice!r} twice")

    def number(self, name: str, argument: str = "name") -> int:
        """The place of a name."""
        try:
            return self.index[name]
        except (KeyError, TypeError):
            known = ", ".join(self.names[:8]) + (", ..." if len(self.names) > 8 else "")
            raise ValueError(f"{argument}: unknown variable {name!r}; there are {known}") from None

    def numbers(self, names: str | Iterable[str] | None, argument: str) -> list[int]:
        """Places of one name or several different ones; of all for None."""
        if names is None:
            return list(range(len(self.names)))
        listed = [names] if isinstance(names, str) else list(names)
        found = [self.number(name, argument) for name in listed]
        if len(set(found)) < len(found):
            raise ValueError(f"{argument}: a variable is there twice in {listed}")
        return found

    def rows(self, data: Any, argument: str) -> Tensor:
        """Rows of data as an (n, V) tensor of floats, NaN = missing.

        Arguments:
            data: (n, V) numbers in the order of the names, or a DataFrame with a column per name.
            argument: its name, for messages.
        """
        if is_pandas(data):
            return self._from_frame(data, argument)
        rows = as_reals(data, argument)
        if rows.ndim != 2 or rows.shape[1] != len(self.names):
            raise ValueError(
                f"{argument} must have shape (n, {len(self.names)}), found {tuple(rows.shape)}"
            )
        return rows

    def evidence(self, evidence: Mapping[str, Any] | None, like: Tensor) -> tuple[Tensor, bool]:
        """Rows of evidence, (B, V) with NaN = unobserved, and whether it was a batch.

        Arguments:
            evidence: name -> a number or a 1-D batch; NaN or None = unobserved.
            like: gives the type and the device of the rows.

        Raises:
            TypeError, ValueError: unknown names, more axes than one, batches of several lengths.
        """
        if evidence is not None and not isinstance(evidence, Mapping):
            raise TypeError(f"evidence must map names to values, found {type(evidence).__name__}")
        values: dict[int, Tensor] = {}
        for name, value in (evidence or {}).items():
            found = as_reals(value, f"evidence[{name!r}]").to(like)
            if found.ndim > 1:
                raise ValueError(
                    f"evidence[{name!r}] must be a number or a 1-D batch, "
                    f"found shape {tuple(found.shape)}"
                )
            values[self.number(name, "evidence")] = found
        lengths = {len(value) for value in values.values() if value.ndim}
        if len(lengths) > 1:
            raise ValueError(f"evidence has batches of different lengths: {sorted(lengths)}")
        missing = like.new_full((), torch.nan)
        n_rows = max(lengths, default=1)
        columns = [values.get(v, missing).expand(n_rows) for v in range(len(self.names))]
        return torch.stack(columns, dim=1), bool(lengths)

    def values(self, given: Any, default: float, argument: str) -> Tensor:
        """One number per variable, float64 (V,), from a mapping by name or an array."""
        if given is None:
            return torch.full((len(self.names),), default, dtype=torch.float64)
        if isinstance(given, Mapping):
            for name in given:
                self.number(name, argument)
            if missing := [name for name in self.names if name not in given]:
                raise ValueError(f"{argument} has no value for {missing[0]!r}; give all or None")
            given = torch.stack(
                [_number(given[name], f"{argument}[{name!r}]") for name in self.names]
            )
        found = as_reals(given, argument).detach().double()
        if found.shape != (len(self.names),):
            raise ValueError(
                f"{argument} must have shape ({len(self.names)},), found {tuple(found.shape)}"
            )
        if found.isnan().any():
            name = self.names[int(found.isnan().nonzero()[0])]
            raise ValueError(f"{argument} must not hold NaN, found one for {name!r}")
        return found

    def edge_values(self, given: Any, edges: Sequence[tuple[str, str]], argument: str) -> Tensor:
        """One number per edge, float64 (V, V), from a mapping by (parent, child) or a matrix."""
        size = len(self.names)
        pairs = {(self.index[parent], self.index[child]) for parent, child in edges}
        found = torch.zeros(size, size, dtype=torch.float64)
        if given is None:
            return found
        if isinstance(given, Mapping):
            if unknown := [pair for pair in given if pair not in set(edges)]:
                raise ValueError(f"{argument}: there is no edge {unknown[0]!r}")
            for pair in edges:
                if pair not in given:
                    raise ValueError(f"{argument} has no value for the edge {pair!r}")
                place = self.index[pair[0]], self.index[pair[1]]
                found[place] = _number(given[pair], f"{argument}[{pair!r}]")
        else:
            matrix = as_reals(given, argument).detach().double().cpu()
            if matrix.shape != (size, size):
                raise ValueError(
                    f"{argument} must have shape ({size}, {size}), found {tuple(matrix.shape)}"
                )
            found = matrix.clone()
        for parent, child in found.nonzero().tolist():
            if found[parent, child].isnan() or (parent, child) not in pairs:
                pair = self.names[parent], self.names[child]
                problem = "there is no such edge" if (parent, child) not in pairs else "give a sum"
                raise ValueError(
                    f"{argument}: found {found[parent, child]:g} for {pair!r}; {problem}"
                )
        return found

    def _from_frame(self, data: Any, argument: str) -> Tensor:
        """The columns of a DataFrame by name."""
        columns = getattr(data, "columns", None)
        if columns is None:
            raise TypeError(f"{argument} must be a table, found a pandas {type(data).__name__}")
        missing = [name for name in self.names if name not in columns]
        if missing:
            raise ValueError(
                f"{argument} has no column for {missing[0]!r} ({len(missing)} missing); "
                "a column of NaN stands for a variable that is never observed"
            )
        found = [as_reals(_plain(data[name]), f"{argument}[{name!r}]") for name in self.names]
        return torch.stack([column.double() for column in found], dim=1)


def _as_array(value: Any, argument: str) -> np.ndarray:
    """A floating-point array of its own memory; None and masked entries become NaN."""
    try:
        array = np.asarray(unmasked(value, float))
        if array.dtype.kind == "O":
            array = array.astype(np.float64)
    except (TypeError, ValueError) as error:
        kind = ValueError if "inhomogeneous" in str(error) else TypeError
        raise kind(f"{argument} must hold real numbers in a regular shape: {error}") from None
    if array.dtype.kind not in "buifc":
        raise TypeError(f"{argument} must hold real numbers, found {array.dtype}")
    if array.dtype.kind in "bui" or array.dtype == np.longdouble:
        return array.astype(np.float64)
    return np.array(array, dtype=array.dtype.newbyteorder("="), order="C")


def _number(value: Any, argument: str) -> Tensor:
    """One number, not NaN, as float64 on the CPU."""
    found = as_reals(value, argument).detach().double().cpu()
    if found.ndim or found.isnan():
        raise ValueError(f"{argument} must be one number, found {value!r}")
    return found


def _plain(column: Any) -> np.ndarray:
    """A column as an array; the missing values of extension types become NaN."""
    if column.dtype.kind in "fiub" and not isinstance(column.dtype, np.dtype):
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    return column.to_numpy()
