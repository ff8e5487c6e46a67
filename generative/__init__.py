"""Generative networks: a learned map turns noise into data, x = G(z), with a density or none."""
