"""Parts of sigmoid belief networks: graph, sums, sampling, bounds, learning."""
