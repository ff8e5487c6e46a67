"""Runs the sections asked for, prints their tables and writes them down."""

from __future__ import annotations

import argparse
import traceback
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import datetime, timezone
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

from benchmarks import (
    batches,
    chains,
    digits,
    floors,
    growth,
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
from benchmarks.command_line import QUALITY, SPEED
from benchmarks.data import Data
from benchmarks.peer import Peer
from benchmarks.peer_learning import Pgmpy
from benchmarks.report import Row, Section, machine, printed
from benchmarks.results import written
from benchmarks.settings import Settings
from benchmarks.targets import POSTERIORS

__all__ = ["SECTIONS", "run"]

SECTIONS: dict[str, Callable[[Settings], Section]] = {
    "floors": floors.section,
    "imports": imports.section,
    "loading": loading.section,
    "posteriors": posteriors.section,
    "batches": batches.section,
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
    "networks": networks.section,
    "growth": growth.section,
    "digits": digits.section,
    "toy_gans": toy_gans.section,
}
#: What is done by the host, whatever device there is.
ON_HOST = ("imports", "loading", "parameters", "missing", "structures")
#: Share of the cores in use beforehand from which the machine does not count as idle.
BUSY = 0.25


def run(arguments: argparse.Namespace) -> None:
    """Measure; ``arguments`` are those of the command line, with one number of threads."""
    (threads,) = arguments.threads
    torch.set_num_threads(threads)
    torch.set_float32_matmul_precision("highest")  # no TensorFloat-32, here or in the peers
    if arguments.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("--device cuda: torch finds no CUDA device here.")
    about = machine(arguments.device)
    _announce(about)
    settings = _settings(arguments, threads)
    if arguments.results is not None:
        arguments.results.mkdir(parents=True, exist_ok=True)  # finds out now if it cannot be
    _warm_up(settings)
    results: dict[str, list[Row]] = {}
    failed: list[str] = []
    for name in _wanted(arguments):
        try:
            results[name] = _measured(name, arguments, about, settings)
        except Exception:  # the other sections are worth having
            traceback.print_exc()
            failed.append(name)
    wrong = _summarise(results)
    if failed:
        print(f"Failed: {', '.join(failed)}.")
    if failed or wrong:
        raise SystemExit(1)


def _measured(
    name: str, arguments: argparse.Namespace, about: dict[str, Any], settings: Settings
) -> list[Row]:
    """Measure, print and write down one section."""
    own = replace(settings)  # its rates are measured where it asks for them
    section, began = SECTIONS[name](own), perf_counter()
    rows = printed(section)
    if arguments.results is not None:
        asked = {
            key: value for key, value in vars(arguments).items() if not isinstance(value, Path)
        }
        content = {
            "section": name,
            "title": section.title,
            "notes": list(section.notes),
            "date": datetime.now(timezone.utc).date().isoformat(),
            "seconds": round(perf_counter() - began, 1),
            "machine": about,
            "rates": asdict(own.rates) if "rates" in vars(own) else None,
            "arguments": asked,
            "columns": [asdict(column) for column in section.columns],
            "rows": rows,
        }
        written(arguments.results, content, section.figure)
    return rows


def _settings(arguments: argparse.Namespace, threads: int) -> Settings:
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
        threads=threads,
        slow=arguments.slow,
        gum=Peer.module(threads) if peers else None,
        pgmpy=peers and Pgmpy.installed(),
        peers=peers,
        most_rows=arguments.rows,
    )


def _wanted(arguments: argparse.Namespace) -> list[str]:
    """The sections to run, in their order."""
    asked = arguments.only or (SPEED + QUALITY if arguments.quality else SPEED)
    on_host = [name for name in asked if name in ON_HOST and arguments.device == "cuda"]
    if on_host:
        print(f"Done by the host, whatever the device: {', '.join(on_host)}.")
    return [name for name in SECTIONS if name in asked and name not in on_host]


def _warm_up(settings: Settings) -> None:
    """Let both libraries do what the first query of a process costs, whatever the network."""
    network = settings.load("asia")
    network.marginals({"xray": "no"})
    network.sample(10, generator=0)
    if settings.gum is not None:
        peer = Peer(settings.gum, network)
        for engine in ("LazyPropagation", "VariableElimination"):
            peer.fresh(engine, {}, [])


def _announce(about: dict[str, Any]) -> None:
    versions = [f"{name} {version or 'absent'}" for name, version in about["versions"].items()]
    print(f"{about['processor']}, {about['cores']} cores, threads in use: {about['threads']}")
    print(f"Python {about['python']}, {', '.join(versions)}; device {about['device']}")
    load = about.get("load_average")
    if load is not None and load > BUSY * (about["cores"] or 1):
        print(f"CAUTION: the load average is {load:.2f}. Times want an idle machine.")


def _summarise(results: dict[str, list[Row]]) -> bool:
    """Print what misses its target; return whether any result was wrong."""
    judged = [row for rows in results.values() for row in rows if row["verdict"]]
    failed = [row for row in judged if row["verdict"] != "ok"]
    print(f"\n{len(judged) - len(failed)} of {len(judged)} rows meet their targets.")
    for row in failed:
        print(f"  {row['verdict']:14}  {row['what']}")
    return any(row["verdict"] == "WRONG" for row in failed)
