"""The Hopfield network: an associative memory that completes what it is given a part of.

.. math:: E(x) = -\\Bigl(\\tfrac12 \\sum_{i,j} x_i w_{ij} x_j + \\sum_i b_i x_i\\Bigr), \\qquad
          x_i \\in \\{-1, +1\\}
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from energy.boltzmann.units import check_symmetric
from energy.hopfield.dynamics import at_once, sharp
from energy.hopfield.fields import DenseFields, Fields, OverlapFields, heat_bath
from energy.hopfield.recall import Order, Recall, Update, follow
from energy.hopfield.rules import StorageRule, hebbian, is_hebbian, pseudo_inverse, storkey
from energy.hopfield.spins import as_patterns, as_spins
from energy.ising_model import IsingModel
from inference.exact.enumerate import enumerate_states
from inference.exact.freshness import Snapshot
from inference.inputs import Values, as_whole, check_choice
from inference.memory import require_memory
from inference.model import Model
from inference.random import GeneratorLike
from inference.sampling.binary.law import PairLaw
from inference.sampling.kernel import Annealable

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["HopfieldNetwork", "StorageRule"]

#: Units of a network whose states may be listed.
LISTED = 20

#: Matrices as large as the weights that storing, and making exact fields of them, needs at most.
COPIES = 4


class HopfieldNetwork(Model, Annealable):
    """Units -1 and +1, each coupled to each; patterns are stored as minima of the energy.

    .. math:: E(x) = -\\Bigl(\\tfrac12 \\sum_{i,j} x_i w_{ij} x_j + \\sum_i b_i x_i\\Bigr)

    A unit turns to the sign of its field :math:`\\sum_j w_{ij} x_j + b_i` and stays if that is
    zero. Signs are decided exactly: see ``energy.hopfield.fields``.

    Arguments:
        n_units: d.

    Attributes:
        weights: w, symmetric, (d, d); zero at first. Numbers copied into it count from then on.
        bias: b, (d,).
        patterns: what :meth:`store` was given so far, (P, d) int8.

    Raises:
        TypeError, ValueError: if ``n_units`` is no positive whole number, or w would not fit the
            memory.

    Reference:
        Hopfield 1982, "Neural networks and physical systems with emergent collective computational
        abilities", PNAS 79, 2554.

    Example:
        >>> network = HopfieldNetwork(6).store([[1, -1, 1, -1, 1, 1], [1, 1, 1, -1, -1, -1]])
        >>> found = network.recall([1, -1, 1, -1, 1, -1])
        >>> found.state.int().tolist(), found.converged.item()
        ([1, -1, 1, -1, 1, 1], True)
        >>> round(network.energy(found.state).item(), 6)
        -2.0
    """

    weights: nn.Parameter
    bias: nn.Parameter
    patterns: Tensor

    def __init__(self, n_units: int) -> None:
        super().__init__()
        size = as_whole("n_units", n_units, least=1)
        _check_room(size, 1, "for its weights")
        weights = torch.zeros(size, size, dtype=torch.float64)
        self.weights = nn.Parameter(weights, requires_grad=False)
        self.bias = nn.Parameter(weights.new_zeros(size), requires_grad=False)
        self.register_buffer("patterns", torch.zeros(0, size, dtype=torch.int8))
        # Weights that were found to have an energy, and what recall uses.
        self._checked: Snapshot | None = None
        self._fields: Fields | None = None

    def config(self) -> dict[str, Any]:
        """Number of units, and of the patterns stored."""
        return {"n_units": self.n_units, "n_patterns": len(self.patterns)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """A network of that size, to be filled with a state."""
        network = cls(config["n_units"])
        rows = as_whole("n_patterns", config["n_patterns"], least=0)
        network.patterns = network.patterns.new_zeros(rows, network.n_units)
        return network

    @property
    def n_units(self) -> int:
        """Number of units."""
        return len(self.bias)

    # Storing -------------------------------------------------------------------------------------

    @torch.no_grad()
    def store(
        self, patterns: Values, rule: StorageRule = "hebbian", *, zero_diagonal: bool = True
    ) -> Self:
        """Store more patterns.

        Hebb's and Storkey's rule add to the weights as they are; Storkey's depends on the order.
        The pseudo-inverse rule makes them anew from all patterns stored so far.

        Arguments:
            patterns: -1 and +1.
            rule: "hebbian"; "storkey", which holds more; "pseudo-inverse", which makes every
                pattern stable up to d - 1 independent ones.
            zero_diagonal: whether w_ii is set to zero afterwards. A positive diagonal changes all
                energies alike, but holds every unit where it is and so slows recall.

        Shapes:
            patterns: (P, d), or (d,).

        Raises:
            TypeError: patterns that are no numbers.
            ValueError: another length, values other than -1 and +1, no pattern, an unknown rule,
                or patterns that leave the pseudo-inverse rule nothing to project onto.

        Reference:
            See ``energy.hopfield.rules``.

        Example:
            >>> HopfieldNetwork(2).store([1, -1], zero_diagonal=False).weights.tolist()
            [[0.5, -0.5], [-0.5, 0.5]]
        """
        check_choice("rule", rule, StorageRule)
        added = as_patterns(patterns, self.n_units).to(self.device)
        _check_room(self.n_units, COPIES, "to store patterns")
        stored = torch.cat([self.patterns, added.to(torch.int8)])
        if rule == "hebbian":
            weights = self._hebbian_sum(stored, added)
        elif rule == "storkey":
            weights = storkey(self.weights.double(), added)
        else:
            weights = pseudo_inverse(stored)
        if zero_diagonal:
            weights.diagonal().zero_()
        self.weights.copy_(weights)
        self.patterns = stored
        return self

    def _hebbian_sum(self, stored: Tensor, added: Tensor) -> Tensor:
        """Weights with more patterns; no sum is rounded where all are Hebb's."""
        zero = self._hebbian_diagonal()
        if zero is None and (len(self.patterns) or self.weights.any()):
            return self.weights.double() + hebbian(added)
        weights = hebbian(stored)
        if zero:
            weights.diagonal().fill_(len(added) / self.n_units)
        return weights

    def _hebbian_diagonal(self) -> bool | None:
        """Whether w is Hebb's of all patterns, with (False) or without a diagonal (True)."""
        if not len(self.patterns):
            return None
        zero = not self.weights.diagonal().any()
        return zero if is_hebbian(self.weights, self.patterns, zero) else None

    # Energies ------------------------------------------------------------------------------------

    def energy(self, x: Values) -> Tensor:
        """Energy of states; the diagonal counts as it is.

        .. math:: E(x) = -\\Bigl(\\tfrac12 \\sum_{i,j} x_i w_{ij} x_j + \\sum_i b_i x_i\\Bigr)

        Arguments:
            x: -1 and +1.

        Shapes:
            x: (..., d). result: (...), in the type of the weights; differentiable by them.

        Raises:
            TypeError: if x holds no numbers.
            ValueError: other values, another length, or weights that have no energy: NaN,
                infinite or not symmetric.

        Reference:
            Hopfield 1982, eq. 7.

        Example:
            >>> HopfieldNetwork(2).store([1, -1]).energy([[1, -1], [1, 1]]).tolist()
            [-0.5, 0.5]
        """
        self._check_weights()
        spins = as_spins("x", x, self.n_units).to(self.weights)
        return -((spins @ self.weights / 2 + self.bias) * spins).sum(-1)

    def is_stable(self, x: Values) -> Tensor:
        """Whether states are fixed points: no unit wants to turn.

        Arguments:
            x: -1 and +1.

        Shapes:
            x: (..., d). result: (...), bool.

        Raises:
            TypeError, ValueError: as :meth:`energy`.

        Example:
            >>> HopfieldNetwork(3).store([1, 1, -1]).is_stable([[1, 1, -1], [1, 1, 1]]).tolist()
            [True, False]
        """
        fields = self.fields()
        spins = as_spins("x", x, self.n_units)
        states = spins.reshape(-1, self.n_units).T.to(fields.own)
        counted = fields.counted(fields.start(states), states)
        after = at_once(fields, counted, states, sharp(fields))
        return (after == states).all(0).reshape(spins.shape[:-1])

    def fixed_points(self) -> Tensor:
        """Every fixed point of a small network, those of lowest energy first.

        Shapes:
            result: (K, d), -1 and +1.

        Raises:
            ValueError: if there are more than 20 units: all states are listed.

        Example:
            >>> HopfieldNetwork(3).store([1, 1, -1]).fixed_points().int().tolist()
            [[1, 1, -1], [-1, -1, 1]]
        """
        parts = self.states().split(2**16)
        found = torch.cat([part[self.is_stable(part)] for part in parts])
        # Rounded energies of states that are mirror images could differ.
        fields, columns = self.fields(), found.T.to(self.fields().own)
        memory = fields.start(columns)
        counted = fields.counted(memory, columns)
        return found[fields.energy(memory, counted, columns).argsort(stable=True)]

    def states(self) -> Tensor:
        """All states of a small network, the first unit changing fastest, (2^d, d).

        Raises:
            ValueError: if there are more than 20 units.
        """
        if self.n_units > LISTED:
            raise ValueError(
                f"all states of at most {LISTED} units are listed, found {self.n_units}; recall "
                "random cues instead"
            )
        codes = enumerate_states([2] * self.n_units, device=self.device).flip(1)
        return (2 * codes - 1).to(self.weights.dtype)

    # Recall --------------------------------------------------------------------------------------

    def recall(
        self,
        cues: Values,
        update: Update = "asynchronous",
        max_sweeps: int = 100,
        beta: float | None = None,
        *,
        order: Order = "random",
        generator: GeneratorLike = None,
    ) -> Recall:
        """Let the units follow their fields, from every cue.

        One unit after the other, the energy never rises where no w_ii is negative, and every cue
        ends in a fixed point. All units at once, a cue may end in a cycle of two states.

        With ``beta`` units follow their fields by chance. One after the other, that is Gibbs
        sampling of exp(-beta E), and all sweeps are made; nothing converges. A unit's own coupling
        plays no part then, as it has none in that law.

        Arguments:
            cues: -1 and +1.
            update: "asynchronous", one unit after the other, or "synchronous".
            max_sweeps: updates of every unit at most.
            beta: inverse temperature; None is temperature zero.
            order: of the units in a sweep: "random", the same for all cues, or "sequential".
            generator: None, a seed or a generator.

        Shapes:
            cues: (..., d). result: see ``Recall``.

        Raises:
            TypeError: cues that are no numbers, a ``max_sweeps`` that is none.
            ValueError: other values, another length, an unknown option, a beta that is negative or
                infinite, or weights that have no energy.

        Reference:
            Hopfield 1982, eq. 1; Glauber 1963, "Time-dependent statistics of the Ising model",
            J. Math. Phys. 4, 294 (``beta``).

        Example:
            >>> network = HopfieldNetwork(2)
            >>> _ = network.weights.data.copy_(torch.tensor([[0.0, -1.0], [-1.0, 0.0]]))
            >>> network.recall([1, 1], "synchronous").cycle.item()
            2
            >>> network.recall([1, 1], order="sequential").state.tolist()
            [-1.0, 1.0]
        """
        if beta is not None and not 0 <= beta < math.inf:
            raise ValueError(
                f"beta must be at least 0 and finite, found {beta}; None is temperature zero"
            )
        fields = self.fields()
        draw = None if beta is None else partial(heat_bath, fields, beta)
        spins = as_spins("cues", cues, self.n_units).to(self.device)
        flat = spins.reshape(-1, self.n_units)
        found = follow(fields, flat, update, max_sweeps, order, generator, draw)
        return found.shaped(spins.shape, self.weights.dtype)

    # Other forms ---------------------------------------------------------------------------------

    def boltzmann_parameters(self) -> tuple[Tensor, Tensor]:
        """Weights and bias of the same law over units 0 and 1.

        .. math:: x = 2 s - 1: \\qquad w'_{ij} = 4 w_{ij}, \\qquad
                  b'_i = 2 b_i - 2 \\sum_{j \\ne i} w_{ij}

        Energies differ by a constant from :math:`-\\sum_{i<j} w'_{ij} s_i s_j - \\sum_i b'_i s_i`.

        Shapes:
            result: (d, d), with a diagonal of zeros, and (d,).

        Reference:
            Ackley, Hinton & Sejnowski 1985, "A learning algorithm for Boltzmann machines", eq. 1.

        Example:
            >>> weights, bias = HopfieldNetwork(2).store([1, 1]).boltzmann_parameters()
            >>> weights.tolist(), bias.tolist()
            ([[0.0, 2.0], [2.0, 0.0]], [-1.0, -1.0])
        """
        self._check_weights()
        weights = self.weights - torch.diag(self.weights.diagonal())
        return 4 * weights, 2 * self.bias - 2 * weights.sum(1)

    def to_ising(self, beta: float = 1.0) -> IsingModel:
        """The same law as spins on a graph, for sampling, annealing and log Z; no diagonal.

        Every pair is a coupling of its own: for networks of some hundred units.

        Arguments:
            beta: inverse temperature.

        Example:
            >>> spins = HopfieldNetwork(2).store([1, -1]).to_ising()
            >>> spins.energy(torch.tensor([[1, -1], [1, 1]])).tolist()
            [-0.5, 0.5]
        """
        self._check_weights()
        weights = self.weights.detach() - torch.diag(self.weights.detach().diagonal())
        return IsingModel(weights, self.bias.detach(), beta)

    def tempered_law(self) -> PairLaw:
        """The path from independent units to the law exp(-E), see :meth:`to_ising`."""
        return self.to_ising().tempered_law()

    def search_law(self) -> PairLaw:
        """The path along which low energies are searched for, see :meth:`to_ising`."""
        return self.to_ising().search_law()

    def fields(self) -> Fields:
        """Couplings as recall uses them: as patterns as long as the weights are Hebb's of them.

        Raises:
            ValueError: weights that have no energy.
        """
        self._check_weights()
        if self._fields is None:
            zero = self._hebbian_diagonal()
            if zero is None:
                _check_room(self.n_units, COPIES, "for exact fields")
                self._fields = DenseFields(self.weights, self.bias)
            else:
                self._fields = OverlapFields(self.patterns, self.bias, zero)
        return self._fields

    def _check_weights(self) -> None:
        """Refuse weights without an energy; forget what was made of other weights."""
        patterns = self.patterns.to(self.weights.dtype)
        tensors = [self.weights, self.bias, patterns]
        if self._checked is not None and self._checked.holds(tensors):
            return
        self._checked = self._fields = None
        check_symmetric(self.weights.detach(), self.bias.detach())
        self._checked = Snapshot(tensors)


def _check_room(n_units: int, copies: int, purpose: str) -> None:
    """Refuse a network whose matrices would not fit the memory."""
    require_memory(
        8 * copies * n_units**2,
        f"n_units = {n_units:,}, {purpose},",
        "overlap_after_recall studies memories that large without weights",
    )
