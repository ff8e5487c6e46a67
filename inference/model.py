"""What every model shares: it is a torch module that knows its own construction and its file."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from inspect import signature
from itertools import chain
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from inference.tensor_files import read_tensors, write_tensors

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Model"]


class Model(nn.Module, ABC):
    """Abstract base of the models: parameters and buffers are the state, `config` the rest.

    Class, configuration and state determine a model; the three are what a file holds. A subclass
    is either abstract too or final, and a final one defines `config`.

    Attributes:
        history: what `fit` reports, one dict per iteration or epoch; not part of a file.

    Example:
        >>> import tempfile, torch
        >>> class Bias(Model):
        ...     def __init__(self, size: int) -> None:
        ...         super().__init__()
        ...         self.bias = torch.nn.Parameter(torch.zeros(size))
        ...
        ...     def config(self) -> dict[str, int]:
        ...         return {"size": len(self.bias)}
        >>> model = Bias(2)
        >>> _ = model.bias.data.copy_(torch.tensor([1.0, 2.0]))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model.save(f"{folder}/bias.safetensors")
        ...     Bias.load(f"{folder}/bias.safetensors").bias.tolist()
        [1.0, 2.0]
    """

    history: list[dict[str, Any]]

    def __init__(self) -> None:
        super().__init__()
        self.history = []

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """Arguments that build a model of this shape: JSON values, with strings as dict keys."""

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Build a model, untrained, from what `config` returned."""
        return cls(**config)

    def extra_repr(self) -> str:
        """What `config` returns, as far as it is short and not the constructor's default."""
        known = signature(type(self)).parameters
        defaults = {name: parameter.default for name, parameter in known.items()}
        given = {n: repr(v) for n, v in self.config().items() if v != defaults.get(n, ...)}
        return ", ".join(f"{name}={text}" for name, text in given.items() if len(text) <= 40)

    @property
    def device(self) -> torch.device:
        """Device of the first parameter or buffer; the CPU where there is none."""
        state = next(chain(self.parameters(), self.buffers()), None)
        return torch.device("cpu") if state is None else state.device

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to one .safetensors file: state, class name and configuration.

        The file is replaced as a whole or not at all. Tensors keep their type; those that share
        memory are stored each in full.

        Raises:
            TypeError: `config` returned something that is not JSON.
            FileNotFoundError: the folder does not exist.
        """
        write_tensors(path, type(self).__name__, self.config(), self.state_dict())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a model of this class from a file that `save` wrote; it is on the CPU.

        The file is data: nothing in it is run or names what is run.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: the file is damaged or no model file, holds another class, or its tensors
                do not fit the model its configuration describes.
        """
        return cls._loaded(path, cls.from_config)

    @classmethod
    def _loaded(
        cls, path: str | os.PathLike[str], build: Callable[[dict[str, Any]], Self]
    ) -> Self:
        """Read a model whose file does not hold all that builds it: ``build`` knows the rest."""
        source = os.fspath(path)
        config, tensors = read_tensors(source, cls.__name__)
        try:
            model = build(config)
        except Exception as error:  # a constructor may refuse arguments in its own way
            raise ValueError(
                f"{source}: the configuration in the file does not build a {cls.__name__}: {error}"
            ) from error
        _restore(model, tensors, source)
        return model


def _restore(model: Model, tensors: Mapping[str, Tensor], source: str) -> None:
    """Copy `tensors` into the state of `model`, which takes over their types."""
    state = model.state_dict(keep_vars=True)
    if missing := state.keys() - tensors.keys():
        raise ValueError(f"{source}: tensors are missing: {_listed(missing)}")
    if unknown := tensors.keys() - state.keys():
        raise ValueError(f"{source}: tensors that the model does not have: {_listed(unknown)}")
    for key, own in state.items():
        found = tensors[key]
        if found.shape != own.shape or _kind(found) != _kind(own):
            raise ValueError(
                f"{source}: tensor {key} must be {_kind(own)} of shape {tuple(own.shape)}, "
                f"found {found.dtype} of shape {tuple(found.shape)}"
            )
        # Not load_state_dict(assign=True), which would untie tensors known by two names.
        own.data = own.data.to(found.dtype)
    model.load_state_dict(dict(tensors))


def _kind(tensor: Tensor) -> str:
    """Kind of number in a tensor, whatever its precision."""
    if tensor.dtype is torch.bool:
        return "boolean"
    if tensor.is_complex():
        return "complex"
    return "floating" if tensor.is_floating_point() else "integer"


def _listed(names: Iterable[str], most: int = 5) -> str:
    """Sorted names for a message, cut short after `most` of them."""
    ordered = sorted(names)
    rest = f" and {len(ordered) - most} more" if len(ordered) > most else ""
    return ", ".join(ordered[:most]) + rest
