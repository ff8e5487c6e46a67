"""Autoencoders: data go through a narrow or penalised code and come back.

.. math:: E = \\sum_x L(x, g(f(x))) + \\lambda\\, \\Omega(f(x))
"""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, SupportsIndex

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import skip_init

from generative.encoding.criterion import Criterion, Loss, Noise, Penalty
from generative.encoding.fitting import fitted_code_shape
from generative.encoding.terms import noisy
from generative.trial import SAVED, as_modules, like_of
from inference.inputs import Values, as_whole
from inference.learning.callbacks import Callback, Evaluate, as_callbacks
from inference.learning.checkpoint import fingerprint
from inference.learning.descent import Player, descend
from inference.learning.optimization import Optimization
from inference.learning.schedule import Schedule
from inference.model import Model
from inference.progress import check_progress
from inference.random import GeneratorLike, as_generator
from inference.rows import checked_shape, read_rows

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Autoencoder"]

#: Numbers in the rows whose errors are computed at a time.
BLOCK = 2**22


class Autoencoder(Model):
    r"""Two networks that learn the identity through a code.

    .. math:: E(x) = L(x, g(f(x))) + \lambda \Omega(x), \qquad
              L = \|x - g\|^2 \text{ or } -\log p(x \mid g)

    The code h = f(x) is kept from copying by being narrow, or by a penalty: "sparse" takes
    sum_i abs(h_i) for Omega, "contractive" the exact sum_i ``|grad_x h_i|^2``, and "denoising" has
    lambda = 0 but encodes damaged rows, which are to come back whole. Errors are summed over a
    row. The model is in evaluation mode but for the time of ``fit``.

    Arguments:
        encoder: f, a module from (batch, *event) to (batch, *code).
        decoder: g, a module from (batch, *code) to (batch, *event): means for "squared", logits
            for "bernoulli".
        penalty: see above; None for none.
        weight: lambda.
        loss: L: "squared" distance, or "bernoulli" for rows of bits or shares, nats.
        noise: what damages rows for "denoising": "gaussian" adds normal noise, "masking" sets
            entries to zero.
        noise_level: standard deviation of the noise, or share of the entries.
        event_shape: of one row, a number for vectors; None takes that of the first data.

    Attributes:
        criterion: the options.
        event_shape, code_shape: of a row and its code, None until they are known.

    Raises:
        TypeError: a network that is none.
        ValueError: an unknown option, a number that makes no sense; batch normalisation in the
            encoder with "contractive", where a row has no Jacobian of its own; networks that do
            not take each other's results.

    Reference:
        Goodfellow, Bengio & Courville 2016, "Deep learning", chapter 14; Rifai et al. 2011,
        "Contractive auto-encoders"; Vincent et al. 2008, "Extracting and composing robust
        features with denoising autoencoders".

    Example:
        >>> from generative.networks import mlp
        >>> model = Autoencoder(mlp([5, 2], generator=0), mlp([2, 5], generator=1), event_shape=5)
        >>> rows = torch.eye(5)
        >>> _ = model.fit(rows, epochs=300, batch_size=5, lr=0.1, generator=0, progress=False)
        >>> model.encode(rows).shape, model.score(rows) > -2.01  # of -4 for zeros, in two numbers
        (torch.Size([5, 2]), True)
    """

    event_shape: tuple[int, ...] | None
    code_shape: tuple[int, ...] | None

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        penalty: Penalty | None = None,
        *,
        weight: float = 0.1,
        loss: Loss = "squared",
        noise: Noise = "gaussian",
        noise_level: float = 0.3,
        event_shape: SupportsIndex | Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        as_modules({"encoder": encoder, "decoder": decoder})
        criterion = Criterion(penalty, float(weight), loss, noise, float(noise_level))
        if penalty == "contractive" and _mixes_rows(encoder):
            raise ValueError(
                'penalty="contractive" needs an encoder that looks at every row by itself, found '
                "batch normalisation; take layer normalisation, or none"
            )
        self.encoder, self.decoder = encoder, decoder
        self.criterion = criterion
        self.event_shape = self.code_shape = None
        if event_shape is not None:
            self._adopt(checked_shape(event_shape))
        self.eval()

    def config(self) -> dict[str, Any]:
        """What, with the state and the networks, determines the model."""
        shape = None if self.event_shape is None else list(self.event_shape)
        return {**asdict(self.criterion), "event_shape": shape}

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        encoder: nn.Module | None = None,
        decoder: nn.Module | None = None,
    ) -> Self:
        """Read a model from a file that `save` wrote; it is on the CPU.

        A file holds the parameters of the networks and not what they compute: the networks are
        made anew and handed in.

        Arguments:
            path: of the file.
            encoder: a module like the one that was saved; it takes over the parameters.
            decoder: the same of the decoder.

        Raises:
            TypeError: a network is missing.
            FileNotFoundError: there is no such file.
            ValueError: the file is damaged, or no file of such networks.
        """
        there, back = as_modules({"encoder": encoder, "decoder": decoder}, SAVED)
        return cls._loaded(path, lambda config: cls(there, back, **config))

    # Codes ---------------------------------------------------------------------------------------

    def encode(self, x: Values) -> Tensor:
        """Codes h = f(x), (batch, *code), of rows (batch, *event), with a graph.

        Raises:
            ValueError: NaN or infinity, or another shape.
        """
        return self.encoder(self._rows("x", x))

    def decode(self, codes: Values) -> Tensor:
        """Rows (batch, *event) of codes (batch, *code), with a graph; of bits, probabilities.

        Raises:
            ValueError: NaN or infinity, or another shape.
        """
        return self._decoded(read_rows("codes", codes, self.code_shape, self._like()))

    @torch.no_grad()
    def reconstruct(self, x: Values) -> Tensor:
        """Rows after the way there and back, g(f(x)), the same shape; of bits, probabilities.

        Nothing is damaged on the way: rows that are damaged already are cleaned.

        Raises:
            ValueError: as ``encode``.
        """
        return self._decoded(self.encode(x))

    @torch.no_grad()
    def vary(self, x: Values, scale: float = 0.1, *, generator: GeneratorLike = None) -> Tensor:
        """Fakes: rows that are decoded from the codes of others with noise.

        .. math:: g(f(x) + s \\epsilon), \\qquad \\epsilon \\sim N(0, I)

        Arguments:
            x: rows, (batch, *event).
            scale: s, in units of the code.
            generator: None, a seed or a generator.

        Shapes:
            result: (batch, *event); of bits, probabilities.

        Raises:
            ValueError: as ``encode``, or a scale that is negative.
        """
        if not 0 <= scale < math.inf:
            raise ValueError(f"scale must be at least 0 and finite, found {scale}")
        codes = self.encode(x)
        return self._decoded(noisy(codes, scale, as_generator(generator, codes.device)))

    @torch.no_grad()
    def corrupt(self, x: Values, *, generator: GeneratorLike = None) -> Tensor:
        """Damaged rows, the same shape, as "denoising" learns from them.

        Raises:
            ValueError: as ``encode``.
        """
        rows = self._rows("x", x)
        return self.criterion.damaged(rows, as_generator(generator, rows.device))

    # Figures -------------------------------------------------------------------------------------

    def errors(self, x: Values) -> Tensor:
        """Error of every row, L(x, g(f(x))), (batch,), summed over the row, with a graph.

        Squared distances, or nats for "bernoulli".

        Raises:
            ValueError: as ``encode``; for "bernoulli", numbers outside [0, 1].
        """
        rows = self._rows("x", x)
        self.criterion.check("x", rows)
        return self.criterion.errors(self.decoder(self.encoder(rows)), rows)

    def penalties(self, x: Values) -> Tensor:
        """Penalty of every row, lambda Omega(x), (batch,), with a graph; 0 where there is none.

        Raises:
            ValueError: as ``encode``.
        """
        return self.criterion.penalised(self.encoder, self._rows("x", x))[1]

    @torch.no_grad()
    def score(self, x: Values) -> float:
        """Minus the mean error of rows, without the penalty: 0 is perfect for "squared".

        Not a likelihood: the code of a row is made with the row in view.

        Raises:
            ValueError: as ``errors``.
        """
        rows = self._rows("x", x)
        found = [self.errors(some) for some in rows.split(max(1, BLOCK // rows[0].numel()))]
        return -float(torch.cat(found).double().mean())

    # Learning ------------------------------------------------------------------------------------

    def fit(
        self,
        x: Values,
        *,
        epochs: int = 100,
        batch_size: int = 50,
        lr: float = 1e-3,
        validation: Values | None = None,
        optimization: Optimization | None = None,
        callbacks: Sequence[Callback] = (),
        checkpoint: str | os.PathLike[str] | None = None,
        generator: GeneratorLike = None,
        progress: bool | None = None,
    ) -> Self:
        """Learn both networks from rows.

        ``history`` has the means over each epoch of "loss", and of its parts "error" and
        "penalty", per row; "validation_error" too where there are such rows.

        Arguments:
            x: rows, (n, *event).
            epochs: passes over them.
            batch_size: rows per step.
            lr: the first rate.
            validation: rows, whose mean error is looked at after every epoch.
            optimization: how gradients become steps; None for Adam with a rate that falls to zero
                along a line.
            callbacks: are called after every epoch.
            checkpoint: a file, written after every epoch. If it is there, learning goes on from
                it, bit for bit as if it had never stopped.
            generator: None, a seed or a generator.
            progress: a bar; None shows it on a terminal.

        Raises:
            ValueError: rows as ``errors``; networks that do not take or return such rows, or have
                nothing to learn; numbers that make no sense; a checkpoint of something else.
            FloatingPointError: a loss that is no longer finite.

        Example:
            >>> from generative.networks import mlp
            >>> model = Autoencoder(mlp([3, 8], "relu", generator=0), mlp([8, 3], generator=1))
            >>> _ = model.fit(torch.eye(3), epochs=2, generator=0, progress=False)
            >>> sorted(model.history[-1])
            ['epoch', 'error', 'loss', 'penalty']
        """
        schedule = Schedule(epochs, batch_size, lr)
        check_progress(progress)
        rows = self._rows("x", x).detach()
        self.criterion.check("x", rows)
        shape = tuple(rows.shape[1:])
        code_shape = fitted_code_shape(self.encoder, self.decoder, shape, self._like())
        watched = as_callbacks(callbacks)
        if validation is not None:
            held_out = read_rows("validation", validation, shape, rows)
            self.criterion.check("validation", held_out)
            # First, so that other callbacks find its figure.
            watched.insert(0, Evaluate(lambda model: {"validation_error": -model.score(held_out)}))
        source = as_generator(generator, rows.device)
        learned = [p for p in self.parameters() if p.requires_grad]
        first = [p.detach().clone() for p in learned]
        known = self.event_shape, self.code_shape
        self.event_shape, self.code_shape = shape, code_shape
        about: dict[str, Any] = {"model": [type(self).__name__, self.config()]}
        if checkpoint is not None:
            about["data"] = fingerprint(rows)
        try:
            self.history = descend(
                self,
                [Player("", learned, self._loss)],
                rows,
                schedule,
                optimization or Optimization(),
                source,
                callbacks=watched,
                checkpoint=checkpoint,
                about=about,
                headline="loss" if validation is None else "validation_error",
                progress=progress,
            )
        except Exception:
            if all(map(torch.equal, first, learned)):  # refused before the first step
                self.event_shape, self.code_shape = known
            raise
        return self

    def to_classifier(self, n_classes: int) -> nn.Sequential:
        """The encoder with a layer of logits on top, to be trained with labels.

        A copy of the encoder and a linear map that is zero at first; the decoder is dropped. All
        parameters want gradients.

        Arguments:
            n_classes: number of logits.

        Raises:
            TypeError, ValueError: no whole number, or fewer than one; the shape of rows is not
                known yet.

        Example:
            >>> from generative.networks import mlp
            >>> model = Autoencoder(mlp([4, 2], generator=0), mlp([2, 4]), event_shape=4)
            >>> model.to_classifier(10)(torch.ones(5, 4)).shape
            torch.Size([5, 10])
        """
        n_classes = as_whole("n_classes", n_classes, least=1)
        if self.code_shape is None:
            raise ValueError("event_shape is not known yet; pass it to Autoencoder, or fit first")
        top = skip_init(nn.Linear, math.prod(self.code_shape), n_classes).to(self._like())
        for x in top.parameters():
            nn.init.zeros_(x)
        network = nn.Sequential(copy.deepcopy(self.encoder), nn.Flatten(), top)
        return network.requires_grad_().train()

    # Terms ---------------------------------------------------------------------------------------

    def _loss(self, batch: Tensor, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean error and penalty of some rows."""
        errors, penalties = self.criterion.terms(self.encoder, self.decoder, batch, generator)
        error, penalty = errors.mean(), penalties.mean()
        return error + penalty, {"error": error, "penalty": penalty}

    def _decoded(self, codes: Tensor) -> Tensor:
        """Means of rows."""
        found = self.decoder(codes)
        return found.sigmoid() if self.criterion.bits else found

    # Reading -------------------------------------------------------------------------------------

    def _adopt(self, shape: tuple[int, ...]) -> None:
        """Take over the shape of a row, if the networks do."""
        self.code_shape = fitted_code_shape(self.encoder, self.decoder, shape, self._like())
        self.event_shape = shape

    def _like(self) -> Tensor:
        """A tensor of the type and on the device of rows."""
        return like_of(self)

    def _rows(self, name: str, x: Values) -> Tensor:
        """Rows to encode."""
        return read_rows(name, x, self.event_shape, self._like())


def _mixes_rows(network: nn.Module) -> bool:
    """Whether a row's result depends on the other rows."""
    return any([isinstance(part, _BatchNorm) for part in network.modules()])
