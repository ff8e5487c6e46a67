"""UAI, the format of the inference competitions: numbers only, for both kinds of network.

    MARKOV            or BAYES, then the last variable of a scope is the child
    3                 number of variables
    2 2 3             their cardinalities
    2                 number of factors
    2 0 1             size of a scope and its variables
    2 1 2
    4                 number of entries of the first table, then these, the last variable fastest
     4.0 1.0 1.0 4.0
    6
     1.0 2.0 3.0 3.0 2.0 1.0

There are no names: variables read back as "0", "1", ... with states "0", "1", ...
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from math import prod
from pathlib import Path

import numpy as np

from pgm.formats.files import read_text, write_text
from pgm.formats.number_stream import NumberStream
from pgm.formats.tables import MarkovTables, NetworkTables, check_markov, check_network
from pgm.formats.values import render_values

__all__ = [
    "format_markov",
    "format_uai",
    "parse_uai",
    "read_markov",
    "read_uai",
    "write_markov",
    "write_uai",
]


def read_uai(path: str | os.PathLike[str]) -> NetworkTables | MarkovTables:
    """Either kind of network of a `.uai` or `.uai.gz` file; raises FormatError."""
    return parse_uai(read_text(path), Path(path).name)


def read_markov(path: str | os.PathLike[str]) -> MarkovTables:
    """Markov network of a `.uai` file; the tables of a Bayesian network are factors as well."""
    network = read_uai(path)
    if isinstance(network, MarkovTables):
        return network
    cardinalities = tuple(map(len, network.states.values()))
    scopes = tuple(tuple(map(int, (*network.parents[v], v))) for v in network.states)
    return MarkovTables(cardinalities, scopes, tuple(network.tables.values()))


def write_uai(network: NetworkTables, path: str | os.PathLike[str]) -> None:
    """Write a Bayesian network without its names; raises ValueError for tables that do not fit."""
    write_text(path, format_uai(network))


def write_markov(network: MarkovTables, path: str | os.PathLike[str]) -> None:
    """Write a Markov network; raises ValueError for tables that do not fit together."""
    write_text(path, format_markov(network))


def parse_uai(text: str, source: str = "<text>") -> NetworkTables | MarkovTables:
    """Network of UAI text; `source` is the file's name in errors.

    Raises FormatError, a ValueError, with the line of the first error.

    >>> parse_uai("MARKOV 1 2 1 1 0 2 0.5 2.0").tables
    (array([0.5, 2. ]),)
    >>> parse_uai("MARKOV 1 2 1 1 0 3 0.5 2.0 1.0")
    Traceback (most recent call last):
    pgm.formats.files.FormatError: <text>, line 1: expected 2 entries for the table of (0), found 3
    """
    stream = NumberStream(text, source, "BAYES", "MARKOV")
    n = stream.integer("the number of variables", 1)
    cards = tuple(stream.integer("a cardinality", 1) for _ in range(_affordable(stream, n)))
    m = stream.integer("the number of factors")
    if stream.keyword == "BAYES" and m != n:
        stream.position -= 1
        stream.fail(f"expected {n} tables, one per variable of a BAYES file, found {m}")
    children: set[int] = set()
    scopes = [_scope(stream, n, children) for _ in range(_affordable(stream, m))]
    tables = tuple(_table(stream, scope, tuple(cards[v] for v in scope)) for scope in scopes)
    stream.end()
    if stream.keyword == "MARKOV":
        return MarkovTables(cards, tuple(scopes), tables)
    return _network(cards, scopes, tables)


def format_uai(network: NetworkTables) -> str:
    """UAI text of a Bayesian network, its variables numbered in their order.

    >>> coin = NetworkTables("coin", {"side": ("heads", "tails")}, {"side": ()},
    ...                      {"side": np.array([0.5, 0.5])})
    >>> print(format_uai(coin), end="")
    BAYES
    1
    2
    1
    1 0
    <BLANKLINE>
    2
     0.5 0.5
    """
    check_network(network)
    number = {name: i for i, name in enumerate(network.states)}
    scopes = [tuple(number[v] for v in (*network.parents[name], name)) for name in number]
    cards = [len(states) for states in network.states.values()]
    return _format("BAYES", cards, scopes, list(network.tables.values()))


def format_markov(network: MarkovTables) -> str:
    """UAI text of a Markov network.

    >>> print(format_markov(MarkovTables((2,), ((0,),), (np.array([1.0, 3.0]),))), end="")
    MARKOV
    1
    2
    1
    1 0
    <BLANKLINE>
    2
     1.0 3.0
    """
    check_markov(network)
    return _format("MARKOV", network.cardinalities, network.scopes, network.tables)


def _affordable(stream: NumberStream, count: int) -> int:
    # Each of them takes a number at least, so that a wrong count cannot fill the memory.
    if count > stream.remaining:
        stream.fail(f"expected {count} more entries, found {stream.remaining} numbers")
    return count


def _scope(stream: NumberStream, n: int, children: set[int]) -> tuple[int, ...]:
    size = stream.integer("the size of a scope", 1 if stream.keyword == "BAYES" else 0, n + 1)
    scope: list[int] = []
    for _ in range(size):
        variable = stream.integer("a variable", 0, n)
        if variable in scope:
            stream.position -= 1
            stream.fail(f"the variable {variable} appears twice in a scope")
        scope.append(variable)
    if stream.keyword == "BAYES":
        if scope[-1] in children:
            stream.position -= 1
            stream.fail(f"a second table for the variable {scope[-1]}")
        children.add(scope[-1])
    return tuple(scope)


def _table(stream: NumberStream, scope: tuple[int, ...], shape: tuple[int, ...]) -> np.ndarray:
    name = f"the table of ({', '.join(map(str, scope))})"
    size = stream.integer(f"the number of entries of {name}")
    if size != prod(shape):
        stream.position -= 1
        stream.fail(f"expected {prod(shape)} entries for {name}, found {size}")
    return stream.values(size, name).reshape(shape)


def _network(
    cards: tuple[int, ...], scopes: list[tuple[int, ...]], tables: tuple[np.ndarray, ...]
) -> NetworkTables:
    by_child = {
        scope[-1]: (scope[:-1], table) for scope, table in zip(scopes, tables, strict=True)
    }
    return NetworkTables(
        name="unknown",
        states={str(v): tuple(map(str, range(card))) for v, card in enumerate(cards)},
        parents={str(v): tuple(map(str, by_child[v][0])) for v in range(len(cards))},
        tables={str(v): by_child[v][1] for v in range(len(cards))},
    )


def _format(
    keyword: str,
    cards: Sequence[int],
    scopes: Sequence[Sequence[int]],
    tables: Sequence[np.ndarray],
) -> str:
    lines = [keyword, str(len(cards)), " ".join(map(str, cards)), str(len(scopes))]
    lines += [" ".join(map(str, (len(scope), *scope))) for scope in scopes]
    for table in tables:
        lines += ["", str(table.size)]
        rows = table.reshape(-1, table.shape[-1] if table.ndim else 1).tolist()
        lines += [" " + render_values(row, " ") for row in rows]
    return "\n".join(lines) + "\n"
