"""The wheel installs the four packages, each typed, and nothing else."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

PACKAGES = ("energy", "generative", "inference", "pgm")


def run(*command: str | Path, cwd: Path) -> str:
    """Output of a Python command; what it printed is shown when it fails."""
    done = subprocess.run(
        [sys.executable, *map(str, command)], cwd=cwd, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from a copy of the checkout, stray folders included, without the network."""
    source = tmp_path_factory.mktemp("source") / "free-energy"
    ignored = shutil.ignore_patterns(
        ".*", "__pycache__", "build", "dist", "figures", "shared", "site", "*.egg-info"
    )
    shutil.copytree(root, source, ignore=ignored)
    built = tmp_path_factory.mktemp("dist")
    run(
        *("-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"),
        *("--wheel-dir", built, source),
        cwd=built,
    )
    (path,) = built.iterdir()
    return path


def test_top_level_names(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        top = {name.split("/")[0] for name in archive.namelist()}
    (metadata,) = (name for name in top if name.endswith(".dist-info"))
    assert top == {*PACKAGES, metadata}


def test_every_module_and_marker_is_inside(wheel: Path, root: Path) -> None:
    expected = {
        path.relative_to(root).as_posix()
        for package in PACKAGES
        for path in (root / package).rglob("*")
        if path.suffix == ".py" or path.name == "py.typed"
    }
    assert {f"{package}/py.typed" for package in PACKAGES} <= expected
    with ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if not name.startswith("free_energy-")}
    assert inside == expected


def test_installed_wheel_imports(wheel: Path, tmp_path: Path) -> None:
    target = tmp_path / "site"
    run(
        *("-m", "pip", "install", "--quiet", "--no-deps", "--no-index"),
        *("--target", target, wheel),
        cwd=tmp_path,
    )
    names = ", ".join(PACKAGES)
    files = run(
        "-c",
        f"import sys; sys.path.insert(0, {str(target)!r}); import {names}\n"
        f"for package in ({names}): print(package.__file__)",
        cwd=tmp_path,
    )
    assert [Path(file).parent for file in files.split()] == [target / name for name in PACKAGES]
