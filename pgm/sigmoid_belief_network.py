"""Sigmoid belief networks: binary units that their parents switch on, each with its own weight.

.. math:: p(x_k = 1 \\mid x_{\\pi(k)})
          = \\sigma\\Bigl(b_k + \\sum_{i \\in \\pi(k)} w_{ik} x_i\\Bigr)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from inference.exact.enumerate import enumerate_states
from inference.inputs import as_whole, check_choice
from inference.model import Model
from inference.random import GeneratorLike, as_generator
from inference.rows import mean_over_rows
from pgm.bayesian_network import BayesianNetwork
from pgm.sigmoid.enumeration import MOST_HIDDEN, check_finite, exact_log_prob, exact_marginals
from pgm.sigmoid.gibbs import ClampedGibbs, gibbs_marginals, read_beta
from pgm.sigmoid.learning import check_settings, informed_start, learn_exactly
from pgm.sigmoid.mean_field import mean_field
from pgm.sigmoid.recognition import BaselineName, Network, SampledLearning
from pgm.sigmoid.rows import check_informative, read_complete, read_mask, read_rows
from pgm.sigmoid.structure import Parameters, read_structure

__all__ = ["SigmoidBeliefNetwork"]

LogProbMethod = Literal["exact", "mean-field"]
PosteriorMethod = Literal["exact", "gibbs", "mean-field"]
FitMethod = Literal["em", "wake-sleep", "variational"]


class SigmoidBeliefNetwork(Model):
    """A directed acyclic graph of binary units with logistic conditionals.

    Arguments:
        edges: (parent, child) pairs of unit names; or layer sizes, top first, every unit a child
            of all units of the layer above.
        units: names, which give the order of columns; by default in order of appearance, and
            "layer.position" for layers.
        visible: the units that narrow data has columns for; by default the bottom layer, and all
            units where edges are given.
        dtype: of the parameters.

    The parameters are ``weights`` (n, n), from row to column, of which the entries without an
    arrow are ignored, and ``bias`` (n,); both start at zero. Copy numbers into them under
    ``torch.no_grad()`` and every method speaks of them. They take no gradients until
    ``requires_grad_()`` is called; then ``log_prob`` carries them. They must be finite: where a
    table has zeros, use :class:`~pgm.bayesian_network.BayesianNetwork`.

    Rows, in every method, are (n, units) zeros and ones with -1 or NaN for what is missing, or
    (n, visible), or a DataFrame with columns named by units.

    Raises:
        TypeError, ValueError: for cycles, unknown or repeated names, layer sizes below one.

    Reference:
        Neal 1992, "Connectionist learning of belief networks", Artificial Intelligence 56,
        section 2.

    Example:
        Two causes of one effect compete once the effect is seen:

        >>> net = SigmoidBeliefNetwork([("flu", "fever"), ("cold", "fever")])
        >>> net.units
        ('flu', 'fever', 'cold')
        >>> with torch.no_grad():
        ...     net.bias[1] = -1.0
        ...     net.weights[[0, 2], 1] = 2.0
        >>> flu = net.posterior([[-1, 1, -1], [-1, 1, 1]])[:, 0]
        >>> [round(p, 6) for p in flu.tolist()]
        [0.627371, 0.565785]
    """

    mask: Tensor

    def __init__(
        self,
        edges: Iterable[tuple[str, str]] | Sequence[int],
        units: Iterable[str] | None = None,
        *,
        visible: Iterable[str] | None = None,
        dtype: torch.dtype = torch.float64,
    ) -> None:
        super().__init__()
        if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
            raise TypeError(f"dtype must be a floating-point type, found {dtype!r}")
        self._graph = read_structure(edges, units)
        n, sizes = len(self._graph.units), self._graph.sizes
        if visible is None:
            self.visible = self._graph.units[n - sizes[-1] :] if sizes else self._graph.units
        else:
            self.visible = (visible,) if isinstance(visible, str) else tuple(visible)
            unknown = [name for name in self.visible if name not in self._graph.index]
            if unknown or not self.visible or len(set(self.visible)) < len(self.visible):
                found = f"unknown unit {unknown[0]!r}" if unknown else f"{self.visible}"
                raise ValueError(f"visible must name distinct units, at least one; found {found}")
        self.weights = nn.Parameter(torch.zeros((n, n), dtype=dtype), requires_grad=False)
        self.bias = nn.Parameter(torch.zeros(n, dtype=dtype), requires_grad=False)
        self.register_buffer("mask", torch.from_numpy(self._graph.adjacency), persistent=False)

    @property
    def units(self) -> tuple[str, ...]:
        """Names of the units, in the order of rows, weights and biases."""
        return self._graph.units

    @property
    def edges(self) -> list[tuple[str, str]]:
        """All (parent, child) pairs."""
        return self._graph.edges

    @property
    def layer_sizes(self) -> tuple[int, ...] | None:
        """Sizes of the layers, top first; None where edges were given."""
        return self._graph.sizes

    def config(self) -> dict[str, Any]:
        """Structure, names of the units and visible units."""
        sizes = self._graph.sizes
        return {
            "edges": list(sizes) if sizes else [list(edge) for edge in self.edges],
            "units": list(self.units),
            "visible": list(self.visible),
        }

    def __repr__(self) -> str:
        arrows = int(self._graph.adjacency.sum())
        return f"SigmoidBeliefNetwork({len(self.units)} units, {arrows} edges)"

    # Law -------------------------------------------------------------------------------------

    def log_prob(self, x: Any, *, method: LogProbMethod = "exact") -> Tensor:
        """Log-probability of what is known of every row, nats.

        .. math:: \\log p(v) = \\log \\sum_h p(v, h)

        Arguments:
            x: rows. Missing units that nothing observed depends on cost nothing; over the others
                the exact method sums, up to 20 of them in a row.
            method: ``"exact"`` (differentiable), or ``"mean-field"`` for a lower bound.

        Shapes:
            result: (n,).

        Raises:
            ValueError: bad rows, more than 20 units to sum over, parameters that are not finite.
        """
        check_choice("method", method, LogProbMethod)
        rows = self._rows(x)
        if method == "exact":
            return exact_log_prob(self._graph, self._masked(), rows)
        return mean_field(self._graph, self._masked(), rows).bound

    def score(self, x: Any, *, method: LogProbMethod = "exact") -> float:
        """Mean of :meth:`log_prob` over the rows, nats.

        Raises:
            ValueError: no rows.
        """
        with torch.no_grad():
            return float(mean_over_rows(self.log_prob(x, method=method)))

    def sample(self, n: int, *, generator: GeneratorLike = None) -> Tensor:
        """Draw independent rows of all units, parents first.

        Shapes:
            result: (n, units) int64, zeros and ones.

        Raises:
            TypeError, ValueError: n is no whole number, or negative.
        """
        rows = self.bias.new_zeros((as_whole("n", n, least=0), len(self.units)))
        missing = torch.ones_like(rows, dtype=torch.bool)
        drawn = self._graph.fill(rows, missing, self._raw(), generator=generator)
        return drawn.long()

    def gibbs_sweep(
        self,
        x: Any,
        *,
        observed: Tensor | Iterable[str] | None = None,
        beta: float | Tensor = 1.0,
        generator: GeneratorLike = None,
    ) -> Tensor:
        """Draw every unit that is not observed once from its law given all others.

        .. math:: \\log \\frac{p(x_k = 1 \\mid \\cdot)}{p(x_k = 0 \\mid \\cdot)}
                  = a_k + \\sum_{j \\in \\mathrm{ch}(k)} \\log
                  \\frac{p(x_j \\mid x_k = 1, \\cdot)}{p(x_j \\mid x_k = 0, \\cdot)}

        leaves :math:`p(h \\mid v)^\\beta`, up to its constant, invariant. Units that share neither
        an arrow nor a child are drawn together.

        Arguments:
            x: complete rows, one per chain.
            observed: units held fast: names, or a boolean mask.
            beta: inverse temperature, one number or one per chain.
            generator: None, a seed or a generator.

        Shapes:
            x: (chains, units). observed: (units,) or (chains, units). beta: () or (chains,).
            result: (chains, units) int64.

        Reference:
            Neal 1992, section 3.
        """
        rows = read_complete(x, self._graph.index, self.bias)
        held = read_mask(observed, self._graph.index, rows)
        temper = read_beta(beta, rows)
        kernel = ClampedGibbs(self._graph, self._masked(), held, temper)
        with torch.no_grad():
            state, _ = kernel.step(kernel.init(rows), as_generator(generator, self.device))
        return state.position.long()

    @torch.no_grad()
    def posterior(
        self,
        x: Any,
        method: PosteriorMethod = "exact",
        *,
        sweeps: int = 1000,
        warmup: int = 100,
        chains: int = 10,
        generator: GeneratorLike = None,
        progress: bool | None = None,
    ) -> Tensor:
        """Probability that each unit is one given what is known of its row.

        .. math:: p(x_k = 1 \\mid v)

        Arguments:
            x: rows.
            method: ``"exact"`` (a sum over up to 20 units), ``"gibbs"`` (an average over chains)
                or ``"mean-field"`` (the factorised law with the best bound found, see
                :meth:`log_prob`).
            sweeps: averaged over per chain (Gibbs).
            warmup: sweeps left out at the start (Gibbs).
            chains: per row (Gibbs).
            generator: None, a seed or a generator (Gibbs).
            progress: True, False, or None: a bar if on a terminal (Gibbs).

        Shapes:
            result: (n, units); observed entries as they are.

        Reference:
            Saul, Jaakkola & Jordan 1996, section 3 (mean field).
        """
        check_choice("method", method, PosteriorMethod)
        rows, parameters = self._rows(x), self._masked()
        if method == "exact":
            return exact_marginals(self._graph, parameters, rows)
        if method == "mean-field":
            return mean_field(self._graph, parameters, rows).marginals
        return gibbs_marginals(
            self._graph,
            parameters,
            rows,
            sweeps=sweeps,
            warmup=warmup,
            chains=chains,
            generator=generator,
            progress=progress,
        )

    # Learning --------------------------------------------------------------------------------

    def fit(
        self,
        data: Any,
        method: FitMethod = "em",
        *,
        l2: float = 0.0,
        max_iterations: int = 200,
        tolerance: float = 1e-7,
        n_init: int = 1,
        epochs: int = 100,
        batch_size: int = 100,
        lr: float = 0.01,
        n_samples: int = 10,
        baseline: BaselineName = "leave-one-out",
        recognition: SigmoidBeliefNetwork | None = None,
        generator: GeneratorLike = None,
        progress: bool | None = None,
    ) -> SigmoidBeliefNetwork:
        """Learn weights and biases from rows; ``history`` tells how it went.

        Complete rows leave a logistic regression per unit, which Newton's method solves exactly,
        whatever the method. Separable data have no maximum: without ``l2`` the weights stop, large
        but finite, where the fitted probabilities are right to ten digits. With hidden units
        ``"em"`` climbs the likelihood with exact posteriors (up to 20 units to sum over in a row),
        ``"wake-sleep"`` and ``"variational"`` learn a recognition network beside the model.

        With hidden units the present parameters are the start, or random ones if all of them are
        zero, where no method could tell hidden units apart.

        Arguments:
            data: rows. A row must have something observed.
            method: see above.
            l2: penalty ``l2 / 2`` times the sum of squared weights (scikit-learn's ``1 / C``).
            max_iterations: most Newton steps or EM iterations per start.
            tolerance: change of the objective per row that stops EM, nats; 0 makes every step.
            n_init: starts of EM; those after the first are random.
            epochs: passes over the data (wake-sleep, variational).
            batch_size: rows per gradient step (wake-sleep, variational).
            lr: step size of Adam (wake-sleep, variational).
            n_samples: draws per row (variational).
            baseline: subtracted from the rewards (variational).
            recognition: network from :meth:`recognition_network`, trained in place; a new one
                by default (wake-sleep, variational).
            generator: None, a seed or a generator.
            progress: True, False, or None: a bar if on a terminal.

        Returns:
            The network itself. ``history`` holds the penalised log-likelihood of the data per
            iteration (``objective``), or the mean lower bound per row and epoch (``bound``), nats.

        Raises:
            ValueError: bad rows, a row without an observed unit, no row, numbers out of range,
                learning that ran off to infinity; the parameters then stay as they were.

        Reference:
            Neal 1992 (maximum likelihood); Hinton, Dayan, Frey & Neal 1995 (wake-sleep);
            Mnih & Gregor 2014 (variational).
        """
        check_choice("method", method, FitMethod)
        check_settings(l2=l2, max_iterations=max_iterations, n_init=n_init)
        rows = self._rows(data, "data")
        check_informative(rows)
        start = Parameters(*[value.detach() for value in self._masked()])
        check_finite(start)
        drawing = as_generator(generator, self.device)
        if (rows >= 0).all() or method == "em":
            found, history = learn_exactly(
                self._graph,
                start,
                rows,
                l2=l2,
                max_iterations=max_iterations,
                tolerance=tolerance,
                n_init=n_init,
                generator=drawing,
                progress=progress,
            )
        else:
            other = self.recognition_network() if recognition is None else recognition
            self._check_recognition(other)
            ascent = SampledLearning(method, epochs, batch_size, lr, l2, n_samples, baseline)
            model = Network(self._graph, informed_start(self._graph, start, rows, drawing))
            found, guesses, history = ascent.run(
                model,
                Network(other._graph, other._raw()),
                rows,
                generator=drawing,
                progress=progress,
            )
            other._take(guesses)
        self._take(found)
        self.history = history
        return self

    def recognition_network(self) -> SigmoidBeliefNetwork:
        """A network with all arrows reversed, parameters zero: hidden units from their children.

        It is what ``fit`` learns beside the model; pass it as ``recognition`` to have it
        afterwards. Its units are drawn from the bottom up.

        Reference:
            Hinton, Dayan, Frey & Neal 1995.
        """
        reversed_ = [(child, parent) for parent, child in self.edges]
        network = SigmoidBeliefNetwork(
            reversed_, self.units, visible=self.visible, dtype=self.bias.dtype
        )
        return network.to(self.device)

    # Other models ----------------------------------------------------------------------------

    def to_bayesian_network(self) -> BayesianNetwork:
        """The same law with a table of 2^(parents) rows at every unit.

        Raises:
            ValueError: if a unit has more than 20 parents.
        """
        counts = self.mask.sum(0)
        if int(counts.max()) > MOST_HIDDEN:
            worst = int(counts.argmax())
            raise ValueError(
                f"unit {self.units[worst]!r} has {int(counts[worst])} parents, whose table would "
                f"have 2^{int(counts[worst])} rows; the limit is {MOST_HIDDEN} parents"
            )
        weights, bias = (value.detach().double().cpu() for value in self._masked())
        tables = {}
        for k, name in enumerate(self.units):
            above = self.mask[:, k].nonzero().squeeze(1).cpu()
            states = enumerate_states([2] * len(above)).double()
            on = torch.sigmoid(bias[k] + states @ weights[above, k])
            off = torch.sigmoid(-bias[k] - states @ weights[above, k])
            tables[name] = torch.stack([off, on], 1).reshape([2] * (len(above) + 1))
        return BayesianNetwork(self.edges, dict.fromkeys(self.units, 2), tables)

    # Numbers ---------------------------------------------------------------------------------

    def _raw(self) -> Parameters:
        return Parameters(self.weights, self.bias)

    def _masked(self) -> Parameters:
        """The parameters with zeros where there is no arrow."""
        return Parameters(torch.where(self.mask, self.weights, 0.0), self.bias)

    def _take(self, found: Parameters) -> None:
        """Copy learned parameters in."""
        with torch.no_grad():
            self.weights.copy_(found.weights)
            self.bias.copy_(found.bias)

    def _rows(self, x: Any, name: str = "x") -> Tensor:
        return read_rows(x, self._graph.index, self.visible, self.bias, name=name)

    def _check_recognition(self, network: SigmoidBeliefNetwork) -> None:
        if not isinstance(network, SigmoidBeliefNetwork):
            raise TypeError(
                f"recognition must be a SigmoidBeliefNetwork, found {type(network).__name__}"
            )
        if network.units != self.units:
            raise ValueError(
                "recognition must have the units of the model in the same order; "
                "use recognition_network()"
            )
