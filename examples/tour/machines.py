"""Digits by sums, by machines of two layers and of three, in nats per digit that is new."""

from __future__ import annotations

import matplotlib.pyplot as plt
import torch

from energy import DeepBeliefNetwork, RestrictedBoltzmannMachine
from energy.annealing_plot import plot_annealed_paths
from energy.machine_plot import plot_filters
from energy.memory_plot import plot_patterns
from examples.rbm_digits import digits
from examples.tour.guide import Guide
from examples.vae_digits import digits as labelled_digits
from inference import annealed_importance_sampling
from pgm.mixture import Mixture
from pgm.mixtures.families.bernoulli import Bernoulli

DIGITS, LENGTHS, CHAINS = "digits, per digit", (100, 300, 1000), 100


def prototypes(guide: Guide) -> None:
    guide.heading("Handwritten digits, by two models that can be summed")
    rows, others = digits()
    print(f"  {len(rows)} binary digits of 8 x 8 pixels are learned, {len(others)} are kept back.")
    for name, components in (("independent pixels", 1), ("mixture of 60 prototypes", 60)):
        guide.seconds()
        model = Mixture(components, Bernoulli(64))
        model.fit(rows, prior=1.0, max_iter=guide.pick(100, 40), tol=0, generator=0)
        nats = guide.score(name, DIGITS, model.log_prob(others), guide.seconds())
        print(f"  {name:<26}{nats:8.2f} nats per digit that is new")


def dreams(guide: Guide) -> None:
    guide.heading("Digits, learned and dreamt by a restricted Boltzmann machine")
    rows, others = digits()
    guide.seconds()
    machine = RestrictedBoltzmannMachine(64, 64, generator=0)
    machine.fit(rows, epochs=guide.pick(200, 30), generator=0)
    forward, reverse = (
        [
            annealed_importance_sampling(
                machine, betas=n, chains=CHAINS, reverse=back, generator=n
            )
            for n in LENGTHS
        ]
        for back in (False, True)
    )
    log_z, seconds = forward[-1], guide.seconds()
    print("  64 hidden units. Its log Z is a sum over 2^128 states; estimates from below and")
    print(f"  from above: {float(log_z):.2f} and {float(reverse[-1]):.2f} nats.")
    nats = guide.score(
        "restricted Boltzmann machine",
        DIGITS,
        machine.log_prob(others, log_partition=log_z),
        seconds,
        kind="estimate",
        log_z_error=log_z.standard_error,
    )
    print(f"  A digit that it has not seen has {nats:.1f} nats, {64 * 0.693147 + nats:.1f} more")
    print("  than a picture of coin flips.")
    drawn = machine.sample(48, sweeps=500, generator=0)
    _, axes = plt.subplots(1, 3, figsize=(13, 4.2), layout="constrained")
    plot_filters(machine, (8, 8), axes[0], count=48, columns=8)
    axes[0].set_title("What its hidden units look for", fontsize=11)
    plot_patterns(drawn, (8, 8), axes[1], columns=8).set_title("Its dreams", fontsize=11)
    ax = plot_annealed_paths(LENGTHS, forward, reverse, axes[2])
    ax.set_title("Its log Z, from below and from above", fontsize=11)
    guide.save(ax, "dreamt")
    guide.panel(
        "filters",
        "Boltzmann machine",
        "restricted: what units look for",
        lambda ax: (
            plot_filters(machine, (8, 8), ax, count=25, columns=5).images[0].colorbar.remove()
        ),
    )
    guide.panel(
        "log_z",
        "log Z of the machine",
        "blue from below, amber from above",
        lambda ax: plot_annealed_paths(LENGTHS, forward, reverse, ax).get_legend().remove(),
        axes=True,
    )


def beliefs(guide: Guide) -> None:
    guide.heading("A digit that is asked for: a deep belief network")
    pixels, labels = labelled_digits()
    rows, others = pixels[:1500], pixels[1500:]
    guide.seconds()
    network = DeepBeliefNetwork([64, 64, 64], n_classes=10, generator=0)
    network.fit(rows, labels[:1500], epochs=guide.pick(200, 25), generator=0)
    log_z = network.log_partition("ais", generator=0)
    seconds = guide.seconds()
    nats = guide.score(
        "deep belief network",
        DIGITS,
        network.log_prob_bound(others, log_partition=log_z, importance=True, generator=0),
        seconds,
        kind="bound",
        log_z_error=log_z.standard_error,
    )
    right = float((network.predict(others) == labels[1500:]).double().mean())
    print(
        f"  A new digit has at least about {nats:.1f} nats; {right:.0%} of the labels are right."
    )
    asked = torch.arange(10).repeat(6)
    drawn = network.sample(len(asked), label=asked, sweeps=guide.pick(500, 100), generator=1)
    _, ax = plt.subplots(figsize=(7, 4.6), layout="constrained")
    plot_patterns(drawn, (8, 8), ax, columns=10)
    ax.set_title("Dreams of a 0, of a 1, ..., of a 9, a column each", fontsize=11)
    guide.save(ax, "asked_for")
    guide.panel(
        "beliefs",
        "Deep belief network",
        "dreams of a 0, a 1, ..., a 9, a column each",
        lambda ax: plot_patterns(drawn, (8, 8), ax, columns=10),
    )
