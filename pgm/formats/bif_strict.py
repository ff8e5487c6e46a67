"""The whole of BIF, read token by token, with the line of whatever is wrong.

Besides what `bif` shows: comments (`// ...` and `/* ... */`), `property ... ;` in every block,
`probability ( child parent ... )` without a bar, numbers and names without commas, `default`, and
`table` for a variable with parents.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product
from math import prod

import numpy as np

from pgm.formats.tables import NetworkTables
from pgm.formats.tokens import BIF, Scanner, Token

__all__ = ["strict_network"]

_States = dict[str, tuple[str, ...]]

# A default can fill a table that no file could list; this one takes 8 GiB.
_LARGEST = 2**30


@dataclass
class _Block:
    """A probability block as written, before anything is known of its variables."""

    start: int
    child: str
    parents: tuple[str, ...]
    table: np.ndarray | None = None
    default: np.ndarray | None = None
    rows: list[tuple[int, tuple[str, ...], np.ndarray]] = field(default_factory=list)


def strict_network(text: str, source: str) -> NetworkTables:
    """Bayesian network of BIF text; raises FormatError with `source` and the line.

    >>> strict_network("network coin { // fair", "coin.bif")
    Traceback (most recent call last):
    pgm.formats.files.FormatError: coin.bif, line 1: expected '}', found the end of the file
    """
    scan = Scanner(text, source, BIF)
    scan.expect("network")
    name = scan.name("the network's name").value
    scan.expect("{")
    _properties(scan)
    scan.expect("}")
    states: _States = {}
    declared: dict[str, int] = {}
    blocks: list[_Block] = []
    while scan.peek().kind != "end":
        start = scan.peek().start
        if scan.skip("variable"):
            declared[_variable(scan, states)] = start
        elif scan.skip("probability"):
            blocks.append(_probability(scan, start))
        else:
            scan.fail_at(scan.peek(), "'variable' or 'probability'")
    if not states:
        scan.fail_at(scan.peek(), "a variable")
    parents, tables = _resolve(scan, states, declared, blocks)
    return NetworkTables(name, states, parents, tables)


def _properties(scan: Scanner) -> None:
    while scan.skip("property"):
        scan.skip_statement()


def _variable(scan: Scanner, states: _States) -> str:
    name = scan.name("the name of a variable")
    if name.value in states:
        scan.fail(name.start, f"the variable {name.value!r} is declared twice")
    scan.expect("{")
    _properties(scan)
    for word in ("type", "discrete", "["):
        scan.expect(word)
    count = scan.take()
    if count.kind != "word" or not (count.value.isascii() and count.value.isdigit()):
        scan.fail_at(count, "a number of states")
    scan.expect("]")
    scan.expect("{")
    labels = scan.names("a state", "}")
    _check_states(scan, name, count, labels)
    scan.expect(";")
    _properties(scan)
    scan.expect("}")
    states[name.value] = tuple(label.value for label in labels)
    return name.value


def _check_states(scan: Scanner, name: Token, count: Token, labels: list[Token]) -> None:
    if not labels or str(len(labels)) != count.value.lstrip("0"):
        message = f"{name.value!r} declares {count.value} states and lists {len(labels)}"
        scan.fail(count.start, message)
    seen: set[str] = set()
    for label in labels:
        if label.value in seen:
            scan.fail(label.start, f"the state {label.value!r} of {name.value!r} is listed twice")
        seen.add(label.value)


def _probability(scan: Scanner, start: int) -> _Block:
    scan.expect("(")
    child = scan.name("the name of a variable").value
    scan.skip("|")
    parents = tuple(token.value for token in scan.names("a parent", ")"))
    block = _Block(start, child, parents)
    scan.expect("{")
    while not scan.skip("}"):
        entry = scan.peek()
        if scan.skip("("):
            key = tuple(token.value for token in scan.names("a state", ")"))
            block.rows.append((entry.start, key, scan.numbers()))
        elif scan.skip("table"):
            _once(scan, entry, block.table)
            block.table = scan.numbers()
        elif scan.skip("default"):
            _once(scan, entry, block.default)
            block.default = scan.numbers()
        elif scan.skip("property"):
            scan.skip_statement()
        else:
            scan.fail_at(entry, "a row, 'table', 'default' or '}'")
    return block


def _once(scan: Scanner, entry: Token, before: np.ndarray | None) -> None:
    if before is not None:
        scan.fail(entry.start, f"a second {entry} in the same block")


def _resolve(
    scan: Scanner, states: _States, declared: dict[str, int], blocks: list[_Block]
) -> tuple[dict[str, tuple[str, ...]], dict[str, np.ndarray]]:
    """Parents and tables, in the order of the variables."""
    found: dict[str, tuple[tuple[str, ...], np.ndarray]] = {}
    for block in blocks:
        if block.child in found:
            scan.fail(block.start, f"a second probability block for {block.child!r}")
        for name in (block.child, *block.parents):
            if name not in states:
                scan.fail(block.start, f"the variable {name!r} is not declared")
        if len({block.child, *block.parents}) != len(block.parents) + 1:
            scan.fail(block.start, f"a variable appears twice in the block of {block.child!r}")
        found[block.child] = block.parents, _table(scan, states, block)
    for name in states:
        if name not in found:
            scan.fail(declared[name], f"the variable {name!r} has no probability block")
    return {name: found[name][0] for name in states}, {name: found[name][1] for name in states}


def _table(scan: Scanner, states: _States, block: _Block) -> np.ndarray:
    card = len(states[block.child])
    shape = tuple(len(states[parent]) for parent in block.parents)
    if block.table is None:
        return _table_of_rows(scan, states, block, shape, card)
    if block.rows or block.default is not None:
        scan.fail(block.start, f"the block of {block.child!r} has a table and other entries")
    _check_count(scan, block.start, block.table, card * prod(shape), block.child)
    return np.ascontiguousarray(np.moveaxis(block.table.reshape(card, *shape), 0, -1))


def _table_of_rows(
    scan: Scanner, states: _States, block: _Block, shape: tuple[int, ...], card: int
) -> np.ndarray:
    places = [{state: i for i, state in enumerate(states[parent])} for parent in block.parents]
    rows: dict[tuple[int, ...], np.ndarray] = {}
    for start, key, values in block.rows:
        if len(key) != len(block.parents):
            scan.fail(start, f"expected {len(block.parents)} parent states, found {len(key)}")
        for parent, place, state in zip(block.parents, places, key, strict=True):
            if state not in place:
                scan.fail(start, f"{state!r} is not a state of {parent!r}")
        index = tuple(place[state] for place, state in zip(places, key, strict=True))
        if index in rows:
            scan.fail(start, f"a second row for ({', '.join(key)})")
        _check_count(scan, start, values, card, block.child)
        rows[index] = values
    if block.default is None:
        _check_complete(scan, states, block, rows)
    else:
        _check_count(scan, block.start, block.default, card, block.child)
    if prod(shape) * card > _LARGEST:
        scan.fail(block.start, f"the table of {block.child!r} has {prod(shape) * card} entries")
    table = np.empty((*shape, card))
    if block.default is not None:
        table[...] = block.default
    for index, values in rows.items():
        table[index] = values
    return table


def _check_complete(
    scan: Scanner, states: _States, block: _Block, rows: dict[tuple[int, ...], np.ndarray]
) -> None:
    for states_of_row in product(*(enumerate(states[parent]) for parent in block.parents)):
        if tuple(i for i, _ in states_of_row) not in rows:
            key = ", ".join(state for _, state in states_of_row)
            scan.fail(block.start, f"{block.child!r} has no row for ({key})")


def _check_count(scan: Scanner, start: int, values: np.ndarray, count: int, child: str) -> None:
    if len(values) != count:
        scan.fail(start, f"expected {count} numbers for {child!r}, found {len(values)}")
