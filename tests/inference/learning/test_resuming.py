"""Learning that was stopped goes on bit for bit, also after the process was killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from inference.learning.callbacks import EarlyStopping, Evaluate
from inference.learning.descent import Player, descend
from inference.learning.optimization import Optimization, optimizer_state
from inference.learning.schedule import Schedule
from inference.random import as_generator

ALL = Optimization("adamw", weight_decay=0.1, clip_norm=1.0, ema=0.9)


def network():
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 3)
        )


class Interrupted(Exception):
    pass


def learned(path, optimization=ALL, epochs=6, until=None, size=3, about=None, patience=50):
    """A network, and its history; it is interrupted in the middle of an epoch."""
    model, x, taken = network(), torch.randn(50, 3, generator=as_generator(5)), []
    if size != 3:
        model[0] = nn.Linear(size, 8)

    def loss(batch, generator):
        taken.append(0)
        if len(taken) == until:
            raise Interrupted
        noise = torch.randn(batch.shape, generator=generator)
        return (model(batch + noise) - batch).square().mean(), {}

    players = [Player("", list(model.parameters()), loss)]
    error = Evaluate(lambda model: {"error": float((model(x) - x).square().mean())})
    history = descend(
        model,
        players,
        x,
        Schedule(epochs, 8, 0.01),
        optimization,
        as_generator(1),
        callbacks=[error, EarlyStopping("error", patience, "min")],
        checkpoint=path,
        about=about,
        progress=False,
    )
    return model, history


def same(one, other):
    return all(
        torch.equal(x, y)
        for x, y in zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    )


@pytest.mark.parametrize("optimization", [ALL, Optimization("sgd", momentum=0.5)])
def test_interrupted_learning_goes_on_bit_for_bit(tmp_path, optimization):
    whole, history = learned(None, optimization)
    path = tmp_path / "state.safetensors"
    for until in (20, 10):  # steps of the run, not of the whole
        with pytest.raises(Interrupted):
            learned(path, optimization, until=until)
    model, again = learned(path, optimization)
    assert same(model, whole)
    assert again == history


class Counting(torch.optim.Optimizer):
    """Steps that shrink with a plain number in the state, as many optimisers keep it."""

    def __init__(self, parameters):
        super().__init__(parameters, {"lr": 0.1})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for x in group["params"]:
                state = self.state[x]
                if not state:
                    state.update(count=0, scale=1.0, mean=torch.zeros_like(x), extra=None)
                state["count"] += 1
                state["scale"] *= 0.9
                state["mean"].lerp_(x.grad, 0.1)
                x.add_(state["mean"], alpha=-group["lr"] * state["scale"] / state["count"])


@pytest.mark.parametrize("method", [Counting, partial(torch.optim.Adafactor, lr=0.01)])
def test_whatever_an_optimiser_keeps_goes_on(tmp_path, method):
    optimization = Optimization(method)
    whole, history = learned(None, optimization)
    with pytest.raises(Interrupted):
        learned(tmp_path / "state", optimization, until=17)
    again, rest = learned(tmp_path / "state", optimization)
    assert rest == history
    for name, x in whole.state_dict().items():
        assert torch.equal(again.state_dict()[name], x), name


def test_an_optimiser_that_no_file_can_hold_is_refused():
    optimizer = torch.optim.LBFGS([place := nn.Parameter(torch.ones(2))])

    def loss():
        optimizer.zero_grad()
        value = place.square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    with pytest.raises(TypeError, match=r"the optimizer keeps a list \(.*\), which no checkpoint"):
        optimizer_state(optimizer)


def test_numbers_of_numpy_and_partial_methods_are_kept(tmp_path):
    method = partial(torch.optim.Adam, lr=0.01, amsgrad=True)
    numbers: dict[str, Any] = {
        "clip_norm": np.float32(1),
        "weight_decay": np.float32(0.5),
        "parts": np.int64(1),
    }
    for how in (Optimization(method), Optimization("adamw", **numbers)):
        path = tmp_path / f"{how.clip_norm}.safetensors"
        count: Any = np.int64(2)
        first, _ = learned(path, how, epochs=count)
        assert same(first, learned(path, how, epochs=2)[0])
    given: dict[str, Any] = {
        "epochs": np.int64(2),
        "batch_size": np.int64(5),
        "lr": np.float32(0.5),
    }
    schedule = Schedule(**given, averaged=0.5)
    assert json.loads(json.dumps(asdict(schedule))) == asdict(Schedule(2, 5, 0.5, averaged=0.5))


def test_figures_are_plain_numbers():
    figures = {"epoch": 1}
    found = {"a": np.float32(0.5), "b": torch.tensor([1.0, 2.0]), "c": np.arange(2), "d": 3}
    Evaluate(lambda model: found).after_epoch(nn.Identity(), figures)
    assert json.loads(json.dumps(figures)) == {
        "epoch": 1,
        "a": 0.5,
        "b": [1, 2],
        "c": [0, 1],
        "d": 3,
    }


def test_folder_that_is_not_there_is_told_before_a_step(tmp_path):
    # A first loss would be an interruption.
    with pytest.raises(FileNotFoundError, match="its folder does not exist; create it"):
        learned(tmp_path / "none" / "state.safetensors", until=1)


def test_learning_that_is_done_is_only_read(tmp_path):
    path = tmp_path / "state.safetensors"
    whole, history = learned(path)
    model, again = learned(path, until=1)
    assert same(model, whole)
    assert again == history


def test_learning_that_stopped_early_stays_so(tmp_path):
    path = tmp_path / "state.safetensors"
    rising = Optimization("sgd", momentum=0.99, decay="constant")
    whole, history = learned(path, rising, epochs=60, patience=2)
    assert len(history) < 60
    model, again = learned(path, rising, epochs=60, patience=2, until=1)
    assert same(model, whole)
    assert again == history


def test_more_epochs_are_possible_at_a_constant_rate_only(tmp_path):
    constant = Optimization(decay="constant")
    path = tmp_path / "state.safetensors"
    learned(path, constant, epochs=2)
    model, history = learned(path, constant, epochs=4)
    whole, all_at_once = learned(None, constant, epochs=4)
    assert same(model, whole)
    assert history == all_at_once
    path = tmp_path / "falling.safetensors"
    learned(path, epochs=2)
    with pytest.raises(ValueError, match="learning with other schedule"):
        learned(path, epochs=4)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"optimization": Optimization()}, "other optimization"),
        ({"about": {"rows": 3}}, "other rows"),
        ({"size": 4}, r"parameters.0.weight must be .* \(8, 4\), found .* \(8, 3\)"),
    ],
)
def test_state_of_another_run_is_refused_and_stays(tmp_path, changed, message):
    path = tmp_path / "state.safetensors"
    learned(path, epochs=2)
    content = path.read_bytes()
    with pytest.raises(ValueError, match=message):
        learned(path, **({"epochs": 2} | changed))
    assert path.read_bytes() == content


def test_file_that_is_something_else_is_refused(tmp_path):
    path = tmp_path / "state.safetensors"
    path.write_bytes(b"weights, of a kind")
    with pytest.raises(ValueError, match="not a complete safetensors file"):
        learned(path)
    assert path.read_bytes() == b"weights, of a kind"


SCRIPT = """
import sys
import torch
from torch import nn
from inference.learning.descent import Player, descend
from inference.learning.optimization import Optimization
from inference.learning.schedule import Schedule
from inference.random import as_generator

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.3), nn.Linear(8, 3))
x = torch.randn(200, 3, generator=as_generator(5))

