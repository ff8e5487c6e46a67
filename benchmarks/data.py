"""Networks, evidence and reference numbers, which lie in a folder beside the checkout."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pgm import BayesianNetwork

__all__ = ["ROOT", "Data", "rebuilt"]

ROOT = Path(__file__).resolve().parents[1]
#: Draws among which a second assignment to the observed variables is looked for.
DRAWS = 4000


@dataclass(frozen=True)
class Data:
    """The folder with the networks of the bnlearn repository and their exact posteriors."""

    folder: Path

    @classmethod
    def find(cls, folder: Path | None) -> Data:
        data = cls(folder or ROOT.parent / "shared")
        for path in (data.path("asia"), data.references):
            if not path.is_file():
                raise SystemExit(
                    f"The benchmarks need {path}, which is not there. Name the folder that holds "
                    "data/bif/*.bif and references/posteriors.json with --data FOLDER."
                )
        return data

    @property
    def references(self) -> Path:
        return self.folder / "references" / "posteriors.json"

    def path(self, network: str) -> Path:
        return self.folder / "data" / "bif" / f"{network}.bif"

    @cached_property
    def posteriors(self) -> dict[str, Any]:
        """Per network: evidence name -> given, logpe, log_mpe and posteriors."""
        found = json.loads(self.references.read_text(encoding="utf-8"))
        return {name: entry["evidence"] for name, entry in found.items() if name[0] != "_"}

    def reference(self, network: str, evidence: str) -> dict[str, Any]:
        """What is known of one network under evidence ``none`` or ``e1``."""
        return self.posteriors[network][evidence]

    def given(self, network: str, evidence: str) -> dict[str, str]:
        """Observed variables and their labels."""
        return self.reference(network, evidence)["given"]

    def load(self, network: str) -> BayesianNetwork:
        return BayesianNetwork.load(self.path(network))

    @cached_property
    def alarm_rows(self) -> np.ndarray:
        """Complete rows drawn from alarm, codes in the order of its variables, (100,000, 37)."""
        path = self.folder / "data" / "alarm_100k_seed0.npz"
        if not path.is_file():
            raise SystemExit(f"The sections on learning need {path}, which is not there.")
        with np.load(path) as found:
            return found["X"]

    def assignments(
        self, network: BayesianNetwork, name: str, evidence: str
    ) -> list[dict[str, str]]:
        """The evidence and, if there is one, another possible assignment to its variables."""
        given = self.given(name, evidence)
        return [given, *another(network, given)]


def another(network: BayesianNetwork, given: Mapping[str, str]) -> list[dict[str, str]]:
    """One assignment to the same variables that differs from the given one and is possible."""
    columns = [network.variables.index(name) for name in given]
    if not columns:
        return []
    for row in np.unique(network.sample(DRAWS, generator=0).cpu().numpy()[:, columns], axis=0):
        labels = {n: str(network.states[n][c]) for n, c in zip(given, row, strict=True)}
        if labels != dict(given):
            return [labels]
    return []


def rebuilt(network: BayesianNetwork) -> BayesianNetwork:
    """A new object with the same tables that has planned and remembered nothing."""
    names = network.variables
    edges = [(parent, name) for name in names for parent in network.parents(name)]
    with torch.no_grad():
        tables = {name: network.table(name).cpu().clone() for name in names}
    states: dict[str, Any] = dict(network.states)
    return BayesianNetwork(edges, states, tables)
