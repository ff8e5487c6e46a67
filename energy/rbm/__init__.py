"""Parts of the restricted Boltzmann machine: kinds of units, its law, exact sums."""
