"""The law of binary units joined in pairs, and sweeps over its colours.

.. math:: g(x, \\beta) = \\beta \\Bigl(\\sum_{i < j} w_{ij} x_i x_j + \\sum_i b_i x_i + c\\Bigr)
          + (1 - \\beta) \\sum_i b^0_i x_i, \\qquad x_i \\in \\{0, 1\\}

Spins are units in other clothes, :math:`s = 2x - 1`, and are dressed at the border only.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from inference.memory import require_memory
from inference.sampling.binary.layout import PairLayout
from inference.sampling.binary.words import random_words
from inference.sampling.kernel import Beta, Rule, SearchLaw
from inference.sampling.schedules import range_of_strengths

__all__ = ["BinaryState", "PairLaw"]

#: Numbers per colour below which it pays to turn words into bars for the fields, all at once,
#: instead of fields into thresholds for the words: logarithms cost more, but no call per colour.
SMALL = {"heat-bath": 4_000, "metropolis": 12_000}

#: What stands for infinite beta: no product with a field overflows, no tie is broken.
COLDEST = 1e25


class BinaryState(NamedTuple):
    """Units of all chains by rows of the layout, (chain, n + 1) of zeros and ones; the last is 1.

    Fast if the transpose is contiguous.
    """

    units: Tensor


@dataclass(frozen=True, eq=False)
class PairLaw(SearchLaw[BinaryState]):
    """Binary units joined in pairs, updated a colour at a time in all chains.

    Arguments:
        layout: where the units are.
        weights: w of every edge, (E,); their type is that of the sweeps.
        biases: b, (n,), in the order of the units.
        constant: c.
        base: b^0, (n,), log-odds of independent units at beta = 0; None is zero, the uniform law.
        spins: positions are -1 and +1 instead of 0 and 1.
        rule: how units move. Metropolis' rule flips more often, which pays in a search; heat-bath
            is the better sampler of two colours.

    Reference:
        Geman & Geman 1984, section XI; Metropolis et al. 1953, "Equation of state calculations by
        fast computing machines"; Gonzalez et al. 2011, "Parallel Gibbs sampling", section 3.1.

    Example:
        >>> pair = PairLaw(PairLayout(2, np.array([[0, 1]])), torch.tensor([50.0]), torch.zeros(2))
        >>> kernel, generator = pair.at(1.0), torch.Generator().manual_seed(0)
        >>> kernel.position(kernel.step(kernel.init(torch.tensor([[1, 1]])), generator)).tolist()
        [[1.0, 1.0]]
    """

    layout: PairLayout
    weights: Tensor
    biases: Tensor
    constant: float = 0.0
    base: Tensor | None = None
    spins: bool = False
    rule: Rule = "heat-bath"

    @classmethod
    def of_spins(
        cls,
        layout: PairLayout,
        couplings: Tensor,
        field: Tensor,
        *,
        base: Tensor | None = None,
        rule: Rule = "heat-bath",
        dtype: torch.dtype = torch.float32,
    ) -> PairLaw:
        """The law exp(sum J s s + sum h s) of spins, in the form of units.

        .. math:: w = 4 J, \\qquad b_i = 2 h_i - 2 \\sum_j J_{ij}, \\qquad
                  c = \\sum_{i<j} J_{ij} - \\sum_i h_i

        Arguments:
            layout: where the spins are.
            couplings: J of every edge, (E,), nats.
            field: h, (n,), nats.
            base: field of independent spins at beta = 0, (n,).
            rule: how spins move.
            dtype: type of the sweeps.
        """
        couplings, field = couplings.detach().double(), field.detach().double()
        rows = torch.zeros_like(field).index_add_(
            0, layout.half_terms.long(), couplings[layout.half_edges]
        )
        late = torch.repeat_interleave(_counts(layout.half_starts, len(couplings)))
        rows.index_add_(0, late, couplings[layout.half_edges])
        biases = 2 * field - 2 * rows[layout.rows]
        constant = float(couplings.sum() - field.sum())
        start = None if base is None else (2 * base.detach()).to(dtype)
        weights = (4 * couplings).to(dtype)
        return cls(layout, weights, biases.to(dtype), constant, start, True, rule)

    @cached_property
    def term_weights(self) -> Tensor:
        """Weights of all terms of the fields, in the order of the layout."""
        return self.layout.at_terms(self.weights, self.biases)

    # What a path of laws is ----------------------------------------------------------------------

    @property
    def device(self) -> torch.device:
        """Where the chains are."""
        return self.weights.device

    @property
    def log_base(self) -> float:
        """Log Z at beta = 0: of independent units, nats."""
        if self.base is None:
            return self.layout.n_units * math.log(2)
        return float(torch.nn.functional.softplus(self.base.double()).sum())

    def start(self, chains: int, generator: torch.Generator) -> BinaryState:
        """Independent draws from the law at beta = 0.

        Raises:
            ValueError: so many chains would not fit in memory.
        """
        n = self.layout.n_units
        # Units before and after a sweep, and its words.
        needed = chains * (n + 1) * (2 * self.weights.element_size() + 4)
        require_memory(needed, f"{chains:,} chains of {n:,} units", "run fewer", self.device)
        columns = torch.ones((n + 1, chains), dtype=self.weights.dtype, device=self.device)
        logits = torch.zeros((n, 1), dtype=self.weights.dtype, device=self.device)
        if self.base is not None:
            logits = self.base[self.layout.order][:, None]
        words = random_words((n, chains), generator)
        columns[:n] = words < _thresholds(logits.sigmoid(), _half(logits))
        return BinaryState(columns.T)

    def init(self, position: Tensor) -> BinaryState:
        """State at units, or spins, (chain, n).

        Raises:
            ValueError: other values than the two, or another number of units.
        """
        low = -1 if self.spins else 0
        x = position.to(self.device)
        if x.ndim != 2 or x.shape[1] != self.layout.n_units:
            raise ValueError(
                f"position must be (chain, {self.layout.n_units}), found {tuple(x.shape)}"
            )
        if not bool(((x == low) | (x == 1)).all()):
            raise ValueError(f"position must hold {low} and 1 only")
        columns = torch.ones(
            (x.shape[1] + 1, len(x)), dtype=self.weights.dtype, device=self.device
        )
        columns[:-1] = (x.T == 1)[self.layout.order]
        return BinaryState(columns.T)

    def position(self, state: BinaryState) -> Tensor:
        """Units, or spins, in their own order, (chain, n)."""
        units = state.units.T.index_select(0, self.layout.rows).T
        return 2 * units - 1 if self.spins else units

    def log_density(self, state: BinaryState, beta: Beta) -> Tensor:
        """g(x, beta) of every chain, (chain,) float64, nats."""
        found = beta * self.log_weight(state)
        if self.base is None:
            return found
        return found + (1 - beta) * (state.units[:, :-1] @ self.base[self.layout.order]).double()

    def log_ratio(self, state: BinaryState, before: Beta, after: Beta) -> Tensor:
        """What log densities gain; linear in beta, so that units are summed over once."""
        slope = self.log_weight(state)
        if self.base is not None:
            slope = slope - (state.units[:, :-1] @ self.base[self.layout.order]).double()
        return (after - before) * slope

    def log_weight(self, state: BinaryState) -> Tensor:
        """What beta multiplies, (chain,) float64, nats."""
        layout, columns = self.layout, state.units.T
        total = self.biases[layout.order][:, None]
        if len(self.weights):
            weights = self.weights[layout.half_edges]
            total = total + _row_sums(columns, layout.half_terms, layout.half_starts, weights)
        return (total * columns[:-1]).sum(0).double() + self.constant

    # Sweeps --------------------------------------------------------------------------------------

    def step(self, state: BinaryState, beta: Beta, generator: torch.Generator) -> BinaryState:
        """State after one sweep over the colours."""
        return self.run(state, [beta], generator)

    def run(
        self, state: BinaryState, betas: Iterable[Beta], generator: torch.Generator
    ) -> BinaryState:
        """State after one sweep at each inverse temperature in turn; numbers are copied once."""
        sweep = _Sweep(self, state)
        for beta in betas:
            sweep(beta, generator)
        return BinaryState(sweep.columns.T)

    def conditionals(self, color: int, state: BinaryState, beta: Beta = 1.0) -> Tensor:
        """Probabilities of ones for the units of a colour, given the others, (units, chain)."""
        return _Sweep(self, state).logits(color, beta).sigmoid()

    def flips(self, color: int, state: BinaryState, beta: Beta = 1.0) -> Tensor:
        """Probabilities that Metropolis' rule flips the units of a colour, (units, chain)."""
        sweep = _Sweep(self, state)
        gain = sweep.logits(color, beta) * (1 - 2 * sweep.blocks[color])
        return gain.exp().clamp(max=1.0)

    # Search --------------------------------------------------------------------------------------

    def temperature_range(self) -> tuple[float, float]:
        """Inverse temperatures from the strengths of couplings and fields."""
        layout = self.layout
        couplings = self.weights.double().abs().cpu().numpy() / 4
        late = torch.repeat_interleave(_counts(layout.half_starts, len(couplings))).cpu().numpy()
        early = layout.half_terms.cpu().numpy()
        of_edges = couplings[layout.half_edges.cpu().numpy()]
        signed = (self.weights.double() / 4)[layout.half_edges].cpu().numpy()
        rows = np.zeros(layout.n_units)
        squares = np.zeros(layout.n_units)
        for ends in (early, late):
            np.add.at(rows, ends, signed)
            np.add.at(squares, ends, of_edges**2)
        fields = self.biases.double()[layout.order].cpu().numpy() / 2 + rows
        # What rounding leaves of a field that is none does not count as one.
        fields[np.abs(fields) < 1e-5 * np.sqrt(squares)] = 0.0
        return range_of_strengths(squares + fields**2, np.append(couplings, np.abs(fields)))

    def descend(self, state: BinaryState, max_sweeps: int = 10_000) -> BinaryState:
        """State where no flip of a single unit gains; a flip that changes nothing is not made."""
        exact = PairLaw(self.layout, self.weights.double(), self.biases.double())
        sweep = _Sweep(exact, BinaryState(state.units.double()))
        for _ in range(max_sweeps):
            if not sweep.descend():
                break
        return BinaryState(sweep.columns.to(self.weights.dtype).T)


