"""How gradients become steps: the optimiser, its settings, and its state as tensors.

.. math:: m_t = \\beta_1 m_{t-1} + (1 - \\beta_1) g_t, \\quad
          v_t = \\beta_2 v_{t-1} + (1 - \\beta_2) g_t^2, \\quad
          \\theta_t = \\theta_{t-1} - \\eta_t \\frac{m_t / (1 - \\beta_1^t)}
          {\\sqrt{v_t / (1 - \\beta_2^t)} + \\epsilon}
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from types import FunctionType, MethodType
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

from inference.inputs import as_whole, check_choice
from inference.learning.schedule import Decay, Schedule

__all__ = ["MakeOptimizer", "Method", "Optimization", "load_optimizer_state", "optimizer_state"]

Method: TypeAlias = Literal["adam", "adamw", "rmsprop", "sgd"]

#: What the names of plain numbers in the state of an optimiser begin with.
NUMBER = "number."

#: From parameters to an optimiser of torch; its rates are the first ones of the schedule.
MakeOptimizer: TypeAlias = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]


@dataclass(frozen=True)
class Optimization:
    """How gradients become steps, and which weights are kept.

    Arguments:
        method: "adam", "adamw" (weight decay apart from the gradient), "rmsprop" or "sgd"; or a
            function from parameters to an optimiser of torch, which ignores ``betas``,
            ``momentum`` and ``weight_decay``.
        betas: what Adam keeps of its mean gradient and mean squared gradient; "rmsprop" takes the
            second one.
        momentum: of "sgd" and "rmsprop".
        weight_decay: as torch's optimisers mean it.
        clip_norm: gradients of a larger norm are scaled down to it; None leaves them.
        ema: share of its past that an exponential mean of the weights keeps at every step, which
            is what learning leaves behind then; None keeps the last weights.
        decay: how the rate falls.
        mixed_precision: products in bfloat16, parameters as they are.
        parts: how many a batch is cut in, each with draws of its own, which the processes that
            ``inference.parallel.join`` brings together share: the result is that of one process
            up to the order of sums. None learns from whole batches.

    Raises:
        ValueError: numbers that make no sense.

    Reference:
        Kingma & Ba 2015, "Adam: a method for stochastic optimization", algorithm 1; Loshchilov &
        Hutter 2019, "Decoupled weight decay regularization", algorithm 2.

    Example:
        >>> type(Optimization("adamw").optimizer([nn.Parameter(torch.ones(2))])).__name__
        'AdamW'
    """

    method: Method | MakeOptimizer = "adam"
    betas: tuple[float, float] = (0.9, 0.999)
    momentum: float = 0.0
    weight_decay: float = 0.0
    clip_norm: float | None = None
    ema: float | None = None
    decay: Decay = "linear"
    mixed_precision: bool = False
    parts: int | None = None

    def __post_init__(self) -> None:
        if not callable(self.method):
            check_choice("method", self.method, Method)
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas must be two shares from 0 to below 1, found {self.betas}")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum must be from 0 to below 1, found {self.momentum}")
        if not 0 <= self.weight_decay < math.inf:
            raise ValueError(f"weight_decay must be at least 0, found {self.weight_decay}")
        if self.clip_norm is not None and not 0 < self.clip_norm < math.inf:
            raise ValueError(f"clip_norm must be positive or None, found {self.clip_norm}")
        if self.ema is not None and not 0 < self.ema < 1:
            raise ValueError(f"ema must be between 0 and 1 or None, found {self.ema}")
        _ = Schedule(decay=self.decay)
        # Plain numbers, as checkpoints hold them; torch takes no whole ones for betas.
        object.__setattr__(self, "betas", (float(self.betas[0]), float(self.betas[1])))
        for name in ("momentum", "weight_decay", "clip_norm", "ema"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, float(getattr(self, name)))
        if self.parts is not None:
            object.__setattr__(self, "parts", as_whole("parts", self.parts, least=1))

    def optimizer(self, parameters: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
        """The optimiser of some parameters; its rate is set at every step.

        Raises:
            TypeError: a method that makes none.
        """
        optim, decay = torch.optim, self.weight_decay
        if callable(self.method):
            found = self.method(parameters)
            if not isinstance(found, torch.optim.Optimizer):
                raise TypeError(
                    f"method must return an optimizer of torch, found {type(found).__name__}"
                )
            return found
        # One kernel for all parameters, where there is one.
        fused = all(x.is_floating_point() and x.device.type in ("cpu", "cuda") for x in parameters)
        if self.method == "adam":
            return optim.Adam(parameters, betas=self.betas, weight_decay=decay, fused=fused)
        if self.method == "adamw":
            return optim.AdamW(parameters, betas=self.betas, weight_decay=decay, fused=fused)
        if self.method == "rmsprop":
            return optim.RMSprop(
                parameters, alpha=self.betas[1], momentum=self.momentum, weight_decay=decay
            )
        return optim.SGD(parameters, momentum=self.momentum, weight_decay=decay, fused=fused)

    def as_json(self) -> dict[str, Any]:
        """The settings as JSON values."""
        found = {**asdict(self), "method": _method_name(self.method)}
        if self.parts is None:  # as files say that know no parts
            del found["parts"]
        return found


def _method_name(method: Method | MakeOptimizer) -> str:
    """What a file says of a method."""
    if isinstance(method, partial):
        return _method_name(method.func)
    if isinstance(method, (type, FunctionType, MethodType)):
        return method.__qualname__
    return type(method).__qualname__ if callable(method) else method


def optimizer_state(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Moments and counts of an optimiser, by place of the parameter and name.

    Plain numbers have "number." before that.

    Raises:
        TypeError: it keeps something that is no tensor and no number.

    Example:
        >>> optimizer_state(torch.optim.SGD([nn.Parameter(torch.ones(2))]))
        {}
    """
    found: dict[str, Tensor] = {}
    for place, state in optimizer.state_dict()["state"].items():
        for name, x in state.items():
            if isinstance(x, Tensor):
                found[f"{place}.{name}"] = x
            elif isinstance(x, (int, float)):
                dtype = torch.float64 if isinstance(x, float) else None
                found[f"{NUMBER}{place}.{name}"] = torch.tensor(x, dtype=dtype)
            elif x is not None:
                raise TypeError(
                    f"the optimizer keeps a {type(x).__name__} ({name}), which no checkpoint "
                    "holds; learn without a checkpoint, or with another optimizer"
                )
    return found


