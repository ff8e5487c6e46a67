"""Conditional random fields on grids and graphs, with potentials from any network.

.. math:: p(y \\mid x) = \\frac{1}{Z(x)} \\exp\\Bigl(\\sum_i \\theta_i(y_i; x)
          + \\sum_{(i, j) \\in E} \\theta_{ij}(y_i, y_j; x)\\Bigr)
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from inference.exact.factor import Factor
from inference.exact.graph import FactorGraph
from inference.inputs import as_tensor, as_whole, check_choice
from inference.model import Model
from inference.progress import check_progress
from inference.random import GeneratorLike
from pgm.conditional import exact, objectives, search
from pgm.conditional.learning import Learner, OptimizerForm, Schedule
from pgm.conditional.objectives import Likelihood, PartitionMethod
from pgm.conditional.pairwise import PairwiseForm, edge_tables, pairwise_module
from pgm.conditional.potentials import Potentials
from pgm.conditional.search import Search
from pgm.conditional.templates import Template, template_of

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["ConditionalRandomField"]


class ConditionalRandomField(Model):
    """Labels of all nodes of a graph given an input, every pair of neighbours coupled.

    .. math:: p(y \\mid x) \\propto \\exp\\Bigl(\\sum_i \\theta_i(y_i; x)
              + \\sum_{(i, j) \\in E} \\theta_{ij}(y_i, y_j; x)\\Bigr)

    Arguments:
        template: who touches whom: a `GridTemplate`, for images of any size (also lines and
            volumes), or a `GraphTemplate`.
        n_states: number of labels K.
        unary: from inputs to scores of the labels, nats: (B, K, *grid) on a grid, as torch's
            convolutions give them, (B, n, K) on a graph. ``nn.Identity()`` if x holds the scores.
        pairwise: "potts", a learned reward for equal labels per kind of edge; "table", a learned
            K x K table per kind; "contrast", a reward that depends on how much the image
            (B, C, *grid) changes along the edge; or a module of x that returns the edges' tables:
            on a grid with M displacements (B, M K K, *grid), at every node those of the edges that
            begin there, on a graph (B, E, K, K). The first axis is the edge's first node. The
            named forms start at zero: independent labels.

    Numbers are float64 from the scores onwards; the modules keep their own type, in which inputs
    are given to them. -inf is a hard zero. Labels are whole numbers; -1 is a missing label.

    ``method`` is, for probabilities, "exact" (by a junction tree, refused where its tables do not
    fit: the width grows with the shorter side of a grid), "belief-propagation" (Bethe's log Z;
    exact on trees), "mean-field" (a lower bound of log Z) or "tree-reweighted" (an upper bound of
    log Z, and so a lower bound of the log-likelihood); for `log_prob`, `score` and `fit` also
    "pseudo-likelihood", which needs no log Z. For `most_probable` it is "exact",
    "belief-propagation" (max-product), "mean-field" or "icm"; the last three end in a labelling
    that no change of one label improves.

    Attributes:
        unary, pairwise: the modules, as given or as made: ``pairwise.coupling`` (M,) of "potts"
            and "contrast", ``pairwise.contrast`` (M,), ``pairwise.tables`` (M, K, K).
        history: one dict per epoch: ``loss``, minus the log-likelihood per label (with L-BFGS the
            penalty included), nats, and ``converged``, the share of inputs whose inference did.

    Raises:
        TypeError, ValueError: for arguments of the wrong kind or out of range.

    Reference:
        Lafferty, McCallum & Pereira 2001, "Conditional random fields", section 3; Sutton &
        McCallum 2012, "An introduction to conditional random fields", sections 2.3, 4.1 and 5.

    Example:
        Pixels that mostly agree with their neighbours, seen through noise:

        >>> from pgm.conditional.templates import GridTemplate
        >>> crf = ConditionalRandomField(GridTemplate(4), 2, nn.Identity())
        >>> _ = crf.pairwise.coupling.data.fill_(1.0)
        >>> seen = torch.tensor([[1.0, 1.0, 1.0], [1.0, -0.5, 1.0], [1.0, 1.0, 1.0]])
        >>> x = torch.stack([-seen, seen])[None] / 2
        >>> crf.most_probable(x)[0].tolist()
        [[[1, 1, 1], [1, 1, 1], [1, 1, 1]]]
        >>> round(crf.marginals(x)[0, 1, 1, 1].item(), 4)
        0.9323
    """

    def __init__(
        self,
        template: Template,
        n_states: int,
        unary: nn.Module,
        pairwise: nn.Module | PairwiseForm = "potts",
    ) -> None:
        super().__init__()
        if not isinstance(template, Template):
            raise TypeError(
                f"template must be a GridTemplate or a GraphTemplate, found {template!r}"
            )
        if not isinstance(unary, nn.Module):
            raise TypeError(
                f"unary must be a module, found {type(unary).__name__}; nn.Identity() takes x as "
                "the scores"
            )
        self.template = template
        self.n_states = as_whole("n_states", n_states, least=1)
        self.unary = unary
        self.pairwise = pairwise_module(pairwise, template, self.n_states)
        self._form = pairwise if isinstance(pairwise, str) else None

    # Probabilities ---------------------------------------------------------------------------

    def potentials(self, x: Any) -> Potentials:
        """The potentials of inputs, with the record of how they came about.

        Raises:
            TypeError, ValueError: if a module returns what does not fit the template, NaN or
                +inf.
        """
        x = self._input(x)
        scores = self.unary(x)
        axis = self.template.class_axis
        if not isinstance(scores, Tensor) or scores.ndim < 3 or not scores.is_floating_point():
            raise TypeError(
                "unary must return a floating-point tensor (B, K, *grid) or (B, n, K), found "
                f"{tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__}"
            )
        if scores.shape[axis] != self.n_states or not len(scores):
            raise ValueError(
                f"unary must return n_states={self.n_states} scores on axis {axis} for one input "
                f"or more, found shape {tuple(scores.shape)}"
            )
        scores = scores.movedim(axis, -1)
        layout = self.template.layout(tuple(scores.shape[1:-1])).to(scores.device)
        tables = edge_tables(self.pairwise, x, layout, self.n_states)
        if tables.ndim == 4 and len(tables) != len(scores):
            raise ValueError(
                f"unary and pairwise must return one graph per input, found {len(scores)} and "
                f"{len(tables)}"
            )
        for name, found in (("unary", scores), ("pairwise", tables)):
            bad = found.detach().isnan() | found.detach().isposinf()
            if bad.any():
                raise ValueError(f"{name} returned NaN or +inf; scores are finite or -inf")
        flat = scores.reshape(len(scores), layout.n_nodes, self.n_states)
        return Potentials(layout, flat.double(), tables.double())

    def log_prob(self, x: Any, y: Any, method: Likelihood = "exact") -> Tensor:
        """Log-probability of labellings given the inputs, nats, differentiable.

        .. math:: \\log p(y \\mid x) = \\sum_i \\theta_i(y_i) + \\sum_{ij} \\theta_{ij}(y_i, y_j)
                  - \\log Z(x)

        Missing labels are summed out, by the same method; the pseudo-likelihood counts the nodes
        only that are labelled as are all their neighbours.

        Arguments:
            x: inputs.
            y: labels.
            method: how log Z is found or replaced.

        Shapes:
            y: (B, *grid) or (B, n). result: (B,).

        Raises:
            ValueError: labels out of range or of another shape, or exact sums that do not fit in
                memory, with their width.

        Warns:
            ConvergenceWarning: if an approximate method did not settle.
        """
        check_choice("method", method, Likelihood)
        potentials = self.potentials(x)
        labels = self._labels(y, potentials)
        return objectives.log_likelihood(potentials, labels, method).value

    def energy(self, x: Any, y: Any) -> Tensor:
        """Minus the log weight of complete labellings, (B,), nats: no log Z."""
        potentials = self.potentials(x)
        labels = self._labels(y, potentials)
        if (labels < 0).any():
            raise ValueError("y must be complete to have an energy, found a missing label (-1)")
        return -potentials.score(labels)

    def log_partition(self, x: Any, method: PartitionMethod = "exact") -> Tensor:
        """Log partition function of every input, (B,), nats, differentiable.

        .. math:: \\log Z(x) = \\log \\sum_y \\exp s(y; x)
        """
        check_choice("method", method, PartitionMethod)
        return objectives.log_partition(self.potentials(x), method).value

    def score(self, x: Any, y: Any, method: Likelihood = "exact") -> float:
        """Mean log-likelihood per input, nats."""
        with torch.no_grad():
            return self.log_prob(x, y, method).mean().item()

    def marginals(self, x: Any, method: PartitionMethod = "exact") -> Tensor:
        """Probabilities of the labels of every node, shaped like the scores of ``unary``.

        .. math:: p(y_i = a \\mid x)

        Shapes:
            result: (B, K, *grid) or (B, n, K); NaN for an input that allows no labelling.
        """
        check_choice("method", method, PartitionMethod)
        with torch.no_grad():
            potentials = self.potentials(x)
        if method == "exact":
            found = exact.marginals(potentials)
        else:
            found = objectives.approximate(potentials, method).marginals
        shaped = found.reshape(len(found), *potentials.layout.shape, self.n_states)
        return shaped.movedim(-1, self.template.class_axis)

    def most_probable(self, x: Any, method: Search = "exact") -> tuple[Tensor, Tensor]:
        """Labellings of large weight, and the logarithms of their weights.

        .. math:: \\hat y = \\arg\\max_y s(y; x)

        Shapes:
            result: (B, *grid) or (B, n) int64, and (B,), nats.

        Raises:
            ValueError: if an exact maximum does not fit in memory, or nothing is possible.
        """
        check_choice("method", method, Search)
        with torch.no_grad():
            potentials = self.potentials(x)
            found = search.most_probable(potentials, method)
            return found.reshape(len(found), *potentials.layout.shape), potentials.score(found)

    def sample(self, x: Any, n: int = 1, *, generator: GeneratorLike = None) -> Tensor:
        """Independent exact draws of labellings of every input, (n, B, *grid) or (n, B, nodes).

        Raises:
            ValueError: n is negative, the exact sums do not fit, or nothing is possible.
        """
        n = as_whole("n", n, least=0)
        with torch.no_grad():
            potentials = self.potentials(x)
        found = exact.sample(potentials, n, generator)
        return found.reshape(n, potentials.rows, *potentials.layout.shape)

    def to_factor_graph(self, x: Any) -> FactorGraph:
        """The law of the labels as a factor graph, a batch of them for several inputs.

        Nodes are named by their places: "2" on a line or graph, "0,2" on a plane.
        """
        potentials = self.potentials(x)
        layout, unary, tables = potentials.layout, potentials.unary, potentials.tables
        if potentials.rows == 1:
            unary = unary.squeeze(0)
            tables = tables.squeeze(0) if tables.ndim == 4 else tables
        names = [",".join(map(str, place)) for place in np.ndindex(*layout.shape)]
        nodes = [Factor([name], unary[..., i, :]) for i, name in enumerate(names)]
        edges = [
            Factor([names[i], names[j]], tables[..., e, :, :])
            for e, (i, j) in enumerate(layout.edges.tolist())
        ]
        return FactorGraph(dict.fromkeys(names, self.n_states), [*nodes, *edges])

    # Learning --------------------------------------------------------------------------------

    def fit(
        self,
        X: Any,
        Y: Any,
        method: Likelihood = "exact",
        *,
        epochs: int = 30,
        batch_size: int = 16,
        learning_rate: float = 0.01,
        optimizer: OptimizerForm = "adam",
        l2: float = 0.0,
        parts: int | None = None,
        generator: GeneratorLike = None,
        progress: bool | None = None,
    ) -> Self:
        """Learn the parameters of both modules from labelled inputs of one shape.

        .. math:: \\max_\\theta \\sum_b \\log p_\\theta(y_b \\mid x_b)
                  - \\tfrac{\\lambda}{2} \\lVert \\theta \\rVert^2

        Gradients of approximate methods are those at their fixed points. The modules are in
        training mode meanwhile and in evaluation mode afterwards.

        Arguments:
            X: inputs, first axis the examples.
            Y: labels; -1 is missing, see `log_prob`.
            method: what stands for the log-likelihood.
            epochs: passes over the data; with L-BFGS most iterations.
            batch_size: inputs per step; with L-BFGS those worked on at a time.
            learning_rate: of Adam.
            optimizer: "adam", "lbfgs" (all data in every step; for convex problems, such as a
                linear ``unary``), or a function from parameters to an optimiser of torch.
            l2: strength of the penalty on all parameters.
            parts: how many each batch is cut in, which the processes of
                ``inference.parallel.join`` share; None does not cut them.
            generator: of the order of the examples.
            progress: True, False, or None: a bar if on a terminal.

        Shapes:
            X: (N, ...). Y: (N, *grid) or (N, n).

        Raises:
            TypeError, ValueError, FloatingPointError: arguments of the wrong kind, shape or
                range; a labelling of probability zero; or potentials or parameters that are no
                longer finite. The parameters are then as before.

        Warns:
            ConvergenceWarning: if inference did not settle in the last epoch.
        """
        check_choice("method", method, Likelihood)
        check_progress(progress)
        schedule = Schedule(epochs, batch_size, learning_rate, optimizer, l2, parts)
        X, labels = self._input(X), _as_labels(Y, self.n_states)
        if len(X) != len(labels) or not len(labels):
            raise ValueError(
                f"X and Y must have equally many examples, found {len(X)} and {len(labels)}"
            )
        parameters = [p for p in self.parameters() if p.requires_grad]
        if not parameters:
            raise ValueError("unary and pairwise have no parameters that can be learned")
        if not (labels >= 0).any():
            raise ValueError("Y must hold a label, found missing ones (-1) only")
        self.template.layout(tuple(labels.shape[1:]))

        def log_likelihood(rows: Tensor) -> objectives.Bounded:
            potentials = self.potentials(X[rows.to(X.device)])
            y = self._labels(labels[rows.to(labels.device)], potentials)
            return objectives.quiet_log_likelihood(potentials, y, method)

        learner = Learner(
            parameters,
            log_likelihood,
            len(labels),
            int((labels >= 0).sum()),
            objectives.PRECISION[method],
            schedule,
            progress,
        )
        before = {name: value.clone() for name, value in self.state_dict().items()}
        self.train()
        try:
            self.history = learner.run(generator)
        except Exception:
            self.load_state_dict(before)
            raise
        finally:
            self.eval()
        return self

    # State -----------------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """Template and number of labels, for ``repr``."""
        return f"{self.template!r}, {self.n_states} states"

    def config(self) -> dict[str, Any]:
        """Template, number of labels and the name of the pairwise form; no user's module."""
        return {
            "template": self.template.config(),
            "n_states": self.n_states,
            "pairwise": self._form,
        }

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        unary: nn.Module | None = None,
        pairwise: nn.Module | None = None,
    ) -> Self:
        """Read a model from a file that `save` wrote; it is on the CPU.

        A file is data: it holds the parameters of the modules and not what they compute. Modules
        of a user are therefore made anew and handed in; they take over the file's parameters.

        Arguments:
            path: of the file.
            unary: a module like the one that was saved; None for ``nn.Identity()``.
            pairwise: likewise; None for a named form, which the file knows.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: the file is damaged or holds something else, or its parameters do not fit
                the modules.
        """

        def build(config: dict[str, Any]) -> Self:
            form = config["pairwise"]
            if (form is None) == (pairwise is None):
                saved = "a module; pass one like it" if form is None else f"{form!r}; leave it out"
                raise ValueError(f"pairwise was {saved}")
            template, n_states = template_of(config["template"]), config["n_states"]
            return cls(template, n_states, unary or nn.Identity(), pairwise or form)

        return cls._loaded(path, build)

    # Reading ---------------------------------------------------------------------------------

    def _input(self, x: Any) -> Tensor:
        """Inputs on the model's device; real numbers in the type of its parameters."""
        found = as_tensor("x", x)
        if not found.ndim:
            raise ValueError("x must have a leading axis of examples, found one number")
        first = next((p for p in self.unary.parameters() if p.is_floating_point()), None)
        dtype = found.dtype if first is None or not found.is_floating_point() else first.dtype
        return found.to(self.device, dtype)

    def _labels(self, y: Any, potentials: Potentials) -> Tensor:
        """Labels (B, n) that fit the potentials."""
        found = _as_labels(y, self.n_states)
        wanted = (potentials.rows, *potentials.layout.shape)
        if tuple(found.shape) != wanted:
            raise ValueError(f"y must have shape {wanted}, found {tuple(found.shape)}")
        return found.reshape(potentials.rows, -1).to(potentials.unary.device)


def _as_labels(y: Any, n_states: int) -> Tensor:
    """Labels as int64 numbers from -1 to n_states - 1."""
    found = as_tensor("y", y)
    if found.is_floating_point() or found.is_complex():
        raise TypeError(f"y must hold whole numbers, -1 where missing, found {found.dtype}")
    found = found.long()
    if found.numel() and not (found.min() >= -1 and found.max() < n_states):
        raise ValueError(
            f"y must hold labels 0..{n_states - 1}, or -1 where missing, found "
            f"{found.min().item()}..{found.max().item()}"
        )
    return found
