"""Random draws: laws, seeds, isolation from the global state.

Every test draws from fixed seeds, so its outcome never changes; had the seeds been free, a
statistical test here would raise a false alarm with probability at most 1e-6.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor

from inference.random import (
    GeneratorLike,
    as_generator,
    bernoulli,
    categorical,
    numpy_generator,
    spawn,
    spins,
)

INF = math.inf
FALSE_ALARM = 1e-6
DRAWS: dict[str, Callable[[GeneratorLike], Tensor]] = {
    "bernoulli": lambda g: bernoulli(torch.full((50,), 0.5), generator=g),
    "spins": lambda g: spins(torch.zeros(50), generator=g),
    "categorical": lambda g: categorical(torch.zeros(7), 50, generator=g),
    "spawn": lambda g: torch.stack([torch.rand(5, generator=c) for c in spawn(g, 3)]),
    "numpy_generator": lambda g: torch.from_numpy(numpy_generator(g).random(20)),
    "as_generator": lambda g: torch.rand(20, generator=as_generator(g)),
}
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@pytest.fixture(autouse=True)
def global_state_is_untouched() -> Iterator[None]:
    before = torch.get_rng_state()
    yield
    assert torch.get_rng_state().equal(before)


def follows(codes: Tensor, probabilities: object) -> bool:
    """Chi-square test, and no draw where the probability is zero."""
    p = np.asarray(probabilities, dtype=float)
    counts = np.bincount(codes.flatten().numpy(), minlength=len(p))
    if len(counts) != len(p) or counts[p == 0].any():
        return False
    expected = p[p > 0] * counts.sum()
    return len(expected) == 1 or bool(
        stats.chisquare(counts[p > 0], expected).pvalue > FALSE_ALARM
    )


def follows_binomial(ones: int, n: int, p: float) -> bool:
    return bool(stats.binomtest(ones, n, p).pvalue > FALSE_ALARM)


@pytest.mark.parametrize("name", DRAWS)
def test_same_seed_same_result(name: str) -> None:
    draw = DRAWS[name]
    assert torch.equal(draw(5), draw(5))
    assert torch.equal(draw(5), draw(torch.Generator().manual_seed(5)))
    assert torch.equal(draw(5), draw(np.int64(5)))
    assert not torch.equal(draw(5), draw(6))


@pytest.mark.parametrize("name", DRAWS)
def test_no_seed_is_fresh_entropy(name: str) -> None:
    draw = DRAWS[name]
    assert not torch.equal(draw(None), draw(None))


@pytest.mark.parametrize("name", DRAWS)
def test_a_generator_advances(name: str) -> None:
    generator = torch.Generator().manual_seed(5)
    assert not torch.equal(DRAWS[name](generator), DRAWS[name](generator))


def test_as_generator_passes_a_generator_through() -> None:
    generator = torch.Generator()
    assert as_generator(generator) is generator
    assert as_generator(3).initial_seed() == 3
    assert as_generator(2**64 - 1).device == torch.device("cpu")


@pytest.mark.parametrize("wrong", [1.0, "7", True, np.random.default_rng(0), [1]])
def test_as_generator_refuses_other_kinds(wrong: Any) -> None:
    with pytest.raises(TypeError, match=f"generator must be .* found {type(wrong).__name__}"):
        as_generator(wrong)


@pytest.mark.parametrize("wrong", [-1, 2**64])
def test_as_generator_refuses_seeds_out_of_range(wrong: int) -> None:
    with pytest.raises(ValueError, match=f"found {wrong}"):
        as_generator(wrong)


def test_as_generator_refuses_another_device() -> None:
    with pytest.raises(ValueError, match="must be on cuda, found one on cpu"):
        as_generator(torch.Generator(), "cuda")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_bernoulli_law(dtype: torch.dtype) -> None:
    p = torch.tensor([0.0, 1e-4, 0.25, 0.5, 0.9, 1.0], dtype=dtype)
    n = 40_000
    x = bernoulli(p.expand(n, 6), generator=11)
    assert x.shape == (n, 6) and x.dtype == dtype
    assert x.unique().tolist() == [0.0, 1.0]
    ones = x.double().sum(0).tolist()
    assert ones[0] == 0 and ones[5] == n
    for count, q in zip(ones[1:5], p[1:5].tolist(), strict=True):
        assert follows_binomial(int(count), n, q)


@pytest.mark.parametrize("wrong", [1.5, -0.1, math.nan])
def test_bernoulli_refuses_what_is_no_probability(wrong: float) -> None:
    with pytest.raises(ValueError, match=r"probs must be in \[0, 1\]"):
        bernoulli(torch.tensor([0.5, wrong]), generator=0)
    with pytest.raises(TypeError, match="probs must be a floating-point tensor"):
        bernoulli(torch.tensor([0, 1]), generator=0)


def test_spins_law() -> None:
    logits = torch.tensor([-INF, -2.0, 0.0, 3.0, INF], dtype=torch.float64)
    n = 40_000
    s = spins(logits.expand(n, 5), generator=12)
    assert s.dtype == torch.float64 and s.unique().tolist() == [-1.0, 1.0]
    ups = (s == 1).sum(0).tolist()
    assert ups[0] == 0 and ups[4] == n
    for count, a in zip(ups[1:4], (-2.0, 0.0, 3.0), strict=True):
        assert follows_binomial(count, n, 1 / (1 + math.exp(-a)))
    with pytest.raises(ValueError, match="found NaN"):
        spins(torch.tensor([math.nan]), generator=0)


def test_draws_record_no_gradient() -> None:
    leaf = torch.zeros(3, requires_grad=True)
    assert not bernoulli(leaf, generator=0).requires_grad
    assert not spins(leaf, generator=0).requires_grad
    assert not categorical(leaf, 2, temperature=leaf[0] + 1, generator=0).requires_grad


@pytest.mark.parametrize(
    ("temperature", "expected"),
    [
        (1.0, [0.090031, 0.244728, 0.665241]),
        (0.5, [0.015876, 0.117310, 0.866813]),
        (INF, [1 / 3, 1 / 3, 1 / 3]),
        (1e9, [1 / 3, 1 / 3, 1 / 3]),
        (1e-3, [0.0, 0.0, 1.0]),
        (0.0, [0.0, 0.0, 1.0]),
    ],
)
def test_T19b_boltzmann_selection(temperature: float, expected: list[float]) -> None:
    rewards = torch.tensor([1.0, 2.0, 3.0])
    p = np.array(expected) / sum(expected)
    assert follows(categorical(rewards, 50_000, temperature=temperature, generator=2), p)


def test_temperature_zero_chooses_evenly_among_the_maxima() -> None:
    logits = torch.tensor([3.0, -INF, 3.0, 2.999999])
    assert follows(categorical(logits, 20_000, temperature=0, generator=1), [0.5, 0, 0.5, 0])


def test_infinite_temperature_keeps_impossible_states_impossible() -> None:
    logits = torch.tensor([3.0, -INF, -500.0])
    assert follows(categorical(logits, 20_000, temperature=INF, generator=1), [0.5, 0, 0.5])


def test_one_temperature_per_row() -> None:
    rewards = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    temperatures = torch.tensor([0.0, 0.5, 2.0], dtype=torch.float64)
    codes = categorical(rewards, 30_000, temperature=temperatures, generator=3)
    assert codes.shape == (30_000, 3)
    assert follows(codes[:, 0], [0.0, 0.0, 1.0])
    for row in (1, 2):
        assert follows(codes[:, row], torch.softmax(rewards / temperatures[row], 0))


def test_categorical_rows_follow_their_own_laws() -> None:
    rng = np.random.default_rng(4)
    p = rng.dirichlet(np.full(5, 0.5), (2, 3))
    p[0, 0] = [0, 0.5, 0, 0.5, 0]
    with np.errstate(divide="ignore"):
        logits = torch.from_numpy(np.log(p)) + torch.tensor([[[1e3]], [[-1e3]]])
    codes = categorical(logits, 20_000, generator=5)
    assert codes.shape == (20_000, 2, 3) and codes.dtype == torch.int64
    for i in range(2):
        for j in range(3):
            assert follows(codes[:, i, j], p[i, j])


def test_categorical_rows_are_independent() -> None:
    codes = categorical(torch.zeros(2, 3), 30_000, generator=8)
    assert follows(codes[:, 0] * 3 + codes[:, 1], np.full(9, 1 / 9))
    assert follows(codes[:-1, 0] * 3 + codes[1:, 0], np.full(9, 1 / 9))


def test_categorical_sample_shapes() -> None:
    logits = torch.zeros(2, 3, 4)
    assert categorical(logits, generator=0).shape == (2, 3)
    assert categorical(logits, 0, generator=0).shape == (0, 2, 3)
    assert categorical(logits, np.int64(5), generator=0).shape == (5, 2, 3)
    assert categorical(logits, (5, 6), generator=0).shape == (5, 6, 2, 3)
    assert categorical(logits, (), generator=0).shape == (2, 3)
    assert categorical(torch.zeros(4), generator=0).shape == ()
    assert categorical(torch.zeros(0, 4), 3, generator=0).shape == (3, 0)
    assert categorical(logits.mT, 5, generator=0).shape == (5, 2, 4)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_impossible_states_are_never_drawn(data: st.DataObject) -> None:
    entries = st.one_of(st.floats(-50, 50), st.just(-INF))
    logits = data.draw(st.lists(entries, min_size=1, max_size=8).filter(lambda x: max(x) > -INF))
    codes = categorical(torch.tensor(logits), 500, generator=data.draw(st.integers(0, 2**32)))
    assert codes.min() >= 0 and codes.max() < len(logits)
    assert all(logits[code] > -INF for code in codes.unique().tolist())


@pytest.mark.parametrize("uniform", [0.0, 1 - 2.0**-53])
def test_extreme_uniform_numbers_keep_certain_things_certain(
    uniform: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    def constant(shape: tuple[int, ...], *, dtype: torch.dtype, **_: object) -> Tensor:
        largest = 1 - torch.finfo(dtype).eps / 2
        return torch.full(shape, min(uniform, largest), dtype=dtype)

    monkeypatch.setattr(torch, "rand", constant)
    for low, high, k in [(1, 2, 3), (1, 4, 7), (0, 10, 11), (3, 3, 4)]:
        logits = torch.full((k,), -INF, dtype=torch.float64)
        logits[low : high + 1] = torch.linspace(0.1, 0.7, high + 1 - low, dtype=torch.float64)
        assert categorical(logits, generator=0) == (high if uniform else low)
    for dtype in (torch.float32, torch.float64):
        assert bernoulli(torch.tensor([0.0, 1.0], dtype=dtype), generator=0).tolist() == [0, 1]
        assert spins(torch.tensor([-INF, INF], dtype=dtype), generator=0).tolist() == [-1, 1]


def test_rare_states_are_drawn_from_single_precision_logits() -> None:
    # A sum in float32 would round these states away; a float32 uniform would miss most of them.
    states, p, n = 1_000_000, 1e-8, 2_000_000
    logits = torch.full((states + 1,), math.log(p / (1 - states * p)))
    logits[0] = 0.0
    codes = categorical(logits, n, generator=6)
    rare = codes[codes > 0]
    assert follows_binomial(len(rare), n, states * p)
    # The number of distinct states among m even draws has a variance below its mean deficit.
    distinct = len(rare.unique())
    expected = states * -math.expm1(len(rare) * math.log1p(-1 / states))
    assert abs(distinct - expected) < 5 * math.sqrt(len(rare) - expected)


@pytest.mark.parametrize("row", [[-INF, -INF], [0.0, INF], [0.0, math.nan]])
def test_categorical_refuses_rows_without_a_law(row: list[float]) -> None:
    with pytest.raises(ValueError, match=r"finite maximum in every row, .* in row \(1,\)"):
        categorical(torch.tensor([[0.0, 0.0], row]), generator=0)


def test_categorical_refuses_bad_arguments() -> None:
    x = torch.zeros(2)
    with pytest.raises(ValueError, match="temperature must not be negative"):
        categorical(x, temperature=-1.0, generator=0)
    with pytest.raises(ValueError, match="temperature must not be negative"):
        categorical(x, temperature=math.nan, generator=0)
    with pytest.raises(ValueError, match="temperature must not be negative"):
        categorical(x, temperature=torch.tensor([-1.0]), generator=0)
    with pytest.raises(ValueError, match="n must not be negative"):
        categorical(x, -1, generator=0)
    with pytest.raises(ValueError, match="K > 0"):
        categorical(torch.zeros(2, 0), generator=0)
    with pytest.raises(TypeError, match="logits must be a floating-point tensor"):
        categorical(torch.tensor([1, 2]), generator=0)


def test_spawned_generators_differ_and_look_independent() -> None:
    children = spawn(9, 200)
    low = {child.initial_seed() % 2**32 for child in children}
    assert len(low) == 200
    first = torch.stack([torch.rand(50, generator=child) for child in children]).double()
    assert stats.kstest(first.flatten().numpy(), "uniform").pvalue > FALSE_ALARM
    correlation = np.corrcoef(first.numpy())[np.triu_indices(200, 1)]
    assert stats.kstest(np.arctanh(correlation) * math.sqrt(47), "norm").pvalue > FALSE_ALARM
    assert spawn(9, 0) == []
    with pytest.raises(ValueError, match="n must not be negative"):
        spawn(9, -1)


def test_numpy_generator_takes_one_draw() -> None:
    parent, twin = torch.Generator().manual_seed(1), torch.Generator().manual_seed(1)
    assert isinstance(numpy_generator(parent).bit_generator, np.random.PCG64)
    torch.randint(2**63 - 1, (1,), generator=twin)
    assert parent.get_state().equal(twin.get_state())


@needs_cuda
def test_gpu_draws() -> None:
    logits = torch.randn(1000, generator=as_generator(0)).cuda()
    logits[::3] = -INF
    codes = categorical(logits, 300_000, generator=1)
    assert codes.is_cuda
    assert follows(codes.cpu(), torch.softmax(logits.double(), 0).cpu())
    dead = torch.full((2, 3), -INF, device="cuda")
    dead[0, 1] = 0.0
    assert categorical(dead, generator=1).tolist() == [1, -1]
    with pytest.raises(ValueError, match="must be on cuda"):
        bernoulli(torch.zeros(2, device="cuda"), generator=torch.Generator())
    assert all(child.device.type == "cuda" for child in spawn(torch.Generator("cuda"), 3))