def load_optimizer_state(optimizer: torch.optim.Optimizer, state: Mapping[str, Tensor]) -> None:
    """Give an optimiser the state that ``optimizer_state`` returned of another one.

    Raises:
        ValueError: a tensor of a parameter that it does not have, or of another shape.

    Example:
        >>> place = nn.Parameter(torch.ones(2))
        >>> first, second = (torch.optim.SGD([place], momentum=0.5) for _ in range(2))
        >>> place.sum().backward()
        >>> first.step()
        >>> load_optimizer_state(second, optimizer_state(first))
        >>> optimizer_state(second)
        {'0.momentum_buffer': tensor([1., 1.])}
    """
    parameters = [x for group in optimizer.param_groups for x in group["params"]]
    by_place: dict[int, dict[str, Any]] = {}
    for key, x in state.items():
        place, _, name = key.removeprefix(NUMBER).partition(".")
        own = parameters[int(place)] if int(place) < len(parameters) else None
        if own is None or not _fits(x.shape, own.shape):
            wanted = "no such parameter" if own is None else f"shape {tuple(own.shape)}"
            raise ValueError(
                f"the optimizer's {name} of parameter {place} has shape {tuple(x.shape)}, "
                f"but there is {wanted}; go on with the networks that it was written for"
            )
        value = x.item() if key.startswith(NUMBER) else x
        by_place.setdefault(int(place), {})[name] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": by_place, "param_groups": groups})


def _fits(found: torch.Size, own: torch.Size) -> bool:
    """Whether it is the shape of a parameter, or of means of one over some of its axes."""
    axes = zip(found, own, strict=False)
    return not found or (len(found) == len(own) and all(n in (1, size) for n, size in axes))
