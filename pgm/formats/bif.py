"""BIF, the Interchange Format for Bayesian networks (version 0.15).

An example::

    network wet { }
    variable rain { type discrete [ 2 ] { no, yes }; }
    variable grass { type discrete [ 3 ] { dry, damp, "very wet" }; }
    probability ( rain ) { table 0.8, 0.2; }
    probability ( grass | rain ) {
      (no) 0.9, 0.08, 0.02;
      (yes) 0.1, 0.3, 0.6;
    }

A bare name holds anything but white space and `{ } ( ) [ ] | , ; "`, and no comment; other names
are quoted, with the escapes of `pgm.formats.tokens`. `bif_strict` reads every such file and
explains every error; `quick_network` reads the plain ones, nearly all, some ten times faster and
leaves the rest alone.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from itertools import product
from math import prod
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pgm.formats.bif_strict import strict_network
from pgm.formats.files import read_text, write_text
from pgm.formats.tables import NetworkTables, check_network
from pgm.formats.tokens import BIF, quote
from pgm.formats.values import parse_values, render_values

__all__ = ["format_bif", "parse_bif", "quick_network", "read_bif", "write_bif"]

_NAME = r'[^\s{}()\[\]|,;"]+'
_GAP = BIF.gap.pattern
_NETWORK = re.compile(rf'{_GAP}network(?:\s+({BIF.word})|\s*"([^"\\\n]*)"){_GAP}\{{{_GAP}\}}')
_VARIABLE = re.compile(
    rf"\s*variable\s+({_NAME})\s*\{{"
    r'\s*type\s+discrete\s*\[\s*([0-9]+)\s*\]\s*\{([^{}()\[\]|;"]*)\}\s*;\s*\}'
)
_PROBABILITY = re.compile(
    rf"\s*probability\s*\(\s*({_NAME})\s*" r'(?:\|([^{}()\[\]|;"]*))?\)\s*\{([^{}"]*)\}'
)


class _Block(NamedTuple):
    """Where the numbers of one variable belong: rows in the order of the file."""

    name: str
    cards: tuple[int, ...]
    card: int
    rows: int
    order: list[int] | None


def read_bif(path: str | os.PathLike[str]) -> NetworkTables:
    """Bayesian network of a `.bif` or `.bif.gz` file; raises FormatError with file and line."""
    return parse_bif(read_text(path), Path(path).name)


def write_bif(network: NetworkTables, path: str | os.PathLike[str]) -> None:
    """Write a `.bif` or `.bif.gz` file; raises ValueError for tables that do not fit together."""
    write_text(path, format_bif(network))


def parse_bif(text: str, source: str = "<text>") -> NetworkTables:
    """Bayesian network of BIF text; `source` is the file's name in errors.

    Rows may come in any order, with `default` for those left out. A conditional `table` lists the
    child's states slowest and the last parent's fastest, as the format's own examples do.
    Raises FormatError, a ValueError, with the line of the first error.

    Reference: F. Cozman, The Interchange Format for Bayesian Networks, 1998.

    >>> coin = parse_bif('''network coin { }
    ... variable side { type discrete [ 2 ] { heads, tails }; }
    ... probability ( side ) { table 0.5, 0.5; }''')
    >>> coin.tables["side"]
    array([0.5, 0.5])
    """
    quick = quick_network(text)
    return strict_network(text, source) if quick is None else quick


def format_bif(network: NetworkTables) -> str:
    """BIF text of a Bayesian network, the first parent varying fastest.

    >>> coin = NetworkTables("a coin", {"side": ("heads", "tails")}, {"side": ()},
    ...                      {"side": np.array([0.5, 0.5])})
    >>> print(format_bif(coin), end="")
    network "a coin" {
    }
    variable side {
      type discrete [ 2 ] { heads, tails };
    }
    probability ( side ) {
      table 0.5, 0.5;
    }
    """
    check_network(network)
    lines = [f"network {_bare(network.name)} {{", "}"]
    for name, states in network.states.items():
        names = ", ".join(map(_bare, states))
        lines.append(f"variable {_bare(name)} {{")
        lines += [f"  type discrete [ {len(states)} ] {{ {names} }};", "}"]
    for name in network.states:
        lines += _probability_lines(network, name)
    return "\n".join(lines) + "\n"


def quick_network(text: str) -> NetworkTables | None:
    """Network of BIF text without quotes, comments, properties, defaults and errors, or None.

    The head may have a quoted name and comments, as other programs write them. Every character of
    the text is accounted for: what is not understood at once gives None.
    """
    head = _NETWORK.match(text)
    if head is None or any(text.find(mark, head.end()) >= 0 for mark in ('"', "//", "/*")):
        return None
    variables, end = _adjacent(_VARIABLE, text, head.end())
    definitions, end = _adjacent(_PROBABILITY, text, end)
    states = _states(variables)
    if not states or text[end:].strip():
        return None
    parents = {child: tuple(_words(given or "")) for child, given, _ in definitions}
    if len(definitions) != len(states) or parents.keys() != states.keys():
        return None
    blocks: list[_Block] = []
    numbers: list[str] = []
    for child, _, body in definitions:
        block = _block(child, parents[child], states, body, numbers)
        if block is None:
            return None
        blocks.append(block)
    tables = _tables(blocks, numbers)
    if tables is None:
        return None
    return NetworkTables(
        name=head.group(1) or head.group(2),
        states=states,
        parents={name: parents[name] for name in states},
        tables={name: tables[name] for name in states},
    )


def _adjacent(
    pattern: re.Pattern[str], text: str, start: int
) -> tuple[list[tuple[str, ...]], int]:
    """Groups of the matches that follow each other from `start`, and where they end."""
    found: list[tuple[str, ...]] = []
    while (match := pattern.match(text, start)) is not None:
        found.append(match.groups())
        start = match.end()
    return found, start


def _words(text: str) -> list[str]:
    return text.replace(",", " ").split()


def _states(variables: Iterable[tuple[str, ...]]) -> dict[str, tuple[str, ...]] | None:
    states: dict[str, tuple[str, ...]] = {}
    for name, count, names in variables:
        labels = tuple(_words(names))
        if not labels or str(len(labels)) != count or len(set(labels)) != len(labels):
            return None
        if name in states:
            return None
        states[name] = labels
    return states


def _block(
    child: str,
    parents: tuple[str, ...],
    states: dict[str, tuple[str, ...]],
    body: str,
    numbers: list[str],
) -> _Block | None:
    """Check the keys of one body's rows and append the text of their numbers."""
    rows = body.split(";")
    if rows.pop().strip() or not rows:
        return None
    if not parents:
        keyword, _, values = rows[0].strip().partition(" ")
        numbers.append(values)
        plain = keyword == "table" and len(rows) == 1
        return _Block(child, (), len(states[child]), 1, None) if plain else None
    if len({child, *parents}) != len(parents) + 1 or not states.keys() >= set(parents):
        return None
    labels = [states[parent] for parent in parents]
    cards = tuple(map(len, labels))
    if prod(cards) != len(rows):
        return None
    pieces = [row.partition(")") for row in rows]
    numbers += [piece[2] for piece in pieces]
    keys = [piece[0] for piece in pieces]
    opening, _, _ = keys[0].partition("(")
    order = None
    if keys != _keys(f"{opening}(", labels) or opening.strip():
        order = _row_order(keys, labels)
        if order is None:
            return None
    return _Block(child, cards, len(states[child]), len(rows), order)


