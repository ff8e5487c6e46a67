"""Parts of Bayesian networks: tables, rows, files, interventions, the bridge to Pyro."""
