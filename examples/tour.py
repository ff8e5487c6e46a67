"""A tour: beliefs, evidence, explanations, interventions, learning, memory, dreams, practice.

``python examples/tour.py [--out FOLDER] [--shared FOLDER]``; figures go to ``figures``.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from textwrap import fill

import matplotlib.pyplot as plt
import torch
from damaged_digits import ten_digits
from faithful_hmm import geyser
from matplotlib.axes import Axes
from missing_data import blank, error
from rbm_digits import digits
from real_networks import survey

from energy import HopfieldNetwork, IsingModel, RestrictedBoltzmannMachine
from energy.annealing_plot import plot_annealed_paths
from energy.ising.onsager import torus_log_partition
from energy.machine_plot import plot_filters
from energy.memory_plot import plot_patterns, plot_recall
from generative import GenerativeAdversarialNetwork, VariationalAutoencoder
from generative.latent_plot import plot_manifold
from generative.metrics import mode_coverage
from generative.networks import mlp
from generative.sample_plot import plot_points
from generative.toy import ring, ring_centres
from inference import annealed_importance_sampling
from pgm import BayesianNetwork, GaussianMixture
from pgm.classic import asia, medical_test
from pgm.comparison_plot import plot_comparison
from pgm.mixture_plot import plot_mixture, plot_selection
from pgm.plot import plot_network, plot_posteriors

SHARED = Path(__file__).resolve().parents[2] / "shared"
DISEASES = {"tub": "#4a7ab0", "lung": "#e0962e", "bronc": "#7f9c6c"}
STEPS: dict[str, dict[str, str]] = {
    "nothing known": {},
    "dyspnoea": {"dysp": "yes"},
    "+ X-ray": {"dysp": "yes", "xray": "yes"},
    "+ cancer": {"dysp": "yes", "xray": "yes", "lung": "yes"},
}


def heading(words: str) -> None:
    print(f"\n{words}\n{'-' * len(words)}")


def save(ax: Axes, out: Path, name: str) -> None:
    ax.figure.canvas.figure.savefig(out / name, dpi=130)
    plt.close("all")
    print(f"  -> {out / name}")


def medical(out: Path) -> None:
    heading("1. A test that is right 99 times in 100")
    network = medical_test(prevalence=0.01, sensitivity=0.99, specificity=0.99, n_tests=2)
    print("  One in a hundred has the disease; the test errs in 1 % of the ill and of the well.")
    for results in (["negative"], ["positive"], ["positive", "positive"]):
        evidence = {f"test_{i}": result for i, result in enumerate(results, 1)}
        p = network.marginals(evidence, ["disease"])["disease"][0].item()
        asked = f"P(disease | {', '.join(results)})"
        print(f"  {asked:<32}= {p:.4f}")
    save(plot_posteriors(network, {"test_1": "positive"}), out, "medical_test.png")


def clinic(network: BayesianNetwork, out: Path) -> None:
    heading("2. The chest clinic: beliefs that follow the evidence")
    print(f"  {network}")
    columns = [network.marginals(evidence) for evidence in STEPS.values()]
    print(f"\n  {'P(yes)':<10}" + "".join([f"{words:>15}" for words in STEPS]))
    for name in network.variables:
        print(f"  {name:<10}" + "".join([f"{column[name][0]:>15.4f}" for column in columns]))
    logs = [network.log_evidence(evidence) for evidence in STEPS.values()]
    print(f"  {'log p(e)':<10}" + "".join([f"{value:>15.4f}" for value in logs]))
    save(plot_network(network), out, "asia.png")
    save(plot_network(network, evidence=STEPS["+ X-ray"]), out, "asia_posteriors.png")
    save(plot_posteriors(network, STEPS["+ X-ray"], list(DISEASES)), out, "asia_bars.png")

    heading("3. The most probable explanation of dyspnoea and an abnormal X-ray")
    best, log_prob = network.most_probable(STEPS["+ X-ray"])
    share = (log_prob - logs[2]).exp()
    print("  " + ", ".join([f"{name} {state}" for name, state in best.items()]))
    print(f"  Of all that may lie behind the evidence this has probability {share:.4f}.")


def explaining_away(network: BayesianNetwork, out: Path) -> None:
    heading("4. Explaining away")
    alone, found = STEPS["+ X-ray"], STEPS["+ cancer"]
    before, after = (network.marginals(e, ["tub"])["tub"][0] for e in (alone, found))
    print(f"  Tuberculosis after dyspnoea and X-ray: {before:.4f}. Then cancer is found, which")
    print(f"  accounts for both: {after:.4f}, as if nothing had been seen.")
    for given in ([], ["xray"]):
        apart = network.is_d_separated("tub", "lung", given)
        words = "independent" if apart else "dependent"
        print(f"  tub and lung are {words} given {given[0] if given else 'nothing'}")
    _, ax = plt.subplots(figsize=(7.2, 3.6), layout="constrained")
    for i, (name, color) in enumerate(DISEASES.items()):
        heights = [network.marginals(e, [name])[name][0].item() for e in STEPS.values()]
        places = [j + 0.27 * (i - 1) for j in range(len(STEPS))]
        bars = ax.bar(places, heights, 0.25, color=color, label=name)
        ax.bar_label(bars, fmt=lambda p: f"{100 * p:.0f}", fontsize=8, color="#66727f")
    ax.set_xticks(range(len(STEPS)), list(STEPS))
    ax.set_ylim(0, 1.12)
    ax.set_yticks([0, 0.5, 1], ["0", "50", "100 %"])
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, ncols=3, loc="upper left")
    ax.set_title("Cancer explains the X-ray: tuberculosis falls back", fontsize=11)
    save(ax, out, "explaining_away.png")


def seeing_and_doing(network: BayesianNetwork) -> None:
    heading("5. Seeing against doing")
    seen = network.marginals({"lung": "yes"})
    done = network.intervene({"lung": "yes"}).marginals()
    print(f"  {'P(yes)':<10}{'prior':>10}{'see lung':>12}{'do lung':>12}")
    prior = network.marginals()
    for name in ("smoke", "bronc", "xray", "dysp"):
        row = [column[name][0].item() for column in (prior, seen, done)]
        print(f"  {name:<10}{row[0]:>10.4f}{row[1]:>12.4f}{row[2]:>12.4f}")
    print("  Cancer seen speaks of smoking. Cancer caused by force does not, but still shows.")


def machinery(network: BayesianNetwork) -> None:
    heading("6. How it is computed, and exact draws from the posterior")
    evidence = STEPS["+ X-ray"]
    print(fill(str(network.plan(evidence)), 90, initial_indent="  ", subsequent_indent="    "))
    n = 100_000
    draws = network.sample(n, evidence, generator=0)
    print(f"  {n:,} draws given dyspnoea and X-ray:")
    print(f"  {'P(yes)':<10}{'exact':>10}{'drawn':>10}{'std. errors':>14}")
    posteriors = network.marginals(evidence)
    for i, name in enumerate(network.variables):
        p = posteriors[name][0].item()
        drawn = (draws[:, i] == 0).to(torch.float64).mean().item()
        spread = (p * (1 - p) / n) ** 0.5
        away = f"{(drawn - p) / spread:+.1f}" if spread else "observed"
        print(f"  {name:<10}{p:>10.4f}{drawn:>10.4f}{away:>14}")


def fitting(network: BayesianNetwork) -> None:
    heading("7. Fit with missing data")
    rows = network.sample(5_000, generator=0)
    noise = torch.rand(rows.shape, generator=torch.Generator().manual_seed(0))
    holes = torch.where(noise < 0.3, -1, rows)
    whole = holes[(holes >= 0).all(1)]
    print(f"  5,000 patients, 30 % of the cells hidden: {len(whole)} rows are complete.")
    fits = {
        "all cells": blank(network).fit(rows, prior=0.5),
        "complete rows": blank(network).fit(whole, prior=0.5),
        "EM, all rows": blank(network).fit(holes, prior=0.5),
    }
    for words, fitted in fits.items():
        print(f"  {words:<16}{error(network, fitted):.4f} nats from the truth")
    steps = [step["objective"] for step in fits["EM, all rows"].history]
    print(
        f"  {len(steps)} steps of EM, from {steps[0]:,.1f} to {steps[-1]:,.1f} nats, never down."
    )


def structure(network: BayesianNetwork, out: Path) -> None:
    heading("8. Learn the structure")
    rows, states = network.sample(2_000, generator=0), network.config()["states"]
    learned = BayesianNetwork.learn(rows, "order", states=states, generator=0)
    print(f"  From 2,000 rows: {learned}")
    print(
        f"  BIC {learned.history[-2]['score']:,.1f}; no order of the variables gave a better one."
    )
    _, ax = plot_comparison(network, learned)
    print(f"  {ax.get_title()}")
    save(ax, out, "learned_structure.png")


def clusters(out: Path) -> None:
    heading("9. Clusters, and how many")
    x = geyser().sample(1, 400, generator=0).observations[0]
    x[torch.rand(x.shape, generator=torch.Generator().manual_seed(0)) < 0.1] = torch.nan
    x = x[~x.isnan().all(1)]
    found = GaussianMixture.select(x, range(1, 6), ["full", "tied", "diag"], random_state=0)
    print(f"  {len(x)} eruptions of a geyser, of which {x.isnan().sum()} numbers are missing.")
    for row in found.table()[:3]:
        shape = f"{row['n_components']} {row['covariance_type']}"
        print(f"  {shape:<10} BIC {row['bic']:,.1f}")
    next_one = found.best.conditional({0: 2.0})
    expected = (next_one.weights @ next_one.means).item()
    print(f"  After an eruption of two minutes the next is due in {expected:.0f} minutes.")
    _, axes = plt.subplots(1, 2, figsize=(11, 4.4), layout="constrained")
    plot_selection(found, axes[0])
    ax = plot_mixture(found.best, x, axes[1])
    ax.set(xlabel="minutes of eruption", ylabel="minutes to the next", title="The best of them")
    save(ax, out, "clusters.png")


def memory(out: Path) -> None:
    heading("10. Damaged digits, remembered")
    digits = ten_digits()
    network = HopfieldNetwork(digits.shape[1]).store(digits, "pseudo-inverse")
    noise = torch.rand(digits.shape, generator=torch.Generator().manual_seed(0)) < 0.12
    cues = torch.where(noise, -digits, digits)
    found = network.recall(cues, generator=0)
    print(f"  {noise.sum()} of {noise.numel()} pixels of ten digits are turned; after recall")
    print(f"  {int((found.state != digits).sum())} are wrong. The energy falls to a minimum:")
    trace = found.energy.mean(1)
    print("  " + " -> ".join([f"{energy:.2f}" for energy in trace.tolist()]))
    steps = [network.recall(cues, max_sweeps=n, generator=0).state for n in range(3)]
    ax = plot_recall(torch.stack(steps), (8, 8), wanted=digits)
    ax.set_title("The cue, and after one and two sweeps", fontsize=10)
    save(ax, out, "remembered.png")
    spins = IsingModel.lattice((16, 16), beta=0.4)
    estimate = spins.log_partition("ais", generator=0)
    print("  256 spins of a magnet, summed by annealing:")
    print(f"  {estimate}.")
    print(f"  The exact sum over all 2^256 states is {torus_log_partition(16, 16, 0.4):.3f}.")


def dreams(out: Path) -> None:
    heading("11. Digits, learned and dreamt")
    rows, others = digits()
    machine = RestrictedBoltzmannMachine(64, 48, generator=0)
    machine.fit(rows, epochs=120, generator=0, progress=False)
    lengths = [100, 300, 1000]
    forward, reverse = (
        [
            annealed_importance_sampling(
                machine, betas=n, chains=100, reverse=back, generator=n, progress=False
            )
            for n in lengths
        ]
        for back in (False, True)
    )
    print("  A machine of 48 hidden units has seen 1,500 binary digits. Its log Z from below and")
    print(f"  from above: {float(forward[-1]):.2f} and {float(reverse[-1]):.2f} nats.")
    score = float(machine.log_weight(others).mean()) - float(forward[-1])
    print(f"  A digit that it has not seen has {score:.1f} nats; of 2^64 pictures, one in")
    print(f"  {2.718281828**-score:,.0f}.")
    _, axes = plt.subplots(1, 3, figsize=(13, 4.2), layout="constrained")
    ax = plot_filters(machine, (8, 8), axes[0], columns=8)
    ax.set_title("What its hidden units look for", fontsize=10.5)
    drawn = machine.sample(48, sweeps=500, generator=0)
    plot_patterns(drawn, (8, 8), axes[1], columns=8).set_title("Its dreams", fontsize=10.5)
    ax = plot_annealed_paths(lengths, forward, reverse, axes[2])
    ax.set_title("Its log Z, from below and from above", fontsize=10.5)
    save(ax, out, "dreamt.png")


def networks(out: Path) -> None:
    heading("12. A map of digits, and a ring of eight modes")
    rows, others = digits()
    encoder, decoder = mlp([64, 128, 4], generator=0), mlp([2, 128, 64], generator=1)
    model = VariationalAutoencoder(encoder, decoder, latent_dim=2)
    model.fit(rows, steps=2000, lr=5e-3, generator=0, progress=False)
    bound = model.elbo(others, 20, generator=0).mean()
    better = model.log_prob(others, 200, generator=0).mean()
    print("  An autoencoder gives every digit two numbers, its place on a map. The bound of one")
    print(f"  that it has not seen is {bound:.1f} nats, with 200 weighted draws {better:.1f}.")
    judge = mlp([2, 64, 64, 1], "leaky_relu", generator=1)
    game = GenerativeAdversarialNetwork(mlp([2, 64, 64, 2], generator=0), judge, r1=0.01)
    data, centres = ring(20_000, generator=0), ring_centres()
    game.fit(data, steps=1500, batch_size=64, lr=4e-3, generator=0, progress=False)
    samples = game.sample(2500, generator=0)
    _, modes, near, divergence = mode_coverage(samples, centres, std=0.01)
    print(f"  A GAN finds {modes} of 8 modes, and {100 * near:.0f} % of its samples are near one.")
    print(f"  Their reverse divergence is {divergence:.3f} nats: 0 if even, 2.08 if in one mode.")
    _, axes = plt.subplots(1, 2, figsize=(11, 5.4), layout="constrained")
    ax = plot_manifold(model, (8, 8), axes[0], steps=16)
    ax.set_title("The map, at the quantiles of its law", fontsize=10.5)
    plot_points(samples, data[:800], centres, axes[1], radius=0.03)
    save(ax, out, "digit_map.png")


def main(out: Path, shared: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    network = asia()
    medical(out)
    clinic(network, out)
    explaining_away(network, out)
    seeing_and_doing(network)
    machinery(network)
    fitting(network)
    structure(network, out)
    clusters(out)
    memory(out)
    dreams(out)
    networks(out)
    heading("13. Networks from practice")
    survey(shared)
    print(f"\nThe figures are in {out}.")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A tour of what is here.")
    parser.add_argument("--out", type=Path, default=Path("figures"), help="folder of the figures")
    parser.add_argument("--shared", type=Path, default=SHARED, help="folder of networks")
    arguments = parser.parse_args()
    main(arguments.out, arguments.shared)
