"""Linear-Gaussian Bayesian networks: directed graphs of continuous variables.

.. math:: x_v = b_v + \\sum_{p \\in \\pi(v)} w_{pv}\\, x_p + \\varepsilon_v, \\qquad
          \\varepsilon_v \\sim N(0, s_v^2)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.distributions import Normal

from inference.inputs import check_choice
from inference.random import GeneratorLike
from pgm.digraph import Digraph
from pgm.directed_model import DirectedModel
from pgm.linear_gaussian.conditioning import GaussianConditioner
from pgm.linear_gaussian.learning import EMOptions, LinearGaussianLearner
from pgm.linear_gaussian.queries import GaussianPosterior, GaussianQueries
from pgm.linear_gaussian.real_variables import RealVariables, row_weights
from pgm.linear_gaussian.structural_equations import LinearEquations

if TYPE_CHECKING:
    pass


__all__ = ["LinearGaussianNetwork"]

ImputeMethod: TypeAlias = Literal["mean", "sample"]


class LinearGaussianNetwork(DirectedModel):
    """A directed acyclic graph of real variables, linear in their parents, with Gaussian noise.

    .. math:: x \\sim N(\\mu, \\Sigma), \\quad \\mu = A^T b, \\quad \\Sigma = A^T D A, \\quad
              A = (I - W)^{-1}

    Arguments:
        edges: (parent, child) pairs.
        variables: the names; gives the order of every axis.
        weights: per edge its coefficient, by pair or as a (V, V) matrix, from -> to; 0 by default.
        intercepts: b, by name or as an array; 0 by default.
        variances: of the noise, by name or as an array; 1 by default.

    The numbers are the parameters ``weights`` (V, V), ``intercepts`` (V,) and ``variances``
    (V,): copy new ones into them under ``torch.no_grad()`` and every method speaks of them. The
    buffer ``mask`` holds where the graph has edges; weights elsewhere count as zero. No gradients
    are required until ``requires_grad_()`` is called; then ``log_prob``, ``log_evidence``,
    ``mean`` and ``covariance`` carry them.

    A variance of zero makes a deterministic variable. Sampling, moments and conditioning take it
    exactly: evidence that other evidence determines must agree with it, and adds nothing. It has
    no density, so ``log_prob`` and ``log_evidence`` refuse rows in which observed entries
    determine one another.

    Evidence, in every method, maps names to a number or to a 1-D batch (NaN = unobserved).

    Raises:
        TypeError, ValueError: cycles, unknown names, misshapen or negative numbers, NaN.

    Reference:
        Shachter & Kenley 1989, "Gaussian influence diagrams"; Koller & Friedman 2009, section 7.2.

    Example:
        >>> net = LinearGaussianNetwork(
        ...     [("room", "cheap"), ("room", "good")],
        ...     ["room", "cheap", "good"],
        ...     {("room", "cheap"): 1.0, ("room", "good"): 1.0},
        ...     {"room": 20.0, "cheap": 0.0, "good": 0.0},
        ...     {"room": 4.0, "cheap": 4.0, "good": 1.0},
        ... )
        >>> found = net.marginals({"cheap": 18.0, "good": 21.0}, ["room"])["room"]
        >>> round(found.mean.item(), 4), round(found.stddev.item(), 4)
        (20.3333, 0.8165)
    """

    mask: Tensor

    def __init__(
        self,
        edges: Iterable[tuple[str, str]],
        variables: Sequence[str],
        weights: Any = None,
        intercepts: Any = None,
        variances: Any = None,
    ) -> None:
        names = RealVariables(variables)
        super().__init__(Digraph.from_edges(names.names, edges))
        self._names = names
        self._order = [names.index[name] for name in self._digraph.topological()]
        coefficients = self._names.edge_values(weights, self._digraph.edges, "weights")
        self.weights = _fixed(coefficients)
        self.intercepts = _fixed(self._names.values(intercepts, 0.0, "intercepts"))
        self.variances = _fixed(self._names.values(variances, 1.0, "variances"))
        mask = torch.zeros_like(coefficients, dtype=torch.bool)
        for child, above in enumerate(self._parent_numbers()):
            mask[above, child] = True
        self.register_buffer("mask", mask)
        self._equations()

    # Structure -------------------------------------------------------------------------------

    @property
    def n_parameters(self) -> int:
        """Number of parameters: one per edge, an intercept and a variance per variable."""
        return len(self.edges) + 2 * len(self.variables)

    def __repr__(self) -> str:
        return (
            f"LinearGaussianNetwork({len(self.variables)} variables, {len(self.edges)} edges, "
            f"{self.n_parameters} parameters)"
        )

    # Moments ---------------------------------------------------------------------------------

    @property
    def mean(self) -> Tensor:
        """Mean of all variables, (V,)."""
        return self._equations().mean()

    @property
    def covariance(self) -> Tensor:
        """Covariance of all variables, (V, V)."""
        return self._equations().covariance()

    @property
    def precision(self) -> Tensor:
        """Inverse covariance, (V, V): zero where two variables are independent given the rest.

        .. math:: \\Sigma^{-1} = (I - W)\\, D^{-1} (I - W)^T

        Raises:
            ValueError: if a variance is zero.
        """
        equations = self._equations()
        equations.check_noise(self.variables)
        return equations.precision()

    # Queries ---------------------------------------------------------------------------------

    def log_prob(self, x: Any) -> Tensor:
        """Log-density of every row in nats; missing entries are integrated out exactly.

        .. math:: \\log p(x_O) = \\log N(x_O; \\mu_O, \\Sigma_{OO})

        Arguments:
            x: (n, V) numbers (NaN = missing), or a DataFrame with a column per variable.

        Shapes:
            result: (n,); zero for rows without any entry.

        Raises:
            ValueError: if observed entries determine one another (variances of zero), so that
                there is no density.
        """
        return self._log_density(self._rows(x))

    def log_evidence(self, evidence: Mapping[str, Any] | None = None) -> Tensor:
        """Log-density of the evidence in nats, () or (B,) for a batch."""
        rows, batched = self._names.evidence(evidence, self.weights)
        density = self._log_density(rows)
        return density if batched else density.squeeze(0)

    def query(
        self, variables: str | Sequence[str], evidence: Mapping[str, Any] | None = None
    ) -> GaussianPosterior:
        """Joint law of several variables given the evidence; observed ones are constants.

        .. math:: N\\bigl(\\mu_H + \\Sigma_{HO} \\Sigma_{OO}^{-1} (x_O - \\mu_O),\\;
                  \\Sigma_{HH} - \\Sigma_{HO} \\Sigma_{OO}^{-1} \\Sigma_{OH}\\bigr)

        Raises:
            ValueError: if single evidence is impossible (rows of a batch become NaN).

        Reference:
            Eaton 1983, "Multivariate statistics", proposition 3.13 (the pseudo-inverse).
        """
        return self._queries().query(self._names.numbers(variables, "variables"), evidence)

    def marginals(
        self, evidence: Mapping[str, Any] | None = None, variables: Sequence[str] | None = None
    ) -> dict[str, Normal]:
        """Posterior of every variable (or of those asked for), observed ones included.

        What is observed or determined has the standard deviation zero.

        Shapes:
            mean and stddev of a value: (), or (B,) for a batch; impossible rows are NaN.

        Raises:
            ValueError: if single evidence is impossible.
        """
        return self._queries().marginals(self._names.numbers(variables, "variables"), evidence)

    def most_probable(
        self, evidence: Mapping[str, Any] | None = None
    ) -> tuple[dict[str, float], Tensor]:
        """Point of largest density that agrees with the evidence, and its log-density in nats.

        It is the posterior mean.

        Raises:
            ValueError: for a batch, and if a variance is zero, so that there is no density.
        """
        mean = self._queries().expected(evidence)
        with torch.no_grad():
            density = self._log_density(mean.unsqueeze(0)).squeeze(0)
        return dict(zip(self.variables, mean.tolist(), strict=True)), density

    def sample(
        self, n: int, evidence: Mapping[str, Any] | None = None, *, generator: GeneratorLike = None
    ) -> Tensor:
        """Independent exact draws: of the network without evidence, of the posterior with it.

        Shapes:
            result: (n, V).

        Raises:
            ValueError: if the evidence is impossible or a batch.
        """
        return self._queries().sample(n, evidence, generator)

    def impute(
        self, x: Any, method: ImputeMethod = "mean", *, generator: GeneratorLike = None
    ) -> Tensor:
        """Fill the gaps of every row: with their expectation, or with one joint draw.

        Shapes:
            x: as in :meth:`log_prob`. result: (n, V).

        Raises:
            ValueError: an unknown method, or a row that the network makes impossible.
        """
        check_choice("method", method, ImputeMethod)
        return self._queries().impute(self._rows(x), method == "sample", generator)

    # Other models ----------------------------------------------------------------------------

    @torch.no_grad()
    def intervene(self, values: Mapping[str, float]) -> LinearGaussianNetwork:
        """Return the network after setting variables by force: p(x | do(values)).

        The variables lose their parents and become constants.

        Reference:
            Pearl 2009, definition 3.2.1.

        Example:
            >>> net = LinearGaussianNetwork([("a", "b")], ["a", "b"], {("a", "b"): 2.0})
            >>> net.intervene({"b": 3.0}).mean.tolist(), net.intervene({"a": 3.0}).mean.tolist()
            ([0.0, 3.0], [3.0, 6.0])
        """
        rows, batched = self._names.evidence(values, self.weights)
        if batched:
            raise ValueError("intervene takes one intervention at a time, not a batch")
        forced = ~rows[0].isnan()
        if forced.sum() < len(values):
            raise ValueError("values must be numbers, found NaN; leave the variable out")
        now = self._equations()
        cut = {self.variables[v] for v in forced.nonzero().flatten().tolist()}
        edges = [edge for edge in self.edges if edge[1] not in cut]
        changed = LinearGaussianNetwork(edges, self.variables).to(self.weights)
        changed._take(
            torch.where(forced, 0.0, now.weights),
            torch.where(forced, rows[0], now.intercepts),
            torch.where(forced, 0.0, now.variances),
        )
        return changed

    # Learning --------------------------------------------------------------------------------

    def fit(
        self,
        data: Any,
        ridge: float = 0.0,
        sample_weight: Any = None,
        *,
        n_starts: int = 1,
        max_iterations: int = 1000,
        tolerance: float = 1e-8,
        generator: GeneratorLike = None,
        progress: bool | None = None,
    ) -> LinearGaussianNetwork:
        """Learn weights, intercepts and variances by maximum likelihood.

        .. math:: \\max\\; \\sum_i c_i \\log p(x^{(i)}_{O_i})
                  - \\frac{\\lambda}{2} \\sum_v \\frac{\\lVert w_v \\rVert^2}{s_v^2}

        Without gaps that is least squares of every variable on its parents; variances are mean
        squares (divided by n, not by the degrees of freedom), and what parents determine to
        rounding gets variance zero. Constant or collinear parents get the solution of least norm
        in units of their standard deviations. With gaps it is expectation-maximisation, whose
        objective never falls.

        A column without any entry is a hidden variable (factor analysis is a special case). It
        starts at random. Its mean, scale and sign are not determined by data, and several hidden
        ones may be rotated; what is observed is still modelled by maximum likelihood, though
        possibly a local one: try several starts.

        Arguments:
            data: as ``x`` of :meth:`log_prob`. Gaps must not depend on what they hide, given
                what is observed (missing at random).
            ridge: lambda, in units of the data: weights are those of ridge regression, and the
                variances include the penalty.
            sample_weight: (n,) weights of the rows; a weight of 2 is a row that is there twice.
            n_starts: starts of expectation-maximisation; the best is kept.
            max_iterations: most steps per start.
            tolerance: change of the objective per row that stops it, nats; 0 makes every step.
            generator: for the random starts of hidden variables.
            progress: True, False, or None: a bar if on a terminal.

        Raises:
            ValueError: infinities, bad weights, fewer rows than a variable has coefficients and a
                variance (parents + 2), numbers whose squares the parameters' type does not hold,
                or gaps together with variables that have no noise. The parameters are then as
                before.

        Reference:
            Koller & Friedman 2009, section 17.2.4; Dempster, Laird & Rubin 1977, section 4.1.
        """
        rows = self._names.rows(data, "data").detach().double().to(self.device)
        options = EMOptions(n_starts, max_iterations, tolerance, generator, progress)
        shares = row_weights(sample_weight, len(rows)).to(self.device)
        parents = self._parent_numbers()
        learner = LinearGaussianLearner(self.variables, parents, self._order, float(ridge))
        found, history = learner.learn(rows, shares, options)
        self._check_stored(found)
        self._take(found.weights, found.intercepts, found.variances)
        self.history = history
        return self

    def config(self) -> dict[str, Any]:
        """Edges and variables: what the constructor takes besides the numbers."""
        return {"edges": self.edges, "variables": list(self.variables)}

    # Numbers ---------------------------------------------------------------------------------

    def _equations(self) -> LinearEquations:
        """The present parameters, checked, with zeros where there is no edge."""
        weights = torch.where(self.mask, self.weights, 0.0)
        equations = LinearEquations(weights, self.intercepts, self.variances, self._order)
        equations.check(self.variables)
        return equations

    def _check_stored(self, found: LinearEquations) -> None:
        """Refuse learned numbers that the parameters' type would make infinite or zero."""
        dtype = self.weights.dtype
        stored = [x.to(dtype) for x in (found.weights, found.intercepts, found.variances)]
        lost = (found.variances > 0) & (stored[2] == 0)
        if lost.any() or not all([bool(x.isfinite().all()) for x in stored]):
            raise ValueError(
                f"data: the learned numbers (variances {found.variances.min():g} to "
                f"{found.variances.max():g}) are outside the range of {dtype}; rescale the data, "
                "or make the network double()"
            )

    def _take(self, weights: Tensor, intercepts: Tensor, variances: Tensor) -> None:
        """Copy new numbers into the parameters."""
        with torch.no_grad():
            self.weights.copy_(weights)
            self.intercepts.copy_(intercepts)
            self.variances.copy_(variances)

    def _log_density(self, rows: Tensor) -> Tensor:
        """Log-density of the observed entries of (n, V) rows, nats (n,)."""
        equations = self._equations()
        complete = ~rows.isnan().any(1)
        result = rows.new_zeros(len(rows))
        if complete.any():
            equations.check_noise(self.variables)
            result = result.masked_scatter(complete, equations.log_prob(rows[complete]))
        if complete.all():
            return result
        mean, covariance = equations.mean(), equations.covariance()
        law = GaussianConditioner(self.variables, mean, equations.noise_root())
        partial = law.log_density(rows[~complete], mean, covariance)
        return result.masked_scatter(~complete, partial)

    def _queries(self) -> GaussianQueries:
        """Posterior queries with the present numbers."""
        with torch.no_grad():
            equations = self._equations()
            mean, root = equations.mean(), equations.noise_root()
        law = GaussianConditioner(self.variables, mean, root)
        return GaussianQueries(self._names, law, self.weights.detach())

    def _rows(self, x: Any) -> Tensor:
        """Rows of data with the parameters' type and device."""
        return self._names.rows(x, "x").to(self.weights)

    def _parent_numbers(self) -> list[list[int]]:
        """Numbers of the parents of every variable."""
        index = self._names.index
        return [[index[p] for p in self._digraph.parents[name]] for name in self.variables]


def _fixed(numbers: Tensor) -> nn.Parameter:
    """A parameter of its own memory that requires no gradient."""
    return nn.Parameter(numbers.clone(), requires_grad=False)
