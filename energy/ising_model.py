"""The Ising model: spins on a graph that pull their neighbours along.

.. math:: E(s) = -\\sum_{(i,j)} J_{ij} s_i s_j - \\sum_i h_i s_i, \\qquad
          p(s) \\propto e^{-\\beta E(s)}, \\qquad s_i \\in \\{-1, +1\\}
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from energy.boltzmann.factors import pairs_as_factors
from energy.energy_model import EnergyModel
from energy.ising.couplings import checked_edges, checked_field, edges_of_matrix, merged
from energy.ising.lattice import checked_shape, lattice_edges
from energy.ising.max_cut import read_max_cut
from inference.exact.freshness import Snapshot
from inference.exact.graph import FactorGraph
from inference.inputs import Values, as_tensors, as_whole, check_finite
from inference.sampling.binary.clusters import SwendsenWang
from inference.sampling.binary.law import PairLaw
from inference.sampling.binary.layout import PairLayout
from inference.sampling.kernel import Kernel, Rule

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["IsingModel"]

Move: TypeAlias = Literal["heat-bath", "metropolis", "clusters"]


class IsingModel(EnergyModel):
    """Spins -1 and +1 on any sparse graph.

    .. math:: E(s) = -\\sum_{(i,j)} J_{ij} s_i s_j - \\sum_i h_i s_i

    Arguments:
        couplings: symmetric (n, n) with a diagonal of zeros: a tensor or array, a sparse tensor
            or scipy matrix, or a networkx graph whose edges have ``weight``.
        field: h, one number or (n,); zero by default.
        beta: inverse temperature, may be set later.

    Attributes:
        couplings: J of every edge, (E,).
        field: h, (n,).
        edges: pairs of units, (E, 2), int64.
        shape: sides of the lattice, or None.

    Parameters do not require gradients until ``requires_grad_()``; energies and the exact log Z
    are differentiable by both.

    Raises:
        TypeError: couplings of another kind.
        ValueError: couplings that are not square, not symmetric or have a diagonal, a field of
            another length, NaN or infinity, a negative beta.

    Reference:
        Ising 1925, Z. Phys. 31, 253; MacKay 2003, "Information theory, inference, and learning
        algorithms", chapter 31.

    Example:
        >>> ring = IsingModel.lattice(4, J=1.0)
        >>> ring.energy(torch.tensor([[1, 1, 1, 1], [1, -1, 1, -1]])).tolist()
        [-4.0, 4.0]
        >>> round(ring.log_partition().item(), 6)  # log((2 cosh 1)^4 + (2 sinh 1)^4)
        4.797714
    """

    couplings: nn.Parameter
    field: nn.Parameter
    edges: Tensor

    def __init__(self, couplings: Any, field: Values | None = None, beta: float = 1.0) -> None:
        super().__init__()
        self._set(*edges_of_matrix(couplings), field, beta)

    def _set(
        self, n_units: int, edges: np.ndarray, couplings: Tensor, field: Any, beta: float
    ) -> None:
        """Take over what was checked and check the rest."""
        as_whole("number of units", n_units, least=1)
        field = checked_field(n_units, field, couplings)
        self.beta = beta
        self.couplings = nn.Parameter(couplings.detach(), requires_grad=False)
        self.field = nn.Parameter(field, requires_grad=False)
        self.register_buffer("edges", torch.from_numpy(edges).to(couplings.device))
        self.shape: tuple[int, ...] | None = None
        self._compiled: tuple[Snapshot, PairLayout] | None = None

    # Other ways to build one ---------------------------------------------------------------------

    @classmethod
    def from_edges(
        cls,
        n_units: int,
        edges: Any,
        couplings: Values,
        field: Values | None = None,
        beta: float = 1.0,
    ) -> Self:
        """A model from a list of edges; couplings of a pair that is there twice are added.

        Arguments:
            n_units: number of spins.
            edges: (E, 2) numbers of different spins.
            couplings: one number, or (E,).
            field: h, one number or (n,); zero by default.
            beta: inverse temperature.

        Raises:
            ValueError: edges that are loops or leave the graph, or another number of couplings.

        Example:
            >>> IsingModel.from_edges(3, [[0, 1], [1, 2]], 0.5).couplings.tolist()
            [0.5, 0.5]
        """
        pairs = checked_edges(as_whole("n_units", n_units, least=1), edges)
        (values,) = as_tensors(couplings=couplings)
        check_finite(couplings=values)
        if values.ndim == 0:
            values = values.expand(len(pairs))
        if values.shape != (len(pairs),):
            raise ValueError(
                f"couplings must be one number or ({len(pairs)},), found {tuple(values.shape)}"
            )
        model = cls.__new__(cls)
        EnergyModel.__init__(model)
        model._set(n_units, *merged(pairs, values.detach()), field, beta)
        return model

    @classmethod
    def lattice(
        cls,
        shape: int | Sequence[int],
        J: float | Sequence[float] = 1.0,
        h: Values = 0.0,
        periodic: bool = True,
        beta: float = 1.0,
    ) -> Self:
        """A rectangular lattice of any dimension.

        Around a ring of two the two bonds of a pair add up.

        Arguments:
            shape: its sides.
            J: coupling of neighbours, one number or one per axis.
            h: field, one number or one per site.
            periodic: whether it closes to a torus.
            beta: inverse temperature.

        Example:
            >>> model = IsingModel.lattice((3, 3), periodic=False)
            >>> model.n_units, len(model.edges)
            (9, 12)
        """
        sides = checked_shape(shape)
        edges, axes = lattice_edges(sides, periodic)
        (each,), (fields,) = as_tensors(J=J), as_tensors(h=h)
        check_finite(J=each, h=fields)
        if each.ndim > 1 or (each.ndim == 1 and len(each) != len(sides)):
            raise ValueError(f"J must be one number or one per axis, {len(sides)}, found {J!r}")
        values = each.expand(len(sides))[torch.from_numpy(axes)]
        model = cls.from_edges(math.prod(sides), edges, values, fields, beta)
        model.shape = sides
        return model

    @classmethod
    def from_max_cut(cls, path: str | os.PathLike[str]) -> Self:
        """The model whose ground states are the largest cuts of a graph in a G-set file.

        .. math:: J_{ij} = -w_{ij}, \\qquad \\text{cut}(s) = \\tfrac12 \\Bigl(\\sum w - E(s)\\Bigr)

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: a line is not in that format.
        """
        n, edges, weights = read_max_cut(path)
        return cls.from_edges(n, edges, -weights)

    def config(self) -> dict[str, Any]:
        """What, with the state, determines the model."""
        shape = None if self.shape is None else list(self.shape)
        sizes = {"n_units": self.n_units, "n_edges": len(self.edges)}
        return {**sizes, "beta": self.beta, "shape": shape}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """A model of that size, to be filled with a state."""
        edges = np.stack([np.arange(config["n_edges"])] * 2, axis=1).astype(np.int64)
        model = cls.__new__(cls)
        EnergyModel.__init__(model)
        empty = torch.zeros(len(edges), dtype=torch.float64)
        model._set(config["n_units"], edges, empty, None, config["beta"])
        model.shape = None if config["shape"] is None else tuple(config["shape"])
        return model

    # Energies ------------------------------------------------------------------------------------

    @property
    def n_units(self) -> int:
        """Number of spins."""
        return len(self.field)

    @property
    def beta(self) -> float:
        """Inverse temperature."""
        return self._beta

    @beta.setter
    def beta(self, beta: float) -> None:
        if not 0 <= beta < math.inf:
            raise ValueError(f"beta must be at least 0 and finite, found {beta}")
        self._beta = float(beta)

    def energy(self, x: Values) -> Tensor:
        """Energy of spins, without beta.

        Arguments:
            x: spins -1 and +1.

        Shapes:
            x: (..., n). result: (...), in the type of the couplings.

        Raises:
            ValueError: other values, or another number of spins.
        """
        spins = self._spins(x)
        flat = spins.reshape(-1, self.n_units)
        layout = self.layout
        found = -flat @ self.field
        if len(self.edges):
            columns = flat.T.index_select(0, layout.order)
            half = nn.functional.embedding_bag(
                layout.half_terms,
                columns.contiguous(),
                layout.half_starts,
                mode="sum",
                per_sample_weights=self.couplings[layout.half_edges],
            )
            found = found - (half * columns).sum(0)
        return found.reshape(spins.shape[:-1])

    def log_weight(self, x: Values) -> Tensor:
        """Log of the unnormalised probability, (batch,), nats: minus beta times the energy."""
        return -self.beta * self.energy(x)

    def magnetization(self, x: Values) -> Tensor:
        """Mean spin, (...)."""
        return self._spins(x).mean(-1)

    def cut_value(self, x: Values) -> Tensor:
        """Weight of the edges between spins of different sign, J being minus the weight, (...).

        .. math:: \\sum_{(i,j)} -J_{ij} \\frac{1 - s_i s_j}{2}
        """
        spins = self._spins(x)
        pairs = self.energy(spins) + spins @ self.field
        return (-self.couplings.sum() - pairs) / 2

    def _spins(self, x: Values) -> Tensor:
        """Spins as numbers in the type of the couplings."""
        (spins,) = as_tensors(x=x)
        if spins.ndim == 0 or spins.shape[-1] != self.n_units:
            raise ValueError(f"x must be (..., {self.n_units}) spins, found {tuple(spins.shape)}")
        wrong = (spins != 1) & (spins != -1)
        if bool(wrong.any()):
            raise ValueError(
                f"x must hold spins -1 and +1 only, found {spins[wrong][0].item():g}; "
                "turn units 0 and 1 into 2 * x - 1"
            )
        return spins.to(self.couplings)

    # Laws and kernels ----------------------------------------------------------------------------

    @property
    def layout(self) -> PairLayout:
        """Colours and index arrays, found once per graph and device."""
        if self._compiled is None or not self._compiled[0].holds([self.edges]):
            edges = checked_edges(self.n_units, self.edges)
            layout = PairLayout(self.n_units, edges, self.edges.device)
            self._compiled = (Snapshot([self.edges]), layout)
        return self._compiled[1]

    def tempered_law(
        self,
        *,
        base: Tensor | None = None,
        rule: Rule = "heat-bath",
        dtype: torch.dtype = torch.float32,
    ) -> PairLaw:
        """The path from independent spins to the model's own law.

        Arguments:
            base: field of the independent spins, (n,), nats; none by default. That of the mean
                spins of data, artanh(m), is nearer to a model learned from them.
            rule: how spins move.
            dtype: type of the sweeps.
        """
        couplings, field = self.beta * self.couplings, self.beta * self.field
        return PairLaw.of_spins(self.layout, couplings, field, base=base, rule=rule, dtype=dtype)

    def search_law(self) -> PairLaw:
        """The path along which low energies are searched for: Metropolis' rule."""
        return self.tempered_law(rule="metropolis")

    def kernel(self, move: Move = "heat-bath", beta: float = 1.0) -> Kernel[Any]:
        """What ``sample_chain`` runs.

        Arguments:
            move: "heat-bath" and "metropolis" update single spins, a colour at a time; "clusters"
                turns clusters, best for ferromagnets near their critical point.
            beta: inverse temperature, in units of the model's own.

        Raises:
            ValueError: an unknown move, or a negative beta.

        Example:
            >>> kernel = IsingModel.lattice((4, 4), beta=0.4).kernel("clusters")
            >>> state = kernel.init(torch.ones(2, 16))
            >>> kernel.position(kernel.step(state, torch.Generator().manual_seed(0))).shape
            torch.Size([2, 16])
        """
        if not 0 <= beta < math.inf:
            raise ValueError(f"beta must be at least 0 and finite, found {beta}")
        if move in ("heat-bath", "metropolis"):
            return self.tempered_law(rule=move).at(beta)
        if move != "clusters":
            raise ValueError(
                f'move must be "heat-bath", "metropolis" or "clusters", found {move!r}'
            )
        scale = beta * self.beta
        return SwendsenWang(self.edges, scale * self.couplings.data, scale * self.field.data)

    def to_factor_graph(self) -> FactorGraph:
        """The same law over variables "0", "1", ...; code 0 is spin -1, code 1 is spin +1."""
        couplings, field = self.beta * self.couplings.double(), self.beta * self.field.double()
        return pairs_as_factors(couplings, field, self.edges.cpu().numpy(), (-1.0, 1.0))

    def _decoded(self, codes: Tensor) -> Tensor:
        return 2 * codes.to(torch.float32) - 1
