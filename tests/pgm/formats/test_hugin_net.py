"""NET: files of other programs, and the line of everything that is wrong."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest

from pgm.formats import FormatError, NetworkTables, format_net, parse_net

Same = Callable[[NetworkTables, NetworkTables], None]

TEXT = """\
% made by hand; "unbalanced
net
{
    node_size = (80 40);
    name = "weather";
}
node rain
{
    label = "Is it {raining}; or (not)?";
    states = ("no" "yes");
}
discrete node grass { position = (1 2); states = ("dry" damp "wet"); }
potential ( rain ) { data = ( 0.75 0.25 ); }
potential ( grass | rain )
{
    data = (( 0.9 0.08 0.02 ) % rain=no; (not a number
            ( 0.1 0.3
              0.6 )); % rain=yes
}
"""


def test_a_file_with_comments_and_other_attributes() -> None:
    network = parse_net(TEXT)
    assert network.name == "weather"
    assert network.states == {"rain": ("no", "yes"), "grass": ("dry", "damp", "wet")}
    assert network.parents == {"rain": (), "grass": ("rain",)}
    assert network.tables["grass"].tolist() == [[0.9, 0.08, 0.02], [0.1, 0.3, 0.6]]


def test_axes_are_the_parents_in_order_then_the_child(
    wet: NetworkTables, assert_same: Same
) -> None:
    text = format_net(wet)
    assert_same(parse_net(text), wet)
    data = text[text.rindex("data = ") + 7 : text.rindex(";")]
    numbers = [float(word) for word in data.replace("(", " ").replace(")", " ").split()]
    assert numbers == wet.tables["grass"].ravel().tolist()
    assert data.startswith("(((") and data.endswith(")))")


def test_a_flat_list_is_a_table_too(wet: NetworkTables, assert_same: Same) -> None:
    text = format_net(wet)
    start = text.rindex("data = ") + 7
    flat = text[start:].replace("(", " ").replace(")", " ").replace(";", ");")
    assert_same(parse_net(f"{text[:start]}({flat}"), wet)


def test_names_that_are_no_identifiers_travel_in_an_attribute(assert_same: Same) -> None:
    names = ["a b", "a_b", "a-b", "", "1", "node", 'say "hi" \\ there\n', "é"]
    one = parse_net("net { } node x { states = (s); } potential (x) { data = (1); }").tables["x"]
    network = NetworkTables(
        "odd", dict.fromkeys(names, ("s",)), dict.fromkeys(names, ()), dict.fromkeys(names, one)
    )
    text = format_net(network)
    assert "node a_b {" in text and "node a_b_2 {" in text and "node v_1 {" in text
    assert_same(parse_net(text), network)


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("net\n{", "class weather\n{", 2, "expected 'net', found 'class'"),
        ("node_size = ", "node_size ", 4, "expected '=', found '('"),
        ("(80 40);", "(80 40)", 5, "expected ';', found '='"),
        ('"weather";', '"weather"', 6, "expected ';', found '}'"),
        ("node rain", "utility rain", 7, "expected 'node' or 'potential' of discrete variables"),
        ("discrete node", "continuous node", 12, "expected 'node' or 'potential' of discrete"),
        ("discrete node", "discrete potential", 12, "expected 'node' or 'potential' of discrete"),
        ("node grass", "node rain", 12, "the node 'rain' is declared twice"),
        ('"wet"', '"dry"', 12, "expected different states of 'grass', found ['dry', 'damp', 'dry"),
        ('    states = ("no" "yes");\n', "", 7, "expected different states of 'rain', found []"),
        ('"wet"', '"wet', 12, "the string that starts here does not end"),
        ("( rain )", "( snow )", 13, "the node 'snow' is not declared"),
        ("| rain", "| snow", 14, "the node 'snow' is not declared"),
        ("| rain", "| grass", 14, "a node appears twice in the potential of 'grass'"),
        ("( grass | rain )", "( grass rain )", 14, "expected '|', found 'rain'"),
        ("( grass | rain )", "( rain )", 14, "a second potential for 'rain'"),
        ("potential ( rain ) { data = ( 0.75 0.25 ); }\n", "", 7, "the node 'rain' has no potent"),
        ("data = ( 0.75 0.25 );", "", 13, "the potential of 'rain' has no data"),
        ("data = ( 0.75", "data = (1 0); data = ( 0.75", 13, "expected one plain table of data"),
        ("data = ( 0.75", "model_data = ( 0.75", 13, "found 'model_data'"),
        ("0.75 0.25", "0.75", 13, "expected 2 numbers for 'rain', found 1"),
        ("0.75 0.25", "0.75 0.25 0", 13, "expected 2 numbers for 'rain', found 3"),
        ("( 0.75 0.25 )", "0.75 0.25", 13, "the parentheses of the data of 'rain' do not follow"),
        ("( 0.75 0.25 )", "( 0.75 0.25", 13, "the parentheses of the data of 'rain' do not follo"),
        ("( 0.75 0.25 )", "-1 0.75 0.25 )", 13, "a number that is not negative, found -1"),
        ("0.1 0.3", ") ( 0.1 0.3", 14, "the parentheses of the data of 'grass' do not follow"),
        ("0.02 )", "0.02", 14, "the parentheses of the data of 'grass' do not follow"),
        ("0.6 )", "0,6 )", 18, "expected a number, found '0,6'"),
        ("0.6 )", "-0.6 )", 18, "expected a number that is not negative, found -0.6"),
        ("0.6 )", "nan )", 18, "expected a number, found 'nan'"),
        ("0.6 )", "1e999 )", 18, "expected a finite number, found 1e999"),
        ("0.6 ));", "0.6 ))", 19, "expected ';', found '}'"),
        ("% rain=yes\n}", "% rain=yes\n", 18, "found the end of the file"),
    ],
)  # fmt: skip
def test_errors_name_the_file_and_the_line(old: str, new: str, line: int, message: str) -> None:
    assert TEXT.count(old) == 1, old
    with pytest.raises(FormatError) as caught:
        parse_net(TEXT.replace(old, new), "weather.net")
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"weather.net, line {line}: ")


def test_a_truncated_file_is_refused(assert_same: Same) -> None:
    whole = parse_net(TEXT)
    for end in range(len(TEXT)):
        try:
            network = parse_net(TEXT[:end])
        except ValueError:
            continue
        assert TEXT[end:].isspace()
        assert_same(network, whole)


@pytest.mark.parametrize("filler", [" ", "%\n", '"', "\\", "a", "(", ")", "1 ", "0", ";", "%"])
def test_long_nonsense_does_not_take_long(filler: str) -> None:
    for text in (filler * 50_000, TEXT + filler * 50_000, TEXT.replace("0.08", filler * 50_000)):
        with contextlib.suppress(ValueError):
            parse_net(text)
