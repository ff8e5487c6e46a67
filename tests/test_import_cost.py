"""Importing the library does not import what only some of its functions need."""

import subprocess
import sys
from pathlib import Path

HEAVY = ("arviz", "matplotlib", "networkx", "pandas", "pyro", "scipy", "sklearn")


def loaded_after(statement: str, root: Path) -> set[str]:
    """Heavy packages that a fresh interpreter holds after the statement."""
    probe = f"{statement}; import sys; print(*(name for name in {HEAVY} if name in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", probe], cwd=root, check=True, capture_output=True, text=True
    )
    return set(done.stdout.split())


def test_import_stays_light(root: Path) -> None:
    assert loaded_after("import energy, generative, inference, pgm", root) == set()


def test_probe_sees_what_is_loaded(root: Path) -> None:
    assert loaded_after("import networkx", root) == {"networkx"}
