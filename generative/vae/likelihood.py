"""Laws of observations given latent numbers: what the output of a decoder means.

.. math:: p(x \\mid z) = \\prod_i \\mathrm{Ber}(x_i; \\sigma(a_i)), \\quad
          \\prod_i N(x_i; m_i, s_i^2) \\quad \\text{or} \\quad
          \\prod_i \\operatorname{softmax}(a_i)_{x_i}
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Categorical, Distribution, Independent, Normal
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from inference.random import GeneratorLike, as_generator, bernoulli, categorical

__all__ = [
    "BernoulliLikelihood",
    "CategoricalLikelihood",
    "DistributionLikelihood",
    "GaussianLikelihood",
    "Likelihood",
    "LikelihoodName",
    "as_likelihood",
    "event_sum",
]

LikelihoodName: TypeAlias = Literal["bernoulli", "gaussian", "categorical"]

LOG_2PI = math.log(2 * math.pi)


def event_sum(terms: Tensor) -> Tensor:
    """Sum over all axes but the first, (n,).

    Example:
        >>> event_sum(torch.ones(2, 3, 4)).tolist()
        [12.0, 12.0]
    """
    return terms.flatten(1).sum(1)


class Likelihood(nn.Module, ABC):
    """Law of an observation, made of what the decoder returns; parameters of its own are learned.

    Densities are nats, summed over an observation, never averaged over its pixels.

    Attributes:
        whole: whether observations are whole numbers, which stay so if they are given as such.
    """

    whole: bool = False

    @abstractmethod
    def distribution(self, output: Tensor) -> Distribution:
        """The law as a torch distribution with batch shape (n,).

        Arguments:
            output: of the decoder, (n, *parameters).
        """

    @abstractmethod
    def log_prob(self, output: Tensor, x: Tensor) -> Tensor:
        """Log density, (n,), nats, of observations under the law of each.

        Arguments:
            output: of the decoder, (n, *parameters).
            x: observations, (n, *event).

        Raises:
            ValueError: shapes that do not go together.
        """

    @abstractmethod
    def mean(self, output: Tensor) -> Tensor:
        """What is expected of each law, (n, *event)."""

    @abstractmethod
    def sample(self, output: Tensor, generator: GeneratorLike = None) -> Tensor:
        """One draw from each law, (n, *event)."""

    def check(self, name: str, x: Tensor, output: Tensor) -> None:
        """Refuse observations that the law does not know, or a decoder that does not fit them.

        Arguments:
            name: of the argument, for messages.
            x: observations, (n, *event).
            output: of the decoder for one row, (1, *parameters).

        Raises:
            ValueError: NaN, infinity, what the law does not know; shapes that do not fit.
        """
        wrong = ~x.isfinite()
        if wrong.any():
            raise ValueError(
                f"{name} must hold finite numbers, found {_first(x, wrong)}; an autoencoder does "
                "not sum over missing entries: remove such rows, or fill the entries in"
            )
        self.log_prob(output, x[:1])


class BernoulliLikelihood(Likelihood):
    """Independent zeros and ones; the decoder returns logits.

    .. math:: \\log p(x \\mid z) = \\sum_i x_i a_i - \\log(1 + e^{a_i})

    Shapes:
        output: (n, *event). x: the same.

    Reference:
        Kingma & Welling 2014, "Auto-encoding variational Bayes", appendix C.1.

    Example:
        >>> law = BernoulliLikelihood()
        >>> law.log_prob(torch.zeros(1, 2), torch.ones(1, 2))  # -2 log 2
        tensor([-1.3863])
    """

    def distribution(self, output: Tensor) -> Distribution:
        """Bernoulli laws of the units."""
        return Independent(Bernoulli(logits=output), output.ndim - 1)

    def log_prob(self, output: Tensor, x: Tensor) -> Tensor:
        """Log-probability, (n,), nats."""
        _check_shape("logits, one per entry of x", output, x.shape)
        return -event_sum(binary_cross_entropy_with_logits(output, x, reduction="none"))

    def mean(self, output: Tensor) -> Tensor:
        """Probabilities of ones."""
        return output.sigmoid()

    def sample(self, output: Tensor, generator: GeneratorLike = None) -> Tensor:
        """Zeros and ones."""
        return bernoulli(output.detach().sigmoid(), generator=generator)

    def check(self, name: str, x: Tensor, output: Tensor) -> None:
        """Refuse all but zeros and ones; see ``Likelihood``.

        Raises:
            ValueError: then.
        """
        super().check(name, x, output)
        wrong = (x != 0) & (x != 1)
        if wrong.any():
            raise ValueError(
                f'{name} must hold zeros and ones for likelihood="bernoulli", found '
                f"{_first(x, wrong)}; binarise it (x > 0.5), or draw bits anew for every step of "
                "fit by augment=lambda x, generator: bernoulli(x, generator=generator), or take "
                'likelihood="gaussian"'
            )


class GaussianLikelihood(Likelihood):
    """Independent normal numbers.

    .. math:: \\log p(x \\mid z) = -\\frac12 \\sum_i \\frac{(x_i - m_i)^2}{s_i^2}
              + \\log 2 \\pi s_i^2

    A decoder that finds scales itself can make the density of an entry that is nearly constant as
    large as it likes; a shared scale is harder to deceive.

    Arguments:
        scale: "decoder": the decoder returns twice the numbers, means and log-variances, in the
            first and second half of axis 1; "shared": means only, with one scale that is learned,
            from one on; a number: means only, with that scale.

    Shapes:
        output: (n, 2 d, ...) for x (n, d, ...) with "decoder", else as x.

    Raises:
        ValueError: another word; a scale that is not positive.

    Reference:
        Kingma & Welling 2014, appendix C.2; Rybkin, Daniilidis & Levine 2021, "Simple and
        effective VAE training with calibrated decoders", section 3 (the shared scale).

    Example:
        >>> GaussianLikelihood(1.0).log_prob(torch.zeros(1, 2), torch.zeros(1, 2))  # -log 2 pi
        tensor([-1.8379])
    """

    log_scale: nn.Parameter | None

    def __init__(self, scale: Literal["decoder", "shared"] | float = "decoder") -> None:
        super().__init__()
        if isinstance(scale, str):
            if scale not in ("decoder", "shared"):
                raise ValueError(f'scale must be "decoder", "shared" or a number, found {scale!r}')
        elif not 0 < scale < math.inf:
            raise ValueError(f"scale must be positive and finite, found {scale}")
        self.scale = scale
        self.log_scale = nn.Parameter(torch.zeros(())) if scale == "shared" else None

    def distribution(self, output: Tensor) -> Distribution:
        """Normal laws of the entries."""
        mean, log_variance = self._moments(output)
        return Independent(Normal(mean, (0.5 * log_variance).exp().expand_as(mean)), mean.ndim - 1)

    def log_prob(self, output: Tensor, x: Tensor) -> Tensor:
        """Log density, (n,), nats."""
        if self.scale == "decoder":
            wanted = (*x.shape[:1], 2 * x.shape[1], *x.shape[2:])
            _check_shape("means and log-variances along axis 1", output, wanted)
        else:
            _check_shape("means, one per entry of x", output, x.shape)
        mean, log_variance = self._moments(output)
        squares = (x - mean).square() * (-log_variance).exp()
        return -0.5 * event_sum(squares + (log_variance + LOG_2PI))

    def mean(self, output: Tensor) -> Tensor:
        """Means of the laws."""
        return self._moments(output)[0]

    def sample(self, output: Tensor, generator: GeneratorLike = None) -> Tensor:
        """Numbers with the noise of the law."""
        mean, log_variance = self._moments(output.detach())
        source = as_generator(generator, mean.device)
        noise = torch.empty_like(mean).normal_(generator=source)
        return mean + noise * (0.5 * log_variance.detach()).exp()

    def _moments(self, output: Tensor) -> tuple[Tensor, Tensor]:
        """Means, (n, *event), and log-variances that go with them."""
        if self.log_scale is not None:
            return output, 2 * self.log_scale
        if not isinstance(self.scale, str):  # In the output's precision, never rounded to single.
            return output, output.new_full((), 2 * math.log(self.scale))
        if output.ndim < 2 or output.shape[1] % 2:
            raise ValueError(
                "decoder must return means and log-variances along axis 1, an even number, found "
                f"{_batch_of(output)}; for means alone take GaussianLikelihood('shared')"
            )
        mean, log_variance = output.chunk(2, 1)
        return mean, log_variance


class CategoricalLikelihood(Likelihood):
    """Independent codes 0 to K - 1; the decoder returns K logits for each.

    .. math:: \\log p(x \\mid z) = \\sum_i a_{i, x_i} - \\log \\sum_k e^{a_{ik}}

    Shapes:
        output: (n, *event, K). x: (n, *event).

    Reference:
        Bishop 2006, "Pattern recognition and machine learning", eq. 4.104 (the softmax).

    Example:
        >>> law = CategoricalLikelihood()
        >>> law.log_prob(torch.zeros(1, 2, 3), torch.tensor([[0, 2]]))  # -2 log 3
        tensor([-2.1972])
    """

    whole = True

    def distribution(self, output: Tensor) -> Distribution:
        """Laws of the codes."""
        return Independent(Categorical(logits=output), output.ndim - 2)

    def log_prob(self, output: Tensor, x: Tensor) -> Tensor:
        """Log-probability, (n,), nats."""
        wanted = (*x.shape, *output.shape[-1:])
        _check_shape("K logits for every entry of x along a last axis", output, wanted)
        codes = x.flatten().long()
        losses = cross_entropy(output.flatten(0, -2), codes, reduction="none")
        return -event_sum(losses.view(x.shape))

    def mean(self, output: Tensor) -> Tensor:
        """The most probable codes: codes have no mean."""
        return output.argmax(-1)

    def sample(self, output: Tensor, generator: GeneratorLike = None) -> Tensor:
        """Codes, int64."""
        return categorical(output, generator=generator)

    def check(self, name: str, x: Tensor, output: Tensor) -> None:
        """Refuse all but codes that the decoder has logits for; see ``Likelihood``.

        Raises:
            ValueError: then.
        """
        states = output.shape[-1]
        wrong = ~((x >= 0) & (x < states) & (x == x.long()))
        if wrong.any():
            raise ValueError(
                f'{name} must hold codes 0 to {states - 1} for likelihood="categorical", as the '
                f"decoder returns {states} logits for each, found {_first(x, wrong)}; missing "
                "entries (-1, NaN) are not summed over: remove such rows"
            )
        super().check(name, x, output)


class DistributionLikelihood(Likelihood):
    """Any torch distribution, made of the decoder's output by a function.

    .. math:: \\log p(x \\mid z) = \\sum_i \\log p_i(x_i)

    Arguments:
        make: from the decoder's output (n, ...) to a distribution of batches of n; all axes of
            its ``log_prob`` but the first are summed over. A module's parameters are learned.

    Raises:
        TypeError: what is no function.

    Example:
        >>> from torch.distributions import Poisson
        >>> law = DistributionLikelihood(lambda output: Poisson(output.exp()))
        >>> law.log_prob(torch.zeros(1, 2), torch.zeros(1, 2))
        tensor([-2.])
    """

    def __init__(self, make: Callable[[Tensor], Distribution]) -> None:
        super().__init__()
        if not callable(make):
            raise TypeError(
                "likelihood must be a name, a Likelihood or a function from the decoder's output "
                f"to a distribution, found {type(make).__name__}"
            )
        self.make = make

    def distribution(self, output: Tensor) -> Distribution:
        """What the function returns, as one event per row."""
        law = self.make(output)
        if not isinstance(law, Distribution):
            raise TypeError(
                f"likelihood must return a torch distribution, found {type(law).__name__}"
            )
        return Independent(law, len(law.batch_shape) - 1)

    def log_prob(self, output: Tensor, x: Tensor) -> Tensor:
        """Log density, (n,), nats."""
        law = self.distribution(output)
        found = tuple(law.batch_shape + law.event_shape)
        if found != x.shape:
            raise ValueError(
                f"likelihood must make a law of observations {_batch_of(x)} of the decoder's "
                f"output {_batch_of(output)}, found one of {_batch(found)}"
            )
        return law.log_prob(x)

    def mean(self, output: Tensor) -> Tensor:
        """Means of the laws."""
        return self.distribution(output).mean

    def sample(self, output: Tensor, generator: GeneratorLike = None) -> Tensor:
        """One draw from each law, from a state of torch's generator that follows from ours."""
        source = as_generator(generator, output.device)
        seed = torch.randint(2**62, (), generator=source, device=source.device)
        gpus = [output.device] if output.device.type == "cuda" else []
        with torch.random.fork_rng(gpus), torch.no_grad():
            # torch.manual_seed would wake every other kind of device too.
            (torch.cuda if gpus else torch.default_generator).manual_seed(int(seed))
            return self.distribution(output).sample()


