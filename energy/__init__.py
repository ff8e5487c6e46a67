"""Energy-based models: the probability of a state falls with its energy, p(x) = exp(-E(x)) / Z."""

from energy.dense_associative_memory import DenseAssociativeMemory
from energy.energy_model import EnergyModel
from energy.hopfield_network import HopfieldNetwork
from energy.ising_model import IsingModel
from energy.modern_hopfield import ModernHopfield
from energy.restricted_boltzmann_machine import RestrictedBoltzmannMachine

__all__ = [
    "DenseAssociativeMemory",
    "EnergyModel",
    "HopfieldNetwork",
    "IsingModel",
    "ModernHopfield",
    "RestrictedBoltzmannMachine",
]
