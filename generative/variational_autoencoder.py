"""Variational autoencoder: two networks, a law of data with latent numbers and a bound on it.

.. math:: \\log p(x) \\ge \\mathbb{E}_{q(z \\mid x)}[\\log p(x \\mid z)]
          - D\\bigl(q(z \\mid x) \\,\\|\\, p(z)\\bigr)
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, SupportsIndex

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Normal

from generative.condition import OWN, Condition
from generative.trial import SAVED, as_modules, like_of
from generative.vae.coder import Coder, draw, path_between
from generative.vae.collapse import CollapseReport, collapse_report, kl_by_number
from generative.vae.importance import importance_bound
from generative.vae.likelihood import Likelihood, LikelihoodName, as_likelihood
from generative.vae.objectives import ElboTerms, Objective, ObjectiveName, elbo_terms
from generative.vae.prior import Code, NormalPrior, Prior
from generative.vae.prior_distribution import prior_distribution
from generative.vae.program import run_guide, run_model
from generative.vae.rows import Augment, check_rows, prepared, prepared_codes, read_rows
from generative.vae.training import Lesson, learn, validation_bound
from inference.inputs import Values, as_whole
from inference.learning.callbacks import Callback
from inference.learning.optimization import Optimization
from inference.learning.schedule import Schedule
from inference.model import Model
from inference.random import GeneratorLike, as_generator

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["VariationalAutoencoder"]


class VariationalAutoencoder(Model):
    r"""A law of data by way of latent numbers, and an encoder that finds these.

    .. math:: p(x) = \int p(x \mid z)\, p(z)\, dz, \qquad
              q(z \mid x) = N\bigl(z; \mu(x), \operatorname{diag} \sigma^2(x)\bigr)

    All bounds are nats per row, summed over an observation; larger is better.

    Arguments:
        encoder: a module from x (batch, \*event) to means and log-variances,
            (batch, 2 * latent_dim).
        decoder: a module from z (batch, latent_dim) to what the likelihood reads: logits,
            (batch, \*event), for "bernoulli"; means and log-variances along axis 1 for "gaussian";
            logits (batch, \*event, K) for "categorical".
        latent_dim: latent numbers of a row.
        likelihood: a name, a ``Likelihood``, or a function from the decoder's output to a torch
            distribution of x.
        beta: weight of the divergence in what ``fit`` climbs, and nowhere else.
        condition: None; K, for labels 0 to K - 1, which become one-hot rows; a module whose output
            (batch, features) says what it makes of a condition. With one, both networks take it as
            a second argument.
        prior: of z; None is the standard normal law.

    Raises:
        TypeError: networks or parts that are none.
        ValueError: numbers that make no sense, or parts that do not go together.

    Reference:
        Kingma & Welling 2014, "Auto-encoding variational Bayes", eqs. 3 and 10; Rezende, Mohamed &
        Wierstra 2014, "Stochastic backpropagation and approximate inference in deep generative
        models", section 4.

    Example:
        >>> from generative.networks import mlp
        >>> encoder, decoder = mlp([3, 8, 2], generator=0), mlp([1, 8, 3], generator=1)
        >>> model = VariationalAutoencoder(encoder, decoder, latent_dim=1)
        >>> x = torch.tensor([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]]).repeat(200, 1)
        >>> _ = model.fit(x, steps=500, lr=0.02, generator=0, progress=False)
        >>> -1.0 < model.score(x, generator=0) < -0.693  # at most -log 2
        True
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        latent_dim: int,
        likelihood: LikelihoodName | Likelihood | Callable[[Tensor], Distribution] = "bernoulli",
        beta: float = 1.0,
        condition: int | nn.Module | None = None,
        prior: Prior | None = None,
    ) -> None:
        super().__init__()
        as_modules({"encoder": encoder, "decoder": decoder})
        if prior is not None and not isinstance(prior, Prior):
            raise TypeError(f"prior must be a Prior or None, found {type(prior).__name__}")
        self.latent_dim = as_whole("latent_dim", latent_dim, least=1)
        self.beta = Objective(beta=beta).beta
        self.encoder, self.decoder = encoder, decoder
        like = like_of(encoder, decoder)
        self.law = as_likelihood(likelihood).to(like)
        self.condition = Condition(condition).to(like)
        self.prior = (NormalPrior() if prior is None else prior).to(like)
        self.prior.check(self.latent_dim, self.condition.given)
        self._likelihood_name = likelihood if isinstance(likelihood, str) else OWN

    def config(self) -> dict[str, Any]:
        """What, with the state, the networks and parts that are objects, determines the model."""
        return {
            "latent_dim": self.latent_dim,
            "likelihood": self._likelihood_name,
            "beta": self.beta,
            "condition": self.condition.told,
            "prior": None if isinstance(self.prior, NormalPrior) else OWN,
        }

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        encoder: nn.Module | None = None,
        decoder: nn.Module | None = None,
        *,
        likelihood: Likelihood | Callable[[Tensor], Distribution] | None = None,
        condition: nn.Module | None = None,
        prior: Prior | None = None,
    ) -> Self:
        """Read a model from a file that `save` wrote; it is on the CPU, in evaluation mode.

        Arguments:
            path: of the file, which holds parameters and not what networks compute.
            encoder: a module like the one that was saved; it takes over the parameters.
            decoder: another one.
            likelihood: the same, where the model was made with an object.
            condition: likewise.
            prior: likewise.

        Raises:
            TypeError: no networks.
            FileNotFoundError: there is no such file.
            ValueError: the file is damaged, or no file of such networks.
        """
        there, back = as_modules({"encoder": encoder, "decoder": decoder}, SAVED)
        given = {"likelihood": likelihood, "condition": condition, "prior": prior}

        def build(config: dict[str, Any]) -> Self:
            parts = {**config, **{name: part for name, part in given.items() if part is not None}}
            if missing := [name for name, part in parts.items() if part == OWN]:
                raise ValueError(f"the model was made with an own {missing[0]}; pass one like it")
            return cls(there, back, **parts)

        return cls._loaded(path, build).eval()

    def posterior(self, x: Values, *, condition: Any = None) -> Distribution:
        """The encoder's law of the latent numbers of rows: normal, events (latent_dim,).

        Raises:
            ValueError: rows or conditions that the networks or the likelihood do not take.
        """
        mean, log_variance = self._coder.encode(*prepared(self._coder, "x", x, condition))
        return Independent(Normal(mean, (0.5 * log_variance).exp()), 1)

    def prior_distribution(self) -> Distribution:
        """The law of the latent numbers: a torch distribution of events (latent_dim,)."""
        return prior_distribution(self._coder)

    def likelihood(self, z: Values, *, condition: Any = None) -> Distribution:
        """The law of rows given latent numbers (batch, latent_dim), a torch distribution."""
        return self.law.distribution(
            self._coder.decode(*prepared_codes(self._coder, z, condition))
        )

    def elbo(
        self,
        x: Values,
        n_samples: int = 1,
        *,
        condition: Any = None,
        generator: GeneratorLike = None,
    ) -> Tensor:
        """Evidence lower bound of every row, (batch,), nats: the true one, whatever beta is.

        Differentiable; estimated from draws of z, with the normal prior's exact divergence.
        """
        terms = self.elbo_terms(x, n_samples, condition=condition, generator=generator)
        return terms.reconstruction - terms.kl

    def elbo_terms(
        self,
        x: Values,
        n_samples: int = 1,
        *,
        condition: Any = None,
        generator: GeneratorLike = None,
    ) -> ElboTerms:
        """Expected log-likelihood and divergence of every row, (batch,) each, nats."""
        k = as_whole("n_samples", n_samples, least=1)
        rows, features = prepared(self._coder, "x", x, condition)
        return elbo_terms(self._coder, rows, features, k, as_generator(generator, rows.device))

    def kl_per_dimension(self, x: Values, *, condition: Any = None) -> Tensor:
        """Divergence of the posterior from the prior by latent number, (batch, latent_dim), nats.

        Only for a prior that parts by number: the normal one.
        """
        return kl_by_number(self.prior, self._codes(x, condition))

    def log_prob(
        self,
        x: Values,
        n_samples: int = 1000,
        *,
        condition: Any = None,
        generator: GeneratorLike = None,
        progress: bool | None = None,
    ) -> Tensor:
        r"""Lower bound on the log-likelihood of every row, (batch,), nats, by importance sampling.

        .. math:: \mathbb{E}\Bigl[\log \frac1k \sum_i w_i\Bigr] \le \log p(x)

        It rises to log p(x) as k does. No gradient, bounded memory.

        Arguments:
            x: rows, (batch, \*event).
            n_samples: k, draws per row.
            condition: of the rows.
            generator: None, a seed or a generator.
            progress: a bar; None shows it on a terminal.

        Reference:
            Burda, Grosse & Salakhutdinov 2016, "Importance weighted autoencoders", eq. 8.
        """
        k = as_whole("n_samples", n_samples, least=1)
        with torch.no_grad():
            rows, features = prepared(self._coder, "x", x, condition)
        source = as_generator(generator, rows.device)
        return importance_bound(self._coder, rows, features, k, source, progress)

    def score(
        self,
        x: Values,
        n_samples: int = 1000,
        *,
        condition: Any = None,
        generator: GeneratorLike = None,
    ) -> float:
        """Mean lower bound on the log-likelihood of rows, nats; see ``log_prob``."""
        found = self.log_prob(x, n_samples, condition=condition, generator=generator)
        return float(found.mean())

    @torch.no_grad()
    def transform(self, x: Values, *, condition: Any = None) -> Tensor:
        """Posterior means of rows, (batch, latent_dim)."""
        return self._codes(x, condition).mean

    @torch.no_grad()
    def reconstruct(
        self,
        x: Values,
        mean: bool = True,
        *,
        condition: Any = None,
        generator: GeneratorLike = None,
    ) -> Tensor:
        """Rows as the model sees them, (batch, *event).

        Arguments:
            x: rows, (batch, *event).
            mean: True: the mean of p(x | z) at the posterior mean, for codes the most probable
                ones; False: a draw of x given a draw of z.
            condition: of the rows.
            generator: of the draws.
        """
        rows, features = prepared(self._coder, "x", x, condition)
        code = self._coder.encode(rows, features)
        if mean:
            return self.law.mean(self._coder.decode(code.mean, features))
        source = as_generator(generator, rows.device)
        z = draw(code, 1, source).z[0]
        return self.law.sample(self._coder.decode(z, features), source)

    @torch.no_grad()
    def sample(
        self,
        n: SupportsIndex,
        mean: bool = False,
        *,
        condition: Any = None,
        generator: GeneratorLike = None,
    ) -> Tensor:
        """New rows, (n, *event): z from the prior and x from p(x | z).

        Arguments:
            n: how many.
            mean: the mean of p(x | z) in place of a draw: no sample of the model, but smoother to
                look at.
            condition: one for each, or one label for all.
            generator: None, a seed or a generator.

        Raises:
            ValueError: as ``posterior``.
        """
        coder = self._coder
        like = coder.like.new_zeros(as_whole("n", n, least=1), self.latent_dim)
        _, features = prepared_codes(coder, like, condition)
        source = as_generator(generator, like.device)
        output = coder.decode(self.prior.sample(like, coder.encode, source), features)
        return self.law.mean(output) if mean else self.law.sample(output, source)

    @torch.no_grad()
    def interpolate(
        self, a: Values, b: Values, steps: int = 9, *, condition: Any = None
    ) -> Tensor:
        """Means of p(x | z) on the straight way from the posterior mean of a to that of b.

        Arguments:
            a: rows, (batch, *event).
            b: as many others.
            steps: points on the way, both ends included.
            condition: of the rows.

        Shapes:
            result: (batch, steps, *event).
        """
        count = as_whole("steps", steps, least=2)
        first, features = prepared(self._coder, "a", a, condition)
        second, _ = prepared(self._coder, "b", b, condition)
        if first.shape != second.shape:
            raise ValueError(f"a and b must have one shape, found {first.shape}, {second.shape}")
        begin, end = (self._coder.encode(x, features).mean for x in (first, second))
        told = None if features is None else features.repeat_interleave(count, 0)
        output = self._coder.decode(path_between(begin, end, count), told)
        return self.law.mean(output).unflatten(0, (-1, count))

    def active_units(self, x: Values, threshold: float = 0.01, *, condition: Any = None) -> Tensor:
        """Which latent numbers say something of rows, (latent_dim,), boolean.

        Reference:
            Burda, Grosse & Salakhutdinov 2016, section 5 (activity).
        """
        return self.collapse_report(x, threshold, condition=condition).active

    @torch.no_grad()
    def collapse_report(
        self, x: Values, threshold: float = 0.01, *, condition: Any = None
    ) -> CollapseReport:
        """Divergence, variance of the posterior mean, and whether it is active, by number."""
        return collapse_report(self.prior, self._codes(x, condition), threshold)

    def fit(
        self,
        x: Values,
        objective: ObjectiveName = "elbo",
        *,
        n_samples: int | None = None,
        free_bits: float = 0.0,
        beta_warm_up: int = 0,
        condition: Any = None,
        validation: Values | tuple[Values, Any] | None = None,
        epochs: int | None = None,
        steps: int = 12_000,
        batch_size: int = 50,
        lr: float = 3e-3,
        augment: Augment | None = None,
        optimization: Optimization | None = None,
        callbacks: Sequence[Callback] = (),
        checkpoint: str | os.PathLike[str] | None = None,
        generator: GeneratorLike = None,
        progress: bool | None = None,
    ) -> Self:
        """Learn the networks; ``history`` has "elbo", "reconstruction" and "kl" by epoch.

        Arguments:
            x: rows, (n, *event).
            objective: "elbo"; "iwae", the importance-weighted bound; "dreg", the same with a
                gradient of less noise.
            n_samples: draws per row: 1 for "elbo", else 20, if None.
            free_bits: nats per latent number that cost nothing, "elbo" with the normal prior.
            beta_warm_up: epochs in which beta rises to its value.
            condition: of the rows.
            validation: other rows, or such rows and their conditions; the history has their bound
                as "validation_elbo".
            epochs: passes over the rows; None for as many as make ``steps`` steps.
            steps: where ``epochs`` is None.
            batch_size: rows per step.
            lr: first rate, which falls to zero linearly unless ``optimization`` has another decay.
            augment: from a batch and a generator to the batch that is learned from.
            optimization: how gradients become steps.
            callbacks: are called after every epoch.
            checkpoint: a file, written after every epoch, from which learning goes on.
            generator: None, a seed or a generator.
            progress: a bar; None shows it on a terminal.

        Raises:
            ValueError: rows, conditions, networks or settings that do not go together.
            FloatingPointError: the loss is no longer finite; the parameters are those before.
        """
        aim = Objective(objective, n_samples, self.beta, free_bits)
        if free_bits and not isinstance(self.prior, NormalPrior):
            found = type(self.prior).__name__
            raise ValueError(f"free_bits are for the normal prior, found a {found}")
        schedule = Schedule(epochs, batch_size, lr, steps)
        lesson = Lesson(aim, schedule, optimization or Optimization(), beta_warm_up, augment)
        coder, source = self._coder, as_generator(generator, self.device)
        rows = read_rows("x", x, coder.like, self.law.whole).detach()
        told = self.condition.read(condition, len(rows), coder.like)
        # Rows that are made anew in every step are looked at as the first step would have them.
        some = rows if augment is None else augment(rows[:batch_size], source.clone_state())
        check_rows("x", some, None if told is None else told[: len(some)], coder)
        self.history = learn(
            self,
            coder,
            lesson,
            rows,
            told,
            source,
            evaluate=None if validation is None else validation_bound(coder, validation),
            callbacks=callbacks,
            checkpoint=checkpoint,
            progress=progress,
        )
        return self

    def model(self, x: Values, condition: Any = None) -> Tensor:
        """Pyro program of the joint law, for ``pyro.infer.SVI`` with ``guide``."""
        return run_model(self, self._coder, *prepared(self._coder, "x", x, condition))

    def guide(self, x: Values, condition: Any = None) -> Tensor:
        """Pyro program of the posterior; the loss of SVI is minus the sum of ``elbo``."""
        return run_guide(self, self._coder, *prepared(self._coder, "x", x, condition))

    @property
    def _coder(self) -> Coder:
        parts = self.law, self.prior, self.condition
        return Coder(self.encoder, self.decoder, self.latent_dim, *parts)

    def _codes(self, x: Values, condition: Any) -> Code:
        """Moments of the posteriors of rows."""
        return self._coder.encode(*prepared(self._coder, "x", x, condition))
