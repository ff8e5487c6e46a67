"""Probabilistic graphical models: directed and undirected, learned and queried exactly."""

from pgm.bayesian_gaussian_mixture import BayesianGaussianMixture
from pgm.bayesian_network import BayesianNetwork
from pgm.conditional.templates import GraphTemplate, GridTemplate
from pgm.conditional_random_field import ConditionalRandomField
from pgm.crf_tagger import CRFTagger
from pgm.discrete_data import DiscreteData
from pgm.gaussian_mixture import GaussianMixture
from pgm.hidden_markov_model import HiddenMarkovModel
from pgm.latent_class_model import LatentClassModel
from pgm.linear_chain_crf import LinearChainCRF
from pgm.linear_gaussian_network import LinearGaussianNetwork
from pgm.markov_chain import MarkovChain
from pgm.markov_random_field import MarkovRandomField
from pgm.maximum_entropy import MaximumEntropyClassifier
from pgm.mixture import Mixture
from pgm.naive_bayes import NaiveBayes
from pgm.parameters.priors import BDeu
from pgm.sigmoid_belief_network import SigmoidBeliefNetwork

__all__ = [
    "BDeu",
    "BayesianGaussianMixture",
    "BayesianNetwork",
    "CRFTagger",
    "ConditionalRandomField",
    "DiscreteData",
    "GaussianMixture",
    "GraphTemplate",
    "GridTemplate",
    "HiddenMarkovModel",
    "LatentClassModel",
    "LinearChainCRF",
    "LinearGaussianNetwork",
    "MarkovChain",
    "MarkovRandomField",
    "MaximumEntropyClassifier",
    "Mixture",
    "NaiveBayes",
    "SigmoidBeliefNetwork",
]
