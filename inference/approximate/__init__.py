"""Approximate inference in discrete models: messages that chase each other, laws that factorise.

Reading order: result, factor_groups (a model as arrays), log_messages, odds, linear_messages (one
round of messages), schedules, implicit (many rounds), problem, pairwise (what was asked, by name
or as arrays), belief_propagation; spanning_trees, tree_reweighted; coloring, expected_logs,
structured_mean_field, mean_field.
"""

from inference.approximate.belief_propagation import belief_propagation
from inference.approximate.mean_field import mean_field
from inference.approximate.pairwise import IsingGrid, PairwiseArrays
from inference.approximate.result import ApproximateResult
from inference.approximate.tree_reweighted import tree_reweighted
from inference.convergence import ConvergenceWarning

__all__ = [
    "ApproximateResult",
    "ConvergenceWarning",
    "IsingGrid",
    "PairwiseArrays",
    "belief_propagation",
    "mean_field",
    "tree_reweighted",
]
