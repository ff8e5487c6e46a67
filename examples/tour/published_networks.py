"""Exact posteriors on published networks, timed and held against reference values."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

from pgm import BayesianNetwork

HEADER = (
    f"  {'network':<12}{'nodes':>6}{'width':>7}{'load':>9}{'first':>9}{'again':>9}"
    f"{'log p(e)':>11}{'error':>10}"
)


def survey(shared: Path, largest: float = math.inf) -> None:
    """Print one line per network of ``shared/data/bif``, or say that there are none.

    Networks whose file has more than ``largest`` bytes are left out.
    """
    found = sorted((shared / "data" / "bif").glob("*.bif*"))
    paths = [path for path in found if path.stat().st_size <= largest]
    if not paths:
        print("  No collection of networks beside the repository: this part is left out.")
        return
    file = shared / "references" / "posteriors.json"
    references = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    print("  All posteriors given some evidence: the first time, and again with the plan known.\n")
    print(HEADER)
    begun, worst = time.perf_counter(), 0.0
    for path in paths:
        name = path.name.split(".")[0]
        reference = references.get(name, {}).get("evidence", {}).get("e1", {})
        worst = max(worst, _line(name, path, reference))
    seconds = time.perf_counter() - begun
    count = f"{len(paths)} of {len(found)}" if len(paths) < len(found) else f"{len(paths)}"
    print(f"\n  {count} networks in {seconds:.1f} s", end="")
    print(f"; the largest error against the references is {worst:.0e}." if references else ".")


def _line(name: str, path: Path, reference: dict[str, Any]) -> float:
    """Load, query twice, print; returns the largest error."""
    evidence = reference.get("given", {})
    start = time.perf_counter()
    network = BayesianNetwork.load(path)
    loaded = time.perf_counter()
    network.marginals(evidence)
    first = time.perf_counter()
    posteriors = network.marginals(evidence)
    again = time.perf_counter()
    log_evidence = network.log_evidence(evidence).item()
    errors = [
        abs(p - q)
        for variable, law in reference.get("posterior", {}).items()
        for p, q in zip(posteriors[variable].tolist(), law, strict=True)
    ]
    if reference.get("logpe") is not None:
        errors.append(abs(log_evidence - reference["logpe"]))
    error = max(errors, default=math.nan)
    times = (loaded - start, first - loaded, again - first)
    print(
        f"  {name:<12}{len(network.variables):>6}{network.plan(evidence).width:>7}"
        + "".join([f"{_readable(t):>9}" for t in times])
        + f"{log_evidence:>11.4f}{error:>10.0e}",
        flush=True,
    )
    return max(errors, default=0.0)


def _readable(seconds: float) -> str:
    """Seconds or milliseconds, with two digits or so."""
    if seconds >= 1:
        return f"{seconds:.2f} s"
    return f"{1000 * seconds:.{2 if seconds < 1e-3 else 1 if seconds < 1e-2 else 0}f} ms"
