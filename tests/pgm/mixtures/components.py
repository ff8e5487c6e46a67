"""Random components of mixtures, and rows with gaps."""

import numpy as np

from pgm.mixtures.moments import Components


def random_components(rng, n_runs, k, d, covariance_type):
    weights = rng.dirichlet(np.full(k, 3.0), n_runs)
    means = rng.normal(size=(n_runs, k, d))
    if covariance_type in ("full", "tied"):
        roots = rng.normal(size=(n_runs, 1 if covariance_type == "tied" else k, d, d + 3))
        covariances = roots @ roots.swapaxes(-1, -2) / (d + 3) + 0.05 * np.eye(d)
    else:
        covariances = rng.uniform(0.3, 2, (n_runs, k, d if covariance_type == "diag" else 1))
    return Components(weights, means, covariances)


def random_rows(rng, n, d, share):
    x = rng.normal(size=(n, d))
    x[rng.random((n, d)) < share] = np.nan
    return x
