"""How far generated samples are from data: distances between samples, quality against variety."""

from generative.metrics.frechet_distance import frechet_distance
from generative.metrics.mode_coverage import ModeCoverage, mode_coverage, reverse_kl
from generative.metrics.precision_recall import PrecisionRecall, precision_recall
from generative.metrics.wasserstein_distance import wasserstein_distance
from inference.transport import earth_movers_distance, mmd, sliced_wasserstein

__all__ = [
    "ModeCoverage",
    "PrecisionRecall",
    "earth_movers_distance",
    "frechet_distance",
    "mmd",
    "mode_coverage",
    "precision_recall",
    "reverse_kl",
    "sliced_wasserstein",
    "wasserstein_distance",
]
