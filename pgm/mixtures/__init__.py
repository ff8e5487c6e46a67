"""Parts of the mixture models."""
