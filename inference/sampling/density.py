"""Unnormalised laws of discrete variables that answer for single variables, many at a time.

.. math:: p_\\beta(x) \\propto \\mathbb{1}[w(x) > -\\infty]\\, e^{\\beta w(x)}
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from inference.approximate.coloring import color_graph
from inference.exact.evidence import Evidence
from inference.exact.graph import FactorGraph
from inference.memory import require_memory
from inference.sampling.conditional_layout import Block, ConditionalLayout
from inference.sampling.factor_arrays import FactorArrays
from inference.sampling.kernel import Beta

__all__ = ["DiscreteDensity"]

#: What a chain takes per table row that its largest block reads, and per variable.
ENTRY_BYTES, STATE_BYTES = 24, 40


class DiscreteDensity:
    """A factor model compiled for updates of all variables of a colour, in all chains, at once.

    The inverse temperature scales the finite log-weights; hard zeros stay zeros at any. Where no
    state of a variable is possible given the others, those that break the fewest zeros count as
    possible, so that a chain that starts at an impossible state finds its way.

    Arguments:
        arrays: scopes and offsets of the factors.
        logs: (size,) log tables, nats; -inf is a hard zero.
        evidence: of a single query: states are clamped, likelihoods added.
        colors: (V,), variables of one colour share no scope; by default found greedily.

    Raises:
        ValueError: evidence of a batch; NaN or +inf among the logs.

    Reference:
        Gonzalez et al. 2011, "Parallel Gibbs sampling", section 3.1.

    Example:
        >>> pair = FactorArrays([2, 2], [[[0, 1]]], [[0]])
        >>> density = DiscreteDensity(pair, torch.tensor([2.0, 0.0, 0.0, 2.0]))
        >>> density.log_weight(torch.tensor([[0, 0], [0, 1]])).tolist()
        [2.0, 0.0]
    """

    def __init__(
        self,
        arrays: FactorArrays,
        logs: Tensor,
        evidence: Evidence | None = None,
        colors: np.ndarray | None = None,
    ) -> None:
        evidence = Evidence() if evidence is None else evidence
        if evidence.rows is not None:
            raise ValueError("evidence must be a single query; loop over the rows of the batch")
        if bool((logs.isnan() | logs.isposinf()).any()):
            raise ValueError("logs hold NaN or +inf; log-potentials are finite or -inf")
        if colors is None:
            colors = color_graph(len(arrays.cards), arrays.edges)
        self.arrays = arrays
        self.clamped = {v: int(state) for v, state in evidence.states.items()}
        clamped = np.array(sorted(self.clamped), dtype=np.int64)
        self._layout = ConditionalLayout(arrays, colors, clamped, logs.device)
        self._soft = {v: torch.from_numpy(np.array(w)).log() for v, w in evidence.weights.items()}
        self._set(logs)

    @classmethod
    def from_graph(cls, graph: FactorGraph, evidence: Evidence | None = None) -> DiscreteDensity:
        """Compile a factor graph."""
        arrays, logs = FactorArrays.from_graph(graph)
        return cls(arrays, logs.detach().to(graph.device), evidence)

    def with_logs(self, logs: Tensor) -> DiscreteDensity:
        """The same model with other numbers; nothing is compiled again."""
        made = DiscreteDensity.__new__(DiscreteDensity)
        made.arrays, made.clamped = self.arrays, self.clamped
        made._layout, made._soft = self._layout, self._soft
        made._set(logs)
        return made

    def _set(self, logs: Tensor) -> None:
        """Turn tables into rows, and zeros, where there are any, into counts of their own."""
        self._logs = logs.detach()
        zero = self._logs.isneginf()
        soft_zero = {v: weight.isneginf() for v, weight in self._soft.items()}
        finite = {v: w.masked_fill(soft_zero[v], 0.0) for v, w in self._soft.items()}
        self._sums = _Sums(self._layout, self._logs.masked_fill(zero, 0.0), finite)
        self._zeros: _Sums | None = None
        if bool(zero.any()) or any([bool(z.any()) for z in soft_zero.values()]):
            counts = {v: z.to(self._logs) for v, z in soft_zero.items()}
            self._zeros = _Sums(self._layout, zero.to(self._logs), counts)

    # Chains --------------------------------------------------------------------------------------

    @property
    def device(self) -> torch.device:
        """Where the chains are."""
        return self._layout.device

    @property
    def blocks(self) -> tuple[Block, ...]:
        """Variables updated together; the blocks of one sweep, in order."""
        return self._layout.blocks

    @property
    def logs(self) -> Tensor:
        """(size,) log tables, nats."""
        return self._logs

    @property
    def n_free(self) -> int:
        """Number of variables that are not clamped."""
        return len(self.arrays.cards) - len(self.clamped)

    @property
    def log_states(self) -> float:
        """Logarithm of the number of joint states of the variables that are not clamped."""
        free = np.delete(self.arrays.cards, list(self.clamped))
        return float(np.log(free.astype(np.float64)).sum())

    def uniform(self, chains: int, generator: torch.Generator) -> Tensor:
        """Independent states (chains, V) int32, uniform over all that agree with the evidence.

        Raises:
            ValueError: so many chains would not fit in memory.
        """
        widest = max([len(block.start) for block in self.blocks], default=0)
        needed = chains * (ENTRY_BYTES * widest + STATE_BYTES * len(self.arrays.cards))
        what = f"{chains:,} chains of {len(self.arrays.cards):,} variables"
        require_memory(needed, what, "run fewer", self.device)
        shape = (len(self.arrays.cards), chains)
        draws = torch.rand(shape, dtype=torch.float64, device=self.device, generator=generator)
        cards = torch.from_numpy(self.arrays.cards).to(self.device)
        return self.clamp((draws * cards[:, None]).T)

    def clamp(self, codes: Tensor) -> Tensor:
        """A copy of states (C, V) that agrees with the evidence: int32, ``.T`` contiguous."""
        columns = codes.T.to(torch.int32, memory_format=torch.contiguous_format, copy=True)
        for v, state in self.clamped.items():
            columns[v] = state
        return columns.T

    def log_weight(self, codes: Tensor) -> Tensor:
        """Log-weight of joint states, nats; -inf where they are impossible.

        .. math:: w(x) = \\sum_f \\ell_f(x_{S_f}) + \\sum_v \\log \\lambda_v(x_v)

        Shapes:
            codes: (C, V). result: (C,).
        """
        total = self.arrays.log_weight(self._logs, codes)
        for v, weight in self._soft.items():
            total = total + weight.to(total)[codes[:, v]]
        for v, state in self.clamped.items():
            total = total.masked_fill(codes[:, v] != state, -math.inf)
        return total

    def conditionals(self, block: Block, codes: Tensor, beta: Beta = 1.0) -> Tensor:
        """Log conditional weights of every variable of a block given all others.

        .. math:: \\beta \\log p(x_v = s \\mid x_{-v}) + \\text{const}

        Arguments:
            block: one of ``blocks``.
            codes: joint states, int32; fast if ``codes.T`` is contiguous.
            beta: inverse temperature; infinity leaves the best states. Or one per chain, (C,),
                all finite.

        Shapes:
            codes: (C, V). result: (K, B, C), one plane per state, each with a finite entry.
        """
        columns = codes.T
        logits = self._sums.of(block, columns)
        scaled = isinstance(beta, Tensor) or beta not in (1.0, math.inf)
        if scaled:
            logits *= beta
        if self._zeros is not None:
            broken = self._zeros.of(block, columns)
            logits.masked_fill_(broken > broken.amin(0), -math.inf)
        if not scaled and beta == math.inf:
            return torch.where(logits == logits.amax(0), 0.0, -math.inf).to(logits)
        return logits

    def pull_back(self, block: Block, codes: Tensor, gradient: Tensor) -> Tensor:
        """Gradient by the log tables from that by the conditional log-weights of a block.

        The adjoint of :meth:`conditionals` where it is linear (beta one, no zeros).

        Shapes:
            codes: (C, V). gradient: (K, B, C), summing to zero over K. result: (size,).
        """
        total = torch.zeros_like(self._logs)
        take = self._layout.take[block.card]
        rows = gradient.new_zeros((block.card, len(take)))
        places = block.rows(codes.T).view(-1)
        for row, plane in zip(rows, gradient, strict=True):
            row.index_add_(0, places, block.spread(plane).reshape(-1))
        total.index_add_(0, take.reshape(-1), rows.T.reshape(-1))
        biases = gradient.new_zeros((len(self.arrays.cards), block.card))
        biases[block.variables] = gradient.sum(-1).T
        in_block = torch.zeros(len(biases), dtype=torch.bool, device=self.device)
        in_block[block.variables] = True
        for entries, variables in self._layout.biases:
            if entries.shape[1] == block.card:
                mine = in_block[variables]
                chosen = biases[variables[mine]].reshape(-1)
                total.index_add_(0, entries[mine].reshape(-1), chosen)
        return total


class _Sums:
    """Sums of table rows for the variables of a block, relative to the sum for state 0.

    Arguments:
        layout: where the rows are.
        logs: (size,) all tables.
        soft: more weights of single variables, (K,).
    """

    def __init__(self, layout: ConditionalLayout, logs: Tensor, soft: dict[int, Tensor]) -> None:
        # A plane per state: gathering numbers is faster than gathering short rows.
        self._planes: dict[int, list[Tensor]] = {}
        for card, take in layout.take.items():
            first = logs[take[:, 0]]
            self._planes[card] = [logs[take[:, s]] - first for s in range(1, card)]
        widest = int(layout.arrays.cards.max(initial=1))
        bias = logs.new_zeros((widest, len(layout.arrays.cards)))
        for entries, variables in layout.biases:
            bias[: entries.shape[1]].index_add_(1, variables, logs[entries.T])
        for v, weight in soft.items():
            bias[: len(weight), v] += weight.to(logs)
        self._bias = bias - bias[:1]

    def of(self, block: Block, columns: Tensor) -> Tensor:
        """The sums, (K, B, C), for states (V, C)."""
        bias = self._bias[: block.card].index_select(1, block.variables)
        total = bias[..., None].repeat(1, 1, columns.shape[1])
        rows = block.rows(columns)
        places = rows.view(-1)
        for plane, values in zip(total[1:], self._planes[block.card], strict=True):
            plane += block.summed(values.index_select(0, places).view(rows.shape))
        return total
