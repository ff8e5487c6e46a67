"""Entries of the models in generative."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

from generative import (
    Autoencoder,
    GenerativeAdversarialNetwork,
    VariationalAutoencoder,
    WassersteinGAN,
)
from generative.networks import mlp
from tests.contract.case import Case
from tests.contract.pgm_cases import BITS, normal

ROWS = normal(12, 2, seed=21)
REALS = normal(6, 3, seed=23)
NOISE = normal(12, 1, seed=22)


def copied(*names: str) -> Any:
    """Copies of networks, which files do not hold."""
    return lambda model: {name: copy.deepcopy(getattr(model, name)) for name in names}


def variational() -> VariationalAutoencoder:
    return VariationalAutoencoder(
        mlp([3, 4, 2], "silu", generator=0).double(),
        mlp([1, 4, 3], "silu", generator=1).double(),
        1,
    ).double()


def game(kind: Any) -> Any:
    return kind(
        mlp([1, 4, 2], generator=0).double(), mlp([2, 4, 1], generator=1).double()
    ).double()


game_case = partial(
    Case,
    missing="refused",
    fit_rows=lambda m, x: m.fit(x, epochs=1),
    learn=lambda m, g: m.fit(ROWS, steps=3, batch_size=4, generator=g),
    draw=lambda m, n, g: m.sample(n, generator=g),
    event=(2,),
    without=dict.fromkeys(("log_prob", "energy", "score"), "samples have no density"),
)

CASES = [
    Case(
        Autoencoder,
        lambda: Autoencoder(
            mlp([3, 2], generator=0).double(), mlp([2, 3], generator=1).double(), event_shape=3
        ),
        (REALS,),
        values=("errors", "penalties"),
        score=lambda m: (m.score(REALS), -m.errors(REALS).mean()),
        maps=("encode", "reconstruct"),
        parts=copied("encoder", "decoder"),
        missing="refused",
        fit_rows=lambda m, x: m.fit(x, epochs=1),
        learn=lambda m, g: m.fit(REALS, epochs=2, batch_size=3, generator=g),
        without=dict.fromkeys(("log_prob", "energy", "sample"), "no law of the data"),
    ),
    Case(
        VariationalAutoencoder,
        variational,
        (BITS.double(),),
        values=("elbo", "log_prob"),
        options={"elbo": {"generator": 3}, "log_prob": {"n_samples": 5, "generator": 3}},
        score=lambda m: (
            m.score(BITS.double(), 5, generator=3),
            m.log_prob(BITS.double(), 5, generator=3).mean(),
        ),
        parts=copied("encoder", "decoder"),
        missing="refused",
        fit_rows=lambda m, x: m.fit(x, epochs=1),
        learn=lambda m, g: m.fit(BITS.double(), steps=3, batch_size=3, generator=g),
        draw=lambda m, n, g: m.sample(n, generator=g),
        event=(3,),
        without={"energy": "a normalised law"},
        excused={
            "test_rows_together_are_as_one_by_one": "every row has latent numbers of its own"
        },
    ),
    Case(
        VariationalAutoencoder,
        variational,
        (BITS.double(),),
        maps=("transform", "reconstruct"),
        parts=copied("encoder", "decoder"),
        variant="means",
    ),
    game_case(
        GenerativeAdversarialNetwork,
        lambda: game(GenerativeAdversarialNetwork),
        (ROWS,),
        values=("logits",),
        loss=lambda m: (m.discriminator(m.generator(NOISE)) ** 2).sum(),
        parts=copied("generator", "discriminator"),
    ),
    game_case(
        WassersteinGAN,
        lambda: game(WassersteinGAN),
        (ROWS,),
        values=("ratings",),
        loss=lambda m: (m.critic(m.generator(NOISE)) ** 2).sum(),
        parts=copied("generator", "critic"),
    ),
]
