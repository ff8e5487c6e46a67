"""Any names and any numbers survive every format that has names, bit for bit."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgm.formats import (
    NetworkTables,
    format_bif,
    format_net,
    format_uai,
    format_xmlbif,
    parse_bif,
    parse_net,
    parse_uai,
    parse_xmlbif,
)

Same = Callable[[NetworkTables, NetworkTables], None]
Write = Callable[[NetworkTables], str]
Read = Callable[[str], NetworkTables]

ODD_NAMES = [
    "", " ", " pad ", "a b", "Asy/Patch", "<5", "12+", "5-12", "x.y", "a,b", "a;b", "{a}", "(a)",
    "[a]", "a|b", 'say "hi"', "it's", '"', "\\", "\\n", '\\"', "a\\", "//", "/", "/*", "*/",
    "a//b", "%", "#", "=", "a=b", "-1", "0.5", "nan", "table", "default", "property", "network",
    "variable", "node", "net", "\n", "\r", "\r\n", "\t", "a\nb", "\u2028", "\x85", "\x1c", "\x00",
    "\ufeff", "\uffff", "é", "雨", "&amp;", "<b>", "]]>", "<!--", "🌧",
]  # fmt: skip
NUMBERS = st.one_of(
    st.floats(min_value=0, allow_nan=False, allow_infinity=False),
    st.sampled_from([0.0, -0.0, 1.0, 0.1, 1 / 3, 1e-300, 5e-324, 1.7976931348623157e308]),
)
NAMES = st.one_of(
    st.sampled_from(ODD_NAMES), st.text(max_size=6), st.text('ab/*\\" ,\n', max_size=4)
)
XML_NAMES = NAMES.filter(lambda name: all(c >= " " or c in "\t\n\r" for c in name)).filter(
    lambda name: not any(c in "\ufffe\uffff" for c in name)
)
SETTINGS = settings(max_examples=120, deadline=None, database=None)


@st.composite
def networks(draw: st.DrawFn, names: st.SearchStrategy[str]) -> NetworkTables:
    """Networks of up to four variables of up to three states, parents in any order."""
    variables = draw(st.lists(names, min_size=1, max_size=4, unique=True))
    labels = st.lists(names, min_size=1, max_size=3, unique=True).map(tuple)
    states = {variable: draw(labels) for variable in variables}
    order = draw(st.permutations(variables))
    parents: dict[str, tuple[str, ...]] = {}
    tables: dict[str, np.ndarray] = {}
    for variable in variables:
        before = order[: order.index(variable)]
        parents[variable] = tuple(draw(st.permutations(before))[: draw(st.integers(0, 2))])
        shape = tuple(len(states[name]) for name in (*parents[variable], variable))
        size = int(np.prod(shape))
        numbers = draw(st.lists(NUMBERS, min_size=size, max_size=size))
        tables[variable] = np.array(numbers, dtype=np.float64).reshape(shape)
    return NetworkTables(draw(names), states, parents, tables)


@pytest.mark.parametrize(("write", "read"), [(format_bif, parse_bif), (format_net, parse_net)])
@SETTINGS
@given(network=networks(NAMES))
def test_any_names(write: Write, read: Read, assert_same: Same, network: NetworkTables) -> None:
    assert_same(read(write(network)), network)


@SETTINGS
@given(network=networks(XML_NAMES))
def test_any_names_that_xml_can_carry(assert_same: Same, network: NetworkTables) -> None:
    assert_same(parse_xmlbif(format_xmlbif(network).encode()), network)


@SETTINGS
@given(network=networks(st.text(max_size=3)))
def test_uai_keeps_everything_but_the_names(network: NetworkTables) -> None:
    again = parse_uai(format_uai(network))
    assert isinstance(again, NetworkTables)
    number = {name: str(i) for i, name in enumerate(network.states)}
    assert list(again.states) == list(number.values())
    for name, i in number.items():
        assert again.parents[i] == tuple(number[parent] for parent in network.parents[name])
        assert again.tables[i].shape == network.tables[name].shape
        assert again.tables[i].tobytes() == network.tables[name].tobytes()


@pytest.mark.parametrize("name", ODD_NAMES)
@pytest.mark.parametrize(
    ("write", "read"),
    [(format_bif, parse_bif), (format_net, parse_net), (format_xmlbif, parse_xmlbif)],
)
def test_every_odd_name_in_every_place(
    write: Write, read: Read, name: str, assert_same: Same
) -> None:
    network = NetworkTables(
        name=name,
        states={name: ("a", name + "b"), "child": (name, name + "c")},
        parents={name: (), "child": (name,)},
        tables={name: np.array([0.25, 0.75]), "child": np.array([[0.1, 0.9], [0.7, 0.3]])},
    )
    if write is format_xmlbif and name in ("\x00", "\x1c", "\uffff"):
        with pytest.raises(ValueError, match="XML cannot carry"):
            write(network)
    else:
        assert_same(read(write(network)), network)


@pytest.mark.parametrize("write", [format_bif, format_net, format_xmlbif, format_uai])
def test_a_network_without_variables_is_refused(write: Write) -> None:
    with pytest.raises(ValueError, match="a network needs a variable"):
        write(NetworkTables("nothing", {}, {}, {}))


@settings(max_examples=300, deadline=None, database=None)
@given(data=st.data())
def test_damaged_texts_raise_nothing_but_value_errors(
    data: st.DataObject, wet: NetworkTables
) -> None:
    pairs: list[tuple[Write, Callable[[str], object]]] = [
        (format_net, parse_net),
        (format_xmlbif, parse_xmlbif),
        (format_uai, parse_uai),
    ]
    write, read = data.draw(st.sampled_from(pairs))
    text = write(wet)
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        length = data.draw(st.sampled_from([0, 1, 2, 30]))
        pieces = [*'(){}=;%"<>&/-. \n1a', "", "1e999 ", "-1 ", "99999999 ", "nan "]
        text = text[:start] + data.draw(st.sampled_from(pieces)) + text[start + length :]
    with contextlib.suppress(ValueError):
        read(text)
