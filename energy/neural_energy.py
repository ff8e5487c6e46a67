"""A neural network as an energy: a density of real variables of any form.

.. math:: E(x) = f_\\theta(x) + \\sum_i \\frac{(x_i - \\mu_i)^2}{2 \\sigma_i^2}, \\qquad
          p(x) = \\frac{e^{-E(x)}}{Z}
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, SupportsIndex, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from energy.energy_model import annealed_draws
from energy.neural.learning import Lesson
from energy.neural.quadrature import POINTS_PER_AXIS, grid_limits, grid_log_partition
from energy.neural.rows import check_network, checked_output, mean_and_scale
from energy.neural.training import LearningMethod, Settings
from inference.inputs import Values, as_whole
from inference.learning.optimization import Optimization
from inference.model import Model
from inference.progress import check_progress
from inference.random import GeneratorLike, as_generator
from inference.rows import checked_shape, read_rows
from inference.sampling.adaptation import adapted
from inference.sampling.annealed_importance import LogPartition, annealed_importance_sampling
from inference.sampling.continuous import evaluate, sum_event
from inference.sampling.continuous_law import Base, ContinuousLaw, NormalBase
from inference.sampling.hmc import HMC
from inference.sampling.kernel import Annealable
from inference.sampling.langevin import MALA, ULA
from inference.sampling.metropolis import ContinuousKernel

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["NeuralEnergy"]

Move: TypeAlias = Literal["mala", "ula", "hmc"]


class NeuralEnergy(Model, Annealable):
    """Any torch module as an energy.

    .. math:: E(x) = f_\\theta(x) + \\sum_i \\frac{(x_i - \\mu_i)^2}{2 \\sigma_i^2}

    The second term confines the law: with it, a network that grows less than quadratically has a
    finite Z, and one that is zero is the normal law of the data. Without it that is for the
    network to see to.

    Arguments:
        network: f, a module from (batch, *event) to (batch,) or (batch, 1), nats, each row by
            itself (no batch normalisation) and without chance (no dropout). Smooth activations,
            SiLU or Softplus, suit slopes and chains.
        event_shape: of one observation, a number for vectors; None takes that of the first data.
        confine: whether the quadratic term is there.

    Attributes:
        mean, scale: of the base law, standard normal until ``fit`` sets them to those of data.
        log_normalizer: log Z as noise-contrastive learning found it, NaN otherwise.

    Raises:
        TypeError: a network that is none.
        ValueError: a shape that is none; a network whose result has another shape.

    Reference:
        LeCun et al. 2006, "A tutorial on energy-based learning"; Song & Kingma 2021, "How to
        train your energy-based models".

    Example:
        >>> flat = nn.Linear(2, 1)
        >>> _ = [nn.init.zeros_(p) for p in flat.parameters()]
        >>> model = NeuralEnergy(flat, 2)
        >>> model.energy([[1.0, 2.0]]).tolist()
        [2.5]
        >>> round(float(model.log_partition("grid")), 5)  # log 2 pi
        1.83788
    """

    mean: Tensor
    scale: Tensor
    log_normalizer: Tensor

    def __init__(
        self,
        network: nn.Module,
        event_shape: int | Sequence[int] | None = None,
        *,
        confine: bool = True,
    ) -> None:
        super().__init__()
        if not isinstance(network, nn.Module):
            raise TypeError(f"network must be a torch module, found {type(network).__name__}")
        first = next((p for p in network.parameters() if p.is_floating_point()), torch.zeros(()))
        shape = () if event_shape is None else checked_shape(event_shape)
        self.network = network
        self.confine = bool(confine)
        self.register_buffer("mean", first.detach().new_zeros(shape))
        self.register_buffer("scale", first.detach().new_ones(shape))
        self.register_buffer("log_normalizer", first.detach().new_full((), math.nan))
        if event_shape is not None:
            check_network(network, torch.zeros_like(self.mean).expand(2, *shape))

    def config(self) -> dict[str, Any]:
        """What, with the state and the network, determines the model."""
        shape = list(self.mean.shape) if self.mean.ndim else None
        return {"event_shape": shape, "confine": self.confine}

    @classmethod
    def load(cls, path: str | os.PathLike[str], network: nn.Module | None = None) -> Self:
        """Read a model from a file that `save` wrote; it is on the CPU.

        A file holds the parameters of the network and not what it computes: the network is made
        anew and handed in.

        Arguments:
            path: of the file.
            network: a module like the one that was saved; it takes over the parameters.

        Raises:
            TypeError: no network.
            FileNotFoundError: there is no such file.
            ValueError: the file is damaged, or no file of such a network.
        """
        if not isinstance(network, nn.Module):
            raise TypeError(
                "network must be a module like the one that was saved, found "
                f"{type(network).__name__}; files hold its parameters only"
            )
        return cls._loaded(path, lambda config: cls(network, **config))

    @property
    def event_shape(self) -> torch.Size:
        """Shape of one observation.

        Raises:
            ValueError: if it is not known yet.
        """
        if not self.mean.ndim:
            raise ValueError("event_shape is not known yet; pass it to NeuralEnergy, or fit first")
        return self.mean.shape

    # Energies ------------------------------------------------------------------------------------

    def energy(self, x: Values) -> Tensor:
        """Energies, nats, differentiable by x and the parameters.

        Shapes:
            x: (batch, *event). result: (batch,).

        Raises:
            ValueError: NaN or infinity, another shape, or a network that returns another shape.
        """
        return self._energy(self._rows("x", x))

    def log_weight(self, x: Values) -> Tensor:
        """Log of the unnormalised density, (batch,), nats: minus the energy."""
        return -self.energy(x)

    def score_field(self, x: Values) -> Tensor:
        """Slope of the log density, nats per unit of x, without a graph.

        .. math:: s(x) = \\nabla_x \\log p(x) = -\\nabla_x E(x)

        Shapes:
            x: (batch, *event). result: the same.

        Raises:
            ValueError: as ``energy``.
        """
        return evaluate(self._log_weight, self._rows("x", x).detach(), gradient=True).gradient

    def log_prob(
        self,
        x: Values,
        *,
        log_partition: float | Tensor | LogPartition | None = None,
        generator: GeneratorLike = None,
    ) -> Tensor:
        """Log density, (batch,), nats, of observations (batch, *event).

        Arguments:
            x: observations.
            log_partition: log Z, if it is known. None computes it, on a grid for one or two
                numbers, else by annealed importance sampling: then it is an estimate.
            generator: of the annealing.

        Raises:
            ValueError: as ``energy`` and ``log_partition``.
        """
        rows = self._rows("x", x)
        found = log_partition
        if found is None:
            found = self.log_partition(generator=generator, progress=False)
        return self._log_weight(rows) - (found if isinstance(found, Tensor) else float(found))

    def score(self, x: Values, *, generator: GeneratorLike = None) -> float:
        """Mean log density, nats; see ``log_prob``."""
        with torch.no_grad():
            return float(self.log_prob(x, generator=generator).mean())

    def log_partition(
        self,
        method: Literal["grid", "ais"] | None = None,
        *,
        limits: Sequence[tuple[float, float]] | None = None,
        points: int | None = None,
        betas: int | np.ndarray | Tensor | None = None,
        chains: int = 256,
        generator: GeneratorLike = None,
        progress: bool | None = None,
    ) -> Tensor | LogPartition:
        """Log Z, nats: by a sum over a grid, (), or estimated with an error.

        Arguments:
            method: "grid" for vectors of one or two numbers; "ais" anneals importance samples
                from the base law; None takes the grid where it can.
            limits: of the grid, (low, high) for each number; nine scales around the mean by
                default.
            points: on each axis, by default 4001 or 501.
            betas: of "ais", see ``annealed_importance_sampling``; so the rest.
            chains: independent paths.
            generator: None, a seed or a generator.
            progress: a bar; None shows it on a terminal.

        Raises:
            ValueError: an unknown method; a grid of more numbers or one that cuts the density.
        """
        planar = len(self.event_shape) == 1 and self.mean.numel() in POINTS_PER_AXIS
        if method == "ais" or (method is None and not planar):
            source = as_generator(generator, self.device)
            law = adapted(self.tempered_law(), generator=source, progress=progress)
            return annealed_importance_sampling(
                law, betas=betas, chains=chains, generator=source, progress=progress
            )
        if method not in ("grid", None):
            raise ValueError(f'method must be "grid" or "ais", found {method!r}')
        if not planar:
            raise ValueError(
                f'method="grid" is for vectors of one or two numbers, found events of shape '
                f'{tuple(self.event_shape)}; use "ais"'
            )
        box = grid_limits(limits, self.mean, self.scale)
        with torch.no_grad():
            return grid_log_partition(self._log_weight, box, points, self.mean)

    # Laws and chains -----------------------------------------------------------------------------

    def base(self) -> NormalBase:
        """The normal law of the mean and scale, from which paths and chains begin."""
        _ = self.event_shape
        return NormalBase(self.mean, self.scale)

    def kernel(
        self, move: Move = "mala", *, step_size: float = 0.3, steps: int = 10
    ) -> ContinuousKernel:
        """What ``sample_chain`` and ``warm_up`` run, under the network as it is at each step.

        Arguments:
            move: "mala" makes Langevin steps that are accepted or rejected; "ula" takes them all
                and is biased; "hmc" follows trajectories.
            step_size: in units of ``scale``.
            steps: of a trajectory.

        Raises:
            ValueError: an unknown move, or a step size that is not positive.
        """
        log_density, scale, device = self._log_weight, self.scale, self.device
        if move == "mala":
            return MALA(log_density, step_size, scale, device)
        if move == "ula":
            return ULA(log_density, step_size, scale, device)
        if move == "hmc":
            return HMC(log_density, step_size, steps, scale, device=device)
        raise ValueError(f'move must be "mala", "ula" or "hmc", found {move!r}')

    def tempered_law(self, move: Move = "mala", *, step_size: float = 0.3) -> ContinuousLaw:
        """The path from the base law to the model's own; ``adapted`` finds better step sizes."""
        return ContinuousLaw(self.base(), self.kernel(move, step_size=step_size))

    def sample(
        self,
        n: SupportsIndex,
        *,
        steps: SupportsIndex = 500,
        move: Move = "mala",
        step_size: float | None = None,
        starts: Values | None = None,
        generator: GeneratorLike = None,
    ) -> Tensor:
        """Draws from the model, one from each of n chains.

        Chains start at the base law; beta rises to the model's in the first half of the steps.
        How near they have come to the model's law is for diagnostics to say: ``sample_chain``.

        Arguments:
            n: number of draws.
            steps: length of the chains.
            move: see ``kernel``.
            step_size: in units of ``scale``; None finds one for each beta first, and 0.1 for
                "ula".
            starts: where chains begin instead, at beta = 1 throughout, (n, *event).
            generator: None, a seed or a generator.

        Shapes:
            result: (n, *event).

        Raises:
            ValueError: an unknown move, starts of another shape.
        """
        n, steps = as_whole("n", n, least=1), as_whole("steps", steps, least=1)
        begin = None if starts is None else self._rows("starts", starts)
        if begin is not None and len(begin) != n:
            raise ValueError(f"starts must be n = {n} positions, found {len(begin)}")
        source = as_generator(generator, self.device)
        first = (0.1 if move == "ula" else 0.3) if step_size is None else step_size
        law = self.tempered_law(move, step_size=first)
        if step_size is None and move != "ula":
            law = adapted(law, steps=50, generator=source, progress=False)
        if begin is not None:
            return law.position(law.run(law.init(begin), [1.0] * steps, source))
        return annealed_draws(law, n, steps, source)

    # Learning ------------------------------------------------------------------------------------

    def fit(
        self,
        data: Values,
        method: LearningMethod = "persistent",
        *,
        epochs: int = 100,
        batch_size: int = 128,
        lr: float = 1e-3,
        steps: int = 10,
        chains: int = 512,
        restart: float = 0.01,
        l2: float = 1e-4,
        noise_scale: float = 0.1,
        projections: int | None = 1,
        noise: Base | None = None,
        noise_ratio: int = 1,
        optimization: Optimization | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        generator: GeneratorLike = None,
        progress: bool | None = None,
    ) -> Self:
        """Learn the network from data; mean and scale become those of the data.

        Arguments:
            data: observations, (n, *event).
            method: "persistent", likelihood by Langevin chains that go on from step to step;
                "denoising" and "sliced", score matching; "noise-contrastive", by telling data
                from noise, which finds log Z too.
            epochs: passes over the rows; ``history`` has the mean loss of each.
            batch_size: rows per step.
            lr: the first rate, which falls to zero linearly unless ``optimization`` says more.
            steps: of the chains per step, "persistent".
            chains: in the buffer, "persistent".
            restart: share of them that begin again at the base in every step, "persistent".
            l2: holds the network's squared energies small, "persistent".
            noise_scale: of the noise that "denoising" learns data with, in units of ``scale``.
            projections: random directions per row, "sliced"; None takes all axes.
            noise: the law of "noise-contrastive", by default the base; it must reach all data.
            noise_ratio: its draws per row.
            optimization: how gradients become steps; Adam if None. With ``parts``, each has
                chains of its own.
            checkpoint: a file, written after every epoch. If it is there, learning goes on from
                it, bit for bit as if it had never stopped.
            generator: None, a seed or a generator.
            progress: a bar; None shows it on a terminal.

        Raises:
            ValueError: data with NaN, or of another shape; a method or number that makes no
                sense; a network without parameters to learn; a checkpoint of something else.
            FloatingPointError: a loss that overflows; the step is not taken.

        Example:
            >>> source = torch.Generator().manual_seed(0)
            >>> data = 3 + torch.randn(200, 1, generator=source)
            >>> network = nn.Sequential(nn.Linear(1, 8), nn.SiLU(), nn.Linear(8, 1))
            >>> model = NeuralEnergy(network).fit(
            ...     data, "denoising", epochs=2, generator=0, progress=False
            ... )
            >>> len(model.history), model.event_shape
            (2, torch.Size([1]))
        """
        numbers = (epochs, batch_size, lr, steps, chains, restart, l2, noise_scale, projections)
        settings = Settings(method, *numbers, noise_ratio)
        check_progress(progress)
        rows = self._rows("data", data).detach()
        if len(rows) < 2:
            raise ValueError(f"data must have at least two rows, found {len(rows)}")
        learned = [p for p in self.network.parameters() if p.requires_grad]
        if not learned:
            raise ValueError("network must have parameters that require gradients, found none")
        check_network(self.network, rows[:2])
        lesson = Lesson.of(settings, optimization)
        source = as_generator(generator, self.device)
        lesson.team.follow_first([], source)
        first = [p.detach().clone() for p in learned]
        before = self.mean, self.scale, self.log_normalizer
        self.mean, self.scale = mean_and_scale(rows)
        self.log_normalizer = torch.full_like(self.log_normalizer, math.nan)
        try:
            self.history, found = lesson.learn(
                self,
                learned,
                (self._energy, self._output),
                self.kernel(),
                self.base(),
                noise,
                rows,
                source,
                about={"model": self.config()},
                checkpoint=checkpoint,
                progress=progress,
            )
        except Exception:
            if all(map(torch.equal, first, learned)):  # refused before the first step
                self.mean, self.scale, self.log_normalizer = before
            raise
        if found is not None:
            self.log_normalizer = found
        return self

    # Reading -------------------------------------------------------------------------------------

    def _output(self, x: Tensor) -> Tensor:
        """What the network says of rows, (batch,)."""
        return checked_output(self.network(x), x)

    def _energy(self, x: Tensor) -> Tensor:
        """Energies of rows that have been checked."""
        found = self._output(x)
        if not self.confine:
            return found
        return found + 0.5 * sum_event(((x - self.mean) / self.scale).square())

    def _log_weight(self, x: Tensor) -> Tensor:
        return -self._energy(x)

    def _rows(self, name: str, x: Values) -> Tensor:
        """Observations (batch, *event) in the type and on the device of the base."""
        return read_rows(name, x, self.mean.shape or None, self.mean)
