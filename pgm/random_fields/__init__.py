"""Parts of Markov random fields: tables from weights, constructors, learning, conversions."""
