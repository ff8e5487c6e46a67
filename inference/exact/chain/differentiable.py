"""Log partition of chains as a function that autograd knows, without a tape through the steps.

.. math:: \\frac{\\partial \\log Z}{\\partial u_t(k)} = p(y_t = k), \\qquad
          \\frac{\\partial \\log Z}{\\partial W_{ij}} = \\sum_t p(y_{t-1} = i, y_t = j)
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from inference.arrays import index_like
from inference.exact.chain.arrays import FEWER
from inference.exact.chain.forward_backward import forward_backward, log_partition
from inference.exact.chain.layout import ChainLayout
from inference.exact.chain.potentials import ChainPotentials
from inference.logspace import logsumexp
from inference.memory import require_memory

__all__ = ["check_recorded", "differentiable_log_partition", "recorded_log_partition", "shifted"]


def differentiable_log_partition(
    potentials: ChainPotentials, log_emissions: Tensor, layout: ChainLayout
) -> Tensor:
    """Log partition of every sequence, differentiable any number of times.

    .. math:: \\log Z_b = \\log \\sum_y \\exp \\Bigl( s_{y_1} + \\sum_t u_{bt}(y_t)
              + \\sum_t W_{y_{t-1} y_t} + e_{y_T} \\Bigr)

    The first derivative is the posterior of one forward-backward pass; derivatives of that are
    recorded through log-space steps. An impossible sequence has log partition -inf and gradient
    zero, as has everything forbidden.

    Arguments:
        potentials: tensors, of K states.
        log_emissions: nats, in packed order.
        layout: of the sequences.

    Shapes:
        log_emissions: (K, N). result: (B,) float64, 0 for a sequence without tokens.

    Raises:
        ValueError: if shapes or types do not fit.

    Reference:
        Sutton & McCallum 2012, "An introduction to conditional random fields", section 5.1.1.

    Example:
        >>> zeros = torch.zeros(2, 2, requires_grad=True)
        >>> potentials = ChainPotentials(torch.zeros(2), zeros)
        >>> total = differentiable_log_partition(potentials, torch.zeros(2, 3), ChainLayout([3]))
        >>> total.backward()
        >>> round(total.exp().item(), 9), zeros.grad.tolist()
        (8.0, [[0.5, 0.5], [0.5, 0.5]])
    """
    end = potentials.log_end
    if end is None:
        end = torch.zeros_like(torch.as_tensor(potentials.log_start))
    parts = (log_emissions, potentials.log_transitions, potentials.log_start, end)
    if not (torch.is_grad_enabled() and any(torch.as_tensor(x).requires_grad for x in parts)):
        return log_partition(potentials, log_emissions, layout)
    return _LogPartition.apply(*parts, layout)  # type: ignore[no-any-return]


def recorded_log_partition(
    potentials: ChainPotentials, log_emissions: Tensor, layout: ChainLayout
) -> Tensor:
    """Log partition of every sequence, (B,), by log-space steps that autograd records.

    For derivatives of derivatives; needs memory for some K**2 numbers per token.

    Shapes:
        log_emissions: (K, N). result: (B,) float64.

    Raises:
        ValueError: if that does not fit.
    """
    check_recorded(potentials.n_states, log_emissions)
    empty = int((layout.lengths == 0).sum())
    done: list[Tensor] = [log_emissions.new_zeros(empty, dtype=torch.float64)]
    sizes = [*layout.sizes.tolist(), 0]
    alpha = torch.as_tensor(potentials.log_start)[:, None]
    transitions = torch.as_tensor(potentials.log_transitions)[:, :, None]
    total = log_emissions.new_zeros(sizes[0], dtype=torch.float64)
    for t, columns in enumerate(log_emissions.split(sizes[:-1], dim=1)):
        reached = logsumexp(alpha[:, None, : sizes[t]] + transitions, dim=0) if t else alpha
        alpha, peaks = shifted(columns + reached)
        total, ending = total[: sizes[t]] + peaks, columns.new_zeros(len(columns))
        if (left := sizes[t + 1]) < sizes[t]:
            ending = ending if potentials.log_end is None else torch.as_tensor(potentials.log_end)
            done.append(logsumexp(alpha[:, left:] + ending[:, None], dim=0) + total[left:])
    # Sequences end in the order of their ranks, from the last one to the first.
    return torch.cat(done[::-1])[index_like(layout.rank, log_emissions)]


def shifted(messages: Tensor) -> tuple[Tensor, Tensor]:
    """Log messages (K, n) less the greatest of each column, and those, (n,), without gradient.

    Else they would grow along a sequence, and lose their digits to the part they have in common.
    """
    peaks = messages.detach().amax(0)
    peaks = peaks.masked_fill(peaks.isinf(), 0.0)
    return messages - peaks, peaks


def check_recorded(n_states: int, log_emissions: Tensor) -> None:
    """Refuse to record log-space steps that do not fit in memory."""
    # Terms, shifted terms, their exponentials and shares.
    needed = 4 * n_states * log_emissions.numel() * log_emissions.element_size()
    require_memory(needed, "the record of all steps for derivatives", FEWER)


class _LogPartition(torch.autograd.Function):
    """One scaled pass forwards; backwards its posteriors, or the recorded recursion."""

    @staticmethod
    def forward(
        ctx: Any, emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, layout: Any
    ) -> Tensor:
        ctx.layout = layout
        ctx.save_for_backward(emissions, transitions, start, end)
        potentials = ChainPotentials(start, transitions, end)
        ctx.found = forward_backward(potentials, emissions, layout)
        return ctx.found.log_partition.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        inputs: tuple[Tensor, ...] = ctx.saved_tensors
        if ctx.layout.n_tokens == 0:
            found = [torch.zeros_like(x) for x in inputs]
        elif torch.is_grad_enabled():
            found = _recorded_gradients(inputs, ctx.layout, gradient)
        else:
            found = _gradients(inputs, ctx.layout, gradient, ctx.found)
        return (
            *[g if n else None for g, n in zip(found, ctx.needs_input_grad, strict=False)],
            None,
        )


def _gradients(
    inputs: tuple[Tensor, ...], layout: ChainLayout, gradient: Tensor, found: Any
) -> list[Tensor]:
    """Vector-Jacobian products from posteriors."""
    emissions, transitions, start, end = inputs
    # An impossible sequence has no posterior, whatever the loss makes of its -inf.
    wild = found.log_partition.isinf() & ~gradient.isfinite()
    gradient = gradient.masked_fill(wild, 0.0)
    # A loss that sums or averages weighs all sequences alike, and all is there already.
    if bool((gradient == gradient[0]).all()):
        weights, counts = gradient[0].to(emissions.dtype), gradient[0] * found.pair_counts
    else:
        potentials = ChainPotentials(start, transitions, end)
        again = forward_backward(potentials, emissions, layout, gradient)
        weights = gradient[index_like(layout.owners, gradient)].to(emissions.dtype)
        counts = again.pair_counts
    unary = found.unary * weights
    # All first tokens come before all others.
    last = index_like(layout.last[layout.lengths > 0], unary)
    edges = unary[:, : layout.sizes[0]].sum(1), unary.T.index_select(0, last).sum(0)
    parts = zip((unary, counts, *edges), inputs, strict=True)
    return [part.to(x.dtype) for part, x in parts]


def _recorded_gradients(
    inputs: tuple[Tensor, ...], layout: ChainLayout, gradient: Tensor
) -> tuple[Tensor, ...]:
    """The same as functions of the inputs."""
    wanted = [x if x.requires_grad else x.detach().requires_grad_() for x in inputs]
    emissions, transitions, start, end = wanted
    total = recorded_log_partition(ChainPotentials(start, transitions, end), emissions, layout)
    gradient = gradient.masked_fill(total.detach().isinf(), 0.0)
    return torch.autograd.grad(
        total, wanted, gradient, create_graph=True, allow_unused=True, materialize_grads=True
    )
