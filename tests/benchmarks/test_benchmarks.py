"""The benchmarks' own arithmetic, and one short run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import __main__, propagation, run
from benchmarks.missing import Case, check_best, deviation
from benchmarks.parameters import difference, tables_by_counting, tables_of
from benchmarks.peer_dwave import Dwave
from benchmarks.peer_learning import Agrum, Pgmpy
from benchmarks.peer_pgmax import PGMax
from benchmarks.report import MEASUREMENTS, Section, measurement, printed, verdict
from benchmarks.targets import POSTERIORS
from benchmarks.timing import Contender, alternate
from energy import IsingModel
from inference import IsingGrid, simulated_annealing
from pgm import BayesianNetwork
from pgm.classic import asia
from pgm.discrete_data import DiscreteData
from pgm.structure import SetScore


@pytest.mark.parametrize(
    ("measured", "target", "more", "expected"),
    [
        (1.0, 2.0, False, "ok"),
        (2.1, 2.0, False, "MISS"),
        (2.1, 2.0, True, "ok"),
        (1.0, 2.0, True, "MISS"),
        (1.0, None, False, ""),
    ],
)
def test_verdict(measured: float, target: float | None, more: bool, expected: str) -> None:
    assert verdict(measured, target, more) == expected


def test_measurement_gives_the_ratio_and_flags_wrong_results() -> None:
    row = measurement("load", 2.0, "ms", target=3.0, peer=8.0)
    assert (row["ratio"], row["verdict"]) == (0.25, "ok")
    assert measurement("load", 2.0, "ms", target=3.0, right=False)["verdict"] == "WRONG"


def test_contenders_take_turns_with_what_was_made_outside_the_clock() -> None:
    seen: list[str] = []

    def contender(name: str) -> Contender:
        return Contender(name, lambda: lambda: seen.append(name) or name)

    times = alternate([contender("a"), contender("b")], repeats=4, budget=1.0)
    assert [len(timing.samples) for timing in times.values()] == [4, 4]
    assert times["a"].first == "a"
    assert times["b"].median > 0
    assert seen.count("a") > 4  # short calls are repeated within a sample


def test_items_divide_the_time() -> None:
    def call() -> int:
        return sum(range(20_000))

    one = Contender.repeating("one", call)
    many = Contender.repeating("many", call, items=1000)
    times = alternate([one, many], repeats=5, budget=1.0)
    assert times["many"].median < times["one"].median / 10


def test_a_long_call_is_timed_once() -> None:
    times = alternate([Contender.repeating("long", lambda: None)], repeats=50, budget=1e-12)
    assert len(times["long"].samples) == 1


def test_table_shows_every_cell(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        measurement("load", 1234.5, "ms", target=3.0),
        measurement("parse", 1e-7, "s"),
        measurement("distance", 7, ""),
    ]
    assert printed(Section("Title", ["a note"], MEASUREMENTS, iter(rows))) == rows
    output = capsys.readouterr().out
    for text in ("Title", "a note", "1,234", "1.0e-07", "MISS", "-", " 7 "):
        assert text in output


def test_targets_cover_every_network(shared: Path) -> None:
    assert set(POSTERIORS) == {path.stem for path in (shared / "data" / "bif").glob("*.bif")}


def test_command_writes_what_it_measured(root: Path, shared: Path, tmp_path: Path) -> None:
    out = tmp_path / "measured.json"
    options = ["--only", "loading", "--networks", "asia", "--repeats", "1", "--json", str(out)]
    subprocess.run([sys.executable, "-m", "benchmarks", *options], cwd=root, check=True)
    content = json.loads(out.read_text(encoding="utf-8"))
    assert content["machine"]["threads"] == 1
    assert [row["what"] for row in content["sections"]["loading"]] == ["asia"]


def test_every_section_can_be_asked_for() -> None:
    assert tuple(run.SECTIONS) == __main__.SECTIONS


@pytest.mark.parametrize(
    ("sections", "network", "judged"),
    [
        (("parameters", "missing"), "alarm", []),
        # A target for all rows says nothing about few; one from the same rows does.
        (("structures",), "insurance", [f"insurance {n}, order_search 1 s, score" for n in "01"]),
        (("chains", "hidden_markov", "tagging"), "asia", ["log Z and gradient", "best paths"]),
    ],
)
def test_command_learns_from_few_rows(
    root: Path,
    shared: Path,
    tmp_path: Path,
    sections: tuple[str, ...],
    network: str,
    judged: list[str],
) -> None:
    out = tmp_path / "measured.json"
    few = ["--networks", network, "--rows", "200", "--repeats", "1", "--no-peers"]
    command = [sys.executable, "-m", "benchmarks", "--only", *sections, *few, "--json", str(out)]
    subprocess.run(command, cwd=root, check=True)  # fails if a result is wrong
    found = json.loads(out.read_text(encoding="utf-8"))["sections"]
    assert tuple(found) == sections
    rows = [row for section in found.values() for row in section]
    assert all(row["peer"] is None and row["measured"] is not None for row in rows)
    assert [row["what"] for row in rows if row["verdict"]] == judged


def test_mixtures_are_compared_with_themselves_too(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "measured.json"
    options = ["--only", "mixtures", "--rows", "200", "--repeats", "1", "--no-peers"]
    command = [sys.executable, "-m", "benchmarks", *options, "--json", str(out)]
    subprocess.run(command, cwd=root, check=True)
    rows = json.loads(out.read_text(encoding="utf-8"))["sections"]["mixtures"]
    compared = [row["what"].split(",")[0].split(" (")[0] for row in rows if row["peer"]]
    assert compared == [
        "20 restarts on iris",
        "many rows",
        "many rows",
        "holes at random",
        "holes five patterns",
    ]


def test_propagation_is_judged_by_exact_elimination() -> None:
    (row,) = propagation._against_exact("grid", *propagation._small_grid(0.3))
    assert 0 < row["measured"] < 0.02
    assert row["verdict"] == ""  # the upper bound is one
    assert "settled" in row["note"]


def test_pgmax_makes_the_same_messages() -> None:
    if not PGMax.installed():
        pytest.skip("needs PGMax, which is not installed")
    grid = IsingGrid(*[0.3 * torch.randn(shape) for shape in ((4, 5), (4, 4), (3, 5))]).pairwise()
    peer = PGMax(
        grid.log_unary.reshape(4, 5, 2).numpy(), grid.edges.numpy(), grid.log_tables.numpy()
    )
    theirs = peer.marginals(peer.iterations(7)())
    ours = propagation._run(grid, 7).marginals.reshape(4, 5, 2).numpy()
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def rows_of_asia(n: int, gaps: bool = False) -> tuple[BayesianNetwork, np.ndarray]:
    """Rows from asia with tables that have no zeros, at which pyAgrum would stop."""
    network = asia()
    network.fit(network.sample(100, generator=0), 10.0)
    codes = network.sample(n, generator=0).numpy().astype(np.int8)
    if gaps:
        codes[np.random.default_rng(0).random(codes.shape) < 0.3] = -1
    return network, codes


def test_tables_are_counted_from_the_rows_that_show_a_family() -> None:
    network = BayesianNetwork([("rain", "wet")], {"rain": 3, "wet": 2})
    codes = np.array([[0, 0], [0, 1], [0, 1], [-1, 1], [1, -1], [1, 0]])
    rain, wet = tables_by_counting(network, codes)
    np.testing.assert_allclose(rain, [3 / 5, 2 / 5, 0])
    np.testing.assert_allclose(wet, [[1 / 3, 2 / 3], [1, 0], [1 / 2, 1 / 2]])


def test_wrong_completions_are_rejected() -> None:
    network, full = rows_of_asia(2000)
    case = Case.draw(network, full, 0.3)
    best, sample = network.impute(case.rows), network.impute(case.rows, "sample", 0)
    probabilities = [p.numpy() for p in network.posterior_predictive(case.rows).values()]
    assert check_best(case, best)[0]
    assert deviation(case, sample.numpy(), probabilities) < 6
    # Draws are not the most probable values, and those are no draws.
    assert not check_best(case, sample)[0]
    assert deviation(case, best.numpy(), probabilities) > 6
    # A cell that was seen must stay.
    changed = torch.where(torch.from_numpy(case.codes >= 0), 1 - sample, sample)
    assert deviation(case, changed.numpy(), probabilities) == np.inf
    assert not check_best(case, torch.where(torch.from_numpy(case.codes >= 0), 1 - best, best))[0]


def test_pyagrum_learns_from_the_same_rows() -> None:
    gum = pytest.importorskip("pyagrum")
    network, codes = rows_of_asia(2000)
    agrum, rows = Agrum(gum, network, codes), DiscreteData(codes, network.vocabulary)
    number = {name: v for v, name in enumerate(network.variables)}
    truth = [sum(1 << number[p] for p in network.parents(name)) for name in network.variables]
    tables = agrum.tables(agrum.fit(agrum.read()))
    assert difference(tables, tables_by_counting(network, codes)) < 1e-12
    assert agrum.score(truth) == pytest.approx(SetScore(rows, "bic").total(truth), rel=1e-12)
    found = agrum.parents(agrum.search("useGreedyHillClimbing")())
    assert SetScore(rows, "bic").total(found) > SetScore(rows, "bic").total([0] * len(found))
    graph = agrum.partial(agrum.pc(0.05)())
    assert graph.adjacent[number["smoke"]] >> number["lung"] & 1


def test_pyagrum_takes_the_same_steps_of_em() -> None:
    gum = pytest.importorskip("pyagrum")
    network, codes = rows_of_asia(100, gaps=True)
    agrum = Agrum(gum, network, codes)
    tables = agrum.tables(agrum.em(agrum.read(), 3, 0.1))
    network.fit(codes, 0.1, init="current", max_iterations=3, tolerance=0.0, progress=False)
    assert difference(tables, tables_of(network)) < 1e-12


def test_pgmpy_learns_from_the_same_rows() -> None:
    pytest.importorskip("pgmpy")
    network, codes = rows_of_asia(2000)
    pgmpy, score = Pgmpy(network, codes), SetScore(DiscreteData(codes, network.vocabulary))
    number = {name: v for v, name in enumerate(network.variables)}
    truth = [sum(1 << number[p] for p in network.parents(name)) for name in network.variables]
    tables = pgmpy.tables(pgmpy.fit())
    assert difference(tables, tables_by_counting(network, codes)) < 1e-12
    assert pgmpy.score() == pytest.approx(score.total(truth), rel=1e-12)
    assert score.total(pgmpy.climb()) > score.total([0] * len(truth))


def test_spins_are_compared_without_peers(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "measured.json"
    options = ["--only", "spins", "--rows", "50", "--repeats", "1", "--no-peers"]
    command = [sys.executable, "-m", "benchmarks", *options, "--json", str(out)]
    subprocess.run(command, cwd=root, check=True)
    rows = json.loads(out.read_text(encoding="utf-8"))["sections"]["spins"]
    assert [row["what"] for row in rows if row["peer"]] == [
        "clusters (peer: single spins)",
        "tempering, weights x 1 (peer: Gibbs)",
        "tempering, weights x 1.5 (peer: Gibbs)",
    ]
    assert not [row["what"] for row in rows if row["verdict"] == "WRONG"]


def test_machines_are_compared_without_peers(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "measured.json"
    options = ["--only", "machines", "--rows", "128", "--repeats", "1", "--no-peers"]
    command = [sys.executable, "-m", "benchmarks", *options, "--json", str(out)]
    subprocess.run(command, cwd=root, check=True)
    rows = json.loads(out.read_text(encoding="utf-8"))["sections"]["machines"]
    assert [row["what"] for row in rows if row["peer"] and "128" in row["what"]] == [
        "sweeps, 128 chains (beside: tight)",
        "sweeps, 128 chains (beside: products)",
    ]
    assert all(row["measured"] > 0 for row in rows if row["unit"] != "nats")


def test_digits_are_judged_without_peers(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "measured.json"
    options = ["--only", "digits", "--rows", "20", "--no-peers"]
    command = [sys.executable, "-m", "benchmarks", *options, "--json", str(out)]
    subprocess.run(command, cwd=root, check=True)
    rows = json.loads(out.read_text(encoding="utf-8"))["sections"]["digits"]
    nats = {row["what"]: row["measured"] for row in rows if row["unit"] == "nats"}
    assert nats["independent pixels"] == pytest.approx(-25.24, abs=0.01)
    assert nats["RBM 64, defaults, seed 0"] > -24.0
    assert nats["DBN [64, 64], defaults"] > -24.0


def test_dwave_finds_the_same_ground_states() -> None:
    if not Dwave.installed():
        pytest.skip("needs dwave-samplers, which is not installed")
    edges = np.array([[0, 1], [1, 2], [2, 0], [2, 3]])
    weights = np.array([1.0, 2.0, 3.0, 1.5])
    found = simulated_annealing(IsingModel.from_edges(4, edges, -weights), generator=0)
    energies = Dwave(edges, weights).energies(100, 8, 0)
    assert energies.min() == pytest.approx(float(found.energy.min()))


def test_loops_are_compared_without_peers(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "measured.json"
    options = ["--only", "networks", "--rows", "200", "--repeats", "1", "--no-peers"]
    command = [sys.executable, "-m", "benchmarks", *options, "--json", str(out)]
    subprocess.run(command, cwd=root, check=True, capture_output=True)
    rows = json.loads(out.read_text(encoding="utf-8"))["sections"]["networks"]
    assert len(rows) == 6
    assert all(row["measured"] > 0 for row in rows)


def test_planes_are_learned(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "measured.json"
    command = [sys.executable, "-m", "benchmarks", "--only", "toy_gans", "--rows", "128"]
    subprocess.run([*command, "--json", str(out)], cwd=root, check=True, capture_output=True)
    rows = {
        row["what"]: row["measured"]
        for row in json.loads(out.read_text(encoding="utf-8"))["sections"]["toy_gans"]
    }
    assert "grid, recipe: reverse divergence" in rows
    assert rows["ring, pack 2, no R1"] >= 0
