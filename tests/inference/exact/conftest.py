"""Small random models, evidence of every kind, and ways to send a query through each engine.

An example of the property tests is a structure drawn by hypothesis (so that it shrinks) and a seed
for its numbers. The engine would answer most small models from one joint table, so that
`engine_path` switches its short cuts off one by one.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import strategies as st

from inference import Factor
from inference.exact import tree
from inference.exact.enumerate import enumerate_law

NAMES = ("a", "b", "c", "d", "e", "f", "g", "h")

NO_JOINT = {"inference.exact.joint.MOST_STATES": 0}
# Entry counts that nothing exceeds are exceeded by everything.
NO_FLAT = {"inference.exact.engine.FLAT_ENTRIES": -1}
SPLIT = {
    "inference.exact.plan.SMALL": -1,
    "inference.exact.plan.SMALL_PER_VARIABLE": -1,
    # Two parts of cost -1 are always cheaper than one.
    "inference.exact.plan._Candidate.cost": -1,
}
# Every table counts as large, every row as long, and shared sums always pay.
LARGE = {
    "inference.exact.sums.SMALL_TABLE": 0,
    "inference.exact.sums.LONG_ROW": 2,
    "inference.exact.program.LARGE_TABLE": 0,
    "inference.exact.program.SHARED_SHRINK": 1,
}
RESCALED = {"inference.exact.program.SAFE_LOG": 1.0}
LOG_SPACE = {**RESCALED, "inference.exact.program.SAFE_LOG_RESCALED": 1.0}


def unmerged(elimination: Any, cards: Any, allowance: int = 0) -> tree.JunctionTree:
    """The junction tree with every maximal clique apart, however small."""
    return tree.build_tree(elimination, cards, 0)


UNMERGED = {"inference.exact.plan.build_tree": unmerged}

#: What every path replaces. "as-shipped" is what users get.
PATHS: dict[str, dict[str, Any]] = {
    "as-shipped": {},
    "merged": NO_JOINT,
    "tree": {**NO_JOINT, **UNMERGED},
    "large-tables": {**NO_JOINT, **LARGE},
    "rescaled": {**NO_JOINT, **UNMERGED, **RESCALED},
    "log-space": {**NO_JOINT, **NO_FLAT, **UNMERGED, **LOG_SPACE},
    "split": {**NO_JOINT, **NO_FLAT, **UNMERGED, **SPLIT},
    "split-log-space": {**NO_JOINT, **NO_FLAT, **UNMERGED, **SPLIT, **LOG_SPACE},
}

Path = Callable[[str], AbstractContextManager[None]]


@contextmanager
def _engine_path(name: str) -> Iterator[None]:
    with ExitStack() as stack:
        for target, value in PATHS[name].items():
            stack.enter_context(mock.patch(target, value))
        yield


@pytest.fixture(scope="session")
def engine_path() -> Path:
    """Context manager under which queries take the named path through the engine."""
    return _engine_path


@pytest.fixture(params=list(PATHS))
def each_path(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run the test once along every path."""
    with _engine_path(request.param):
        yield request.param


def log_table(rng: np.random.Generator, shape: tuple[int, ...], sd: float, zeros: float):
    """Normal log potentials; a share of hard zeros; whole numbers (ties) for sd = 1."""
    values = rng.normal(0.0, sd, shape)
    if sd == 1:
        values = values.round()
    values = np.where(rng.random(shape) < zeros, -np.inf, values)
    return torch.from_numpy(np.asarray(values))


@st.composite
def _cards(draw: st.DrawFn, most: int, states: int) -> dict[str, int]:
    cards: dict[str, int] = {}
    for name in NAMES[: draw(st.integers(1, most))]:
        cards[name] = draw(st.integers(1, max(1, min(4, states))))
        states //= cards[name]
    return cards


