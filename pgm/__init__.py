"""Probabilistic graphical models: directed and undirected, learned and queried exactly."""

from pgm.bayesian_network import BayesianNetwork

__all__ = ["BayesianNetwork"]
