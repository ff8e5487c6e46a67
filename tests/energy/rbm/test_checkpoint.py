"""Learning that is interrupted: goes on bit for bit, or says why it cannot."""

from __future__ import annotations

import pytest
import torch

from energy.restricted_boltzmann_machine import RestrictedBoltzmannMachine
from inference.learning.checkpoint import Checkpoint

ROWS = torch.randint(0, 2, (60, 5), generator=torch.Generator().manual_seed(0)).float()


class Stopped(RuntimeError):
    """What stops learning in the middle."""


def learned(path=None, visible="bernoulli", **options) -> RestrictedBoltzmannMachine:
    made = RestrictedBoltzmannMachine(5, 3, visible, generator=1)
    options = {"epochs": 6, "batch_size": 20, "lr": 0.05, "generator": 7} | options
    return made.fit(ROWS, checkpoint=path, progress=False, **options)


@pytest.mark.parametrize(
    ("visible", "method"), [("bernoulli", "pcd"), ("gaussian", "cd"), ("bernoulli", "pt")]
)
@pytest.mark.parametrize("stop", [1, 4])
@pytest.mark.parametrize("more", [{}, {"momentum": 0.5, "centered": True, "sparsity": 0.2}])
def test_going_on_is_never_having_stopped(tmp_path, monkeypatch, visible, method, stop, more):
    path = tmp_path / "run.safetensors"
    write = Checkpoint.write

    def stopping(self, tensors, figures) -> None:
        write(self, tensors, figures)
        if figures["epoch"] == stop:
            raise Stopped

    whole = learned(visible=visible, method=method, **more)
    monkeypatch.setattr(Checkpoint, "write", stopping)
    with pytest.raises(Stopped):
        learned(path, visible, method=method, **more)
    monkeypatch.undo()
    again = learned(
        path, visible, method=method, generator=99, **more
    )  # the file's generator counts
    for one, other in zip(whole.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)
    assert again.history == whole.history


def test_a_finished_run_is_read_back(tmp_path):
    path = tmp_path / "run.safetensors"
    first, second = learned(path), learned(path)
    assert torch.equal(first.weights, second.weights)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"lr": 0.1}, "settings"), ({"epochs": 7}, "settings"), ({"visible": "gaussian"}, "machine")],
)
def test_other_runs_are_refused(tmp_path, options, message):
    path = tmp_path / "run.safetensors"
    learned(path)
    with pytest.raises(ValueError, match=f"other {message}"):
        learned(path, **options)


def test_other_rows_and_damaged_files_are_refused(tmp_path):
    path = tmp_path / "run.safetensors"
    learned(path)
    made = RestrictedBoltzmannMachine(5, 3, generator=1)
    options = {"epochs": 6, "batch_size": 20, "lr": 0.05, "progress": False}
    with pytest.raises(ValueError, match="other rows"):
        made.fit(1 - ROWS, checkpoint=path, **options)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match="safetensors"):
        made.fit(ROWS, checkpoint=path, **options)
    made.save(path)
    with pytest.raises(ValueError, match="RestrictedBoltzmannMachine"):
        made.fit(ROWS, checkpoint=path, **options)