def as_likelihood(
    likelihood: LikelihoodName | Likelihood | Callable[[Tensor], Distribution],
) -> Likelihood:
    """The law that a user asks for.

    Raises:
        TypeError: what is neither a name, nor a law, nor a function.
        ValueError: an unknown name.

    Example:
        >>> as_likelihood("bernoulli")
        BernoulliLikelihood()
    """
    if isinstance(likelihood, Likelihood):
        return likelihood
    if not isinstance(likelihood, str):
        return DistributionLikelihood(likelihood)
    known: dict[str, Callable[[], Likelihood]] = {
        "bernoulli": BernoulliLikelihood,
        "gaussian": GaussianLikelihood,
        "categorical": CategoricalLikelihood,
    }
    if likelihood not in known:
        names = ", ".join(f'"{name}"' for name in known)
        raise ValueError(f"likelihood must be {names}, or an object, found {likelihood!r}")
    return known[likelihood]()


def _check_shape(what: str, found: Tensor, wanted: tuple[int, ...]) -> None:
    """Refuse a decoder whose output does not go with the observations."""
    if found.shape != wanted:
        raise ValueError(
            f"decoder must return {what}: {_batch(wanted)}, found {_batch_of(found)}; "
            "nn.Unflatten(1, ...) at its end gives rows a shape"
        )


def _batch_of(x: Tensor) -> str:
    return _batch(tuple(x.shape))


def _batch(shape: tuple[int, ...]) -> str:
    """A shape with its first axis named."""
    rest = ", ".join(map(str, shape[1:]))
    return f"(batch, {rest})" if rest else f"({shape[0]},)" if shape else "()"


def _first(x: Tensor, wrong: Tensor) -> str:
    """The first wrong entry and where it is, for a message."""
    index = tuple(wrong.nonzero()[0].tolist())
    return f"{x[index].item():g} at index {index}"
