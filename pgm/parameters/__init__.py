"""Parameters of discrete Bayesian networks from data: counts, priors, EM and gradients."""
