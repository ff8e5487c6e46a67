"""Entries of the models in pgm."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from inference import Factor
from pgm import (
    BayesianGaussianMixture,
    BayesianNetwork,
    ConditionalRandomField,
    CRFTagger,
    GaussianMixture,
    HiddenMarkovModel,
    LatentClassModel,
    LinearChainCRF,
    LinearGaussianNetwork,
    MarkovChain,
    MarkovRandomField,
    MaximumEntropyClassifier,
    Mixture,
    NaiveBayes,
    SigmoidBeliefNetwork,
)
from pgm.chains.smoothing import Interpolated
from pgm.conditional.templates import GraphTemplate
from pgm.mixtures.families.bernoulli import Bernoulli
from tests.contract.case import Case

BITS = torch.tensor([[0, 1, 0], [1, 1, 1], [0, 0, 0], [1, 0, 1], [1, 1, 0], [0, 1, 1]])
HOLES = BITS.masked_fill(torch.eye(6, 3, dtype=torch.bool), -1)
STATES = {"a": ["no", "yes"], "b": ["no", "yes"], "c": ["no", "yes"]}


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    """Normal numbers, always the same."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


CLASSES = torch.arange(40) % 2
POINTS = normal(40, 2, seed=1) + 4 * CLASSES[:, None]


def fill(model: Any, **values: Any) -> Any:
    """Copy numbers into parameters."""
    with torch.no_grad():
        for name, value in values.items():
            getattr(model, name).copy_(torch.as_tensor(value, dtype=torch.float64))
    return model


def bayesian_network() -> BayesianNetwork:
    tables = {
        "a": [0.3, 0.7],
        "b": [[0.9, 0.1], [0.4, 0.6]],
        "c": [[[0.8, 0.2], [0.5, 0.5]], [[0.35, 0.65], [0.15, 0.85]]],
    }
    return BayesianNetwork([("a", "b"), ("a", "c"), ("b", "c")], STATES, tables)


def markov_random_field() -> MarkovRandomField:
    return MarkovRandomField(
        STATES,
        [
            Factor(["a", "b"], torch.tensor([[1.0, -0.5], [0.2, 0.7]])),
            Factor(["b", "c"], torch.tensor([[0.4, 0.3], [-0.8, 1.1]])),
        ],
    )


def linear_gaussian() -> LinearGaussianNetwork:
    return LinearGaussianNetwork(
        [("x", "y"), ("x", "z")],
        ["x", "y", "z"],
        {("x", "y"): 0.5, ("x", "z"): -1.5},
        [0.3, 0.1, -0.2],
        [1.0, 0.5, 2.0],
    )


def change_linear_gaussian(model: Any) -> None:
    with torch.no_grad():
        model.weights.mul_(1.5)
        model.intercepts.add_(0.5)
        model.variances.mul_(2.0)


def sigmoid_network() -> SigmoidBeliefNetwork:
    net = SigmoidBeliefNetwork([("u", "w"), ("v", "w")], ["u", "v", "w"])
    return fill(
        net, weights=[[0.0, 0.0, 1.5], [0.0, 0.0, -0.7], [0.0, 0.0, 0.0]], bias=[0.2, -0.4, 0.6]
    )


def change_sigmoid(model: Any) -> None:
    with torch.no_grad():
        model.weights.mul_(1.5)
        model.bias.add_(0.5)


def hidden_markov(emission: str = "categorical") -> HiddenMarkovModel:
    if emission == "categorical":
        model = HiddenMarkovModel(2, n_symbols=3)
        fill(model, emission_probs=[[0.2, 0.5, 0.3], [0.6, 0.1, 0.3]])
    else:
        model = HiddenMarkovModel(2, "gaussian", n_features=2)
        fill(model, means=[[0.0, 1.0], [2.0, -1.0]], covariances=[[1.0, 0.5], [2.0, 1.5]])
    return fill(model, start=[0.6, 0.4], transitions=[[0.7, 0.3], [0.2, 0.8]])


def markov_chain() -> MarkovChain:
    return MarkovChain(1, Interpolated()).fit([[0, 1, 2, 0, 0, 2], [1, 1, 0, 2, 0]])


def maximum_entropy() -> MaximumEntropyClassifier:
    return MaximumEntropyClassifier().fit(POINTS, torch.arange(40) % 3)


def crf() -> LinearChainCRF:
    return fill(
        LinearChainCRF(3).double(),
        transitions=normal(3, 3, seed=2),
        start=[0.3, -0.1, 0.2],
        end=[0.0, 0.4, -0.6],
    )


