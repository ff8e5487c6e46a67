"""XMLBIF 0.3: the Interchange Format as XML.

    <BIF VERSION="0.3"><NETWORK><NAME>wet</NAME>
      <VARIABLE><NAME>rain</NAME><OUTCOME>no</OUTCOME><OUTCOME>yes</OUTCOME></VARIABLE>
      <VARIABLE><NAME>wet</NAME><OUTCOME>no</OUTCOME><OUTCOME>yes</OUTCOME></VARIABLE>
      <DEFINITION><FOR>rain</FOR><TABLE>0.8 0.2</TABLE></DEFINITION>
      <DEFINITION><FOR>wet</FOR><GIVEN>rain</GIVEN><TABLE>0.9 0.1 0.2 0.8</TABLE></DEFINITION>
    </NETWORK></BIF>

The child varies fastest, the first parent slowest. White space around a name is no part of it
unless its element says xml:space="preserve". A document type with element declarations is read
past; declarations of entities are refused, so that nothing is fetched or expanded.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import NoReturn
from xml.parsers import expat
from xml.sax.saxutils import escape

import numpy as np

from pgm.formats.files import FormatError, read_bytes, write_text
from pgm.formats.tables import NetworkTables, check_network
from pgm.formats.values import find_fault, parse_values, render_values

__all__ = ["format_xmlbif", "parse_xmlbif", "read_xmlbif", "write_xmlbif"]

_SPACE = " \t\r\n"
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass
class _Element:
    """An element with its text, which leaves have, and the line of its start tag."""

    tag: str
    attributes: dict[str, str]
    line: int
    children: list[_Element] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        text = "".join(self.pieces)
        return text if self.attributes.get("xml:space") == "preserve" else text.strip(_SPACE)

    def all(self, tag: str) -> list[_Element]:
        return [child for child in self.children if child.tag == tag]


def read_xmlbif(path: str | os.PathLike[str]) -> NetworkTables:
    """Bayesian network of an XMLBIF file; raises FormatError with file and line."""
    return parse_xmlbif(read_bytes(path), Path(path).name)


def write_xmlbif(network: NetworkTables, path: str | os.PathLike[str]) -> None:
    """Write an XMLBIF file; raises ValueError as `format_xmlbif`."""
    write_text(path, format_xmlbif(network))


def parse_xmlbif(data: bytes | str, source: str = "<text>") -> NetworkTables:
    """Bayesian network of an XMLBIF document; `source` is the file's name in errors.

    Raises FormatError, a ValueError, with the line of the first error.

    Reference: F. Cozman, The Interchange Format for Bayesian Networks (XMLBIF 0.3), 1998.

    >>> coin = parse_xmlbif('''<BIF VERSION="0.3"><NETWORK><NAME>coin</NAME>
    ... <VARIABLE><NAME>side</NAME><OUTCOME>heads</OUTCOME><OUTCOME>tails</OUTCOME></VARIABLE>
    ... <DEFINITION><FOR>side</FOR><TABLE>0.5 0.5</TABLE></DEFINITION></NETWORK></BIF>''')
    >>> coin.states, coin.tables["side"]
    ({'side': ('heads', 'tails')}, array([0.5, 0.5]))
    """
    return _Reader(source).network(data)


def format_xmlbif(network: NetworkTables) -> str:
    """XMLBIF document of a Bayesian network.

    Raises ValueError for tables that do not fit together and for names with characters that XML
    does not have (control characters).

    >>> coin = NetworkTables("coin", {"side": ("heads", "tails")}, {"side": ()},
    ...                      {"side": np.array([0.5, 0.5])})
    >>> print(format_xmlbif(coin).splitlines()[-5])
      <FOR>side</FOR>
    """
    check_network(network)
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', '<BIF VERSION="0.3">', "<NETWORK>"]
    lines.append(_leaf("NAME", network.name))
    for name, states in network.states.items():
        lines += ['<VARIABLE TYPE="nature">', "  " + _leaf("NAME", name)]
        lines += ["  " + _leaf("OUTCOME", state) for state in states]
        lines.append("</VARIABLE>")
    for name, table in network.tables.items():
        lines += ["<DEFINITION>", "  " + _leaf("FOR", name)]
        lines += ["  " + _leaf("GIVEN", parent) for parent in network.parents[name]]
        rows = table.reshape(-1, table.shape[-1]).tolist()
        numbers = "\n    ".join(render_values(row, " ") for row in rows)
        lines += [f"  <TABLE>{numbers}</TABLE>", "</DEFINITION>"]
    return "\n".join([*lines, "</NETWORK>", "</BIF>"]) + "\n"


def _leaf(tag: str, name: str) -> str:
    if _NOT_XML.search(name):
        raise ValueError(f"XML cannot carry the characters of the name {name!r}; use .bif or .net")
    space = "" if name and name == name.strip(_SPACE) else ' xml:space="preserve"'
    # An XML reader turns a bare carriage return into a line feed.
    text = escape(name, {"\r": "&#13;"})
    return f"<{tag}{space}>{text}</{tag}>"


class _Reader:
    """One document: elements first, then the network they describe."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._root = _Element("", {}, 1)
        self._open = [self._root]
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters
        self._parser.EntityDeclHandler = self._refuse_entity
        self._parser.SkippedEntityHandler = self._refuse_entity

    def network(self, data: bytes | str) -> NetworkTables:
        self._parse(data)
        bif = self._only(self._root, "BIF")
        network = self._only(bif, "NETWORK")
        states: dict[str, tuple[str, ...]] = {}
        lines: dict[str, int] = {}
        for element in network.all("VARIABLE"):
            lines[self._variable(element, states)] = element.line
        found: dict[str, tuple[tuple[str, ...], np.ndarray]] = {}
        if not states:
            self._fail(network.line, "expected a VARIABLE in NETWORK, found none")
        for element in network.all("DEFINITION"):
            self._definition(element, states, found)
        for name in states:
            if name not in found:
                self._fail(lines[name], f"the variable {name!r} has no DEFINITION")
        names = network.all("NAME")
        return NetworkTables(
            name=names[0].text if names else "unknown",
            states=states,
            parents={name: found[name][0] for name in states},
            tables={name: found[name][1] for name in states},
        )

    def _parse(self, data: bytes | str) -> None:
        try:
            self._parser.Parse(data, True)
        except expat.ExpatError as error:
            self._fail(error.lineno, f"not well-formed XML: {expat.ErrorString(error.code)}")
        except FormatError:
            raise
        except (LookupError, ValueError) as error:
            self._fail(1, f"unknown encoding: {error}")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        element = _Element(tag.upper(), attributes, self._parser.CurrentLineNumber)
        self._open[-1].children.append(element)
        self._open.append(element)

    def _end(self, tag: str) -> None:
        self._open.pop()

    def _characters(self, text: str) -> None:
        self._open[-1].pieces.append(text)

    def _refuse_entity(self, name: str, *_: object) -> None:
        self._fail(self._parser.CurrentLineNumber, f"entities are not read, found {name!r}")

    def _variable(self, element: _Element, states: dict[str, tuple[str, ...]]) -> str:
        kind = element.attributes.get("TYPE", "nature")
        if kind != "nature":
            self._fail(element.line, f"expected a variable of type nature, found {kind!r}")
        name = self._only(element, "NAME").text
        labels = tuple(outcome.text for outcome in element.all("OUTCOME"))
        if name in states:
            self._fail(element.line, f"the variable {name!r} is declared twice")
        if not labels or len(set(labels)) != len(labels):
            message = f"expected different outcomes of {name!r}, found {list(labels)}"
            self._fail(element.line, message)
        states[name] = labels
        return name

    def _definition(
        self,
        element: _Element,
        states: dict[str, tuple[str, ...]],
        found: dict[str, tuple[tuple[str, ...], np.ndarray]],
    ) -> None:
        child = self._only(element, "FOR").text
        parents = tuple(given.text for given in element.all("GIVEN"))
        for name in (child, *parents):
            if name not in states:
                self._fail(element.line, f"the variable {name!r} is not declared")
        if len({child, *parents}) != len(parents) + 1:
            self._fail(element.line, f"a variable appears twice in the DEFINITION of {child!r}")
        if child in found:
            self._fail(element.line, f"a second DEFINITION for {child!r}")
        shape = tuple(len(states[name]) for name in (*parents, child))
        found[child] = parents, self._table(self._only(element, "TABLE"), shape, child)

    def _table(self, element: _Element, shape: tuple[int, ...], child: str) -> np.ndarray:
        text = "".join(element.pieces)
        values = parse_values(text)
        if values is None or (values < 0).any():
            offset, message = find_fault(text) or (0, "expected numbers")
            self._fail(element.line + text.count("\n", 0, offset), message)
        if len(values) != prod(shape):
            self._fail(
                element.line, f"expected {prod(shape)} numbers for {child!r}, found {len(values)}"
            )
        return values.reshape(shape)

    def _only(self, element: _Element, tag: str) -> _Element:
        found = element.all(tag)
        if len(found) != 1:
            where = element.tag or "the document"
            line = found[1].line if found else element.line
            self._fail(line, f"expected one {tag} in {where}, found {len(found)}")
        return found[0]

    def _fail(self, line: int, message: str) -> NoReturn:
        raise FormatError(f"{self._source}, line {line}: {message}")
