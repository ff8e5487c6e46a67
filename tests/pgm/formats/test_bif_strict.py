"""BIF beyond the plain files: what else is read, and the line of everything that is wrong."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest

from pgm.formats import FormatError, NetworkTables, format_bif, parse_bif
from pgm.formats.bif import quick_network

Same = Callable[[NetworkTables, NetworkTables], None]

TEXT = """\
network weather {
}
variable rain {
  type discrete [ 2 ] { no, yes };
}
variable grass {
  type discrete [ 3 ] { dry, damp, wet };
}
probability ( rain ) {
  table 0.8, 0.2;
}
probability ( grass | rain ) {
  (no) 0.9, 0.08, 0.02;
  (yes) 0.1, 0.3, 0.6;
}
"""

EVERYTHING = """\
// made by hand /* not a comment of its own
network "weather" { /* several
lines ** "unbalanced */ property "version = 1; x" ; property by hand ;
}
variable "rain" { // two
  property position = (1, 2) ;
  type discrete[2] { "no"  "yes" };
}
variable grass { type discrete [ 3 ] { dry damp, "wet" }; property "last" ; }
probability ( "rain" ) { table 8e-1 .2 ; }
probability ( grass "rain" ) { /* no bar */
  property "units = none";
  (yes) 0.1 0.3, 0.6;
  default 0.9, 0.08 /* inside; */ 0.02;
}
"""


def test_everything_the_format_allows(assert_same: Same) -> None:
    assert quick_network(TEXT) is not None and quick_network(EVERYTHING) is None
    assert_same(parse_bif(EVERYTHING), parse_bif(TEXT))


def test_conditional_table_has_the_child_slowest_and_the_last_parent_fastest(
    wet: NetworkTables, assert_same: Same
) -> None:
    numbers = " ".join(
        repr(float(wet.tables["grass"][rain, wind, grass]))
        for grass in range(2)
        for rain in range(2)
        for wind in range(3)
    )
    head, _, _ = format_bif(wet).partition("probability ( grass")
    block = f"probability ( grass | rain, wind ) {{ table {numbers}; }}"
    assert_same(parse_bif(head + block), wet)


def test_default_alone_fills_every_row() -> None:
    rows = "  (no) 0.9, 0.08, 0.02;\n  (yes) 0.1, 0.3, 0.6;\n"
    table = parse_bif(TEXT.replace(rows, "default 0.5, 0.25, 0.25;")).tables["grass"]
    assert table.tolist() == [[0.5, 0.25, 0.25]] * 2


def test_a_default_does_not_fill_the_memory() -> None:
    parents = [f"p{i}" for i in range(50)]
    text = "network n {}" + "".join(
        f"variable {name} {{ type discrete [ 2 ] {{ a, b }}; }}" for name in ["x", *parents]
    )
    text += "".join(f"probability ( {name} ) {{ table 0.5, 0.5; }}" for name in parents)
    text += f"\nprobability ( x | {', '.join(parents)} ) {{ default 0.5, 0.5; }}"
    with pytest.raises(FormatError, match=f"line 2: the table of 'x' has {2**51} entries"):
        parse_bif(text)
    row = f"({', '.join('a' * 50)})"
    with pytest.raises(FormatError, match=r"line 2: 'x' has no row for \(a, a, .*, b\)$"):
        parse_bif(text.replace("default", row))


def test_keywords_can_be_names() -> None:
    text = TEXT.replace("rain", "table").replace("grass", "probability").replace("no", "default")
    network = parse_bif(text)
    assert network.parents == {"table": (), "probability": ("table",)}
    assert network.states["table"] == ("default", "yes")


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("network weather", "net weather", 1, "expected 'network', found 'net'"),
        ("network weather {", "network {", 1, "expected the network's name, found '{'"),
        ("variable grass", "variables grass", 6, "expected 'variable' or 'probability', found 'v"),
        ("variable grass", "junk variable grass", 6, "expected 'variable' or 'probability'"),
        ("variable grass", "variable rain", 6, "the variable 'rain' is declared twice"),
        ("variable grass", "variable", 6, "expected the name of a variable, found '{'"),
        ("  type discrete [ 3 ] { dry, damp, wet };\n", "", 7, "expected 'type', found '}'"),
        ("discrete [ 3 ]", "continuous [ 3 ]", 7, "expected 'discrete', found 'continuous'"),
        ("[ 3 ]", "[ three ]", 7, "expected a number of states, found 'three'"),
        ("[ 3 ]", "[ 4 ]", 7, "'grass' declares 4 states and lists 3"),
        ("[ 3 ] { dry, damp, wet }", "[ 0 ] { }", 7, "'grass' declares 0 states and lists 0"),
        ("damp, wet", "damp, dry", 7, "the state 'dry' of 'grass' is listed twice"),
        ("damp, wet }", "damp, wet [1] }", 7, "expected a state or '}', found '['"),
        ("wet };", "wet }", 8, "expected ';', found '}'"),
        ('dry,', '"dry,', 7, "the string that starts here does not end"),
        ("(yes)", "/* (yes)", 14, "the comment that starts here does not end"),
        ("( rain )", "( snow )", 9, "the variable 'snow' is not declared"),
        ("| rain", "| snow", 12, "the variable 'snow' is not declared"),
        ("| rain", "| rain, rain", 12, "a variable appears twice in the block of 'grass'"),
        ("| rain", "| grass", 12, "a variable appears twice in the block of 'grass'"),
        ("( grass | rain )", "( rain )", 12, "a second probability block for 'rain'"),
        ("probability ( rain ) {\n  table 0.8, 0.2;\n}\n", "", 3, "'rain' has no probability blo"),
        ("table 0.8, 0.2;", "", 9, "'rain' has no row for ()"),
        ("table 0.8, 0.2", "table 0.8", 9, "expected 2 numbers for 'rain', found 1"),
        ("table 0.8", "table 0.7, 0.1", 9, "expected 2 numbers for 'rain', found 3"),
        ("0.2;", "0.2; table 1, 0;", 10, "a second 'table' in the same block"),
        ("0.2;", "0.2; () 1, 0;", 9, "the block of 'rain' has a table and other entries"),
        ("table 0.8", "tables 0.8", 10, "expected a row, 'table', 'default' or '}', found 'table"),
        ("0.3, 0.6;", "0.3;", 14, "expected 3 numbers for 'grass', found 2"),
        ("0.08, 0.02", "0.08, 0.02, 0", 13, "expected 3 numbers for 'grass', found 4"),
        ("0.08,", ",0.08,,0,", 13, "expected 3 numbers for 'grass', found 4"),
        ("0.3, 0.6;", "0.3, 0.6", 15, "expected a number or ';', found '}'"),
        ("0.02;", "0.02", 14, "expected a number or ';', found '('"),
        ("(yes) 0.1", "(yes 0.1", 14, "expected a state or ')', found ';'"),
        ("(yes)", "yes)", 14, "expected a row, 'table', 'default' or '}', found 'yes'"),
        ("(yes)", "(maybe)", 14, "'maybe' is not a state of 'rain'"),
        ("(yes)", "(no)", 14, "a second row for (no)"),
        ("(yes)", "(yes, yes)", 14, "expected 1 parent states, found 2"),
        ("  (yes) 0.1, 0.3, 0.6;\n", "", 12, "'grass' has no row for (yes)"),
        ("(yes) 0.1", "default 0, 0.1", 12, "expected 3 numbers for 'grass', found 4"),
        ("(yes) 0.1", "default 1, 0, 0; default 0.1", 14, "a second 'default' in the same block"),
        ("0.08", "0,08x", 13, "expected a number, found '08x'"),
        ("0.08", "-0.08", 13, "expected a number that is not negative, found -0.08"),
        ("0.08", "nan", 13, "expected a number, found 'nan'"),
        ("0.08", "inf", 13, "expected a number, found 'inf'"),
        ("0.08", "1e999", 13, "expected a finite number, found 1e999"),
        ("0.08", "0_8", 13, "expected a number, found '0_8'"),
        ("0.08", "0.0.8", 13, "expected a number, found '0.0.8'"),
        ("0.08", "\u0660", 13, "expected a number, found '\u0660'"),
        ("0.08", '"0.08"', 13, "expected a number or ';', found '0.08'"),
        ("0.6;\n}", "0.6;", 14, "found the end of the file"),
        ("0.6;\n}", "0.6;\n}\n}", 16, "expected 'variable' or 'probability', found '}'"),
        ("}\nvariable rain", "property x }\nvariable rain", 2, "expected ';', found '}'"),
    ],
)  # fmt: skip
def test_errors_name_the_file_and_the_line(old: str, new: str, line: int, message: str) -> None:
    assert TEXT.count(old) == 1, old
    text = TEXT.replace(old, new)
    with pytest.raises(FormatError) as caught:
        parse_bif(text, "weather.bif")
    assert str(caught.value).startswith(f"weather.bif, line {line}: ")
    assert message in str(caught.value)


@pytest.mark.parametrize("text", [TEXT, EVERYTHING], ids=["plain", "everything"])
def test_a_truncated_file_is_refused(text: str, assert_same: Same) -> None:
    whole = parse_bif(text)
    for end in range(len(text)):
        try:
            network = parse_bif(text[:end])
        except ValueError:
            continue
        assert text[end:].isspace()
        assert_same(network, whole)


@pytest.mark.parametrize(
    "filler", [" ", "\n", "/", "//\n", "/**/", '"', "\\", "a", "(", "1 ", "0"]
)
def test_long_nonsense_does_not_take_long(filler: str) -> None:
    for text in (filler * 50_000, TEXT + filler * 50_000, TEXT.replace("0.08", filler * 50_000)):
        with contextlib.suppress(ValueError):
            parse_bif(text)
