"""Networks that the tests of file formats share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pgm.formats import NetworkTables


def _shared(kind: str) -> Path:
    for folder in Path(__file__).resolve().parents:
        if (folder / "shared" / "data" / kind).is_dir():
            return folder / "shared" / "data" / kind
    pytest.skip(f"no folder shared/data/{kind} beside the repository")


@pytest.fixture(scope="session")
def bif_folder() -> Path:
    """Folder of the public BIF networks."""
    return _shared("bif")


@pytest.fixture(scope="session")
def uai_folder() -> Path:
    """Folder of the public UAI problems."""
    return _shared("uai")


@pytest.fixture(scope="session")
def wet() -> NetworkTables:
    """Three variables of 2, 3 and 2 states; every entry of the last table is different."""
    return NetworkTables(
        name="wet",
        states={"rain": ("no", "yes"), "wind": ("<5", "5-12", "12+"), "grass": ("dry", "wet")},
        parents={"rain": (), "wind": ("rain",), "grass": ("rain", "wind")},
        tables={
            "rain": np.array([0.8, 0.2]),
            "wind": np.array([[0.5, 0.25, 0.25], [0.125, 0.375, 0.5]]),
            "grass": np.arange(12.0).reshape(2, 3, 2) / 16,
        },
    )


def _assert_same(left: NetworkTables, right: NetworkTables) -> None:
    assert left.name == right.name
    assert list(left.states.items()) == list(right.states.items())
    assert list(left.parents.items()) == list(right.parents.items())
    assert list(left.tables) == list(right.tables)
    for name, table in left.tables.items():
        assert table.dtype == np.float64 and table.flags.c_contiguous
        assert table.shape == right.tables[name].shape
        assert table.tobytes() == right.tables[name].tobytes(), name


@pytest.fixture(scope="session")
def assert_same() -> Callable[[NetworkTables, NetworkTables], None]:
    """Checks that two networks agree in names, order and every bit of their tables."""
    return _assert_same