TOKENS = [
    [{"word": "the"}, {"word": "cat"}],
    [{"word": "a"}, {"word": "dog"}, {"word": "sat"}],
    [{"word": "the"}, {"word": "dog"}],
]
TAGS = [["D", "N"], ["D", "N", "V"], ["D", "N"]]


def field() -> ConditionalRandomField:
    model = ConditionalRandomField(
        GraphTemplate(3, [(0, 1), (1, 2)]),
        2,
        nn.utils.skip_init(nn.Linear, 2, 2).double(),
        "table",
    )
    with torch.no_grad():
        for i, parameter in enumerate(model.parameters()):
            parameter.copy_(normal(*parameter.shape, seed=i))
    return model


NORMALISED = {"energy": "a normalised law"}

rows_case = partial(
    Case,
    missing="summed",
    values=("log_prob",),
    fit_rows=lambda m, x: m.fit(x),
    draw=lambda m, n, g: m.sample(n, generator=g),
    event=(3,),
    without=NORMALISED,
)
mixture_case = partial(
    rows_case,
    values=("log_prob", "score_samples"),
    maps=("predict_proba", "predict", "component_log_prob"),
)
sequence_case = partial(Case, values=("log_prob",), without=NORMALISED)

CASES = [
    mixture_case(
        GaussianMixture,
        lambda: GaussianMixture.from_parameters(
            [0.3, 0.7],
            [[0.0, 1.0], [4.0, 3.0]],
            [[[1.0, 0.2], [0.2, 0.5]], [[2.0, 0.0], [0.0, 1.0]]],
        ),
        (POINTS,),
        unfitted=lambda: GaussianMixture(2),
        learn=lambda m, g: m.set_params(n_components=2, init="random", max_iter=3).fit(
            POINTS, generator=g
        ),
        event=(2,),
    ),
    mixture_case(
        BayesianGaussianMixture,
        lambda: BayesianGaussianMixture(2, random_state=0).fit(POINTS),
        (POINTS,),
        unfitted=lambda: BayesianGaussianMixture(2),
        learn=lambda m, g: m.set_params(init="random", max_iter=3).fit(POINTS, generator=g),
        event=(2,),
    ),
    mixture_case(
        Mixture,
        lambda: fill(
            Mixture(2, Bernoulli(3)), weights=[0.4, 0.6], probs=[[0.2, 0.5, 0.9], [0.7, 0.4, 0.3]]
        ),
        (BITS,),
        learn=lambda m, g: m.fit(BITS, max_iter=3, init="random", generator=g),
    ),
    mixture_case(
        LatentClassModel,
        lambda: fill(
            LatentClassModel(2, STATES),
            weights=[0.4, 0.6],
            probs=[[0.2, 0.8, 0.5, 0.5, 0.9, 0.1], [0.7, 0.3, 0.6, 0.4, 0.35, 0.65]],
        ),
        (BITS,),
        columns=("a", "b", "c"),
        maps=("predict_proba", "predict", "component_log_prob", "posterior"),
        learn=lambda m, g: m.fit(BITS, max_iter=3, generator=g),
    ),
    rows_case(
        BayesianNetwork,
        bayesian_network,
        (BITS,),
        columns=("a", "b", "c"),
        excused={"test_other_seed_other_fit": "counts"},
        learn=lambda m, g: m.fit(BITS, 1.0, generator=g),
    ),
    rows_case(
        MarkovRandomField,
        markov_random_field,
        (BITS,),
        columns=("a", "b", "c"),
        values=("log_prob", "energy"),
        excused={"test_other_seed_other_fit": "an exact likelihood"},
        learn=lambda m, g: m.fit(BITS, l2=0.1, max_iterations=5, generator=g),
        without={},
    ),
    rows_case(
        LinearGaussianNetwork,
        linear_gaussian,
        (normal(20, 3, seed=3),),
        columns=("x", "y", "z"),
        excused={"test_other_seed_other_fit": "regressions"},
        learn=lambda m, g: m.fit(normal(20, 3, seed=3), generator=g),
        change=change_linear_gaussian,
    ),
    rows_case(
        SigmoidBeliefNetwork,
        sigmoid_network,
        (BITS,),
        columns=("u", "v", "w"),
        learn=lambda m, g: m.fit(HOLES, "wake-sleep", epochs=3, batch_size=2, generator=g),
        change=change_sigmoid,
    ),
    sequence_case(
        HiddenMarkovModel,
        hidden_markov,
        ([[0, 1, 2, 1], [2, 0], [1, 1, 0]],),
        maps=("posterior",),
        unfitted=lambda: HiddenMarkovModel(2),
        learn=lambda m, g: m.fit(
            [[0, 1, 2, 1], [2, 0], [1, 1, 0]], max_iterations=3, init="random", generator=g
        ),
        draw=lambda m, n, g: m.sample(n, 5, generator=g).observations,
        event=(5,),
    ),
    sequence_case(
        HiddenMarkovModel,
        lambda: hidden_markov("gaussian"),
        (normal(3, 4, 2, seed=4),),
        maps=("posterior",),
        learn=lambda m, g: m.fit(
            normal(3, 4, 2, seed=4), max_iterations=3, init="random", generator=g
        ),
        draw=lambda m, n, g: m.sample(n, 5, generator=g).observations,
        event=(5, 2),
        variant="gaussian",
    ),
    sequence_case(
        MarkovChain,
        markov_chain,
        ([[0, 1, 2, 0], [2, 2], [1, 0, 2]],),
        excused={
            "test_other_seed_other_fit": "counts",
            "test_gradients_reach_every_parameter": "weights of contexts are found by counting",
        },
        unfitted=MarkovChain,
        learn=lambda m, g: m.fit([[0, 1, 2, 0, 0, 2], [1, 1, 0, 2, 0]]),
        draw=lambda m, n, g: m.sample(n, 5, generator=g),
        event=(5,),
    ),
    rows_case(
        NaiveBayes,
        lambda: NaiveBayes().fit(POINTS, CLASSES),
        (POINTS,),
        maps=("predict_proba", "predict", "predict_log_proba", "joint_log_prob"),
        judged=(POINTS, CLASSES),
        score=lambda m: (m.score(POINTS, CLASSES), (m.predict(POINTS) == CLASSES).double().mean()),
        fit_rows=lambda m, x: m.fit(x, CLASSES[: len(x)]),
        excused={"test_other_seed_other_fit": "counts"},
        unfitted=NaiveBayes,
        learn=lambda m, g: m.fit(POINTS, CLASSES),
        draw=lambda m, n, g: m.sample(n, generator=g)[0],
        event=(2,),
    ),
    Case(
        MaximumEntropyClassifier,
        maximum_entropy,
        (POINTS, torch.arange(40) % 3),
        missing="refused",
        values=("log_prob",),
        judged=(POINTS, CLASSES),
        score=lambda m: (m.score(POINTS, CLASSES), (m.predict(POINTS) == CLASSES).double().mean()),
        fit_rows=lambda m, x: m.fit(x, CLASSES[: len(x)]),
        excused={"test_other_seed_other_fit": "a convex problem"},
        unfitted=MaximumEntropyClassifier,
        learn=lambda m, g: m.fit(POINTS, torch.arange(40) % 3),
        without={"sample": "no law of its inputs", "energy": "a normalised law"},
    ),
    sequence_case(
        LinearChainCRF,
        crf,
        (normal(4, 5, 3, seed=5), torch.tensor([[0, 1, 2, 1, 0]] * 4)),
        draw=lambda m, n, g: m.sample(n, normal(2, 5, 3, seed=6), generator=g),
        event=(2, 5),
        without={
            "fit": "a layer, which a network above it trains",
            "score": "a layer, whose log-probabilities are a term of a network's loss",
            "energy": "a normalised law",
        },
    ),
    Case(
        CRFTagger,
        lambda: CRFTagger(c2=0.1, max_iterations=5).fit(TOKENS, TAGS),
        (TOKENS, TAGS),
        values=("log_prob",),
        score=lambda m: (
            m.score(TOKENS, TAGS) * 7,
            sum(
                a == b
                for x, y in zip(m.predict(TOKENS), TAGS, strict=True)
                for a, b in zip(x, y, strict=True)
            ),
        ),
        excused={
            "test_other_seed_other_fit": "a convex problem",
            "test_gradients_reach_every_parameter": "fit computes the gradients of its own",
        },
        unfitted=CRFTagger,
        learn=lambda m, g: m.fit(TOKENS, TAGS, generator=g),
        without={"sample": "no law of its inputs", "energy": "a normalised law"},
    ),
    Case(
        ConditionalRandomField,
        field,
        (normal(4, 3, 2, seed=7), torch.tensor([[0, 1, 1], [1, 1, 0], [0, 0, 0], [1, 0, 1]])),
        values=("log_prob", "energy"),
        parts=lambda m: {"unary": copy.deepcopy(m.unary)},
        learn=lambda m, g: m.fit(
            normal(4, 3, 2, seed=7),
            torch.tensor([[0, 1, 1], [1, 1, 0], [0, 0, 0], [1, 0, 1]]),
            epochs=2,
            batch_size=2,
            generator=g,
        ),
        draw=lambda m, n, g: m.sample(normal(2, 3, 2, seed=8), n, generator=g),
        event=(2, 3),
    ),
]
