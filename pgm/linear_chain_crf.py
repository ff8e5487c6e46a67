"""Linear-chain conditional random field: tags of a sequence given scores of every token.

.. math:: p(y \\mid u) = \\frac{1}{Z(u)} \\exp \\Bigl( s_{y_1} + \\sum_{t=1}^{T} u_t(y_t)
          + \\sum_{t=2}^{T} W_{y_{t-1} y_t} + e_{y_T} \\Bigr)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, SupportsIndex, overload

import torch
from torch import Tensor, nn

from inference.exact.chain.differentiable import differentiable_log_partition
from inference.exact.chain.entropy import chain_entropy
from inference.exact.chain.forward_backward import forward_backward
from inference.exact.chain.k_best import k_best
from inference.exact.chain.pairs import pair_posteriors
from inference.exact.chain.path_scores import path_scores
from inference.exact.chain.potentials import ChainPotentials
from inference.exact.chain.sample import sample_paths
from inference.exact.chain.viterbi import viterbi
from inference.inputs import Values, as_tensor, as_whole
from inference.model import Model
from inference.random import GeneratorLike
from pgm.linear_chain.forbidden import refuse_forbidden
from pgm.linear_chain.inputs import Packed, pack_emissions, read_tags, widened
from pgm.linear_chain.tag_schemes import TagScheme, constrain_tags

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["LinearChainCRF"]


class LinearChainCRF(Model):
    """Linear-chain conditional random field on emissions that a network (or anything) computes.

    .. math:: \\log p(y \\mid u) = s_{y_1} + \\sum_t u_t(y_t) + \\sum_t W_{y_{t-1} y_t} + e_{y_T}
              - \\log Z(u)

    All methods take emissions (B, T, K), floating-point scores in nats of which -inf forbids a
    tag, and ``mask`` (B, T), True for tokens; None means tokens everywhere. Sequences are padded
    on the right; a row without tokens is legal, its one path has probability one. What stands in
    the padding is ignored and gets gradient zero. Arrays and tensors are taken, on the model's
    device; half precision is computed in float32, sums over a sequence in float64.

    Arguments:
        n_tags: K.
        allowed: boolean (K, K), which transitions are possible, from row to column; None: all.
        allowed_start, allowed_end: boolean (K,), which tags a sequence may start and end with.

    What is forbidden has log potential -inf, probability exactly zero, and gradient zero.
    `for_tags` writes these tables for tags like "B-PER" and "I-PER".

    Attributes:
        transitions: parameter (K, K), from row to column, nats; zeros at first.
        start, end: parameters (K,), nats; zeros at first.
        allowed, allowed_start, allowed_end: boolean buffers.

    Raises:
        TypeError, ValueError: if ``n_tags`` is no number of tags or a table does not fit it.

    Reference:
        Lafferty, McCallum & Pereira 2001, "Conditional random fields", eq. 1 and section 3;
        Lample et al. 2016, "Neural architectures for named entity recognition", section 2.2.

    Example:
        >>> crf = LinearChainCRF.for_tags(["O", "B-PER", "I-PER"])
        >>> emissions = torch.tensor([[[0.0, 1.0, 2.0], [0.0, 1.0, 3.0], [1.0, 0.0, 0.5]]])
        >>> crf.decode(emissions)[0].tolist()
        [[1, 2, 0]]
        >>> loss = -crf.log_prob(emissions, torch.tensor([[1, 2, 0]])).mean()
        >>> round(loss.item(), 4)
        0.8892
    """

    allowed: Tensor
    allowed_start: Tensor
    allowed_end: Tensor

    def __init__(
        self,
        n_tags: int,
        allowed: Values | None = None,
        *,
        allowed_start: Values | None = None,
        allowed_end: Values | None = None,
    ) -> None:
        super().__init__()
        n = as_whole("n_tags", n_tags, least=1)
        tables = {"allowed": (allowed, (n, n)), "allowed_start": (allowed_start, (n,))}
        tables["allowed_end"] = (allowed_end, (n,))
        for name, (given, shape) in tables.items():
            self.register_buffer(name, _as_table(name, given, shape))
        self.transitions = nn.Parameter(torch.zeros(n, n))
        self.start = nn.Parameter(torch.zeros(n))
        self.end = nn.Parameter(torch.zeros(n))

    @classmethod
    def for_tags(cls, tags: Sequence[str], scheme: TagScheme = "BIO") -> Self:
        """Model in which only sequences that are well formed in a tagging scheme are possible.

        Arguments:
            tags: the name of every tag, such as "O", "B-PER", "I-PER".
            scheme: "BIO", "IOBES" or "BILOU"; see ``pgm.linear_chain.tag_schemes``.

        Raises:
            ValueError: if the scheme has no such tag.
        """
        allowed, start, end = constrain_tags(tags, scheme)
        return cls(len(allowed), allowed, allowed_start=start, allowed_end=end)

    def config(self) -> dict[str, int]:
        """Number of tags; what is allowed is part of the state."""
        return {"n_tags": len(self.start)}

    def forward(self, emissions: Values, tags: Values, mask: Values | None = None) -> Tensor:
        """Log-probability, (B,): the same as `log_prob`."""
        return self.log_prob(emissions, tags, mask)

    def log_prob(self, emissions: Values, tags: Values, mask: Values | None = None) -> Tensor:
        """Log-probability of tags, differentiable.

        Missing tags (-1) are summed out: the log of the summed probability of all completions.

        Shapes:
            emissions: (B, T, K). tags: (B, T) whole numbers. mask: (B, T). result: (B,), nats;
            -inf where the tags have probability zero.

        Raises:
            TypeError, ValueError: for emissions, tags or a mask of another kind or shape; where
                emissions are NaN or +inf; where tags are out of range or follow a forbidden
                transition, start or end.
        """
        packed = self._pack(emissions, mask)
        states = read_tags(tags, packed, len(self.start))
        allowed = (self.allowed, self.allowed_start, self.allowed_end)
        refuse_forbidden(packed.layout, states, *allowed)
        potentials = self._potentials()
        score = self._score(potentials, packed, states)
        # What is impossible has no gradient, and -inf less -inf is no number.
        score = score.masked_fill(score == -math.inf, -math.inf)
        total = differentiable_log_partition(potentials, packed.emissions, packed.layout)
        total = total.masked_fill(total == -math.inf, 0.0)
        return (score - total).to(packed.emissions.dtype)

    def log_partition(self, emissions: Values, mask: Values | None = None) -> Tensor:
        """Log of the summed weight of all paths, differentiable.

        Shapes:
            emissions: (B, T, K). mask: (B, T). result: (B,), nats; 0 for a row without tokens,
            -inf where no path is possible.

        Raises:
            TypeError, ValueError: as `log_prob`.
        """
        packed = self._pack(emissions, mask)
        total = differentiable_log_partition(self._potentials(), packed.emissions, packed.layout)
        return total.to(packed.emissions.dtype)

    @overload
    def marginals(
        self, emissions: Values, mask: Values | None = None, *, pairs: Literal[False] = False
    ) -> Tensor: ...
    @overload
    def marginals(
        self, emissions: Values, mask: Values | None = None, *, pairs: Literal[True]
    ) -> tuple[Tensor, Tensor]: ...
    @torch.no_grad()
    def marginals(
        self, emissions: Values, mask: Values | None = None, *, pairs: bool = False
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Posterior probabilities of every token's tag, and of neighbours' on request.

        Arguments:
            emissions: scores.
            mask: which are tokens.
            pairs: whether to return the posteriors of pairs of neighbours too.

        Shapes:
            emissions: (B, T, K). mask: (B, T). result: (B, T, K), without a gradient; with pairs
            also (B, T - 1, K, K), entry [b, t, i, j] for tag i at t and j at t + 1. Padding and
            rows without a possible path are zero.

        Raises:
            TypeError, ValueError: as `log_prob`; if the pairs would not fit in memory.
        """
        packed, potentials = self._pack(emissions, mask), self._potentials()
        unary = forward_backward(potentials, packed.emissions, packed.layout).unary
        padded = packed.pad(unary.T)
        if not pairs:
            return padded
        tables = pair_posteriors(potentials, packed.emissions, packed.layout)
        return padded, packed.pad(tables.permute(2, 0, 1))[:, 1:]

    @torch.no_grad()
    def decode(
        self, emissions: Values, mask: Values | None = None, n_best: int = 1
    ) -> tuple[Tensor, Tensor]:
        """Most probable tags and their scores.

        The score is the path's log weight; less `log_partition` it is its log-probability.

        Arguments:
            emissions: scores.
            mask: which are tokens.
            n_best: how many paths, best first.

        Shapes:
            emissions: (B, T, K). mask: (B, T). tags: (B, T) int64, -1 in the padding and where no
            path is possible. scores: (B,), nats. With n_best > 1: (B, n_best, T) and (B, n_best);
            where there are fewer paths, the rest has tags -1 and score -inf.

        Raises:
            TypeError, ValueError: as `log_prob`; if ``n_best`` is no number of paths.
        """
        packed, potentials = self._pack(emissions, mask), self._potentials()
        if as_whole("n_best", n_best, least=1) == 1:
            states, scores = viterbi(potentials, packed.emissions, packed.layout)
            return packed.pad(states, -1), scores
        states, scores = k_best(potentials, packed.emissions, packed.layout, n_best)
        return packed.pad(states.T, -1).transpose(1, 2), scores

    @torch.no_grad()
    def sample(
        self,
        n: SupportsIndex,
        emissions: Values,
        mask: Values | None = None,
        *,
        generator: GeneratorLike = None,
    ) -> Tensor:
        """Independent draws of the tags of every row.

        Arguments:
            n: draws per row.
            emissions: scores.
            mask: which are tokens.
            generator: None, a seed or a generator.

        Shapes:
            emissions: (B, T, K). mask: (B, T). result: (n, B, T) int64, -1 in the padding.

        Raises:
            TypeError, ValueError: as `log_prob`; if a row has no possible path.
        """
        packed = self._pack(emissions, mask)
        states = sample_paths(
            self._potentials(), packed.emissions, packed.layout, n, generator=generator
        )
        return packed.pad(states.T, -1).movedim(-1, 0)

    def entropy(self, emissions: Values, mask: Values | None = None) -> Tensor:
        """Entropy of the tags given the emissions, differentiable.

        Shapes:
            emissions: (B, T, K). mask: (B, T). result: (B,), nats; 0 where no path is possible.

        Raises:
            TypeError, ValueError: as `log_prob`.
        """
        packed = self._pack(emissions, mask)
        found = chain_entropy(self._potentials(), packed.emissions, packed.layout)
        return found.to(packed.emissions.dtype)

    def _pack(self, emissions: Values, mask: Values | None) -> Packed:
        return pack_emissions(emissions, mask, len(self.start), self.device)

    def _potentials(self) -> ChainPotentials:
        """Parameters with -inf where something is forbidden."""
        return ChainPotentials(
            widened(self.start).masked_fill(~self.allowed_start, -math.inf),
            widened(self.transitions).masked_fill(~self.allowed, -math.inf),
            widened(self.end).masked_fill(~self.allowed_end, -math.inf),
        )

    def _score(self, potentials: ChainPotentials, packed: Packed, states: Tensor) -> Tensor:
        """Log weight of the tags, summed over the completions of missing ones."""
        emissions, layout = packed.emissions, packed.layout
        missing = states < 0
        if not missing.any():
            return path_scores(potentials, emissions, layout, states)
        tags = torch.arange(len(self.start), device=states.device)[:, None]
        possible = missing | (tags == states)
        given = emissions.masked_fill(~possible, -math.inf)
        return differentiable_log_partition(potentials, given, layout)


def _as_table(name: str, given: Values | None, shape: tuple[int, ...]) -> Tensor:
    """A boolean table of what is allowed; everything for None."""
    if given is None:
        return torch.ones(shape, dtype=torch.bool)
    table = as_tensor(name, given)
    if table.dtype != torch.bool:
        raise TypeError(f"{name} must be boolean (True: allowed), found {table.dtype}")
    if table.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, found {tuple(table.shape)}")
    return table.clone()
