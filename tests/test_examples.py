"""The examples run as scripts, quietly and quickly, and leave the figures that they name."""

from __future__ import annotations

import json
import os
import re
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.tour.published_networks import survey

SCRIPTS = Path(__file__).resolve().parents[1] / "examples"
EXAMPLES = sorted(
    path.stem for path in SCRIPTS.glob("*.py") if "__main__" in path.read_text(encoding="utf-8")
)
#: These compute longest, a quarter of a minute and more on a slow machine.
LONG = [
    "bars_and_stripes",
    "belief_propagation_error",
    "dbn_digits",
    "denoising_autoencoder",
    "digit_likelihoods",
    "grid_crf",
    "half_digits",
    "neural_density",
    "rbm_features",
    "ring_collapse",
    "vae_digits",
    "vanishing_gradient",
    "wasserstein_curves",
]
#: Numbers that examples must print: Murphy's of explaining away, Pearl's of a reversal.
PRINTED = {
    "explaining_away": [r"0\.3000 +0\.5000", r"0\.4298 +0\.7079", r"0\.1945 +1\.0000"],
    "interventions": [
        r"seeing p\(x \| t\) +78\.0% +82\.6%",
        r"p\(x \| do\(t\)\) +83\.3% +77\.9%",
    ],
}
TOUR = [
    "asia",
    "asia_posteriors",
    "asked_for",
    "clusters",
    "collapse_and_cure",
    "contact_sheet",
    "denoised",
    "digit_map",
    "dreamt",
    "em_steps",
    "explaining_away",
    "geyser_path",
    "learned_structure",
    "medical_test",
    "moons",
    "remembered",
    "spins",
]


class Python:
    """Starts scripts from a process that has imported torch; a warning is an error."""

    def __init__(self, root: Path) -> None:
        paths = [str(root), os.environ.get("PYTHONPATH", "")]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
        # A fork has none of the threads of what it is a fork of.
        environment |= {"MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", str(root / "tests" / "warm_python.py")],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, folder: Path, *arguments: str) -> str:
        """Output of Python started in an empty folder."""
        out, err = folder.with_suffix(".out"), folder.with_suffix(".err")
        self.process.stdin.write(f"{json.dumps([str(folder), arguments, str(out), str(err)])}\n")
        self.process.stdin.flush()
        status = self.process.stdout.readline().strip()
        errors = err.read_text(encoding="utf-8")
        assert status == "0", errors or f"exit status {status}"
        assert not errors
        return out.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def python(root: Path) -> Iterator[Python]:
    """Python that is warm."""
    python = Python(root)
    yield python
    python.process.communicate()


def assert_figure(path: Path) -> None:
    """A PNG of some size that is not blank."""
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", data[16:24])
    assert min(width, height) > 200
    assert len(data) > 10_000


def assert_told(output: str, figures: Path) -> None:
    """Every figure is one, and is named in tidy lines."""
    for path in figures.iterdir():
        assert_figure(path)
        assert path.name in output
    assert all([len(line) <= 100 and line == line.rstrip() for line in output.splitlines()])


def assert_runs(name: str, python: Python, folder: Path) -> None:
    """An example prints and draws what it should."""
    output = python.run(folder, str(SCRIPTS / f"{name}.py"))
    figures = folder / "figures"
    assert [path.stem for path in figures.iterdir()] == [name]
    assert_told(output, figures)
    for numbers in PRINTED.get(name, []):
        assert re.search(numbers, output)


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name not in LONG])
def test_example(name: str, python: Python, tmp_path: Path) -> None:
    assert_runs(name, python, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", LONG)
def test_long_example(name: str, python: Python, tmp_path: Path) -> None:
    assert_runs(name, python, tmp_path)


def test_tour(python: Python, tmp_path: Path) -> None:
    out = tmp_path / "elsewhere"
    # The collection of networks is hidden; the survey of it has a test of its own.
    places = ["--out", str(out), "--shared", str(tmp_path)]
    output = python.run(tmp_path, "-m", "examples.tour", "--quick", *places)
    assert sorted(path.stem for path in out.iterdir()) == TOUR
    assert_told(output, out)
    assert not (tmp_path / "figures").exists()
    assert re.search(r"P\(disease \| positive\) += 0\.5000\n", output)
    assert re.search(r"P\(disease \| positive, positive\) += 0\.9900\n", output)
    assert re.search(r"\n  lung +0\.0550 +0\.1028 +0\.6213 +1\.0000\n", output)
    assert "this part is left out" in output
    found = [float(x) for x in re.findall(r"(\d\.\d{4}) nats from the truth", output)]
    assert len(found) == 3
    assert max(found[0], found[2]) < found[1] / 2
    assert re.search(r"of \d+ steps 0 went down", output)
    assert re.search(r"Learned: \d right", output)
    assert "0 are wrong" in output
    low, high = map(float, re.search(r"95 %: ([\d.]+) to ([\d.]+)", output).groups())
    exact = float(re.search(r"exact sum over all 2\^256 states is ([\d.]+)\.", output)[1])
    assert low < exact < high
    spins = re.findall(r"^ +[123]\.\d{3} +(-\d\.\d+) +(0\.\d+) +(-\d\.\d+)$", output, re.MULTILINE)
    assert len(spins) == 3
    assert all([abs(float(u) - float(true)) < 6 * float(error) for u, error, true in spins])
    words = r"not seen is (-[\d.]+) nats, with 200 weighted draws (-[\d.]+)\."
    bound, better = map(float, re.search(words, output).groups())
    assert bound < better < 0
    games = dict(re.findall(r"^  (GAN|Wasserstein GAN) +(\d)/8", output, re.MULTILINE))
    assert int(games["GAN"]) <= 3
    assert games["Wasserstein GAN"] == "8"
    table = re.findall(r"^  (\S.{35}) *(-\d+\.\d{3}) +\d\.\d{3}   ", output, re.MULTILINE)
    nats = {name.strip(): float(value) for name, value in table}
    assert len(table) == 14
    for better, worse in (
        ("hidden Markov model", "mixture of two normal laws"),
        ("conditional random field", "independent pixels"),
        ("neural energy", "one normal law"),
        ("mixture of 60 prototypes", "independent pixels"),
        ("restricted Boltzmann machine", "independent pixels"),
        ("deep belief network", "independent pixels"),
    ):
        assert nats[better] > nats[worse]


@pytest.mark.parametrize("name", EXAMPLES)
def test_example_is_short(name: str) -> None:
    assert len((SCRIPTS / f"{name}.py").read_text(encoding="utf-8").splitlines()) <= 80


def test_survey_of_the_networks_beside_the_repository(
    shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Three of the networks stand for all: the format of the table and the errors are what counts.
    (tmp_path / "data" / "bif").mkdir(parents=True)
    (tmp_path / "references").mkdir()
    for path in [shared / "data" / "bif" / f"{n}.bif" for n in ("asia", "alarm", "survey")]:
        (tmp_path / "data" / "bif" / path.name).write_bytes(path.read_bytes())
    file = shared / "references" / "posteriors.json"
    (tmp_path / "references" / file.name).write_bytes(file.read_bytes())
    survey(tmp_path)
    output = capsys.readouterr().out
    lines = re.findall(r"^  (asia|alarm|survey) +(\d+) .* (\S+)$", output, re.MULTILINE)
    assert [(name, nodes) for name, nodes, _ in lines] == [
        ("alarm", "37"),
        ("asia", "8"),
        ("survey", "6"),
    ]
    assert all([float(error) < 1e-9 for _, _, error in lines])
    survey(tmp_path, largest=2000)
    assert "2 of 3 networks" in capsys.readouterr().out
