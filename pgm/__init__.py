"""Probabilistic graphical models: directed and undirected, learned and queried exactly."""

from pgm.bayesian_network import BayesianNetwork
from pgm.discrete_data import DiscreteData
from pgm.linear_gaussian_network import LinearGaussianNetwork
from pgm.markov_chain import MarkovChain
from pgm.naive_bayes import NaiveBayes
from pgm.parameters.priors import BDeu
from pgm.sigmoid_belief_network import SigmoidBeliefNetwork

__all__ = [
    "BDeu",
    "BayesianNetwork",
    "DiscreteData",
    "LinearGaussianNetwork",
    "MarkovChain",
    "NaiveBayes",
    "SigmoidBeliefNetwork",
]
