"""Sampling and inference shared by all models; imports no model."""

from inference.exact.factor import Factor
from inference.exact.graph import FactorGraph

__all__ = ["Factor", "FactorGraph"]
