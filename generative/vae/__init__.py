"""Parts of variational autoencoders: likelihoods, priors, objectives and bounds."""

from generative.vae.flow_prior import FlowPrior
from generative.vae.likelihood import (
    BernoulliLikelihood,
    CategoricalLikelihood,
    DistributionLikelihood,
    GaussianLikelihood,
    Likelihood,
)
from generative.vae.mixture_prior import MixturePrior, VampPrior
from generative.vae.prior import NormalPrior, Prior

__all__ = [
    "BernoulliLikelihood",
    "CategoricalLikelihood",
    "DistributionLikelihood",
    "FlowPrior",
    "GaussianLikelihood",
    "Likelihood",
    "MixturePrior",
    "NormalPrior",
    "Prior",
    "VampPrior",
]
