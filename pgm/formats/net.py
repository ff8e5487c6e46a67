"""NET, the language of Hugin.

    net { name = "wet"; }
    node rain { states = ("no" "yes"); }
    node grass { states = ("dry" "wet"); }
    potential ( rain ) { data = ( 0.8 0.2 ); }
    potential ( grass | rain ) { data = (( 0.9 0.1 )   % rain=no
                                         ( 0.2 0.8 )); }

The child varies fastest, the first parent slowest; the parentheses follow the parents, or there is
a single pair of them. Attributes other than these are skipped. A node's name is an identifier: for
any other name the writer makes one up and puts the name itself into the attribute `original_name`,
which the reader takes for the variable's name.
"""

from __future__ import annotations

import os
import re
from itertools import count
from math import prod
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pgm.formats.files import read_text, write_text
from pgm.formats.tables import NetworkTables, check_network
from pgm.formats.tokens import NET, Scanner, quote
from pgm.formats.values import find_fault, parse_values, render_values

__all__ = ["format_net", "parse_net", "read_net", "write_net"]

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_KEYWORDS = {"class", "net", "node", "potential", "discrete", "continuous", "decision", "utility"}
_DATA = re.compile(r'(?:[^;{}"%]+|%[^\n]*)*')
_COMMENT = re.compile(r"%[^\n]*")
_PARENTHESES = str.maketrans("()", "  ")


class _Potential(NamedTuple):
    start: int
    child: str
    parents: tuple[str, ...]
    data: int
    text: str


def read_net(path: str | os.PathLike[str]) -> NetworkTables:
    """Bayesian network of a `.net` or `.net.gz` file; raises FormatError with file and line."""
    return parse_net(read_text(path), Path(path).name)


def write_net(network: NetworkTables, path: str | os.PathLike[str]) -> None:
    """Write a `.net` or `.net.gz` file; raises ValueError for tables that do not fit together."""
    write_text(path, format_net(network))


def parse_net(text: str, source: str = "<text>") -> NetworkTables:
    """Bayesian network of NET text; `source` is the file's name in errors.

    Raises FormatError, a ValueError, with the line of the first error.

    >>> coin = parse_net('''net { } node side { states = ("heads" "tails"); }
    ... potential ( side ) { data = ( 0.5 0.5 ); }''')
    >>> coin.states, coin.tables["side"]
    ({'side': ('heads', 'tails')}, array([0.5, 0.5]))
    """
    return _Reader(Scanner(text, source, NET)).network()


def format_net(network: NetworkTables) -> str:
    """NET text of a Bayesian network.

    >>> coin = NetworkTables("coin", {"the side": ("heads", "tails")}, {"the side": ()},
    ...                      {"the side": np.array([0.5, 0.5])})
    >>> print(format_net(coin), end="")
    net {
      name = "coin";
    }
    node the_side {
      original_name = "the side";
      states = ("heads" "tails");
    }
    potential ( the_side ) {
      data = (0.5 0.5);
    }
    """
    check_network(network)
    lines = ["net {", f"  name = {quote(network.name)};", "}"]
    names = _identifiers(list(network.states))
    for name, states in network.states.items():
        lines.append(f"node {names[name]} {{")
        if names[name] != name:
            lines.append(f"  original_name = {quote(name)};")
        lines += [f"  states = ({' '.join(map(quote, states))});", "}"]
    for name, table in network.tables.items():
        parents = " ".join(names[parent] for parent in network.parents[name])
        given = f" | {parents}" if parents else ""
        lines += [f"potential ( {names[name]}{given} ) {{", f"  data = {_nested(table)};", "}"]
    return "\n".join(lines) + "\n"


def _identifiers(names: list[str]) -> dict[str, str]:
    """An identifier for every name, the name itself where it is one."""
    found = {name: name for name in names if _IDENTIFIER.fullmatch(name) and name not in _KEYWORDS}
    used = set(found)
    for name in names:
        if name not in found:
            stem = re.sub(r"[^A-Za-z0-9_]", "_", name)
            stem = stem if _IDENTIFIER.fullmatch(stem) and stem not in _KEYWORDS else f"v_{stem}"
            tries = (stem if i == 1 else f"{stem}_{i}" for i in count(1))
            found[name] = next(identifier for identifier in tries if identifier not in used)
            used.add(found[name])
    return found


def _nested(table: np.ndarray) -> str:
    *cards, card = table.shape
    rows = [f"({render_values(row, ' ')})" for row in table.reshape(-1, card).tolist()]
    separator = "\n          "
    for size in reversed(cards):
        groups = [rows[i : i + size] for i in range(0, len(rows), size)]
        rows = [f"({separator.join(group)})" for group in groups]
    return rows[0]


