"""Probabilistic graphical models: directed and undirected, learned and queried exactly."""

from pgm.bayesian_network import BayesianNetwork
from pgm.conditional.templates import GraphTemplate, GridTemplate
from pgm.conditional_random_field import ConditionalRandomField
from pgm.crf_tagger import CRFTagger
from pgm.discrete_data import DiscreteData
from pgm.hidden_markov_model import HiddenMarkovModel
from pgm.linear_chain_crf import LinearChainCRF
from pgm.linear_gaussian_network import LinearGaussianNetwork
from pgm.markov_chain import MarkovChain
from pgm.markov_random_field import MarkovRandomField
from pgm.maximum_entropy import MaximumEntropyClassifier
from pgm.naive_bayes import NaiveBayes
from pgm.parameters.priors import BDeu
from pgm.sigmoid_belief_network import SigmoidBeliefNetwork

__all__ = [
    "BDeu",
    "BayesianNetwork",
    "CRFTagger",
    "ConditionalRandomField",
    "DiscreteData",
    "GraphTemplate",
    "GridTemplate",
    "HiddenMarkovModel",
    "LinearChainCRF",
    "LinearGaussianNetwork",
    "MarkovChain",
    "MarkovRandomField",
    "MaximumEntropyClassifier",
    "NaiveBayes",
    "SigmoidBeliefNetwork",
]
