"""Learning the structure of discrete Bayesian networks: scores, searches, tests, distances."""

from pgm.structure.bootstrap import EdgeConfidence, bootstrap_edges
from pgm.structure.constraints import Constraints
from pgm.structure.cpdag import PDAG, essential_graph
from pgm.structure.distance import compare_structures, structural_hamming_distance
from pgm.structure.equivalence_search import greedy_equivalence_search
from pgm.structure.exact_search import exact_search
from pgm.structure.hill_climbing import hill_climb
from pgm.structure.independence import ConditionalIndependence
from pgm.structure.learn import LearnedStructure, learn_structure
from pgm.structure.order_search import order_search
from pgm.structure.pc import pc
from pgm.structure.quick_climb import quick_climb
from pgm.structure.scores import SetScore
from pgm.structure.trees import chow_liu, tan

__all__ = [
    "PDAG",
    "ConditionalIndependence",
    "Constraints",
    "EdgeConfidence",
    "LearnedStructure",
    "SetScore",
    "bootstrap_edges",
    "chow_liu",
    "compare_structures",
    "essential_graph",
    "exact_search",
    "greedy_equivalence_search",
    "hill_climb",
    "learn_structure",
    "order_search",
    "pc",
    "quick_climb",
    "structural_hamming_distance",
    "tan",
]
