"""Interventions in linear-Gaussian networks."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from pgm.linear_gaussian_network import LinearGaussianNetwork

NAN = math.nan


def test_to_set_is_not_to_see():
    """A confounder with opposite effects turns the sign of the regression."""
    net = LinearGaussianNetwork(
        [("soil", "dose"), ("soil", "yield"), ("dose", "yield")],
        ["soil", "dose", "yield"],
        {("soil", "dose"): -1.0, ("soil", "yield"): 3.0, ("dose", "yield"): 1.0},
        None,
        {"soil": 1.0, "dose": 1.0, "yield": 1.0},
    )
    seen = net.marginals({"dose": [0.0, 1.0]}, "yield")["yield"].mean.diff().item()
    done = [net.intervene({"dose": dose}).mean[2].item() for dose in (0.0, 1.0)]
    assert done[1] - done[0] == pytest.approx(1.0)
    assert seen == pytest.approx(1.0 + 3.0 * -1.0 / 2)
    changed = net.intervene({"dose": 1.0})
    assert changed.parents("dose") == () and changed.parents("yield") == ("soil", "dose")
    assert net.parents("dose") == ("soil",), "the original stays"
    assert changed.marginals({"dose": 1.0})["soil"].mean.item() == 0.0
    # What is set says nothing of its causes; what is then seen does.
    assert changed.marginals({"yield": 4.0})["soil"].mean.item() == pytest.approx(0.3 * 3)


@settings(max_examples=30)
@given(st.data(), st.integers(0, 2**16))
def test_an_intervention_is_the_truncated_product(networks, data, seed):
    net = data.draw(networks(5))
    rng = np.random.default_rng(seed)
    forced = {name: rng.normal() for name in net.variables if rng.random() < 0.4}
    changed = net.intervene(forced)
    assert changed.variables == net.variables
    free = [v for v, name in enumerate(net.variables) if name not in forced]
    x = torch.from_numpy(rng.normal(size=(4, len(net.variables))))
    for name, value in forced.items():
        x[:, net.variables.index(name)] = value
    w, b, s = (p.detach().numpy() for p in net.parameters())
    terms = norm(b + x.numpy() @ w, np.sqrt(s)).logpdf(x.numpy())
    x[:, [net.variables.index(name) for name in forced]] = NAN
    found = changed.log_prob(x)
    np.testing.assert_allclose(found, terms[:, free].sum(axis=1), rtol=1e-9, atol=1e-9)
