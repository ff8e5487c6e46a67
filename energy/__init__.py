"""Energy-based models: the probability of a state falls with its energy, p(x) = exp(-E(x)) / Z."""

from energy.energy_model import EnergyModel
from energy.ising_model import IsingModel

__all__ = ["EnergyModel", "IsingModel"]
