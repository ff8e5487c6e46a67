"""A tour of the library: ``python -m examples.tour``, a chapter per file."""
