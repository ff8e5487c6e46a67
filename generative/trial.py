"""What users pass, tried: networks on a few rows, numbers for their kind.

.. math:: f : (\\text{batch}, *\\text{in}) \\to (\\text{batch}, *\\text{out})
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from inference.inputs import Values

__all__ = [
    "SAVED",
    "as_modules",
    "evaluating",
    "holds_whole_numbers",
    "like_of",
    "one_per_row",
    "tried",
]

#: What a network must be that is handed in for a file.
SAVED = "a module like the one that was saved, as files hold parameters only"


def as_modules(networks: Mapping[str, object], wanted: str = "a torch module") -> list[nn.Module]:
    """Networks as they were passed, by name.

    Raises:
        TypeError: for what is none.
    """
    found = []
    for name, network in networks.items():
        if not isinstance(network, nn.Module):
            raise TypeError(f"{name} must be {wanted}, found {type(network).__name__}")
        found.append(network)
    return found


def like_of(*networks: nn.Module) -> Tensor:
    """A tensor () of the type and on the device of the first parameter of networks.

    Example:
        >>> like_of(nn.ReLU(), nn.Linear(1, 1).double()).dtype
        torch.float64
    """
    for network in networks:
        for x in network.parameters():
            if x.is_floating_point():
                return x.detach().new_zeros(())
    return torch.zeros(())


@contextmanager
def evaluating(*networks: nn.Module) -> Iterator[None]:
    """Networks in evaluation mode for a while, layer by layer as before afterwards.

    Example:
        >>> network = nn.Dropout()
        >>> with evaluating(network):
        ...     print(network.training)
        False
        >>> network.training
        True
    """
    modes = [(part, part.training) for network in networks for part in network.modules()]
    for network in networks:
        network.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training


def holds_whole_numbers(x: Values) -> bool:
    """Whether numbers as a user passed them, in whatever they came, are of a whole type.

    Example:
        >>> holds_whole_numbers([1, 0]), holds_whole_numbers(torch.ones(1))
        (True, False)
    """
    if isinstance(x, Tensor):
        return not x.is_floating_point()
    return np.asarray(x).dtype.kind != "f"


def tried(name: str, network: Callable[..., Any], *inputs: Tensor | None) -> Tensor:
    """What a network makes of some rows, and of what it is told besides.

    Arguments:
        name: of the network, for messages.
        network: the module, or a method.
        inputs: what it is given, but for what is None.

    Raises:
        ValueError: if it does not take them, or returns no tensor.

    Example:
        >>> tried("decoder", nn.Linear(2, 3), torch.zeros(1, 2), None).shape
        torch.Size([1, 3])
    """
    given = [x for x in inputs if x is not None]
    try:
        found = network(*given)
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        shapes = " and ".join(
            ["(batch" + "".join([f", {k}" for k in x.shape[1:]]) + ")" for x in given]
        )
        raise ValueError(f"{name} must take {shapes}, found: {error}") from error
    if not isinstance(found, Tensor):
        raise ValueError(f"{name} must return a tensor, found {type(found).__name__}")
    return found


def one_per_row(name: str, found: Tensor, rows: int) -> Tensor:
    """What a network made of so many rows as numbers, (rows,).

    Raises:
        ValueError: if it is not one for each.
    """
    if found.shape not in ((rows,), (rows, 1)):
        raise ValueError(
            f"{name} must return one number per row, (batch,) or (batch, 1), found "
            f"{tuple(found.shape)} for {rows} rows"
        )
    return found.flatten()
