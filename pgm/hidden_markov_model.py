"""Hidden Markov models: sequences of observations that a hidden chain of states explains.

.. math:: p(x, z) = \\pi_{z_1} \\prod_{t=2}^{T} a_{z_{t-1} z_t} \\prod_{t=1}^{T} p(x_t \\mid z_t)
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from inference.inputs import Values, as_whole, check_distribution
from inference.random import GeneratorLike, as_generator
from pgm.chains.alphabet import Alphabet
from pgm.hidden_markov.blocks import Block, ModelNumbers, blocks_of, check_memory
from pgm.hidden_markov.chains import sample_chains
from pgm.hidden_markov.families import EmissionName, as_family
from pgm.hidden_markov.fitting import Keep, as_kept, as_options, fit_numbers
from pgm.hidden_markov.gaussian import CovarianceType
from pgm.hidden_markov.hidden_chain import HiddenChain
from pgm.hidden_markov.token_sequences import TokenSequences

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["HiddenMarkovModel", "HiddenMarkovSample"]


class HiddenMarkovSample(NamedTuple):
    """Draws of a hidden Markov model.

    Attributes:
        observations: (n, T) codes or (n, T, D) numbers.
        states: (n, T) int64.
    """

    observations: Tensor
    states: Tensor


class HiddenMarkovModel(HiddenChain):
    """A Markov chain of hidden states, each of which emits an observation.

    .. math:: p(x) = \\sum_z \\pi_{z_1} \\prod_{t=2}^{T} a_{z_{t-1} z_t}
              \\prod_{t=1}^{T} p(x_t \\mid z_t)

    Sequences, in every method, are one or several, of different lengths if need be, also empty
    (of probability one). A list holds several sequences, or is one sequence of symbols or single
    numbers; so is a string. An array is one sequence, (T,) of symbols or (T, D) of numbers, or
    with one more axis in front a batch of them. Where ``lengths`` are given, an array holds the
    sequences one after the other, or padded ones if it is a batch.

    Missing observations are -1 in codes, None among strings and NaN in numbers, where single
    entries of a vector may be missing; in columns of pandas, what it calls missing among strings
    and numbers. They are summed or integrated out exactly.

    Arguments:
        n_states: number of hidden states K.
        emission: what a state emits: "categorical" (one symbol), "gaussian" (a vector of D
            numbers) or "poisson" (D independent counts).
        n_symbols: number of symbols M, or the symbols, which are strings; None learns them in
            `fit`. For "categorical" only.
        n_features: D; None learns it in `fit`. Not for "categorical".
        covariance_type: "diag" (a variance per state and feature), "spherical" (one per state),
            "full" (a matrix per state) or "tied" (one matrix). For "gaussian" only.

    Attributes:
        start: parameter (K,), probabilities of the first state.
        transitions: parameter (K, K), from row to column. Zeros stay zeros in learning.
        emission_probs: parameter (K, M) of "categorical".
        means: parameter (K, D) of "gaussian".
        covariances: parameter of "gaussian": (K, D), (K,), (K, D, D) or (D, D) in the order of
            the types above.
        rates: parameter (K, D) of "poisson".

    Parameters are probabilities and moments as they are, double precision, and uniform or standard
    until `fit`, or until other numbers are copied into them. No gradients are required until
    ``requires_grad_()`` is called; then `log_prob` carries them.

    Raises:
        TypeError, ValueError: for arguments of the wrong kind, out of range or of another family.

    Reference:
        Rabiner 1989, "A tutorial on hidden Markov models and selected applications in speech
        recognition", sections II and III.

    Example:
        >>> model = HiddenMarkovModel(2, n_symbols=["walk", "shop", "clean"])
        >>> with torch.no_grad():
        ...     _ = model.start.copy_(torch.tensor([0.6, 0.4]))
        ...     _ = model.transitions.copy_(torch.tensor([[0.7, 0.3], [0.4, 0.6]]))
        ...     _ = model.emission_probs.copy_(torch.tensor([[0.1, 0.4, 0.5], [0.6, 0.3, 0.1]]))
        >>> model.log_prob(["walk", "shop", "clean"])
        tensor([-3.3929], dtype=torch.float64)
        >>> model.viterbi(["walk", "shop", "clean"])[0]
        [tensor([1, 0, 0])]
    """

    def __init__(
        self,
        n_states: int,
        emission: EmissionName = "categorical",
        *,
        n_symbols: int | Sequence[str] | None = None,
        n_features: int | None = None,
        covariance_type: CovarianceType = "diag",
    ) -> None:
        super().__init__()
        self.n_states = as_whole("n_states", n_states, least=1)
        self._emissions = as_family(emission, n_symbols, n_features, covariance_type)
        self._learns_width = self._emissions.width == 0
        k = self.n_states
        check_memory(f"the parameters of {k:,} states", k * k + self._emissions.n_parameters(k))
        uniform = torch.full((k, k), 1 / k, dtype=torch.float64)
        self._take(ModelNumbers(uniform[0], uniform, self._emissions.blank(k)))

    # The model as data -----------------------------------------------------------------------

    def config(self) -> dict[str, Any]:
        """States, family and the shape of its observations."""
        return {
            "n_states": self.n_states,
            "emission": self.emission,
            **self._emissions.config(),
            "learns_width": self._learns_width,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Build a model of the same shape."""
        arguments = dict(config)
        learns = bool(arguments.pop("learns_width"))
        model = cls(**arguments)
        model._learns_width = learns
        return model

    @property
    def emission(self) -> str:
        """Name of the family."""
        return self._emissions.name

    @property
    def symbols(self) -> tuple[str, ...] | range:
        """The symbols in the order of their codes.

        Raises:
            ValueError: of another family than "categorical", or not known yet.
        """
        return self._emissions.symbols

    def decode(self, codes: Tensor | Sequence[Any]) -> list[Any]:
        """Symbols of codes, such as those drawn, as nested lists of the same shape.

        Raises:
            TypeError: if they are no whole numbers, or a single one.
            ValueError: if a code is no symbol's, or as `symbols`.

        Example:
            >>> HiddenMarkovModel(1, n_symbols=["no", "yes"]).decode([[0, 1], [1, 1]])
            [['no', 'yes'], ['yes', 'yes']]
        """
        labels = self.symbols
        return Alphabet(len(labels) if isinstance(labels, range) else labels).decode(codes)

    @property
    def n_parameters(self) -> int:
        """Number of free parameters; zeros of `start` and `transitions` are not free."""
        chain = int((self.start > 0).sum()) - 1
        chain += int((self.transitions > 0).sum()) - self.n_states
        return chain + self._emissions.n_parameters(self.n_states)

    def extra_repr(self) -> str:
        """Size and family, for ``repr``."""
        width = self._emissions.width or "unknown"
        return f"{self.n_states} states, {self.emission!r} emissions of width {width}"

    # Learning --------------------------------------------------------------------------------

    @torch.no_grad()
    def fit(
        self,
        sequences: Any,
        lengths: Any = None,
        *,
        sample_weight: Any = None,
        init: Literal["kmeans", "random", "current"] | None = None,
        keep: Collection[Keep] = (),
        n_init: int = 1,
        max_iterations: int = 200,
        tolerance: float = 1e-7,
        start_prior: Values = 0.0,
        transition_prior: Values = 0.0,
        emission_prior: Values = 0.0,
        covariance_floor: float = 1e-6,
        generator: GeneratorLike = None,
        progress: bool | None = None,
    ) -> Self:
        """Learn all parameters by expectation-maximisation (Baum-Welch).

        .. math:: \\max_\\theta \\sum_s w_s \\log p(x^{(s)} \\mid \\theta)
                  + \\sum \\alpha_i \\log \\theta_i

        Arguments:
            sequences: one or several.
            lengths: of the sequences in an array.
            sample_weight: weights of the sequences, not negative; ones by default.
            init: how every start assigns observations to states: to clusters ("kmeans", the
                default for numbers), at random ("random", the default for symbols), or not at
                all: "current" begins with the present parameters, which must tell the states
                apart, as those of a new model do not.
            keep: parameters that begin as they are while ``init`` gives the others. Zeros stay
                zeros, so that left-right chains keep ``start`` and ``transitions``; states are
                started in the order in which their observations tend to occur.
            n_init: number of starts, of which the best end is kept.
            max_iterations: most steps per start.
            tolerance: change of the objective per observed token that ends a start, nats; 0 makes
                every step.
            start_prior: pseudo-counts, one number or one per entry, added to the expected counts
                of all first states that are not impossible.
            transition_prior: the same for transitions.
            emission_prior: the same for the symbols of "categorical".
            covariance_floor: for "gaussian": least variance of a state in every direction, as a
                share of that of the data, after every feature was divided by the smaller of its
                standard deviation and 0.74 of its interquartile range. Maximum likelihood under
                this bound; without it likelihoods are unbounded.
            generator: None, a seed or a generator, for the starts.
            progress: True, False, or None: a bar if on a terminal.

        `history` has one dict per step: ``start``, ``iteration``, ``objective`` (before the step,
        with the prior), ``change``, ``log_likelihood``, ``empty_states``, to which no observation
        belongs and which therefore keep their emissions, and ``taken_back``: whether rounding had
        spoiled the step before, as it can where vectors span many orders of magnitude.

        Raises:
            TypeError, ValueError: as `log_prob`; without a sequence of positive weight or an
                observation of every feature; if a sequence is impossible at the start; settings
                out of range. The model is then unchanged.

        Shapes:
            sample_weight: (n,). start_prior: () or (K,). transition_prior: () or (K, K).
            emission_prior: () or (K, M).

        Reference:
            Rabiner 1989, eq. 40, 109-111; Baum et al. 1970, theorem 2.1 (monotonicity).

        Example:
            >>> model = HiddenMarkovModel(2, "gaussian")
            >>> _ = model.fit([[0.0, 0.1, 5.0, 5.1, 0.2, 4.9]], generator=0)
            >>> model.means.sort(0).values.flatten()
            tensor([0.1000, 5.0000], dtype=torch.float64)
        """
        kept = as_kept(init, keep)
        current = self._numbers() if "emissions" in kept else ModelNumbers(*self._chain(), {})
        learns = self._learns_width and "emissions" not in kept
        emissions, tokens = self._emissions.read(sequences, lengths, learn=learns)
        options = as_options(
            self.n_states,
            emissions,
            start_prior,
            transition_prior,
            emission_prior,
            covariance_floor,
            self.device,
        )
        fitted, history = fit_numbers(
            TokenSequences(tokens.values.to(self.device), tokens.lengths),
            emissions,
            self.n_states,
            current,
            options,
            sample_weight=sample_weight,
            init=init,
            kept=kept,
            n_init=n_init,
            max_iterations=max_iterations,
            tolerance=tolerance,
            generator=generator,
            progress=progress,
        )
        self._emissions = emissions
        self._take(fitted)
        self.history = history
        return self

    # Draws -----------------------------------------------------------------------------------

    @torch.no_grad()
    def sample(
        self, n: int, length: int, *, generator: GeneratorLike = None
    ) -> HiddenMarkovSample:
        """Independent sequences with their states.

        Arguments:
            n: how many.
            length: observations of each.
            generator: None, a seed or a generator.

        Shapes:
            observations: (n, length) codes or (n, length, D). states: (n, length).

        Raises:
            TypeError: if an argument is of the wrong kind.
            ValueError: if ``n`` or ``length`` is negative, or the parameters are no law.

        Example:
            >>> HiddenMarkovModel(2, n_symbols=2).sample(3, 4, generator=0).states.shape
            torch.Size([3, 4])
        """
        n, length = as_whole("n", n, least=0), as_whole("length", length, least=0)
        check_memory(
            f"{n:,} sequences of {length:,} steps", n * length * (2 + self._emissions.width)
        )
        numbers, source = self._numbers(), as_generator(generator, self.device)
        states = sample_chains(numbers.start, numbers.transitions, n, length, source)
        drawn = self._emissions.sample(numbers.emissions, states.flatten(), source)
        return HiddenMarkovSample(drawn.view(n, length, *drawn.shape[1:]), states)

    # Parts -----------------------------------------------------------------------------------

    def _read(self, sequences: Any, lengths: Any) -> TokenSequences:
        """Observations that fit the model, on its device."""
        self._check_known()
        _, tokens = self._emissions.read(sequences, lengths, learn=False)
        return TokenSequences(tokens.values.to(self.device), tokens.lengths)

    def _check_known(self) -> None:
        """Refuse to go on without knowing what an observation is."""
        if not self._emissions.width:
            raise ValueError(
                "this HiddenMarkovModel does not know its observations yet; fit it, or give "
                "n_symbols or n_features"
            )

    def _blocks(self, tokens: TokenSequences) -> Iterator[Block]:
        reference = self._emissions.reference(tokens.values)
        return blocks_of(tokens, self._emissions, self.n_states, reference)

    def _numbers(self) -> ModelNumbers:
        """The present parameters, checked, in double precision and with their gradients."""
        self._check_known()
        emissions = {name: self.get_parameter(name) for name in self._emission_names}
        self._emissions.check({name: p.detach() for name, p in emissions.items()})
        return ModelNumbers(*self._chain(), {name: p.double() for name, p in emissions.items()})

    def _chain(self) -> tuple[Tensor, Tensor]:
        """Start and transitions, checked."""
        check_distribution("start", self.start.detach())
        check_distribution("transitions", self.transitions.detach())
        return self.start.double(), self.transitions.double()

    @torch.no_grad()
    def _take(self, numbers: ModelNumbers) -> None:
        """Take over numbers, in the parameters there are where the shapes allow it."""
        self._emission_names = tuple(numbers.emissions)
        found = {"start": numbers.start, "transitions": numbers.transitions, **numbers.emissions}
        for name, value in found.items():
            old = self._parameters.get(name)
            if old is not None and old.shape == value.shape:
                old.copy_(value)
                continue
            fresh = value.clone() if old is None else value.to(old.dtype)
            setattr(self, name, nn.Parameter(fresh, old is not None and old.requires_grad))
