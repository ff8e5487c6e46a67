"""Sampling and inference shared by all models; imports no model."""

from inference.exact.enumerate import enumerate_states
from inference.exact.factor import Factor
from inference.exact.graph import FactorGraph
from inference.exact.plan import Plan
from inference.gaussian import gaussian_entropy, gaussian_kl, gaussian_wasserstein2
from inference.information import (
    conditional_entropy,
    cross_entropy,
    entropy,
    js_divergence,
    kl_divergence,
    mutual_information,
    perplexity,
    pointwise_mutual_information,
)
from inference.learning.em import expectation_maximization
from inference.learning.estimators import score_function
from inference.model import Model
from inference.transport import earth_movers_distance, mmd, sliced_wasserstein

__all__ = [
    "Factor",
    "FactorGraph",
    "Model",
    "Plan",
    "conditional_entropy",
    "cross_entropy",
    "earth_movers_distance",
    "entropy",
    "enumerate_states",
    "expectation_maximization",
    "gaussian_entropy",
    "gaussian_kl",
    "gaussian_wasserstein2",
    "js_divergence",
    "kl_divergence",
    "mmd",
    "mutual_information",
    "perplexity",
    "pointwise_mutual_information",
    "score_function",
    "sliced_wasserstein",
]
