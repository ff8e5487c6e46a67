"""The few rows that say most: how many times as fast as the other library, a line each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["HEADLINES", "Headline", "headlines"]

Content = Mapping[str, Any]

#: How units of time begin; other rows hold scores and counts.
TIMES = ("s", "ms", "us")


@dataclass(frozen=True)
class Headline:
    """Rows of a section that measure one task, of one size or of several.

    Arguments:
        task: what is done.
        peer: by which other library.
        section: of the results.
        rows: pattern of their names.
    """

    task: str
    peer: str
    section: str
    rows: str = ".*"

    def ratios(self, content: Content) -> Iterator[float]:
        """Their time over ours, or our rate over theirs."""
        for row in content["rows"]:
            named = re.fullmatch(self.rows, row["what"])
            rate = row["unit"].endswith("/s")
            if named and row.get("peer") and (rate or row["unit"].startswith(TIMES)):
                yield row["ratio"] if rate else 1 / row["ratio"]


HEADLINES = (
    Headline("all posteriors of a network, first query", "pyAgrum", "posteriors"),
    Headline("the same for a row of a batch of evidence", "pyAgrum", "batches"),
    Headline("reading a BIF file", "pyAgrum", "loading"),
    Headline("exact samples of a network", "pyAgrum", "sampling"),
    Headline("tables from complete rows", "pyAgrum", "parameters", ".*, fit, columns"),
    Headline("tables from complete rows", "pgmpy", "parameters", r".*\(peer: pgmpy\)"),
    Headline("arrows, to a better score", "pyAgrum", "structures", ".*, hill_climb"),
    Headline("a round of loopy belief propagation", "PGMax", "propagation", ".*, one iteration"),
    Headline(
        "CRF layer, log Z and gradient", "pytorch-crf", "chains", ".*gradient.*pytorch-crf.*"
    ),
    Headline("feature tagger, to the same objective", "CRFsuite", "tagging", "training.*"),
    Headline("EM of hidden Markov models", "hmmlearn", "hidden_markov", ".*EM.*: scaling.*"),
    Headline("EM of normal mixtures", "scikit-learn", "mixtures", ".*, float64"),
    Headline("sweeps of Ising spins", "dwave-samplers", "spins", r"sweeps \(peer: dwave.*"),
    Headline("maximum cuts, to a cut as large", "dwave-samplers", "spins", "cut .*"),
    Headline("persistent contrastive divergence", "rbms", "machines", "pcd.*: rbms.*"),
    Headline("the same", "scikit-learn", "machines", "pcd.*: scikit-learn.*"),
    Headline("diagnostics of chains", "ArviZ", "spins", "diagnostics.*"),
    Headline("a step of a trainer", "a loop by hand", "networks", ".*: ours"),
)


def headlines(contents: Sequence[Content]) -> list[list[str]]:
    """Task, other library and how many times as fast, from slowest to fastest row."""
    sections = {content["section"]: content for content in contents}
    found = []
    for line in HEADLINES:
        ratios = sorted(line.ratios(sections.get(line.section, {"rows": []})))
        if ratios:
            low, high = _short(ratios[0]), _short(ratios[-1])
            found.append([line.task, line.peer, low if low == high else f"{low} to {high}"])
    return found


def _short(ratio: float) -> str:
    """Two digits."""
    return f"{ratio:.2g}" if ratio < 100 else f"{round(ratio, 1 - len(str(int(ratio)))):,.0f}"
