"""What adversarial models share: a generator, a judge of its samples, and their turns.

.. math:: \\min_\\theta \\max_\\psi\\;
          \\mathbb{E}_{x \\sim p}[a(f_\\psi(x))] + \\mathbb{E}_{z}[b(f_\\psi(G_\\theta(z)))]
"""

from __future__ import annotations

import math
import os
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from itertools import repeat
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from generative.condition import OWN, Condition
from generative.gan.conditions import divergence_of, features_of, known_features
from generative.gan.packing import packed
from generative.gan.parts import ends_bounded, latent_dim_of, reads_rows_apart, try_networks
from generative.trial import SAVED, as_modules, like_of
from inference.inputs import Values, as_tensors, as_whole
from inference.learning.callbacks import Callback
from inference.learning.checkpoint import fingerprint
from inference.learning.descent import Player, descend
from inference.learning.optimization import Optimization
from inference.learning.schedule import Schedule
from inference.learning.trainer import Rows
from inference.model import Model
from inference.progress import check_progress
from inference.random import GeneratorLike, as_generator
from inference.rows import read_rows

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["AdversarialModel", "Round"]

#: Numbers in rows that are made or judged at a time.
BLOCK = 2**24


class Round(NamedTuple):
    """Rows that are judged in one step: of data, generated ones, and features of conditions.

    Arguments:
        real: packed rows of data, in the networks' units.
        fake: as many generated ones.
        told: packed features of their conditions, or None.
    """

    real: Tensor
    fake: Tensor
    told: Tensor | None


