"""Parts of linear-Gaussian networks: equations, conditioning, learning."""
