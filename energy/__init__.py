"""Energy-based models: the probability of a state falls with its energy, p(x) = exp(-E(x)) / Z."""
