"""Draws as a value: estimates, files, other libraries."""

from __future__ import annotations

import builtins
import json
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from inference.diagnostics.effective_sample_size import ess_bulk, ess_tail
from inference.diagnostics.rhat import rhat
from inference.diagnostics.standard_error import mcse
from inference.sampling.samples import Samples, map_tensors


class Inner(NamedTuple):
    level: Tensor


class State(NamedTuple):
    position: Tensor
    inner: Inner


def samples(shape=(3, 20, 2, 4), dtype=torch.float32) -> Samples:
    source = torch.Generator().manual_seed(3)
    values = (9 * torch.randn(shape, generator=source)).to(dtype)
    state = State(values[:, -1], Inner(torch.arange(3)))
    pair = Inner(torch.ones(2, dtype=torch.float64))
    return Samples(values, state, source.get_state(), {"a": pair, "b": values[0]}, {"a": pair})


@pytest.mark.parametrize("dtype", [torch.float32, torch.int64])
def test_estimates_are_numpys(dtype) -> None:
    one = samples(dtype=dtype)
    x = one.values.numpy().astype(np.float64)
    np.testing.assert_allclose(one.mean(), x.mean((0, 1)), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(one.std(), x.std((0, 1), ddof=1), rtol=1e-12)
    np.testing.assert_allclose(one.quantile(0.3), np.quantile(x, 0.3, axis=(0, 1)), rtol=1e-12)
    several = one.quantile([0.0, 0.5, 1.0])
    np.testing.assert_allclose(several, np.quantile(x, [0, 0.5, 1], axis=(0, 1)), rtol=1e-12)
    assert torch.equal(one.quantile(torch.tensor([0.5])), several[1:2])


def test_diagnostics_are_the_functions() -> None:
    one = samples()
    pairs = {rhat: one.rhat(), ess_bulk: one.ess_bulk(), ess_tail: one.ess_tail()}
    for function, found in pairs.items():
        assert torch.equal(found, function(one.values))
    assert torch.equal(one.mcse(0.4), mcse(one.values, 0.4))
    assert "too few draws" in str(one.summary())
    assert list(one.summary(quantiles=[0.5]))[3] == "50%"


def test_few_draws_have_a_mean() -> None:
    one = samples((1, 1, 2))
    assert torch.equal(one.mean(), one.values[0, 0].double())
    assert torch.equal(one.quantile(0.5), one.mean())
    assert one.std().isnan().all()


def test_shapes() -> None:
    one = samples()
    assert len(one) == 20 and one.flat.shape == (60, 2, 4)
    assert torch.equal(one.flat[20:40], one.values[1])
    assert "(3, 20, 2, 4)" in repr(one)


def test_thinned_draws_end_with_the_last() -> None:
    one = samples()
    thinned = one.thin(5)
    assert torch.equal(thinned.values, one.values[:, [4, 9, 14, 19]])
    assert thinned.state is one.state
    for k in (0, 21):
        with pytest.raises(ValueError, match="k must be at"):
            one.thin(k)


@pytest.mark.parametrize("q", [-0.1, 1.1, [], [[0.5]], float("nan")])
def test_bad_shares_are_refused(q) -> None:
    with pytest.raises(ValueError, match="q must be shares"):
        samples().quantile(q)


# Files -------------------------------------------------------------------------------------------


def test_round_trip(tmp_path) -> None:
    one = samples()
    one.save(tmp_path / "x.safetensors")
    two = Samples.load(tmp_path / "x.safetensors")
    assert torch.equal(two.values, one.values) and two.values.dtype == torch.float32
    assert torch.equal(two.generator_state, one.generator_state)
    assert two.state._fields == ("position", "inner")
    assert torch.equal(two.state.inner.level, torch.arange(3))
    assert torch.equal(two.observed["a"].level, one.observed["a"].level)
    assert torch.equal(two.observed["b"], one.observed["b"])
    assert list(two.carries) == ["a"]
    draws = [torch.rand(3, generator=each.generator()) for each in (one, two, two)]
    assert torch.equal(draws[0], draws[1]) and torch.equal(draws[1], draws[2])


def test_states_that_are_no_tensors_are_not_saved(tmp_path) -> None:
    one = Samples(torch.zeros(1, 4), Inner(3), torch.Generator().get_state())
    with pytest.raises(TypeError, match=r"state\.level must be a tensor"):
        one.save(tmp_path / "x.safetensors")
    assert not list(tmp_path.iterdir())


def test_other_files_are_refused(tmp_path) -> None:
    from safetensors.torch import save_file

    path = str(tmp_path / "x.safetensors")
    good = {"format": "free-energy", "version": "1", "class": "Samples"}
    values = {"values": torch.zeros(1, 4), "generator_state": torch.zeros(1, dtype=torch.uint8)}
    cases = {
        "not one that a model": {},
        "holds class Bias": {**good, "class": "Bias", "config": "{}"},
        "do not fit together": {**good, "config": "{}"},
        "not fit together": {
            **good,
            "config": json.dumps({"state": {"class": None}, "observed": {}, "carries": {}}),
        },
        "fit together": {
            **good,
            "config": json.dumps({"state": {"x": None}, "observed": {}, "carries": {}}),
        },
    }
    for message, metadata in cases.items():
        save_file(values, path, metadata)
        with pytest.raises(ValueError, match=message):
            Samples.load(path)
    with pytest.raises(FileNotFoundError):
        Samples.load(tmp_path / "none.safetensors")


def test_map_tensors_keeps_the_kinds() -> None:
    state = State(torch.ones(2), Inner(torch.zeros(1)))
    found = map_tensors(lambda x: x + 1, state)
    assert isinstance(found, State) and isinstance(found.inner, Inner)
    assert found.position.tolist() == [2, 2] and found.inner.level.tolist() == [1]


# ArviZ -------------------------------------------------------------------------------------------


def test_arviz_takes_the_draws() -> None:
    pytest.importorskip("arviz_base")
    one = samples()
    tree = one.to_arviz("field")
    assert tree["posterior"]["field"].dims[:2] == ("chain", "draw")
    np.testing.assert_array_equal(tree["posterior"]["field"].values, one.values)


def test_arviz_that_is_not_there_is_named(monkeypatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: object):
        if name == "arviz_base":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match="pip install arviz-base"):
        samples().to_arviz()


def test_names_with_dots_are_kept_apart(tmp_path) -> None:
    """An observer "a.level" is none of the parts of what "a" found."""
    one = samples()
    pair, other = Inner(torch.ones(2)), torch.zeros(3)
    names = {"a": pair, "a.level": other, "a\\": pair, "a\\.level": other, "": other}
    Samples(one.values, one.state, one.generator_state, names, {"a": pair}).save(tmp_path / "x")
    found = Samples.load(tmp_path / "x").observed
    assert list(found) == list(names)
    for name, value in names.items():
        torch.testing.assert_close(tuple(found[name]), tuple(value), rtol=0, atol=0)


def test_shares_may_be_any_array() -> None:
    one = samples()
    shares = np.array([0.1, 0.9], dtype=">f8")
    assert torch.equal(one.quantile(shares), one.quantile([0.1, 0.9]))
    with pytest.raises(TypeError, match="q must hold real numbers"):
        one.quantile("half")
