"""The files that go with a UAI network: its evidence, and the answers of a solver.

    .evid  2 7 0 12 1                    two observations: variable 7 is 0, variable 12 is 1
    .PR    PR -4.50703                   log10 of the partition function or of P(evidence)
    .MAR   MAR 2 2 0.3 0.7 3 0.1 0.2 0.7 number of variables, then cardinality and law of each
    .MAP   MAP 3 0 2 1                   number of variables, then the state of each

Evidence and answers may also start with a 1, the number of evidence sets.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from pgm.formats.files import read_text
from pgm.formats.number_stream import NumberStream

__all__ = [
    "parse_uai_assignment",
    "parse_uai_evidence",
    "parse_uai_marginals",
    "parse_uai_partition",
    "read_uai_assignment",
    "read_uai_evidence",
    "read_uai_marginals",
    "read_uai_partition",
]


def read_uai_evidence(path: str | os.PathLike[str]) -> dict[int, int]:
    """Observed states of an `.evid` file, {variable: state}; raises FormatError."""
    return parse_uai_evidence(read_text(path), Path(path).name)


def read_uai_partition(path: str | os.PathLike[str]) -> float:
    """Base-10 logarithm of Z of a `.PR` file; raises FormatError."""
    return parse_uai_partition(read_text(path), Path(path).name)


def read_uai_marginals(path: str | os.PathLike[str]) -> tuple[np.ndarray, ...]:
    """Marginals of a `.MAR` file, one array (card,) per variable; raises FormatError."""
    return parse_uai_marginals(read_text(path), Path(path).name)


def read_uai_assignment(path: str | os.PathLike[str]) -> tuple[int, ...]:
    """State of every variable of a `.MAP` file; raises FormatError."""
    return parse_uai_assignment(read_text(path), Path(path).name)


def parse_uai_evidence(text: str, source: str = "<text>") -> dict[int, int]:
    """Observed states {variable: state}, in either layout.

    >>> parse_uai_evidence("2 7 0 12 1"), parse_uai_evidence("1 2 7 0 12 1")
    ({7: 0, 12: 1}, {7: 0, 12: 1})
    """
    stream = NumberStream(text, source)
    # Pairs after one count make an odd number of words, after two an even one.
    if stream.remaining and stream.remaining % 2 == 0:
        stream.integer("the number of evidence sets, of which one can be read", 1, 2)
    evidence: dict[int, int] = {}
    for _ in range(stream.integer("the number of observed variables")):
        variable = stream.integer("an observed variable")
        if variable in evidence:
            stream.position -= 1
            stream.fail(f"the variable {variable} is observed twice")
        evidence[variable] = stream.integer("an observed state")
    stream.end()
    return evidence


def parse_uai_partition(text: str, source: str = "<text>") -> float:
    """Base-10 logarithm of Z.

    >>> parse_uai_partition("PR -4.5")
    -4.5
    """
    stream = NumberStream(text, source, "PR")
    if stream.remaining > 1:
        stream.integer("the number of evidence sets, of which one can be read", 1, 2)
    value = float(stream.values(1, "log10 Z", signed=True)[0])
    stream.end()
    return value


def parse_uai_marginals(text: str, source: str = "<text>") -> tuple[np.ndarray, ...]:
    """Marginals, one array (card,) per variable.

    >>> parse_uai_marginals("MAR 2 2 0.25 0.75 1 1")
    (array([0.25, 0.75]), array([1.]))
    """
    stream = NumberStream(text, source, "MAR")
    n = stream.integer("the number of variables")
    if n == 1:
        # Either one variable, and the size of the rest agrees, or one set of evidence.
        card = stream.integer("a cardinality")
        stream.position -= 1
        if stream.remaining != card + 1:
            n = stream.integer("the number of variables")
    marginals: list[np.ndarray] = []
    for variable in range(n):
        card = stream.integer(f"the cardinality of variable {variable}", 1)
        marginals.append(stream.values(card, f"variable {variable}"))
    stream.end()
    return tuple(marginals)


def parse_uai_assignment(text: str, source: str = "<text>") -> tuple[int, ...]:
    """State of every variable.

    >>> parse_uai_assignment("MAP 3 0 2 1")
    (0, 2, 1)
    """
    stream = NumberStream(text, source, "MAP")
    n = stream.integer("the number of variables")
    if n == 1 and stream.remaining != 1:
        n = stream.integer("the number of variables")
    states = tuple(stream.integer("a state") for _ in range(n))
    stream.end()
    return states