def loss(batch, generator):
    return (model(batch + torch.randn(batch.shape, generator=generator)) - batch).norm(), {}

descend(
    model, [Player("", list(model.parameters()), loss)], x, Schedule(150, 10, 0.01),
    Optimization(ema=0.99), as_generator(1), checkpoint=sys.argv[1] or None, progress=False,
)
print(model.state_dict()["0.weight"].double().sum().item().hex())
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no kill -9 here")
def test_process_that_was_killed_goes_on_bit_for_bit(tmp_path, root):
    path = tmp_path / "state.safetensors"
    command = [sys.executable, "-c", textwrap.dedent(SCRIPT)]
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    kills = 0
    for pause in (0.1, 0.3):
        process = subprocess.Popen([*command, str(path)], env=environment, stdout=subprocess.PIPE)
        while not path.exists() and process.poll() is None:
            time.sleep(0.01)
        time.sleep(pause)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        kills += process.returncode == -signal.SIGKILL
    assert kills, "both runs were over before they were killed"

    def printed(place):
        found = subprocess.run(
            [*command, place], env=environment, capture_output=True, text=True, check=True
        )
        return found.stdout

    assert printed(str(path)) == printed("")
    leftovers = [file.name for file in tmp_path.iterdir() if not file.name.startswith(".")]
    assert leftovers == ["state.safetensors"]
