"""Parts of generative adversarial networks: objectives, penalties, remedies for collapse."""