def _keys(opening: str, labels: Sequence[Sequence[str]]) -> list[str]:
    """The row keys as nearly all files have them: the first parent varies fastest."""
    keys = [opening + label for label in labels[0]]
    for states in labels[1:]:
        keys = [f"{key}, {state}" for state in states for key in keys]
    return keys


def _row_order(keys: list[str], labels: Sequence[Sequence[str]]) -> list[int] | None:
    """For every row of the file's usual order, the row that has its key; None if one has not."""
    places: dict[tuple[str, ...], int] = {}
    for place, key in enumerate(keys):
        opening, parenthesis, names = key.partition("(")
        if opening.strip() or not parenthesis:
            return None
        places[tuple(_words(names))] = place
    order = [places.get(key[::-1], -1) for key in product(*reversed(labels))]
    return order if sorted(order) == list(range(len(keys))) else None


def _tables(blocks: list[_Block], numbers: list[str]) -> dict[str, np.ndarray] | None:
    # One conversion for the whole file. A -1 closes each row, so that a number too many in one
    # row cannot make up for one too few in another.
    values = parse_values(" -1 ".join([*numbers, ""]).replace(",", " "))
    if values is None:
        return None
    rows = [block.rows for block in blocks]
    ends = np.repeat([block.card + 1 for block in blocks], rows).cumsum() - 1
    kept = values >= 0
    if ends[-1] + 1 != len(values) or kept[ends].any() or kept.sum() + len(ends) != len(values):
        return None
    values = values[kept]
    tables: dict[str, np.ndarray] = {}
    start = 0
    for block in blocks:
        stop = start + block.rows * block.card
        tables[block.name] = _table(block, values[start:stop])
        start = stop
    return tables


def _table(block: _Block, values: np.ndarray) -> np.ndarray:
    if block.order is not None:
        values = values.reshape(block.rows, block.card)[block.order]
    n = len(block.cards)
    if n < 2:
        return values.reshape(*block.cards, block.card).copy()
    # Copied, so that a table that outlives the others does not keep all of them in memory.
    return values.reshape(*block.cards[::-1], block.card).transpose(*range(n)[::-1], n).copy()


def _bare(name: str) -> str:
    return name if BIF.is_word(name) else quote(name)


def _probability_lines(network: NetworkTables, name: str) -> list[str]:
    parents, table = network.parents[name], network.tables[name]
    if not parents:
        numbers = render_values(table.tolist(), ", ")
        return [f"probability ( {_bare(name)} ) {{", f"  table {numbers};", "}"]
    n = len(parents)
    rows = table.transpose(*range(n)[::-1], n).reshape(-1, table.shape[-1]).tolist()
    keys = _keys("  (", [list(map(_bare, network.states[parent])) for parent in parents])
    lines = [f"probability ( {_bare(name)} | {', '.join(map(_bare, parents))} ) {{"]
    lines += [f"{key}) {render_values(row, ', ')};" for key, row in zip(keys, rows, strict=True)]
    return [*lines, "}"]
