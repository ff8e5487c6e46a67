"""What keeps critics from being steep."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from generative.gan.constraints import Constraint
from generative.networks import mlp


def test_clip_bounds_every_parameter_and_others_change_nothing() -> None:
    critic = mlp([2, 8, 1], generator=0)
    before = [x.clone() for x in critic.parameters()]
    Constraint("gradient-penalty").enforce(critic)
    assert all(torch.equal(x, old) for x, old in zip(critic.parameters(), before, strict=True))
    Constraint("clip", clip=0.05).enforce(critic)
    sizes = torch.cat([x.detach().flatten().abs() for x in critic.parameters()])
    assert sizes.max().item() == pytest.approx(0.05)
    for x, old in zip(critic.parameters(), before, strict=True):
        assert torch.equal(x, old.clamp(-0.05, 0.05))


def test_spectral_norm_makes_slopes_at_most_one_and_leaves_global_draws() -> None:
    critic = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 1)
    ).double()
    for layer in critic:
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=2.0, generator=torch.Generator().manual_seed(0))
    state = torch.get_rng_state()
    Constraint("spectral").impose(critic)
    assert torch.equal(torch.get_rng_state(), state)
    names = [name for name, _ in critic.named_parameters()]
    assert sum(name.endswith("weight.original") for name in names) == 3
    x = torch.randn(64, 1, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    critic.train()
    for _ in range(200):
        critic(x)
    critic.eval()
    for layer in (critic[3], critic[5]):
        assert torch.linalg.matrix_norm(layer.weight, 2).item() == pytest.approx(1, abs=1e-6)
    dense = critic[3:]
    rows = torch.randn(64, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    rise = (dense(rows) - dense(rows.flip(0))).abs().flatten()
    assert (rise <= (1 + 1e-6) * (rows - rows.flip(0)).norm(dim=1)).all()
    Constraint("spectral").impose(critic)
    assert [name for name, _ in critic.named_parameters()] == names


def test_penalty_is_weighted_and_sees_only_points_between() -> None:
    seen: list[torch.Tensor] = []

    def critic(rows: torch.Tensor) -> torch.Tensor:
        seen.append(rows)
        return 3 * rows[:, 0]

    real, fake = torch.zeros(5, 2), torch.ones(5, 2, requires_grad=True)
    found = Constraint(penalty_weight=0.5).penalty(critic, real, fake, torch.Generator())
    assert found.item() == 2.0
    assert ((seen[0] >= 0) & (seen[0] <= 1)).all() and not seen[0].grad_fn


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "weights"}, "constraint must be one of"),
        ({"clip": 0.0}, "clip must be positive"),
        ({"penalty_weight": float("nan")}, "penalty_weight must be positive"),
    ],
)
def test_bad_settings_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Constraint(**settings)


def test_nothing_to_normalise() -> None:
    with pytest.raises(ValueError, match="needs linear or convolutional layers"):
        Constraint("spectral").impose(nn.Flatten())
