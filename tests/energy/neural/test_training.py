"""Settings of learning that make no sense."""

from __future__ import annotations

from typing import Any

import pytest

from energy.neural.training import Settings


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
