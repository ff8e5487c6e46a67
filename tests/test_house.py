"""House rules on files; docstrings, style and format are ruff's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

LONGEST = 450
PACKAGES = ("energy", "generative", "inference", "pgm")

# A home or scratch folder of one machine. The look-behind lets relative paths and URLs pass.
MACHINE_PATH = re.compile(r"(?<![A-Za-z0-9_.~-])/(?:Users|home|mnt|root|tmp|work)/")


def sources(root: Path) -> Iterator[Path]:
    """Every text file of the project, without what it makes itself."""
    made = {"build", "dist", "figures", "site", "shared"}
    for top in sorted(root.iterdir()):
        hidden = top.name.startswith(".") and top.name not in {".ci", ".gitignore"}
        if top.name in made or hidden or top.suffix == ".egg-info":
            continue
        for path in [top] if top.is_file() else sorted(top.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path


def test_no_file_names_a_path_of_one_machine(root: Path) -> None:
    found = [
        f"{path.relative_to(root)}:{number}: {line.strip()}"
        for path in sources(root)
        for number, line in enumerate(path.read_bytes().decode("utf-8", "replace").splitlines(), 1)
        if MACHINE_PATH.search(line)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("folder", ["Users/me", "home/me", "root", "tmp", "work"])
def test_machine_path_is_recognised(folder: str) -> None:
    assert MACHINE_PATH.search(f'open("/{folder}/data.csv")')
    assert not MACHINE_PATH.search(f"see https://example.org/{folder}/data.csv")


def test_files_are_short_enough_to_read(root: Path) -> None:
    lengths = {
        path.relative_to(root): len(path.read_text(encoding="utf-8").splitlines())
        for package in PACKAGES
        for path in (root / package).rglob("*.py")
    }
    long = {str(path): length for path, length in lengths.items() if length > LONGEST}
    assert not long, f"split by concept what is over {LONGEST} lines: {long}"
