"""How far codes move when rows do: squared norms of the Jacobians of an encoder.

.. math:: \\Omega(x) = \\sum_i \\|\\nabla_x h_i\\|^2, \\qquad
          h = a(W x + b) \\Rightarrow \\Omega(x) = \\sum_i a'_i(x)^2 \\|W_i\\|^2
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from generative.networks import Perceptron

__all__ = ["contraction", "squared_slopes"]

#: Layers whose units each depend on one unit below.
_UNITWISE = (
    nn.Dropout,
    nn.ELU,
    nn.GELU,
    nn.Identity,
    nn.LeakyReLU,
    nn.ReLU,
    nn.SiLU,
    nn.Sigmoid,
    nn.Softplus,
    nn.Tanh,
)


def contraction(encoder: nn.Module, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Codes of rows, and the squared norm of the Jacobian of each, exactly.

    An encoder of one layer has it in closed form, with one pass back instead of one for every
    number of the code.

    Arguments:
        encoder: f, which has the code of every row by itself.
        rows: (batch, *event).

    Returns:
        Codes (batch, *code) and norms (batch,), which have a graph where gradients are enabled.

    Reference:
        Rifai et al. 2011, "Contractive auto-encoders: explicit invariance during feature
        extraction", eq. 1 and section 5.3.

    Example:
        >>> layer = nn.Linear(2, 3)
        >>> _, norms = contraction(layer, torch.ones(1, 2))
        >>> torch.allclose(norms, layer.weight.square().sum())
        True
    """
    one = _one_layer(encoder, rows)
    if one is not None:
        return _unitwise(*one, rows.flatten(1))
    rows = rows if rows.requires_grad else rows.detach().requires_grad_()
    with torch.enable_grad():  # slopes take a graph, whether or not there is to be one of them
        codes = encoder(rows)
    return codes, squared_slopes(codes, rows)


def squared_slopes(codes: Tensor, x: Tensor) -> Tensor:
    """Squared norm of the Jacobian of every row's code, (batch,), of any encoder.

    .. math:: \\Omega(x) = \\sum_i \\|\\nabla_x h_i\\|^2

    All rows of the Jacobian at once: one pass back with one more axis, on the graph that made the
    codes. It holds (code, batch, event) numbers.

    Arguments:
        codes: h = f(x), (batch, *code), with a graph.
        x: rows that they were made of, (batch, *event), which want gradients.

    Shapes:
        result: (batch,), with a graph where gradients are enabled.

    Reference:
        Rifai et al. 2011, eq. 1.

    Example:
        >>> x = torch.ones(1, 2, requires_grad=True)
        >>> squared_slopes(x**3, x).item()  # 2 (3 x^2)^2
        18.0
    """
    flat = codes.flatten(1)
    size = flat.shape[1]
    axes = torch.eye(size, dtype=flat.dtype, device=flat.device)
    (slopes,) = torch.autograd.grad(
        flat,
        x,
        axes[:, None].expand(size, len(flat), size),
        create_graph=torch.is_grad_enabled(),
        is_grads_batched=True,
    )
    return slopes.square().flatten(2).sum((0, 2))


def _unitwise(layer: nn.Linear, curve: nn.Sequential, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Codes of one layer, and squared norms of its Jacobians."""
    further = torch.is_grad_enabled()
    with torch.enable_grad():
        below = layer(rows)
        below = below if below.requires_grad else below.requires_grad_()
        codes = curve(below.clone())  # which the curve may overwrite
        (rises,) = torch.autograd.grad(codes.sum(), below, create_graph=further)
    return codes, rises.square() @ layer.weight.square().sum(1)


def _one_layer(encoder: nn.Module, rows: Tensor) -> tuple[nn.Linear, nn.Sequential] | None:
    """The linear map of an encoder, and what follows unit by unit, if that is all there is."""
    layers, flattens = encoder, rows.ndim == 2
    if isinstance(encoder, Perceptron):
        if encoder.shape is not None:
            return None
        layers, flattens = encoder.layers, True
    parts = list(layers) if isinstance(layers, nn.Sequential) else [layers]
    if type(parts[0]) is nn.Flatten:
        parts, flattens = parts[1:], True
    if not flattens or not parts or type(parts[0]) is not nn.Linear:
        return None
    if any([type(part) not in _UNITWISE for part in parts[1:]]):
        return None
    return parts[0], nn.Sequential(*parts[1:])
