"""Tests of the base class of all models: its file above all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from inference.model import Model


class Pair(Model):
    """Two layers with a shared weight, an integer buffer and a buffer that is not saved."""

    def __init__(self, size: int, names: list[str] | None = None) -> None:
        super().__init__()
        if size < 1:
            raise ValueError(f"size must be positive, found {size}")
        self.size, self.names = size, names
        self.first = nn.Linear(size, size)
        self.second = nn.Linear(size, size)
        self.second.weight = self.first.weight
        self.register_buffer("counts", torch.zeros(size, dtype=torch.int64))
        self.register_buffer("scratch", torch.zeros(3), persistent=False)

    def config(self) -> dict[str, Any]:
        return {"size": self.size, "names": self.names}


class Empty(Model):
    """A model without state."""

    def config(self) -> dict[str, Any]:
        return {}


class Stubborn(Empty):
    """A configuration that JSON cannot hold."""

    def config(self) -> dict[str, Any]:
        return {"function": len}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


def rewrite(path: Path, metadata: dict[str, str | None] | None = None, **tensors: object) -> None:
    """Replace entries of a model file, whose checksum is left out; None removes one."""
    with safe_open(path, framework="pt") as file:
        old_metadata = file.metadata()
        old_tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    new_metadata = {**old_metadata, "checksum": None, **(metadata or {})}
    new_tensors = {**old_tensors, **tensors}
    save_file(
        {key: value for key, value in new_tensors.items() if value is not None},
        path,
        {key: value for key, value in new_metadata.items() if value is not None},
    )


def test_base_is_abstract() -> None:
    with pytest.raises(TypeError, match="abstract"):
        Model()  # type: ignore[abstract]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_round_trip_keeps_values_types_and_ties(path: Path, dtype: torch.dtype) -> None:
    model = Pair(3, names=["a", "ß", "c"]).to(dtype)
    model.counts += 2**40
    model.second.bias.data.fill_(-torch.inf)
    model.save(path)
    copy = Pair.load(str(path))
    assert copy.config() == model.config()
    assert copy.state_dict().keys() == model.state_dict().keys()
    for key, value in model.state_dict().items():
        torch.testing.assert_close(copy.state_dict()[key], value, rtol=0, atol=0)
    assert copy.first.weight is copy.second.weight
    assert copy.history == []


def test_state_may_be_strided_and_shared(path: Path) -> None:
    model = Pair(3)
    model.first.weight.data = torch.arange(9.0).reshape(3, 3).T
    model.second.bias.data = model.first.bias.data
    model.save(path)
    assert Pair.load(path).first.weight[0].tolist() == [0.0, 3.0, 6.0]


def test_loaded_state_does_not_hang_on_the_file(path: Path) -> None:
    Pair(2).save(path)
    copy = Pair.load(path)
    before = copy.first.weight.clone()
    path.write_bytes(bytes(path.stat().st_size))
    assert torch.equal(copy.first.weight, before)


def test_model_without_state(path: Path) -> None:
    Empty().save(path)
    assert Empty.load(path).device == torch.device("cpu")


def test_device_is_that_of_the_state() -> None:
    assert Pair(1).to("meta").device == torch.device("meta")


def test_metadata_says_what_the_file_is(path: Path) -> None:
    Pair(2).save(path)
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    assert metadata["format"] == "free-energy"
    assert metadata["class"] == "Pair"
    assert json.loads(metadata["config"]) == {"size": 2, "names": None}


def test_configuration_that_is_not_json(path: Path) -> None:
    with pytest.raises(TypeError, match=r"Stubborn\.config\(\) must return JSON"):
        Stubborn().save(path)
    assert not path.exists()


def test_failed_save_keeps_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Pair(2).save(path)
    old = path.read_bytes()

    def fill_the_disk(self: Path, data: bytes) -> int:
        with open(self, "wb") as file:
            file.write(data[: len(data) // 2])
        raise OSError("no space left")

    monkeypatch.setattr(Path, "write_bytes", fill_the_disk)
    with pytest.raises(OSError, match="no space left"):
        Pair(3).save(path)
    assert path.read_bytes() == old
    assert list(path.parent.iterdir()) == [path]


def test_missing_file(path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors"):
        Pair.load(path)


@pytest.mark.parametrize("keep", [0, 7, 20, -1])
def test_truncated_file_at(path: Path, keep: int) -> None:
    Pair(2).save(path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"model\.safetensors: not a complete safetensors file"):
        Pair.load(path)


def test_no_flipped_bit_passes(path: Path) -> None:
    Pair(2).save(path)
    content = path.read_bytes()
    state = Pair.load(path).state_dict()
    for position in range(8 * len(content)):
        damaged = bytearray(content)
        damaged[position // 8] ^= 1 << position % 8
        path.write_bytes(damaged)
        try:
            # A flip in the name of the checksum, or in padding, changes no model.
            found = Pair.load(path).state_dict()
        except ValueError as error:
            assert "model.safetensors" in str(error)
        else:
            assert all(torch.equal(found[key], value) for key, value in state.items())


def test_damage_of_numbers_is_said(path: Path) -> None:
    Pair(2).save(path)
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ValueError, match=r"model\.safetensors: damaged since it was written"):
        Pair.load(path)


def test_files_of_before_the_checksum_are_read(path: Path) -> None:
    Pair(2).save(path)
    rewrite(path)
    assert isinstance(Pair.load(path), Pair)


def test_other_kinds_of_file(path: Path) -> None:
    path.write_text("not a model at all")
    with pytest.raises(ValueError, match=r"model\.safetensors: not a complete safetensors file"):
        Pair.load(path)
    with pytest.raises(ValueError, match="not a complete safetensors file"):
        Pair.load(path.parent)
    save_file({"x": torch.ones(1)}, path)
    with pytest.raises(ValueError, match=r"not one that a model's save\(\) wrote"):
        Pair.load(path)


def test_other_class_is_named(path: Path) -> None:
    Empty().save(path)
    with pytest.raises(ValueError, match=r"model\.safetensors: holds class Empty, not Pair"):
        Pair.load(path)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"version": "2"}, "layout version '2'"),
        ({"version": None}, "layout version None"),
        ({"config": None}, "configuration is not JSON"),
        ({"config": "{'size': 2}"}, "configuration is not JSON"),
        ({"config": "[" * 100_000}, "configuration is not JSON"),
        ({"config": "[2]"}, "must be a JSON object, found list"),
        ({"config": '{"size": 2, "colour": 1}'}, "does not build a Pair: .*colour"),
        ({"config": "{}"}, "does not build a Pair: .*size"),
        ({"config": '{"size": 0}'}, "does not build a Pair: size must be positive"),
        (
            {"config": '{"size": 3}'},
            r"must be integer of shape \(3,\), found torch.int64 .*\(2,\)",
        ),
    ],
)
def test_faulty_metadata(path: Path, metadata: dict[str, str | None], message: str) -> None:
    Pair(2).save(path)
    rewrite(path, metadata)
    with pytest.raises(ValueError, match=r"model\.safetensors: .*" + message):
        Pair.load(path)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"counts": None}, "tensors are missing: counts"),
        ({"extra": torch.ones(1)}, "tensors that the model does not have: extra"),
        ({"counts": torch.ones(2)}, "counts must be integer"),
        ({"counts": torch.ones(2, dtype=torch.bool)}, "counts must be integer"),
        ({"first.bias": torch.ones(2, dtype=torch.complex64)}, "first.bias must be floating"),
        ({f"extra{i}": torch.ones(1) for i in range(9)}, "extra0, .*extra4 and 4 more"),
    ],
)
def test_faulty_tensors(path: Path, tensors: dict[str, object], message: str) -> None:
    Pair(2).save(path)
    rewrite(path, **tensors)
    with pytest.raises(ValueError, match=r"model\.safetensors: .*" + message):
        Pair.load(path)
