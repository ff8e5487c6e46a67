"""Learning sigmoid belief networks with a second one that guesses the hidden units.

.. math:: \\log p(v) \\ge \\mathbb{E}_{q(h \\mid v)}
          \\bigl[\\log p(v, h) - \\log q(h \\mid v)\\bigr],
          \\qquad q(h \\mid v) = \\prod_k q(h_k \\mid x_{\\mathrm{ch}(k)})

The recognition network has the arrows of the model reversed: it draws every hidden unit from the
states of its children. Units that nothing seen depends on are left out of both laws, and are zero
where the recognition network looks at them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from inference.inputs import as_whole, check_choice
from inference.learning.estimators import MovingAverage, score_function
from inference.progress import progress_bar
from inference.random import GeneratorLike, as_generator
from pgm.sigmoid.structure import Parameters, UnitGraph

__all__ = [
    "BaselineName",
    "Batch",
    "Network",
    "SampledLearning",
    "variational_objective",
    "wake_sleep_objective",
]

#: Log-odds beyond which learning is taken to have gone astray.
_LARGEST = 1e6

BaselineName = Literal["none", "moving-average", "leave-one-out"]


class Network(NamedTuple):
    """A graph with its numbers."""

    graph: UnitGraph
    parameters: Parameters


class Batch(NamedTuple):
    """Rows, -1 where missing, and which entries count in the model, (rows, n) bool.

    What does not count drops out of the law of what is seen.
    """

    rows: Tensor
    kept: Tensor

    @classmethod
    def of(cls, graph: UnitGraph, rows: Tensor) -> Batch:
        """All rows; the units that count are found once for each pattern of gaps."""
        seen, which = torch.unique(rows >= 0, dim=0, return_inverse=True)
        return cls(rows, graph.with_ancestors(seen)[which])

    @property
    def hidden(self) -> Tensor:
        """The entries to be guessed."""
        return self.kept & (self.rows < 0)

    def pick(self, numbers: Tensor) -> Batch:
        """Some of the rows."""
        return Batch(self.rows[numbers], self.kept[numbers])

    def repeat(self, times: int) -> Batch:
        """All rows, many times over."""
        return Batch(self.rows.repeat(times, 1), self.kept.repeat(times, 1))


@dataclass(frozen=True)
class SampledLearning:
    """Stochastic gradient ascent of a model and its recognition network.

    Arguments:
        method: of the two below.
        epochs: passes over the data.
        batch_size: rows per step.
        lr: step size of Adam.
        l2: strength of the penalty on the model's weights, as for the sum over all rows.
        n_samples: draws per row (variational).
        baseline: what is subtracted from the rewards (variational).

    Raises:
        TypeError, ValueError: for numbers out of range.

    Reference:
        Kingma & Ba 2015, algorithm 1 (Adam).
    """

    method: Literal["wake-sleep", "variational"]
    epochs: int
    batch_size: int
    lr: float
    l2: float
    n_samples: int
    baseline: BaselineName

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "n_samples"):
            as_whole(name, getattr(self, name), least=1)
        if not 0 < self.lr < math.inf:
            raise ValueError(f"lr must be positive and finite, found {self.lr}")
        check_choice("baseline", self.baseline, BaselineName)
        others = self.n_samples > 1 or self.baseline != "leave-one-out"
        if self.method == "variational" and not others:
            raise ValueError("the baseline 'leave-one-out' needs n_samples of at least 2, found 1")

    def run(
        self,
        model: Network,
        recognition: Network,
        rows: Tensor,
        *,
        generator: GeneratorLike,
        progress: bool | None,
    ) -> tuple[Parameters, Parameters, list[dict[str, Any]]]:
        """Learn on copies of the parameters.

        Returns:
            Parameters of the model and of the recognition network, and per epoch the mean of the
            lower bound over rows and draws, in nats per row, as it was while learning.
        """
        drawing = as_generator(generator, rows.device)
        p, q = _trainable(model), _trainable(recognition)
        arrows = torch.from_numpy(model.graph.adjacency).to(rows)
        optimizer = torch.optim.Adam([*p.parameters, *q.parameters], lr=self.lr, maximize=True)
        average, history, batch = MovingAverage(), [], Batch.of(model.graph, rows)
        with progress_bar(self.epochs, self.method, progress) as bar:
            for epoch in range(1, self.epochs + 1):
                order = torch.randperm(len(rows), generator=drawing, device=rows.device)
                total = 0.0
                for some in order.split(self.batch_size):
                    objective, bounds = self._objective(
                        p, q, batch.pick(some), average.value, drawing
                    )
                    average = average.update(bounds)
                    penalty = 0.5 * self.l2 * (p.parameters.weights * arrows).square().sum()
                    optimizer.zero_grad()
                    (objective - penalty / len(rows)).backward()
                    optimizer.step()
                    _check_range(p.parameters)
                    _check_range(q.parameters)
                    total += float(bounds.mean()) * len(some)
                history.append({"epoch": epoch, "bound": total / len(rows)})
                bar.update(1)
                bar.set_postfix_str(f"bound {total / len(rows):.4g}")
        return _detached(p), _detached(q), history

    def _objective(
        self,
        model: Network,
        recognition: Network,
        batch: Batch,
        average: Tensor | float,
        generator: torch.Generator,
    ) -> tuple[Tensor, Tensor]:
        """What a step climbs, (), and the bounds of its draws, nats."""
        if self.method == "wake-sleep":
            return wake_sleep_objective(model, recognition, batch, generator)
        baselines: dict[BaselineName, Any] = {
            "none": None,
            "moving-average": average,
            "leave-one-out": "leave-one-out",
        }
        return variational_objective(
            model, recognition, batch, self.n_samples, baselines[self.baseline], generator
        )


def wake_sleep_objective(
    model: Network, recognition: Network, batch: Batch, generator: GeneratorLike
) -> tuple[Tensor, Tensor]:
    """What a step of wake-sleep climbs, (), and the bounds of its draws, (rows,), nats.

    .. math:: \\log p(v, h) + \\log q(h' \\mid v'), \\qquad h \\sim q(\\cdot \\mid v), \\quad
              v', h' \\sim p

    with the draws held fast: the model learns to produce the guesses made on data, the recognition
    network to see through the model's fantasies.

    Reference:
        Hinton, Dayan, Frey & Neal 1995, "The wake-sleep algorithm for unsupervised neural
        networks", Science 268, 1158-1161.
    """
    drawing = as_generator(generator, batch.rows.device)
    guess, log_q = _guess(recognition, batch, drawing)
    log_p = model.graph.log_prob(guess, model.parameters, batch.kept)
    everything = torch.ones_like(batch.kept)
    dream = model.graph.fill(guess, everything, model.parameters, generator=drawing)
    seen = torch.where(batch.kept, dream, 0.0)
    asleep = recognition.graph.log_prob(seen, recognition.parameters, batch.hidden)
    return (log_p + asleep).mean(), (log_p - log_q).detach()


def variational_objective(
    model: Network,
    recognition: Network,
    batch: Batch,
    n_samples: int,
    baseline: Tensor | float | Literal["leave-one-out"] | None,
    generator: GeneratorLike,
) -> tuple[Tensor, Tensor]:
    """The lower bound's estimate with an unbiased gradient, (), and its terms (draws, rows), nats.

    .. math:: \\nabla \\log p(v, h_i)
              + (r_i - b_i)\\, \\nabla \\log q(h_i \\mid v), \\qquad
              r_i = \\log p(v, h_i) - \\log q(h_i \\mid v)

    Reference:
        Mnih & Gregor 2014, "Neural variational inference and learning in belief networks",
        section 2.2.
    """
    many = batch.repeat(n_samples)
    guess, log_q = _guess(recognition, many, as_generator(generator, batch.rows.device))
    log_p = model.graph.log_prob(guess, model.parameters, many.kept)
    # The mean of grad log q is zero: without that term the estimate is as right and varies less.
    reward = (log_p - log_q.detach()).view(n_samples, -1)
    surrogate = score_function(log_q.view(n_samples, -1), reward, baseline=baseline)
    return surrogate.mean(), reward.detach()


def _guess(
    recognition: Network, batch: Batch, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Rows with their hidden units drawn by the recognition network, and log q of these."""
    graph, parameters = recognition
    known, hidden = batch.rows.clamp_min(0), batch.hidden
    guess = graph.fill(known, hidden, parameters, generator=generator)
    return guess, graph.log_prob(guess, parameters, hidden)


def _check_range(parameters: Parameters) -> None:
    """Refuse log-odds without meaning, before their sums overflow."""
    if not all([bool((value.abs() < _LARGEST).all()) for value in parameters]):
        raise ValueError(
            f"learning ran off to parameters beyond {_LARGEST:g}; use a smaller lr or a positive "
            "l2. The parameters are as they were"
        )


def _trainable(network: Network) -> Network:
    """A copy whose parameters take gradients."""
    parameters = [value.detach().clone().requires_grad_() for value in network.parameters]
    return Network(network.graph, Parameters(*parameters))


def _detached(network: Network) -> Parameters:
    return Parameters(*[value.detach() for value in network.parameters])
