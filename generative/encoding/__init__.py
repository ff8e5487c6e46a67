"""Parts of autoencoders: errors, penalties on codes, damage to rows, and networks that fit."""
