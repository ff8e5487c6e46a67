"""Energy-based models: the probability of a state falls with its energy, p(x) = exp(-E(x)) / Z."""

from energy.boltzmann_machine import BoltzmannMachine
from energy.deep_belief_network import DeepBeliefNetwork
from energy.deep_boltzmann_machine import DeepBoltzmannMachine
from energy.dense_associative_memory import DenseAssociativeMemory
from energy.energy_model import EnergyModel
from energy.hopfield_network import HopfieldNetwork
from energy.ising_model import IsingModel
from energy.modern_hopfield import ModernHopfield
from energy.neural_energy import NeuralEnergy
from energy.restricted_boltzmann_machine import RestrictedBoltzmannMachine

__all__ = [
    "BoltzmannMachine",
    "DeepBeliefNetwork",
    "DeepBoltzmannMachine",
    "DenseAssociativeMemory",
    "EnergyModel",
    "HopfieldNetwork",
    "IsingModel",
    "ModernHopfield",
    "NeuralEnergy",
    "RestrictedBoltzmannMachine",
]
