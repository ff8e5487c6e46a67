"""Sampling and inference shared by all models; imports no model."""

from inference.approximate.belief_propagation import belief_propagation
from inference.approximate.mean_field import mean_field
from inference.approximate.pairwise import IsingGrid, PairwiseArrays
from inference.approximate.result import ApproximateResult
from inference.approximate.tree_reweighted import tree_reweighted
from inference.convergence import ConvergenceWarning
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
from inference.learning.lbfgs import minimize
from inference.model import Model
from inference.sampling.annealed_importance import LogPartition, annealed_importance_sampling
from inference.sampling.annealing import simulated_annealing
from inference.transport import earth_movers_distance, mmd, sliced_wasserstein

__all__ = [
    "ApproximateResult",
    "ConvergenceWarning",
    "Factor",
    "FactorGraph",
    "IsingGrid",
    "LogPartition",
    "Model",
    "PairwiseArrays",
    "Plan",
    "annealed_importance_sampling",
    "belief_propagation",
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
    "mean_field",
    "minimize",
    "mmd",
    "mutual_information",
    "perplexity",
    "pointwise_mutual_information",
    "score_function",
    "simulated_annealing",
    "sliced_wasserstein",
    "tree_reweighted",
]
