"""Runs the sections asked for, prints their tables and writes them down."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks import (
    batches,
    chains,
    digits,
    floors,
    hidden_markov,
    imports,
    loading,
    machines,
    missing,
    mixtures,
    networks,
    parameters,
    posteriors,
    propagation,
    queries,
    sampling,
    spins,
    structures,
    tagging,
    toy_gans,
)
from benchmarks.data import Data
from benchmarks.peer import Peer
from benchmarks.peer_learning import Pgmpy
from benchmarks.report import Row, Section, machine, printed
from benchmarks.settings import Settings
from benchmarks.targets import POSTERIORS

__all__ = ["run"]

SECTIONS: dict[str, Callable[[Settings], Section]] = {
    "posteriors": posteriors.section,
    "batches": batches.section,
    "loading": loading.section,
    "sampling": sampling.section,
    "queries": queries.section,
    "parameters": parameters.section,
    "missing": missing.section,
    "structures": structures.section,
    "propagation": propagation.section,
    "chains": chains.section,
    "hidden_markov": hidden_markov.section,
    "tagging": tagging.section,
    "mixtures": mixtures.section,
    "spins": spins.section,
    "machines": machines.section,
    "digits": digits.section,
    "networks": networks.section,
    "toy_gans": toy_gans.section,
    "imports": imports.section,
    "floors": floors.section,
}
#: What has something to do on a GPU.
ON_GPU = (
    "batches",
    "sampling",
    "propagation",
    "chains",
    "hidden_markov",
    "tagging",
    "mixtures",
    "spins",
    "machines",
    "digits",
    "networks",
    "toy_gans",
)
#: Share of the cores in use beforehand from which the machine does not count as idle.
BUSY = 0.25


def run(arguments: argparse.Namespace) -> None:
    """Measure; ``arguments`` are those of the command line."""
    torch.set_num_threads(1)
    if arguments.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("--device cuda: torch finds no CUDA device here.")
    about = machine(arguments.device)
    _announce(about)
    settings = _settings(arguments)
    _warm_up(settings)
    results: dict[str, list[Row]] = {}
    _write(arguments, about, results)  # finds out now if the file cannot be written
    for name in _wanted(arguments):
        results[name] = printed(SECTIONS[name](settings))
        _write(arguments, about, results)
    if _summarise(results):
        raise SystemExit(1)


def _settings(arguments: argparse.Namespace) -> Settings:
    unknown = sorted(set(arguments.networks or ()) - set(POSTERIORS))
    if unknown:
        raise SystemExit(f"--networks: unknown {unknown}; there are {', '.join(POSTERIORS)}.")
    networks = [name for name in POSTERIORS if name in (arguments.networks or POSTERIORS)]
    peers = arguments.device == "cpu" and not arguments.no_peers
    return Settings(
        data=Data.find(arguments.data),
        networks=tuple(networks),
        repeats=arguments.repeats,
        budget=arguments.budget,
        device=arguments.device,
        slow=arguments.slow,
        gum=Peer.module() if peers else None,
        pgmpy=peers and Pgmpy.installed(),
        peers=peers,
        most_rows=arguments.rows,
    )


def _wanted(arguments: argparse.Namespace) -> list[str]:
    """The sections to run, in their order."""
    possible = ON_GPU if arguments.device == "cuda" else tuple(SECTIONS)
    left_out = [name for name in arguments.only or () if name not in possible]
    if left_out:
        print(f"Nothing to do on a GPU: {', '.join(left_out)}.")
    return [name for name in possible if name in (arguments.only or possible)]


def _warm_up(settings: Settings) -> None:
    """Let both libraries do what the first query of a process costs, whatever the network."""
    network = settings.data.load("asia")
    network.marginals({"xray": "no"})
    network.sample(10, generator=0)
    if settings.gum is not None:
        peer = Peer(settings.gum, network)
        for engine in ("LazyPropagation", "VariableElimination"):
            peer.fresh(engine, {}, [])


def _announce(about: dict[str, Any]) -> None:
    versions = [f"{name} {version or 'absent'}" for name, version in about["versions"].items()]
    print(f"{about['processor']}, {about['cores']} cores, {about['threads']} thread in use")
    print(f"Python {about['python']}, {', '.join(versions)}; device {about['device']}")
    load = about.get("load_average")
    if load is not None and load > BUSY * (about["cores"] or 1):
        print(f"CAUTION: the load average is {load:.2f}. Times want an idle machine.")


def _write(
    arguments: argparse.Namespace, about: dict[str, Any], results: dict[str, list[Row]]
) -> None:
    """Write what is measured so far, if a file was asked for."""
    if arguments.json is None:
        return
    asked = {
        name: str(value) if isinstance(value, Path) else value
        for name, value in vars(arguments).items()
        if name not in ("data", "json")
    }
    content = {"machine": about, "arguments": asked, "sections": results}
    arguments.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _summarise(results: dict[str, list[Row]]) -> bool:
    """Print what misses its target; return whether any result was wrong."""
    judged = [row for rows in results.values() for row in rows if row["verdict"]]
    failed = [row for row in judged if row["verdict"] != "ok"]
    print(f"\n{len(judged) - len(failed)} of {len(judged)} rows meet their targets.")
    for row in failed:
        print(f"  {row['verdict']:14}  {row['what']}")
    return any(row["verdict"] == "WRONG" for row in failed)
