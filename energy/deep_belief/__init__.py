"""Parts of the deep belief network: directed layers, the machine on top, bounds, learning."""
