"""The modern Hopfield network: attention, an energy that never rises, gradients, files, errors."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from energy.modern_hopfield import ModernHopfield


def normal(rows: int, columns: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, columns, dtype=torch.float64, generator=generator)


@given(st.integers(1, 8), st.integers(1, 6), st.floats(0.01, 20), st.integers(0, 10**6))
def test_update_is_attention(n_patterns: int, n_units: int, beta: float, seed: int) -> None:
    patterns, x = normal(n_patterns, n_units, seed), normal(5, n_units, seed + 1)
    found = ModernHopfield(patterns, beta).update(x)
    expected = scaled_dot_product_attention(x[None], patterns[None], patterns[None], scale=beta)
    assert torch.allclose(found, expected[0], atol=1e-12, rtol=0)


@given(st.integers(1, 8), st.integers(1, 6), st.floats(0.01, 50), st.integers(0, 10**6))
def test_energy_never_rises(n_patterns: int, n_units: int, beta: float, seed: int) -> None:
    memory = ModernHopfield(normal(n_patterns, n_units, seed), beta)
    found = memory.recall(3 * normal(6, n_units, seed + 1), max_updates=30)
    scale = 1e-12 * (1 + found.energy.abs().max())
    assert (found.energy.diff(dim=0) <= scale).all()
    assert (found.energy >= -scale).all()
    assert torch.allclose(found.energy[-1], memory.energy(found.state), atol=1e-12)


def test_an_update_is_a_step_down_the_gradient() -> None:
    memory = ModernHopfield(normal(4, 3, 0), 1.7)
    x = normal(5, 3, 1).requires_grad_()
    (gradient,) = torch.autograd.grad(memory.energy(x).sum(), x)
    assert torch.allclose(x - gradient, memory.update(x), atol=1e-14)


def test_a_wrong_temperature_would_not_be() -> None:
    x = normal(5, 3, 1).requires_grad_()
    (gradient,) = torch.autograd.grad(ModernHopfield(normal(4, 3, 0), 1.7).energy(x).sum(), x)
    assert not torch.allclose(x - gradient, ModernHopfield(normal(4, 3, 0), 1.6).update(x))


def test_gradients_reach_cues_and_patterns() -> None:
    memory = ModernHopfield(normal(4, 3, 0), 0.8)
    memory.patterns.requires_grad_()
    x = normal(2, 3, 1).requires_grad_()

    def update(x: Tensor, patterns: Tensor) -> Tensor:
        return torch.func.functional_call(memory, {"patterns": patterns}, (x,))

    assert torch.autograd.gradcheck(update, (x, memory.patterns))


def test_separate_patterns_are_found_by_one_update() -> None:
    patterns = 4 * normal(50, 64, 0)
    memory = ModernHopfield(patterns, beta=1.0)
    cues = patterns + normal(50, 64, 1)
    assert torch.allclose(memory.update(cues), patterns, atol=1e-10, rtol=0)
    found = memory.recall(cues)
    assert found.converged.all() and (found.updates <= 2).all()


def test_a_low_beta_goes_to_the_mean() -> None:
    patterns = normal(5, 4, 0)
    found = ModernHopfield(patterns, 0.01).recall(normal(3, 4, 1))
    assert found.converged.all()
    assert torch.allclose(found.state, found.state[:1].expand(3, 4), atol=1e-6)
    assert torch.allclose(found.state[0], patterns.mean(0), atol=0.05)


def test_cues_stop_on_their_own() -> None:
    memory = ModernHopfield(normal(6, 3, 0), 2.0)
    cues = 2 * normal(20, 3, 1)
    together = memory.recall(cues)
    assert len(set(together.updates.tolist())) > 2
    for row in range(20):
        alone = memory.recall(cues[row])
        assert alone.updates == together.updates[row]
        assert torch.allclose(alone.state, together.state[row], atol=1e-14)
    assert len(together.energy) == together.updates.max() + 1


def test_updates_may_run_out() -> None:
    found = ModernHopfield(normal(6, 3, 0), 2.0).recall(normal(2, 3, 1), max_updates=1)
    assert not found.converged.any() and found.updates.tolist() == [1, 1]
    assert ModernHopfield([[1.0]], 1.0).recall([[2.0]], max_updates=0).state.item() == 2.0


def test_single_precision_and_shapes() -> None:
    memory = ModernHopfield(normal(6, 3, 0).float(), 2.0)
    found = memory.recall(normal(8, 3, 1).reshape(2, 4, 3))
    assert found.state.dtype == torch.float32 and found.state.shape == (2, 4, 3)
    assert found.converged.shape == found.updates.shape == found.energy.shape[1:] == (2, 4)
    assert found.converged.all()
    assert memory.recall(torch.empty(0, 3)).state.shape == (0, 3)


def test_file_round_trip(tmp_path: Path) -> None:
    memory = ModernHopfield(normal(6, 3, 0), 2.5)
    memory.save(tmp_path / "memory.safetensors")
    copy = ModernHopfield.load(tmp_path / "memory.safetensors")
    assert copy.beta == 2.5 and torch.equal(copy.patterns, memory.patterns)


@pytest.mark.parametrize(
    ("patterns", "beta", "message"),
    [
        ([[1.0]], 0.0, "beta must be positive"),
        ([[1.0]], -1.0, "beta must be positive"),
        ([[1.0]], float("nan"), "beta must be positive"),
        (torch.empty(0, 3), 1.0, "at least one pattern"),
        ([[1.0, float("inf")]], 1.0, "patterns must be finite"),
        ([[float("nan")]], 1.0, "patterns must not hold NaN"),
        (torch.ones(2, 2, 2), 1.0, r"patterns must be \(P, d\)"),
    ],
)
def test_construction_refuses(patterns, beta: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ModernHopfield(patterns, beta)


def test_states_are_checked() -> None:
    memory = ModernHopfield([[1.0, 2.0]], 1.0)
    for use in (memory.energy, memory.update, memory.recall):
        with pytest.raises(ValueError, match="x must have 2 numbers"):
            use([1.0])
        with pytest.raises(ValueError, match="x must be finite"):
            use([1.0, float("inf")])
    with pytest.raises(ValueError, match="tolerance"):
        memory.recall([1.0, 1.0], tolerance=-1.0)
    with pytest.raises(ValueError, match="max_updates"):
        memory.recall([1.0, 1.0], max_updates=-1)


def test_the_largest_beta_goes_to_the_nearest_pattern() -> None:
    """Nothing overflows: the energy is half the squared distance, as both norms are the same."""
    memory = ModernHopfield([[3.0, 0.0], [0.0, 3.0]], beta=1e308)
    assert memory.update([1.0, 0.2]).tolist() == [3.0, 0.0]
    assert memory.energy([1.0, 0.2]).item() == pytest.approx((2.0**2 + 0.2**2) / 2)


def test_states_that_the_type_cannot_hold_are_refused() -> None:
    memory = ModernHopfield(torch.tensor([[3.0, 0.0]]), beta=1.0)
    with pytest.raises(ValueError, match="x must be finite"):
        memory.update([1e300, 0.0])
