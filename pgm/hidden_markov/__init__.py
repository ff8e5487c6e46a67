"""Parts of hidden Markov models: reading of sequences, laws of the observations, learning."""
