"""What chains have drawn, with all that going on takes.

.. math:: (x_{ct})_{c \\le C,\\, t \\le T}, \\qquad x_{c,t+1} \\sim K(x_{ct}, \\cdot)
"""

from __future__ import annotations

import os
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, SupportsIndex, TypeAlias

import torch
from torch import Tensor

from inference.diagnostics.block import per_dimension
from inference.diagnostics.effective_sample_size import ess_bulk, ess_tail
from inference.diagnostics.rhat import rhat
from inference.diagnostics.standard_error import Of, mcse
from inference.diagnostics.summary import Summary, summarize
from inference.inputs import as_tensor, as_whole
from inference.tensor_files import read_tensors, write_tensors

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Samples", "map_tensors"]

#: Names of the parts of a named tuple, and None for a tensor.
Structure: TypeAlias = "dict[str, Structure] | None"


@dataclass(frozen=True, eq=False)
class Samples:
    """Draws of Markov chains.

    Attributes:
        values: draws (chain, draw, *event); no draws if they were not kept.
        state: the kernel's state after the last step, a named tuple of tensors, or a tensor.
        generator_state: the random generator's state then, uint8, or a row for each part of the
            chains that were drawn in parts.
        observed: what the observers found, by name.
        carries: where the observers are, by name.

    Example:
        >>> Walk, source = namedtuple("Walk", "position"), torch.Generator()
        >>> draws = torch.arange(8.0).reshape(2, 4)
        >>> samples = Samples(draws, Walk(draws[:, -1]), source.get_state())
        >>> len(samples), samples.mean(), samples.quantile(0.5)
        (4, tensor(3.5000, dtype=torch.float64), tensor(3.5000, dtype=torch.float64))
    """

    values: Tensor
    state: Any
    generator_state: Tensor
    observed: Mapping[str, Any] = field(default_factory=dict)
    carries: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        """Number of draws of each chain."""
        return self.values.shape[1]

    def __repr__(self) -> str:
        shape, observed = tuple(self.values.shape), list(self.observed)
        return f"Samples(chain, draw, *event = {shape}, observed = {observed})"

    @property
    def flat(self) -> Tensor:
        """Draws of all chains, one chain after the other, (chain * draw, *event)."""
        return self.values.flatten(0, 1)

    def generator(self) -> torch.Generator:
        """A new generator in the state that the last step left.

        Raises:
            ValueError: the samples were drawn in parts, each with a generator of its own.
        """
        if self.generator_state.ndim > 1:
            raise ValueError(
                f"the samples have a generator for each of {len(self.generator_state)} parts; go "
                f"on with parts={len(self.generator_state)}, or pass generator"
            )
        generator = torch.Generator(self.values.device)
        generator.set_state(self.generator_state)
        return generator

    def thin(self, k: SupportsIndex) -> Self:
        """Only every k-th draw of each chain; what was observed stays.

        Raises:
            ValueError: unless k is from 1 to the number of draws.

        Example:
            >>> draws = torch.arange(8.0).reshape(2, 4)
            >>> samples = Samples(draws, draws[:, -1], torch.Generator().get_state())
            >>> samples.thin(2).values.tolist()
            [[1.0, 3.0], [5.0, 7.0]]
        """
        every = as_whole("k", k, least=1)
        if every > len(self):
            raise ValueError(f"k must be at most the number of draws {len(self)}, found {every}")
        return replace(self, values=self.values[:, every - 1 :: every])

    # Estimates and what they are worth ---------------------------------------------------------

    def mean(self) -> Tensor:
        """Means of all draws, (*event,) float64; NaN where one is not finite.

        Raises:
            ValueError: if no draws were kept.
        """
        return per_dimension(self.values, lambda block: block.mean, least=1)

    def std(self) -> Tensor:
        """Standard deviations with divisor S - 1, (*event,) float64; NaN as ``mean``.

        Raises:
            ValueError: if no draws were kept.
        """
        return per_dimension(self.values, lambda block: block.std, least=1)

    def quantile(self, q: float | Sequence[float] | Tensor) -> Tensor:
        """Quantiles of all draws, linear between order statistics; NaN as ``mean``.

        Arguments:
            q: a share from 0 to 1, or several.

        Shapes:
            result: (*event,) float64, or (len(q), *event).

        Raises:
            TypeError: if ``q`` holds no numbers.
            ValueError: for another share, or if no draws were kept.
        """
        wanted = as_tensor("q", q).double()
        shares = wanted.reshape(-1).tolist()
        if wanted.ndim > 1 or not shares or not all([0 <= share <= 1 for share in shares]):
            raise ValueError(f"q must be shares from 0 to 1, found {q}")
        result = per_dimension(
            self.values,
            lambda block: torch.stack([block.quantile(share) for share in shares]),
            least=1,
        )
        return result if wanted.ndim else result[0]

    def rhat(self) -> Tensor:
        """Whether the chains agree, (*event,): see :func:`inference.diagnostics.rhat.rhat`."""
        return rhat(self.values)

    def ess_bulk(self) -> Tensor:
        """Effective number of draws in the bulk, (*event,)."""
        return ess_bulk(self.values)

    def ess_tail(self) -> Tensor:
        """Effective number of draws in the tails, (*event,)."""
        return ess_tail(self.values)

    def mcse(self, of: Of = "mean") -> Tensor:
        """Standard error of "mean", "sd" or a quantile, (*event,)."""
        return mcse(self.values, of)

    def summary(self, quantiles: Sequence[float] = (0.05, 0.5, 0.95)) -> Summary:
        """A table to print: see :func:`inference.diagnostics.summary.summarize`."""
        return summarize(self.values, quantiles=quantiles)

    def to_arviz(self, name: str = "x") -> Any:
        """The draws as ArviZ takes them, a DataTree with the group ``posterior``.

        Raises:
            ImportError: if arviz-base is not installed.
        """
        try:
            from arviz_base import from_dict
        except ImportError as error:
            raise ImportError("to_arviz needs ArviZ; run: pip install arviz-base") from error
        return from_dict({"posterior": {name: self.values.cpu().numpy()}})

    # Files -------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write draws, state and generator to one .safetensors file, as a whole or not at all.

        Raises:
            TypeError: if the state or what was observed is not made of tensors.
            FileNotFoundError: the folder does not exist.

        Example:
            >>> import tempfile
            >>> draws = torch.arange(8.0).reshape(2, 4)
            >>> samples = Samples(draws, draws[:, -1], torch.Generator().get_state())
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     samples.save(f"{folder}/draws.safetensors")
            ...     len(Samples.load(f"{folder}/draws.safetensors"))
            4
        """
        parts = {name: getattr(self, name) for name in ("state", "observed", "carries")}
        tensors = {"values": self.values, "generator_state": self.generator_state}
        structure = {name: _unpack(name, part, tensors) for name, part in parts.items()}
        write_tensors(path, "Samples", structure, tensors)

    @classmethod
    def load(cls, path: str | os.PathLike[str], device: torch.device | str = "cpu") -> Self:
        """Read what `save` wrote. Named tuples come back with their fields, not their classes.

        The file is data: nothing in it is run.

        Arguments:
            path: the file.
            device: where the tensors go; a kernel goes on there.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: the file is damaged or holds something else.
        """
        source = os.fspath(path)
        structure, tensors = read_tensors(source, "Samples")
        moved = {
            name: tensor if name == "generator_state" else tensor.to(device)
            for name, tensor in tensors.items()
        }
        try:
            parts = {
                name: {key: _pack(_dotted(name, key), part, moved) for key, part in inner.items()}
                for name, inner in ((key, structure[key]) for key in ("observed", "carries"))
            }
            state = _pack("state", structure["state"], moved)
            return cls(moved["values"], state, moved["generator_state"], **parts)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{source}: its parts do not fit together ({error!r})") from error


def map_tensors(function: Callable[[Tensor], Tensor], value: Any) -> Any:
    """A named tuple of tensors, or of further ones, with a function applied to each tensor.

    Example:
        >>> Pair = namedtuple("Pair", "a b")
        >>> map_tensors(torch.neg, Pair(torch.tensor(1), torch.tensor(2)))
        Pair(a=tensor(-1), b=tensor(-2))
    """
    if isinstance(value, Tensor):
        return function(value)
    return type(value)(*[map_tensors(function, part) for part in value])


def _unpack(name: str, value: Any, tensors: dict[str, Tensor]) -> Structure:
    """Enter the tensors of nested named tuples under dotted names; return the nesting."""
    if isinstance(value, Tensor):
        tensors[name] = value
        return None
    try:
        parts = value if isinstance(value, Mapping) else value._asdict()
    except AttributeError:
        raise TypeError(
            f"{name} must be a tensor or a named tuple of them to be saved, "
            f"found {type(value).__name__}"
        ) from None
    return {key: _unpack(_dotted(name, key), part, tensors) for key, part in parts.items()}


def _pack(name: str, structure: Structure, tensors: Mapping[str, Tensor]) -> Any:
    """The nested named tuples that `_unpack` took apart."""
    if structure is None:
        return tensors[name]
    parts = {key: _pack(_dotted(name, key), part, tensors) for key, part in structure.items()}
    return namedtuple("State", list(parts))(**parts)


def _dotted(name: str, key: str) -> str:
    """The name of a part; dots of its own key are told from those between names."""
    escaped = key.replace("\\", "\\\\").replace(".", "\\.")
    return f"{name}.{escaped}"