class _Sweep:
    """Working memory of sweeps: units as columns, updated in place, and scaled weights."""

    def __init__(self, law: PairLaw, state: BinaryState) -> None:
        layout = law.layout
        self.law = law
        self.columns = state.units.T.clone(memory_format=torch.contiguous_format)
        self.blocks = self.columns[:-1].split(layout.sizes)
        self.terms = layout.terms.split(layout.term_sizes)
        self.weights = law.term_weights
        self.scaled = torch.empty_like(self.weights)
        self.parts = self.scaled.split(layout.term_sizes)
        self.base = None
        if law.base is not None:
            self.base = law.base[layout.order]
            self.base_terms = layout.at_terms(torch.zeros_like(law.weights), law.base)
            self.bases = self.base.split(layout.sizes)
        self.half = _half(self.weights)
        self.one = torch.ones_like(self.half)
        self.per_chain: Tensor | None = None

    def __call__(self, beta: Beta, generator: torch.Generator) -> None:
        """One sweep, in place."""
        self.scale(beta)
        shape = (self.law.layout.n_units, self.columns.shape[1])
        words = random_words(shape, generator)
        metropolis = self.law.rule == "metropolis"
        if words.numel() < SMALL[self.law.rule] * len(self.blocks):
            bars = self.flip_bars(words) if metropolis else self.draw_bars(words)
            for color, bar in enumerate(bars.split(self.law.layout.sizes)):
                torch.lt(bar, self.fields(color), out=self.blocks[color])
            return
        move = self.flip if metropolis else self.draw
        for color, part in enumerate(words.split(self.law.layout.sizes)):
            move(self.fields(color), self.blocks[color], part)

    def scale(self, beta: Beta) -> None:
        """Weights at an inverse temperature; one per chain scales the fields instead."""
        self.per_chain = beta.to(self.weights) if isinstance(beta, Tensor) else None
        if isinstance(beta, Tensor):
            self.scaled.copy_(self.weights)
            return
        torch.mul(self.weights, min(beta, COLDEST), out=self.scaled)
        if self.base is not None and beta < math.inf:
            self.scaled.add_(self.base_terms, alpha=1 - beta)

    def logits(self, color: int, beta: Beta) -> Tensor:
        """Log-odds of ones for the units of a colour at an inverse temperature."""
        self.scale(beta)
        return self.fields(color)

    def fields(self, color: int) -> Tensor:
        """Log-odds of ones for the units of a colour, (units, chain), at the scale that is set."""
        starts = self.law.layout.starts[color]
        field = _row_sums(self.columns, self.terms[color], starts, self.parts[color])
        if self.per_chain is not None:
            field *= self.per_chain
            if self.base is not None:
                field += (1 - self.per_chain) * self.bases[color][:, None]
        return field

    def draw_bars(self, words: Tensor) -> Tensor:
        """What log-odds must exceed for ones to be drawn: the log-odds of uniform numbers."""
        return _uniform(words, self.half).logit_()

    def flip_bars(self, words: Tensor) -> Tensor:
        """What log-odds a must exceed for ones to follow by Metropolis' rule.

        With s = 2x - 1 and a uniform u, a flip happens if u < exp(-s a): a one follows if
        a > -s log u.
        """
        sign = torch.add(self.one, self.columns[:-1], alpha=-2.0)
        return _uniform(words, self.half).log_().mul_(sign)

    def draw(self, field: Tensor, block: Tensor, words: Tensor) -> None:
        """Draw units from their conditional law."""
        torch.sigmoid(field, out=field)
        torch.lt(words, _thresholds(field, self.half), out=block)

    def flip(self, field: Tensor, block: Tensor, words: Tensor) -> None:
        """Flip units by Metropolis' rule, in the form of thresholds for ones.

        With s = 2x - 1 and the acceptance q = exp(-s a), a one follows with probability
        x - s min(1, q): a threshold of s (1/2 - q), beyond all words where q exceeds one.
        """
        sign = torch.add(self.one, block, alpha=-2.0)
        field.mul_(sign).exp_()
        threshold = torch.add(self.half, field, alpha=2.0**32).mul_(sign)
        torch.lt(words, threshold, out=block)

    def descend(self) -> bool:
        """Flip what strictly gains, colour by colour; whether anything did."""
        before = self.columns.clone()
        self.scale(1.0)
        for color, block in enumerate(self.blocks):
            field = self.fields(color)
            block.copy_(torch.where(field == 0, block, (field > 0).to(block)))
        return not torch.equal(before, self.columns)


def _row_sums(columns: Tensor, terms: Tensor, starts: Tensor, weights: Tensor) -> Tensor:
    """Weighted sums of rows of ``columns``, one per start, (units, chain)."""
    # The function of the same name in torch.nn.functional takes three times as long to call.
    return torch.embedding_bag(columns, terms, starts, False, 0, False, weights, False)[0]


def _uniform(words: Tensor, half: Tensor) -> Tensor:
    """Uniform numbers in [0, 1] from random words."""
    return words.to(half.dtype).sub_(half).mul_(2.0**-32)


def _thresholds(probs: Tensor, half: Tensor) -> Tensor:
    """What a random word must be below with given probabilities, in place."""
    return torch.add(half, probs, alpha=2.0**32, out=probs)


def _half(like: Tensor) -> Tensor:
    """Threshold of probability zero."""
    return torch.tensor(-(2.0**31), dtype=like.dtype, device=like.device)


def _counts(starts: Tensor, total: int) -> Tensor:
    """Lengths of runs that begin at ``starts`` and end at ``total``, int64."""
    return torch.diff(starts.long(), append=starts.new_tensor([total]).long())
