"""Binary digits: what machines make of them, in nats of a digit they have not seen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks import digit_networks
from benchmarks.peer_rbms import ScikitLearn
from benchmarks.report import MEASUREMENTS, Row, Section, measurement
from benchmarks.settings import Settings
from benchmarks.timing import cpu_seconds
from energy import DeepBeliefNetwork, DeepBoltzmannMachine, RestrictedBoltzmannMachine
from inference import LogPartition, annealed_importance_sampling

__all__ = ["section"]

PIXELS = 64
TEMPERATURES, CHAINS = 3000, 200
#: Nats that defaults may be short of a target that tuned settings reach.
DEFAULTS_SHORT = 0.4
#: How far the two directions of annealing may be apart.
APART = 0.05
RBM_64, RBM_128, DBN, DBM, SECONDS = -16.9, -16.2, -16.9, -16.7, 3.0
GUESSES = 500

NOTES = (
    "1,797 digits of 8 x 8 pixels, on where at least half as dark as can be; 297 of them, the",
    "same share of every class, are unseen. Nats of an unseen digit: exact up to log Z, which is",
    f"annealed from the data's means, {TEMPERATURES} temperatures x {CHAINS} chains, also in",
    "reverse; bounds of deep networks, beside them the importance-weighted bounds of",
    f"{GUESSES} guesses; autoencoders by the bound of 5,000 draws.",
    "s.e. is that of log Z; the 297 digits are a sample too, worth .24 nats; settings were chosen",
    "on them. CPU seconds are of learning. --slow adds other settings.",
    f"Targets of defaults are {DEFAULTS_SHORT} below those of tuned settings, where these differ.",
)


@dataclass(frozen=True)
class Digits:
    """Rows to learn from, and others."""

    seen: Tensor
    unseen: Tensor

    @classmethod
    def split(cls, settings: Settings) -> Digits:
        """The split that all are judged on."""
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split

        pixels, labels = load_digits(return_X_y=True)
        bits = (pixels >= 8).astype(np.float32)
        parts = train_test_split(bits, test_size=297, random_state=0, stratify=labels)
        seen, unseen = (torch.from_numpy(part).to(settings.device) for part in parts)
        return cls(seen, unseen)


def section(settings: Settings) -> Section:
    """The table of this section."""
    return Section("Binary digits", NOTES, MEASUREMENTS, _rows(settings))


def _rows(settings: Settings) -> Iterator[Row]:
    digits = Digits.split(settings)
    short = {} if settings.most_rows is None else {"epochs": settings.most_rows}
    yield _independent(digits)
    if settings.peers:
        yield _scikit_learn(settings, digits)
    for seed in range(3 if not short else 1):
        yield from _restricted(settings, digits, 64, RBM_64, f"defaults, seed {seed}", seed, short)
    yield from _restricted(settings, digits, 128, RBM_128 - DEFAULTS_SHORT, "defaults", 0, short)
    long = {"epochs": 1200, "l2": 1e-3} | short
    yield from _restricted(settings, digits, 128, RBM_128, "1200 epochs, l2 1e-3", 0, long)
    yield from _beliefs(settings, digits, [64, 64], "defaults", short, tuned=short)
    yield from _deep(settings, digits, [64, 64], "defaults", short)
    yield from digit_networks.rows(settings, digits.seen, digits.unseen)
    if settings.slow:
        yield from _experiments(settings, digits)


def _experiments(settings: Settings, digits: Digits) -> Iterator[Row]:
    """What else was tried: does any single model pass -15.9?"""
    wide = {"epochs": 1600, "lr": 0.05, "l2": 1e-3}
    yield from _restricted(settings, digits, 256, None, "1600 epochs, lr .05, l2 1e-3", 0, wide)
    lasso = {"epochs": 1200, "l1": 5e-4}
    yield from _restricted(settings, digits, 128, None, "1200 epochs, l1 5e-4", 0, lasso)
    pulled = {"epochs": 1200, "l2": 1e-3, "centered": True}
    yield from _restricted(settings, digits, 128, None, "the same with l2, centred", 0, pulled)
    free = {"start": "random", "lr_above": 0.1}
    fast = {"lr": 0.03}
    yield from _beliefs(settings, digits, [64, 64], "second layer from random", free, tuned=fast)
    long = {"epochs": 800, "l2": 1e-3}
    yield from _beliefs(settings, digits, [128, 64], "800 epochs, l2 1e-3", long, tuned={})
    for sizes in ([128, 64], [192, 96], [256, 64]):
        joint = {"pretrain_epochs": 800, "epochs": 600, "l2": 1e-3}
        yield from _deep(settings, digits, sizes, "800 + 600 epochs, l2 1e-3", joint)


def _independent(digits: Digits) -> Row:
    means = (digits.seen.sum(0) + 0.5) / (len(digits.seen) + 1)
    score = torch.distributions.Bernoulli(means).log_prob(digits.unseen).sum(1).mean()
    return measurement("independent pixels", float(score), "nats")


def _annealed(settings: Settings, model: Any, *, reverse: bool = False) -> LogPartition:
    """Log Z of a machine."""
    return annealed_importance_sampling(
        model,
        betas=settings.rows(TEMPERATURES),
        chains=CHAINS,
        reverse=reverse,
        generator=int(reverse),
        progress=False,
    )


def _told(score: float, log_z: LogPartition, seconds: float) -> str:
    """A score with more digits, its error and what it took."""
    return f"{score:.3f}, s.e. {log_z.standard_error:.3f}; {seconds:.1f} CPU s"


def _agreement(settings: Settings, name: str, forward: LogPartition, reverse: LogPartition) -> Row:
    """How far both directions of annealing are apart."""
    note = f"{float(forward):.3f} and {float(reverse):.3f}"
    apart = abs(float(forward) - float(reverse))
    return measurement(
        f"{name}: forward and reverse apart",
        apart,
        "nats",
        target=settings.target(APART),
        note=note,
    )


def _scikit_learn(settings: Settings, digits: Digits) -> Row:
    """The machine of scikit-learn, judged as ours are."""
    from sklearn.neural_network import BernoulliRBM

    peer = BernoulliRBM(64, learning_rate=0.05, batch_size=20, n_iter=150, random_state=0)
    found, seconds = cpu_seconds(lambda: peer.fit(digits.seen.cpu().numpy()))
    machine = RestrictedBoltzmannMachine(PIXELS, 64)
    ScikitLearn.copy(found, machine)
    machine.base_bias.copy_(digits.seen.mean(0).clamp(1e-3, 1 - 1e-3).logit())
    log_z = _annealed(settings, machine)
    score = float(machine.log_weight(digits.unseen).mean()) - float(log_z)
    note = f"{_told(score, log_z, seconds)}; lr .05, batch 20, 150 epochs"
    return measurement("scikit-learn, 64 hidden", score, "nats", note=note)


def _restricted(
    settings: Settings,
    digits: Digits,
    hidden: int,
    target: float | None,
    words: str,
    seed: int,
    options: dict[str, Any],
) -> Iterator[Row]:
    """A machine of two layers."""
    machine = RestrictedBoltzmannMachine(PIXELS, hidden, generator=seed).to(settings.device)
    _, seconds = cpu_seconds(
        lambda: machine.fit(digits.seen, generator=seed, progress=False, **options)
    )
    forward = _annealed(settings, machine)
    scores = [
        float(machine.log_weight(part).mean()) - float(forward)
        for part in (digits.unseen, digits.seen)
    ]
    name = f"RBM {hidden}, {words}"
    note = f"{_told(scores[0], forward, seconds)}; seen {scores[1]:.2f}"
    yield measurement(
        name, scores[0], "nats", target=settings.target(target), more=True, note=note
    )
    if seed == 0 and target is not None:
        yield _agreement(settings, name, forward, _annealed(settings, machine, reverse=True))
    if target == RBM_64:
        yield measurement(
            f"{name}: learning", seconds, "s", target=settings.target(SECONDS), note="CPU"
        )


def _bounds(
    settings: Settings, model: Any, digits: Digits, name: str, target: float | None, seconds: float
) -> Row:
    """Both bounds of a deep network."""
    log_z = model.log_partition(
        "ais", betas=settings.rows(TEMPERATURES), chains=CHAINS, generator=0, progress=False
    )
    guesses = settings.rows(GUESSES)
    options = {"log_partition": log_z, "n_samples": guesses, "generator": 0}
    with torch.no_grad():
        bound, tighter = (
            float(model.log_prob_bound(digits.unseen, importance=flag, **options).mean())
            for flag in (False, True)
        )
    note = f"{_told(bound, log_z, seconds)}; importance {tighter:.3f}"
    return measurement(name, bound, "nats", target=settings.target(target), more=True, note=note)


def _beliefs(
    settings: Settings,
    digits: Digits,
    hidden: list[int],
    words: str,
    options: dict[str, Any],
    *,
    tuned: dict[str, Any],
) -> Iterator[Row]:
    """A deep belief network, layer by layer and then up and down."""
    network = DeepBeliefNetwork([PIXELS, *hidden], generator=0).to(settings.device)
    _, seconds = cpu_seconds(
        lambda: network.fit(digits.seen, generator=0, progress=False, **options)
    )
    target = DBN if words == "defaults" else None
    name = f"DBN {hidden}, {words}"
    yield _bounds(settings, network, digits, name, target, seconds)
    _, more = cpu_seconds(
        lambda: network.fine_tune(digits.seen, generator=0, progress=False, **tuned)
    )
    yield _bounds(settings, network, digits, f"{name}, fine-tuned", target, seconds + more)


def _deep(
    settings: Settings, digits: Digits, hidden: list[int], words: str, options: dict[str, Any]
) -> Iterator[Row]:
    """A deep Boltzmann machine."""
    machine = DeepBoltzmannMachine([PIXELS, *hidden], generator=0).to(settings.device)
    if options.keys() == {"epochs"}:
        options = options | {"pretrain_epochs": options["epochs"]}
    _, seconds = cpu_seconds(
        lambda: machine.fit(digits.seen, generator=0, progress=False, **options)
    )
    name, target = f"DBM {hidden}, {words}", DBM if words == "defaults" else None
    yield _bounds(settings, machine, digits, name, target, seconds)
    if words == "defaults":
        forward, reverse = (_annealed(settings, machine, reverse=flag) for flag in (False, True))
        yield _agreement(settings, name, forward, reverse)
