"""Parts of the variational autoencoder: likelihoods, priors, objectives, the bound on log p."""
