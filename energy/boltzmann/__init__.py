"""Parts of Boltzmann machines: exact sums, the law of dense graphs, learning."""
