"""Parts of the CRF tagger: features of tokens, their sparse products, training, chunks."""
