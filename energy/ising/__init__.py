"""Parts of the Ising model: couplings, lattices, files, exact curves, observables."""
