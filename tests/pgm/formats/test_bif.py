"""BIF: the public networks, and the quick reader against the strict one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgm.formats import NetworkTables, format_bif, parse_bif, read_network
from pgm.formats.bif import quick_network
from pgm.formats.bif_strict import strict_network

Same = Callable[[NetworkTables, NetworkTables], None]

NETWORKS = {
    "alarm": 37, "andes": 223, "asia": 8, "barley": 48, "cancer": 5, "child": 20, "diabetes": 413,
    "earthquake": 5, "hailfinder": 56, "hepar2": 70, "insurance": 27, "link": 724, "mildew": 35,
    "munin": 1041, "munin1": 186, "munin2": 1003, "munin3": 1041, "munin4": 1038,
    "pathfinder": 109, "pigs": 441, "sachs": 11, "survey": 6, "water": 32, "win95pts": 76,
}  # fmt: skip


def _oracle(text: str) -> Iterator[tuple[str, list[str], list[str], list[str]]]:
    """(child, parents, parent states, numbers as text) of every row, by splitting lines."""
    child, parents = "", []
    for line in text.splitlines():
        words = "".join(" " if c in "(){}[]|,;" else c for c in line).split()
        if line.startswith("probability"):
            child, parents = words[1], words[2:]
        elif line.lstrip().startswith("table"):
            yield child, parents, [], words[1:]
        elif line.lstrip().startswith("("):
            yield child, parents, words[: len(parents)], words[len(parents) :]


@pytest.mark.parametrize("name", NETWORKS)
def test_quick_and_strict_readers_agree_on_every_public_network(
    name: str, bif_folder: Path, assert_same: Same
) -> None:
    text = (bif_folder / f"{name}.bif").read_text()
    quick = quick_network(text)
    assert quick is not None and len(quick.states) == NETWORKS[name]
    assert_same(quick, strict_network(text, name))
    assert_same(quick, parse_bif(format_bif(quick)))


@pytest.mark.parametrize("name", ["alarm", "child", "hailfinder", "insurance", "munin1", "water"])
def test_every_entry_is_the_float_of_its_text(name: str, bif_folder: Path) -> None:
    network = read_network(bif_folder / f"{name}.bif")
    entries = 0
    for child, parents, states, numbers in _oracle((bif_folder / f"{name}.bif").read_text()):
        assert network.parents[child] == tuple(parents)
        pairs = zip(parents, states, strict=True)
        row = network.tables[child][tuple(network.states[p].index(s) for p, s in pairs)]
        assert row.tolist() == [float(number) for number in numbers]
        entries += len(numbers)
    assert entries == sum(table.size for table in network.tables.values())


def test_child_keeps_names_that_other_readers_refuse(bif_folder: Path) -> None:
    states = read_network(bif_folder / "child.bif").states
    assert "Asy/Patch" in states["LungParench"] + states["ChestXray"] + states["XrayReport"]
    assert "<5" in states["LowerBodyO2"] and "12+" in states["LowerBodyO2"]


def test_axes_are_the_parents_in_order_then_the_child() -> None:
    network = parse_bif(
        """network n { }
        variable a { type discrete [ 2 ] { a0, a1 }; }
        variable b { type discrete [ 3 ] { b0, b1, b2 }; }
        variable c { type discrete [ 2 ] { c0, c1 }; }
        probability ( a ) { table 0.25, 0.75; }
        probability ( b ) { table 0.2, 0.3, 0.5; }
        probability ( c | a, b ) {
          (a0, b0) 0.00, 1.00;
          (a1, b0) 0.10, 0.90;
          (a0, b1) 0.01, 0.99;
          (a1, b1) 0.11, 0.89;
          (a0, b2) 0.02, 0.98;
          (a1, b2) 0.12, 0.88;
        }"""
    )
    assert network.tables["c"].shape == (2, 3, 2)
    assert network.tables["c"][..., 0].tolist() == [[0.00, 0.01, 0.02], [0.10, 0.11, 0.12]]


@pytest.mark.parametrize("read", [quick_network, parse_bif])
def test_rows_may_come_in_any_order(
    read: Callable[[str], NetworkTables | None], wet: NetworkTables, assert_same: Same
) -> None:
    lines = format_bif(wet).splitlines(keepends=True)
    first = next(i for i, line in enumerate(lines) if line.startswith("  (no, <5)"))
    shuffled = [lines[first + i] for i in (4, 2, 0, 1, 5, 3)]
    network = read("".join([*lines[:first], *shuffled, *lines[first + 6 :]]))
    assert network is not None
    assert_same(network, wet)


def test_blocks_may_come_in_any_order(wet: NetworkTables, assert_same: Same) -> None:
    head, *blocks = format_bif(wet).split("probability")
    assert_same(parse_bif("probability".join([head, *blocks[::-1]])), wet)
    network = parse_bif(
        "network n { } probability ( a ) { table 1; } variable a { type discrete [ 1 ] { x }; }"
    )
    assert network.tables["a"].tolist() == [1.0]


def test_tables_are_copies(wet: NetworkTables) -> None:
    network = quick_network(format_bif(wet))
    assert network is not None
    assert all(table.base is None and table.flags.writeable for table in network.tables.values())


def test_head_of_other_programs_is_read_quickly(wet: NetworkTables, assert_same: Same) -> None:
    text = format_bif(wet)
    other = text.replace("network wet {", '// made by hand\nnetwork "wet" {\n/* none */')
    network = quick_network(other)
    assert network is not None
    assert_same(network, wet)
    assert quick_network(text.replace("network wet {", "network wet//{")) is None


@settings(max_examples=400, deadline=None, database=None)
@given(data=st.data())
def test_quick_reader_accepts_nothing_that_the_strict_one_refuses(
    data: st.DataObject, wet: NetworkTables, assert_same: Same
) -> None:
    text = format_bif(wet)
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        length = data.draw(st.sampled_from([0, 0, 1, 1, 2, 30]))
        pieces = [*'(){}[]|,;/"*-+.e_ \n1a', "", "", "//", "/*", "table ", "0.1 ", "(no) 1, 0;"]
        text = text[:start] + data.draw(st.sampled_from(pieces)) + text[start + length :]
    quick = quick_network(text)
    if quick is not None:
        assert_same(quick, strict_network(text, "mutant"))
    else:
        try:
            strict_network(text, "mutant")
        except ValueError as error:
            assert str(error).startswith("mutant, line ")


def test_nothing_is_normalised() -> None:
    text = "network n { } variable a { type discrete [ 2 ] { x, y }; } "
    network = parse_bif(text + "probability ( a ) { table 3, 2; }")
    assert np.array_equal(network.tables["a"], [3.0, 2.0])