class _Reader:
    """One text: nodes and potentials first, then the network they describe."""

    def __init__(self, scan: Scanner) -> None:
        self._scan = scan
        self._names: dict[str, str] = {}
        self._declared: dict[str, int] = {}
        self._states: dict[str, tuple[str, ...]] = {}

    def network(self) -> NetworkTables:
        scan = self._scan
        scan.expect("net")
        title = self._attributes("name").get("name")
        name = "unknown" if title is None else "".join(title)
        potentials: list[_Potential] = []
        while scan.peek().kind != "end":
            start = scan.peek().start
            prefix = scan.skip("discrete")
            if scan.skip("node"):
                self._node(start)
            elif not prefix and scan.skip("potential"):
                potentials.append(self._potential(start))
            else:
                scan.fail_at(scan.peek(), "'node' or 'potential' of discrete variables")
        if not self._states:
            scan.fail_at(scan.peek(), "a node")
        found = self._tables(potentials)
        return NetworkTables(
            name=name,
            states=self._states,
            parents={name: found[name][0] for name in self._states},
            tables={name: found[name][1] for name in self._states},
        )

    def _attributes(self, *wanted: str) -> dict[str, list[str]]:
        """The wanted attributes of a block in braces: a list of names, or one name."""
        scan = self._scan
        found: dict[str, list[str]] = {}
        scan.expect("{")
        while not scan.skip("}"):
            key = scan.name("an attribute or '}'").value
            scan.expect("=")
            if key not in wanted:
                scan.skip_statement()
                continue
            if scan.skip("("):
                found[key] = [token.value for token in scan.names("a name", ")")]
            else:
                found[key] = [scan.name("a name").value]
            scan.expect(";")
        return found

    def _node(self, start: int) -> None:
        scan = self._scan
        identifier = scan.name("the name of a node").value
        attributes = self._attributes("states", "original_name")
        name = "".join(attributes.get("original_name", [identifier]))
        if identifier in self._names or name in self._states:
            scan.fail(start, f"the node {name!r} is declared twice")
        labels = tuple(attributes.get("states", ()))
        if not labels or len(set(labels)) != len(labels):
            scan.fail(start, f"expected different states of {name!r}, found {list(labels)}")
        self._names[identifier] = name
        self._declared[name] = start
        self._states[name] = labels

    def _potential(self, start: int) -> _Potential:
        scan = self._scan
        scan.expect("(")
        child = scan.name("the name of a node").value
        parents: tuple[str, ...] = ()
        if not scan.skip(")"):
            scan.expect("|")
            parents = tuple(token.value for token in scan.names("a parent", ")"))
        scan.expect("{")
        data: tuple[int, str] | None = None
        while not scan.skip("}"):
            key = scan.name("an attribute or '}'")
            scan.expect("=")
            if key.value == "data" and data is None:
                data = self._data()
            elif key.value in ("data", "model_nodes", "model_data"):
                scan.fail(key.start, f"expected one plain table of data, found {key}")
            else:
                scan.skip_statement()
        if data is None:
            scan.fail(start, f"the potential of {child!r} has no data")
        return _Potential(start, child, parents, *data)

    def _data(self) -> tuple[int, str]:
        """Offset and text of a list of numbers, comments blanked; takes the `;` as well."""
        scan = self._scan
        start = scan.position
        match = _DATA.match(scan.text, start)
        scan.move(start if match is None else match.end())
        text = scan.text[start : scan.position]
        scan.expect(";")
        return start, _COMMENT.sub(lambda comment: " " * len(comment[0]), text)

    def _tables(
        self, potentials: list[_Potential]
    ) -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
        scan, names = self._scan, self._names
        found: dict[str, tuple[tuple[str, ...], np.ndarray]] = {}
        for potential in potentials:
            start = potential.start
            for name in (potential.child, *potential.parents):
                if name not in names:
                    scan.fail(start, f"the node {name!r} is not declared")
            child, parents = names[potential.child], tuple(names[p] for p in potential.parents)
            if child in found:
                scan.fail(start, f"a second potential for {child!r}")
            if len({child, *parents}) != len(parents) + 1:
                scan.fail(start, f"a node appears twice in the potential of {child!r}")
            shape = tuple(len(self._states[name]) for name in (*parents, child))
            found[child] = parents, self._table(potential, shape)
        for name, start in self._declared.items():
            if name not in found:
                scan.fail(start, f"the node {name!r} has no potential")
        return found

    def _table(self, potential: _Potential, shape: tuple[int, ...]) -> np.ndarray:
        text = potential.text
        # Parentheses become negative numbers, so that one comparison checks where they all are.
        values = parse_values(text.replace("(", " -1 ").replace(")", " -2 "))
        negative = text.count("(") + text.count(")")
        if values is None or (values < 0).sum() != negative:
            offset, message = find_fault(text.translate(_PARENTHESES)) or (0, "expected numbers")
            self._scan.fail(potential.data + offset, message)
        kept = values[values >= 0]
        if len(kept) != prod(shape):
            self._scan.fail(
                potential.start,
                f"expected {prod(shape)} numbers for {potential.child!r}, found {len(kept)}",
            )
        form = np.minimum(values, 0)
        forms = _skeleton(shape), _skeleton((len(kept),))
        if not any(np.array_equal(form, allowed) for allowed in forms):
            self._scan.fail(
                potential.start,
                f"the parentheses of the data of {potential.child!r} do not follow its parents",
            )
        return kept.reshape(shape)


def _skeleton(shape: tuple[int, ...]) -> np.ndarray:
    """What the nested lists of a table look like with 0 for every number."""
    form = np.zeros(1)
    for size in reversed(shape):
        form = np.concatenate([[-1], np.tile(form, size), [-2]])
    return form
