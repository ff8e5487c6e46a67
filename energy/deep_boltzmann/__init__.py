"""Parts of the deep Boltzmann machine: its two sides, the law of what is hidden, learning."""
