"""Markov random fields to and from files of the UAI competitions.

.. math:: \\text{file} \\leftrightarrow (\\text{cards}, \\text{scopes}, e^{\\ell})
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from inference.exact.factor import Factor
from inference.exact.structure import Structure
from pgm.formats import MarkovTables, read_markov, write_markov

__all__ = ["is_uai", "load_factors", "save_factors"]


def is_uai(path: str | os.PathLike[str]) -> bool:
    """Whether a name ends in .uai or .uai.gz.

    Raises:
        ValueError: it ends in something else that is no .safetensors.
    """
    suffixes = Path(path).suffixes
    if suffixes[-1:] == [".uai"] or suffixes[-2:] == [".uai", ".gz"]:
        return True
    if suffixes[-1:] == [".safetensors"]:
        return False
    raise ValueError(
        f"{Path(path).name}: the suffix must be .uai, .uai.gz or .safetensors; for files of "
        "Bayesian networks use BayesianNetwork.load and from_bayesian_network"
    )


def load_factors(path: str | os.PathLike[str]) -> tuple[dict[str, int], list[Factor]]:
    """Variables "0", "1", ... and factors of a file, of either kind of network."""
    found = read_markov(path)
    states = {str(v): card for v, card in enumerate(found.cardinalities)}
    try:
        factors = [
            Factor.from_potential([str(v) for v in scope], table)
            for scope, table in zip(found.scopes, found.tables, strict=True)
        ]
    except ValueError as error:
        raise ValueError(f"{Path(path).name}: {error}") from None
    return states, factors


def save_factors(
    structure: Structure, logs: list[np.ndarray], path: str | os.PathLike[str]
) -> None:
    """Write potentials; names and labels have no place in the format.

    Raises:
        ValueError: a potential is too large or too small for a float.
    """
    with np.errstate(over="ignore"):
        tables = tuple([np.asarray(np.exp(table)) for table in logs])
    for scope, table, log in zip(structure.scopes, tables, logs, strict=False):
        if np.isinf(table).any() or ((table == 0) & np.isfinite(log)).any():
            raise ValueError(
                f"the factor over variables {scope} has potentials outside the range of floats; "
                "a .safetensors file keeps logarithms"
            )
    write_markov(MarkovTables(structure.cards, structure.scopes[: len(logs)], tables), path)
