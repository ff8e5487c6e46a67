"""UAI: the public problems, both kinds of network, and the line of everything that is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pgm.formats import (
    FormatError,
    MarkovTables,
    NetworkTables,
    format_markov,
    format_uai,
    parse_uai,
    read_markov,
    read_network,
    read_uai_assignment,
    read_uai_evidence,
    read_uai_marginals,
    read_uai_partition,
    write_markov,
    write_network,
)
from pgm.formats.uai_results import (
    parse_uai_assignment,
    parse_uai_evidence,
    parse_uai_marginals,
    parse_uai_partition,
)

PROBLEMS = ["Alchemy_11", "CSP_12", "DBN_11", "Grids_12", "Promedus_13", "Promedus_21",
            "Promedus_24", "Promedus_30", "Promedus_32", "Segmentation_11"]  # fmt: skip

MARKOV = """\
MARKOV
3
2 2 3
3
2 1 0
2 1 2
0
4
 1.0 2.0
 3.0 4.0
6
 0 1e-300 2 3 4 0.0000
1
 7
"""

BAYES = """\
BAYES
3
2 3 2
3
2 0 1   # comments are read past
1 0
3 1 0 2

6
 0.1 0.2 0.7
 0.3 0.3 0.4
2
 0.5 0.5
12
 0 1 .1 .9 .2 .8
 .3 .7 .4 .6 .5 .5
