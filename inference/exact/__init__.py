"""Exact inference in discrete models: one plan, three semirings.

Reading order: structure, order, tree, plan (what to do and what it costs), then potentials,
program, flat, log_collect (doing it), engine (choosing), graph (the public face).
"""