@st.composite
def _graphs(
    draw: st.DrawFn,
    most: int = 7,
    states: int = 1200,
    spreads: tuple[float, ...] = (0.1, 1, 3, 30, 300, 800),
    zeros: tuple[float, ...] = (0, 0, 0.15, 0.5),
) -> tuple[dict[str, int], list[Factor]]:
    """Cardinalities and factors: any scopes of up to four variables, also twice or none."""
    cards = draw(_cards(most, states))
    sizes = st.integers(0, min(4, len(cards)))
    scopes = draw(
        st.lists(
            sizes.flatmap(lambda k: st.permutations(list(cards)).map(lambda p: tuple(p[:k]))),
            max_size=8,
        )
    )
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    sd, share = draw(st.sampled_from(spreads)), draw(st.sampled_from(zeros))
    factors = []
    for scope in scopes:
        table = log_table(rng, tuple([cards[v] for v in scope]), sd, share)
        # Rarely a factor that is zero everywhere, when there are zeros at all.
        if share and rng.random() < 0.01:
            table = torch.full_like(table, -torch.inf)
        factors.append(Factor(scope, table))
    return cards, factors


@pytest.fixture(scope="session")
def graphs() -> Callable[..., st.SearchStrategy[tuple[dict[str, int], list[Factor]]]]:
    return _graphs


def _random_graph(
    rng: np.random.Generator, sd: float = 1.5, zeros: float = 0.0, most: int = 6
) -> tuple[dict[str, int], list[Factor]]:
    """A graph for the tests that need no shrinking; some state of it is possible."""
    while True:
        count = int(rng.integers(2, most + 1))
        cards = {name: int(rng.integers(2, 4)) for name in NAMES[:count]}
        factors = []
        for _ in range(int(rng.integers(1, 8))):
            scope = rng.permutation(list(cards))[: rng.integers(1, min(4, count) + 1)].tolist()
            table = log_table(rng, tuple([cards[v] for v in scope]), sd, zeros)
            factors.append(Factor(scope, table))
        if enumerate_law(cards, factors).log_partition > -torch.inf:
            return cards, factors


@pytest.fixture(scope="session")
def random_graph() -> Callable[..., tuple[dict[str, int], list[Factor]]]:
    return _random_graph


def _likelihood(rng: np.random.Generator, card: int) -> np.ndarray:
    """A likelihood of any scale, sometimes with zeros or entries many orders apart."""
    kind = rng.integers(5)
    values = rng.random(card)
    if kind == 1:
        values = values * 1e-200
    elif kind == 2:
        values = np.where(rng.random(card) < 0.4, 0.0, 100 * values)
    elif kind == 3:
        values = 10.0 ** rng.integers(-250, 1, card)
    elif kind == 4:
        # Their quotients leave the range of float64, as do the smallest themselves.
        values = 10.0 ** rng.integers(-323, 309, card)
    return values


def _one(rng: np.random.Generator, card: int, kinds: str) -> Any:
    kind = rng.choice(list(kinds))
    if kind == "h":
        return int(rng.integers(card))
    return _likelihood(rng, card) if kind == "s" else None


@st.composite
def _evidence(draw: st.DrawFn, cards: Mapping[str, int], kinds: str = "hs---") -> dict[str, Any]:
    """Evidence for one query: per variable hard (h), soft (s) or nothing (-)."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    chosen = {name: _one(rng, card, kinds) for name, card in cards.items()}
    if draw(st.booleans()):
        chosen = {}
    return {name: value for name, value in chosen.items() if value is not None}


@pytest.fixture(scope="session")
def evidence() -> Callable[..., st.SearchStrategy[dict[str, Any]]]:
    return _evidence


@st.composite
def _batches(draw: st.DrawFn, cards: Mapping[str, int]) -> tuple[dict[str, Any], list[dict]]:
    """A batch of evidence, and the same as a list of single queries."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    size = draw(st.sampled_from([1, 2, 3, 7]))
    rows: list[dict[str, Any]] = [{} for _ in range(size)]
    batch: dict[str, Any] = {}
    kinds = draw(st.lists(st.sampled_from("HhSs--"), min_size=len(cards), max_size=len(cards)))
    if not set(kinds) & set("HS"):
        kinds[0] = "H"
    for (name, card), kind in zip(cards.items(), kinds, strict=True):
        if kind == "H":
            column = rng.integers(-1, card, size)
            batch[name] = column
            for row, code in zip(rows, column.tolist(), strict=True):
                if code >= 0:
                    row[name] = code
        elif kind == "S":
            batch[name] = np.stack([_likelihood(rng, card) for _ in range(size)])
            for row, vector in zip(rows, batch[name], strict=True):
                row[name] = vector
        elif kind in "hs":
            batch[name] = _one(rng, card, kind)
            for row in rows:
                row[name] = batch[name]
    return batch, rows


