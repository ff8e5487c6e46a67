"""Chains that are run, stopped and gone on with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from inference.sampling import driver
from inference.sampling.counting import Frequencies
from inference.sampling.driver import sample_chain
from inference.sampling.gibbs import ColoredGibbs
from inference.sampling.observers import Mean, Moments, Trace
from inference.sampling.samples import Samples


class WalkState(NamedTuple):
    """Positions, and how many steps were made, (chain,)."""

    position: Tensor
    steps: Tensor


@dataclass(frozen=True)
class Autoregression:
    """x_{t+1} = phi x_t + noise, which leaves the standard normal law."""

    phi: float = 0.5

    @property
    def device(self) -> torch.device:
        return torch.device("cpu")

    def init(self, position: Tensor) -> WalkState:
        return WalkState(position, torch.zeros(len(position), dtype=torch.int64))

    def step(self, state: WalkState, generator: torch.Generator) -> WalkState:
        noise = torch.empty_like(state.position).normal_(generator=generator)
        moved = self.phi * state.position + (1 - self.phi**2) ** 0.5 * noise
        return WalkState(moved, state.steps + 1)

    def position(self, state: WalkState) -> Tensor:
        return state.position


KERNEL, START = Autoregression(), torch.zeros(3, 2, dtype=torch.float64)


def run(state=START, **options) -> Samples:
    return sample_chain(KERNEL, state, **{"generator": 0, **options})


def watchers() -> dict:
    return {
        "mean": Mean(),
        "moments": Moments(lambda x: x.square()),
        "norm": Trace(lambda x: x.norm(dim=1)),
    }


def equal(one: Samples, other: Samples) -> bool:
    """Whether all tensors of two results are the same, bit for bit."""
    pairs = [(one.values, other.values), (one.generator_state, other.generator_state)]
    pairs += [(one.state, other.state), (one.observed["norm"], other.observed["norm"])]
    pairs += [(one.observed["mean"], other.observed["mean"])]
    pairs += [(one.observed["moments"], other.observed["moments"])]
    flat = []
    for a, b in pairs:
        flat += [(a, b)] if isinstance(a, Tensor) else list(zip(a, b, strict=True))
    return all(torch.equal(a, b) for a, b in flat)


# Steps -----------------------------------------------------------------------------------------


def test_draws_are_the_states_of_a_loop() -> None:
    source, state, expected = torch.Generator().manual_seed(0), KERNEL.init(START), []
    for t in range(5 + 4 * 3):
        state = KERNEL.step(state, source)
        if t >= 5 and (t - 5) % 3 == 2:
            expected.append(state.position)
    found = run(draws=4, warmup=5, thin=3)
    assert torch.equal(found.values, torch.stack(expected, 1))
    assert torch.equal(found.state.position, expected[-1])
    assert found.state.steps.tolist() == [17] * 3
    assert torch.equal(found.generator_state, source.get_state())
    assert len(found) == 4 and found.values.dtype == torch.float64


def test_states_and_positions_start_alike() -> None:
    assert torch.equal(run(KERNEL.init(START), draws=3).values, run(draws=3).values)


def test_same_seed_same_draws() -> None:
    source = torch.Generator().manual_seed(0)
    assert torch.equal(run(draws=3, generator=source).values, run(draws=3).values)
    assert not torch.equal(
        run(draws=3, generator=None).values, run(draws=3, generator=None).values
    )


def test_random_state_of_torch_is_not_touched() -> None:
    before = torch.get_rng_state()
    run(draws=3, generator=None)
    assert torch.equal(torch.get_rng_state(), before)


def test_stationary_law_is_that_of_the_kernel() -> None:
    # From exact draws, 2000 independent chains: mean and variance are off by 5.2 standard errors
    # once in 5 million runs.
    start = torch.randn(2000, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    x = run(start, draws=5).values[:, -1]
    assert abs(x.mean().item()) < 5.2 / 2000**0.5
    assert abs(x.var().item() - 1) < 5.2 * (2 / 2000) ** 0.5


def test_gibbs_chains(make, law) -> None:
    density = make(seed=1)
    states, probs = law(density)
    samples = sample_chain(
        ColoredGibbs(density).at(1.0),
        torch.zeros(16, 5, dtype=torch.int64),
        draws=400,
        warmup=20,
        observers=[Frequencies(3)],
        generator=3,
    )
    exact = (probs[:, None] * states).sum(0)
    # Student's law with at least 15 degrees of freedom: 8 errors are a chance of 1e-6.
    assert bool(((samples.mean() - exact).abs() < 8 * samples.mcse()).all())
    shares = samples.observed["frequencies"].shares
    found = torch.stack([(samples.flat == k).double().mean(0) for k in range(3)], -1)
    torch.testing.assert_close(shares, found, rtol=1e-13, atol=1e-15)
    assert samples.values.dtype == torch.int64


# Going on ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("thin", [1, 3])
def test_going_on_equals_never_having_stopped(thin) -> None:
    whole = run(draws=100, warmup=7, thin=thin, observers=watchers())
    first = run(draws=60, warmup=7, thin=thin, observers=watchers())
    again = sample_chain(KERNEL, first, draws=40, thin=thin, observers=watchers())
    assert equal(again, whole)
    # What was there before is as it was, and can be gone on with once more.
    assert len(first) == 60 and first.observed["norm"].shape == (3, 60)
    assert equal(sample_chain(KERNEL, first, draws=40, thin=thin, observers=watchers()), whole)
    assert not equal(
        sample_chain(KERNEL, first, draws=40, thin=thin, observers=watchers(), generator=1), whole
    )


def test_going_on_from_a_file(tmp_path) -> None:
    whole = run(draws=100, observers=watchers())
    run(draws=60, observers=watchers()).save(tmp_path / "draws.safetensors")
    first = Samples.load(tmp_path / "draws.safetensors")
    assert equal(sample_chain(KERNEL, first, draws=40, observers=watchers()), whole)


def test_going_on_with_codes_from_a_file(make, tmp_path) -> None:
    kernel = ColoredGibbs(make(seed=2)).at(1.0)
    start = torch.zeros(4, 5, dtype=torch.int64)
    whole = sample_chain(kernel, start, draws=100, generator=0)
    sample_chain(kernel, start, draws=60, generator=0).save(tmp_path / "x.safetensors")
    found = sample_chain(kernel, Samples.load(tmp_path / "x.safetensors"), draws=40)
    assert torch.equal(found.values, whole.values)
    assert torch.equal(found.state.codes, whole.state.codes)


def test_new_draws_alone() -> None:
    whole, first = run(draws=10), run(draws=6)
    more = sample_chain(KERNEL, first.state, draws=4, generator=first.generator())
    assert torch.equal(more.values, whole.values[:, 6:])


def test_going_on_needs_the_same_observers() -> None:
    first = run(draws=6, observers=watchers())
    with pytest.raises(ValueError, match=r"observers must be those of the samples, \['mean'"):
        sample_chain(KERNEL, first, draws=4)


# What is kept --------------------------------------------------------------------------------


def test_nothing_is_kept_if_nothing_shall_be() -> None:
    whole, found = (
        run(draws=50, observers=watchers()),
        run(draws=50, keep=False, observers=watchers()),
    )
    assert found.values.shape == (3, 0, 2) and len(found) == 0
    assert torch.equal(found.observed["mean"], whole.observed["mean"])
    with pytest.raises(ValueError, match="draws per chain, found 0"):
        found.mean()
    more = sample_chain(KERNEL, found, draws=10, keep=False, observers=watchers())
    assert more.observed["norm"].shape == (3, 60) and len(more) == 0


def test_warm_up_alone() -> None:
    found = run(draws=0, warmup=9)
    assert found.state.steps.tolist() == [9] * 3 and len(found) == 0


def test_draws_keep_no_graph() -> None:
    start = START.clone().requires_grad_()
    assert not run(start, draws=3).values.requires_grad


def test_names_of_observers() -> None:
    assert list(run(draws=2, observers=[Mean(), Moments()]).observed) == ["mean", "moments"]
    with pytest.raises(ValueError, match="names of their own"):
        run(draws=2, observers=[Mean(), Mean(torch.square)])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"draws": -1}, "draws must be at least 0"),
        ({"draws": 1, "warmup": -1}, "warmup must be at least 0"),
        ({"draws": 1, "thin": 0}, "thin must be at least 1"),
    ],
)
def test_bad_lengths_are_refused(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        run(**options)


def test_bad_kinds_are_refused() -> None:
    with pytest.raises(TypeError, match="draws must be a whole number"):
        run(draws=1.5)
    with pytest.raises(TypeError, match="progress must be"):
        run(draws=1, progress="yes")
    with pytest.raises(TypeError, match=r"state must be positions .* found ndarray"):
        run(START.numpy(), draws=1)
    with pytest.raises(TypeError, match="generator must be None"):
        run(draws=1, generator="seed")


def test_draws_that_do_not_fit_are_refused(monkeypatch) -> None:
    monkeypatch.setattr("inference.memory.free_memory", lambda: 2**20)
    with pytest.raises(ValueError, match=r"\(3, 1000000, 2\) would take 45\.8 MiB.*keep=False"):
        run(draws=10**6)
    assert len(run(draws=10)) == 10


def test_bar_counts_steps(monkeypatch) -> None:
    seen = {"total": 0, "done": 0}

    class Bar:
        def __init__(self, total: int, *_: object) -> None:
            seen["total"] = total

        def __enter__(self):
            return self

        def __exit__(self, *_: object) -> None: ...

        def update(self, n: int) -> None:
            seen["done"] += n

    monkeypatch.setattr(driver, "progress_bar", Bar)
    run(draws=5, warmup=3, thin=2)
    assert seen == {"total": 13, "done": 13}


def test_what_observes_must_be_observers() -> None:
    for wrong in (Mean(), "mean", None):
        with pytest.raises(TypeError, match="observers must be a sequence"):
            run(draws=1, observers=wrong)
    with pytest.raises(TypeError, match="strings as names, found 1"):
        run(draws=1, observers={1: Mean()})


def test_a_path_of_laws_is_no_kernel(make) -> None:
    with pytest.raises(TypeError, match=r"path of laws ColoredGibbs; pass kernel.at\(beta\)"):
        sample_chain(ColoredGibbs(make()), torch.zeros((1, 5), dtype=torch.int64), draws=1)
