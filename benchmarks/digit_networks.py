"""Networks on binary digits: variational autoencoders, beside a mixture and a masked network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.made import MaskedAutoencoder
from benchmarks.report import Row, measurement
from benchmarks.settings import Settings
from benchmarks.timing import cpu_seconds
from generative.networks import mlp
from generative.vae.mixture_prior import VampPrior
from generative.variational_autoencoder import VariationalAutoencoder
from pgm.mixture import Mixture
from pgm.mixtures.families.bernoulli import Bernoulli

__all__ = ["rows"]

PIXELS, HIDDEN = 64, 256
#: Draws of the importance-weighted bound by which autoencoders are judged.
DRAWS = 5000
DEFAULTS_SHORT = 0.4
VAE, VAMP, IWAE, SECONDS = -16.8, -16.3, -16.7, 15.0


def rows(settings: Settings, seen: Tensor, unseen: Tensor) -> Iterator[Row]:
    """Models of digits that are no Boltzmann machines.

    Arguments:
        settings: what was asked for.
        seen: bits to learn from, (n, 64).
        unseen: others.
    """
    short = {} if settings.most_rows is None else {"epochs": settings.most_rows}
    seeds = range(3 if not short else 1)
    passes = 100 if not short else 1
    mixture, seconds = cpu_seconds(
        lambda: Mixture(100, Bernoulli(PIXELS)).fit(
            seen.double(), prior=1.0, max_iter=passes, tol=0, generator=0
        )
    )
    score = float(mixture.score(unseen.double()))
    note = f"{score:.3f}, exact; {seconds:.1f} CPU s"
    yield measurement("Bernoulli mixture 100", score, "nats", note=note)
    masked = MaskedAutoencoder(PIXELS, 512, 0.6, 0).to(seen.device)
    _, seconds = cpu_seconds(lambda: masked.fit(seen, 250 if not short else 1, 0))
    score = float(masked.log_prob(unseen).detach().mean())
    note = f"{score:.3f}, exact; {seconds:.1f} CPU s"
    yield measurement("MADE 512, one order", score, "nats", note=note)
    for seed in seeds:
        target = VAE - DEFAULTS_SHORT if seed == 0 else None
        yield from _judged(settings, seen, unseen, "VAE, defaults", seed, short, target)
    recipe = {"epochs": 400} | short
    for seed in seeds:
        yield from _judged(
            settings, seen, unseen, "VAE, 400 epochs", seed, recipe, VAE, seconds=SECONDS
        )
    for seed in seeds:
        yield from _judged(
            settings, seen, unseen, "VampPrior 50, dropout .1", seed, recipe, VAMP, dropout=0.1
        )
    target = IWAE - DEFAULTS_SHORT
    yield from _judged(
        settings, seen, unseen, "IWAE, defaults", 0, short, target, objective="iwae"
    )
    recipe = {"epochs": 200} | short
    for objective in ("iwae", "dreg"):
        name = f"{objective.upper()} k 20, 200 epochs"
        yield from _judged(
            settings, seen, unseen, name, 0, recipe, IWAE, latent=16, objective=objective
        )


def _judged(
    settings: Settings,
    seen: Tensor,
    unseen: Tensor,
    name: str,
    seed: int,
    options: dict[str, Any],
    target: float | None,
    *,
    latent: int = 8,
    objective: Any = "elbo",
    dropout: float = 0.0,
    seconds: float | None = None,
) -> Iterator[Row]:
    """An autoencoder by its importance-weighted bound, and how long it took to learn."""
    encoder, decoder = _networks(latent, dropout, seed)
    prior = None
    if dropout:
        chosen = torch.randperm(len(seen), generator=torch.Generator().manual_seed(seed))[:50]
        prior = VampPrior(seen[chosen.to(seen.device)])
    model = VariationalAutoencoder(encoder, decoder, latent, prior=prior).to(seen.device)
    _, spent = cpu_seconds(
        lambda: model.fit(seen, objective, generator=seed, progress=False, **options)
    )
    with torch.no_grad():
        bound = float(model.elbo(unseen, 10, generator=0).mean())
        draws = settings.rows(DRAWS)
        score = model.score(unseen, draws, generator=0)
    note = f"ELBO {bound:.2f}, seen {model.history[-1]['elbo']:.2f}; {spent:.1f} CPU s"
    yield measurement(
        f"{name}, seed {seed}",
        score,
        "nats",
        target=settings.target(target),
        more=True,
        note=f"{score:.3f}; {note}",
    )
    if seconds is not None and seed == 0:
        yield measurement(
            f"{name}: learning", spent, "s", target=settings.target(seconds), note="CPU"
        )


def _networks(latent: int, dropout: float, seed: int) -> tuple[nn.Module, nn.Module]:
    first = torch.Generator().manual_seed(seed)
    encoder = mlp([PIXELS, HIDDEN, 2 * latent], generator=first)
    return encoder, mlp([latent, HIDDEN, PIXELS], dropout=dropout, generator=first)