@pytest.fixture(scope="session")
def batches() -> Callable[..., st.SearchStrategy[tuple[dict[str, Any], list[dict]]]]:
    return _batches


@st.composite
def _networks(
    draw: st.DrawFn, most: int = 7, states: int = 1200
) -> tuple[list[tuple[str, str]], dict[str, int], dict[str, np.ndarray]]:
    """Edges, cardinalities and tables of a random directed acyclic graph."""
    cards = draw(_cards(most, states))
    names = list(cards)
    order = draw(st.permutations(names))
    sizes = draw(st.lists(st.integers(0, 3), min_size=len(names), max_size=len(names)))
    kind = draw(st.sampled_from(["dense", "sparse", "deterministic", "extreme"]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    parents: dict[str, list[str]] = {}
    for name, size in zip(names, sizes, strict=True):
        before = order[: order.index(name)]
        parents[name] = rng.permutation(before)[:size].tolist() if before else []
    edges = [(parent, name) for name, above in parents.items() for parent in above]
    # The order of a child's edges is the order of its table's axes; children may come mixed.
    place = rng.permutation(len(names))
    edges.sort(key=lambda edge: int(place[names.index(edge[1])]))
    tables = {}
    for name, above in parents.items():
        shape = (*[cards[p] for p in above], cards[name])
        weights = rng.gamma(1.0, size=shape) + 1e-3
        if kind == "sparse":
            weights *= rng.random(shape) < 0.6
        elif kind == "extreme":
            weights *= 10.0 ** -rng.choice([0, 0, 20, 150], shape)
        if kind == "deterministic":
            weights *= 0.0
        winner = rng.integers(cards[name], size=shape[:-1])
        weights = weights + (kind != "dense") * np.eye(cards[name])[winner]
        tables[name] = weights / weights.sum(-1, keepdims=True)
    return edges, cards, tables


@pytest.fixture(scope="session")
def networks() -> Callable[..., st.SearchStrategy]:
    return _networks


@functools.cache
def _chi_square_limit(degrees: int, p: float) -> float:
    from scipy.stats import chi2

    return float(chi2.isf(p, degrees))


def _assert_drawn_from(rows: torch.Tensor, cards: Mapping[str, int], p: torch.Tensor) -> None:
    """Pearson's chi-square test of joint codes; a right sampler fails once in a million."""
    index = np.ravel_multi_index(tuple(rows.numpy().T), tuple(cards.values()))
    counts = np.bincount(index, minlength=len(p))
    expected = len(rows) * p.numpy()
    assert counts[expected == 0].sum() == 0, "drew a state of probability zero"
    order = np.argsort(expected)
    order = order[expected[order] > 0]
    counts, expected = counts[order], expected[order]
    # Rare states are put together until each cell expects eight draws.
    cells = np.floor(np.cumsum(expected) / 8)
    _, cells = np.unique(cells, return_inverse=True)
    counts, expected = np.bincount(cells, counts), np.bincount(cells, expected)
    if len(counts) < 2:
        return
    statistic = float(((counts - expected) ** 2 / expected).sum())
    assert statistic < _chi_square_limit(len(counts) - 1, 1e-6), statistic


@pytest.fixture(scope="session")
def assert_drawn_from() -> Callable[[torch.Tensor, Mapping[str, int], torch.Tensor], None]:
    return _assert_drawn_from
