"""Exact inference in chains: hidden Markov models and linear-chain conditional random fields.

Reading order: layout (where every token lies), potentials, arrays (numpy or torch); log_space (any
numbers), then safety, likelihoods, strip, scaled (fast, with a proof), blocks (long sequences),
symbols (of a finite alphabet) and forward_backward, which chooses; viterbi, k_best, pairs, sample,
entropy, path_scores; and differentiable, for autograd.
"""
