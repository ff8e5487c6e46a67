"""Measure the library against its targets, its peers and the machine.

Run it with ``python -m benchmarks``.
"""