class AdversarialModel(Model):
    """Abstract base of models whose samples learn from a judge.

    Networks work in units of the data: rows have their mean taken away and are divided by one
    number, the root of the mean variance of their entries. Distances keep their proportions.

    Arguments:
        generator: from latent numbers (batch, latent_dim) to rows (batch, *event); with a
            condition, the second argument is its features.
        judge: from rows (batch, *event) to one number each, (batch,) or (batch, 1).
        latent_dim: latent numbers; None where the generator's first layer tells.
        pack: rows that are judged together.
        condition: None, a number of labels, or a module that makes features.
        divergence_weight: of the divergence of a ``ConditioningAugmentation``.
        standardize: whether the networks work in units of the data; None unless the generator ends
            in a layer that bounds its range.

    Attributes:
        location, scale: mean row, and the unit, from the first data that are learned.
        event_shape: of a row, None until the first data.
    """

    location: Tensor
    scale: Tensor
    event_shape: tuple[int, ...] | None
    generator: nn.Module

    #: What the judge is called, and the figure that a bar shows.
    role: ClassVar[str]
    headline: ClassVar[str]

    def __init__(
        self,
        generator: nn.Module,
        judge: nn.Module,
        latent_dim: int | None,
        pack: int,
        condition: int | nn.Module | None,
        divergence_weight: float,
        standardize: bool | None,
    ) -> None:
        super().__init__()
        as_modules({"generator": generator, self.role: judge})
        if not 0 <= divergence_weight < math.inf:
            raise ValueError(f"divergence_weight must be at least 0, found {divergence_weight}")
        self.pack = as_whole("pack", pack, least=1)
        like = like_of(generator, judge)
        self.condition = Condition(condition).to(like)
        if latent_dim is None:
            self.latent_dim = latent_dim_of(generator, known_features(self.condition))
        else:
            self.latent_dim = as_whole("latent_dim", latent_dim, least=1)
        self.divergence_weight = float(divergence_weight)
        self.standardize = not ends_bounded(generator) if standardize is None else standardize
        self.event_shape = None
        self.generator = generator
        self.add_module(self.role, judge)
        self.register_buffer("location", like.clone())
        self.register_buffer("scale", torch.ones_like(like))
        self._joined = False
        self.eval()

    def config(self) -> dict[str, Any]:
        """What, with the state and the networks, determines the model."""
        return {
            "latent_dim": self.latent_dim,
            "pack": self.pack,
            "condition": self.condition.told,
            "divergence_weight": self.divergence_weight,
            "standardize": self.standardize,
            "event_shape": None if self.event_shape is None else list(self.event_shape),
        }

    @property
    def judge(self) -> nn.Module:
        """The discriminator or critic."""
        return self.get_submodule(self.role)

    # Samples -------------------------------------------------------------------------------------

    def generate(
        self, z: Values, condition: Any = None, *, generator: GeneratorLike = None
    ) -> Tensor:
        """Rows (n, *event) of latent numbers (n, latent_dim), with a graph.

        Arguments:
            z: latent numbers, standard normal for samples.
            condition: of the rows, if the model has one; a label stands for all.
            generator: of the draws of a ``ConditioningAugmentation``: None, a seed or a generator.

        Raises:
            TypeError, ValueError: numbers of another shape; a condition missing or too much.
        """
        (found,) = as_tensors(z=z)
        if found.ndim != 2 or found.shape[1] != self.latent_dim:
            raise ValueError(f"z must be (batch, {self.latent_dim}), found {tuple(found.shape)}")
        read = self.condition.read(condition, len(found), self._like)
        source = as_generator(generator, self.device)
        rows = self._generated(found.to(self._like), self._features(read, source))
        return torch.addcmul(self.location, rows, self.scale)

    @torch.no_grad()
    def sample(self, n: int, condition: Any = None, *, generator: GeneratorLike = None) -> Tensor:
        """Independent samples.

        Arguments:
            n: how many.
            condition: one for each, if the model has one; a label stands for all.
            generator: None, a seed or a generator.

        Shapes:
            result: (n, *event).

        Raises:
            TypeError, ValueError: no number of samples; a condition missing or too much.
        """
        n = as_whole("n", n, least=0)
        read = self.condition.read(condition, n, self._like)
        source = as_generator(generator, self.device)
        size = max(1, BLOCK // max(1, self.location.numel()))
        parts = []
        for start in range(0, max(n, 1), size):
            count = min(size, n - start)
            told = None if read is None else read[start : start + count]
            rows = self._generated(self._noise(count, source), self._features(told, source))
            parts.append(torch.addcmul(self.location, rows, self.scale))
        return torch.cat(parts)

    # Learning ------------------------------------------------------------------------------------

    def fit(
        self,
        x: Values,
        *,
        condition: Any = None,
        epochs: int | None = None,
        steps: int = 5000,
        batch_size: int = 128,
        lr: float = 2e-3,
        optimization: Optimization | None = None,
        callbacks: Sequence[Callback] = (),
        checkpoint: str | os.PathLike[str] | None = None,
        generator: GeneratorLike = None,
        progress: bool | None = None,
    ) -> Self:
        """Learn both networks from rows.

        The mean over each epoch of every figure is in ``history``: both losses, and what the model
        says they are worth.

        Arguments:
            x: rows of data, (n, *event).
            condition: of the rows, if the model has one.
            epochs: passes over the rows; None for as many as make ``steps``.
            steps: batches, where ``epochs`` is None, rounded up to whole epochs.
            batch_size: rows per step, which ``pack`` divides.
            lr: the first rate.
            optimization: how gradients become steps, and the decay of the mean of the generator's
                weights that is left behind; None for what suits the model.
            callbacks: are called after every epoch.
            checkpoint: a file, written after every epoch. If it is there, learning goes on from
                it, bit for bit as if it had never stopped.
            generator: None, a seed or a generator.
            progress: a bar; None shows it on a terminal.

        Raises:
            TypeError: what are no numbers.
            ValueError: rows with NaN or infinity, or of another shape; networks that do not take
                or return such rows; a condition missing or too much; numbers that make no sense; a
                checkpoint of something else.
            FloatingPointError: a loss that is no longer finite.
        """
        schedule = Schedule(epochs, batch_size, lr, steps)
        check_progress(progress)
        rows = read_rows("x", x, self.event_shape, self._like).detach()
        read = self.condition.read(condition, len(rows), self._like)
        if min(batch_size, len(rows)) % self.pack:
            raise ValueError(
                f"pack must divide the rows of a batch, found pack={self.pack} and "
                f"{min(batch_size, len(rows))} rows (batch_size={batch_size}, {len(rows)} rows)"
            )
        source = as_generator(generator, rows.device)
        self._try(tuple(rows.shape[1:]), read)
        about: dict[str, Any] = {}
        if checkpoint is not None:
            about["data"] = fingerprint(rows)
            about["condition"] = None if read is None else fingerprint(read)
        self._joined = reads_rows_apart(self.judge)
        known = self.event_shape, self.location, self.scale.clone()
        learned = list(self.parameters())
        first = [p.detach().clone() for p in learned]
        try:
            rows = self._in_units(rows)
            about["model"] = [type(self).__name__, self.config()]
            self.history = descend(
                self,
                self._players(),
                rows if read is None else (rows, read),
                schedule,
                self._optimization() if optimization is None else optimization,
                source,
                callbacks=callbacks,
                checkpoint=checkpoint,
                about=about,
                headline=self.headline,
                progress=progress,
            )
        except Exception:
            # Nothing has been learned in units of these rows.
            if all(map(torch.equal, first, learned)):
                self.event_shape, self.location = known[:2]
                self.scale.copy_(known[2])
            raise
        return self

    def _players(self) -> list[Player[Rows]]:
        """The judge, whose weights are not averaged, and the generator."""
        judged = [p for p in self.judge.parameters() if p.requires_grad]
        network, told = self.generator.parameters(), self.condition.parameters()
        learned = [p for p in [*network, *told] if p.requires_grad]
        return [
            Player(self.role, judged, self._judge_turn, then=self._constrain, averaged=False),
            Player("generator", learned, self._generator_turn, every=self._turns()),
        ]

    def _judge_turn(
        self, batch: Rows, source: torch.Generator
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Loss of the judge on a batch."""
        rows, read = _parted(batch)
        with torch.no_grad():
            features = self._features(read, source)
            fake = self._generated(self._noise(len(rows), source), features)
        return self._judge_loss(self._round(rows, fake, features), source)

    def _generator_turn(
        self, batch: Rows, source: torch.Generator
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Loss of the generator on as many rows as are in a batch."""
        rows, read = _parted(batch)
        features = self._features(read, source)
        fake = self._generated(self._noise(len(rows), source), features)
        loss = self._generator_loss(self._round(rows, fake, features))
        divergence = divergence_of(self.condition, read, self._like)
        if divergence is None:
            return loss, {}
        return loss + self.divergence_weight * divergence, {"divergence": divergence}

    @abstractmethod
    def _judge_loss(
        self, game: Round, source: torch.Generator
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """What the judge descends, and figures."""

    @abstractmethod
    def _generator_loss(self, game: Round) -> Tensor:
        """What the generator descends; the generated rows have a graph."""

    def _turns(self) -> int:
        """Steps of the judge for one of the generator."""
        return 1

    def _optimization(self) -> Optimization:
        """How gradients become steps unless the user says so."""
        return Optimization(betas=(0.0, 0.9), ema=0.998)

    def _constrain(self) -> None:
        """What happens after a step of the judge."""

    # Networks ------------------------------------------------------------------------------------

    def _generated(self, z: Tensor, features: Tensor | None) -> Tensor:
        """Rows in the networks' units."""
        return self.generator(z) if features is None else self.generator(z, features)

    def _rated(self, rows: Tensor, told: Tensor | None) -> Tensor:
        """Numbers (n,) of packed rows in the networks' units."""
        return (self.judge(rows) if told is None else self.judge(rows, told)).flatten()

    def _rated_both(self, game: Round) -> tuple[Tensor, Tensor]:
        """Numbers of rows of data and of generated ones, in one pass where that is the same."""
        if not self._joined:
            return self._rated(game.real, game.told), self._rated(game.fake, game.told)
        told = None if game.told is None else torch.cat([game.told, game.told])
        found = self._rated(torch.cat([game.real, game.fake]), told)
        return found[: len(game.real)], found[len(game.real) :]

    def _judged(self, x: Values, condition: Any, source: torch.Generator) -> Tensor:
        """Numbers (n / pack,) of rows of data, with a graph."""
        rows = read_rows("x", x, self.event_shape, self._like)
        read = self.condition.read(condition, len(rows), self._like)
        features = self._features(read, source)
        units = packed((rows - self.location) / self.scale, self.pack)
        size = max(1, BLOCK // units[0].numel())
        told = repeat(None) if features is None else packed(features, self.pack).split(size)
        # Layers of images are large: not all rows at a time.
        pairs = zip(units.split(size), told, strict=False)
        return torch.cat([self._rated(some, features) for some, features in pairs])

    @torch.no_grad()
    def _judged_both(
        self, x: Values, n: int | None, condition: Any, generator: GeneratorLike
    ) -> tuple[Tensor, Tensor]:
        """Numbers of rows of data and of generated ones, under the same conditions."""
        source = as_generator(generator, self.device)
        real = self._judged(x, condition, source)
        rows = len(real) * self.pack
        count = rows if n is None else as_whole("n", n, least=1)
        if condition is not None and count != rows:
            raise ValueError(f"n must be None with a condition, one for each row, found {n}")
        fake = self.sample(count, condition, generator=source)
        return real, self._judged(fake, condition, source)

    def _features(self, read: Tensor | None, source: torch.Generator) -> Tensor | None:
        """Features of conditions that have been read."""
        return features_of(self.condition, read, self._like, source)

    def _noise(self, n: int, source: torch.Generator) -> Tensor:
        """Standard normal latent numbers."""
        like = self._like
        z = torch.empty(n, self.latent_dim, dtype=like.dtype, device=like.device)
        return z.normal_(generator=source)

    def _round(self, rows: Tensor, fake: Tensor, features: Tensor | None) -> Round:
        """Packed rows of a step; features are no lever of the generator on the judge."""
        told = None if features is None else packed(features.detach(), self.pack)
        return Round(packed(rows, self.pack), packed(fake, self.pack), told)

    @property
    def _like(self) -> Tensor:
        """A tensor of the type and on the device of the networks."""
        return self.scale

    # Units ---------------------------------------------------------------------------------------

    def _try(self, event: tuple[int, ...], read: Tensor | None) -> None:
        """Refuse networks that do not fit rows of data, or conditions."""
        n = 2 * self.pack
        told = None if read is None else read[:1].expand(n, *read.shape[1:])
        with torch.no_grad():
            features = self._features(told, as_generator(0, self.device))
        z = self._like.new_zeros(n, self.latent_dim)
        try_networks(self.generator, self.judge, self.role, z, features, event, self.pack)

    def _in_units(self, rows: Tensor) -> Tensor:
        """Rows in the networks' units, which are those of the first data."""
        if self.event_shape is None:
            location, scale = torch.zeros_like(rows[0]), torch.ones_like(self.scale)
            if self.standardize:
                location, scale = rows.mean(0), rows.var(0, correction=0).mean().sqrt()
                if not scale > 0:
                    raise ValueError("x must have rows that differ; or pass standardize=False")
            self._know(rows.shape[1:])
            self.location.copy_(location)
            self.scale.copy_(scale)
        return (rows - self.location) / self.scale if self.standardize else rows

    def _know(self, event: Sequence[int]) -> None:
        """Take over the shape of rows."""
        self.event_shape = tuple(event)
        self.location = self.scale.new_zeros(self.event_shape)

    @classmethod
    def _read(
        cls, path: str | os.PathLike[str], networks: Mapping[str, nn.Module | None], condition: Any
    ) -> Self:
        """The model in a file, around networks that are handed in."""
        generator, judge = as_modules(networks, SAVED)

        def build(config: dict[str, Any]) -> Self:
            event, own = config.pop("event_shape"), config.pop("condition")
            if (own == OWN) != isinstance(condition, nn.Module):
                raise ValueError(
                    "condition must be the module that makes features of conditions, if and only "
                    f"if the model was made with one, found {type(condition).__name__}"
                )
            model = cls(generator, judge, condition=condition if own == OWN else own, **config)
            if event is not None:
                model._know(event)
            return model

        return cls._loaded(path, build)


def _parted(batch: Rows) -> tuple[Tensor, Tensor | None]:
    """Rows, and what there is of conditions."""
    return (batch, None) if isinstance(batch, Tensor) else (batch[0], batch[1])
