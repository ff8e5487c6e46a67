"""Sampling and inference shared by all models; imports no model."""

from inference.approximate.belief_propagation import belief_propagation
from inference.approximate.mean_field import mean_field
from inference.approximate.pairwise import IsingGrid, PairwiseArrays
from inference.approximate.result import ApproximateResult
from inference.approximate.tree_reweighted import tree_reweighted
from inference.convergence import ConvergenceWarning
from inference.diagnostics.effective_sample_size import ess, ess_bulk, ess_tail
from inference.diagnostics.rhat import rhat
from inference.diagnostics.standard_error import mcse
from inference.diagnostics.summary import summarize
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
from inference.learning.callbacks import Callback, EarlyStopping, Evaluate
from inference.learning.em import expectation_maximization
from inference.learning.estimators import score_function
from inference.learning.lbfgs import minimize
from inference.learning.optimization import Optimization
from inference.model import Model
from inference.parallel import Team, join, share_rows
from inference.sampling.adaptation import adapted, warm_up
from inference.sampling.annealed_importance import annealed_importance_sampling
from inference.sampling.annealing import simulated_annealing
from inference.sampling.continuous_law import ContinuousLaw, NormalBase, tempered
from inference.sampling.driver import sample_chain
from inference.sampling.gibbs import ColoredGibbs
from inference.sampling.gibbs_with_gradients import Binary, GibbsWithGradients, OneHot
from inference.sampling.hmc import HMC
from inference.sampling.langevin import MALA, ULA
from inference.sampling.log_partition_estimate import LogPartition, bracket
from inference.sampling.metropolis import RandomWalk
from inference.sampling.nuts import nuts
from inference.sampling.samples import Samples
from inference.sampling.sequential_monte_carlo import sequential_monte_carlo
from inference.sampling.tempering import parallel_tempering
from inference.transport import earth_movers_distance, mmd, sliced_wasserstein

__all__ = [
    "HMC",
    "MALA",
    "ULA",
    "ApproximateResult",
    "Binary",
    "Callback",
    "ColoredGibbs",
    "ContinuousLaw",
    "ConvergenceWarning",
    "EarlyStopping",
    "Evaluate",
    "Factor",
    "FactorGraph",
    "GibbsWithGradients",
    "IsingGrid",
    "LogPartition",
    "Model",
    "NormalBase",
    "OneHot",
    "Optimization",
    "PairwiseArrays",
    "Plan",
    "RandomWalk",
    "Samples",
    "Team",
    "adapted",
    "annealed_importance_sampling",
    "belief_propagation",
    "bracket",
    "conditional_entropy",
    "cross_entropy",
    "earth_movers_distance",
    "entropy",
    "enumerate_states",
    "ess",
    "ess_bulk",
    "ess_tail",
    "expectation_maximization",
    "gaussian_entropy",
    "gaussian_kl",
    "gaussian_wasserstein2",
    "join",
    "js_divergence",
    "kl_divergence",
    "mcse",
    "mean_field",
    "minimize",
    "mmd",
    "mutual_information",
    "nuts",
    "parallel_tempering",
    "perplexity",
    "pointwise_mutual_information",
    "rhat",
    "sample_chain",
    "score_function",
    "sequential_monte_carlo",
    "share_rows",
    "simulated_annealing",
    "sliced_wasserstein",
    "summarize",
    "tempered",
    "tree_reweighted",
    "warm_up",
]
