"""Markov chains over joint states, and annealing along them."""
