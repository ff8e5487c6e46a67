"""XMLBIF: documents of other programs, errors with their line, and no entities."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pgm.formats import FormatError, NetworkTables, format_xmlbif, parse_xmlbif

Same = Callable[[NetworkTables, NetworkTables], None]

TEXT = """\
<?xml version="1.0" encoding="US-ASCII"?>
<!-- made by hand -->
<!DOCTYPE BIF [
  <!ELEMENT BIF ( NETWORK )*>
  <!ATTLIST BIF VERSION CDATA #REQUIRED>
  <!ELEMENT NAME (#PCDATA)>
]>
<BIF VERSION="0.3">
<NETWORK>
<NAME> weather </NAME>
<PROPERTY>whatever</PROPERTY>
<VARIABLE TYPE="nature">
  <NAME>rain</NAME>
  <OUTCOME> no </OUTCOME>
  <OUTCOME>yes</OUTCOME>
  <PROPERTY>position = (1, 2)</PROPERTY>
</VARIABLE>
<VARIABLE TYPE="nature">
  <NAME>grass</NAME>
  <OUTCOME>dry</OUTCOME><OUTCOME>a &lt; b &amp; c</OUTCOME><OUTCOME>&#233;</OUTCOME>
</VARIABLE>
<DEFINITION>
  <FOR>rain</FOR>
  <TABLE>0.75 0.25</TABLE>
</DEFINITION>
<DEFINITION>
  <FOR>grass</FOR>
  <GIVEN>rain</GIVEN>
  <TABLE>
    0.9 0.08 0.02 <!-- no -->
    0.1 0.3 0.6
  </TABLE>
</DEFINITION>
</NETWORK>
</BIF>
"""


def test_a_document_with_a_type_comments_and_references() -> None:
    network = parse_xmlbif(TEXT)
    assert network.name == "weather"
    assert network.states == {"rain": ("no", "yes"), "grass": ("dry", "a < b & c", "é")}
    assert network.parents == {"rain": (), "grass": ("rain",)}
    assert network.tables["grass"].tolist() == [[0.9, 0.08, 0.02], [0.1, 0.3, 0.6]]


def test_axes_are_the_parents_in_order_then_the_child(
    wet: NetworkTables, assert_same: Same
) -> None:
    text = format_xmlbif(wet)
    assert_same(parse_xmlbif(text), wet)
    numbers = text[text.rindex("<TABLE>") + 7 : text.rindex("</TABLE>")].split()
    assert [float(number) for number in numbers] == wet.tables["grass"].ravel().tolist()


def test_declared_encodings_are_followed() -> None:
    text = TEXT.replace("US-ASCII", "ISO-8859-1").replace("&#233;", "é")
    assert parse_xmlbif(text.encode("latin-1")).states["grass"][2] == "é"
    assert parse_xmlbif(TEXT.replace("US-ASCII", "UTF-16").encode("utf-16")).name == "weather"


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("</BIF>", "", 36, "not well-formed XML: no element found"),
        ("</FOR>\n  <GIVEN>", "</TO>\n  <GIVEN>", 27, "not well-formed XML: mismatched tag"),
        ("US-ASCII", "klingon", 1, "unknown encoding"),
        ("]>", '<!ENTITY a "b">\n]>', 7, "entities are not read, found 'a'"),
        ("]>", '<!ENTITY a SYSTEM "a.txt">\n]>', 7, "entities are not read, found 'a'"),
        ("]>", '<!ENTITY % a "b">\n]>', 7, "entities are not read, found 'a'"),
        ("weather", "&a;", 10, "not well-formed XML: undefined entity"),
        (">yes<", "> no<", 12, "expected different outcomes of 'rain', found ['no', 'no']"),
        ("  <NAME>grass</NAME>\n", "", 18, "expected one NAME in VARIABLE, found 0"),
        ("<NAME>grass", "<NAME>rain", 18, "the variable 'rain' is declared twice"),
        ("grass</FOR>\n  <GIVEN>rain</GIVEN>", "rain</FOR>", 26, "a second DEFINITION for 'rain'"),
        ("<FOR>grass", "<FOR>snow", 26, "the variable 'snow' is not declared"),
        ("<GIVEN>rain", "<GIVEN>snow", 26, "the variable 'snow' is not declared"),
        ("<GIVEN>rain", "<GIVEN>grass", 26, "a variable appears twice"),
        ("<FOR>grass</FOR>", "<FOR>grass</FOR><FOR>rain</FOR>", 27, "expected one FOR"),
        ("<TABLE>0.75 0.25</TABLE>", "", 22, "expected one TABLE in DEFINITION, found 0"),
        ("0.75 0.25", "0.75", 24, "expected 2 numbers for 'rain', found 1"),
        ("0.3 0.6", "0.3 0,6", 31, "expected a number, found '0,6'"),
        ("0.3 0.6", "-0.3 0.6", 31, "expected a number that is not negative, found -0.3"),
        ("0.3 0.6", "0.3 nan", 31, "expected a number, found 'nan'"),
        ("0.02", "2e400", 30, "expected a finite number, found 2e400"),
    ],
)  # fmt: skip
def test_errors_name_the_file_and_the_line(old: str, new: str, line: int, message: str) -> None:
    assert old in TEXT
    with pytest.raises(FormatError) as caught:
        parse_xmlbif(TEXT.replace(old, new, 1).encode(), "weather.xmlbif")
    assert str(caught.value).startswith(f"weather.xmlbif, line {line}: ")
    assert message in str(caught.value)


def test_other_kinds_of_variable_and_missing_definitions_are_refused() -> None:
    with pytest.raises(FormatError, match="line 12: expected a variable of type nature"):
        parse_xmlbif(TEXT.replace("nature", "utility", 1))
    start = TEXT.index("<DEFINITION>", TEXT.index("</DEFINITION>"))
    end = TEXT.index("</NETWORK>")
    with pytest.raises(FormatError, match="line 18: the variable 'grass' has no DEFINITION"):
        parse_xmlbif(TEXT[:start] + TEXT[end:])
    with pytest.raises(FormatError, match="line 9: expected a VARIABLE in NETWORK, found none"):
        parse_xmlbif(TEXT[: TEXT.index("<VARIABLE")] + TEXT[end:])
    with pytest.raises(FormatError, match="line 1: expected one BIF in the document, found 0"):
        parse_xmlbif("<NETWORK></NETWORK>")


def test_external_document_types_are_not_fetched() -> None:
    external = TEXT.replace("<!DOCTYPE BIF [", '<!DOCTYPE BIF SYSTEM "file:///missing.dtd" [')
    assert parse_xmlbif(external).name == "weather"
    with pytest.raises(FormatError, match="entities are not read, found 'a'"):
        parse_xmlbif(external.replace("weather", "&a;"))


def test_a_truncated_document_is_refused(assert_same: Same) -> None:
    whole = parse_xmlbif(TEXT)
    for end in range(len(TEXT)):
        try:
            network = parse_xmlbif(TEXT[:end])
        except ValueError:
            continue
        assert TEXT[end:].isspace()
        assert_same(network, whole)


def test_characters_that_xml_lacks_are_refused(wet: NetworkTables) -> None:
    odd = NetworkTables("a\0b", wet.states, wet.parents, wet.tables)
    with pytest.raises(ValueError, match=r"XML cannot carry the characters of the name 'a\\x00b'"):
        format_xmlbif(odd)
