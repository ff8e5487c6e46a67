"""Generative networks: a learned map turns noise into data, x = G(z), with a density or none."""

from generative.autoencoder import Autoencoder
from generative.generative_adversarial_network import GenerativeAdversarialNetwork
from generative.variational_autoencoder import VariationalAutoencoder
from generative.wasserstein_gan import WassersteinGAN

__all__ = [
    "Autoencoder",
    "GenerativeAdversarialNetwork",
    "VariationalAutoencoder",
    "WassersteinGAN",
]
