"""Replicas of learning: the product of their laws is left as it is, and a wrong swap is not."""

from __future__ import annotations

import pytest
import torch

from energy.rbm.law import LayerLaw
from energy.rbm.tempered_chains import coldest, ladder, tempered_sweep
from inference.exact.enumerate import enumerate_states


@pytest.mark.parametrize("parity", [0, 1])
@pytest.mark.parametrize("wrong", [False, True])
def test_a_sweep_leaves_all_replicas_laws(machine, parity, wrong):
    """Chi-square at every temperature from exact draws; false alarms 3e-7 in all.

    The wrong one swaps by ratios of the wrong sign.
    """
    from scipy.stats import chi2

    law = machine(4, 3).tempered_law()
    if wrong:
        law = Backwards(law.layers, law.base)
    states = enumerate_states([2] * 4).double()
    betas = ladder(3, law.layers.weights)
    n = 100_000
    generator = torch.Generator().manual_seed(0)
    probs = [law.log_density(law.init(states), float(beta)).softmax(0) for beta in betas]
    starts = [states[torch.multinomial(p, n, True, generator=generator)] for p in probs]
    visible = torch.stack(starts, 1).reshape(3 * n, 4)
    now = tempered_sweep(law, visible, betas, parity, generator).view(n, 3, 4)
    digits = 2 ** torch.arange(3, -1, -1)
    found = False
    for rung, p in enumerate(probs):
        counts = torch.bincount(now[:, rung].long() @ digits, minlength=16)
        value = ((counts - n * p) ** 2 / (n * p)).sum()
        found |= bool(value > chi2.isf(1e-7, 15))
    assert found == wrong
    assert torch.equal(coldest(now.reshape(3 * n, 4), 3), now[:, 2])


class Backwards(LayerLaw):
    """Log ratios of the wrong sign."""

    def log_ratio(self, state, before, after):
        return -super().log_ratio(state, before, after)
