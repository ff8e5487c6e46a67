"""Two processes find what one finds, also when one of them is killed on the way."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from shutil import copyfile
from types import ModuleType

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

Found = dict[str, Tensor]
Run = Callable[..., list[int]]


@pytest.fixture(scope="module")
def work() -> ModuleType:
    """What a process does, to be done in this one."""
    path = Path(__file__).with_name("work.py")
    spec = importlib.util.spec_from_file_location("parallel_work", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def alone(work: ModuleType) -> Found:
    """Everything as one process finds it."""
    return work.everything()


@pytest.fixture(scope="module")
def together(two_processes: Run, tmp_path_factory: pytest.TempPathFactory) -> list[Found]:
    """Everything as each of two processes finds it."""
    folder = tmp_path_factory.mktemp("together")
    assert two_processes("all", folder) == [0, 0]
    return [load_file(folder / f"all{rank}.safetensors") for rank in range(2)]


@pytest.fixture(scope="module")
def interrupted(two_processes: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of learning whose second process was killed in the third epoch."""
    folder = tmp_path_factory.mktemp("interrupted")
    ends = two_processes("train", folder, "kill")
    assert ends[1] == -signal.SIGKILL
    # The other one has noticed, and not gone on alone.
    assert ends[0] != 0
    assert not (folder / "train0.safetensors").exists()
    return folder


def test_processes_agree_bit_for_bit(together: list[Found]) -> None:
    first, second = together
    assert first.keys() == second.keys()
    assert any(name.startswith("unseeded") for name in first)
    for name, x in first.items():
        torch.testing.assert_close(x, second[name], rtol=0, atol=0, equal_nan=True, msg=name)


def test_two_find_what_one_finds(alone: Found, together: list[Found]) -> None:
    assert len(alone) > 90
    for name, x in alone.items():
        exact = 1e-5 if "float32" in name else 1e-10
        assert x.shape == together[0][name].shape, name
        torch.testing.assert_close(
            together[0][name], x, rtol=0, atol=exact, equal_nan=True, msg=name
        )


@pytest.mark.parametrize("name", ["ais", "resampled", "reverse", "tempered", "gibbs"])
def test_chains_do_not_depend_on_who_runs_them(
    alone: Found, together: list[Found], name: str
) -> None:
    # No sum is taken across processes here: the same to the last bit.
    assert alone[name].isfinite().all()
    assert torch.equal(alone[name], together[0][name])


def test_processes_that_share_one_noise_are_noticed(
    work: ModuleType, alone: Found, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What is compared above does tell the draws of parts apart.
    monkeypatch.setattr("inference.parallel.part_seed", lambda key, count: key % 2**32)
    wrong = work.chains()
    weights = wrong["ais"].tensor_split(work.PARTS)
    assert torch.equal(weights[1], weights[0])
    assert not torch.equal(wrong["ais"], alone["ais"])
    right = alone["ais"].tensor_split(work.PARTS)
    assert not torch.equal(right[1], right[0])


def test_restarted_after_a_kill(interrupted: Path, two_processes: Run, alone: Found) -> None:
    kept = interrupted / "learning.safetensors"
    copyfile(kept, interrupted / "kept")
    assert two_processes("train", interrupted) == [0, 0]
    copyfile(interrupted / "kept", kept)
    found = [load_file(interrupted / f"train{rank}.safetensors") for rank in range(2)]
    for name, x in found[0].items():
        assert torch.equal(x, found[1][name])
        torch.testing.assert_close(x, alone[name], rtol=0, atol=1e-10, msg=name)


@pytest.mark.slow
def test_torchrun_restarts_what_was_killed(alone: Found, tmp_path: Path) -> None:
    path = Path(__file__).with_name("work.py")
    options = ["--standalone", "--nproc-per-node", "2", "--max-restarts", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", *options, path, "train", tmp_path, "kill"],
        # Otherwise processes that are started again find the addresses of those that ended.
        env={
            **os.environ,
            "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(path.parents[3]),
        },
        capture_output=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for rank in range(2):
        for name, x in load_file(tmp_path / f"train{rank}.safetensors").items():
            torch.testing.assert_close(x, alone[name], rtol=0, atol=1e-10, msg=name)


def test_one_goes_on_from_two(
    interrupted: Path, work: ModuleType, alone: Found, tmp_path: Path
) -> None:
    source = interrupted / "kept"
    copyfile(
        source if source.exists() else interrupted / "learning.safetensors", tmp_path / "kept"
    )
    # It holds two epochs of six: what is left is learned here.
    assert b'"epoch\\": 2' in (tmp_path / "kept").read_bytes()
    for name, x in work.vae(checkpoint=tmp_path / "kept").items():
        torch.testing.assert_close(x, alone[name], rtol=0, atol=1e-10, msg=name)
