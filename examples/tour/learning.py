"""Tables and arrows of a network from rows of data, some of whose cells are hidden."""

from __future__ import annotations

import torch

from examples.missing_data import blank, error
from examples.tour.guide import Guide
from pgm import BayesianNetwork
from pgm.classic import asia
from pgm.comparison_plot import plot_comparison

PATIENTS = "clinic, per patient"


def fitting(guide: Guide) -> None:
    guide.heading("Fit with missing data, by EM")
    network = asia()
    rows, unseen = network.sample(5_000, generator=0), network.sample(5_000, generator=2)
    noise = torch.rand(rows.shape, generator=torch.Generator().manual_seed(0))
    holes = torch.where(noise < 0.3, -1, rows)
    whole = holes[(holes >= 0).all(1)]
    print(f"  5,000 patients, 30 % of the cells hidden: {len(whole)} rows are complete.")
    guide.seconds()
    em = blank(network).fit(holes, prior=0.5)
    seconds = guide.seconds()
    fits = {
        "all cells": blank(network).fit(rows, prior=0.5),
        "complete rows": blank(network).fit(whole, prior=0.5),
        "EM, all rows": em,
    }
    for words, fitted in fits.items():
        print(f"  {words:<16}{error(network, fitted):.4f} nats from the truth")
    steps = [step["objective"] for step in em.history]
    print(
        f"  {len(steps)} steps of EM, from {steps[0]:,.1f} to {steps[-1]:,.1f} nats, never down."
    )
    guide.score("the law itself, for comparison", PATIENTS, network.log_prob(unseen))
    guide.score("Bayesian network, 30 % hidden", PATIENTS, em.log_prob(unseen), seconds)


def structure(guide: Guide) -> None:
    guide.heading("Learn the structure")
    network = asia()
    rows, states = network.sample(2_000, generator=0), network.config()["states"]
    learned = BayesianNetwork.learn(rows, "order", states=states, generator=0)
    seconds = guide.seconds()
    print(f"  From 2,000 rows: {learned}")
    score = learned.history[-2]["score"]
    print(f"  BIC {score:,.1f}; no order of the variables gave a better one.")
    _, ax = plot_comparison(network, learned)
    print(f"  {ax.get_title()}")
    guide.save(ax, "learned_structure")
    unseen = network.sample(5_000, generator=2)
    guide.score("the same, its arrows learned", PATIENTS, learned.log_prob(unseen), seconds)
