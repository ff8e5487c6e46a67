"""All joint states of a field, one by one."""

from __future__ import annotations

import itertools

import torch

from pgm.markov_random_field import MarkovRandomField


def all_rows(field: MarkovRandomField) -> torch.Tensor:
    return torch.tensor(list(itertools.product(*[range(c) for c in field.vocabulary.cards])))
