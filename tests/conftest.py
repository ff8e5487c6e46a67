"""Options, fixtures and the hypothesis profiles of the whole suite."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from hypothesis import settings

# Set before anything imports matplotlib: figures are files here.
os.environ.setdefault("MPLBACKEND", "Agg")

settings.register_profile("local", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")

_ROOT = Path(__file__).resolve().parents[1]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--device", default="cpu", help="torch device of the tests (default: cpu)")
    parser.addoption(
        "--dtype",
        default="float64",
        choices=["float32", "float64"],
        help="floating type of the tests that leave it open (default: float64)",
    )


def pytest_configure(config: pytest.Config) -> None:
    name = config.getoption("--device")
    try:
        torch.empty(0, device=name)
    except (AssertionError, RuntimeError) as error:
        raise pytest.UsageError(f"--device {name}: torch cannot use it ({error})") from error


@pytest.fixture(scope="session")
def device(request: pytest.FixtureRequest) -> torch.device:
    """The device to test on."""
    return torch.device(request.config.getoption("--device"))


@pytest.fixture(scope="session")
def dtype(request: pytest.FixtureRequest) -> torch.dtype:
    """The floating type to test with."""
    return getattr(torch, request.config.getoption("--dtype"))


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return _ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference data beside the checkout; tests that need it are skipped without."""
    folder = _ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("needs the reference data in ../shared, which is not there")
    return folder