"""


@pytest.mark.parametrize("name", PROBLEMS)
def test_public_problems_and_their_answers_fit_together(name: str, uai_folder: Path) -> None:
    path = uai_folder / f"{name}.uai"
    network = read_markov(path)
    words = path.read_text().split()
    assert len(network.cardinalities) == int(words[1])
    entries = sum(table.size for table in network.tables)
    last = network.tables[-1]
    assert last.ravel().tolist() == [float(word) for word in words[len(words) - last.size :]]
    integers = 3 + len(network.cardinalities) + sum(2 + len(s) for s in network.scopes)
    assert len(words) == integers + entries
    marginals = read_uai_marginals(f"{path}.MAR")
    assert tuple(map(len, marginals)) == network.cardinalities
    assert all(abs(marginal.sum() - 1) < 1e-4 for marginal in marginals)
    assignment = read_uai_assignment(f"{path}.MAP")
    evidence = read_uai_evidence(f"{path}.evid")
    assert all(state < card for state, card in zip(assignment, network.cardinalities, strict=True))
    assert all(assignment[variable] == state for variable, state in evidence.items())
    assert f"{read_uai_partition(f'{path}.PR'):g}" == Path(f"{path}.PR").read_text().split()[1]


def test_the_last_variable_of_a_scope_varies_fastest() -> None:
    network = parse_uai(MARKOV)
    assert isinstance(network, MarkovTables)
    assert network.cardinalities == (2, 2, 3) and network.scopes == ((1, 0), (1, 2), ())
    assert network.tables[0].tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert network.tables[1].tolist() == [[0.0, 1e-300, 2.0], [3.0, 4.0, 0.0]]
    assert network.tables[2].shape == () and network.tables[2] == 7


def test_the_last_variable_of_a_bayesian_scope_is_the_child(tmp_path: Path) -> None:
    (tmp_path / "net.uai").write_text(BAYES)
    network = read_network(tmp_path / "net.uai")
    assert network.states == {"0": ("0", "1"), "1": ("0", "1", "2"), "2": ("0", "1")}
    assert network.parents == {"0": (), "1": ("0",), "2": ("1", "0")}
    assert network.tables["2"].shape == (3, 2, 2)
    assert network.tables["2"][1, 0].tolist() == [0.2, 0.8]
    factors = read_markov(tmp_path / "net.uai")
    assert factors.scopes == ((0,), (0, 1), (1, 0, 2))
    assert factors.tables[2] is not network.tables["2"]
    assert np.array_equal(factors.tables[2], network.tables["2"])


def test_markov_networks_survive_a_round_trip(tmp_path: Path) -> None:
    network = parse_uai(MARKOV)
    assert isinstance(network, MarkovTables)
    write_markov(network, tmp_path / "m.uai.gz")
    again = read_markov(tmp_path / "m.uai.gz")
    assert (again.cardinalities, again.scopes) == (network.cardinalities, network.scopes)
    for left, right in zip(again.tables, network.tables, strict=True):
        assert left.shape == right.shape and left.tobytes() == right.tobytes()
    with pytest.raises(ValueError, match="holds a Markov network; use read_markov"):
        read_network(tmp_path / "m.uai.gz")


def test_names_become_numbers(wet: NetworkTables, tmp_path: Path) -> None:
    write_network(wet, tmp_path / "wet.uai")
    network = read_network(tmp_path / "wet.uai")
    assert network.states["1"] == ("0", "1", "2") and network.parents["2"] == ("0", "1")
    for left, right in zip(network.tables.values(), wet.tables.values(), strict=True):
        assert np.array_equal(left, right)


@pytest.mark.parametrize(
    ("text", "old", "new", "line", "message"),
    [
        (MARKOV, "MARKOV", "LIMID", 1, "expected BAYES or MARKOV, found 'LIMID'"),
        (MARKOV, "2 2 3\n3", "2 0 3\n3", 3, "expected a cardinality, an integer at least 1, foun"),
        (MARKOV, "2 2 3\n3", "2 -2 3\n3", 3, "expected a cardinality, an integer at least 1"),
        (MARKOV, "2 2 3\n3", "2 2.5 3\n3", 3, "an integer at least 1, found 2.5"),
        (MARKOV, "MARKOV\n3", "MARKOV\n999999999", 3, "expected 999999999 more entries, found"),
        (MARKOV, "2 1 0", "2 1 3", 5, "expected a variable, an integer from 0 to 2, found 3"),
        (MARKOV, "2 1 0", "2 1 1", 5, "the variable 1 appears twice in a scope"),
        (MARKOV, "2 1 0", "4 1 0", 5, "expected the size of a scope, an integer from 0 to 3"),
        (MARKOV, "4\n 1.0", "3\n 1.0", 8, "expected 4 entries for the table of (1, 0), found 3"),
        (MARKOV, "3.0 4.0", "3.0", 12, "expected 6 entries for the table of (1, 2), found 0"),
        (MARKOV, "4.0\n6", "-4.0\n6", 10, "expected a number that is not negative, found -4.0"),
        (MARKOV, "4.0\n6", "nan\n6", 10, "expected a number, found 'nan'"),
        (MARKOV, "4.0\n6", "4,0\n6", 10, "expected a number, found '4,0'"),
        (MARKOV, "4.0\n6", "1e999\n6", 10, "expected a finite number, found 1e999"),
        (MARKOV, "\n 7\n", "\n", 13, "expected 1 numbers for the table of (), found the end"),
        (MARKOV, "\n 7\n", "\n 7\n 8\n", 15, "expected the end of the file, found 8"),
        (BAYES, "3\n2 0 1", "2\n2 0 1", 4, "expected 3 tables, one per variable of a BAYES file"),
        (BAYES, "1 0\n3", "0\n3", 6, "expected the size of a scope, an integer from 1 to 3, foun"),
        (BAYES, "1 0\n3", "1 1\n3", 6, "a second table for the variable 1"),
    ],
)  # fmt: skip
def test_errors_name_the_file_and_the_line(
    text: str, old: str, new: str, line: int, message: str
) -> None:
    assert text.count(old) == 1, old
    with pytest.raises(FormatError) as caught:
        parse_uai(text.replace(old, new), "net.uai")
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"net.uai, line {line}: ")


@pytest.mark.parametrize("text", [MARKOV, BAYES], ids=["markov", "bayes"])
def test_a_file_without_its_last_lines_is_refused(text: str) -> None:
    lines = text.splitlines(keepends=True)
    for end in range(len(lines)):
        with pytest.raises(FormatError, match=r"^<text>, line "):
            parse_uai("".join(lines[:end]))


def test_tables_that_do_not_fit_are_not_written(wet: NetworkTables) -> None:
    table = np.ones((2, 3))
    for bad, message in [
        (MarkovTables((2, 0), (), ()), "cardinalities"),
        (MarkovTables((2, 3), ((0, 1),), ()), "1 scopes cannot have 0 tables"),
        (MarkovTables((2, 3), ((1, 1),), (table,)), "scope 0 must hold different variables"),
        (MarkovTables((2, 3), ((0, 2),), (table,)), "scope 0 must hold different variables"),
        (MarkovTables((2, 3), ((1, 0),), (table,)), r"table 0 must have shape \(3, 2\)"),
        (MarkovTables((2, 3), ((0, 1),), (-table,)), "negative or non-finite"),
    ]:
        with pytest.raises(ValueError, match=message):
            format_markov(bad)
    with pytest.raises(ValueError, match="same keys"):
        format_uai(NetworkTables("n", wet.states, {}, {}))


def test_evidence_in_both_layouts() -> None:
    assert parse_uai_evidence("0\n") == {} == parse_uai_evidence("1\n0")
    assert parse_uai_evidence("2 7 0 12 1") == {7: 0, 12: 1} == parse_uai_evidence("1\n2 7 0 12 1")
    assert parse_uai_evidence("1 1 0") == {1: 0} == parse_uai_evidence("1\n1 1 0")


def test_answers_in_both_layouts() -> None:
    assert parse_uai_partition("PR\n-4.5\n") == -4.5 == parse_uai_partition("PR\n1\n-4.5")
    for text in ("MAR\n2 2 0.25 0.75 1 1", "MAR\n1\n2 2 0.25 0.75 1 1"):
        assert [m.tolist() for m in parse_uai_marginals(text)] == [[0.25, 0.75], [1.0]]
    for text in ("MAR 1 2 0.25 0.75", "MAR 1\n1 2 0.25 0.75"):
        assert [m.tolist() for m in parse_uai_marginals(text)] == [[0.25, 0.75]]
    assert (
        parse_uai_assignment("MAP 3 0 2 1") == (0, 2, 1) == parse_uai_assignment("MAP 1 3 0 2 1")
    )
    assert parse_uai_assignment("MAP 1 4") == (4,) == parse_uai_assignment("MAP 1 1 4")


@pytest.mark.parametrize(
    ("parse", "text", "message"),
    [
        (parse_uai_evidence, "", "line 1: expected the number of observed variables, found the e"),
        (parse_uai_evidence, "2\n7 0\n", "line 2: expected an observed variable, found the end"),
        (parse_uai_evidence, "1\n7 0 3 1", "line 2: expected the end of the file, found 3"),
        (parse_uai_evidence, "2\n1 7 0\n1 7 1 9", "of which one can be read"),
        (parse_uai_evidence, "2\n7 0\n7 1", "line 3: the variable 7 is observed twice"),
        (parse_uai_evidence, "1\n7 -1", "line 2: expected an observed state, an integer at least"),
        (parse_uai_evidence, "1\n7 x", "line 2: expected a number, found 'x'"),
        (parse_uai_partition, "MAR\n1", "line 1: expected PR, found 'MAR'"),
        (parse_uai_partition, "", "line 1: expected PR, found the end of the file"),
        (parse_uai_partition, "PR\n", "line 1: expected 1 numbers for log10 Z, found the end"),
        (parse_uai_partition, "PR\n2\n3", "line 2: expected the number of evidence sets"),
        (parse_uai_marginals, "MAR\n2 2 0.5 0.5\n2 0.5", "line 3: expected 2 numbers for variabl"),
        (parse_uai_marginals, "MAR\n1 2 0.5 -0.5", "line 2: expected a number that is not negati"),
        (parse_uai_marginals, "MAR\n2 2 0.5 0.5 1 1 1", "line 2: expected the end of the file"),
        (parse_uai_assignment, "MAP\n3 0 2", "line 2: expected a state, found the end of the fil"),
        (parse_uai_assignment, "MAP\n999999999999 0", "line 2: expected a state, found the end"),
    ],
)  # fmt: skip
def test_errors_in_evidence_and_answers(
    parse: Callable[[str], object], text: str, message: str
) -> None:
    with pytest.raises(FormatError, match=message):
        parse(text)
