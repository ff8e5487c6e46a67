"""Discrete networks as plain data, and their files by suffix.

    .bif                    Interchange Format for Bayesian networks
    .xmlbif .xml .bifxml    the same as XML
    .net                    Hugin
    .uai                    UAI competitions: numbers only, no names

each also followed by `.gz`. Tables are carried as written: rows are neither checked to sum to one
nor normalised, and every float64 comes back bit for bit.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

__all__ = [
    "MarkovTables",
    "NetworkTables",
    "check_markov",
    "check_network",
    "format_name",
    "read_network",
    "write_network",
]

_FORMATS = {
    ".bif": "bif",
    ".xmlbif": "xmlbif",
    ".xml": "xmlbif",
    ".bifxml": "xmlbif",
    ".net": "net",
    ".uai": "uai",
}


@dataclass(frozen=True, eq=False)
class NetworkTables:
    """A discrete Bayesian network as plain data: what every file format reads and writes.

    The three mappings share their keys and their order, that of the variables in the file.
    `tables[v]` has shape (*cards of parents[v], card of v), float64.

    >>> rain = NetworkTables("wet", {"rain": ("no", "yes")}, {"rain": ()},
    ...                      {"rain": np.array([0.75, 0.25])})
    >>> rain.states["rain"]
    ('no', 'yes')
    """

    name: str
    states: dict[str, tuple[str, ...]]
    parents: dict[str, tuple[str, ...]]
    tables: dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class MarkovTables:
    """A discrete Markov network as plain data: non-negative potentials over scopes of variables.

    `tables[f]` has shape (cardinalities of scopes[f]), float64.

    >>> pair = MarkovTables((2, 2), ((0, 1),), (np.array([[2.0, 1.0], [1.0, 2.0]]),))
    >>> pair.scopes
    ((0, 1),)
    """

    cardinalities: tuple[int, ...]
    scopes: tuple[tuple[int, ...], ...]
    tables: tuple[np.ndarray, ...]


def read_network(path: str | os.PathLike[str]) -> NetworkTables:
    """Bayesian network of a file, in the format that its suffix names.

    Raises ValueError for a suffix that names no format, and FormatError, a ValueError whose
    message has file and line, for a file that does not follow its format.

    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> file = Path(folder.name) / "coin.bif"
    >>> _ = file.write_text('''network coin { }
    ... variable side { type discrete [ 2 ] { heads, tails }; }
    ... probability ( side ) { table 0.5, 0.5; }''')
    >>> coin = read_network(file)
    >>> coin.name, coin.states, coin.tables["side"]
    ('coin', {'side': ('heads', 'tails')}, array([0.5, 0.5]))
    >>> folder.cleanup()
    """
    network = _function("read", path)(path)
    if isinstance(network, MarkovTables):
        raise ValueError(f"{Path(path).name}: holds a Markov network; use read_markov")
    return network


def write_network(tables: NetworkTables, path: str | os.PathLike[str]) -> None:
    """Write a Bayesian network in the format that the suffix of `path` names.

    The file appears complete or not at all. `.uai` drops the names.
    Raises ValueError for an unknown suffix, for tables that do not fit together, and for a name
    that the format cannot carry (XML has no control characters).

    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> file = Path(folder.name) / "coin.net.gz"
    >>> coin = NetworkTables("coin", {"side": ("heads", "tails")}, {"side": ()},
    ...                      {"side": np.array([0.1, 0.9])})
    >>> write_network(coin, file)
    >>> read_network(file).tables["side"]
    array([0.1, 0.9])
    >>> folder.cleanup()
    """
    _function("write", path)(tables, path)


def check_network(network: NetworkTables) -> None:
    """Raise ValueError (TypeError for kinds) unless the parts of `network` fit together."""
    if not list(network.states) == list(network.parents) == list(network.tables):
        raise ValueError("states, parents and tables must have the same keys in the same order")
    if not network.states:
        raise ValueError("a network needs a variable")
    _check_text(network.name, "the network's name")
    for name, states in network.states.items():
        _check_text(name, "the name of a variable")
        for state in states:
            _check_text(state, f"a state of {name!r}")
        if not states or len(set(states)) != len(states):
            raise ValueError(f"states of {name!r} must be different and at least one: {states}")
        parents = network.parents[name]
        if len({name, *parents}) != len(parents) + 1 or not network.states.keys() >= set(parents):
            raise ValueError(f"parents of {name!r} must be different other variables: {parents}")
        shape = tuple(len(network.states[variable]) for variable in (*parents, name))
        _check_table(network.tables[name], shape, f"table of {name!r}")


def check_markov(network: MarkovTables) -> None:
    """Raise ValueError (TypeError for kinds) unless the parts of `network` fit together."""
    cards, scopes = network.cardinalities, network.scopes
    if not cards or min(cards) < 1:
        raise ValueError(f"cardinalities must be there and at least one: {cards}")
    if len(scopes) != len(network.tables):
        raise ValueError(f"{len(scopes)} scopes cannot have {len(network.tables)} tables")
    for index, (scope, table) in enumerate(zip(scopes, network.tables, strict=True)):
        if len(set(scope)) != len(scope) or not all(0 <= v < len(cards) for v in scope):
            message = f"scope {index} must hold different variables below {len(cards)}: {scope}"
            raise ValueError(message)
        _check_table(table, tuple(cards[variable] for variable in scope), f"table {index}")


def _check_text(name: object, what: str) -> None:
    if not isinstance(name, str):
        raise TypeError(f"{what} must be a str, got {name!r}")
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{what} has no UTF-8 form: {name!r}") from error


def _check_table(table: np.ndarray, shape: Sequence[int], what: str) -> None:
    if not isinstance(table, np.ndarray) or table.dtype != np.float64:
        raise TypeError(f"{what} must be a float64 array, got {type(table).__name__}")
    if table.shape != tuple(shape):
        raise ValueError(f"{what} must have shape {tuple(shape)}, got {table.shape}")
    if not (np.isfinite(table).all() and (table >= 0).all()):
        raise ValueError(f"{what} has a negative or non-finite entry")


def format_name(path: str | os.PathLike[str]) -> str:
    """Name of the format that a suffix asks for: "bif", "xmlbif", "net" or "uai".

    Raises:
        ValueError: for a suffix that names no format.

    >>> format_name("alarm.uai.BIF.gz")
    'bif'
    """
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    if suffixes[-1:] == [".gz"]:
        suffixes.pop()
    suffix = suffixes[-1] if suffixes else ""
    if suffix not in _FORMATS:
        known = ", ".join(_FORMATS)
        message = f"unknown suffix {suffix!r}; known are {known}, each also with .gz"
        raise ValueError(f"{Path(path).name}: {message}")
    return _FORMATS[suffix]


def _function(verb: str, path: str | os.PathLike[str]) -> Callable[..., Any]:
    name = format_name(path)
    # The format modules import this one, so they are imported only here.
    return getattr(import_module(f"pgm.formats.{name}"), f"{verb}_{name}")
