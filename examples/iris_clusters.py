"""Irises without their names: how many clusters, of which shape, and are they the species?

Every number of components is tried with four shapes of covariances, and BIC chooses: half the
penalty of a free number is log(rows) / 2 nats. It does not know about species. That clusters are
species is a hope, which the adjusted Rand index (0: chance, 1: the same groups) puts to the test.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_iris
from sklearn.metrics import adjusted_rand_score

from inference.palette import INK
from pgm.gaussian_mixture import GaussianMixture
from pgm.mixture_plot import plot_mixture, plot_selection

PETAL = [2, 3]


def usual(species: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The most frequent species of every row's cluster."""
    most = {k: np.bincount(species[labels == k]).argmax() for k in np.unique(labels)}
    return np.array([most[k] for k in labels])


def main(out: Path) -> None:
    x, species = load_iris(return_X_y=True)
    found = GaussianMixture.select(x, range(1, 9), random_state=0)
    three = min(
        [one for one in found.candidates if one.n_components == 3],
        key=lambda one: one.value("bic"),
    )
    print("The five best of 32 mixtures:\n")
    print("components   covariance      BIC   agreement with the species")
    models = {(c.n_components, c.covariance_type): c.model for c in found.candidates}
    for row in found.table()[:5]:
        key = row["n_components"], row["covariance_type"]
        agreement = adjusted_rand_score(species, models[key].predict(x))
        print(f"{key[0]:10d}{key[1]:>13}{row['bic']:9.1f}{agreement:29.3f}")
    collapsed = sum([bool(one.collapsed) for one in found.candidates])
    print(f"{collapsed} of the others have collapsed components, and no BIC.")
    figure, axes = plt.subplots(1, 3, figsize=(15, 4.7), layout="constrained")
    plot_selection(found, axes[0])
    for ax, model in zip(axes[1:], (found.best, three.model), strict=True):
        plot_mixture(model, x, ax, PETAL)
        labels = model.predict(x).numpy()
        odd = species != usual(species, labels)
        ax.scatter(*x[odd][:, PETAL].T, s=70, fc="none", ec=INK, lw=0.8, zorder=5)
        title = (
            f"{labels.max() + 1} components: agreement {adjusted_rand_score(species, labels):.2f}"
        )
        ax.set_title(f"{title}, {odd.sum()} odd ones (ringed)", fontsize=10.5)
        ax.set(xlabel="petal length, cm", ylabel="petal width, cm")
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "iris_clusters.png", dpi=130)
    print(f"\nFigure: {out / 'iris_clusters.png'}")


if __name__ == "__main__":
    main(Path("figures"))
