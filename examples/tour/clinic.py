"""Belief and evidence: a medical test, a chest clinic, and the best explanation."""

from __future__ import annotations

from examples.tour.guide import Guide
from pgm.classic import asia, medical_test
from pgm.plot import plot_network, plot_posteriors

STEPS: dict[str, dict[str, str]] = {
    "nothing known": {},
    "dyspnoea": {"dysp": "yes"},
    "+ X-ray": {"dysp": "yes", "xray": "yes"},
    "+ cancer": {"dysp": "yes", "xray": "yes", "lung": "yes"},
}


def medical(guide: Guide) -> None:
    guide.heading("A test that is right 99 times in 100")
    network = medical_test(prevalence=0.01, sensitivity=0.99, specificity=0.99, n_tests=2)
    print("  One in a hundred has the disease; the test errs in 1 % of the ill and of the well.")
    for results in (["negative"], ["positive"], ["positive", "positive"]):
        evidence = {f"test_{i}": result for i, result in enumerate(results, 1)}
        p = network.marginals(evidence, ["disease"])["disease"][0].item()
        asked = f"P(disease | {', '.join(results)})"
        print(f"  {asked:<32}= {p:.4f}")
    print("  One positive test is as likely to be an error: the well are 99 times as many.")
    guide.save(plot_posteriors(network, {"test_1": "positive"}), "medical_test")


def clinic(guide: Guide) -> None:
    guide.heading("The chest clinic: beliefs that follow the evidence")
    network = asia()
    print(f"  {network}")
    columns = [network.marginals(evidence) for evidence in STEPS.values()]
    print(f"\n  {'P(yes)':<10}" + "".join([f"{words:>15}" for words in STEPS]))
    for name in network.variables:
        print(f"  {name:<10}" + "".join([f"{column[name][0]:>15.4f}" for column in columns]))
    logs = [network.log_evidence(evidence) for evidence in STEPS.values()]
    print(f"  {'log p(e)':<10}" + "".join([f"{value:>15.4f}" for value in logs]))
    print("  log p(e): how likely what is known was to begin with, in nats.")
    seen = STEPS["+ X-ray"]
    guide.save(plot_network(network), "asia")
    guide.save(plot_network(network, evidence=seen), "asia_posteriors")
    guide.panel(
        "asia",
        "Bayesian network: the chest clinic",
        "beliefs given dyspnoea and an abnormal X-ray; ticks: before",
        lambda ax: plot_network(network, ax, seen),
    )
    best, log_prob = network.most_probable(seen)
    share = (log_prob - logs[2]).exp()
    print("\n  The most probable explanation of dyspnoea and an abnormal X-ray:")
    print("  " + ", ".join([f"{name} {state}" for name, state in best.items()]))
    print(f"  Of all that may lie behind the evidence this has probability {share:.4f}.")
