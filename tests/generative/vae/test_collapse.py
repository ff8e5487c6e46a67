"""Warm-up, and which latent numbers are used."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from generative.vae.collapse import activity, collapse_report, kl_by_number
from generative.vae.mixture_prior import MixturePrior
from generative.vae.prior import Code, NormalPrior
from generative.vae.warm_up import WarmUp


def test_activity_is_the_variance_of_posterior_means() -> None:
    mean = torch.randn(50, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    mean[:, 1] = 0.7
    found = activity(Code(mean, torch.zeros_like(mean)))
    torch.testing.assert_close(found, mean.var(0, correction=0))
    assert found[1].abs() < 1e-12


def test_report() -> None:
    mean = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    code = Code(mean, torch.zeros_like(mean))
    report = collapse_report(NormalPrior(), code, 0.01)
    assert report.active.tolist() == [True, False]
    assert report.kl is not None and report.kl.tolist() == [0.5, 0.0]
    assert collapse_report(NormalPrior(), code, 2.0).active.sum() == 0
    assert collapse_report(MixturePrior(2, 2), code, 0.01).kl is None
    with pytest.raises(ValueError, match="threshold must be at least 0"):
        collapse_report(NormalPrior(), code, -1.0)
    with pytest.raises(ValueError, match="MixturePrior does not part by latent number"):
        kl_by_number(MixturePrior(2, 2), code)


def test_warm_up_rises_and_remembers() -> None:
    warm_up, shares = WarmUp(4), []
    for epoch in range(1, 7):
        shares.append(warm_up.share)
        assert not warm_up.after_epoch(nn.Identity(), {"epoch": epoch})
    assert shares == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    again = WarmUp(10)
    again.recall({"done": torch.tensor(3)})
    assert again.share == 0.4 and again.memory()["done"] == 3
    assert WarmUp(0).share == 1
    with pytest.raises(ValueError, match="beta_warm_up must be at least 0"):
        WarmUp(-1)
