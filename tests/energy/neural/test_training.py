"""Training: rates, history, and settings that make no sense."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor

from energy.neural.training import Settings, train


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"method": "cd"}, "method must be one of"),
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"projections": 0}, "projections must be at least 1"),
        ({"lr": 0.0}, "lr must be positive"),
        ({"noise_scale": float("inf")}, "noise_scale must be positive and finite"),
        ({"restart": 1.5}, "restart must be a share"),
        ({"l2": -1.0}, "l2 must be at least 0"),
    ],
)
def test_settings_are_checked(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Settings(**wrong)
    with pytest.raises(TypeError, match="chains must be a whole number"):
        Settings(chains=1.5)  # type: ignore[arg-type]


def test_every_row_once_an_epoch_and_a_falling_rate() -> None:
    rows, seen = torch.arange(10.0)[:, None], []
    weight = torch.zeros((), requires_grad=True)
    places = []

    def loss(batch: Tensor, generator: torch.Generator) -> Tensor:
        seen.append(batch.flatten().tolist())
        places.append(float(weight.detach()))
        return weight + 3.0

    settings = Settings(epochs=2, batch_size=4)
    groups = [{"params": [weight], "lr": 0.6}]
    history = train(loss, groups, rows, settings, torch.Generator().manual_seed(0), False)
    places.append(float(weight.detach()))
    assert [len(batch) for batch in seen] == [4, 4, 2] * 2
    for epoch in (seen[:3], seen[3:]):
        assert sorted(itertools.chain.from_iterable(epoch)) == list(range(10))
    # Adam's step under a constant slope is its rate: 0.6 (1 - t / 6).
    moved = [before - after for before, after in itertools.pairwise(places)]
    assert moved == pytest.approx([0.6, 0.5, 0.4, 0.3, 0.2, 0.1], abs=1e-6)
    first = 3 + (4 * places[0] + 4 * places[1] + 2 * places[2]) / 10
    assert history[0] == {"epoch": 1, "loss": pytest.approx(first, abs=1e-6)}
    assert [entry["epoch"] for entry in history] == [1, 2]


def test_a_loss_that_overflows_is_reported() -> None:
    weight = torch.zeros((), requires_grad=True)
    groups = [{"params": [weight], "lr": 1.0}]
    with pytest.raises(ValueError, match="the loss became nan in epoch 1; try a smaller lr"):
        train(
            lambda batch, generator: weight * float("nan"),
            groups,
            torch.zeros(3, 1),
            Settings(),
            torch.Generator(),
            False,
        )
