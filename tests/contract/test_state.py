"""Types, devices, copies and files of models."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from inference.model import Model
from tests.contract.case import Case, detached, same


def moved(value: Any, to: Any) -> Any:
    """The same with every tensor of real numbers of another type, or every tensor elsewhere."""
    if isinstance(value, Tensor):
        other = isinstance(to, torch.dtype) and not value.is_floating_point()
        return value if other else value.to(to)
    if isinstance(value, dict):
        return {name: moved(part, to) for name, part in value.items()}
    return [moved(part, to) for part in value] if isinstance(value, list) else value


def near(found: Any, expected: Any) -> bool:
    """Whether answers agree to single precision, whatever their type."""
    if isinstance(found, Tensor):
        return found.shape == expected.shape and torch.allclose(
            found.double(), expected.double(), rtol=1e-3, atol=1e-4, equal_nan=True
        )
    if isinstance(found, list):
        return len(found) == len(expected) and all(map(near, found, expected))
    return found == expected


def test_single_precision_gives_the_same_answers(case: Case) -> None:
    model, exact = case.make().float(), case.make()
    rows = tuple(moved(part, torch.float32) for part in case.rows)
    for method in (*case.values, *case.maps):
        if method in case.options:
            continue  # draws of another type are other draws
        assert near(case.ask(model, method, rows), case.ask(exact, method)), method
    assert all(p.dtype in (torch.float32, torch.float64) for p in model.parameters())
    if case.draw is not None:
        assert case.draw(model, 4, 3).shape == (4, *case.event)


def test_type_of_results_follows_the_model(case: Case) -> None:
    for dtype in (torch.float32, torch.float64):
        model = case.make().to(dtype)
        kept = {p.dtype for p in (*model.parameters(), *model.buffers()) if p.is_floating_point()}
        rows = tuple(moved(part, dtype) for part in case.rows)
        for method in (*case.values, *case.maps):
            found = case.ask(model, method, rows)
            if isinstance(found, Tensor) and found.is_floating_point():
                assert found.dtype in kept | {torch.float64}, method
        if case.draw is not None:
            found = case.draw(model, 4, 3)
            whole = torch.equal(found, found.round())  # codes and units are exact in any type
            assert whole or found.dtype in kept | {torch.float64}


def test_models_move_to_the_device(case: Case, device: torch.device) -> None:
    model, here = case.make().to(device), case.make()
    rows = tuple(moved(part, device) for part in case.rows)
    for method in (*case.values, *case.maps):
        found = case.ask(model, method, rows)
        if isinstance(found, Tensor):
            assert found.device.type == device.type, method
        if method not in case.options:
            assert near(moved(found, "cpu"), case.ask(here, method)), method
    assert model.device.type == device.type
    if case.draw is not None:
        found = case.draw(model, 4, 3)
        assert found.device.type == device.type
        assert same(detached(case.draw(model, 4, 3)), detached(found), exact=True)


def test_files_hold_the_model(case: Case, tmp_path: Path) -> None:
    model = case.make()
    model.save(tmp_path / "model.safetensors")
    loaded = case.cls.load(tmp_path / "model.safetensors", **case.parts(model))
    assert type(loaded) is case.cls
    assert loaded.config() == model.config()
    assert same(dict(loaded.state_dict()), dict(model.state_dict()), exact=True)
    assert same(case.answers(loaded), case.answers(model), exact=True)


def test_config_is_json(case: Case) -> None:
    config = case.make().config()
    written = json.dumps(config, allow_nan=False)
    assert json.dumps(json.loads(written)) == written
    assert json.dumps(case.make().config()) == written


def test_files_of_another_class_are_refused(case: Case, tmp_path: Path) -> None:
    class Other(Model):
        def config(self) -> dict[str, Any]:
            return {}

    Other().save(tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="Other"):
        case.cls.load(tmp_path / "other.safetensors", **case.parts(case.make()))
    with pytest.raises(FileNotFoundError):
        case.cls.load(tmp_path / "none.safetensors", **case.parts(case.make()))


def test_state_makes_a_round_trip(case: Case) -> None:
    source, target = case.make(), case.make()
    case.change(source)
    expected = case.answers(source)
    case.answers(target)
    target.load_state_dict(source.state_dict())
    assert same(case.answers(target), expected, exact=True)


def test_copies_are_independent(case: Case) -> None:
    model = case.make()
    before = case.answers(model)
    twin = copy.deepcopy(model)
    assert same(case.answers(twin), before, exact=True)
    case.change(twin)
    assert same(case.answers(model), before, exact=True)
    assert any(not same(part, before[name]) for name, part in case.answers(twin).items())


def test_repr_names_the_class_and_says_more(case: Case) -> None:
    lines = repr(case.make()).splitlines()
    assert lines[0].startswith(f"{case.cls.__name__}(")
    assert lines[0] != f"{case.cls.__name__}()"
    assert all(len(line) < 200 for line in lines)
    assert len(lines) < 40
